package clients_test

import bitbucket "github.com/gfleury/go-bitbucket-v1"

// bitbucketDenied are calls of the library that no rule has: what changes code,
// who may do what, and what runs; secrets; and what is near to an allowed call.
func bitbucketDenied() []call[bitbucketAPI] {
	k, s := bbKey, bbSlug
	pull := bbPath + "/pull-requests/7"
	return []call[bitbucketAPI]{
		{name: "GetProjects", want: "GET /rest/api/1.0/projects",
			do: func(c bitbucketAPI) error { return second(c.GetProjects(nil)) }},
		{name: "DeleteProject", want: "DELETE /rest/api/1.0/projects/PLAT",
			do: func(c bitbucketAPI) error { return second(c.DeleteProject(k)) }},
		{name: "GetRepositories", want: "GET /rest/api/1.0/projects/PLAT/repos",
			do: func(c bitbucketAPI) error { return second(c.GetRepositories(k)) }},
		{name: "CreateRepository", want: "POST /rest/api/1.0/projects/PLAT/repos",
			do: func(c bitbucketAPI) error {
				return second(c.CreateRepository(k, bitbucket.Repository{Name: "x"}))
			}},
		{name: "UpdateRepositoryWithOptions", want: "PUT " + bbPath,
			do: func(c bitbucketAPI) error {
				return second(c.UpdateRepositoryWithOptions(k, s, bitbucket.Repository{Public: true}, bbJSON))
			}},
		{name: "DeleteRepository", want: "DELETE " + bbPath,
			do: func(c bitbucketAPI) error { return second(c.DeleteRepository(k, s)) }},

		{name: "FindWebhooks", want: "GET " + bbPath + "/webhooks",
			do: func(c bitbucketAPI) error { return second(c.FindWebhooks(k, s, nil)) }},
		{name: "CreateWebhook", want: "POST " + bbPath + "/webhooks",
			do: func(c bitbucketAPI) error {
				return second(c.CreateWebhook(k, s, bitbucket.Webhook{Url: "https://elsewhere.example/"}, bbJSON))
			}},
		{name: "EnableHook", want: "PUT " + bbPath + "/settings/hooks/x/enabled",
			do: func(c bitbucketAPI) error { return second(c.EnableHook(k, s, "x", nil)) }},
		{name: "GetSSHRepoKeys", want: "GET /rest/keys/1.0/projects/PLAT/repos/infra/ssh",
			do: func(c bitbucketAPI) error { return second(c.GetSSHRepoKeys(k, s, "", false, false)) }},
		{name: "CreateRepoSSHKey", want: "POST /rest/keys/1.0/projects/PLAT/repos/infra/ssh",
			do: func(c bitbucketAPI) error { return second(c.CreateRepoSSHKey(k, s, "ssh-ed25519 AAAA", true)) }},
		{name: "CreateAccessToken", want: "PUT /rest/access-tokens/1.0/users/some-one",
			do: func(c bitbucketAPI) error { return second(c.CreateAccessToken("some-one", "x", true, true)) }},
		{name: "SetRepositoryPermissionGroups", want: "PUT " + bbPath + "/permissions/groups",
			do: func(c bitbucketAPI) error {
				return second(c.SetRepositoryPermissionGroups(k, s, "REPO_ADMIN", []string{"x"}, bbJSON))
			}},

		{name: "CreatePullRequest", want: "POST " + bbPath + "/pull-requests",
			do: func(c bitbucketAPI) error {
				return second(c.CreatePullRequest(k, s, bitbucket.PullRequest{Title: "x"}))
			}},
		{name: "UpdatePullRequest", want: "PUT " + pull,
			do: func(c bitbucketAPI) error {
				return second(c.UpdatePullRequest(k, s, &bitbucket.EditPullRequestOptions{ID: 7, Title: "x"}))
			}},
		{name: "Merge", want: "POST " + pull + "/merge",
			do: func(c bitbucketAPI) error {
				return second(c.Merge(k, s, 7, map[string]any{"version": int32(1)}, map[string]any{"message": "x"}, bbJSON))
			}},
		{name: "Decline", want: "POST " + pull + "/decline",
			do: func(c bitbucketAPI) error { return second(c.Decline(k, s, 7, nil)) }},
		{name: "Approve", want: "POST " + pull + "/approve",
			do: func(c bitbucketAPI) error { return second(c.Approve(k, s, 7)) }},
		{name: "DeletePullRequest", want: "DELETE " + pull,
			do: func(c bitbucketAPI) error { return second(c.DeletePullRequest(k, s, 7)) }},
		{name: "GetActivities", want: "GET " + pull + "/activities",
			do: func(c bitbucketAPI) error { return second(c.GetActivities(k, s, 7, nil)) }},
		{name: "GetComments_7", want: "GET " + pull + "/comments",
			do: func(c bitbucketAPI) error { return second(c.GetComments_7(k, s, 7, nil)) }},
		{name: "UpdatePullRequestComment, which names a comment in its body too", want: "PUT " + pull + "/comments/8",
			do: func(c bitbucketAPI) error {
				return second(c.UpdatePullRequestComment(k, s, 7, 8, bitbucket.UpdatePullRequestCommentRequest{ID: 8, Version: 1, Text: "x"}))
			}},
		{name: "DeleteComment_2", want: "DELETE " + pull + "/comments/8",
			do: func(c bitbucketAPI) error { return second(c.DeleteComment_2(k, s, 7, 8, nil)) }},

		{name: "CreateBranch", want: "POST " + bbPath + "/branches",
			do: func(c bitbucketAPI) error { return second(c.CreateBranch(k, s)) }},
		{name: "SetDefaultBranch", want: "PUT " + bbPath + "/branches/default",
			do: func(c bitbucketAPI) error { return second(c.SetDefaultBranch(k, s, "refs/heads/x")) }},
		{name: "CreateTag", want: "POST " + bbPath + "/tags",
			do: func(c bitbucketAPI) error { return second(c.CreateTag(k, s)) }},
		{name: "EditFile", want: "PUT " + bbPath + "/browse/main.tf",
			do: func(c bitbucketAPI) error { return second(c.EditFile(k, s, "main.tf")) }},
		{name: "GetRawContent", want: "GET " + bbPath + "/raw/.spacelift/config.yml",
			do: func(c bitbucketAPI) error { return second(c.GetRawContent(k, s, ".spacelift/config.yml", nil)) }},
		{name: "GetComment", want: "GET " + bbPath + "/commits/" + sha + "/comments/8",
			do: func(c bitbucketAPI) error { return second(c.GetComment(k, s, sha, 8)) }},
		{name: "SetCommitStatus", want: "POST /rest/build-status/1.0/commits/" + sha,
			do: func(c bitbucketAPI) error {
				return second(c.SetCommitStatus(sha, bitbucket.BuildStatus{State: "SUCCESSFUL", Key: "x", Url: "https://saas.example/"}))
			}},

		{name: "GetUsers_26", want: "GET /rest/api/1.0/users",
			do: func(c bitbucketAPI) error { return second(c.GetUsers_26(nil)) }},
		{name: "GetUserSettings", want: "GET /rest/api/1.0/users/some-one/settings",
			do: func(c bitbucketAPI) error { return second(c.GetUserSettings("some-one")) }},
		{name: "GetUser with more in the name", want: "GET /rest/api/1.0/users/../admin/users",
			do: func(c bitbucketAPI) error { return second(c.GetUser("../admin/users")) }},
		{name: "CreateSSHKey", want: "POST /rest/ssh/1.0/keys",
			do: func(c bitbucketAPI) error { return second(c.CreateSSHKey(nil)) }},
		{name: "GetUsers", want: "GET /rest/api/1.0/admin/users",
			do: func(c bitbucketAPI) error { return second(c.GetUsers(nil)) }},
		{name: "AddUserToGroups", want: "POST /rest/api/1.0/admin/users/add-groups",
			do: func(c bitbucketAPI) error { return second(c.AddUserToGroups("x", []string{"admins"})) }},
		{name: "UpdateUserPassword", want: "PUT /rest/api/1.0/admin/users/credentials",
			do: func(c bitbucketAPI) error { return second(c.UpdateUserPassword()) }},
		{name: "SetPermissionForUsers", want: "PUT /rest/api/1.0/admin/permissions/users",
			do: func(c bitbucketAPI) error { return second(c.SetPermissionForUsers(nil)) }},
		{name: "GetMailConfig", want: "GET /rest/api/1.0/admin/mail-server",
			do: func(c bitbucketAPI) error { return second(c.GetMailConfig()) }},
	}
}
