package allow_test

import (
	"strings"
	"testing"

	"vcsagent/allow"
)

const goodRule = `
vendor: test
body_types: [json]
rules:
  - name: a
    purpose: Do a.
    group: read
    methods: [GET]
    path: "[/api]/{x|y}/{owner}/{repo}"
    query: [q]
`

func TestRulesExpand(t *testing.T) {
	p, err := allow.NewFromYAML(goodRule)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/x/o/r", "/y/o/r", "/api/x/o/r", "/api/y/o/r"} {
		checkAllowed(t, p, "a", allowed{"GET " + path, "", "o/r"})
	}
	for _, path := range []string{"/o/r", "/api/o/r", "/x/y/o/r", "/api/api/x/o/r", "/[/api]/x/o/r"} {
		checkDenied(t, p, denied{"GET " + path, allow.NoRule})
	}
}

// TestRulesAreChecked breaks the good rule in one place at a time.
func TestRulesAreChecked(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"query: [q]", "querry: [q]", "field querry not found"},
		{"query: [q]", "query: [q]\n---\nvendor: x", "more than one YAML document"},
		{"query: [q]", "query: [sudo]", `query key "sudo" is never allowed`},
		{"query: [q]", `fields: ["PRIVATE_TOKEN"]`, `field "PRIVATE_TOKEN" is never allowed`},
		{"query: [q]", "names_projects: {z: id}", `names_projects has "z", which is neither`},
		{"query: [q]", "query: [q]\n    names_projects: {q: name}", `allowed are id, path, unknown`},
		{"query: [q]", "body: raw", `body is "raw"; allowed are`},
		{"query: [q]", "body: stream", "content_type is empty"},
		{"query: [q]", "host: evil.example/", "host is"},
		{"query: [q]", "host: codeload", "must be labels that end with a dot"},
		{"group: read", "group: write", `group is "write"; allowed are read,`},
		{"methods: [GET]", "methods: [get]", `method "get" is not one of GET,`},
		{"methods: [GET]", "methods: []", "methods is empty"},
		{"purpose: Do a.", "purpose: ''", "purpose is empty"},
		{"[json]", "[xml]", `body type "xml" is not one of`},
		{"{repo}", "{nonsense}", `parameter "{nonsense}" has no known type`},
		{"{repo}", "{repo", "is not {name}"},
		{"{repo}", "{ref...}.git", "can't have a fixed end"},
		{"{repo}", "a%2Fb", "has a character other than"},
		{"{repo}", "..", "has a character other than"},
		{`"[/api]/`, `"api/`, "must begin with a slash"},
		{"{owner}/{repo}", strings.Repeat("/{int}", 9)[1:], "more than 8 parameters"},
		{"    query: [q]", "  - {name: a, purpose: Do it., group: read, methods: [POST], path: /b}", "the name is used twice"},
		{"    query: [q]", "  - {name: b, purpose: Do b., group: read, methods: [GET], path: '/x/{o:owner}/{r:repo}'}", `rules "a" and "b" both have GET`},
	} {
		broken := strings.Replace(goodRule, c.old, c.new, 1)
		if broken == goodRule {
			t.Fatalf("nothing to replace: %q", c.old)
		}
		_, err := allow.NewFromYAML(broken)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s instead of %s: error %v, want %q", c.new, c.old, err, c.want)
		}
	}
}

// TestTrailingSlash: only a template that has a slash at its end matches one.
func TestTrailingSlash(t *testing.T) {
	p, err := allow.NewFromYAML(strings.Replace(goodRule, `/{repo}"`, `/{repo}/"`, 1))
	if err != nil {
		t.Fatal(err)
	}
	checkAllowed(t, p, "a", allowed{"GET /x/o/r/", "", "o/r"})
	checkDenied(t, p, denied{"GET /x/o/r", allow.NoRule})
	checkDenied(t, p, denied{"GET /x/o/r//", allow.AmbiguousPath})
}
