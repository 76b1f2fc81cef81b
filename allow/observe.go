package allow

import (
	"fmt"
	"slices"
)

// observer decides what a policy that only observes lets through beside what
// its rules allow.
type observer struct {
	off  map[string]kinPath // group that is off → what belongs to it
	own  kinPath            // what belongs to rules with a project pattern of their own
	rule *rule              // for the bodies of calls that have no rule
}

// kinPath is what belongs to a group.
type kinPath []glob

// gitPaths belong to the group git on every vendor: git's smart and dumb
// protocols, and the large files beside them.
var gitPaths = []string{"/**/info/refs", "/**/git-upload-pack", "/**/*.git", "/**/*.git/**", "/**/_git/**", "/**/objects/pack/**", "/**/info/lfs/**"}

// graphQLPaths may serve GraphQL. What its documents do can't be told from the
// path, so observing lets them through only where a rule reads them.
var graphQLPaths = glob{"**", "*graphql*", "**"}

func newObserver(file *ruleFile, p *Policy) (*observer, error) {
	o := &observer{off: make(map[string]kinPath), rule: &rule{Body: bodyAny}}
	for _, group := range Groups() {
		if slices.Contains(p.groups, group) {
			continue
		}
		paths := slices.Clone(file.Kin[group])
		switch group {
		case "git":
			paths = append(paths, gitPaths...)
		case "graphql":
			o.off[group] = append(o.off[group], graphQLPaths)
		}
		for _, path := range paths {
			g, err := parseGlob(path)
			if err != nil {
				return nil, fmt.Errorf("kin of group %s: %w", group, err)
			}
			o.off[group] = append(o.off[group], g)
		}
		for _, r := range file.Rules {
			if r.Group == group {
				for _, v := range r.variants {
					o.off[group] = append(o.off[group], v.globs()...)
				}
			}
		}
	}
	for _, r := range file.Rules {
		if r.projects != nil {
			for _, v := range r.variants {
				o.own = append(o.own, v.globs()...)
			}
		}
	}
	return o, nil
}

// globs returns what a template comes to when its parameters may be anything and
// the server takes any letter case and a format at the end, such as ".json".
func (v *variant) globs() []glob {
	g := make(glob, len(v.segs))
	for i, s := range v.segs {
		switch {
		case s.kind == nil:
			g[i] = fold(s.text)
		case s.rest:
			g[i] = "**"
		default:
			g[i] = "*" + fold(s.suffix)
		}
	}
	withFormat := slices.Clone(g)
	withFormat[len(g)-1] += ".*"
	if g[len(g)-1] == "**" {
		return []glob{g}
	}
	return []glob{g, withFormat}
}

// unmatched decides on a request that no rule allows; d is its denial. ofProjects
// says that a block may match it, depending on the projects that it reaches.
func (o *observer) unmatched(d Decision, p *Policy, m *matcher, pairs []pair, ofProjects bool) Decision {
	if d.Reason != NoRule && d.Reason != MethodNotAllowed {
		return d // it can't be read in one way only
	}
	if !slices.Contains(methods, m.method) && m.method != "HEAD" {
		return d
	}
	path := foldPath(m.segs)
	if p.projects != nil || ofProjects || slices.ContainsFunc(o.own, path.matches) {
		return Decision{Reason: ProjectUnknown, Nearest: d.Nearest,
			Detail: "no rule allows it, and what it reaches can't be held against the allowed or blocked projects"}
	}
	for _, group := range Groups() {
		if slices.ContainsFunc(o.off[group], path.matches) {
			return Decision{Reason: GroupOff, Group: group, Nearest: d.Nearest, Detail: "it belongs to the group " + group + ", which is switched off"}
		}
	}
	if m.method != "GET" && m.method != "HEAD" && m.method != "OPTIONS" {
		// Some are as good as a push, or make credentials, and a list of those would
		// never be whole.
		return Decision{Reason: PushNotAllowed, Nearest: d.Nearest,
			Detail: "no rule allows it, and observing lets only GET, HEAD and OPTIONS through: a write that no rule knows may be as good as a push"}
	}
	if !slices.Contains(p.groups, "read") {
		// Whatever reads, and has no rule, belongs there if anywhere.
		return Decision{Reason: GroupOff, Group: "read", Nearest: d.Nearest, Detail: "it belongs to the group read, which is switched off"}
	}
	if path.matches(graphQLPaths) {
		d.Detail = "no rule reads its GraphQL, so observing doesn't let it through"
		return d
	}
	for _, pr := range pairs {
		if hint := dangerHint(pr.key); hint != "" {
			return Decision{Reason: QueryNotAllowed, Nearest: d.Nearest, Detail: "the query key " + quote(pr.key) + " is never allowed; " + hint}
		}
	}
	allowed := Decision{Allowed: true, Observed: d.Reason, Detail: d.Detail, Nearest: d.Nearest, Path: pathOf(m.segs), InspectBody: true}
	if len(pairs) > 0 {
		allowed.RawQuery = encodePairs(pairs)
	}
	return allowed
}

// pathOf rebuilds the escaped path of segments that no template has.
func pathOf(segs []segment) string {
	var b []byte
	for _, s := range segs {
		b = appendParam(append(b, '/'), s.text, "%2F")
	}
	return string(b)
}

// mayObserve tells whether a query key, field or body ("") that the rule
// doesn't have is let through. While project patterns are set it isn't: it
// could name another project.
func (p *Policy) mayObserve(name string, projects *projectCheck) bool {
	return p.observe != nil && !projects.set && dangerHint(name) == ""
}
