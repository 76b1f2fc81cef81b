package allow_test

import (
	"net/http"
	"strings"
	"testing"

	"vcsagent/allow"
)

// TestObserve holds, for each vendor, what observing lets through (and why
// enforcing wouldn't) beside what it never does.
func TestObserve(t *testing.T) {
	const G = "/api/v4/projects/g%2Fr"
	const R = "/api/v3/repos/acme/infra"
	const B = "/rest/api/1.0/projects/K/repos/s"
	for _, c := range []struct {
		vendor string
		groups []string // nil: the default ones
		block  string
		lets   []denied
		never  []denied
	}{
		{"gitlab", nil, "/**/members/**", []denied{
			{"GET " + G + "/hooks", allow.NoRule}, {"POST " + G + "/merge_requests/5/notes?unknown=1", allow.QueryNotAllowed},
			{"OPTIONS " + G, allow.MethodNotAllowed}, {"HEAD " + G + "/hooks", allow.NoRule},
			{"GET " + G + "/repository/tree?path=a%2Fb&recursive=true", allow.NoRule}, {"GET " + G + "?unknown=1", allow.QueryNotAllowed},
			{"GET /api/v4/projects/42/hooks", allow.NoRule}, {"GET /", allow.NoRule},
		}, []denied{
			{"GET " + G + "/../hooks", allow.AmbiguousPath}, {"GET " + G + "//hooks", allow.AmbiguousPath}, {"GET " + G + "/hooks/", allow.AmbiguousPath},
			{"GET " + G + "/hooks%00", allow.BadEncoding}, {"GET http://evil.example/x", allow.BadTarget}, {"GET " + G + "/hooks?a;b", allow.BadQuery},
			{"get " + G + "/hooks", allow.NoRule}, {"TRACE /", allow.NoRule}, {"CONNECT /", allow.NoRule}, {"PROPFIND /x", allow.NoRule},
			{"GET " + G + "/members", allow.Blocked}, {"GET " + G + "/Members/5", allow.Blocked},
			{"GET " + G + "/hooks?sudo=root", allow.QueryNotAllowed}, {"GET " + G + "?SUDO=root", allow.QueryNotAllowed}, {"GET " + G + "/hooks?private_token=x", allow.QueryNotAllowed},
			{"POST " + G + "/hooks", allow.PushNotAllowed}, {"PUT " + G + "/variables/A", allow.PushNotAllowed}, {"DELETE " + G, allow.PushNotAllowed},
			{"GET " + G + "/hooks?_method=DELETE", allow.QueryNotAllowed}, {"GET " + G + "/hooks?[sudo]=root", allow.QueryNotAllowed}, {"GET " + G + "/hooks?sudo]=root", allow.QueryNotAllowed},
			{"GET " + G + "/hooks?%5B%5Dprivate_token%5B%5D=x", allow.QueryNotAllowed}, {"GET " + G + "/hooks?]%20_method=x", allow.QueryNotAllowed}, {"GET " + G + "?statistics=true&statistics=true", allow.QueryNotAllowed},
			// git is off
			{"GET /g/r.git/info/refs?service=git-upload-pack", allow.GroupOff}, {"GET /g/r/info/refs?service=git-upload-pack", allow.GroupOff},
			{"GET /g/r.git/HEAD", allow.GroupOff}, {"GET /g/r.GIT/objects/info/packs", allow.GroupOff}, {"POST /g/r/git-upload-pack", allow.GroupOff}, {"GET /r.git/info/refs", allow.GroupOff},
			// and so is graphql
			{"POST /api/graphql", allow.GroupOff}, {"GET /api/GraphQL", allow.GroupOff},
			// pushes
			{"POST /g/r.git/git-receive-pack", allow.PushNotAllowed}, {"POST /g/r/GIT-receive-pack", allow.PushNotAllowed}, {"GET /g/r/info/refs?service=git-receive-pack", allow.PushNotAllowed},
			{"GET /g/r/info/refs?SERVICE=GIT-RECEIVE-PACK", allow.PushNotAllowed}, {"POST /g/r.git/info/lfs/objects/batch", allow.GroupOff}, {"PUT /g/r.git/gitlab-lfs/objects/a/5", allow.GroupOff},
			{"POST " + G + "/repository/commits", allow.PushNotAllowed}, {"PUT " + G + "/repository/files/a.tf", allow.PushNotAllowed}, {"DELETE " + G + "/repository/branches/main", allow.PushNotAllowed},
			{"PUT " + G + "/merge_requests/5/merge", allow.PushNotAllowed}, {"PUT /api/V4/projects/42/merge_requests/5/Merge", allow.PushNotAllowed},
		}},
		{"gitlab", []string{"git"}, "/x", nil, []denied{
			// read is off: whatever reads belongs there
			{"GET " + G + "/hooks", allow.GroupOff}, {"GET " + G + "/repository/tree", allow.GroupOff}, {"GET /", allow.GroupOff}, {"OPTIONS " + G, allow.GroupOff},
			{"POST /g/r.git/info/lfs/objects/batch", allow.PushNotAllowed},
		}},
		{"gitlab", []string{"read", "graphql", "archive"}, "/x", []denied{{"GET " + G + "/hooks", allow.NoRule}}, []denied{
			{"POST /api/graphql", allow.PushNotAllowed}, {"GET /api/graphql?query=mutation%7Ba%7D", allow.NoRule}, {"GET /-/GraphQL-explorer", allow.NoRule},
			{"GET " + G + "/merge_requests/5/discussions", allow.GroupOff}, {"GET " + G + "/deployments/5", allow.GroupOff},
		}},
		{"gitlab", []string{"read"}, "/x", []denied{{"GET " + G + "/hooks", allow.NoRule}}, []denied{
			{"POST " + G + "/merge_requests/5/notes", allow.GroupOff}, {"GET " + G + "/merge_requests/5/notes", allow.GroupOff}, {"DELETE " + G + "/merge_requests/5/notes/7", allow.GroupOff},
			{"POST " + G + "/Merge_Requests/5/Notes", allow.GroupOff}, {"POST " + G + "/merge_requests/5/notes.json", allow.GroupOff}, {"POST /api/v4/projects/g%2Fr%20/statuses/abc", allow.GroupOff},
			{"GET " + G + "/repository/archive.tar.bz2", allow.GroupOff}, {"GET /g/r/-/archive/main/r-main.tar.gz", allow.GroupOff},
		}},
		{"github_enterprise", []string{"read", "graphql"}, "/x", []denied{
			{"GET " + R + "/hooks", allow.NoRule}, {"GET " + R + "/contents/a.tf", allow.NoRule}, {"GET " + R + "/commits/abc?path=x", allow.QueryNotAllowed},
		}, []denied{
			{"PUT " + R + "/contents/a.tf", allow.PushNotAllowed}, {"POST " + R + "/git/refs", allow.PushNotAllowed}, {"PATCH /repos/acme/infra/git/refs/heads/main", allow.PushNotAllowed},
			{"PUT /api/v3/repositories/42/contents/x", allow.PushNotAllowed}, {"POST /api/v3/repositories/42/statuses/abc", allow.GroupOff}, {"GET /api/v3/repositories/42/issues/7/comments", allow.GroupOff},
			{"POST /api/v3/graphql", allow.PushNotAllowed}, {"PUT " + R + "/pulls/5/merge", allow.PushNotAllowed}, {"POST " + R + "/merges", allow.PushNotAllowed},
			{"GET " + R + "/zipball/main", allow.GroupOff}, {"GET /acme/infra/archive/main.zip", allow.GroupOff}, {"GET /_codeload/acme/infra/legacy.zip/main", allow.GroupOff},
			{"POST /api/v3/app/installations/5/access_tokens/", allow.AmbiguousPath}, {"GET /api/v3/app/hook/config", allow.GroupOff}, {"POST /api/v3/app/installations/x/access_tokens", allow.GroupOff},
			{"GET " + R + "/commits/abc?token=x", allow.QueryNotAllowed},
		}},
		{"bitbucket_datacenter", nil, "/x", []denied{{"GET " + B + "/webhooks", allow.NoRule}, {"OPTIONS " + B + "/pull-requests/1", allow.MethodNotAllowed}}, []denied{{"DELETE " + B + "/pull-requests/1", allow.PushNotAllowed},
			{"PUT " + B + "/browse/a.tf", allow.PushNotAllowed}, {"POST " + B + "/pull-requests/1/merge", allow.PushNotAllowed}, {"POST " + B + "/branches", allow.PushNotAllowed},
			{"GET " + B + "/webhooks?os_username=u&os_password=p", allow.QueryNotAllowed}, {"GET /scm/K/s.git/info/refs?service=git-upload-pack", allow.GroupOff}, {"GET /scm/K/s/info/refs", allow.GroupOff},
		}},
	} {
		rules := rulesOf(t, "block: [{name: b, path: '"+c.block+"'}]")
		p := policy(t, allow.Options{Vendor: c.vendor, Groups: c.groups, Observe: true, Rules: rules})
		enforced := policy(t, allow.Options{Vendor: c.vendor, Groups: c.groups, Rules: rules})
		if !p.Observe() || enforced.Observe() {
			t.Fatal("Observe tells the wrong mode")
		}
		for _, l := range c.lets {
			method, target, _ := strings.Cut(l.request, " ")
			d := p.Check(method, target)
			if !d.Allowed || d.Observed != l.reason || sent(d) != target || !d.InspectBody || d.Reason != "" {
				t.Errorf("%s: %s: %+v, want it let through in spite of %s", c.vendor, l.request, d, l.reason)
			}
			checkDenied(t, enforced, l)
		}
		for _, d := range c.never {
			checkDenied(t, p, d)
			method, target, _ := strings.Cut(d.request, " ")
			if e := enforced.Check(method, target); e.Allowed {
				t.Errorf("%s: %s: enforcing allows it", c.vendor, d.request)
			}
		}
	}
}

// TestObserveLeavesTheRestAsItIs: what a rule allows isn't marked.
func TestObserveLeavesTheRestAsItIs(t *testing.T) {
	p := policy(t, allow.Options{Vendor: "gitlab", Observe: true})
	d := p.Check("GET", "/api/v4/projects/g%2Fr?statistics=true")
	if !d.Allowed || d.Observed != "" || d.Rule != "gitlab.project.get" {
		t.Errorf("an allowed request: %+v", d)
	}
}

func TestObserveUnderPatternsLetsNothingThrough(t *testing.T) {
	p := policy(t, allow.Options{Vendor: "gitlab", Observe: true, Projects: "g/r"})
	checkAllowedOnly(t, p, "GET /api/v4/projects/g%2Fr")
	for _, d := range []denied{
		{"GET /api/v4/projects/g%2Fr/hooks", allow.ProjectUnknown}, {"DELETE /api/v4/projects/g%2Fr", allow.ProjectUnknown},
		{"GET /api/v4/projects/g%2Fr?unknown=1", allow.QueryNotAllowed}, {"GET /api/v4/projects/x%2Fr", allow.ProjectNotAllowed}, {"GET /api/v4/groups/x", allow.ProjectUnknown},
	} {
		checkDenied(t, p, d)
	}
	own := policy(t, allow.Options{Vendor: "gitlab", Observe: true, Rules: rulesOf(t, "projects: {gitlab.project.get: g/r}")})
	checkDenied(t, own, denied{"GET /api/v4/projects/g%2Fr?unknown=1", allow.QueryNotAllowed})
	// No other spelling of the call gets past the rule's own pattern.
	own = policy(t, allow.Options{Vendor: "gitlab", Observe: true, Rules: rulesOf(t, "projects: {gitlab.deployment.create: g/r}")})
	for _, target := range []string{"/api/v4/projects/x%2Fr/deployments.json", "/api/v4/projects/x%2Fr/Deployments", "/API/v4/projects/7%20/deployments"} {
		checkDenied(t, own, denied{"POST " + target, allow.ProjectUnknown})
	}
}

func TestObserveBodies(t *testing.T) {
	p := policy(t, allow.Options{Vendor: "gitlab", Groups: append(allow.DefaultGroups, "graphql"), Observe: true})
	type row struct {
		request, contentType, body string
		observed, reason           allow.Reason
	}
	const G = "/api/v4/projects/g%2Fr"
	for _, r := range []row{
		{"GET " + G + "/hooks", jsonType, `{"url":"https://x.example","sudoku":1}`, allow.NoRule, ""},
		{"GET " + G + "/hooks", formType, `url=a&events[]=1&events[]=2`, allow.NoRule, ""},
		{"GET " + G + "/hooks", "", ``, allow.NoRule, ""},
		{"GET " + G + "/hooks", jsonType, `{"url":"x","sudo":"root"}`, "", allow.FieldNotAllowed},
		{"GET " + G + "/hooks", jsonType, `{"url":"x","private_token":"t"}`, "", allow.FieldNotAllowed},
		{"GET " + G + "/hooks", formType, `url=a&%73udo=root`, "", allow.FieldNotAllowed},
		{"GET " + G + "/hooks", formType, `[sudo]=root`, "", allow.FieldNotAllowed},
		{"GET " + G + "/hooks", formType, `_method=delete`, "", allow.FieldNotAllowed},
		{"GET " + G + "/hooks", jsonType, `{"a":1,"a":2}`, "", allow.BadBody},
		{"GET " + G + "/hooks", "application/octet-stream", `x`, "", allow.BadBody},
		{"GET " + G + "/hooks", "application/xml", `<sudo>root</sudo>`, "", allow.BadBody},
		{"GET " + G + "/hooks", "", `{"sudo":"root"}`, "", allow.FieldNotAllowed},
		{"GET " + G + "/hooks", jsonType, strings.Repeat(" ", allow.MaxBodyBytes) + "{}", "", allow.BodyTooLarge},
		{"POST " + G + "/merge_requests/5/notes", jsonType, `{"body":"x"}`, "", ""},
		{"POST " + G + "/merge_requests/5/notes", jsonType, `{"body":"x","other":1}`, allow.FieldNotAllowed, ""},
		{"POST " + G + "/merge_requests/5/notes", jsonType, `{"body":"x","sudo":1}`, "", allow.FieldNotAllowed},
		{"GET " + G, jsonType, `{"a":1}`, allow.BodyNotAllowed, ""},
		{"GET " + G, jsonType, `{"sudo":1}`, "", allow.FieldNotAllowed},
	} {
		method, target, _ := strings.Cut(r.request, " ")
		header := http.Header{}
		if r.contentType != "" {
			header.Set("Content-Type", r.contentType)
		}
		d, _ := p.CheckBody(p.Check(method, target), header, []byte(r.body))
		if d.Allowed != (r.reason == "") || d.Reason != r.reason || d.Allowed && d.Observed != r.observed {
			t.Errorf("%s with %s %.60q: allowed=%t %s (%s), observed %q; want %q, %q", r.request, r.contentType, r.body, d.Allowed, d.Reason, d.Detail, d.Observed, r.reason, r.observed)
		}
	}
	github := policy(t, allow.Options{Vendor: "github_enterprise", Groups: allow.Groups(), Observe: true})
	d, _ := github.CheckBody(github.Check("POST", "/api/graphql"), http.Header{"Content-Type": {jsonType}}, []byte(`{"query":"mutation{a}"}`))
	if d.Reason != allow.NotAQuery {
		t.Errorf("a mutation while observing: %+v", d)
	}
}
