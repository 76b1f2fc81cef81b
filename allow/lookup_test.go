package allow_test

import (
	"slices"
	"testing"

	"vcsagent/allow"
)

func TestProjectNumbers(t *testing.T) {
	p := everything(t, "gitlab", "acme/infra|acme/team/.*")
	known := map[string]string{"42": "acme/infra", "43": "acme/team/x", "66": "evil/repo", "7": "evil-acme/infra2"}
	for _, c := range []struct {
		target  string
		lookup  []string
		reason  allow.Reason // once they are known
		project string
	}{
		{"/api/v4/projects/42", []string{"42"}, "", "acme/infra"},
		{"/api/v4/projects/43/merge_requests/5", []string{"43"}, "", "acme/team/x"},
		{"/api/v4/projects/66/merge_requests/5", []string{"66"}, allow.ProjectNotAllowed, ""},
		{"/api/v4/projects/7", []string{"7"}, allow.ProjectNotAllowed, ""},
		{"/api/v4/projects/99", []string{"99"}, allow.ProjectUnknown, ""}, // stays unknown
		{"/api/v4/projects/42/repository/compare?from=a&to=b&from_project_id=43", []string{"42", "43"}, "", "acme/infra"},
		{"/api/v4/projects/acme%2Finfra/repository/compare?from=a&to=b&from_project_id=43", []string{"43"}, "", "acme/infra"},
		{"/api/v4/projects/acme%2Finfra/repository/compare?from=a&to=b&from_project_id=66", []string{"66"}, allow.ProjectNotAllowed, ""},
		{"/api/v4/projects/42/repository/compare?from=a&to=b&from_project_id=x", nil, allow.ProjectUnknown, ""},
		{"/api/v4/projects/evil%2Frepo/repository/compare?from=a&to=b&from_project_id=42", nil, allow.ProjectNotAllowed, ""},
		{"/api/v4/projects/1234567890123456789", nil, allow.ProjectUnknown, ""},
		{"/api/v4/projects/42?sudo=root", nil, allow.QueryNotAllowed, ""}, // nothing is asked for what is denied anyway
	} {
		d := p.Check("GET", c.target)
		if d.Allowed || !slices.Equal(d.Lookup, c.lookup) || c.lookup != nil && d.Reason != allow.ProjectUnknown {
			t.Errorf("%s: allowed=%t %s, lookup %v, want %v", c.target, d.Allowed, d.Reason, d.Lookup, c.lookup)
		}
		d = p.CheckKnowing("GET", c.target, known)
		if d.Allowed != (c.reason == "") || d.Reason != c.reason || d.Allowed && (d.Project != c.project || sent(d) != c.target || d.Lookup != nil) {
			t.Errorf("%s, known: %+v, want %q in %s", c.target, d, c.reason, c.project)
		}
	}
	// Without a pattern nobody has to ask.
	if d := everything(t, "gitlab", "").Check("GET", "/api/v4/projects/42"); !d.Allowed || d.Lookup != nil || d.Project != "42" {
		t.Errorf("without a pattern: %+v", d)
	}
	// A cluster agent's number is no project's.
	d := p.CheckKnowing("POST", "/api/v4/projects/42/environments?name=x&cluster_agent_id=42", known)
	if d.Reason != allow.ProjectUnknown || d.Lookup != nil {
		t.Errorf("cluster agent: %+v", d)
	}
}

func TestLookup(t *testing.T) {
	p := everything(t, "gitlab", "a/b")
	for id, want := range map[string]string{"42": "/api/v4/projects/42", "0": "/api/v4/projects/0", "": "", "a": "", "4/2": "", "-1": "", "1234567890123456789": ""} {
		if got := p.LookupPath(id); got != want {
			t.Errorf("LookupPath(%q) = %q, want %q", id, got, want)
		}
	}
	if got := everything(t, "github_enterprise", "a/b").LookupPath("42"); got != "" {
		t.Errorf("GitHub's lookup is %q", got)
	}
	for body, want := range map[string]string{
		`{"id":42,"path_with_namespace":"acme/infra"}`: "acme/infra", `{"path_with_namespace":"a/b/c.d"}`: "a/b/c.d",
		`{"path_with_namespace":"infra"}`: "", `{"path_with_namespace":"../x"}`: "", `{"path_with_namespace":"a/b\n"}`: "",
		`{"path_with_namespace":7}`: "", `{"name":"a/b"}`: "", `[]`: "", ``: "", `<html>`: "", `{"path_with_namespace":null}`: "",
	} {
		got, err := p.LookupName([]byte(body))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("LookupName(%s) = %q, %v; want %q", body, got, err, want)
		}
	}
}
