package allow

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
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
	Rules    *Rules   // the customer's own; nil for none

	// Observe lets through reads that no rule allows, and query keys and fields that
	// a rule doesn't have, and says so in [Decision.Observed]. It never lets through what can't be read in one way
	// only, names a dangerous parameter or is blocked, a push, or what belongs to
	// a group that is off; nor anything while allowed or blocked projects are set.
	Observe bool

	// Credential says that the agent adds the VCS's credential itself. Then no
	// credential of the caller's passes, and the group app is off: its answers
	// are credentials.
	Credential bool
}

// Policy is a compiled allowlist. It never changes, so any number of goroutines
// may use it.
type Policy struct {
	vendor    string
	hash      string
	groups    []string
	active    int
	projects  *regexp.Regexp // nil: every project
	headers   map[string]bool
	gitUser   string
	lookup    *lookup // nil: the vendor has none
	hosts     []string
	redirects []string
	root      *node
	rules     []*rule
	blocks    []*block
	byName    map[string]*rule
	variants  []*variant // every expanded template, for finding a denial's nearest rule
	observe   *observer  // nil: what no rule allows is denied
}

// New compiles the embedded rules of a vendor. Its error joins every problem
// that the options have; each is a sentence that names the setting, its value
// and what is allowed.
func New(o Options) (*Policy, error) {
	var errs []error
	groups, err := checkGroups(o.Groups)
	errs = append(errs, err)
	projects, err := compileProjects("allowed-projects", o.Projects)
	errs = append(errs, err)
	file, err := loadVendor(o.Vendor)
	errs = append(errs, err)
	if o.Rules != nil {
		groups = o.Rules.switched(groups)
		if file != nil {
			errs = append(errs, o.Rules.addTo(file))
		}
		if o.Credential && o.Rules.groups["app"] {
			errs = append(errs, fmt.Errorf("%s: the group app is switched on, but the agent adds the VCS's credential itself, and the answers of that group are credentials", o.Rules.file))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if o.Credential {
		groups = slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return g == "app" })
	}
	return compile(file, groups, projects, o)
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
func compile(file *ruleFile, groups []string, projects *regexp.Regexp, o Options) (*Policy, error) {
	p := &Policy{
		vendor:   file.Vendor,
		projects: projects,
		headers:  headerSet(file.Headers),
		gitUser:  file.GitUser,
		lookup:   file.Lookup,
		root:     new(node),
		rules:    file.Rules,
		byName:   make(map[string]*rule, len(file.Rules)),
	}
	for _, name := range append([]string{"Authorization"}, file.Credentials...) { // as CredentialHeaders
		p.headers[textproto.CanonicalMIMEHeaderKey(name)] = !o.Credential
	}
	if o.Rules != nil {
		p.blocks, p.redirects = o.Rules.block, o.Rules.redirects
	}
	for _, g := range Groups() {
		if slices.Contains(groups, g) {
			p.groups = append(p.groups, g)
		}
	}
	var errs []error
	for _, r := range file.Rules {
		r.on = r.Group == groupCustom || slices.Contains(groups, r.Group)
		p.byName[r.Name] = r
		if r.on {
			p.active++
			if r.Host != "" && !slices.Contains(p.hosts, r.Host) {
				p.hosts = append(p.hosts, r.Host)
			}
		}
		for _, v := range r.variants {
			p.variants = append(p.variants, v)
			if err := p.root.add(v); err != nil && r.place != "" {
				err = fmt.Errorf("%s: %w", r.place, err)
				errs = append(errs, err)
			} else {
				errs = append(errs, err)
			}
		}
	}
	if o.Observe {
		var err error
		p.observe, err = newObserver(file, p)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if p.active == 0 {
		return nil, fmt.Errorf("no rule of vendor %s is in the groups that allow-groups switches on (%s); allowed are %s",
			file.Vendor, strings.Join(groups, ", "), strings.Join(Groups(), ", "))
	}
	slices.Sort(p.hosts)
	p.hash = p.hashOf(o)
	return p, nil
}

// hashOf digests what decides about a request, in an order that doesn't depend
// on how the settings were written.
func (p *Policy) hashOf(o Options) string {
	pattern := o.Projects
	if pattern == ".*" {
		pattern = ""
	}
	active := slices.DeleteFunc(slices.Clone(p.rules), func(r *rule) bool { return !r.on })
	slices.SortFunc(active, func(a, b *rule) int { return strings.Compare(a.Name, b.Name) })
	blocks := slices.SortedFunc(slices.Values(p.blocks), func(a, b *block) int { return strings.Compare(a.Name, b.Name) })
	b, err := json.Marshal(struct {
		Vendor    string
		Groups    []string
		Projects  string
		Headers   map[string]bool
		Rules     []*rule
		Blocks    []*block
		Redirects []string
		Observe   bool
	}{p.vendor, p.groups, pattern, p.headers, active, blocks, slices.Sorted(slices.Values(p.redirects)), o.Observe})
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
// patterns, headers, rules, blocks, redirects and whether it only observes. Two
// agents with the same hash decide alike.
func (p *Policy) Hash() string { return p.hash }

// Groups returns the groups that are on, in the order of [Groups].
func (p *Policy) Groups() []string { return slices.Clone(p.groups) }

// Observe reports whether what no rule allows is let through.
func (p *Policy) Observe() bool { return p.observe != nil }

// RedirectHosts returns the hosts, lower-case and some with a port, that the
// customer lets the VCS redirect to.
func (p *Policy) RedirectHosts() []string { return slices.Clone(p.redirects) }

// GitUser returns the user name under which the vendor's git servers take a
// token as the password, "" if they take the header that the API takes.
func (p *Policy) GitUser() string { return p.gitUser }

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
	Group   string // the rule's group; "custom" for a customer's rule that names none
	Purpose string // a sentence that says what the call is for
	Project string // decoded and whole: "group/sub/repo", "owner/repo", "KEY/slug"; "" when the call has none

	Reason  Reason // why it is denied; "" when it's allowed
	Detail  string // why it is denied, or would be (see Observed), as a sentence for caller and log: printable ASCII, bounded, no query or field value but a project's name
	Nearest string // for a denial, the name of the nearest rule, or of the block; "" if there is none

	// Lookup lists project numbers. The request is denied for no more than that
	// the paths of these projects aren't known: learn them, see
	// [Policy.LookupPath], and ask again with [Policy.CheckKnowing].
	Lookup []string

	// Observed is why the request would be denied if the policy didn't only
	// observe. Allowed is true then, and Rule may be "".
	Observed Reason

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

	blocks []*block // that depend on the projects that the body names
}

// Check decides on one request from its method and its target, as they came:
// the target in origin form, nothing decoded. A rule for GET also allows HEAD.
// It never reads anything else, so the same input always gets the same answer.
func (p *Policy) Check(method, target string) Decision {
	return p.CheckKnowing(method, target, nil)
}

// CheckKnowing is [Policy.Check] with the paths of projects that requests give
// by their number.
func (p *Policy) CheckKnowing(method, target string, projects map[string]string) Decision {
	var segBuf [24]segment
	var pairBuf [16]pair
	segs, pairs, f := parseTarget(target, segBuf[:0], pairBuf[:0])
	if f.reason != "" {
		return Decision{Reason: f.reason, Detail: f.detail}
	}
	if isPush(method, segs, pairs) {
		return Decision{Reason: PushNotAllowed, Detail: "a git push is never let through"}
	}
	var blocks []*block // that may match once the projects are known
	if len(p.blocks) > 0 {
		var d Decision
		if d, blocks = p.checkBlocks(method, foldPath(segs), nil); d.Reason != "" {
			return d
		}
	}
	m := matcher{segs: segs, method: method}
	if !m.match(p.root, 0) {
		d := p.noMatch(&m)
		if p.observe != nil {
			return p.observe.unmatched(d, p, &m, pairs, blocks != nil)
		}
		return d
	}
	r := m.found.rule
	d := Decision{
		Rule:    r.Name,
		Group:   r.Group,
		Purpose: r.Purpose,
		Project: m.project(),
	}
	if len(p.blocks) > 0 {
		for _, path := range m.spellings() {
			var denial Decision
			if denial, blocks = p.checkBlocks(method, path, blocks); denial.Reason != "" {
				return denial
			}
		}
	}
	if !r.on {
		return d.deny(GroupOff, fmt.Sprintf("the rule %s is in the group %s, which is switched off", r.Name, r.Group))
	}
	projectCheck := p.newProjectCheck(r, projects, blocks)
	rawQuery, observed, f := p.checkQuery(r, pairs, &projectCheck)
	if f.reason == "" {
		f = projectCheck.path(r, d.Project, &m)
	}
	if f.reason != "" {
		d = d.deny(f.reason, f.detail)
		d.Nearest = cmp.Or(projectCheck.blockedBy, d.Nearest)
		return d
	}
	if path, ok := projects[d.Project]; ok {
		d.Project = path
	}
	if missing := projectCheck.missing(); missing != nil {
		d = d.deny(ProjectUnknown, "the project is given by its number, and allowed or blocked projects are set; give its path, or ask with a credential that can see it")
		d.Lookup = missing
		return d
	}
	d.Allowed = true
	d.Observed, d.Detail = observed.reason, observed.detail
	d.blocks = blocks
	d.Path = m.path()
	d.RawQuery = rawQuery
	d.HostPrefix = r.Host
	d.ContentType = r.ContentType
	d.InspectBody = r.Body != bodyStream
	return d
}

// isPush tells a git push, in any letter case: its request, or the one before
// it that asks for the refs to push to.
func isPush(method string, segs []segment, pairs []pair) bool {
	const receive = "git-receive-pack"
	last := segs[len(segs)-1].text
	if len(last) == len(receive) && method != "GET" && method != "HEAD" && strings.EqualFold(last, receive) {
		return true
	}
	for i := range pairs {
		if len(pairs[i].value) == len(receive) && strings.EqualFold(pairs[i].value, receive) && strings.EqualFold(pairs[i].key, "service") {
			return true
		}
	}
	return false
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
	if p.observe != nil && d.Rule == "" && d.Observed != "" {
		r = p.observe.rule
	}
	if !d.Allowed || r == nil {
		if d.Reason == "" {
			d = d.deny(NoRule, "no rule was found for this request")
		}
		return d, nil
	}
	checked, contentType, observed, f := p.checkBody(r, d.blocks, header, body)
	if f.reason != "" {
		return d.deny(f.reason, f.detail), nil
	}
	if d.Observed == "" {
		d.Observed, d.Detail = observed.reason, observed.detail
	}
	if contentType != "" {
		d.ContentType = contentType
	}
	return d, checked
}
