package allow_test

import (
	"strings"
	"testing"

	"vcsagent/allow"
)

func checkAllowedOnly(t *testing.T, p *allow.Policy, request string) allow.Decision {
	t.Helper()
	method, target, _ := strings.Cut(request, " ")
	d := p.Check(method, target)
	if !d.Allowed {
		t.Errorf("%s: denied: %s: %s", request, d.Reason, d.Detail)
	}
	return d
}

func TestGitHubRules(t *testing.T) {
	const R = "/api/v3/repos/acme/infra"
	const project = "acme/infra"
	testRules(t, "github_enterprise", []ruleRows{
		{"github.compare",
			[]allowed{{"GET " + R + "/compare/main...0123abc", "", project}, {"GET /repos/acme/infra/compare/main...feature%2Fx?page=2", "", project},
				{"GET " + R + "/compare/main...feature/x", R + "/compare/main...feature%2Fx", project},
				{"GET " + R + "/compare/main...fork:feature", R + "/compare/main...fork%3Afeature", project},
				{"GET " + R + "/compare/main...fork%3Arepo%3Afeature", "", project}},
			[]denied{{"GET " + R + "/compare/main..feature", allow.NoRule}, {"GET " + R + "/compare/main", allow.NoRule},
				{"GET " + R + "/compare/a...b/../../hooks", allow.AmbiguousPath}, {"GET " + R + "/compare/a...b%2F..%2F..%2Fhooks", allow.AmbiguousPath},
				{"GET " + R + "/compare/a...b...c", allow.NoRule}, {"GET " + R + "/compare/a...b:c:d:e", allow.NoRule}}},
		{"github.commit.get",
			[]allowed{{"GET " + R + "/commits/0123abc", "", project}, {"GET /repos/acme/infra/commits/main?per_page=1", "", project}},
			[]denied{{"GET " + R + "/commits/0123abc/comments", allow.NoRule}, {"GET " + R + "/commits/0123abc%2Fcomments", allow.AmbiguousPath},
				{"GET " + R + "/commits", allow.NoRule}, {"GET /api/v4/repos/acme/infra/commits/main", allow.NoRule}}},
		{"github.pull.get",
			[]allowed{{"GET " + R + "/pulls/1", "", project}, {"GET /repos/acme/infra.name/pulls/1", "", "acme/infra.name"}},
			[]denied{{"PATCH " + R + "/pulls/1", allow.MethodNotAllowed}, {"GET " + R + "/pulls", allow.NoRule}, {"PUT " + R + "/pulls/1/merge", allow.NoRule}}},
		{"github.pull.files",
			[]allowed{{"GET " + R + "/pulls/1/files", "", project}, {"GET " + R + "/pulls/1/files?page=2&per_page=100", "", project}},
			[]denied{{"GET " + R + "/pulls/1/commits", allow.NoRule}, {"GET " + R + "/pulls/x/files", allow.NoRule}}},
		{"github.deployments.list",
			[]allowed{{"GET " + R + "/deployments", "", project}, {"GET /repos/acme/infra/deployments?environment=prod&ref=main", "", project}},
			[]denied{{"GET " + R + "/deployments?creator=x", allow.QueryNotAllowed}, {"GET " + R + "/deployments/1", allow.MethodNotAllowed}}},
		{"github.user.get",
			[]allowed{{request: "GET /api/v3/users/octo-cat"}, {request: "GET /users/dependabot%5Bbot%5D"}},
			[]denied{{"GET /users", allow.NoRule}, {"GET /api/v3/users/octo/keys", allow.NoRule}, {"GET /api/v3/user", allow.NoRule}}},
		{"github.graphql.query",
			[]allowed{{request: "POST /api/graphql"}, {request: "POST /graphql"}},
			[]denied{{"GET /api/graphql", allow.MethodNotAllowed}, {"POST /api/v3/graphql", allow.NoRule}, {"POST /graphql?query=x", allow.QueryNotAllowed}}},
		{"github.archive.link",
			[]allowed{{"GET " + R + "/tarball/0123abc", "", project}, {"GET /repos/acme/infra/tarball/refs/heads/feature%2Fx", "/repos/acme/infra/tarball/refs/heads/feature/x", project}},
			[]denied{{"GET " + R + "/zipball/main", allow.NoRule}, {"GET " + R + "/tarball", allow.NoRule}, {"GET " + R + "/tarball/a/../b", allow.AmbiguousPath}}},
		{"github.archive.get",
			[]allowed{{"GET /_codeload/acme/infra/legacy.tar.gz/refs/heads/main?token=AB%2Bcd%3D", "", project}, {"GET /codeload/acme/infra/legacy.tar.gz/main", "", project}},
			[]denied{{"GET /_codeload/acme/infra/legacyXtar.gz/main", allow.NoRule}, {"GET /codeload/acme/infra/zip/main", allow.NoRule},
				{"GET /codeload/acme/infra/legacy.tar.gz/main?access_token=x", allow.QueryNotAllowed}, {"GET /codeload/acme/infra/legacy.tar.gz/a//b", allow.AmbiguousPath}}},
		{"github.archive.get_isolated",
			[]allowed{{"GET /acme/infra/legacy.tar.gz/refs/heads/feature/x?token=abc", "", project}, {"GET /acme/infra/legacy.tar.gz/0123abc", "", project}},
			[]denied{{"GET /acme/infra/legacy.tar.gz", allow.NoRule}, {"GET /acme/infra/legacy.zip/main", allow.NoRule}, {"GET /_x/infra/legacy.tar.gz/main", allow.NoRule},
				{"GET /codeload/infra/legacy.tar.gz/main", allow.NoRule}}},
		{"github.status.create",
			[]allowed{{"POST " + R + "/statuses/0123abc", "", project}, {"POST /repos/acme/infra/statuses/0123abc", "", project}},
			[]denied{{"GET " + R + "/statuses/0123abc", allow.MethodNotAllowed}, {"POST " + R + "/statuses/0123abc?state=success", allow.QueryNotAllowed}}},
		{"github.check_run.create",
			[]allowed{{"POST " + R + "/check-runs", "", project}, {"POST /repos/acme/infra/check-runs", "", project}},
			[]denied{{"POST " + R + "/check-suites", allow.NoRule}, {"GET " + R + "/check-runs", allow.MethodNotAllowed}}},
		{"github.check_run.update",
			[]allowed{{"PATCH " + R + "/check-runs/77", "", project}, {"PATCH /repos/acme/infra/check-runs/77", "", project}},
			[]denied{{"POST " + R + "/check-runs/77", allow.MethodNotAllowed}, {"POST " + R + "/check-runs/77/rerequest", allow.NoRule}}},
		{"github.deployment.create",
			[]allowed{{"POST " + R + "/deployments", "", project}, {"POST /repos/acme/infra/deployments", "", project}},
			[]denied{{"PUT " + R + "/deployments", allow.MethodNotAllowed}, {"POST " + R + "/dispatches", allow.NoRule}}},
		{"github.deployment_status.create",
			[]allowed{{"POST " + R + "/deployments/3/statuses", "", project}, {"POST /repos/acme/infra/deployments/3/statuses", "", project}},
			[]denied{{"GET " + R + "/deployments/3/statuses", allow.MethodNotAllowed}, {"POST " + R + "/deployments/x/statuses", allow.NoRule}}},
		{"github.deployment.delete",
			[]allowed{{"DELETE " + R + "/deployments/3", "", project}, {"DELETE /repos/acme/infra/deployments/3", "", project}},
			[]denied{{"DELETE " + R + "/deployments", allow.MethodNotAllowed}, {"DELETE " + R, allow.NoRule}}},
		{"github.comment.create",
			[]allowed{{"POST " + R + "/issues/9/comments", "", project}, {"POST /repos/acme/infra/issues/9/comments", "", project}},
			[]denied{{"POST " + R + "/issues", allow.NoRule}, {"GET " + R + "/issues/9/comments", allow.MethodNotAllowed}, {"POST " + R + "/issues/9/labels", allow.NoRule}}},
		{"github.comment.update",
			[]allowed{{"PATCH " + R + "/issues/comments/5", "", project}, {"PATCH /repos/acme/infra/issues/comments/5", "", project}},
			[]denied{{"DELETE " + R + "/issues/comments/5", allow.MethodNotAllowed}, {"PATCH " + R + "/issues/5", allow.NoRule}}},
		{"github.app.get",
			[]allowed{{request: "GET /api/v3/app"}, {request: "GET /app"}},
			[]denied{{"GET /apps/x", allow.NoRule}, {"GET /app/hook/config", allow.NoRule}, {"PATCH /app", allow.MethodNotAllowed}}},
		{"github.app.installations",
			[]allowed{{request: "GET /api/v3/app/installations"}, {request: "GET /app/installations?per_page=100"}},
			[]denied{{"GET /app/installations/1", allow.NoRule}, {"DELETE /app/installations/1", allow.NoRule}}},
		{"github.app.token",
			[]allowed{{request: "POST /api/v3/app/installations/1/access_tokens"}, {request: "POST /app/installations/1/access_tokens"}},
			[]denied{{"GET /app/installations/1/access_tokens", allow.MethodNotAllowed}, {"POST /app/installations/me/access_tokens", allow.NoRule}}},
		{"github.git.refs",
			[]allowed{{"GET /acme/infra.git/info/refs?service=git-upload-pack", "", project}, {"GET /acme/a.b.git/info/refs?service=git-upload-pack", "", "acme/a.b"}},
			[]denied{{"GET /acme/infra.git/info/refs?service=git-receive-pack", allow.PushNotAllowed}, {"GET /acme/sub/infra.git/info/refs?service=git-upload-pack", allow.NoRule},
				{"GET /gist/0123.git/info/refs?service=git-upload-pack", allow.NoRule}}},
		{"github.git.upload_pack",
			[]allowed{{"POST /acme/infra.git/git-upload-pack", "", project}, {"POST /acme/a.b.git/git-upload-pack", "", "acme/a.b"}},
			[]denied{{"POST /acme/infra.git/git-receive-pack", allow.PushNotAllowed}, {"GET /acme/infra.git/git-upload-pack", allow.MethodNotAllowed}}},
	})
}

func TestGitHubHosts(t *testing.T) {
	p := everything(t, "github_enterprise", "")
	for request, want := range map[string]string{
		"GET /acme/infra/legacy.tar.gz/main":           "codeload.",
		"GET /_codeload/acme/infra/legacy.tar.gz/main": "",
		"GET /codeload/acme/infra/legacy.tar.gz/main":  "",
		"GET /repos/acme/infra/tarball/main":           "",
	} {
		if d := checkAllowedOnly(t, p, request); d.HostPrefix != want {
			t.Errorf("%s: host prefix %q, want %q", request, d.HostPrefix, want)
		}
	}
}

func TestGitHubProjects(t *testing.T) {
	p := everything(t, "github_enterprise", "acme/infra|acme/mirror")
	for _, request := range []string{
		"GET /api/v3/repos/acme/infra/pulls/1",
		"GET /repos/acme/infra/compare/main...feature",
		"GET /repos/acme/infra/compare/main...acme:feature",
		"GET /repos/acme/infra/compare/main...ACME%3Afeature", // owners have no letter case
		"GET /repos/acme/infra/compare/main...acme:mirror:feature",
		"GET /acme/infra/legacy.tar.gz/main?token=x",
		"POST /app/installations/1/access_tokens",
		"GET /users/octocat",
	} {
		checkAllowedOnly(t, p, request)
	}
	for _, d := range []denied{
		{"GET /api/v3/repos/acme/infra2/pulls/1", allow.ProjectNotAllowed},
		{"GET /api/v3/repos/evil-acme/infra/pulls/1", allow.ProjectNotAllowed},
		{"GET /api/v3/repos/ACME/infra/pulls/1", allow.ProjectNotAllowed},
		{"GET /repos/acme/infra/compare/main...evil:feature", allow.ProjectUnknown},
		{"GET /repos/acme/infra/compare/evil:main...feature", allow.ProjectUnknown},
		{"GET /repos/acme/infra/compare/main...evil%3Ainfra%3Afeature", allow.ProjectNotAllowed},
		{"GET /repos/acme/infra/compare/main...acme:secret:feature", allow.ProjectNotAllowed},
		{"GET /acme/secret/legacy.tar.gz/main?token=x", allow.ProjectNotAllowed},
		{"GET /codeload/acme/secret/legacy.tar.gz/main", allow.ProjectNotAllowed},
		{"POST /api/graphql", allow.ProjectUnknown},
	} {
		checkDenied(t, p, d)
	}
}
