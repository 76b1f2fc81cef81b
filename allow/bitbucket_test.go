package allow_test

import (
	"testing"

	"vcsagent/allow"
)

func TestBitbucketRules(t *testing.T) {
	const B = "/rest/api/1.0/projects/INF/repos/stack"
	const L = "/rest/api/latest/projects/~jo.doe/repos/my.stack"
	const project, personal = "INF/stack", "~jo.doe/my.stack"
	testRules(t, "bitbucket_datacenter", []ruleRows{
		{"bitbucket.user.get",
			[]allowed{{request: "GET /rest/api/1.0/users/jo.doe"}, {request: "GET /rest/api/latest/users/jo"}},
			[]denied{{"GET /rest/api/1.0/users", allow.NoRule}, {"GET /rest/api/1.0/users/jo/repos", allow.NoRule}, {"PUT /rest/api/1.0/users/jo", allow.MethodNotAllowed}}},
		{"bitbucket.repos.list",
			[]allowed{{request: "GET /rest/api/1.0/repos?limit=100&start=0"}, {request: "GET /rest/api/latest/repos?name=stack"}},
			[]denied{{"GET /rest/api/1x0/repos", allow.NoRule}, {"GET /rest/api/2.0/repos", allow.NoRule}, {"GET /rest/api/1.0/repos/", allow.AmbiguousPath}}},
		{"bitbucket.repo.get",
			[]allowed{{"GET " + B, "", project}, {"GET " + L, "", personal},
				{"GET /rest/api/latest/projects/%7Ejo/repos/x", "/rest/api/latest/projects/~jo/repos/x", "~jo/x"}},
			[]denied{{"DELETE " + B, allow.MethodNotAllowed}, {"GET /rest/api/1.0/projects/INF", allow.NoRule}, {"GET " + B + "/permissions/users", allow.NoRule},
				{"GET /rest/api/1.0/projects/I%2FN/repos/stack", allow.AmbiguousPath}, {"GET /rest/api/1.0/projects/IN-F/repos/stack", allow.NoRule}}},
		{"bitbucket.branches.list",
			[]allowed{{"GET " + B + "/branches", "", project}, {"GET " + L + "/branches?filterText=main&details=true&limit=5", "", personal}},
			[]denied{{"GET " + B + "/branches/default", allow.NoRule}, {"POST " + B + "/branches", allow.MethodNotAllowed}}},
		{"bitbucket.commit.get",
			[]allowed{{"GET " + B + "/commits/0123abc", "", project}, {"GET " + L + "/commits/0123abc?path=infra%2Fmain.tf", "", personal}},
			[]denied{{"GET " + B + "/commits", allow.NoRule}, {"GET " + B + "/commits/0123abc/diff", allow.NoRule}, {"GET " + B + "/commits/0123abc%2Fdiff", allow.AmbiguousPath}}},
		{"bitbucket.compare.changes",
			[]allowed{{"GET " + B + "/compare/changes?from=a&to=b", "", project}, {"GET " + L + "/compare/changes?from=a&to=b&fromRepo=INF%2Fother", "", personal}},
			[]denied{{"GET " + B + "/compare/diff?from=a&to=b", allow.NoRule}, {"GET " + B + "/compare/changes?from=a&from=b", allow.QueryNotAllowed}}},
		{"bitbucket.compare.commits",
			[]allowed{{"GET " + B + "/compare/commits?from=a&to=b", "", project}, {"GET " + L + "/compare/commits?from=a&to=b&start=25", "", personal}},
			[]denied{{"GET " + B + "/compare", allow.NoRule}, {"POST " + B + "/compare/commits", allow.MethodNotAllowed}}},
		{"bitbucket.pull_requests.list",
			[]allowed{{"GET " + B + "/pull-requests?state=OPEN&at=refs%2Fheads%2Fmain", "", project}, {"GET " + L + "/pull-requests?direction=OUTGOING", "", personal}},
			[]denied{{"POST " + B + "/pull-requests", allow.MethodNotAllowed}, {"GET " + B + "/pull-request", allow.NoRule}}},
		{"bitbucket.pull_request.get",
			[]allowed{{"GET " + B + "/pull-requests/1", "", project}, {"GET " + L + "/pull-requests/99", "", personal}},
			[]denied{{"PUT " + B + "/pull-requests/1", allow.MethodNotAllowed}, {"GET " + B + "/pull-requests/0", allow.NoRule}, {"POST " + B + "/pull-requests/1/approve", allow.NoRule}}},
		{"bitbucket.pull_request.diff",
			[]allowed{{"GET " + B + "/pull-requests/1/diff", "", project}, {"GET " + L + "/pull-requests/1/diff?contextLines=3&whitespace=ignore-all", "", personal}},
			[]denied{{"GET " + B + "/pull-requests/1/diff/main.tf", allow.NoRule}, {"GET " + B + "/pull-requests/1.diff", allow.NoRule}}},
		{"bitbucket.pull_request.mergeable",
			[]allowed{{"GET " + B + "/pull-requests/1/merge", "", project}, {"HEAD " + L + "/pull-requests/1/merge", "", personal}},
			[]denied{{"POST " + B + "/pull-requests/1/merge", allow.MethodNotAllowed}, {"GET " + B + "/pull-requests/1/merge-base", allow.NoRule}}},
		{"bitbucket.commit.pull_requests",
			[]allowed{{"GET " + B + "/commits/0123abc/pull-requests", "", project}, {"GET " + L + "/commits/0123abc/pull-requests?limit=1", "", personal}},
			[]denied{{"GET " + B + "/commits/0123abc/pull-requests/1", allow.NoRule}, {"POST " + B + "/commits/0123abc/pull-requests", allow.MethodNotAllowed}}},
		{"bitbucket.comment.get",
			[]allowed{{"GET " + B + "/pull-requests/1/comments/2", "", project}, {"GET " + L + "/pull-requests/1/comments/2", "", personal}},
			[]denied{{"GET " + B + "/pull-requests/1/comments", allow.MethodNotAllowed}, {"GET " + B + "/pull-requests/1/comments/2/reactions", allow.NoRule}}},
		{"bitbucket.config.get",
			[]allowed{{"GET /projects/INF/repos/stack/raw/.spacelift/config.yml?at=refs%2Fheads%2Fmain", "", project},
				{"GET /projects/~jo/repos/x/raw/infra/%2Espacelift/config%2Eyml", "/projects/~jo/repos/x/raw/infra/.spacelift/config.yml", "~jo/x"},
				{"GET /projects/INF/repos/stack/raw/.spacelift/config.yml?at", "", project}, {"GET /projects/INF/repos/stack/raw/.spacelift/config.yml?at=", "", project},
				{"GET /projects/INF/repos/stack/raw/.spacelift%2Fconfig.yml", "/projects/INF/repos/stack/raw/.spacelift/config.yml", project}},
			[]denied{{"GET /projects/INF/repos/stack/raw/XspaceliftXconfigAyml", allow.NoRule}, {"GET /projects/INF/repos/stack/raw/main.tf", allow.NoRule}, {"GET /projects/INF/repos/stack/raw/main.tf%3F/.spacelift/config.yml", allow.NoRule},
				{"GET /projects/INF/repos/stack/raw/.spacelift/config.yml/x", allow.NoRule}, {"GET /projects/INF/repos/stack/raw/a/../.spacelift/config.yml", allow.AmbiguousPath}}},
		{"bitbucket.archive.get",
			[]allowed{{"GET " + B + "/archive?at=0123abc&format=tar.gz", "", project}, {"GET " + L + "/archive?path=a&path=b", "", personal}},
			[]denied{{"GET " + B + "/archive/x", allow.NoRule}, {"GET " + B + "/archive?at=a&at=b", allow.QueryNotAllowed}}},
		{"bitbucket.build.create",
			[]allowed{{"POST " + B + "/commits/0123abc/builds", "", project}, {"POST " + L + "/commits/0123abc/builds", "", personal}},
			[]denied{{"DELETE " + B + "/commits/0123abc/builds", allow.MethodNotAllowed}, {"POST /rest/build-status/1.0/commits/0123abc", allow.NoRule}}},
		{"bitbucket.comment.create",
			[]allowed{{"POST " + B + "/pull-requests/1/comments", "", project}, {"POST " + L + "/pull-requests/1/comments", "", personal}},
			[]denied{{"POST " + B + "/pull-requests/1/tasks", allow.NoRule}, {"POST " + B + "/commits/0123abc/comments", allow.NoRule}}},
		{"bitbucket.comment.update",
			[]allowed{{"PUT " + B + "/pull-requests/1/comments/2", "", project}, {"PUT " + L + "/pull-requests/1/comments/2", "", personal}},
			[]denied{{"DELETE " + B + "/pull-requests/1/comments/2", allow.MethodNotAllowed}, {"PUT " + B + "/pull-requests/1/comments/2/apply-suggestion", allow.NoRule}}},
		{"bitbucket.git.refs",
			[]allowed{{"GET /scm/inf/stack.git/info/refs?service=git-upload-pack", "", "inf/stack"}, {"GET /scm/~jo/x.git/info/refs?service=git-upload-pack", "", "~jo/x"}},
			[]denied{{"GET /scm/inf/stack.git/info/refs?service=git-receive-pack", allow.PushNotAllowed}, {"GET /scm/inf/stack/info/refs?service=git-upload-pack", allow.NoRule}}},
		{"bitbucket.git.upload_pack",
			[]allowed{{"POST /scm/inf/stack.git/git-upload-pack", "", "inf/stack"}, {"POST /scm/~jo/x.git/git-upload-pack", "", "~jo/x"}},
			[]denied{{"POST /scm/inf/stack.git/git-receive-pack", allow.PushNotAllowed}, {"POST /scm/inf/stack.git/info/lfs/objects/batch", allow.NoRule}}},
	})
}

func TestBitbucketProjects(t *testing.T) {
	p := everything(t, "bitbucket_datacenter", "INF/stack|~jo/.*")
	const compare = "GET /rest/api/1.0/projects/INF/repos/stack/compare/commits?from=a&to=b"
	for _, request := range []string{
		"GET /rest/api/1.0/projects/INF/repos/stack",
		"GET /rest/api/latest/projects/%7ejo/repos/x",
		compare, compare + "&fromRepo=~jo%2Fx",
		"GET /rest/api/1.0/repos",
	} {
		checkAllowedOnly(t, p, request)
	}
	for _, d := range []denied{
		{"GET /rest/api/1.0/projects/INF/repos/stack2", allow.ProjectNotAllowed},
		{"GET /rest/api/1.0/projects/XINF/repos/stack", allow.ProjectNotAllowed},
		{"GET /rest/api/1.0/projects/inf/repos/stack", allow.ProjectNotAllowed},
		{compare + "&fromRepo=42", allow.ProjectUnknown},
		{compare + "&fromRepo=", allow.ProjectUnknown},
		{compare + "&fromRepo=SECRET%2Fstack", allow.ProjectNotAllowed},
		{compare + "&fromRepo=~jo%2F..%2Fx", allow.ProjectUnknown},
		{"GET /projects/SECRET/repos/stack/raw/.spacelift/config.yml", allow.ProjectNotAllowed},
	} {
		checkDenied(t, p, d)
	}
}
