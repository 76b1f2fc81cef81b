package allow

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// DefaultGroups are the groups of rules that are on unless the operator says
// otherwise. The others, git and graphql, reach more than an
// infrastructure-as-code backend needs.
var DefaultGroups = []string{"read", "archive", "status", "comment", "app"}

// Groups returns the name of every group that a rule can be in.
func Groups() []string {
	return []string{"read", "archive", "status", "comment", "app", "git", "graphql"}
}

// Options says which policy to compile.
type Options struct {
	Vendor   string   // one of Vendors(); required
	Groups   []string // groups that are on; nil means DefaultGroups
	Projects string   // regexp (RE2) that a project must match whole; "" or ".*" means no restriction
}

// Policy is a compiled allowlist. It never changes, so any number of goroutines
// may use it.
type Policy struct {
	vendor   string
	hash     string
	active   int
	projects *regexp.Regexp // nil: every project
	headers  map[string]bool
	hosts    []string
	root     *node
	byName   map[string]*rule
	variants []*variant // every expanded template, for finding a denial's nearest rule
}

// New compiles the embedded rules of a vendor. Its error joins every problem
// that the options have; each is a sentence that names the setting, its value
// and what is allowed.
func New(o Options) (*Policy, error) {
	var errs []error
	groups, err := checkGroups(o.Groups)
	errs = append(errs, err)
	projects, err := compileProjects(o.Projects)
	errs = append(errs, err)
	file, err := loadVendor(o.Vendor)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return compile(file, groups, projects, o.Projects)
}

func checkGroups(groups []string) ([]string, error) {
	if groups == nil {
		return DefaultGroups, nil
	}
	var unknown []string
	for _, g := range groups {
		if !slices.Contains(Groups(), g) {
			unknown = append(unknown, quote(g))
		}
	}
	if unknown != nil {
		return nil, fmt.Errorf("allow-groups names %s; allowed are %s", strings.Join(unknown, ", "), strings.Join(Groups(), ", "))
	}
	return groups, nil
}

// compile builds the tree from rules that are known to be well-formed. Rules of
// groups that are off are in it too, so that a denial can say so.
func compile(file *ruleFile, groups []string, projects *regexp.Regexp, pattern string) (*Policy, error) {
	p := &Policy{
		vendor:   file.Vendor,
		projects: projects,
		headers:  headerSet(file.Headers),
		root:     new(node),
		byName:   make(map[string]*rule, len(file.Rules)),
	}
	var errs []error
	var active []*rule
	for _, r := range file.Rules {
		r.on = slices.Contains(groups, r.Group)
		p.byName[r.Name] = r
		if r.on {
			active = append(active, r)
			if r.Host != "" && !slices.Contains(p.hosts, r.Host) {
				p.hosts = append(p.hosts, r.Host)
			}
		}
		for _, v := range r.variants {
			p.variants = append(p.variants, v)
			errs = append(errs, p.root.add(v))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(active) == 0 {
		return nil, fmt.Errorf("no rule of vendor %s is in the groups that allow-groups switches on (%s); allowed are %s",
			file.Vendor, strings.Join(groups, ", "), strings.Join(Groups(), ", "))
	}
	p.active = len(active)
	slices.Sort(p.hosts)
	p.hash = hashOf(file.Vendor, groups, pattern, p.headers, active)
	return p, nil
}

// hashOf digests what decides about a request, in an order that doesn't depend
// on how the settings were written.
func hashOf(vendor string, groups []string, pattern string, headers map[string]bool, active []*rule) string {
	if pattern == ".*" {
		pattern = ""
	}
	groups = slices.Compact(slices.Sorted(slices.Values(groups)))
	active = slices.Clone(active)
	slices.SortFunc(active, func(a, b *rule) int { return strings.Compare(a.Name, b.Name) })
	b, err := json.Marshal(struct {
		Vendor   string
		Groups   []string
		Projects string
		Headers  map[string]bool
		Rules    []*rule
	}{vendor, groups, pattern, headers, active})
	if err != nil {
		panic("allow: encode the policy: " + err.Error()) // strings, lists and maps of strings always encode
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Vendor returns the vendor whose rules these are.
func (p *Policy) Vendor() string { return p.vendor }

// Rules returns how many rules are active: those in a group that is on.
func (p *Policy) Rules() int { return p.active }

// Hash returns the hex SHA-256 of the active policy: vendor, groups, project
// pattern, headers and rules. Two agents with the same hash decide alike.
func (p *Policy) Hash() string { return p.hash }

// HostPrefixes returns the prefixes that active rules put in front of the base
// endpoint's host, sorted, such as "codeload.". A redirect to such a host leads
// to a place that a rule knows.
func (p *Policy) HostPrefixes() []string { return slices.Clone(p.hosts) }

// Decision is the verdict on one request and what the caller, the log and the
// forwarder need to know about it. When a rule was found, Rule, Group, Purpose
// and Project are set on a denial as well.
type Decision struct {
	Allowed bool

	Rule    string // the rule's name, such as "gitlab.project.get"; "" when none was found
	Group   string // the rule's group
	Purpose string // a sentence that says what the call is for
	Project string // decoded and whole: "group/sub/repo", "owner/repo", "KEY/slug"; "" when the call has none

	Reason  Reason // why it is denied; "" when it's allowed
	Detail  string // a denial's sentence for caller and log: printable ASCII, bounded, never a query or field value
	Nearest string // for a denial, the name of the nearest rule; "" if none is near

	// Path is the escaped path to send, below the base endpoint and beginning
	// with "/"; RawQuery the query to send. Both are rebuilt from what was
	// checked, so that they are all that may be sent.
	Path     string
	RawQuery string

	// HostPrefix goes in front of the base endpoint's host, such as
	// "codeload."; "" is the base endpoint's host itself.
	HostPrefix string

	// ContentType, when not "", is the Content-Type to send in place of the
	// caller's. For a body that streams past it keeps the VCS from reading
	// parameters out of it.
	ContentType string

	// InspectBody says that the body (at most MaxBodyBytes) must be read and
	// given to CheckBody before anything is forwarded. It is set for GET and
	// HEAD too: some servers read parameters from their bodies, so those must be
	// empty. It is not set where a rule streams the body, as git's does.
	InspectBody bool
}

// Check decides on one request from its method and its target, as they came:
// the target in origin form, nothing decoded. A rule for GET also allows HEAD.
// It never reads anything else, so the same input always gets the same answer.
func (p *Policy) Check(method, target string) Decision {
	var segBuf [24]segment
	var pairBuf [16]pair
	segs, pairs, f := parseTarget(target, segBuf[:0], pairBuf[:0])
	if f.reason != "" {
		return Decision{Reason: f.reason, Detail: f.detail}
	}
	m := matcher{segs: segs, method: method}
	if !m.match(p.root, 0) {
		return p.noMatch(&m)
	}
	r := m.found.rule
	d := Decision{
		Rule:    r.Name,
		Group:   r.Group,
		Purpose: r.Purpose,
		Project: m.project(),
	}
	if !r.on {
		return d.deny(GroupOff, fmt.Sprintf("the rule %s is in the group %s, which is switched off", r.Name, r.Group))
	}
	rawQuery, f := p.checkQuery(r, pairs)
	if f.reason == "" {
		f = p.checkProjects(r, d.Project, &m)
	}
	if f.reason != "" {
		return d.deny(f.reason, f.detail)
	}
	d.Allowed = true
	d.Path = m.path()
	d.RawQuery = rawQuery
	d.HostPrefix = r.Host
	d.ContentType = r.ContentType
	d.InspectBody = r.Body != bodyStream
	return d
}

// deny turns a decision into a denial. Nothing that could be forwarded stays in it.
func (d Decision) deny(reason Reason, detail string) Decision {
	return Decision{
		Rule: d.Rule, Group: d.Group, Purpose: d.Purpose, Project: d.Project,
		Reason: reason, Detail: detail, Nearest: d.Rule,
	}
}

// fault is what is wrong with a part of a request; the zero value is nothing.
type fault struct {
	reason Reason
	detail string
}

// CheckBody decides on the body of a request whose Decision has InspectBody and
// returns that decision, or the denial, and the body to send: the caller's, or
// one rebuilt from what was checked. header is the request's. The body is
// denied when it could be read in two ways, or names a field that the rule
// doesn't have. An empty body is fine wherever the rule doesn't live by it.
func (p *Policy) CheckBody(d Decision, header http.Header, body []byte) (Decision, []byte) {
	r := p.byName[d.Rule]
	if !d.Allowed || r == nil {
		if d.Reason == "" {
			d = d.deny(NoRule, "no rule was found for this request")
		}
		return d, nil
	}
	checked, contentType, f := p.checkBody(r, header, body)
	if f.reason != "" {
		return d.deny(f.reason, f.detail), nil
	}
	if contentType != "" {
		d.ContentType = contentType
	}
	return d, checked
}
