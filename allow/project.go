package allow

import (
	"fmt"
	"regexp"
	"strings"
)

// compileProjects makes the pattern match whole projects only. It is compiled
// alone first, so that nothing in it can escape the group that anchors it.
func compileProjects(pattern string) (*regexp.Regexp, error) {
	if pattern == "" || pattern == ".*" {
		return nil, nil
	}
	const allowed = `allowed is an RE2 regular expression that matches whole projects, such as "group/.*|other/repo"`
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, fmt.Errorf("allowed-projects is %q, which doesn't compile (%w); %s", pattern, err, allowed)
	}
	re, err := regexp.Compile(`\A(?:` + pattern + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("allowed-projects is %q, which can't be anchored (%w); %s", pattern, err, allowed)
	}
	return re, nil
}

// checkProjects holds the project that the path names against the pattern, and
// those that a comparison reaches over to.
func (p *Policy) checkProjects(r *rule, project string, m *matcher) fault {
	if p.projects == nil {
		return fault{}
	}
	if r.AllProjects {
		return fault{ProjectUnknown, "the rule " + r.Name + " reaches projects that the request doesn't name, so it is denied while allowed projects are set"}
	}
	if project == "" {
		return fault{} // the call is about no project: who am I, which projects are there
	}
	if f := p.checkProject(project); f.reason != "" {
		return f
	}
	n := 0
	for i := range m.found.segs {
		seg := &m.found.segs[i]
		if seg.kind == nil {
			continue
		}
		if seg.kind == kinds["comparison"] {
			if f := p.checkComparison(project, m.param(n, seg)); f.reason != "" {
				return f
			}
		}
		n++
	}
	return fault{}
}

func (p *Policy) checkProject(project string) fault {
	if isDigits(project) {
		return fault{ProjectUnknown, "the project is given by its number, and allowed projects are set; give its path"}
	}
	if !p.projects.MatchString(project) {
		return fault{ProjectNotAllowed, "the project " + quote(project) + " is not among the allowed projects"}
	}
	return fault{}
}

// checkComparison denies a side that lies in another repository than the
// path's. "owner:ref" means whatever repository of the same network that owner
// has, so only the path's own owner can be known to stay within the project.
func (p *Policy) checkComparison(project, comparison string) fault {
	base, head, _ := splitComparison(comparison)
	owner, _, _ := strings.Cut(project, "/")
	for _, sd := range []side{base, head} {
		switch {
		case sd.owner == "":
		case sd.repo != "":
			if f := p.checkProject(sd.owner + "/" + sd.repo); f.reason != "" {
				return f
			}
		case !strings.EqualFold(sd.owner, owner):
			return fault{ProjectUnknown, "the comparison reaches a repository of " + quote(sd.owner) + " that it doesn't name, and allowed projects are set"}
		}
	}
	return fault{}
}

// checkNamed holds a parameter that names another project against the pattern;
// how is the way it names it, "" if it doesn't.
func (p *Policy) checkNamed(how, name, value string) fault {
	if how == "" || p.projects == nil {
		return fault{}
	}
	if how == "id" || !strings.Contains(value, "/") || !isNames(strings.TrimPrefix(value, "~")) {
		return fault{ProjectUnknown, quote(name) + " names another project by something other than its path, and allowed projects are set"}
	}
	return p.checkProject(value)
}
