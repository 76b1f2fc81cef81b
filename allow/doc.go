// Package allow decides which requests may go to the VCS. A request that no
// rule allows is denied, with a reason.
//
//	p, err := allow.New(allow.Options{Vendor: "gitlab", Projects: "infra/.*"})
//	if err != nil {
//		return err // each problem of the options, as a sentence
//	}
//	d := p.Check(r.Method, r.RequestURI)
//	if !d.Allowed {
//		// 403 with d.Reason, d.Detail, d.Nearest
//	}
//	if d.InspectBody {
//		// read at most MaxBodyBytes, then
//		d, body = p.CheckBody(d, r.Header, body)
//	}
//	// send d.Path and d.RawQuery below the base endpoint, with p.Header(r.Header)
//
// # One canonical form
//
// Allowlists are walked around by spelling a request so that the one who checks
// it and the one who serves it read different things. Here a target is read
// once, into segments that are percent-decoded exactly once and into query
// pairs, and whatever two servers could read differently is denied before any
// rule is looked at:
//
//   - anything but a path from the root: absolute, authority and asterisk form,
//     and fragments;
//   - "." and ".." segments and empty ones, in any encoding, also behind an
//     encoded slash, and with the trailing dots and spaces that some servers strip;
//   - backslashes, encoded or not, ";" parameters, and characters that best-fit
//     mapping turns into dots, slashes and the like;
//   - broken escapes, text that still holds an escape after decoding, invalid
//     UTF-8, control and unprintable characters;
//   - an encoded slash outside the parameters that may hold one (GitLab's
//     project, refs, files), and a slash at the end unless the template has one;
//   - queries with ";", a broken escape or a pair without a key;
//   - more than [MaxTargetBytes] or [MaxSegments].
//
// What is sent is built anew from the rule's template and the matched values,
// with one escaping: all but RFC 3986's unreserved characters, so dots are not
// escaped. The caller's own spelling is never forwarded. Neither is a host: it is the
// base endpoint's, with a prefix if the rule fixes one.
//
// # Rules
//
// Each vendor has a YAML file in the folder rules. A rule has a name, a purpose
// (a sentence that a customer understands), a group that can be switched on and
// off, methods, and a path template of fixed segments and typed parameters:
//
//	name: gitlab.git.refs
//	purpose: List a repository's refs for a git clone or fetch.
//	group: git
//	methods: [GET]
//	path: /{group...}/{repo}.git/info/refs
//	fixed: {service: git-upload-pack}
//
// query lists the keys that may be given once, repeat those that may be given
// more often, fixed those that must be there with one value. fields lists what a
// body may have at its top level. names_projects says which of them name a
// project other than the path's. An unknown key in a file is an error. No rule may
// have a parameter that changes who asks or what is asked, such as sudo.
//
// A rule for GET allows HEAD too, since HEAD asks for nothing that GET doesn't
// give. Rules are compiled into a tree, so what a decision costs doesn't grow
// with their number.
//
// # A customer's own rules
//
// [Rules] are read from the customer's file. They switch groups on and off, add
// rules in the same form, give single rules a project pattern, name hosts that
// the VCS may redirect to, and block calls:
//
//	groups: {git: true, comment: false}
//	allow:
//	  - name: acme.tags.list
//	    purpose: List a project's tags.
//	    methods: [GET]
//	    path: /api/v4/projects/{project}/repository/tags
//	block:
//	  - name: no-environments
//	    methods: [DELETE]
//	    path: /api/v4/projects/*/environments/**
//	projects:
//	  gitlab.deployment.create: acme/prod-.*
//	redirects: [objects.example.com]
//
// A block wins over every rule. Its path is a glob for the decoded path, without
// regard to the case of letters; an encoded slash counts as one and as none, and all
// paths that a rule has for one call count as that call. With projects it blocks the calls that name such
// a project, by its number too; a path alone can't tell those. Rules of a customer's can't let a git push
// through or name a dangerous parameter.
//
// With [Options.Observe] what no rule allows is let through and marked, so that a
// policy can be tried out: reads, and keys and fields that a rule doesn't have. A
// write that no rule has may be as good as a push. What can't be read in one way only, what is blocked or
// dangerous, pushes, and what belongs to a group that is off stay denied. A group
// that is off is taken widely then: any letter case, any parameters and methods,
// and the paths that the vendor's file names as its kin. While allowed
// or blocked projects are set nothing is let through, since what it reaches can't
// be known.
//
// # Bodies
//
// GitLab reads sudo, tokens and a method override from bodies as well as from
// the query, so a body is held against the rule's fields: it must be of a type
// that can be read in one way (JSON without a key twice, a strict urlencoded
// form, multipart without files), not compressed, and at most [MaxBodyBytes].
// Forms are written anew. GET, HEAD and DELETE take none. A GraphQL request
// must hold queries only and is written anew from its parsed document. Only
// git's own protocol streams past unread, under a Content-Type that is no form's.
//
// # Projects
//
// A pattern for projects must match the whole project, decoded, in the letter
// case that the request has. It is also held against every project that a query key, a body
// field or a comparison names. A GitLab project's number is denied with
// [Decision.Lookup], so that the VCS can be asked for its path. What else can't be
// known from the request (a fork that is named by its owner only, a GUID,
// GraphQL) is denied while a pattern is set. Calls that are about no project pass. A project that was
// renamed is still reached by a name that the pattern matches if the VCS
// redirects old names.
//
// # Guarantees
//
// A decision depends on the policy, the request and the projects' paths that are
// given alone. An allowed request's
// Path and RawQuery, checked again, are allowed by the same rule and come out
// the same. A [Policy] never changes and may be used by many goroutines.
package allow
