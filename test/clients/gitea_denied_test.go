package clients_test

import (
	"strings"

	"code.gitea.io/sdk/gitea"
)

// giteaDenied are calls of Gitea's library that no rule has: what changes code,
// who may do what, and what runs; secrets; and what is near to an allowed call.
func giteaDenied() []call[*gitea.Client] {
	const o, r = gtOwner, gtRepo
	hook := gitea.CreateHookOption{Type: gitea.HookTypeGitea, Config: map[string]string{"url": "https://elsewhere.example/", "content_type": "json"}}
	key := gitea.CreateKeyOption{Title: "x", Key: "ssh-ed25519 AAAA"}
	secret := gitea.CreateOrUpdateSecretOption{Data: "x"}
	return []call[*gitea.Client]{
		{name: "CreateRepo", want: "POST /api/v1/user/repos",
			do: func(c *gitea.Client) error { return gt3(c.CreateRepo(gitea.CreateRepoOption{Name: "x"})) }},
		{name: "EditRepo", want: "PATCH " + gtPath,
			do: func(c *gitea.Client) error {
				return gt3(c.EditRepo(o, r, gitea.EditRepoOption{Private: new(false)}))
			}},
		{name: "DeleteRepo", want: "DELETE " + gtPath,
			do: func(c *gitea.Client) error { return gt2(c.DeleteRepo(o, r)) }},
		{name: "TransferRepo", want: "POST " + gtPath + "/transfer",
			do: func(c *gitea.Client) error {
				return gt3(c.TransferRepo(o, r, gitea.TransferRepoOption{NewOwner: "x"}))
			}},
		{name: "MigrateRepo", want: "POST /api/v1/repos/migrate",
			do: func(c *gitea.Client) error {
				return gt3(c.MigrateRepo(gitea.MigrateRepoOption{RepoName: "x", RepoOwner: o, CloneAddr: "https://elsewhere.example/x.git"}))
			}},
		{name: "CreateFork", want: "POST " + gtPath + "/forks",
			do: func(c *gitea.Client) error { return gt3(c.CreateFork(o, r, gitea.CreateForkOption{})) }},
		{name: "PushMirrors", want: "POST " + gtPath + "/push_mirrors",
			do: func(c *gitea.Client) error {
				return gt3(c.PushMirrors(o, r, gitea.CreatePushMirrorOption{RemoteAddress: "https://elsewhere.example/x.git"}))
			}},
		{name: "MirrorSync", want: "POST " + gtPath + "/mirror-sync",
			do: func(c *gitea.Client) error { return gt2(c.MirrorSync(o, r)) }},
		{name: "GetRepoByID", want: "GET /api/v1/repositories/42",
			do: func(c *gitea.Client) error { return gt3(c.GetRepoByID(42)) }},
		{name: "GetRepo of issues/search, which isn't a repository", want: "GET /api/v1/repos/issues/search",
			do: func(c *gitea.Client) error { return gt3(c.GetRepo("issues", "search")) }},
		{name: "GetRepo of a name that climbs", want: "GET /api/v1/repos/platform/..%2F..%2Fadmin",
			do: func(c *gitea.Client) error { return gt3(c.GetRepo(o, "../../admin")) }},
		{name: "ListUserRepos", want: "GET /api/v1/users/some-one/repos",
			do: func(c *gitea.Client) error { return gt3(c.ListUserRepos("some-one", gitea.ListReposOptions{})) }},
		{name: "ListOrgRepos", want: "GET /api/v1/orgs/platform/repos",
			do: func(c *gitea.Client) error { return gt3(c.ListOrgRepos(o, gitea.ListOrgReposOptions{})) }},
		{name: "SearchRepos with sudo in the raw query", want: "GET /api/v1/repos/search",
			do: func(c *gitea.Client) error {
				return gt3(c.SearchRepos(gitea.SearchRepoOptions{RawQuery: "q=x&sudo=root"}))
			}},

		{name: "ListRepoHooks", want: "GET " + gtPath + "/hooks",
			do: func(c *gitea.Client) error { return gt3(c.ListRepoHooks(o, r, gitea.ListHooksOptions{})) }},
		{name: "CreateRepoHook", want: "POST " + gtPath + "/hooks",
			do: func(c *gitea.Client) error { return gt3(c.CreateRepoHook(o, r, hook)) }},
		{name: "EditRepoGitHook", want: "PATCH " + gtPath + "/hooks/git/update",
			do: func(c *gitea.Client) error {
				return gt2(c.EditRepoGitHook(o, r, "update", gitea.EditGitHookOption{Content: "#!/bin/sh"}))
			}},
		{name: "ListDeployKeys", want: "GET " + gtPath + "/keys",
			do: func(c *gitea.Client) error { return gt3(c.ListDeployKeys(o, r, gitea.ListDeployKeysOptions{})) }},
		{name: "CreateDeployKey", want: "POST " + gtPath + "/keys",
			do: func(c *gitea.Client) error { return gt3(c.CreateDeployKey(o, r, key)) }},
		{name: "ListCollaborators", want: "GET " + gtPath + "/collaborators",
			do: func(c *gitea.Client) error {
				return gt3(c.ListCollaborators(o, r, gitea.ListCollaboratorsOptions{}))
			}},
		{name: "AddCollaborator", want: "PUT " + gtPath + "/collaborators/some-one",
			do: func(c *gitea.Client) error {
				return gt2(c.AddCollaborator(o, r, "some-one", gitea.AddCollaboratorOption{Permission: new(gitea.AccessModeAdmin)}))
			}},
		{name: "AddRepoTeam", want: "PUT " + gtPath + "/teams/x",
			do: func(c *gitea.Client) error { return gt2(c.AddRepoTeam(o, r, "x")) }},

		{name: "ListRepoActionSecret", want: "GET " + gtPath + "/actions/secrets",
			do: func(c *gitea.Client) error {
				return gt3(c.ListRepoActionSecret(o, r, gitea.ListRepoActionSecretOption{}))
			}},
		{name: "CreateRepoActionSecret", want: "PUT " + gtPath + "/actions/secrets/K",
			do: func(c *gitea.Client) error { return gt2(c.CreateRepoActionSecret(o, r, "K", secret)) }},
		{name: "GetRepoActionVariable", want: "GET " + gtPath + "/actions/variables/K",
			do: func(c *gitea.Client) error { return gt3(c.GetRepoActionVariable(o, r, "K")) }},
		{name: "CreateRepoActionVariable", want: "POST " + gtPath + "/actions/variables/K",
			do: func(c *gitea.Client) error { return gt2(c.CreateRepoActionVariable(o, r, "K", "v")) }},
		{name: "DispatchRepoActionWorkflow", want: "POST " + gtPath + "/actions/workflows/x.yml/dispatches",
			do: func(c *gitea.Client) error {
				return gt3(c.DispatchRepoActionWorkflow(o, r, "x.yml", gitea.CreateActionWorkflowDispatchOption{Ref: "main"}, false))
			}},
		{name: "GetRepoActionJobLogs", want: "GET " + gtPath + "/actions/jobs/7/logs",
			do: func(c *gitea.Client) error { return gt3(c.GetRepoActionJobLogs(o, r, 7)) }},
		{name: "ListRepoActionRunners", want: "GET " + gtPath + "/actions/runners",
			do: func(c *gitea.Client) error {
				return gt3(c.ListRepoActionRunners(o, r, gitea.ListActionRunnersOptions{}))
			}},
		{name: "CreateRepoActionRunnerRegistrationToken", want: "POST " + gtPath + "/actions/runners/registration-token",
			do: func(c *gitea.Client) error { return gt3(c.CreateRepoActionRunnerRegistrationToken(o, r)) }},

		{name: "CreatePullRequest", want: "POST " + gtPath + "/pulls",
			do: func(c *gitea.Client) error {
				return gt3(c.CreatePullRequest(o, r, gitea.CreatePullRequestOption{Head: "x", Base: "main", Title: "x"}))
			}},
		{name: "EditPullRequest", want: "PATCH " + gtPath + "/pulls/7",
			do: func(c *gitea.Client) error {
				return gt3(c.EditPullRequest(o, r, 7, gitea.EditPullRequestOption{State: new(gitea.StateClosed)}))
			}},
		{name: "MergePullRequest", want: "POST " + gtPath + "/pulls/7/merge",
			do: func(c *gitea.Client) error {
				return gt3(c.MergePullRequest(o, r, 7, gitea.MergePullRequestOption{Style: gitea.MergeStyleMerge}))
			}},
		{name: "CancelScheduledAutoMerge", want: "DELETE " + gtPath + "/pulls/7/merge",
			do: func(c *gitea.Client) error { return gt2(c.CancelScheduledAutoMerge(o, r, 7)) }},
		{name: "UpdatePullRequest", want: "POST " + gtPath + "/pulls/7/update",
			do: func(c *gitea.Client) error { return gt2(c.UpdatePullRequest(o, r, 7)) }},
		{name: "MergeUpstream", want: "POST " + gtPath + "/merge-upstream",
			do: func(c *gitea.Client) error {
				return gt3(c.MergeUpstream(o, r, gitea.MergeUpstreamRequest{Branch: "main"}))
			}},
		{name: "CreatePullReview", want: "POST " + gtPath + "/pulls/7/reviews",
			do: func(c *gitea.Client) error {
				return gt3(c.CreatePullReview(o, r, 7, gitea.CreatePullReviewOptions{State: gitea.ReviewStateApproved}))
			}},
		{name: "DismissPullReview", want: "POST " + gtPath + "/pulls/7/reviews/8/dismissals",
			do: func(c *gitea.Client) error {
				return gt2(c.DismissPullReview(o, r, 7, 8, gitea.DismissPullReviewOptions{Message: "x"}))
			}},
		{name: "CreateReviewRequests", want: "POST " + gtPath + "/pulls/7/requested_reviewers",
			do: func(c *gitea.Client) error {
				return gt2(c.CreateReviewRequests(o, r, 7, gitea.PullReviewRequestOptions{Reviewers: []string{"some-one"}}))
			}},
		{name: "GetPullRequestByBaseHead", want: "GET " + gtPath + "/pulls/main/feature",
			do: func(c *gitea.Client) error { return gt3(c.GetPullRequestByBaseHead(o, r, "main", "feature")) }},
		{name: "ListPullRequestCommits", want: "GET " + gtPath + "/pulls/7/commits",
			do: func(c *gitea.Client) error {
				return gt3(c.ListPullRequestCommits(o, r, 7, gitea.ListPullRequestCommitsOptions{}))
			}},
		{name: "CompareCommits with a fork's branch", want: "GET " + gtPath + "/compare/main...fork:feature",
			do: func(c *gitea.Client) error { return gt3(c.CompareCommits(o, r, "main", "fork:feature")) }},

		{name: "CreateFile", want: "POST " + gtPath + "/contents/main.tf",
			do: func(c *gitea.Client) error {
				return gt3(c.CreateFile(o, r, "main.tf", gitea.CreateFileOptions{Content: "eA=="}))
			}},
		{name: "UpdateFile", want: "PUT " + gtPath + "/contents/.spacelift/config.yml",
			do: func(c *gitea.Client) error {
				return gt3(c.UpdateFile(o, r, ".spacelift/config.yml", gitea.UpdateFileOptions{Content: "eA=="}))
			}},
		{name: "DeleteFile", want: "DELETE " + gtPath + "/contents/.spacelift/config.yml",
			do: func(c *gitea.Client) error {
				return gt2(c.DeleteFile(o, r, ".spacelift/config.yml", gitea.DeleteFileOptions{SHA: sha}))
			}},
		{name: "ChangeFiles", want: "POST " + gtPath + "/contents",
			do: func(c *gitea.Client) error {
				return gt3(c.ChangeFiles(o, r, gitea.ChangeFilesOptions{Files: []*gitea.ChangeFileOperation{{Operation: "delete", Path: "main.tf"}}}))
			}},
		{name: "ApplyRepoDiffPatch", want: "POST " + gtPath + "/diffpatch",
			do: func(c *gitea.Client) error {
				return gt3(c.ApplyRepoDiffPatch(o, r, gitea.ApplyDiffPatchFileOptions{Content: "x"}))
			}},
		{name: "GetFile of another file", want: "GET " + gtPath + "/raw/main.tf",
			do: func(c *gitea.Client) error { return gt3(c.GetFile(o, r, "main", "main.tf")) }},
		{name: "GetFile out of large file storage", want: "GET " + gtPath + "/media/.spacelift/config.yml",
			do: func(c *gitea.Client) error {
				return gt3(c.GetFile(o, r, "main", ".spacelift/config.yml", true))
			}},
		{name: "GetContents of another file", want: "GET " + gtPath + "/contents/main.tf",
			do: func(c *gitea.Client) error { return gt3(c.GetContents(o, r, "main", "main.tf")) }},
		{name: "ListContents of the configuration's folder", want: "GET " + gtPath + "/contents/.spacelift",
			do: func(c *gitea.Client) error { return gt3(c.ListContents(o, r, "main", ".spacelift")) }},
		{name: "PostRepoFileContents", want: "POST " + gtPath + "/file-contents",
			do: func(c *gitea.Client) error {
				return gt3(c.PostRepoFileContents(o, r, "main", gitea.GetFilesOptions{Files: []string{".spacelift/config.yml"}}))
			}},
		{name: "GetTrees", want: "GET " + gtPath + "/git/trees/main",
			do: func(c *gitea.Client) error { return gt3(c.GetTrees(o, r, gitea.ListTreeOptions{Ref: "main"})) }},
		{name: "GetBlob", want: "GET " + gtPath + "/git/blobs/" + sha,
			do: func(c *gitea.Client) error { return gt3(c.GetBlob(o, r, sha)) }},
		{name: "GetArchive as a bundle", want: "GET " + gtPath + "/archive/main.bundle",
			do: func(c *gitea.Client) error { return gt3(c.GetArchive(o, r, "main", ".bundle")) }},
		{name: "ListRepoCommits", want: "GET " + gtPath + "/commits",
			do: func(c *gitea.Client) error { return gt3(c.ListRepoCommits(o, r, gitea.ListCommitOptions{})) }},
		{name: "ListStatuses", want: "GET " + gtPath + "/commits/main/statuses",
			do: func(c *gitea.Client) error { return gt3(c.ListStatuses(o, r, "main", gitea.ListStatusesOption{})) }},

		{name: "CreateBranch", want: "POST " + gtPath + "/branches",
			do: func(c *gitea.Client) error {
				return gt3(c.CreateBranch(o, r, gitea.CreateBranchOption{BranchName: "x"}))
			}},
		{name: "RenameRepoBranch", want: "PATCH " + gtPath + "/branches/main",
			do: func(c *gitea.Client) error {
				return gt3(c.RenameRepoBranch(o, r, "main", gitea.RenameRepoBranchOption{Name: "x"}))
			}},
		{name: "UpdateRepoBranchRef", want: "PUT " + gtPath + "/branches/main",
			do: func(c *gitea.Client) error {
				return gt3(c.UpdateRepoBranchRef(o, r, "main", gitea.UpdateRepoBranchRefOption{NewCommitID: sha}))
			}},
		{name: "DeleteRepoBranch", want: "DELETE " + gtPath + "/branches/main",
			do: func(c *gitea.Client) error { return gt3(c.DeleteRepoBranch(o, r, "main")) }},
		{name: "CreateBranchProtection", want: "POST " + gtPath + "/branch_protections",
			do: func(c *gitea.Client) error {
				return gt3(c.CreateBranchProtection(o, r, gitea.CreateBranchProtectionOption{RuleName: "main"}))
			}},
		{name: "DeleteBranchProtection", want: "DELETE " + gtPath + "/branch_protections/main",
			do: func(c *gitea.Client) error { return gt2(c.DeleteBranchProtection(o, r, "main")) }},
		{name: "CreateTag", want: "POST " + gtPath + "/tags",
			do: func(c *gitea.Client) error { return gt3(c.CreateTag(o, r, gitea.CreateTagOption{TagName: "v1"})) }},
		{name: "DeleteTag", want: "DELETE " + gtPath + "/tags/v1",
			do: func(c *gitea.Client) error { return gt2(c.DeleteTag(o, r, "v1")) }},
		{name: "CreateRelease", want: "POST " + gtPath + "/releases",
			do: func(c *gitea.Client) error {
				return gt3(c.CreateRelease(o, r, gitea.CreateReleaseOption{TagName: "v1", Title: "x"}))
			}},
		{name: "CreateWikiPage", want: "POST " + gtPath + "/wiki/new",
			do: func(c *gitea.Client) error {
				return gt3(c.CreateWikiPage(o, r, gitea.CreateWikiPageOptions{Title: "x"}))
			}},

		{name: "CreateIssue", want: "POST " + gtPath + "/issues",
			do: func(c *gitea.Client) error {
				return gt3(c.CreateIssue(o, r, gitea.CreateIssueOption{Title: "x"}))
			}},
		{name: "EditIssue", want: "PATCH " + gtPath + "/issues/7",
			do: func(c *gitea.Client) error {
				return gt3(c.EditIssue(o, r, 7, gitea.EditIssueOption{State: new(gitea.StateClosed)}))
			}},
		{name: "ListIssueComments", want: "GET " + gtPath + "/issues/7/comments",
			do: func(c *gitea.Client) error {
				return gt3(c.ListIssueComments(o, r, 7, gitea.ListIssueCommentOptions{}))
			}},
		{name: "DeleteIssueComment", want: "DELETE " + gtPath + "/issues/comments/8",
			do: func(c *gitea.Client) error { return gt2(c.DeleteIssueComment(o, r, 8)) }},
		{name: "CreateIssueCommentAttachment", want: "POST " + gtPath + "/issues/comments/8/assets",
			do: func(c *gitea.Client) error {
				return gt3(c.CreateIssueCommentAttachment(o, r, 8, strings.NewReader("x"), "x.txt"))
			}},
		{name: "ReplaceIssueLabels", want: "PUT " + gtPath + "/issues/7/labels",
			do: func(c *gitea.Client) error { return gt3(c.ReplaceIssueLabels(o, r, 7, gitea.IssueLabelsOption{})) }},

		{name: "SearchUsers", want: "GET /api/v1/users/search",
			do: func(c *gitea.Client) error { return gt3(c.SearchUsers(gitea.SearchUsersOption{KeyWord: "x"})) }},
		{name: "GetUserInfo of search, which isn't a user", want: "GET /api/v1/users/search",
			do: func(c *gitea.Client) error { return gt3(c.GetUserInfo("search")) }},
		{name: "GetUserByID", want: "GET /api/v1/users/search",
			do: func(c *gitea.Client) error { return gt3(c.GetUserByID(7)) }},
		{name: "CreateAccessToken", want: "POST /api/v1/users/backend/tokens",
			do: func(c *gitea.Client) error {
				c.SetBasicAuth("backend", "password")
				defer c.SetBasicAuth("", "")
				return gt3(c.CreateAccessToken(gitea.CreateAccessTokenOption{Name: "x"}))
			}},
		{name: "ListMyPublicKeys", want: "GET /api/v1/user/keys",
			do: func(c *gitea.Client) error { return gt3(c.ListMyPublicKeys(gitea.ListPublicKeysOptions{})) }},
		{name: "CreatePublicKey", want: "POST /api/v1/user/keys",
			do: func(c *gitea.Client) error { return gt3(c.CreatePublicKey(key)) }},
		{name: "CreateMyHook", want: "POST /api/v1/user/hooks",
			do: func(c *gitea.Client) error { return gt3(c.CreateMyHook(hook)) }},
		{name: "CreateOauth2", want: "POST /api/v1/user/applications/oauth2",
			do: func(c *gitea.Client) error {
				return gt3(c.CreateOauth2(gitea.CreateOauth2Option{Name: "x", RedirectURIs: []string{"https://elsewhere.example/"}}))
			}},
		{name: "GetUserSettings", want: "GET /api/v1/user/settings",
			do: func(c *gitea.Client) error { return gt3(c.GetUserSettings()) }},
		{name: "CreateOrg", want: "POST /api/v1/orgs",
			do: func(c *gitea.Client) error { return gt3(c.CreateOrg(gitea.CreateOrgOption{Name: "x"})) }},
		{name: "DeleteOrg", want: "DELETE /api/v1/orgs/platform",
			do: func(c *gitea.Client) error { return gt2(c.DeleteOrg(o)) }},
		{name: "CreateOrgActionSecret", want: "PUT /api/v1/orgs/platform/actions/secrets/K",
			do: func(c *gitea.Client) error { return gt2(c.CreateOrgActionSecret(o, "K", secret)) }},

		{name: "AdminListUsers", want: "GET /api/v1/admin/users",
			do: func(c *gitea.Client) error { return gt3(c.AdminListUsers(gitea.AdminListUsersOptions{})) }},
		{name: "AdminCreateUser", want: "POST /api/v1/admin/users",
			do: func(c *gitea.Client) error {
				return gt3(c.AdminCreateUser(gitea.CreateUserOption{Username: "x", Email: "x@example.com"}))
			}},
		{name: "AdminEditUser", want: "PATCH /api/v1/admin/users/backend",
			do: func(c *gitea.Client) error {
				return gt2(c.AdminEditUser("backend", gitea.EditUserOption{Admin: new(true)}))
			}},
		{name: "AdminDeleteUser", want: "DELETE /api/v1/admin/users/some-one",
			do: func(c *gitea.Client) error { return gt2(c.AdminDeleteUser("some-one")) }},
		{name: "AdminCreateUserPublicKey", want: "POST /api/v1/admin/users/root/keys",
			do: func(c *gitea.Client) error { return gt3(c.AdminCreateUserPublicKey("root", key)) }},
		{name: "CreateAdminHook", want: "POST /api/v1/admin/hooks",
			do: func(c *gitea.Client) error { return gt3(c.CreateAdminHook(hook)) }},
		{name: "CreateAdminActionRunnerRegistrationToken", want: "POST /api/v1/admin/actions/runners/registration-token",
			do: func(c *gitea.Client) error { return gt3(c.CreateAdminActionRunnerRegistrationToken()) }},
		{name: "RunCronTasks", want: "POST /api/v1/admin/cron/update_mirrors",
			do: func(c *gitea.Client) error { return gt2(c.RunCronTasks("update_mirrors")) }},
		{name: "GetGlobalAPISettings", want: "GET /api/v1/settings/api",
			do: func(c *gitea.Client) error { return gt3(c.GetGlobalAPISettings()) }},
	}
}
