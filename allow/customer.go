package allow

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Rules are what a customer adds to a vendor's rules: groups that are switched
// on or off, calls that are allowed beside the vendor's, calls that are blocked
// whatever allows them, project patterns of single rules, and hosts that the
// VCS may redirect to. They are read once and never change.
type Rules struct {
	file      string
	groups    map[string]bool
	allow     []*rule
	block     []*block
	projects  []rulePattern
	redirects []string
}

// block denies what its path, methods and projects match. It wins over every rule.
type block struct {
	Name     string   `yaml:"name"`
	Methods  []string `yaml:"methods"`  // upper-case; none: every method; GET stands for HEAD as well
	Path     string   `yaml:"path"`     // "" is every path if there are projects
	Projects string   `yaml:"projects"` // pattern for whole projects, in any letter case; "" blocks without looking at projects

	place    string
	glob     glob
	projects *regexp.Regexp // nil: none
}

// rulePattern is a project pattern for a rule that is named.
type rulePattern struct{ rule, pattern, place string }

// ParseRules reads a file of a customer's rules; file is its name for
// sentences. The error joins every problem, each with file, line and rule.
func ParseRules(file string, data []byte) (*Rules, error) {
	root, err := onlyDocument(file, data)
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, fmt.Errorf("%s: %s", file, noRules)
	}
	return RulesOf(file, root)
}

// noRules refuses what would silently take every rule and block away.
const noRules = "there are no rules in it; a file that adds none holds {}"

// RulesOf is [ParseRules] for rules that are a part of a larger file.
func RulesOf(file string, n *yaml.Node) (*Rules, error) {
	r := &Rules{file: file, groups: make(map[string]bool)}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil, fmt.Errorf("%s: %s", place(file, n), noRules)
	}
	var errs []error
	err := entries(file, "the rules", n, []string{"groups", "allow", "block", "projects", "redirects"}, func(key, value *yaml.Node) {
		switch key.Value {
		case "groups":
			errs = append(errs, r.parseGroups(value))
		case "allow":
			errs = append(errs, items(file, "allow", value, func(n *yaml.Node) { errs = append(errs, r.parseAllow(n)) }))
		case "block":
			errs = append(errs, items(file, "block", value, func(n *yaml.Node) { errs = append(errs, r.parseBlock(n)) }))
		case "projects":
			errs = append(errs, r.parseProjects(value))
		case "redirects":
			errs = append(errs, items(file, "redirects", value, func(n *yaml.Node) { errs = append(errs, r.parseRedirect(n)) }))
		}
	})
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Rules) parseGroups(n *yaml.Node) error {
	var errs []error
	err := entries(r.file, "groups", n, Groups(), func(key, value *yaml.Node) {
		on, err := strconv.ParseBool(value.Value)
		if err != nil || value.Kind != yaml.ScalarNode || value.Tag != "!!bool" {
			errs = append(errs, fmt.Errorf("%s: groups has %s for %s; allowed are true, false", place(r.file, value), quote(value.Value), key.Value))
			return
		}
		r.groups[key.Value] = on
	})
	return errors.Join(append(errs, err)...)
}

// customerKeys are what a rule of a customer's may have. What lets a rule read
// less of a request than the others, or a token in a query, is ours to give.
var customerKeys = keysOf(rule{}, "token_query")

func (r *Rules) parseAllow(n *yaml.Node) error {
	name := nameOf(n)
	what := "rule " + quote(name)
	rule := &rule{place: place(r.file, n)}
	if err := decode(r.file, what, n, rule, customerKeys); err != nil {
		return err
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s: %s", rule.place, what, fmt.Sprintf(format, args...)))
	}
	if !isRuleName(rule.Name) {
		bad("%s", ruleNameForm)
	}
	if r.taken(rule.Name) {
		bad("the name is used twice")
	}
	if rule.Projects == "" && slices.Contains(keysIn(n), "projects") {
		bad("projects is empty; leave it out, or give it a regular expression that matches whole projects")
	}
	if strings.Contains(fold(rule.Path), "git-receive-pack") || strings.EqualFold(rule.Fixed["service"], "git-receive-pack") {
		bad("it would allow git pushes, which the agent never lets through")
	}
	r.allow = append(r.allow, rule)
	return errors.Join(errs...)
}

func (r *Rules) parseBlock(n *yaml.Node) error {
	what := "block " + quote(nameOf(n))
	b := &block{place: place(r.file, n)}
	if err := decode(r.file, what, n, b, keysOf(block{})); err != nil {
		return err
	}
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s: %s", b.place, what, fmt.Sprintf(format, args...)))
	}
	if !isRuleName(b.Name) {
		bad("%s", ruleNameForm)
	}
	if r.taken(b.Name) {
		bad("the name is used twice")
	}
	for i, m := range b.Methods {
		b.Methods[i] = strings.ToUpper(m)
		if !slices.Contains(methods, b.Methods[i]) && b.Methods[i] != "HEAD" {
			bad("method %s is not one of %s; no methods at all means every method", quote(m), strings.Join(withHead(methods), ", "))
		}
	}
	var err error
	if b.Projects == "" && slices.Contains(keysIn(n), "projects") {
		bad("projects is empty; leave it out, or give it a regular expression that matches whole projects")
	}
	if b.Projects != "" {
		// Servers differ in whether the case of letters matters; what is blocked
		// must not depend on it.
		if _, err = compileProjects("projects", b.Projects); err != nil {
			bad("%v", err)
		} else if b.projects, err = compileProjects("projects", "(?i)"+b.Projects); err != nil {
			bad("%v", err)
		}
		b.Path = cmp.Or(b.Path, "/**")
	}
	if b.Path == "" {
		bad("it has neither a path nor projects")
	} else if b.glob, err = parseGlob(b.Path); err != nil {
		bad("%v", err)
	}
	r.block = append(r.block, b)
	return errors.Join(errs...)
}

func (r *Rules) parseProjects(n *yaml.Node) error {
	var errs []error
	err := entries(r.file, "projects", n, nil, func(key, value *yaml.Node) {
		at := place(r.file, key)
		if value.Kind != yaml.ScalarNode || value.Tag == "!!null" || value.Value == "" {
			errs = append(errs, fmt.Errorf("%s: projects of rule %s must be a regular expression that matches whole projects", at, quote(key.Value)))
			return
		}
		if _, err := compileProjects("projects", value.Value); err != nil {
			errs = append(errs, fmt.Errorf("%s: rule %s: %w", at, quote(key.Value), err))
			return
		}
		r.projects = append(r.projects, rulePattern{key.Value, value.Value, at})
	})
	return errors.Join(append(errs, err)...)
}

func (r *Rules) parseRedirect(n *yaml.Node) error {
	host := strings.ToLower(n.Value)
	name, port, hasPort := strings.Cut(host, ":")
	number, err := strconv.ParseUint(port, 10, 16)
	if n.Kind != yaml.ScalarNode || !hostName.MatchString(name) || hasPort && (err != nil || number == 0) {
		return fmt.Errorf("%s: redirects has %s; allowed is a host, such as objects.example.com or objects.example.com:8443", place(r.file, n), quote(n.Value))
	}
	r.redirects = append(r.redirects, host)
	return nil
}

// hostName is a host's name or IPv4 address. There is no wildcard: a redirect's
// target gets what the client sends along.
var hostName = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\z`)

// taken tells whether a rule or block of these rules has the name.
func (r *Rules) taken(name string) bool {
	return slices.ContainsFunc(r.allow, func(o *rule) bool { return o.Name == name }) ||
		slices.ContainsFunc(r.block, func(o *block) bool { return o.Name == name })
}

const ruleNameForm = "name must be 1 to 64 of a-z, 0-9, ., _ and -, such as acme.tags.list"

// isRuleName keeps names fit for logs, metrics and headers.
func isRuleName(s string) bool {
	return len(s) >= 1 && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-')
	}) < 0
}

// nameOf finds a rule's name for sentences, before the rule is known to be well-formed.
func nameOf(n *yaml.Node) string {
	for i := 0; i+1 < len(n.Content) && n.Kind == yaml.MappingNode; i += 2 {
		if n.Content[i].Value == "name" {
			return n.Content[i+1].Value
		}
	}
	return ""
}

// keysIn returns a mapping's keys.
func keysIn(n *yaml.Node) []string {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	var keys []string
	for i := 0; i+1 < len(n.Content); i += 2 {
		keys = append(keys, n.Content[i].Value)
	}
	return keys
}

// switched returns the groups that are on after the rules' switches.
func (r *Rules) switched(groups []string) []string {
	var on []string
	for _, g := range Groups() {
		set, told := r.groups[g]
		if told && set || !told && slices.Contains(groups, g) {
			on = append(on, g)
		}
	}
	return on
}

// addTo puts the rules beside the vendor's.
func (r *Rules) addTo(file *ruleFile) error {
	var errs []error
	for _, own := range r.allow {
		c := *own // prepared for this vendor; r may be used for another
		switch err := c.prepare(file); {
		case err != nil:
			for _, e := range unjoin(err) {
				errs = append(errs, fmt.Errorf("%s: rule %s: %w", c.place, quote(c.Name), e))
			}
		case file.has(c.Name):
			errs = append(errs, fmt.Errorf("%s: rule %s: the vendor %s has a rule of that name", c.place, quote(c.Name), file.Vendor))
		default:
			file.Rules = append(file.Rules, &c)
		}
	}
	for _, p := range r.projects {
		i := slices.IndexFunc(file.Rules, func(r *rule) bool { return r.Name == p.rule })
		switch {
		case i < 0:
			errs = append(errs, fmt.Errorf("%s: projects names the rule %s, which vendor %s doesn't have", p.place, quote(p.rule), file.Vendor))
		case file.Rules[i].Projects != "":
			errs = append(errs, fmt.Errorf("%s: rule %s has projects of its own already", p.place, quote(p.rule)))
		case !file.Rules[i].AllProjects && !file.Rules[i].namesProject():
			errs = append(errs, fmt.Errorf("%s: projects has a pattern for rule %s, but no part of its path is a project", p.place, quote(p.rule)))
		default:
			file.Rules[i].Projects = p.pattern
			file.Rules[i].projects, _ = compileProjects("projects", p.pattern) // it was compiled before
		}
	}
	return errors.Join(errs...)
}

func (f *ruleFile) has(name string) bool {
	return slices.ContainsFunc(f.Rules, func(r *rule) bool { return r.Name == name })
}

// unjoin takes apart what errors.Join put together.
func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// checkBlocks returns the denial, if any, by a block that matches without regard
// to projects, and adds to found those that match as far as they don't.
func (p *Policy) checkBlocks(method string, path foldedPath, found []*block) (Decision, []*block) {
	for _, b := range p.blocks {
		switch {
		case !b.takes(method) || !path.matches(b.glob):
		case b.projects == nil:
			return Decision{Reason: Blocked, Nearest: b.Name, Detail: blockedDetail(b)}, nil
		case !slices.Contains(found, b):
			found = append(found, b)
		}
	}
	return Decision{}, found
}

// takesProject tells whether a project is blocked. Its wiki counts as the project.
func (b *block) takesProject(project string) bool {
	return b.projects.MatchString(project) || b.projects.MatchString(strings.TrimSuffix(project, ".wiki"))
}

func (b *block) takes(method string) bool {
	method = strings.ToUpper(method)
	return len(b.Methods) == 0 || slices.Contains(b.Methods, method) || method == "HEAD" && slices.Contains(b.Methods, "GET")
}
