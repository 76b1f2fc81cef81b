package allow

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// compileProjects makes the pattern match whole projects only. It is compiled
// alone first, so that nothing in it can escape the group that anchors it.
func compileProjects(setting, pattern string) (*regexp.Regexp, error) {
	if pattern == "" || pattern == ".*" {
		return nil, nil
	}
	const allowed = `allowed is an RE2 regular expression that matches whole projects, such as "group/.*|other/repo"`
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, fmt.Errorf("%s is %q, which doesn't compile (%w); %s", setting, pattern, err, allowed)
	}
	re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("%s is %q, which can't be anchored (%w); %s", setting, pattern, err, allowed)
	}
	return re, nil
}

// projectCheck holds every project that a request names against the patterns (the
// policy's and that of the rule) and the blocks.
type projectCheck struct {
	patterns [2]*regexp.Regexp // nil ones match every project
	blocks   []*block          // that match but for the project
	set      bool              // there is a pattern or a block
	numbered bool              // the vendor tells a project's path by its number
	known    map[string]string // number → path, as far as they were asked for
	lookup   map[string]bool   // numbers that must be asked for

	blockedBy string // the block that a project fell under
}

func (p *Policy) newProjectCheck(r *rule, known map[string]string, blocks []*block) projectCheck {
	return projectCheck{
		patterns: [2]*regexp.Regexp{p.projects, r.projects}, blocks: blocks, set: p.projects != nil || r.projects != nil || len(blocks) > 0,
		numbered: p.lookup != nil, known: known,
	}
}

// missing returns the numbers that must be asked for, sorted.
func (c *projectCheck) missing() []string {
	if len(c.lookup) == 0 {
		return nil
	}
	return slices.Sorted(maps.Keys(c.lookup))
}

// path holds the project that the path names, and those that a comparison
// reaches over to, against the patterns.
func (c *projectCheck) path(r *rule, project string, m *matcher) fault {
	if !c.set {
		return fault{}
	}
	if r.AllProjects {
		return fault{reason: ProjectUnknown, detail: "the rule " + r.Name + " reaches projects that the request doesn't name, so it is denied while allowed or blocked projects are set"}
	}
	if project == "" {
		return fault{} // the call is about no project: who am I, which projects are there
	}
	n := 0
	for i := range m.found.segs {
		seg := &m.found.segs[i]
		if seg.kind == nil {
			continue
		}
		if unknown := seg.kind.unknown; unknown != nil && unknown(m.param(n, seg)) {
			return c.number(project)
		}
		n++
	}
	if f := c.name(project); f.reason != "" {
		return f
	}
	n = 0
	for i := range m.found.segs {
		seg := &m.found.segs[i]
		if seg.kind == nil {
			continue
		}
		if seg.kind == kinds["comparison"] {
			if f := c.comparison(project, m.param(n, seg)); f.reason != "" {
				return f
			}
		}
		n++
	}
	return fault{}
}

// number judges a project that is given by something other than its path.
func (c *projectCheck) number(id string) fault {
	path, ok := c.known[id]
	switch {
	case ok:
		return c.name(path)
	case c.numbered && isDigits(id) && len(id) <= maxIDDigits:
		if c.lookup == nil {
			c.lookup = make(map[string]bool)
		}
		c.lookup[id] = true
		return fault{}
	}
	return fault{reason: ProjectUnknown, detail: "the project is given by something other than its path, and allowed or blocked projects are set; give its path"}
}

// maxIDDigits bounds a project's number: more don't fit 64 bits.
const maxIDDigits = 18

func (c *projectCheck) name(project string) fault {
	for i, re := range c.patterns {
		if re != nil && !re.MatchString(project) {
			whose := [...]string{"the allowed projects", "the projects that the rule is allowed for"}[i]
			return fault{reason: ProjectNotAllowed, detail: "the project " + quote(project) + " is not among " + whose}
		}
	}
	for _, b := range c.blocks {
		if b.takesProject(project) {
			c.blockedBy = b.Name
			return fault{reason: Blocked, detail: blockedDetail(b)}
		}
	}
	return fault{}
}

func blockedDetail(b *block) string { return "the customer's rules block it: " + b.Name }

// comparison denies a side that lies in another repository than the path's.
// "owner:ref" means whatever repository of the same network that owner has, so
// only the path's own owner can be known to stay within the project.
func (c *projectCheck) comparison(project, comparison string) fault {
	base, head, _ := splitComparison(comparison)
	owner, _, _ := strings.Cut(project, "/")
	for _, sd := range []side{base, head} {
		switch {
		case sd.owner == "":
		case sd.repo != "":
			if f := c.name(sd.owner + "/" + sd.repo); f.reason != "" {
				return f
			}
		case !strings.EqualFold(sd.owner, owner):
			return fault{reason: ProjectUnknown, detail: "the comparison reaches a repository of " + quote(sd.owner) + " that it doesn't name, and allowed or blocked projects are set"}
		}
	}
	return fault{}
}

// named holds a parameter that names another project against the patterns; how
// is the way it names it, "" if it doesn't.
func (c *projectCheck) named(how, name, value string) fault {
	switch {
	case how == "" || !c.set:
		return fault{}
	case how == "id" && c.numbered && isDigits(value):
		return c.number(value)
	case how == "path" && strings.Contains(value, "/") && isNames(strings.TrimPrefix(value, "~")):
		return c.name(value)
	}
	by := map[string]string{"id": "its number", "path": "its path"}[how]
	if by == "" || how == "id" && !c.numbered {
		return fault{reason: ProjectUnknown, detail: quote(name) + " names another project in a way that doesn't tell which, and allowed or blocked projects are set"}
	}
	return fault{reason: ProjectUnknown, detail: quote(name) + " doesn't name another project by " + by + ", and allowed or blocked projects are set"}
}
