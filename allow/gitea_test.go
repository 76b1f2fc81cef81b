package allow_test

import (
	"testing"

	"vcsagent/allow"
)

func TestGiteaRules(t *testing.T) {
	const G = "/api/v1/repos/acme/infra"
	const project = "acme/infra"
	testRules(t, "gitea", []ruleRows{
		{"gitea.version.get",
			[]allowed{{request: "GET /api/v1/version"}, {request: "HEAD /api/v1/version"}},
			[]denied{{"GET /api/v1/settings/api", allow.NoRule}, {"GET /api/v1/version/", allow.AmbiguousPath}, {"GET /api/v1", allow.NoRule},
				{"GET /api/v1/admin/users", allow.NoRule}, {"POST /api/v1/admin/users", allow.NoRule}, {"GET /api/v1/admin/cron", allow.NoRule}}},
		{"gitea.user.current",
			[]allowed{{request: "GET /api/v1/user"}, {request: "GET /%61pi/v1/user", sent: "/api/v1/user"}},
			[]denied{{"GET /api/v1/user/keys", allow.NoRule}, {"GET /api/v1/user/settings", allow.NoRule}, {"GET /api/v1/user/applications/oauth2", allow.NoRule},
				{"GET /api/v1/user?sudo=root", allow.QueryNotAllowed}, {"GET /api/v1/user?token=x", allow.QueryNotAllowed},
				{"GET /api/v1/user?access_token=x", allow.QueryNotAllowed}, {"PATCH /api/v1/user", allow.MethodNotAllowed}}},
		{"gitea.user.get",
			[]allowed{{request: "GET /api/v1/users/octo.cat-1"}, {request: "GET /api/v1/users/admin"}},
			[]denied{{"GET /api/v1/users/search", allow.NoRule}, {"GET /api/v1/users/Search", allow.NoRule}, {"GET /api/v1/users/search?q=a", allow.NoRule},
				{"GET /api/v1/users", allow.NoRule}, {"GET /api/v1/users/octo/tokens", allow.NoRule}, {"POST /api/v1/users/octo/tokens", allow.NoRule},
				{"GET /api/v1/users/octo/keys", allow.NoRule}, {"GET /api/v1/users/octo%2Fkeys", allow.AmbiguousPath}}},
		{"gitea.user.repos",
			[]allowed{{request: "GET /api/v1/user/repos"}, {request: "GET /api/v1/user/repos?limit=50&page=2&order_by=name"}},
			[]denied{{"POST /api/v1/user/repos", allow.MethodNotAllowed}, {"GET /api/v1/users/octo/repos", allow.NoRule}, {"GET /api/v1/user/repos?page=1&page=2", allow.QueryNotAllowed}}},
		{"gitea.repos.search",
			[]allowed{{request: "GET /api/v1/repos/search"}, {request: "GET /api/v1/repos/search?exclusive=true&limit=50&page=1&q=infra&uid=3"}},
			[]denied{{"GET /api/v1/repos/issues/search", allow.NoRule}, {"GET /api/v1/repos/search?Q=infra", allow.QueryNotAllowed}, {"POST /api/v1/repos/migrate", allow.NoRule},
				{"GET /api/v1/topics/search", allow.NoRule}, {"GET /api/v1/repos/search?q=a&sudo=root", allow.QueryNotAllowed}}},
		{"gitea.repo.get",
			[]allowed{{"GET " + G, "", project}, {"GET /api/v1/repos/acme.corp-1/infra.name", "", "acme.corp-1/infra.name"}, {"GET /api/v1/repos/search/infra", "", "search/infra"}},
			[]denied{{"DELETE " + G, allow.MethodNotAllowed}, {"PATCH " + G, allow.MethodNotAllowed}, {"GET /api/v1/repos/acme", allow.NoRule},
				{"GET /api/v1/repos/Issues/search", allow.NoRule}, {"GET /api/v1/repos/acme%2Finfra", allow.AmbiguousPath}, {"GET /api/v1/repos/-/infra", allow.NoRule},
				{"GET /api/v1/repositories/42", allow.NoRule}, {"GET /api/v3/repos/acme/infra", allow.NoRule}, {"GET /repos/acme/infra", allow.NoRule},
				{"GET " + G + "/hooks", allow.NoRule}, {"POST " + G + "/hooks", allow.NoRule}, {"GET " + G + "/hooks/git", allow.NoRule}, {"GET " + G + "/keys", allow.NoRule},
				{"POST " + G + "/keys", allow.NoRule}, {"POST " + G + "/transfer", allow.NoRule}, {"POST " + G + "/mirror-sync", allow.NoRule},
				{"GET " + G + "/collaborators", allow.NoRule}, {"PUT " + G + "/actions/secrets/X", allow.NoRule}, {"POST " + G + "/diffpatch", allow.NoRule},
				{"POST " + G + "/push_mirrors", allow.NoRule}, {"GET " + G + "/deployments", allow.NoRule}, {"GET " + G + "?sudo=root", allow.QueryNotAllowed}}},
		{"gitea.branches.list",
			[]allowed{{"GET " + G + "/branches", "", project}, {"GET " + G + "/branches?limit=50&page=1&q=feature%2F", "", project}},
			[]denied{{"POST " + G + "/branches", allow.MethodNotAllowed}, {"GET " + G + "/branch_protections", allow.NoRule}, {"GET " + G + "/tags", allow.NoRule}}},
		{"gitea.branch.get",
			[]allowed{{"GET " + G + "/branches/main", "", project}, {"GET " + G + "/branches/feature/x%231", "", project},
				{"GET " + G + "/branches/feature%2Fx%2Fy", G + "/branches/feature/x/y", project}},
			[]denied{{"DELETE " + G + "/branches/main", allow.MethodNotAllowed}, {"PATCH " + G + "/branches/feature/x", allow.MethodNotAllowed}, {"GET " + G + "/branches/main~1", allow.NoRule},
				{"GET " + G + "/branches/main/../../hooks", allow.AmbiguousPath}, {"GET " + G + "/branches/main%2F..%2F..%2Fhooks", allow.AmbiguousPath},
				{"GET " + G + "/branches/feature%2F", allow.AmbiguousPath}, {"GET " + G + "/branches/other:main", allow.NoRule}}},
		{"gitea.commit.diff",
			[]allowed{{"GET " + G + "/git/commits/0123abcdef.diff", "", project}, {"GET " + G + "/git/commits/0123abcdef.patch", "", project}},
			[]denied{{"GET " + G + "/git/commits/0123abcdef.diff?stat=false", allow.QueryNotAllowed}, {"POST " + G + "/git/commits/0123abcdef.diff", allow.MethodNotAllowed},
				{"GET " + G + "/git/commits/a%2Fb.diff", allow.AmbiguousPath}}},
		{"gitea.commit.get",
			[]allowed{{"GET " + G + "/git/commits/0123abcdef", "", project}, {"GET " + G + "/git/commits/v1.0?files=false&stat=false&verification=false", "", project}},
			[]denied{{"GET " + G + "/git/trees/0123abcdef", allow.NoRule}, {"GET " + G + "/git/blobs/0123abcdef", allow.NoRule}, {"GET " + G + "/git/refs", allow.NoRule},
				{"GET " + G + "/git/notes/0123abcdef", allow.NoRule}, {"GET " + G + "/git/commits", allow.NoRule}, {"GET " + G + "/git/commits/0123abcdef/x", allow.NoRule},
				{"GET " + G + "/git/commits/main%5E", allow.NoRule}, {"GET " + G + "/git/commits/main:secrets.tf", allow.NoRule}}},
		{"gitea.commit.pull",
			[]allowed{{"GET " + G + "/commits/0123abcdef/pull", "", project}, {"HEAD " + G + "/commits/0123abcdef/pull", "", project}},
			[]denied{{"GET " + G + "/commits", allow.NoRule}, {"GET " + G + "/commits/0123abcdef", allow.NoRule}, {"GET " + G + "/commits/0123abcdef/status", allow.NoRule},
				{"GET " + G + "/commits/0123abcdef/statuses", allow.NoRule}, {"GET " + G + "/commits/0123abcdef/pull/1", allow.NoRule}}},
		{"gitea.compare",
			[]allowed{{"GET " + G + "/compare/main...0123abc", "", project}, {"GET " + G + "/compare/main..0123abc?output=diff", "", project},
				{"GET " + G + "/compare/release/1.0...feature/x", "", project},
				{"GET " + G + "/compare/release%2F1.0...feature%2Fx", G + "/compare/release/1.0...feature/x", project}},
			[]denied{
				{"GET " + G + "/compare/main...fork:feature", allow.NoRule}, {"GET " + G + "/compare/main...fork%3Afeature", allow.NoRule},
				{"GET " + G + "/compare/main...fork/infra:feature", allow.NoRule}, {"GET " + G + "/compare/main...acme:feature", allow.NoRule},
				{"GET " + G + "/compare/fork:main...feature", allow.NoRule}, {"GET " + G + "/compare/main..fork/infra:feature", allow.NoRule},
				{"GET " + G + "/compare/fork:feature", allow.NoRule}, {"GET " + G + "/compare/feature", allow.NoRule}, {"GET " + G + "/compare/main...", allow.NoRule},
				{"GET " + G + "/compare/...main", allow.NoRule}, {"GET " + G + "/compare/a...b...c", allow.NoRule}, {"GET " + G + "/compare/a..b...c", allow.NoRule},
				{"GET " + G + "/compare/a....b", allow.NoRule}, {"GET " + G + "/compare/a.....b", allow.NoRule},
				{"GET " + G + "/compare/main~1...main", allow.NoRule}, {"GET " + G + "/compare/main...main%5E", allow.NoRule},
				{"GET " + G + "/compare/a...b/../../hooks", allow.AmbiguousPath}, {"GET " + G + "/compare/a...b%2F..%2F..%2Fhooks", allow.AmbiguousPath},
				{"GET " + G + "/compare", allow.NoRule}}},
		{"gitea.pulls.list",
			[]allowed{{"GET " + G + "/pulls", "", project}, {"GET " + G + "/pulls?labels=1&labels=2&limit=50&page=1&sort=recentupdate&state=open", "", project},
				{"GET " + G + "/pulls?base_branch=release%2F1.0", "", project}},
			[]denied{{"POST " + G + "/pulls", allow.MethodNotAllowed}, {"GET " + G + "/pulls?state=open&state=all", allow.QueryNotAllowed}, {"GET " + G + "/pulls?head=fork:x", allow.QueryNotAllowed},
				{"GET " + G + "/pulls/pinned", allow.NoRule}, {"GET " + G + "/issues", allow.NoRule}}},
		{"gitea.pull.get",
			[]allowed{{"GET " + G + "/pulls/5", "", project}, {"HEAD " + G + "/pulls/5", "", project}},
			[]denied{{"PATCH " + G + "/pulls/5", allow.MethodNotAllowed}, {"GET " + G + "/pulls/05", allow.NoRule}, {"GET " + G + "/pulls/main/feature", allow.NoRule},
				{"GET " + G + "/pulls/main/fork:feature", allow.NoRule}, {"GET " + G + "/pulls/5/commits", allow.NoRule}, {"POST " + G + "/pulls/5/update", allow.NoRule},
				{"POST " + G + "/pulls/5/requested_reviewers", allow.NoRule}, {"GET " + G + "/issues/5", allow.NoRule}}},
		{"gitea.pull.diff",
			[]allowed{{"GET " + G + "/pulls/5.diff", "", project}, {"GET " + G + "/pulls/5.patch?binary=true", "", project}},
			[]denied{{"GET " + G + "/pulls/5Xdiff", allow.NoRule}, {"GET " + G + "/pulls/5.html", allow.NoRule}, {"GET " + G + "/pulls/.diff", allow.NoRule}}},
		{"gitea.pull.files",
			[]allowed{{"GET " + G + "/pulls/5/files", "", project}, {"GET " + G + "/pulls/5/files?limit=50&page=1&skip-to=a%2Fb.tf&whitespace=ignore-all", "", project}},
			[]denied{{"GET " + G + "/pulls/x/files", allow.NoRule}, {"GET " + G + "/pulls/5/files/a", allow.NoRule}, {"POST " + G + "/pulls/5/files", allow.MethodNotAllowed}}},
		{"gitea.pull.reviews",
			[]allowed{{"GET " + G + "/pulls/5/reviews", "", project}, {"GET " + G + "/pulls/5/reviews?limit=50&page=1", "", project}},
			[]denied{{"POST " + G + "/pulls/5/reviews", allow.MethodNotAllowed}, {"GET " + G + "/pulls/5/reviews/1", allow.NoRule}, {"POST " + G + "/pulls/5/reviews/1", allow.NoRule},
				{"GET " + G + "/pulls/5/reviews/1/comments", allow.NoRule}, {"POST " + G + "/pulls/5/reviews/1/dismissals", allow.NoRule}}},
		{"gitea.pull.merged",
			[]allowed{{"GET " + G + "/pulls/5/merge", "", project}, {"HEAD " + G + "/pulls/5/merge", "", project}},
			[]denied{{"POST " + G + "/pulls/5/merge", allow.MethodNotAllowed}, {"DELETE " + G + "/pulls/5/merge", allow.MethodNotAllowed}, {"POST " + G + "/merge-upstream", allow.NoRule}}},
		{"gitea.config.raw",
			[]allowed{
				{"GET " + G + "/raw/.spacelift/config.yml?ref=feature%2Fx", "", project},
				{"GET " + G + "/raw/.spacelift%2Fconfig.yml", G + "/raw/.spacelift/config.yml", project},
				{"GET " + G + "/raw/infra/prod/%2Espacelift/config%2Eyml", G + "/raw/infra/prod/.spacelift/config.yml", project},
				{"GET " + G + "/raw/main/.spacelift/config.yml", "", project}},
			[]denied{{"GET " + G + "/raw/secrets.tf", allow.NoRule}, {"GET " + G + "/raw/main.tf%23/.spacelift/config.yml", allow.NoRule}, {"GET " + G + "/raw/XspaceliftXconfigAyml", allow.NoRule}, {"GET " + G + "/raw/x.spacelift/config.yml", allow.NoRule},
				{"GET " + G + "/raw/.spacelift/config.yml.bak", allow.NoRule}, {"GET " + G + "/raw/.spacelift/config.yml/x", allow.NoRule},
				{"GET " + G + "/raw/.spacelift/../secrets/.spacelift/config.yml", allow.AmbiguousPath}, {"GET " + G + "/raw/a%2F..%2F.spacelift%2Fconfig.yml", allow.AmbiguousPath},
				{"GET " + G + "/media/.spacelift/config.yml", allow.NoRule}, {"GET /acme/infra/raw/.spacelift/config.yml", allow.NoRule},
				{"GET " + G + "/raw/.spacelift/config.yml?ref=a&ref=b", allow.QueryNotAllowed}}},
		{"gitea.config.contents",
			[]allowed{{"GET " + G + "/contents/.spacelift/config.yml?ref=main", "", project}, {"GET " + G + "/contents/infra/.spacelift%2Fconfig.yml", G + "/contents/infra/.spacelift/config.yml", project}},
			[]denied{{"PUT " + G + "/contents/.spacelift/config.yml", allow.MethodNotAllowed}, {"POST " + G + "/contents/.spacelift/config.yml", allow.MethodNotAllowed},
				{"DELETE " + G + "/contents/.spacelift/config.yml", allow.MethodNotAllowed}, {"PUT " + G + "/contents/main.tf", allow.NoRule}, {"POST " + G + "/contents", allow.NoRule},
				{"GET " + G + "/contents", allow.NoRule}, {"GET " + G + "/contents/.spacelift", allow.NoRule}, {"GET " + G + "/contents-ext/.spacelift/config.yml", allow.NoRule},
				{"GET " + G + "/file-contents", allow.NoRule}}},
		{"gitea.archive.get",
			[]allowed{{"GET " + G + "/archive/0123abc.tar.gz", "", project}, {"GET " + G + "/archive/feature/x.zip?path=infra&path=modules", "", project},
				{"GET " + G + "/archive/feature%2Fx%2Etar.gz", G + "/archive/feature/x.tar.gz", project}},
			[]denied{{"GET " + G + "/archive/main.bundle", allow.NoRule}, {"GET " + G + "/archive/main", allow.NoRule}, {"GET " + G + "/archive/mainXtar.gz", allow.NoRule},
				{"GET " + G + "/archive/main.tarXgz", allow.NoRule}, {"GET " + G + "/archive/.tar.gz", allow.NoRule}, {"GET " + G + "/archive/a/.zip", allow.NoRule},
				{"GET " + G + "/archive/main~1.zip", allow.NoRule}, {"GET " + G + "/archive/main:infra.zip", allow.NoRule}, {"GET " + G + "/archive/-x.zip", allow.NoRule},
				{"GET " + G + "/archive/x/../main.zip", allow.AmbiguousPath}, {"GET /acme/infra/archive/main.zip", allow.NoRule}, {"GET " + G + "/tarball/main", allow.NoRule}}},
		{"gitea.status.create",
			[]allowed{{"POST " + G + "/statuses/0123abc", "", project}, {"POST /api/v1/repos/acme.corp/infra/statuses/0123abc", "", "acme.corp/infra"}},
			[]denied{{"GET " + G + "/statuses/0123abc", allow.MethodNotAllowed}, {"POST " + G + "/statuses/0123abc?state=success", allow.QueryNotAllowed},
				{"POST " + G + "/statuses/0123abc?sudo=root", allow.QueryNotAllowed}, {"POST " + G + "/statuses", allow.NoRule}, {"POST " + G + "/statuses/a%2Fb", allow.AmbiguousPath}}},
		{"gitea.comment.create",
			[]allowed{{"POST " + G + "/issues/9/comments", "", project}, {"POST /api/v1/repos/acme.corp/infra/issues/9/comments", "", "acme.corp/infra"}},
			[]denied{{"POST " + G + "/issues", allow.NoRule}, {"GET " + G + "/issues/9/comments", allow.MethodNotAllowed}, {"POST " + G + "/issues/9/labels", allow.NoRule},
				{"POST " + G + "/issues/9/assets", allow.NoRule}, {"POST " + G + "/issues/9/comments?body=x", allow.QueryNotAllowed}}},
		{"gitea.comment.update",
			[]allowed{{"PATCH " + G + "/issues/comments/5", "", project}, {"PATCH /api/v1/repos/acme.corp/infra/issues/comments/5", "", "acme.corp/infra"}},
			[]denied{{"DELETE " + G + "/issues/comments/5", allow.MethodNotAllowed}, {"PATCH " + G + "/issues/5", allow.NoRule}, {"PATCH " + G + "/issues/9/comments/5", allow.NoRule},
				{"POST " + G + "/issues/comments/5/assets", allow.NoRule}, {"PATCH " + G + "/issues/comments/5?body=x", allow.QueryNotAllowed}}},
		{"gitea.git.refs",
			[]allowed{{"GET /acme/infra.git/info/refs?service=git-upload-pack", "", project}, {"GET /acme.corp/a.b.git/info/refs?service=git-upload-pack", "", "acme.corp/a.b"}},
			[]denied{{"GET /acme/infra.git/info/refs?service=git-receive-pack", allow.PushNotAllowed}, {"GET /acme/infra.git/info/refs", allow.QueryNotAllowed},
				{"GET /acme/infra.git/info/refs?go-get=1&service=git-upload-pack", allow.QueryNotAllowed}, {"GET /acme/infra/info/refs?service=git-upload-pack", allow.NoRule},
				{"GET /acme/sub/infra.git/info/refs?service=git-upload-pack", allow.NoRule}, {"GET /api/v1.git/info/refs?service=git-upload-pack", allow.NoRule},
				{"GET /User/x.git/info/refs?service=git-upload-pack", allow.NoRule}, {"GET /-/x.git/info/refs?service=git-upload-pack", allow.NoRule},
				{"GET /acme/infraXgit/info/refs?service=git-upload-pack", allow.NoRule}, {"GET /acme/infra.git/HEAD", allow.NoRule},
				{"GET /acme/infra.git/objects/info/packs", allow.NoRule}, {"POST /acme/infra.git/info/lfs/objects/batch", allow.NoRule}}},
		{"gitea.git.upload_pack",
			[]allowed{{"POST /acme/infra.git/git-upload-pack", "", project}, {"POST /acme.corp/a.b.git/git-upload-pack", "", "acme.corp/a.b"}},
			[]denied{{"POST /acme/infra.git/git-receive-pack", allow.PushNotAllowed}, {"POST /acme/infra.git/git-upload-archive", allow.NoRule}, {"GET /acme/infra.git/git-upload-pack", allow.MethodNotAllowed},
				{"POST /acme/infra/git-upload-pack", allow.NoRule}, {"POST /acme/infra.git/git-upload-pack?service=git-receive-pack", allow.PushNotAllowed}}},
	})
}

func TestGiteaProjects(t *testing.T) {
	p := everything(t, "gitea", "acme/infra|acme/mirror")
	for _, request := range []string{
		"GET /api/v1/repos/acme/infra",
		"GET /api/v1/repos/acme/mirror/pulls/1",
		"GET /api/v1/repos/acme/infra/compare/main...feature/x",
		"POST /api/v1/repos/acme/infra/statuses/0123abc",
		"GET /acme/infra.git/info/refs?service=git-upload-pack",
		"GET /api/v1/repos/search", // about no project
		"GET /api/v1/user/repos",
		"GET /api/v1/users/octocat",
	} {
		checkAllowedOnly(t, p, request)
	}
	for _, d := range []denied{
		{"GET /api/v1/repos/acme/infra2", allow.ProjectNotAllowed},
		{"GET /api/v1/repos/evil-acme/infra", allow.ProjectNotAllowed},
		{"GET /api/v1/repos/ACME/infra", allow.ProjectNotAllowed},
		{"GET /api/v1/repos/acme/Infra/pulls/1", allow.ProjectNotAllowed},
		{"GET /api/v1/repos/acme/infra.git", allow.ProjectNotAllowed},
		{"GET /api/v1/repos/acme/secret/archive/main.tar.gz", allow.ProjectNotAllowed},
		{"GET /api/v1/repos/acme/secret/raw/.spacelift/config.yml", allow.ProjectNotAllowed},
		{"PATCH /api/v1/repos/acme/secret/issues/comments/5", allow.ProjectNotAllowed},
		{"GET /api/v1/repositories/42", allow.NoRule},
		{"GET /api/v1/repos/acme/infra/compare/main...evil:feature", allow.NoRule},
		{"GET /api/v1/repos/acme/infra/compare/main...evil/infra:feature", allow.NoRule},
		{"GET /api/v1/repos/acme/infra/compare/main..acme/secret:feature", allow.NoRule},
		{"GET /acme/infra2.git/info/refs?service=git-upload-pack", allow.ProjectNotAllowed},
		{"GET /acme/infra.wiki.git/info/refs?service=git-upload-pack", allow.ProjectNotAllowed},
		{"POST /acme/infra.wiki.git/git-upload-pack", allow.ProjectNotAllowed},
		{"GET /acme/infra.git.git/info/refs?service=git-upload-pack", allow.ProjectNotAllowed},
		{"POST /Acme/infra.git/git-upload-pack", allow.ProjectNotAllowed},
	} {
		checkDenied(t, p, d)
	}
}

func TestGiteaBodies(t *testing.T) {
	const G = "/api/v1/repos/acme/infra"
	p := everything(t, "gitea", "")
	checkBodies(t, p, "POST "+G+"/statuses/0123abc", []bodyRow{
		{jsonType, `{"state":"success","target_url":"https://saas.example/run/1","description":"planned","context":"plan"}`, "", ""},
		{jsonType, `{"state":"success","STATE":"failure"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"state":"success","sudo":"root"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"state":"success","state":"failure"}`, allow.BadBody, ""},
		{formType, "state=success&sudo=root", allow.BadBody, ""},
		{formType, "state=success", allow.BadBody, ""},
		{jsonType + "; x=form-urlencoded", `{"state":"success"}`, allow.BadBody, ""},
	})
	for _, request := range []string{"POST " + G + "/issues/9/comments", "PATCH " + G + "/issues/comments/5"} {
		checkBodies(t, p, request, []bodyRow{
			{jsonType, `{"body":"hello\n/x"}`, "", ""},
			{jsonType, `{"body":"x","updated_at":"2001-01-01T00:00:00Z"}`, allow.FieldNotAllowed, ""},
			{jsonType, `{"body":"x","Body":"y"}`, allow.FieldNotAllowed, ""},
			{jsonType, `{"body":"x","access_token":"y"}`, allow.FieldNotAllowed, ""},
			{jsonType, `[{"body":"x"}]`, allow.BadBody, ""},
			{formType, "body=x&token=y", allow.BadBody, ""},
			{"multipart/form-data; boundary=XX", "--XX\r\nContent-Disposition: form-data; name=\"body\"\r\n\r\nx\r\n--XX--\r\n", allow.BadBody, ""},
			{"", `{"body":"x"}`, "", ""},
			{"", `body=x`, allow.BadBody, ""},
		})
	}
	for _, request := range []string{"GET " + G, "GET /acme/infra.git/info/refs?service=git-upload-pack"} {
		checkBodies(t, p, request, []bodyRow{
			{"", "", "", ""},
			{formType, "sudo=root", allow.BodyNotAllowed, ""},
		})
	}
	d := checkAllowedOnly(t, p, "POST /acme/infra.git/git-upload-pack")
	if d.InspectBody || d.ContentType != "application/x-git-upload-pack-request" {
		t.Errorf("git streams as %+v", d)
	}
}

// TestGiteaObserves holds what observing never lets through, beside the nearest
// call that it does.
func TestGiteaObserves(t *testing.T) {
	const G = "/api/v1/repos/acme/infra"
	p := policy(t, allow.Options{Vendor: "gitea", Groups: []string{"read"}, Observe: true})
	for _, request := range []string{
		"GET " + G + "/tags",
		"GET " + G + "/hooks",
		"GET " + G + "/releases",
		"GET " + G + "/git/trees/main",
		"GET " + G + "/issues/9/labels",
		"GET /acme/infra/objections",
	} {
		if d := checkAllowedOnly(t, p, request); d.Observed == "" {
			t.Errorf("%s: isn't told as observed: %+v", request, d)
		}
	}
	for _, d := range []denied{
		{"POST " + G + "/tags", allow.PushNotAllowed},
		{"POST " + G + "/issues/9/labels", allow.PushNotAllowed},
		{"PUT " + G + "/contents/main.tf", allow.PushNotAllowed},
		{"POST " + G + "/contents", allow.PushNotAllowed},
		{"POST " + G + "/Contents/main.tf", allow.PushNotAllowed},
		{"DELETE " + G + "/branches/main", allow.PushNotAllowed},
		{"POST " + G + "/diffpatch", allow.PushNotAllowed},
		{"DELETE " + G + "/releases/1", allow.PushNotAllowed},
		{"POST " + G + "/git/notes/0123abc", allow.PushNotAllowed},
		{"PATCH " + G + "/hooks/git/update", allow.PushNotAllowed},
		{"POST " + G + "/pulls/5/merge", allow.PushNotAllowed},
		{"POST " + G + "/pulls/5/update", allow.PushNotAllowed},
		{"POST " + G + "/merge-upstream", allow.PushNotAllowed},
		{"POST " + G + "/sync_fork/main", allow.PushNotAllowed},
		{"POST " + G + "/mirror-sync", allow.PushNotAllowed},
		{"POST " + G + "/push_mirrors", allow.PushNotAllowed},
		{"POST " + G + "/push_mirrors-sync", allow.PushNotAllowed},
		{"PATCH " + G + "/wiki/page/Home", allow.PushNotAllowed},
		{"POST " + G + "/generate", allow.PushNotAllowed},
		{"POST /api/v1/repos/migrate", allow.PushNotAllowed},
		{"POST /acme/infra/_edit/main/main.tf", allow.PushNotAllowed},
		{"POST /acme/infra/pulls/5/merge", allow.PushNotAllowed},
		{"POST /acme/infra/wiki", allow.PushNotAllowed},
		{"POST /acme/infra/git-receive-pack", allow.PushNotAllowed},

		{"GET " + G + "/archive/main.tar.gz", allow.GroupOff},
		{"GET " + G + "/archive/main.bundle", allow.GroupOff},
		{"GET " + G + "/tarball/main", allow.GroupOff},
		{"GET /acme/infra/archive/main.zip", allow.GroupOff},
		{"PATCH " + G + "/issues/9/comments/5", allow.GroupOff},
		{"DELETE " + G + "/issues/comments/5", allow.GroupOff},
		{"GET /acme/infra/HEAD", allow.GroupOff},
		{"GET /acme/infra/objects/01/23456789abcdef0123456789abcdef01234567", allow.GroupOff},
		{"GET /acme/infra/info/refs?service=git-upload-pack", allow.GroupOff},

		{"GET " + G + "/tags?token=x", allow.QueryNotAllowed},
		{"GET " + G + "/tags?sudo=root", allow.QueryNotAllowed},
	} {
		checkDenied(t, p, d)
	}
}
