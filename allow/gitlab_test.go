package allow_test

import (
	"testing"

	"vcsagent/allow"
)

func TestGitLabRules(t *testing.T) {
	const P = "/api/v4/projects/group%2Fsub%2Frepo"
	const project = "group/sub/repo"
	testRules(t, "gitlab", []ruleRows{
		{"gitlab.api.root",
			[]allowed{{request: "GET /api/v4"}, {request: "HEAD /api/v4"}, {request: "GET /api/v4/"}},
			[]denied{{"GET /api", allow.NoRule}, {"GET /api/v4//", allow.AmbiguousPath}, {"GET /api/v3", allow.NoRule}}},
		{"gitlab.user.get",
			[]allowed{{request: "GET /api/v4/user"}, {request: "GET /%61pi/v4/user", sent: "/api/v4/user"}},
			[]denied{{"GET /api/v4/user/keys", allow.NoRule}, {"GET /api/v4/users", allow.NoRule}, {"PUT /api/v4/user", allow.MethodNotAllowed}}},
		{"gitlab.projects.list",
			[]allowed{{request: "GET /api/v4/projects"}, {request: "GET /api/v4/projects?membership=true&search=a+b&per_page=50"},
				{request: "GET /api/v4/projects?search=a%20b", sent: "/api/v4/projects?search=a+b"}},
			[]denied{{"POST /api/v4/projects", allow.MethodNotAllowed}, {"GET /api/v4/projects?unknown=1", allow.QueryNotAllowed},
				{"GET /api/v4/projects?page=1&page=2", allow.QueryNotAllowed}, {"GET /api/v4/Projects", allow.NoRule}}},
		{"gitlab.project.get",
			[]allowed{{"GET " + P, "", project}, {"GET /api/v4/projects/42?license=true", "", "42"},
				{"GET /api/v4/projects/group%2fsub%2Frepo%2Ename", "/api/v4/projects/group%2Fsub%2Frepo.name", "group/sub/repo.name"}},
			[]denied{{"DELETE " + P, allow.MethodNotAllowed}, {"GET /api/v4/projects/repo", allow.NoRule}, {"GET " + P + "/hooks", allow.NoRule},
				{"GET /api/v4/projects/group/repo", allow.NoRule}, {"GET " + P + "/", allow.AmbiguousPath}, {"GET /api/v4/projects/-5", allow.NoRule}}},
		{"gitlab.branches.list",
			[]allowed{{"GET " + P + "/repository/branches", "", project}, {"GET " + P + "/repository/branches?search=%5Emain&page_token=x", "", project}},
			[]denied{{"POST " + P + "/repository/branches", allow.MethodNotAllowed}, {"GET " + P + "/repository/tags", allow.NoRule}}},
		{"gitlab.branch.get",
			[]allowed{{"GET " + P + "/repository/branches/main", "", project}, {"GET " + P + "/repository/branches/feature%2Fx%231", "", project}},
			[]denied{{"DELETE " + P + "/repository/branches/main", allow.MethodNotAllowed}, {"GET " + P + "/repository/branches/feature/x", allow.NoRule},
				{"PUT " + P + "/repository/branches/main/protect", allow.NoRule}, {"GET " + P + "/repository/branches/feature%2F", allow.AmbiguousPath}}},
		{"gitlab.commit.get",
			[]allowed{{"GET " + P + "/repository/commits/0123abcdef", "", project}, {"GET " + P + "/repository/commits/v1.0?stats=false", "", project}},
			[]denied{{"GET " + P + "/repository/commits/0123abcdef/comments", allow.NoRule}, {"GET " + P + "/repository/commits", allow.NoRule},
				{"GET " + P + "/repository/commits/a%2Fcomments", allow.AmbiguousPath}, {"GET " + P + "/repository/commits/main~1", allow.NoRule}}},
		{"gitlab.compare",
			[]allowed{{"GET " + P + "/repository/compare?from=a&to=b", "", project}, {"GET " + P + "/repository/compare?from=a&to=b&from_project_id=7", "", project}},
			[]denied{{"GET " + P + "/repository/compare?from=a&from=b", allow.QueryNotAllowed}, {"GET " + P + "/repository/compare/a...b", allow.NoRule}}},
		{"gitlab.config.get",
			[]allowed{
				{"GET " + P + "/repository/files/.spacelift%2Fconfig.yml/raw?ref=main", "", project},
				{"GET " + P + "/repository/files/%2Espacelift%2Fconfig%2Eyml/raw", P + "/repository/files/.spacelift%2Fconfig.yml/raw", project},
				{"GET " + P + "/repository/files/infra%2Fprod%2f.spacelift%2Fconfig%2eyml/raw", P + "/repository/files/infra%2Fprod%2F.spacelift%2Fconfig.yml/raw", project}},
			[]denied{
				{"GET " + P + "/repository/files/XspaceliftXconfigAyml/raw", allow.NoRule},
				{"GET " + P + "/repository/files/main.tf%3F%2F.spacelift%2Fconfig.yml/raw", allow.NoRule},
				{"GET " + P + "/repository/files/x.spacelift%2Fconfig.yml/raw", allow.NoRule},
				{"GET " + P + "/repository/files/.spacelift%2Fconfig.yml.bak/raw", allow.NoRule},
				{"GET " + P + "/repository/files/secrets.tf/raw", allow.NoRule},
				{"GET " + P + "/repository/files/.spacelift/config.yml/raw", allow.NoRule},
				{"GET " + P + "/repository/files/a%2F..%2F.spacelift%2Fconfig.yml/raw", allow.AmbiguousPath},
				{"GET " + P + "/repository/files/%2F.spacelift%2Fconfig.yml/raw", allow.AmbiguousPath},
				{"GET " + P + "/repository/files/.spacelift%2Fconfig.yml", allow.NoRule}}},
		{"gitlab.merge_requests.list",
			[]allowed{{"GET " + P + "/merge_requests?state=opened&iids%5B%5D=1&iids%5B%5D=2", "", project},
				{"GET " + P + "/merge_requests?iids[]=1&iids[]=2", P + "/merge_requests?iids%5B%5D=1&iids%5B%5D=2", project},
				{"GET " + P + "/merge_requests?source_branch=feature%2Fx", "", project}},
			[]denied{{"POST " + P + "/merge_requests", allow.MethodNotAllowed}, {"GET " + P + "/merge_requests?state=a&state=b", allow.QueryNotAllowed},
				{"GET " + P + "/merge_requests?source_project_id=3", allow.QueryNotAllowed}}},
		{"gitlab.merge_request.get",
			[]allowed{{"GET " + P + "/merge_requests/5", "", project}, {"GET " + P + "/merge_requests/5?render_html=true", "", project}},
			[]denied{{"PUT " + P + "/merge_requests/5", allow.MethodNotAllowed}, {"GET " + P + "/merge_requests/05", allow.NoRule},
				{"GET " + P + "/merge_requests/5/changes", allow.NoRule}, {"PUT " + P + "/merge_requests/5/merge", allow.NoRule}}},
		{"gitlab.merge_request.approvals",
			[]allowed{{"GET " + P + "/merge_requests/5/approvals", "", project}, {"HEAD " + P + "/merge_requests/5/approvals", "", project}},
			[]denied{{"POST " + P + "/merge_requests/5/approvals", allow.MethodNotAllowed}, {"POST " + P + "/merge_requests/5/approve", allow.NoRule}}},
		{"gitlab.commit.merge_requests",
			[]allowed{{"GET " + P + "/repository/commits/abc/merge_requests", "", project}, {"GET " + P + "/repository/commits/abc/merge_requests?state=opened&page=2", "", project}},
			[]denied{{"GET " + P + "/repository/commits/abc/merge_requests/1", allow.NoRule}, {"GET " + P + "/repository/commits/abc/diff", allow.NoRule}}},
		{"gitlab.environments.list",
			[]allowed{{"GET " + P + "/environments", "", project}, {"GET " + P + "/environments?name=prod&states=available", "", project}},
			[]denied{{"GET " + P + "/environments/1", allow.MethodNotAllowed}, {"GET " + P + "/environment", allow.NoRule}}},
		{"gitlab.archive.get",
			[]allowed{{"GET " + P + "/repository/archive?sha=abc", "", project}, {"GET " + P + "/repository/archive.tar.gz?sha=abc&path=infra%2Fprod", "", project},
				{"GET " + P + "/repository/archive.zip", "", project}, {"GET " + P + "/repository/archive%2Etar.gz", P + "/repository/archive.tar.gz", project}},
			[]denied{{"GET " + P + "/repository/archiveXtar.gz", allow.NoRule}, {"GET " + P + "/repository/archive.tar.gz.sig", allow.NoRule}, {"GET " + P + "/repository/archive.exe", allow.NoRule}}},
		{"gitlab.status.create",
			[]allowed{{"POST " + P + "/statuses/abc", "", project}, {"POST " + P + "/statuses/abc?state=success&name=plan", "", project}},
			[]denied{{"GET " + P + "/statuses/abc", allow.MethodNotAllowed}, {"POST " + P + "/statuses/abc?sudo=root", allow.QueryNotAllowed}, {"POST " + P + "/statuses", allow.NoRule}}},
		{"gitlab.environment.create",
			[]allowed{{"POST " + P + "/environments", "", project}, {"POST " + P + "/environments?name=prod", "", project}},
			[]denied{{"DELETE " + P + "/environments", allow.MethodNotAllowed}, {"POST " + P + "/environments?id=other", allow.QueryNotAllowed}}},
		{"gitlab.environment.stop",
			[]allowed{{"POST " + P + "/environments/7/stop", "", project}, {"POST " + P + "/environments/7/stop?force=true", "", project}},
			[]denied{{"POST " + P + "/environments/stop_stale", allow.NoRule}, {"GET " + P + "/environments/7/stop", allow.MethodNotAllowed}}},
		{"gitlab.environment.delete",
			[]allowed{{"DELETE " + P + "/environments/7", "", project}, {"DELETE /api/v4/projects/3/environments/7", "", "3"}},
			[]denied{{"DELETE " + P + "/environments/review_apps", allow.NoRule}, {"PUT " + P + "/environments/7", allow.MethodNotAllowed}}},
		{"gitlab.deployment.create",
			[]allowed{{"POST " + P + "/deployments", "", project}, {"POST " + P + "/deployments?environment=prod&sha=abc&ref=main&tag=false&status=running", "", project}},
			[]denied{{"GET " + P + "/deployments", allow.MethodNotAllowed}, {"POST " + P + "/deployments/1/approval", allow.NoRule}}},
		{"gitlab.deployment.update",
			[]allowed{{"PUT " + P + "/deployments/1", "", project}, {"PUT " + P + "/deployments/1?status=success", "", project}},
			[]denied{{"DELETE " + P + "/deployments/1", allow.MethodNotAllowed}, {"PUT " + P + "/deployments/1e9", allow.NoRule}}},
		{"gitlab.note.create",
			[]allowed{{"POST " + P + "/merge_requests/5/notes", "", project}, {"POST " + P + "/merge_requests/5/notes?body=hello", "", project}},
			[]denied{{"POST " + P + "/issues/5/notes", allow.NoRule}, {"GET " + P + "/merge_requests/5/notes", allow.MethodNotAllowed}, {"POST " + P + "/merge_requests/5/discussions", allow.NoRule}}},
		{"gitlab.note.update",
			[]allowed{{"PUT " + P + "/merge_requests/5/notes/9", "", project}, {"PUT " + P + "/merge_requests/5/notes/9?body=hello", "", project}},
			[]denied{{"DELETE " + P + "/merge_requests/5/notes/9", allow.MethodNotAllowed}, {"PUT " + P + "/merge_requests/5/notes/9/award_emoji", allow.NoRule}}},
		{"gitlab.git.refs",
			[]allowed{{"GET /group/repo.git/info/refs?service=git-upload-pack", "", "group/repo"},
				{"GET /group/sub/deep/repo.name.git/info/refs?service=git-upload-pack", "", "group/sub/deep/repo.name"}},
			[]denied{{"GET /group/repo.git/info/refs?service=git-receive-pack", allow.PushNotAllowed}, {"GET /group/repo.git/info/refs", allow.QueryNotAllowed},
				{"GET /group/repo.git/info/refs?service=git-upload-pack&service=git-receive-pack", allow.PushNotAllowed},
				{"GET /repo.git/info/refs?service=git-upload-pack", allow.NoRule}, {"GET /group/repoXgit/info/refs?service=git-upload-pack", allow.NoRule},
				{"GET /group%2Fsub/repo.git/info/refs?service=git-upload-pack", allow.AmbiguousPath},
				{"GET /group/..git/info/refs?service=git-upload-pack", allow.NoRule}, {"GET /api/v4/repo.git/info/refs?service=git-upload-pack", allow.NoRule},
				{"GET /group/repo/snippets/5.git/info/refs?service=git-upload-pack", allow.NoRule}, {"GET /group/repo.git/info/lfs", allow.NoRule}}},
		{"gitlab.git.upload_pack",
			[]allowed{{"POST /group/repo.git/git-upload-pack", "", "group/repo"}, {"POST /group/sub/repo.git/git-upload-pack", "", "group/sub/repo"}},
			[]denied{{"POST /group/repo.git/git-receive-pack", allow.PushNotAllowed}, {"POST /group/sub/repo.git/git-receive-pack", allow.PushNotAllowed},
				{"GET /group/repo.git/git-upload-pack", allow.MethodNotAllowed}, {"POST /group/repo.git/git-upload-pack?service=git-receive-pack", allow.PushNotAllowed}}},
	})
}

func TestGitLabProjects(t *testing.T) {
	p := everything(t, "gitlab", "acme/infra|acme/team/.*")
	for _, request := range []string{
		"GET /api/v4/projects/acme%2Finfra",
		"GET /api/v4/projects/acme%2Fteam%2Fx/merge_requests/1",
		"GET /acme/team/a/b.git/info/refs?service=git-upload-pack",
		"GET /api/v4/projects/acme%2Finfra/repository/compare?from=a&to=b",
		"GET /api/v4/projects", // about no project
		"GET /api/v4/user",
	} {
		checkAllowedOnly(t, p, request)
	}
	for _, d := range []denied{
		{"GET /api/v4/projects/evil-acme%2Finfra", allow.ProjectNotAllowed},
		{"GET /api/v4/projects/acme%2Finfra2", allow.ProjectNotAllowed},
		{"GET /api/v4/projects/evil%2Facme%2Finfra", allow.ProjectNotAllowed},
		{"GET /api/v4/projects/Acme%2FInfra", allow.ProjectNotAllowed},
		{"GET /api/v4/projects/acme%2Finfra.git", allow.ProjectNotAllowed},
		{"GET /api/v4/projects/42", allow.ProjectUnknown},
		{"GET /api/v4/projects/0042/repository/commits/abc", allow.ProjectUnknown},
		{"GET /acme/infra2.git/info/refs?service=git-upload-pack", allow.ProjectNotAllowed},
		{"GET /acme/infra.wiki.git/info/refs?service=git-upload-pack", allow.ProjectNotAllowed},
		{"GET /api/v4/projects/acme%2Finfra/repository/compare?from=a&to=b&from_project_id=7", allow.ProjectUnknown},
		{"POST /api/v4/projects/acme%2Finfra/environments?name=x&cluster_agent_id=7", allow.ProjectUnknown},
	} {
		checkDenied(t, p, d)
	}
}
