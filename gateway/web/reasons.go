package web

// reasons are the agents' reasons for a denial, for whoever looks into one. An
// agent of a later version may have others: they are shown as they are.
var reasons = map[string]string{
	"bad_target":          "The target isn't a path from the root, or holds a fragment.",
	"target_too_long":     "The target has more than 8 KiB or 64 segments.",
	"bad_encoding":        "The target holds a broken escape, invalid UTF-8, or a control or unprintable character.",
	"ambiguous_path":      "Two servers could read the path differently.",
	"bad_query":           "The query can't be read in one way only.",
	"push_not_allowed":    "It is a git push, or a write that no rule allows while the agent observes. No setting lets these through.",
	"blocked":             "A block rule of the agent's owner matches.",
	"method_not_allowed":  "A rule has this path, but not with this method.",
	"no_rule":             "No rule of the agent's has this path. Its owner can add one to the agent's rules file.",
	"group_off":           "The rule is in a group that the agent's owner has switched off: see the agent's --allow-groups.",
	"query_not_allowed":   "A query key or value isn't one that the rule has, or a key is given twice.",
	"project_not_allowed": "The call names a project that the agent's --allowed-projects doesn't match.",
	"project_unknown":     "The agent is limited to some projects, and it can't be told which one the call reaches.",
	"body_not_allowed":    "There is a body, and the rule takes none.",
	"body_too_large":      "The body is over 1 MiB, too large to be inspected.",
	"bad_body":            "The body's type, encoding or syntax can't be read in one way only.",
	"field_not_allowed":   "The body has a field that the rule doesn't have.",
	"not_a_query":         "The GraphQL document holds more than queries.",
}

// codes are those of answers that the gateway or an agent made in place of the
// VCS.
var codes = map[string]string{
	"unauthenticated":  "The caller showed no key, or none of this gateway's, or one that has expired.",
	"forbidden":        "The key may not call a pool of this name, or there is none, or the request is one that the gateway serves nobody.",
	"unknown_pool":     "What stands where a pool's name belongs can't be one.",
	"not_found":        "The callers' listener has no such path.",
	"body_unreadable":  "The request's body broke off.",
	"header_too_large": "The request's target and headers are more than the tunnel takes.",
	"rate_limited":     "A limit of the key or the pool was reached. The caller was told when to try again.",
	"body_too_large":   "The body is larger than the key's or the pool's limit.",
	"pool_paused":      "The pool is paused: resume it to let requests through.",
	"no_agent":         "No agent of the pool was connected: start one, or look at its log.",
	"busy":             "Every stream was taken for as long as a request may wait: start another agent, or raise --parallelism.",
	"agent_lost":       "The agent went away before it answered. The VCS may have seen the request or not.",
	"agent_fault":      "The agent answered what no agent answers: is it one of this software's, and up to date?",
	"vcs_unreachable":  "The agent got no answer from the VCS: see the agent's log for why.",
	"vcs_timeout":      "The VCS didn't begin its answer in time: see the agent's --vcs-timeout.",
	"foreign_redirect": "The VCS answered with a redirect to another host, which agents don't pass on.",
	"internal":         "A fault of the gateway's own: its log says more.",
}
