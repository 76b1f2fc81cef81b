package allow_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"vcsagent/allow"
)

func TestAzureRules(t *testing.T) {
	const A = "/DefaultCollection/Infra/_apis/git/repositories/stack"
	const S = "/acme/My%20Project/_apis/git/repositories/R%C3%A9seau%20%28v2%29"
	const pulls = A + "/pullRequests"
	const project, spaced = "DefaultCollection/Infra/stack", "acme/My Project/Réseau (v2)"
	testRules(t, "azure_devops", []ruleRows{
		{"azure.resources.list",
			[]allowed{{request: "OPTIONS /DefaultCollection/_apis"}, {request: "OPTIONS /acme/_apis?api-version=7.1"}},
			[]denied{{"GET /DefaultCollection/_apis", allow.MethodNotAllowed}, {"OPTIONS /_apis", allow.NoRule}, {"OPTIONS /DefaultCollection/_apis/git", allow.NoRule},
				{"OPTIONS /DefaultCollection/Infra/_apis", allow.NoRule}, {"OPTIONS /DefaultCollection/_APIS", allow.NoRule}, {"OPTIONS /_apis/_apis", allow.NoRule},
				{"OPTIONS /_git/_apis", allow.NoRule}, {"OPTIONS /DefaultCollection/_apis/", allow.AmbiguousPath}}},
		{"azure.areas.list",
			[]allowed{{request: "GET /DefaultCollection/_apis/ResourceAreas"}, {request: "GET /acme/_apis/resourceAreas?api-version=5.1-preview.1"}},
			[]denied{{"GET /acme/_apis/RESOURCEAREAS", allow.NoRule}, {"GET /acme/_apis/ResourceAreas/4e080c62-fa21-4fbc-8fef-2a10a2b38049", allow.NoRule},
				{"GET /acme/_apis/ResourceAreas?hostId=4e080c62-fa21-4fbc-8fef-2a10a2b38049", allow.QueryNotAllowed}, {"POST /acme/_apis/ResourceAreas", allow.MethodNotAllowed}}},
		{"azure.repositories.list",
			[]allowed{{request: "GET /DefaultCollection/_apis/git/repositories"}, {request: "GET /acme/My%20Project/_apis/git/repositories?includeLinks=true&api-version=7.1"},
				{request: "GET /acme/4e080c62-fa21-4fbc-8fef-2a10a2b38049/_apis/git/repositories?includeHidden=false&includeAllUrls=true"}},
			[]denied{{"POST /DefaultCollection/_apis/git/repositories", allow.MethodNotAllowed}, {"POST /acme/Infra/_apis/git/repositories", allow.MethodNotAllowed},
				{"GET /acme/Infra/Team/_apis/git/repositories", allow.NoRule}, {"GET " + A, allow.NoRule}, {"GET /acme/_apis/git/stack/repositories", allow.NoRule},
				{"GET /acme/_APIS/git/repositories", allow.NoRule}, {"GET /acme/_apis/Git/Repositories", allow.NoRule}, {"GET /acme/_apis/git/repositories?API-Version=7.1", allow.QueryNotAllowed},
				{"GET /acme/_apis/git/deletedrepositories", allow.NoRule}, {"GET /acme/Infra/_apis/git/recycleBin/repositories", allow.NoRule}}},
		{"azure.compare",
			[]allowed{{"GET " + A + "/diffs/commits?baseVersion=main&targetVersion=feature%2Fx&targetVersionType=branch&api-version=7.1", "", project},
				{"GET " + S + "/diffs/commits?diffCommonCommit=true&$top=100&$skip=0", S + "/diffs/commits?diffCommonCommit=true&%24top=100&%24skip=0", spaced},
				{"GET " + A + "/diffs/commits?baseVersionType=commit&baseVersionOptions=none&targetVersionOptions=none", "", project}},
			[]denied{{"GET " + A + "/diffs", allow.NoRule}, {"GET " + A + "/diffs/commits/abc", allow.NoRule}, {"POST " + A + "/diffs/commits", allow.MethodNotAllowed},
				{"GET " + A + "/diffs/commits?baseversion=main", allow.QueryNotAllowed}, {"GET " + A + "/diffs/commits?baseVersion=a&baseVersion=b", allow.QueryNotAllowed},
				{"GET " + A + "/diffs/commits?$Top=1", allow.QueryNotAllowed}, {"GET " + A + "/Diffs/Commits", allow.NoRule}}},
		{"azure.branches.list",
			[]allowed{{"GET " + A + "/stats/branches", "", project}, {"GET " + A + "/stats/branches?name=feature%2Fx&api-version=5.1", "", project},
				{"GET " + S + "/stats/branches?baseVersionDescriptor.version=main&baseVersionDescriptor.versionType=branch&baseVersionDescriptor.versionOptions=none", "", spaced}},
			[]denied{{"GET " + A + "/stats/branches/main", allow.NoRule}, {"GET " + A + "/stats", allow.NoRule}, {"POST " + A + "/stats/branches", allow.MethodNotAllowed}, {"GET " + A + "/stats/Branches", allow.NoRule}}},
		{"azure.items.get",
			[]allowed{{"GET " + A + "/items?path=%2F.spacelift%2Fconfig.yml&includeContent=true&versionDescriptor.version=abc&versionDescriptor.versionType=commit&api-version=7.1", "", project},
				{"GET " + A + "/items?scopePath=/&versionDescriptor.version=abc&%24format=zip&download=true&zipForUnix=true", A + "/items?scopePath=%2F&versionDescriptor.version=abc&%24format=zip&download=true&zipForUnix=true", project},
				{"GET " + S + "/items?scopePath=%2Finfra&recursionLevel=Full&includeContentMetadata=true&latestProcessedChange=true&includeLinks=false", "", spaced},
				{"GET " + A + "/items?path=%2Fa&resolveLfs=true&sanitize=true&versionDescriptor.versionOptions=none", "", project}},
			[]denied{{"POST " + A + "/items", allow.MethodNotAllowed}, {"GET " + A + "/items/main.tf", allow.NoRule}, {"POST " + A + "/itemsbatch", allow.NoRule},
				{"GET " + A + "/items?path=a&path=b", allow.QueryNotAllowed}, {"GET " + A + "/items?Path=%2Fa", allow.QueryNotAllowed}, {"GET " + A + "/items?path=a&projectId=Secret", allow.QueryNotAllowed},
				{"GET " + A + "/blobs/0123abc", allow.NoRule}, {"GET " + A + "/trees/0123abc", allow.NoRule}, {"GET " + A + "/items?path=a&api-version=7.1&api-version=7.2", allow.QueryNotAllowed}}},
		{"azure.commit.get",
			[]allowed{{"GET " + A + "/commits/0123abc", "", project}, {"GET " + S + "/commits/0123abc?changeCount=100&api-version=7.1", "", spaced}},
			[]denied{{"GET " + A + "/commits", allow.NoRule}, {"GET " + A + "/commits/0123abc/changes", allow.NoRule}, {"GET " + A + "/commits/0123abc%2Fchanges", allow.AmbiguousPath},
				{"GET " + A + "/Commits/0123abc", allow.NoRule}, {"POST " + A + "/commitsbatch", allow.NoRule}}},
		{"azure.pull_requests.list",
			[]allowed{{"GET " + pulls + "?searchCriteria.status=active&searchCriteria.targetRefName=refs%2Fheads%2Fmain&$top=50", pulls + "?searchCriteria.status=active&searchCriteria.targetRefName=refs%2Fheads%2Fmain&%24top=50", project},
				{"GET " + S + "/pullrequests?searchCriteria.sourceRefName=refs%2Fheads%2Fx&searchCriteria.includeLinks=true&maxCommentLength=0&api-version=7.1", "", spaced},
				{"GET " + pulls + "?searchCriteria.repositoryId=3411ebc1-d5aa-464f-9615-0b527bc66719&searchCriteria.sourceRepositoryId=3411ebc1-d5aa-464f-9615-0b527bc66719", "", project},
				{"GET " + pulls + "?searchCriteria.minTime=2024-01-01T00%3A00%3A00Z&searchCriteria.maxTime=2025-01-01T00%3A00%3A00Z&searchCriteria.queryTimeRangeType=created&searchCriteria.title=x&searchCriteria.creatorId=a&searchCriteria.reviewerId=b", "", project}},
			[]denied{{"POST " + pulls, allow.MethodNotAllowed}, {"GET " + A + "/PullRequests", allow.NoRule}, {"GET /acme/Infra/_apis/git/pullrequests", allow.NoRule}, {"GET /acme/_apis/git/pullrequests/5", allow.NoRule},
				{"GET " + pulls + "?searchcriteria.status=active", allow.QueryNotAllowed}, {"GET " + pulls + "?searchCriteria.status=active&searchCriteria.status=all", allow.QueryNotAllowed},
				{"GET " + pulls + "?repositoryId=3411ebc1-d5aa-464f-9615-0b527bc66719", allow.QueryNotAllowed}, {"GET " + pulls + "?projectId=Secret", allow.QueryNotAllowed}, {"POST " + A + "/pullrequestquery", allow.NoRule}}},
		{"azure.pull_request.get",
			[]allowed{{"GET " + pulls + "/5", "", project}, {"GET " + S + "/pullrequests/5?includeCommits=true&includeWorkItemRefs=false&api-version=7.1", "", spaced}},
			[]denied{{"PATCH " + pulls + "/5", allow.MethodNotAllowed}, {"GET " + pulls + "/0", allow.NoRule}, {"GET " + pulls + "/5e1", allow.NoRule}, {"GET " + pulls + "/5/reviewers", allow.NoRule},
				{"PUT " + pulls + "/5/reviewers/4e080c62-fa21-4fbc-8fef-2a10a2b38049", allow.NoRule}, {"GET " + pulls + "/5/workitems", allow.NoRule}, {"POST " + pulls + "/5/statuses", allow.NoRule}}},
		{"azure.pull_request.labels",
			[]allowed{{"GET " + pulls + "/5/labels", "", project}, {"GET " + S + "/pullrequests/5/labels?projectId=4e080c62-fa21-4fbc-8fef-2a10a2b38049&api-version=7.1", "", spaced}},
			[]denied{{"POST " + pulls + "/5/labels", allow.MethodNotAllowed}, {"DELETE " + pulls + "/5/labels/x", allow.NoRule}, {"GET " + pulls + "/5/labels?projectID=x", allow.QueryNotAllowed}}},
		{"azure.thread.get",
			[]allowed{{"GET " + pulls + "/5/threads/7", "", project}, {"GET " + S + "/pullrequests/5/threads/7?%24iteration=2&%24baseIteration=1&api-version=7.1", "", spaced}},
			[]denied{{"PATCH " + pulls + "/5/threads/7", allow.MethodNotAllowed}, {"GET " + pulls + "/5/threads", allow.MethodNotAllowed}, {"GET " + pulls + "/5/threads/7/comments", allow.NoRule},
				{"GET " + pulls + "/5/threads/07", allow.NoRule}}},
		{"azure.policy_evaluations.list",
			[]allowed{{request: "GET /acme/Infra/_apis/policy/evaluations?artifactId=vstfs%3A%2F%2F%2FCodeReview%2FCodeReviewId%2F4e080c62-fa21-4fbc-8fef-2a10a2b38049%2F5&api-version=7.1-preview.1"},
				{request: "GET /acme/My%20Project/_apis/policy/evaluations?artifactId=x&includeNotApplicable=true&%24top=1&%24skip=2"}},
			[]denied{{"GET /acme/_apis/policy/evaluations?artifactId=x", allow.NoRule}, {"PATCH /acme/Infra/_apis/policy/evaluations/4e080c62-fa21-4fbc-8fef-2a10a2b38049", allow.NoRule},
				{"GET /acme/Infra/_apis/policy/configurations", allow.NoRule}, {"GET /acme/Infra/_apis/policy/evaluations?artifactId=x&artifactId=y", allow.QueryNotAllowed}, {"POST /acme/Infra/_apis/policy/evaluations", allow.MethodNotAllowed}}},
		{"azure.status.create",
			[]allowed{{"POST " + A + "/commits/0123abc/statuses", "", project}, {"POST " + S + "/commits/0123abc/statuses?api-version=7.1", "", spaced}},
			[]denied{{"GET " + A + "/commits/0123abc/statuses", allow.MethodNotAllowed}, {"POST " + A + "/commits/0123abc", allow.MethodNotAllowed}, {"POST " + A + "/commits/a/0123abc/statuses", allow.NoRule}, {"POST " + A + "/commits/0123abc/Statuses", allow.NoRule},
				{"POST " + A + "/commits/0123abc/statuses?state=succeeded", allow.QueryNotAllowed}}},
		{"azure.thread.create",
			[]allowed{{"POST " + pulls + "/5/threads", "", project}, {"POST " + S + "/pullrequests/5/threads?api-version=7.1", "", spaced}},
			[]denied{{"POST " + pulls + "/5/threads/7", allow.MethodNotAllowed}, {"POST " + pulls + "/5/threads/7/comments", allow.NoRule}, {"POST " + pulls + "/5/Threads", allow.NoRule},
				{"POST " + pulls + "/5/share", allow.NoRule}, {"POST " + pulls + "/5/attachments/x", allow.NoRule}}},
		{"azure.comment.update",
			[]allowed{{"PATCH " + pulls + "/5/threads/7/comments/1", "", project}, {"PATCH " + S + "/pullrequests/5/threads/7/comments/1?api-version=7.1", "", spaced}},
			[]denied{{"DELETE " + pulls + "/5/threads/7/comments/1", allow.MethodNotAllowed}, {"PATCH " + pulls + "/5/threads/7", allow.MethodNotAllowed}, {"POST " + pulls + "/5/threads/7/comments/1/likes", allow.NoRule}}},
		{"azure.git.refs",
			[]allowed{{"GET /DefaultCollection/Infra/_git/stack/info/refs?service=git-upload-pack", "", project}, {"GET /acme/My%20Project/_git/stack.git/info/refs?service=git-upload-pack", "", "acme/My Project/stack.git"}},
			[]denied{{"GET /DefaultCollection/Infra/_git/stack/info/refs?service=git-receive-pack", allow.PushNotAllowed}, {"GET /DefaultCollection/Infra/_git/stack/info/refs", allow.QueryNotAllowed},
				{"GET /DefaultCollection/Infra/_git/stack/info/refs?service=git-upload-pack&service=git-receive-pack", allow.PushNotAllowed},
				{"GET /DefaultCollection/Infra/_git/stack/info/refs?service=git-upload-pack&api-version=7.1", allow.QueryNotAllowed},
				{"GET /DefaultCollection/_git/stack/info/refs?service=git-upload-pack", allow.NoRule}, {"GET /DefaultCollection/Infra/_git/_full/stack/info/refs?service=git-upload-pack", allow.NoRule},
				{"GET /DefaultCollection/Infra/_git/_full/info/refs?service=git-upload-pack", allow.NoRule}, {"GET /DefaultCollection/Infra/_Git/stack/info/refs?service=git-upload-pack", allow.NoRule},
				{"GET /DefaultCollection/Infra/_git/stack", allow.NoRule}}},
		{"azure.git.upload_pack",
			[]allowed{{"POST /DefaultCollection/Infra/_git/stack/git-upload-pack", "", project}, {"POST /acme/My%20Project/_git/stack/git-upload-pack", "", "acme/My Project/stack"}},
			[]denied{{"POST /DefaultCollection/Infra/_git/stack/git-receive-pack", allow.PushNotAllowed}, {"POST /DefaultCollection/Infra/_git/stack/info/lfs/objects/batch", allow.NoRule},
				{"GET /DefaultCollection/Infra/_git/stack/git-upload-pack", allow.MethodNotAllowed}, {"POST /DefaultCollection/Infra/_git/stack/git-upload-pack?service=git-receive-pack", allow.PushNotAllowed}}},
	})
}

// TestAzureDeniesTheRest holds the calls that change code, rights or builds, of
// which Azure has many beside the listed ones.
func TestAzureDeniesTheRest(t *testing.T) {
	const A = "/acme/Infra/_apis/git/repositories/stack"
	p := everything(t, "azure_devops", "")
	checkAllowedOnly(t, p, "GET "+A+"/stats/branches")
	for _, d := range []denied{
		{"POST " + A + "/pushes", allow.NoRule}, {"GET " + A + "/pushes", allow.NoRule},
		{"POST " + A + "/refs", allow.NoRule}, {"PATCH " + A + "/refs", allow.NoRule}, {"GET " + A + "/refs?filter=heads", allow.NoRule},
		{"DELETE " + A, allow.NoRule}, {"PATCH " + A, allow.NoRule}, {"GET " + A + "/", allow.AmbiguousPath},
		{"PATCH " + A + "/pullRequests/5", allow.MethodNotAllowed}, {"POST " + A + "/merges", allow.NoRule}, {"POST " + A + "/cherryPicks", allow.NoRule},
		{"POST " + A + "/importRequests", allow.NoRule}, {"POST " + A + "/forkSyncRequests", allow.NoRule}, {"POST " + A + "/annotatedtags", allow.NoRule},
		{"GET /acme/_apis/projects", allow.NoRule}, {"POST /acme/_apis/projects", allow.NoRule}, {"DELETE /acme/_apis/projects/4e080c62-fa21-4fbc-8fef-2a10a2b38049", allow.NoRule},
		{"GET /acme/Infra/_apis/serviceendpoint/endpoints", allow.NoRule}, {"GET /acme/Infra/_apis/build/builds", allow.NoRule}, {"POST /acme/Infra/_apis/build/builds", allow.NoRule},
		{"POST /acme/Infra/_apis/pipelines/1/runs", allow.NoRule}, {"GET /acme/Infra/_apis/distributedtask/variablegroups", allow.NoRule}, {"GET /acme/_apis/connectionData", allow.NoRule},
		{"GET /acme/_apis/tokens/pats", allow.NoRule}, {"POST /acme/_apis/hooks/subscriptions", allow.NoRule}, {"GET /acme/_apis/graph/users", allow.NoRule},
		{"GET /_apis/projectCollections", allow.NoRule}, {"GET /acme/Infra/_api/_versioncontrol/itemContent", allow.NoRule}, {"POST /acme/Infra/_apis/wit/workitems/1", allow.NoRule},
		// Other paths to the same repository, which don't name its project.
		{"GET /acme/_apis/git/repositories/stack/items?path=a", allow.NoRule}, {"GET /acme/_apis/git/Infra/repositories/stack/items?path=a", allow.NoRule},
		{"GET /acme/Infra/Team/_apis/git/repositories/stack/items?path=a", allow.NoRule}, {"GET /_apis/git/repositories/stack/items?path=a", allow.NoRule},
		{"GET /tfs/acme/Infra/_apis/git/repositories/stack/items?path=a", allow.NoRule},
	} {
		checkDenied(t, p, d)
	}
}

// TestAzureObserve: what only observing lets through is neither a change of code
// nor of a group that is off, by whichever path Azure has for it.
func TestAzureObserve(t *testing.T) {
	const id = "/acme/_apis/git/repositories/3411ebc1-d5aa-464f-9615-0b527bc66719"
	const A = "/acme/Infra/_apis/git/repositories/stack"
	all := policy(t, allow.Options{Vendor: "azure_devops", Groups: allow.Groups(), Observe: true})
	for _, request := range []string{
		"GET " + A, "GET " + A + "/pushes", "GET " + A + "/refs?filter=heads", "GET " + id + "/items?path=a",
		"GET " + A + "/pullRequests/5/commits", "GET /acme/_apis/projects", "GET /acme/Infra/_apis/build/builds",
	} {
		checkAllowedOnly(t, all, request)
	}
	for _, request := range []string{
		"POST " + A + "/itemsbatch", "POST " + A + "/pullRequests", "POST " + A + "/pullRequests/5/threads/7/comments",
		"POST " + A + "/pushes", "POST " + id + "/Pushes", "POST " + A + "/refs", "PATCH " + A + "/refs/heads/main", "POST " + A + "/annotatedTags", "POST " + A + "/cherryPicks",
		"POST " + A + "/reverts", "POST " + A + "/merges", "POST " + A + "/importRequests", "POST " + A + "/forkSyncRequests", "PATCH " + A + "/pullRequests/5", "PATCH /acme/_apis/git/pullrequests/5",
		"PATCH " + A + "/pullRequests/5/conflicts/1", "POST /acme/_apis/git/repositories", "POST /acme/_apis/git/Infra/repositories", "DELETE " + A, "PATCH " + id, "DELETE /acme/_apis/git/Infra/repositories/stack",
		"PATCH /acme/Infra/_apis/git/recycleBin/repositories/x", "DELETE /acme/Infra/_apis/git/deletedrepositories/x", "PUT /acme/Infra/_apis/wiki/wikis/w/pages", "POST /acme/_apis/tfvc/changesets", "POST /acme/Infra/_api/_versioncontrol/x",
	} {
		checkDenied(t, all, denied{request, allow.PushNotAllowed})
	}
	for _, c := range []struct{ group, request string }{
		{"read", "GET " + id + "/items?path=a"}, {"read", "GET " + A}, {"read", "GET /acme/_apis/policy/types"},
		{"archive", "GET " + id + "/items?path=%2F&$format=zip"}, {"archive", "GET " + A + "/items/main.tf"}, {"archive", "POST " + A + "/itemsBatch"}, {"archive", "GET " + A + "/blobs/0123abc"},
		{"archive", "GET " + A + "/trees/0123abc?$format=zip"}, {"archive", "GET /acme/Infra/_api/_versioncontrol/itemContentZipped?path=%2F"},
		{"status", "POST " + id + "/commits/0123abc/statuses"}, {"status", "POST " + A + "/pullRequests/5/statuses"},
		{"comment", "POST " + id + "/pullRequests/5/threads"}, {"comment", "POST " + A + "/pullRequests/5/threads/7/comments"}, {"comment", "PATCH " + A + "/pullRequests/5/Threads/7"},
		{"git", "GET /acme/_git/stack/info/refs?service=git-upload-pack"}, {"git", "POST /acme/Infra/_git/_full/stack/git-upload-pack"},
	} {
		groups := slices.DeleteFunc(slices.Clone(allow.Groups()), func(g string) bool { return g == c.group })
		off := policy(t, allow.Options{Vendor: "azure_devops", Groups: groups, Observe: true})
		checkDenied(t, off, denied{c.request, allow.GroupOff})
	}
}

// TestAzureNames holds the names of repositories that are one spelling of
// themselves, beside those that Azure has not or would read as another.
func TestAzureNames(t *testing.T) {
	p := everything(t, "azure_devops", "")
	request := func(repo string) string {
		return "GET /acme/Infra/_apis/git/repositories/" + repo + "/stats/branches"
	}
	long := strings.Repeat("a", 64)
	for _, repo := range []string{
		"stack", "my.stack", "My%20Stack", "a%26b", "O%27Neil", "x%40y", "%28x%29", "caf%C3%A9", "%E5%9F%BA%E7%9B%A4", "-x", "~x", "x_y", long, strings.Repeat("%C3%A9", 64),
	} {
		checkAllowedOnly(t, p, request(repo))
	}
	for _, d := range []denied{
		{request("_stack"), allow.NoRule}, {request(".stack"), allow.NoRule}, {request("stack."), allow.NoRule}, {request("%5Fapis"), allow.NoRule},
		{request("%20stack"), allow.NoRule}, {request("stack%20"), allow.NoRule}, {request(long + "a"), allow.NoRule},
		{request("a%3Ab"), allow.NoRule}, {request("a%2Ab"), allow.NoRule}, {request("a%3Fb"), allow.NoRule}, {request("a%22b"), allow.NoRule}, {request("a%3Cb"), allow.NoRule},
		{request("a%3Eb"), allow.NoRule}, {request("a%7Cb"), allow.NoRule}, {request("a%23b"), allow.NoRule}, {request("a%24b"), allow.NoRule}, {request("a$b"), allow.NoRule},
		{request("%7Bx%7D"), allow.NoRule}, {request("a,b"), allow.NoRule}, {request("a+b"), allow.NoRule}, {request("a=b"), allow.NoRule}, {request("[x]"), allow.NoRule},
		{request("100%25"), allow.NoRule}, {request("a%252Fb"), allow.AmbiguousPath}, {request("a%2Fb"), allow.AmbiguousPath}, {request("a%5Cb"), allow.AmbiguousPath},
		{request("a%3Bb"), allow.AmbiguousPath}, {request("%EF%BD%81cme"), allow.NoRule}, {request("a%EF%BC%8Eb"), allow.AmbiguousPath}, {request("%F0%9F%9A%80"), allow.NoRule},
		{request("a%C2%A0b"), allow.BadEncoding}, {request("a%E2%80%8Bb"), allow.BadEncoding},
		{"GET /_acme/Infra/_apis/git/repositories/stack/stats/branches", allow.NoRule}, {"GET /acme/_Infra/_apis/git/repositories/stack/stats/branches", allow.NoRule},
		{"GET /acme%20/Infra/_apis/git/repositories/stack/stats/branches", allow.NoRule}, {"GET /acme/.Infra/_apis/git/repositories/stack/stats/branches", allow.NoRule},
	} {
		checkDenied(t, p, d)
	}
}

func TestAzureProjects(t *testing.T) {
	const A = "GET /acme/Infra/_apis/git/repositories/stack"
	const id = "3411ebc1-d5aa-464f-9615-0b527bc66719"
	p := everything(t, "azure_devops", "acme/Infra/stack|acme/My Project/.*")
	for _, request := range []string{
		A + "/items?path=a",
		A + "/pullrequests?searchCriteria.status=all",
		"GET /acme/My%20Project/_apis/git/repositories/any%20thing/commits/abc",
		"POST /acme/Infra/_apis/git/repositories/stack/commits/abc/statuses",
		"GET /acme/Infra/_git/stack/info/refs?service=git-upload-pack",
		"GET /acme/_apis/git/repositories", // about no project
		"GET /other/Secret/_apis/git/repositories",
		"OPTIONS /acme/_apis",
	} {
		checkAllowedOnly(t, p, request)
	}
	for _, d := range []denied{
		{"GET /acme/Infra/_apis/git/repositories/stack2/items?path=a", allow.ProjectNotAllowed},
		{"GET /acme/Infra/_apis/git/repositories/evil-stack/items?path=a", allow.ProjectNotAllowed},
		{"GET /evil-acme/Infra/_apis/git/repositories/stack/items?path=a", allow.ProjectNotAllowed},
		{"GET /acme/Infra2/_apis/git/repositories/stack/items?path=a", allow.ProjectNotAllowed},
		{"GET /acme/Infra/_apis/git/repositories/Stack/items?path=a", allow.ProjectNotAllowed},
		{"GET /ACME/infra/_apis/git/repositories/stack/items?path=a", allow.ProjectNotAllowed},
		{"GET /acme/My%20%20Project/_apis/git/repositories/stack/items?path=a", allow.ProjectNotAllowed},
		{"GET /acme/Infra/_git/stack.git/info/refs?service=git-upload-pack", allow.ProjectNotAllowed},
		{"GET /acme/Infra/_git/stack.wiki/info/refs?service=git-upload-pack", allow.ProjectNotAllowed},
		{"POST /acme/Secret/_git/stack/git-upload-pack", allow.ProjectNotAllowed},
		{A + "/pullRequests?searchCriteria.repositoryId=" + id, allow.ProjectUnknown},
		{A + "/pullRequests?searchCriteria.sourceRepositoryId=" + id, allow.ProjectUnknown},
		{A + "/pullRequests?searchCriteria.sourceRepositoryId=stack", allow.ProjectUnknown},
		{A + "/pullRequests/5/labels?projectId=Infra", allow.ProjectUnknown},
		{"GET /acme/Infra/_apis/policy/evaluations?artifactId=vstfs%3A%2F%2F%2FCodeReview%2FCodeReviewId%2F" + id + "%2F5", allow.ProjectUnknown},
		{"GET /acme/Infra/_apis/policy/evaluations", allow.ProjectUnknown},
	} {
		checkDenied(t, p, d)
	}
}

// TestAzureIDs: a pattern that matches an id all the same doesn't help, since
// what is behind the id isn't known.
func TestAzureIDs(t *testing.T) {
	p := everything(t, "azure_devops", "acme/Infra/.*|.*/[^s].*/.*")
	const A = "/_apis/git/repositories/"
	checkAllowedOnly(t, p, "GET /acme/Infra"+A+"stack/items?path=a")
	checkAllowedOnly(t, p, "GET /acme/Infra"+A+"3411ebc1-d5aa-464f-9615-0b527bc6671/items?path=a")
	for _, id := range []string{
		"3411ebc1-d5aa-464f-9615-0b527bc66719", "3411EBC1-D5AA-464F-9615-0B527BC66719", "3411ebc1d5aa464f96150b527bc66719",
		"%283411ebc1-d5aa-464f-9615-0b527bc66719%29", "0x11ebc1-d5aa-464f-9615-0b527bc66719", "A3411ebc1-d5aa-464f-9615-0b527bc66719", "a3411ebc1d5aa464f96150b527bc66719",
	} {
		for _, path := range []string{id + "/Infra" + A + "stack", "acme/" + id + A + "stack", "acme/Infra" + A + id} {
			checkDenied(t, p, denied{"GET /" + path + "/items?path=a", allow.ProjectUnknown})
		}
		checkDenied(t, p, denied{"GET /acme/Infra/_git/" + id + "/info/refs?service=git-upload-pack", allow.ProjectUnknown})
	}
	// In braces it's no name at all.
	checkDenied(t, p, denied{"GET /acme/Infra" + A + "%7B3411ebc1-d5aa-464f-9615-0b527bc66719%7D/items?path=a", allow.NoRule})
	checkAllowedOnly(t, everything(t, "azure_devops", ""), "GET /acme/Infra"+A+"3411ebc1-d5aa-464f-9615-0b527bc66719/items?path=a")
}

func TestAzureBodies(t *testing.T) {
	p := everything(t, "azure_devops", "")
	const A = " /acme/Infra/_apis/git/repositories/stack"
	const utf8Type = jsonType + ";charset=utf-8" // as Microsoft's Go client sends it
	checkBodies(t, p, "POST"+A+"/commits/0123abc/statuses", []bodyRow{
		{utf8Type, `{"state":"succeeded","description":"done","targetUrl":"https://ci.example/1","context":{"name":"plan","genre":"spacelift"}}`, "", ""},
		{jsonType, `{"state":"succeeded"}`, "", ""},
		{jsonType, `{"state":"succeeded","createdBy":{"id":"someone"}}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"State":"succeeded"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"state":"failed","STATE":"succeeded"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"state":"failed","state":"succeeded"}`, allow.BadBody, ""},
		{jsonType, `{"state":"succeeded","iterationId":1}`, allow.FieldNotAllowed, ""},
		{jsonType, `[{"state":"succeeded"}]`, allow.BadBody, ""},
		{formType, `state=succeeded`, allow.BadBody, ""},
		{"application/json-patch+json", `{"state":"succeeded"}`, allow.BadBody, ""},
	})
	checkBodies(t, p, "POST"+A+"/pullRequests/5/threads", []bodyRow{
		{utf8Type, `{"comments":[{"parentCommentId":0,"content":"hello","commentType":"text"}],"status":"active"}`, "", ""},
		{jsonType, `{"comments":[{"content":"x"}],"properties":{"a":1},"threadContext":{"filePath":"/main.tf"},"pullRequestThreadContext":{"changeTrackingId":1}}`, "", ""},
		{jsonType, `{"comments":[{"content":"x"}],"identities":{"1":{"id":"someone"}}}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"comments":[{"content":"x"}],"isDeleted":true}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"Comments":[{"content":"x"}]}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"comments":[{"content":"x","content":"y"}]}`, allow.BadBody, ""},
	})
	checkBodies(t, p, "PATCH"+A+"/pullRequests/5/threads/7/comments/1", []bodyRow{
		{utf8Type, `{"content":"edited"}`, "", ""},
		{jsonType, `{"content":"edited","commentType":"text","parentCommentId":1}`, "", ""},
		{jsonType, `{"content":"edited","isDeleted":true}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"content":"edited","author":{"id":"someone"}}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"content":"edited","CONTENT":"other"}`, allow.FieldNotAllowed, ""},
	})
	for _, request := range []string{"OPTIONS /acme/_apis", "GET" + A + "/items?path=a", "GET /acme/Infra/_git/stack/info/refs?service=git-upload-pack"} {
		checkBodies(t, p, request, []bodyRow{
			{"", "", "", ""},
			{jsonType, "{}", allow.BodyNotAllowed, ""},
		})
	}
	if d := checkAllowedOnly(t, p, "POST /acme/Infra/_git/stack/git-upload-pack"); d.InspectBody || d.ContentType != "application/x-git-upload-pack-request" {
		t.Errorf("clone: %+v", d)
	}
}

// TestAzureHeaders: Azure also knows headers that change the method, the path or
// who asks.
func TestAzureHeaders(t *testing.T) {
	passes := http.Header{
		"Accept":                {"application/json;api-version=7.1-preview.1"},
		"Authorization":         {"Basic x"},
		"X-Tfs-Fedauthredirect": {"Suppress"},
		"X-Tfs-Session":         {"e7eeb8d7-ae9c-44ef-9fd6-d1b2c2ee0d4f"},
	}
	in := passes.Clone()
	for _, name := range []string{"X-TFS-Impersonate", "X-HTTP-Method-Override", "X-VSS-ForceMsaPassThrough", "X-TFS-Version", "X-TFS-SoapHeader", "X-Original-URL", "Private-Token"} {
		in.Set(name, "x")
	}
	if got := everything(t, "azure_devops", "").Header(in); !reflect.DeepEqual(got, passes) {
		t.Errorf("headers:\n got %v\nwant %v", got, passes)
	}
}
