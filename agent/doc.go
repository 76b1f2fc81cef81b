// Package agent is the program that runs beside a company's VCS. It keeps a
// session with its gateway alive and answers the requests that come through it:
// each is checked against the allowlist, forwarded, its answer streamed back, and
// logged with what it was for.
//
//	a, err := agent.New(cfg)
//	err = a.Run(ctx) // until ctx is done, then drains
//
// Nothing the allowlist doesn't name reaches the VCS, unless the policy only
// observes; what reaches it is rebuilt from what was matched. The agent never
// follows redirects, keeps no state on disk and listens on nothing but its metrics
// address.
//
// The policy may change while the agent runs ([Config.PolicyChanges]): a request is
// decided, sent and answered by the one that was in force as it began. Of itself the
// agent asks the VCS for two things: the path of a project that a request gives by
// its number, with that request's credentials, and, when the gateway checks the
// pool ([transport.CheckPath]), for its version. With a [Credential] it adds the VCS's
// credential itself, to calls of the base endpoint alone, and callers' never pass.
package agent
