package allow_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"vcsagent/allow"
)

// everything switches all groups on.
func everything(t testing.TB, vendor, projects string) *allow.Policy {
	t.Helper()
	return policy(t, allow.Options{Vendor: vendor, Groups: allow.Groups(), Projects: projects})
}

func policy(t testing.TB, o allow.Options) *allow.Policy {
	t.Helper()
	p, err := allow.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ruleRows are what one rule lets through, beside what is near and isn't.
type ruleRows struct {
	rule  string
	allow []allowed
	deny  []denied
}

type allowed struct {
	request string // method and target
	sent    string // path and query to send; "" is the request's own
	project string
}

type denied struct {
	request string
	reason  allow.Reason
}

// testRules runs the rows and makes sure that no rule of the vendor is without
// two rows of each kind.
func testRules(t *testing.T, vendor string, rows []ruleRows) {
	p := everything(t, vendor, "")
	covered := make(map[string]bool)
	for _, row := range rows {
		covered[row.rule] = len(row.allow) >= 2 && len(row.deny) >= 2
		t.Run(row.rule, func(t *testing.T) {
			for _, a := range row.allow {
				checkAllowed(t, p, row.rule, a)
			}
			for _, d := range row.deny {
				checkDenied(t, p, d)
			}
		})
	}
	for _, name := range ruleNames(t, vendor) {
		if !covered[name] {
			t.Errorf("rule %s lacks two allowed and two denied rows", name)
		}
	}
}

func checkAllowed(t *testing.T, p *allow.Policy, rule string, a allowed) {
	t.Helper()
	method, target, _ := strings.Cut(a.request, " ")
	d := p.Check(method, target)
	if !d.Allowed {
		t.Errorf("%s: denied: %s: %s", a.request, d.Reason, d.Detail)
		return
	}
	want := a.sent
	if want == "" {
		want = target
	}
	if got := sent(d); got != want {
		t.Errorf("%s: sends %s, want %s", a.request, got, want)
	}
	if d.Rule != rule || d.Project != a.project || d.Purpose == "" || d.Group == "" || d.Reason != "" || d.Detail != "" {
		t.Errorf("%s: decision %+v, want rule %s, project %q", a.request, d, rule, a.project)
	}
}

func checkDenied(t *testing.T, p *allow.Policy, want denied) {
	t.Helper()
	method, target, _ := strings.Cut(want.request, " ")
	d := p.Check(method, target)
	if d.Allowed || d.Reason != want.reason {
		t.Errorf("%s: allowed=%t %s (%s), want %s", want.request, d.Allowed, d.Reason, d.Detail, want.reason)
	}
	if d.Path != "" || d.RawQuery != "" || d.HostPrefix != "" {
		t.Errorf("%s: a denial holds something to send: %+v", want.request, d)
	}
	if d.Detail == "" || len(d.Detail) > 400 || strings.IndexFunc(d.Detail, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		t.Errorf("%s: detail %q is empty, long or not printable ASCII", want.request, d.Detail)
	}
}

func sent(d allow.Decision) string {
	if d.RawQuery != "" {
		return d.Path + "?" + d.RawQuery
	}
	return d.Path
}

func ruleNames(t *testing.T, vendor string) []string {
	t.Helper()
	data, err := os.ReadFile("rules/" + vendor + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Rules []struct{ Name string } }
	if err := yaml.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range file.Rules {
		names = append(names, r.Name)
	}
	if len(names) == 0 {
		t.Fatalf("no rules found for %s", vendor)
	}
	return names
}

func TestNewNamesEveryProblem(t *testing.T) {
	_, err := allow.New(allow.Options{Vendor: "gitlabb", Groups: []string{"read", "writ", "all"}, Projects: "acme/("})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`vendor is "gitlabb"; allowed are azure_devops, bitbucket_datacenter, gitea, github_enterprise, gitlab`,
		`allow-groups names "writ", "all"; allowed are read, archive, status, comment, app, git, graphql`,
		`allowed-projects is "acme/("`, "missing closing )",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]allow.Options{
		"no vendor":                 {},
		"no group":                  {Vendor: "gitlab", Groups: []string{}},
		"no rule in the groups":     {Vendor: "gitlab", Groups: []string{"graphql", "app"}},
		"pattern leaves its anchor": {Vendor: "gitlab", Projects: `a)|(?:b`},
		"pattern quotes its anchor": {Vendor: "gitlab", Projects: `acme/\Qx`},
		"a vendor's path":           {Vendor: "../rules/gitlab"},
	} {
		if p, err := allow.New(o); err == nil {
			t.Errorf("%s: got a policy with %d rules", name, p.Rules())
		}
	}
}

func TestGroups(t *testing.T) {
	if got, want := allow.Vendors(), []string{"azure_devops", "bitbucket_datacenter", "gitea", "github_enterprise", "gitlab"}; !slices.Equal(got, want) {
		t.Errorf("vendors %v, want %v", got, want)
	}
	const clone = "/group/repo.git/info/refs?service=git-upload-pack"
	off := policy(t, allow.Options{Vendor: "gitlab"})
	d := off.Check("GET", clone)
	if d.Allowed || d.Reason != allow.GroupOff || d.Nearest != "gitlab.git.refs" || d.Group != "git" {
		t.Errorf("clone with git off: %+v", d)
	}
	on := policy(t, allow.Options{Vendor: "gitlab", Groups: append(slices.Clone(allow.DefaultGroups), "git")})
	if d := on.Check("GET", clone); !d.Allowed {
		t.Errorf("clone with git on: %+v", d)
	}
	if on.Rules() != off.Rules()+2 {
		t.Errorf("%d rules with git, %d without", on.Rules(), off.Rules())
	}
	read := policy(t, allow.Options{Vendor: "github_enterprise", Groups: []string{"read"}})
	if got := read.HostPrefixes(); len(got) != 0 {
		t.Errorf("host prefixes %v of read alone", got)
	}
	if got := everything(t, "github_enterprise", "").HostPrefixes(); !slices.Equal(got, []string{"codeload."}) {
		t.Errorf("host prefixes %v", got)
	}
}

func TestHash(t *testing.T) {
	hash := func(o allow.Options) string { return policy(t, o).Hash() }
	base := hash(allow.Options{Vendor: "gitlab"})
	if len(base) != 64 {
		t.Errorf("hash %q is not a hex SHA-256", base)
	}
	for name, o := range map[string]allow.Options{
		"groups spelt out":      {Vendor: "gitlab", Groups: allow.DefaultGroups},
		"groups in other order": {Vendor: "gitlab", Groups: []string{"app", "comment", "status", "archive", "read", "read"}},
		"no restriction":        {Vendor: "gitlab", Projects: ".*"},
	} {
		if hash(o) != base {
			t.Errorf("%s: another hash for the same policy", name)
		}
	}
	for name, o := range map[string]allow.Options{
		"vendor":   {Vendor: "github_enterprise"},
		"groups":   {Vendor: "gitlab", Groups: []string{"read"}},
		"projects": {Vendor: "gitlab", Projects: "a/b"},
	} {
		if hash(o) == base {
			t.Errorf("%s: the same hash for another policy", name)
		}
	}
}

func TestMethods(t *testing.T) {
	p := everything(t, "gitlab", "")
	for method, want := range map[string]allow.Reason{
		"GET": "", "HEAD": "",
		"get": allow.MethodNotAllowed, "POST": allow.MethodNotAllowed, "DELETE": allow.MethodNotAllowed,
		"OPTIONS": allow.MethodNotAllowed, "CONNECT": allow.MethodNotAllowed, "": allow.MethodNotAllowed,
	} {
		d := p.Check(method, "/api/v4/projects/g%2Fr")
		if d.Reason != want {
			t.Errorf("%q: %s, want %q", method, d.Reason, want)
		}
		if want != "" && d.Nearest != "gitlab.project.get" {
			t.Errorf("%q: nearest %q", method, d.Nearest)
		}
	}
	if d := p.Check("HEAD", "/api/v4/projects/g%2Fr/statuses/abc"); d.Reason != allow.MethodNotAllowed {
		t.Errorf("HEAD passes where only POST does: %+v", d)
	}
}

func TestNearest(t *testing.T) {
	p := everything(t, "gitlab", "")
	for _, c := range []struct{ request, nearest, detail string }{
		{"GET /api/v4/projects/g%2Fr/hooks", "gitlab.merge_requests.list", `has "merge_requests" where the request has "hooks"`},
		{"GET /api/v4/projects/g%2Fr/repository/commits/abc/comments", "gitlab.commit.merge_requests", `has "merge_requests" where the request has "comments"`},
		{"GET /api/v4/projects/g%2Fr/merge_requests/one", "gitlab.merge_request.get", `has "{iid:int}" where the request has "one"`},
		{"GET /entirely/elsewhere", "", "no rule allows this path"},
		{"GET /", "", "no rule allows this path"},
	} {
		method, target, _ := strings.Cut(c.request, " ")
		d := p.Check(method, target)
		if d.Reason != allow.NoRule || d.Nearest != c.nearest || !strings.Contains(d.Detail, c.detail) {
			t.Errorf("%s: %s, nearest %q, %s", c.request, d.Reason, d.Nearest, d.Detail)
		}
	}
}

func TestDetailsHoldNoValues(t *testing.T) {
	p := everything(t, "gitlab", "")
	for _, target := range []string{
		"/api/v4/user?private_token=glpat-secret",
		"/api/v4/user?glpat-secret",
		"/api/v4/projects?search=%ZZglpat-secret",
		"//user:glpat-secret@host/api/v4/user",
		"https://user:glpat-secret@host/api/v4/user",
		"/g/r.git/info/refs?service=glpat-secret",
	} {
		d := p.Check("GET", target)
		if d.Allowed || strings.Contains(d.Detail, "glpat-secret") {
			t.Errorf("%s: allowed=%t %s", target, d.Allowed, d.Detail)
		}
	}
}
