package docs_test

import (
	"cmp"
	"go/ast"
	"go/token"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"vcsagent/allow"
)

// Each request of the page is decided as the page says, on the raw target.
func TestSpellingsAreDocumented(t *testing.T) {
	p := policy(t, allow.Options{Vendor: "gitlab"})
	for _, row := range table(t, "### One form") {
		method, target, _ := strings.Cut(trimCode(row[0]), " ")
		d := p.Check(method, target)
		if got := cmp.Or(string(d.Reason), "allowed"); got != trimCode(row[1]) {
			t.Errorf("%s is %s (%s), the page says %s", row[0], got, d.Detail, row[1])
		}
	}
}

func TestProjectNamesAreDocumented(t *testing.T) {
	vendors := map[string]bool{}
	for _, row := range table(t, "### Projects") {
		vendor, project := trimCode(row[0]), trimCode(row[2])
		vendors[vendor] = true
		method, target, _ := strings.Cut(trimCode(row[1]), " ")
		if d := policy(t, allow.Options{Vendor: vendor, Projects: regexp.QuoteMeta(project)}).Check(method, target); !d.Allowed || d.Project != project {
			t.Errorf("%s on %s names the project %q (%s), the page says %q", row[1], vendor, d.Project, d.Detail, project)
		}
		if d := policy(t, allow.Options{Vendor: vendor, Projects: regexp.QuoteMeta(project[1:])}).Check(method, target); d.Reason != allow.ProjectNotAllowed {
			t.Errorf("%s on %s is not denied (%s) where the pattern matches a part of the project", row[1], vendor, d.Reason)
		}
	}
	if len(vendors) != len(allow.Vendors()) {
		t.Errorf("the page tells how the projects of %d vendors are named, there are %d", len(vendors), len(allow.Vendors()))
	}
}

func TestReasonsAreDocumented(t *testing.T) {
	var documented []string
	for _, row := range table(t, "## Reasons") {
		documented = append(documented, trimCode(row[0]))
	}
	var want []string
	for _, decl := range parseGo(t, "reason.go").Decls {
		if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.CONST {
			want = append(want, literals(g)...)
		}
	}
	sameSet(t, "reasons", documented, want)
}

func TestGroupsAreDocumented(t *testing.T) {
	var names, on []string
	for _, row := range table(t, "## Groups") {
		names = append(names, trimCode(row[0]))
		if row[2] == "on" {
			on = append(on, trimCode(row[0]))
		}
	}
	sameSet(t, "groups", names, allow.Groups())
	sameSet(t, "groups that are on by default", on, allow.DefaultGroups)
}

// The lists of names in the page's text are the code's.
func TestListsAreDocumented(t *testing.T) {
	for _, tt := range []struct{ heading, file, variable string }{
		{"### Query", "query.go", "dangerous"},
		{"### Headers", "header.go", "commonHeaders"},
	} {
		var documented []string
		for line := range strings.Lines(section(t, tt.heading)) {
			if names := regexp.MustCompile("^(`[A-Za-z_-]+` ?)+$").FindString(strings.TrimSpace(line)); names != "" {
				documented = append(documented, strings.Fields(strings.ReplaceAll(names, "`", ""))...)
			}
		}
		var want []string
		for _, element := range listOf(t, tt.file, tt.variable) {
			want = append(want, literals(element)[0])
		}
		sameSet(t, tt.variable, documented, want)
	}
}

// A rule's keys are those that the parser of rules allows.
func TestRuleKeysAreDocumented(t *testing.T) {
	_, err := allow.ParseRules("test.yaml", []byte("allow: [{name: x, none: x}]"))
	if err == nil {
		t.Fatal("a rule with a key that doesn't exist is taken")
	}
	_, allowed, found := strings.Cut(err.Error(), "allowed are ")
	if !found {
		t.Fatalf("the error names no keys: %v", err)
	}
	var documented []string
	for _, row := range table(t, "### A rule's keys") {
		documented = append(documented, trimCode(row[0]))
	}
	sameSet(t, "keys of a rule", documented, strings.Split(allowed, ", "))
}

// Each type takes its example, doesn't take the near-miss beside it, and is a part
// of the project or isn't, as the page says.
func TestTypesAreDocumented(t *testing.T) {
	var documented []string
	for _, row := range table(t, "### Types of path parameters") {
		for name := range strings.SplitSeq(strings.ReplaceAll(row[0], "`", ""), ", ") {
			documented = append(documented, name)
			rule := "allow: [{name: test, purpose: Try a type., methods: [GET], path: '/test/{x:" + name + "}'}]\n"
			p := policy(t, allow.Options{Vendor: "gitlab", Rules: rules(t, rule)})
			if d := p.Check("GET", "/test/"+url.PathEscape(trimCode(row[2]))); !d.Allowed {
				t.Errorf("%s doesn't take %s: %s", name, row[2], d.Detail)
			}
			if d := p.Check("GET", "/test/"+url.PathEscape(trimCode(row[3]))); d.Allowed {
				t.Errorf("%s takes %s", name, row[3])
			}
			_, err := allow.New(allow.Options{Vendor: "gitlab", Rules: rules(t, rule+"projects: {test: x}")})
			if (err == nil) != (row[4] == "part") {
				t.Errorf("%s is %q of the project according to the page; a pattern for it: %v", name, row[4], err)
			}
		}
	}
	var want []string
	ast.Inspect(parseGo(t, "kind.go"), func(n ast.Node) bool {
		if kv, ok := n.(*ast.KeyValueExpr); ok {
			if id, ok := kv.Key.(*ast.Ident); ok && id.Name == "name" {
				want = append(want, literals(kv.Value)...)
			}
		}
		return true
	})
	sameSet(t, "types of path parameters", documented, want)
}

// What the page owns up to, beside the nearest call that is denied.
func TestLimitsAreAsDocumented(t *testing.T) {
	jsonHeader := http.Header{"Content-Type": {"application/json"}}
	for _, tt := range []struct {
		name    string
		o       allow.Options
		call    string
		body    string
		allowed bool
	}{
		{"quick action", allow.Options{Vendor: "gitlab"}, "POST /api/v4/projects/a%2Fb/merge_requests/1/notes", `{"body":"/merge"}`, true},
		{"quick action, group off", allow.Options{Vendor: "gitlab", Groups: []string{"read"}}, "POST /api/v4/projects/a%2Fb/merge_requests/1/notes", `{"body":"/merge"}`, false},
		{"list under a pattern", allow.Options{Vendor: "gitlab", Projects: "acme/.*"}, "GET /api/v4/projects", "", true},
		{"project under a pattern", allow.Options{Vendor: "gitlab", Projects: "acme/.*"}, "GET /api/v4/projects/other%2Finfra", "", false},
		{"diff", allow.Options{Vendor: "gitlab", Groups: []string{"read"}}, "GET /api/v4/projects/a%2Fb/repository/compare?from=1&to=2", "", true},
		{"archive, group off", allow.Options{Vendor: "gitlab", Groups: []string{"read"}}, "GET /api/v4/projects/a%2Fb/repository/archive", "", false},
		{"Azure's items", allow.Options{Vendor: "azure_devops", Groups: []string{"read"}}, "GET /c/p/_apis/git/repositories/r/items?$format=zip", "", true},
		{"Azure's items, blocked", allow.Options{Vendor: "azure_devops", Groups: []string{"read"}, Rules: rules(t, "block: [{name: b, path: /*/*/_apis/git/repositories/*/items}]")},
			"GET /c/p/_apis/git/repositories/r/items", "", false},
		{"auto_merge", allow.Options{Vendor: "github_enterprise"}, "POST /repos/a/b/deployments", `{"ref":"x","auto_merge":true}`, true},
		{"token of an installation", allow.Options{Vendor: "github_enterprise", Projects: "acme/.*"}, "POST /app/installations/1/access_tokens", `{"repository_ids":[1]}`, true},
		{"wiki, GitLab", allow.Options{Vendor: "gitlab", Groups: []string{"git"}, Projects: "acme/.*"}, "POST /acme/infra.wiki.git/git-upload-pack", "", true},
		{"wiki, GitHub", allow.Options{Vendor: "github_enterprise", Groups: []string{"git"}, Projects: "acme/.*"}, "POST /acme/infra.wiki.git/git-upload-pack", "", true},
		{"wiki, Gitea", allow.Options{Vendor: "gitea", Groups: []string{"git"}, Projects: "acme/.*"}, "POST /acme/infra.wiki.git/git-upload-pack", "", true},
		{"wiki, whole name", allow.Options{Vendor: "gitea", Groups: []string{"git"}, Projects: "acme/infra"}, "POST /acme/infra.wiki.git/git-upload-pack", "", false},
		{"letter case", allow.Options{Vendor: "azure_devops", Projects: "Acme/.*"}, "GET /acme/p/_apis/git/repositories/r/items", "", false},
		{"letter case, (?i)", allow.Options{Vendor: "azure_devops", Projects: "(?i)Acme/.*"}, "GET /acme/p/_apis/git/repositories/r/items", "", true},
		{"block by name, called by number", allow.Options{Vendor: "gitlab", Rules: rules(t, "block: [{name: b, path: /api/v4/projects/acme/secret/**}]")}, "GET /api/v4/projects/42", "", true},
		{"block by name", allow.Options{Vendor: "gitlab", Rules: rules(t, "block: [{name: b, path: /api/v4/projects/acme/secret/**}]")}, "GET /api/v4/projects/ACME%2fsecret", "", false},
		{"block by projects, called by number", allow.Options{Vendor: "gitlab", Rules: rules(t, "block: [{name: b, projects: acme/secret}]")}, "GET /api/v4/projects/42", "", false},
		{"observing past a rule's pattern", allow.Options{Vendor: "gitlab", Observe: true, Rules: rules(t, "projects: {gitlab.deployment.create: acme/.*}")}, "POST /api/v4/projects/a%2Fb/deployments.json", "", false},
		{"observing, the rule's own path", allow.Options{Vendor: "gitlab", Observe: true, Rules: rules(t, "projects: {gitlab.deployment.create: acme/.*}")}, "POST /api/v4/projects/a%2Fb/deployments", "", false},
		{"observing under allowed projects", allow.Options{Vendor: "gitlab", Observe: true, Projects: "acme/.*"}, "POST /api/v4/projects/a%2Fb/deployments.json", "", false},
	} {
		p := policy(t, tt.o)
		method, target, _ := strings.Cut(tt.call, " ")
		d := p.Check(method, target)
		if d.Allowed && d.InspectBody {
			d, _ = p.CheckBody(d, jsonHeader, []byte(tt.body))
		}
		if d.Allowed != tt.allowed {
			t.Errorf("%s: allowed is %t (%s), the page says %t", tt.name, d.Allowed, d.Detail, tt.allowed)
		}
	}
}
