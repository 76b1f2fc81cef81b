package allow_test

import (
	"net/http"
	"strings"
	"testing"

	"vcsagent/allow"
)

// rulesOf parses a customer's rules that are well-formed.
func rulesOf(t testing.TB, text string) *allow.Rules {
	t.Helper()
	r, err := allow.ParseRules("rules.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const customerRules = `# what acme adds
groups:
  git: true
  comment: false
allow:
  - name: acme.tags.list
    purpose: List a project's tags.
    group: read
    methods: [GET]
    path: /api/v4/projects/{project}/repository/tags
    query: [search]
  - name: acme.file.get
    purpose: Read a file below docs.
    methods: [GET]
    path: /api/v4/projects/{project}/repository/files/{path}/raw
    query: [ref]
    projects: acme/docs
  - name: acme.issue.create
    purpose: File an issue about drift.
    group: status
    methods: [POST]
    path: /api/v4/projects/{project}/issues
    fields: [title, description]
block:
  - name: no-branches
    methods: [get]
    path: /api/v4/projects/*/repository/branches/**
  - name: no-secret-project
    path: /**/acme/secret/**
  - name: no-secret-project-itself
    path: /**/acme/secret
projects:
  gitlab.deployment.create: acme/prod-.*
redirects: [Objects.example.com, "cdn.example.com:8443"]
`

func TestCustomerRules(t *testing.T) {
	p := policy(t, allow.Options{Vendor: "gitlab", Rules: rulesOf(t, customerRules)})
	const P = "/api/v4/projects/acme%2Finfra"
	for _, row := range []struct {
		rule string
		allowed
		near []denied
	}{
		{"acme.tags.list", allowed{"GET " + P + "/repository/tags?search=v", "", "acme/infra"}, []denied{
			{"POST " + P + "/repository/tags", allow.MethodNotAllowed},
			{"GET " + P + "/repository/tags?order_by=name", allow.QueryNotAllowed},
			{"GET " + P + "/repository/tags?sudo=root", allow.QueryNotAllowed},
			{"GET " + P + "/repository/tags/v1", allow.NoRule},
		}},
		{"acme.file.get", allowed{"GET /api/v4/projects/acme%2Fdocs/repository/files/a%2Fb.md/raw?ref=main", "", "acme/docs"}, []denied{
			{"GET " + P + "/repository/files/a%2Fb.md/raw", allow.ProjectNotAllowed},
			{"GET /api/v4/projects/evil-acme%2Fdocs/repository/files/a/raw", allow.ProjectNotAllowed},
			{"GET /api/v4/projects/acme%2Fdocs/repository/files/a%2F..%2Fb/raw", allow.AmbiguousPath},
		}},
		// The vendor's own rule for one file is the more special and stays the one that counts.
		{"gitlab.config.get", allowed{"GET " + P + "/repository/files/.spacelift%2Fconfig.yml/raw", "", "acme/infra"}, nil},
		{"acme.issue.create", allowed{"POST " + P + "/issues", "", "acme/infra"}, []denied{{"PUT " + P + "/issues", allow.MethodNotAllowed}}},
		{"gitlab.git.refs", allowed{"GET /acme/infra.git/info/refs?service=git-upload-pack", "", "acme/infra"}, []denied{
			{"GET /acme/infra.git/info/refs?service=git-receive-pack", allow.PushNotAllowed},
		}},
		{"gitlab.branches.list", allowed{"GET " + P + "/repository/commits/abc", "", "acme/infra"}, []denied{
			{"GET " + P + "/repository/branches", allow.Blocked},
			{"HEAD " + P + "/repository/branches", allow.Blocked},
			{"GET " + P + "/repository/branches/main", allow.Blocked},
			{"GET " + P + "/Repository/BRANCHES/main", allow.Blocked},
			{"POST " + P + "/repository/branches", allow.MethodNotAllowed},
		}},
		{"gitlab.project.get", allowed{"GET /api/v4/projects/acme%2Fsecrets", "", "acme/secrets"}, []denied{
			{"GET /api/v4/projects/acme%2Fsecret", allow.Blocked},
			{"GET /api/v4/projects/ACME%2fSecret/merge_requests", allow.Blocked},
			{"GET /acme/secret/x.git/info/refs?service=git-upload-pack", allow.Blocked},
			{"GET /api/v4/projects/acme%2F.%2Fsecret", allow.AmbiguousPath},
		}},
		{"gitlab.deployment.create", allowed{"POST /api/v4/projects/acme%2Fprod-eu/deployments", "", "acme/prod-eu"}, []denied{
			{"POST " + P + "/deployments", allow.ProjectNotAllowed},
			{"POST /api/v4/projects/42/deployments", allow.ProjectUnknown},
		}},
		{"gitlab.note.create", allowed{"GET " + P + "/merge_requests/5", "", "acme/infra"}, []denied{
			{"POST " + P + "/merge_requests/5/notes", allow.GroupOff},
		}},
	} {
		if row.rule != "gitlab.branches.list" && row.rule != "gitlab.note.create" {
			checkAllowed(t, p, row.rule, row.allowed)
		} else {
			checkAllowedOnly(t, p, row.request)
		}
		for _, d := range row.near {
			checkDenied(t, p, d)
		}
	}
	if got := strings.Join(p.RedirectHosts(), " "); got != "objects.example.com cdn.example.com:8443" {
		t.Errorf("redirect hosts %s", got)
	}
	if got := strings.Join(p.Groups(), " "); got != "read archive status app git" {
		t.Errorf("groups %s", got)
	}
	d := p.Check("GET", P+"/repository/branches/main")
	if d.Nearest != "no-branches" || !strings.Contains(d.Detail, "no-branches") || d.Rule != "" {
		t.Errorf("a blocked request: %+v", d)
	}
}

// TestBlockedProjects: a block for projects holds whatever way a project is named.
func TestBlockedProjects(t *testing.T) {
	rules := rulesOf(t, "groups: {git: true, graphql: true}\nblock:\n  - {name: no-secret, projects: acme/secret.*}\n  - {name: no-deploys, methods: [POST], path: /**/deployments, projects: acme/prod}")
	p := policy(t, allow.Options{Vendor: "gitlab", Rules: rules})
	known := map[string]string{"1": "acme/secret", "2": "acme/infra", "3": "Acme/Secret-2", "4": "acme/prod"}
	for target, want := range map[string]allow.Reason{
		"/api/v4/projects/acme%2Finfra":                                                  "",
		"/api/v4/projects/acme%2Fsecret":                                                 allow.Blocked,
		"/api/v4/projects/ACME%2Fsecret/merge_requests/5":                                allow.Blocked,
		"/api/v4/projects/evil-acme%2Fsecret":                                            "",
		"/acme/secret.git/info/refs?service=git-upload-pack":                             allow.Blocked,
		"/acme/secret.wiki.git/info/refs?service=git-upload-pack":                        allow.Blocked,
		"/acme/infra.wiki.git/info/refs?service=git-upload-pack":                         "",
		"/api/v4/projects/1":                                                             allow.Blocked,
		"/api/v4/projects/2":                                                             "",
		"/api/v4/projects/3":                                                             allow.Blocked,
		"/api/v4/projects/5":                                                             allow.ProjectUnknown,
		"/api/v4/projects/acme%2Finfra/repository/compare?from=a&to=b&from_project_id=1": allow.Blocked,
		"/api/v4/projects/acme%2Finfra/repository/compare?from=a&to=b&from_project_id=2": "",
		"/api/v4/projects/acme%2Fprod":                                                   "",
		"/api/v4/user":                                                                   "",
	} {
		if d := p.CheckKnowing("GET", target, known); d.Reason != want || d.Allowed != (want == "") {
			t.Errorf("%s: %s (%s), want %q", target, d.Reason, d.Detail, want)
		}
	}
	if d := p.Check("GET", "/api/v4/projects/1"); d.Reason != allow.ProjectUnknown || len(d.Lookup) != 1 {
		t.Errorf("a number that isn't known: %+v", d)
	}
	checkDenied(t, p, denied{"POST /api/v4/projects/acme%2Fprod/deployments", allow.Blocked})
	checkAllowedOnly(t, p, "POST /api/v4/projects/acme%2Finfra/deployments")
	github := policy(t, allow.Options{Vendor: "github_enterprise", Rules: rules})
	checkDenied(t, github, denied{"POST /api/graphql", allow.ProjectUnknown})
	checkDenied(t, github, denied{"GET /repos/acme/infra/compare/main...other:main", allow.ProjectUnknown})
	checkDenied(t, github, denied{"GET /repos/acme/infra/compare/main...acme:secret2:main", allow.Blocked})
	observing := policy(t, allow.Options{Vendor: "gitlab", Rules: rules, Observe: true})
	checkDenied(t, observing, denied{"GET /api/v4/projects/1/hooks", allow.ProjectUnknown})
}

// TestBlocksTakeEverySpelling: a block of one path of a rule holds for all paths
// that the rule has for the same call.
func TestBlocksTakeEverySpelling(t *testing.T) {
	for _, c := range []struct{ vendor, block, blocked, allowed string }{
		{"bitbucket_datacenter", "/rest/api/latest/projects/*/repos/*/archive", "GET /rest/api/1.0/projects/A/repos/r/archive", "GET /rest/api/1.0/projects/A/repos/r/branches"},
		{"github_enterprise", "/api/v3/repos/acme/secret/**", "GET /repos/acme/secret/commits/abc", "GET /repos/acme/infra/commits/abc"},
		{"github_enterprise", "/repos/acme/secret/tarball/**", "GET /api/v3/repos/acme/secret/tarball/a/b", "GET /api/v3/repos/acme/secret/commits/abc"},
		{"github_enterprise", "/codeload/**", "GET /_codeload/a/b/legacy.tar.gz/c/d", "GET /a/b/legacy.tar.gz/c"},
		{"azure_devops", "/*/*/_apis/git/repositories/*/pullrequests", "GET /c/p/_apis/git/repositories/r/pullRequests", "GET /c/p/_apis/git/repositories/r/pullRequests/5"},
		{"gitlab", "/api/v4/projects/acme/secret/repository/archive.zip", "GET /api/v4/projects/acme%2Fsecret/repository/archive.tar.gz", "GET /api/v4/projects/acme%2Finfra/repository/archive.tar.gz"},
	} {
		p := policy(t, allow.Options{Vendor: c.vendor, Rules: rulesOf(t, "block: [{name: b, path: '"+c.block+"'}]")})
		checkDenied(t, p, denied{c.blocked, allow.Blocked})
		checkAllowedOnly(t, p, c.allowed)
	}
	// The same for blocks that are about projects.
	p := policy(t, allow.Options{Vendor: "github_enterprise", Rules: rulesOf(t, "block: [{name: b, path: /api/v3/**, projects: acme/secret}]")})
	checkDenied(t, p, denied{"GET /repos/acme/secret/commits/abc", allow.Blocked})
	checkAllowedOnly(t, p, "GET /repos/acme/infra/commits/abc")
}

func TestCustomerRuleBodies(t *testing.T) {
	p := policy(t, allow.Options{Vendor: "gitlab", Rules: rulesOf(t, customerRules)})
	checkBodies(t, p, "POST /api/v4/projects/acme%2Finfra/issues", []bodyRow{
		{jsonType, `{"title":"drift"}`, "", ""},
		{jsonType, `{"title":"drift","sudo":"root"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"title":"drift","assignee_id":1}`, allow.FieldNotAllowed, ""},
	})
}

func TestListTellsWhereRulesComeFrom(t *testing.T) {
	p := policy(t, allow.Options{Vendor: "gitlab", Rules: rulesOf(t, customerRules)})
	found := make(map[string]allow.RuleInfo)
	for _, r := range p.List() {
		found[r.Name] = r
	}
	own := found["acme.file.get"]
	if own.Source != "rules.yaml, line 12" || own.Projects != "acme/docs" || !own.On || own.Group != "custom" {
		t.Errorf("a customer's rule: %+v", own)
	}
	if r := found["gitlab.note.create"]; r.On || r.Source != "" || r.Group != "comment" {
		t.Errorf("a rule that is off: %+v", r)
	}
	if r := found["gitlab.git.refs"]; !r.On || len(r.Query) != 1 || r.Query[0] != "service=git-upload-pack" {
		t.Errorf("a rule with a fixed query: %+v", r)
	}
	if b := p.Blocks(); len(b) != 3 || b[0].Source != "rules.yaml, line 25" || b[0].Methods[0] != "GET" {
		t.Errorf("blocks: %+v", b)
	}
}

// TestCustomerRulesAreChecked holds one mistake a row; each sentence names file,
// line and rule.
func TestCustomerRulesAreChecked(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"groups: {gitt: true}", `rules.yaml, line 1: groups has the key "gitt"; allowed are read, archive, status, comment, app, git, graphql`},
		{"groups: {git: 'yes'}", `rules.yaml, line 1: groups has "yes" for git; allowed are true, false`},
		{"groups: {git: true, git: false}", `has the key "git" twice`},
		{"groups: [git]", "groups must be a mapping"},
		{"allows: []", `the rules has the key "allows"; allowed are groups, allow, block, projects, redirects`},
		{"allow: {}", "allow must be a list"},
		{"- a", `rules.yaml, line 1: the rules must be a mapping`},
		{"a: b: c", "rules.yaml: it is not YAML near"},
		{"groups: {}\n---\nx: 1", "rules.yaml, line 2: it must hold one YAML document"},
		{"\nallow:\n  - {name: a b, purpose: P., methods: [GET], path: /x}", `rules.yaml, line 3: rule "a b": name must be`},
		{"allow:\n  - {purpose: P., methods: [GET], path: /x}", `line 2: rule "": name must be`},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: /x, querry: [q]}", `rules.yaml, line 2: rule "a" has the key "querry"; allowed are name, purpose,`},
		{"allow:\n  - {name: a, purpose: P., methods: GET, path: /x}", `rules.yaml, line 2: rule "a": line 2 has "GET" where a list, such as [GET] belongs`},
		{"groups: {}\nallow:\n  - name: a\n    methods: [GET]\n   path: /x", "rules.yaml: it is not YAML near line"},
		{"# nothing", "rules.yaml: there are no rules in it; a file that adds none holds {}"},
		{"~", "rules.yaml, line 1: there are no rules in it"},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: /x, paged: 7}", `where true or false belongs`},
		{"allow:\n  - {name: a, methods: [GET], path: /x}", `rules.yaml, line 2: rule "a": purpose is empty`},
		{"allow:\n  - {name: a, purpose: P., group: reed, methods: [GET], path: /x}", `rule "a": group is "reed"`},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: x}", `rule "a": path is "x"; it must begin with a slash`},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: '/x/{y}'}", `rule "a": path is "/x/{y}": parameter "{y}" has no known type`},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: /x}\n  - {name: a, purpose: P., methods: [GET], path: /y}", `rules.yaml, line 3: rule "a": the name is used twice`},
		{"allow:\n  - {name: gitlab.user.get, purpose: P., methods: [GET], path: /y}", `line 2: rule "gitlab.user.get": the vendor gitlab has a rule of that name`},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: /api/v4/user}", `line 2: rules "gitlab.user.get" and "a" both have GET /api/v4/user`},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: /x, query: [sudo]}", `query key "sudo" is never allowed`},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: /x, query: [token]}", `query key "token" is never allowed`},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: /x, query: [token], token_query: true}", `has the key "token_query"`},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: /x, projects: 'a/('}", `rule "a": projects is "a/("`},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: /x, projects: a/b}", `no part of the path is a project`},
		{"allow:\n  - {name: a, purpose: P., methods: [POST], path: /x, body: stream, content_type: application/json}", "from which a VCS may read parameters"},
		{"allow:\n  - {name: a, purpose: P., methods: [POST], path: /x, content_type: text/plain}", "only for a body that streams"},
		{"allow:\n  - {name: a, purpose: P., methods: [POST], path: '/{group...}/{repo}.git/git-receive-pack', body: stream, content_type: application/x-git}", "would allow git pushes"},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: '/{group...}/{repo}.git/info/refs', fixed: {service: git-receive-pack}}", "would allow git pushes"},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: '/x/{project}', projects: ''}", "projects is empty"},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: '/x/{path...}/y/{path...}/z/{path...}'}", "more than 2 of its parameters span segments"},
		{"block:\n  - {name: b, path: /x, projects: ''}", "projects is empty"},
		{"block:\n  - {name: b, path: x}", `rules.yaml, line 2: block "b": path is "x"`},
		{"block:\n  - {name: b, path: /x%2Fy}", `which has a character of`},
		{"block:\n  - {name: b, path: /x/a**}", `has ** beside other characters`},
		{"block:\n  - {name: b, methods: [FETCH], path: /x}", `method "FETCH" is not one of HEAD, GET,`},
		{"block:\n  - {name: b, projects: 'a('}", `block "b": projects is`},
		{"block:\n  - {name: b}", `block "b": it has neither a path nor projects`},
		{"block:\n  - {path: /x}", `block "": name must be`},
		{"projects: {gitlab.user.gett: a/b}", `rules.yaml, line 1: projects names the rule "gitlab.user.gett", which vendor gitlab doesn't have`},
		{"projects: {gitlab.project.get: 'a('}", `line 1: rule "gitlab.project.get": projects is "a("`},
		{"projects: {gitlab.project.get: }", "must be a regular expression"},
		{"projects: {gitlab.user.get: a/b}", `no part of its path is a project`},
		{"allow:\n  - {name: a, purpose: P., methods: [GET], path: '/x/{project}', projects: a/b}\nprojects: {a: c/d}", `rule "a" has projects of its own already`},
		{"redirects: ['https://x.example/']", `rules.yaml, line 1: redirects has "https://x.example/"; allowed is a host`},
		{"redirects: ['*.example.com']", `redirects has "*.example.com"`},
		{"redirects: ['x.example:0']", `redirects has "x.example:0"`},
		{"redirects: ['u@x.example']", `redirects has "u@x.example"`},
		{"redirects: ['x.example:']", `redirects has "x.example:"`},
	} {
		r, err := allow.ParseRules("rules.yaml", []byte(c.text))
		if err == nil {
			_, err = allow.New(allow.Options{Vendor: "gitlab", Rules: r})
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n  error %v\n  want  %s", c.text, err, c.want)
		}
	}
}

// TestCustomerRulesTellEveryProblem: those of all parts of the file at once.
func TestCustomerRulesTellEveryProblem(t *testing.T) {
	_, err := allow.ParseRules("r.yaml", []byte("groups: {gitt: true}\nallow: [{name: A}]\nblock: [{name: b, path: x}]\nredirects: [a/b]\n"))
	for _, want := range []string{"r.yaml, line 1", "r.yaml, line 2", "r.yaml, line 3", "r.yaml, line 4"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
}

func TestCustomerRulesOfOneFileServeSeveralVendors(t *testing.T) {
	r := rulesOf(t, "allow:\n  - {name: a, purpose: P., methods: [GET], path: /x, paged: true}\n")
	for _, vendor := range allow.Vendors() {
		p := policy(t, allow.Options{Vendor: vendor, Rules: r})
		checkAllowedOnly(t, p, "GET /x")
		if again := policy(t, allow.Options{Vendor: vendor, Rules: r}); again.Hash() != p.Hash() {
			t.Errorf("%s: two hashes for the same rules", vendor)
		}
	}
	gitlab := policy(t, allow.Options{Vendor: "gitlab", Rules: r})
	if d := gitlab.Check("GET", "/x?id_after=1"); !d.Allowed {
		t.Errorf("GitLab's paging: %+v", d)
	}
	if d := policy(t, allow.Options{Vendor: "github_enterprise", Rules: r}).Check("GET", "/x?id_after=1"); d.Allowed {
		t.Errorf("GitLab's paging on GitHub: %+v", d)
	}
}

func TestHashHoldsCustomerRules(t *testing.T) {
	hash := func(rules string, o allow.Options) string {
		o.Vendor, o.Rules = "gitlab", rulesOf(t, rules)
		return policy(t, o).Hash()
	}
	base := hash("{}", allow.Options{})
	if base != policy(t, allow.Options{Vendor: "gitlab"}).Hash() {
		t.Error("empty rules change the hash")
	}
	seen := map[string]string{base: "nothing"}
	for name, h := range map[string]string{
		"groups":     hash("groups: {git: true}", allow.Options{}),
		"allow":      hash("allow: [{name: a, purpose: P., methods: [GET], path: /x}]", allow.Options{}),
		"block":      hash("block: [{name: a, path: /x}]", allow.Options{}),
		"projects":   hash("projects: {gitlab.project.get: a/b}", allow.Options{}),
		"redirects":  hash("redirects: [a.example]", allow.Options{}),
		"observe":    hash("{}", allow.Options{Observe: true}),
		"credential": hash("{}", allow.Options{Credential: true}),
	} {
		if other, ok := seen[h]; ok {
			t.Errorf("%s and %s have the same hash", name, other)
		}
		seen[h] = name
	}
}

func TestCredential(t *testing.T) {
	in := http.Header{"Authorization": {"Bearer x"}, "Private-Token": {"y"}, "Accept": {"*/*"}}
	with := policy(t, allow.Options{Vendor: "gitlab", Credential: true})
	if out := with.Header(in); len(out) != 1 || out.Get("Accept") == "" {
		t.Errorf("with the agent's credential %v passes", out)
	}
	if out := policy(t, allow.Options{Vendor: "gitlab"}).Header(in); len(out) != 3 {
		t.Errorf("without it only %v passes", out)
	}
	github := policy(t, allow.Options{Vendor: "github_enterprise", Groups: allow.Groups(), Credential: true})
	checkDenied(t, github, denied{"POST /api/v3/app/installations/5/access_tokens", allow.GroupOff})
	checkAllowedOnly(t, github, "GET /api/v3/repos/acme/infra/commits/abc")
	_, err := allow.New(allow.Options{Vendor: "github_enterprise", Credential: true, Rules: rulesOf(t, "groups: {app: true}")})
	if err == nil || !strings.Contains(err.Error(), "the group app is switched on, but") {
		t.Errorf("app switched on beside a credential: %v", err)
	}
}
