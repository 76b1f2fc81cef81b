package clients_test

import (
	"github.com/hashicorp/go-retryablehttp"
	gitlab "gitlab.com/gitlab-org/api/client-go/v2"
)

// gitlabDenied are calls of client-go that no rule has: what changes code, who
// may do what, and what runs; secrets; and what is near to an allowed call.
func gitlabDenied() []call[*gitlab.Client] {
	p := gitlabProject
	return []call[*gitlab.Client]{
		{name: "Projects.CreateProject", want: "POST /api/v4/projects",
			do: func(c *gitlab.Client) error {
				return third(c.Projects.CreateProject(&gitlab.CreateProjectOptions{Name: new("x")}))
			}},
		{name: "Projects.EditProject", want: "PUT " + gitlabPath,
			do: func(c *gitlab.Client) error {
				return third(c.Projects.EditProject(p, &gitlab.EditProjectOptions{Visibility: new(gitlab.PublicVisibility)}))
			}},
		{name: "Projects.DeleteProject", want: "DELETE " + gitlabPath,
			do: func(c *gitlab.Client) error { return second(c.Projects.DeleteProject(p, nil)) }},
		{name: "Projects.ArchiveProject", want: "POST " + gitlabPath + "/archive",
			do: func(c *gitlab.Client) error { return third(c.Projects.ArchiveProject(p)) }},
		{name: "Projects.ShareProjectWithGroup", want: "POST " + gitlabPath + "/share",
			do: func(c *gitlab.Client) error {
				return second(c.Projects.ShareProjectWithGroup(p, &gitlab.ShareWithGroupOptions{GroupID: new(int64(7))}))
			}},
		{name: "Projects.ListUserProjects", want: "GET /api/v4/users/7/projects",
			do: func(c *gitlab.Client) error { return third(c.Projects.ListUserProjects(7, nil)) }},

		{name: "Projects.ListProjectHooks", want: "GET " + gitlabPath + "/hooks",
			do: func(c *gitlab.Client) error { return third(c.Projects.ListProjectHooks(p, nil)) }},
		{name: "Projects.AddProjectHook", want: "POST " + gitlabPath + "/hooks",
			do: func(c *gitlab.Client) error {
				return third(c.Projects.AddProjectHook(p, &gitlab.AddProjectHookOptions{URL: new("https://elsewhere.example/")}))
			}},
		{name: "DeployKeys.AddDeployKey", want: "POST " + gitlabPath + "/deploy_keys",
			do: func(c *gitlab.Client) error {
				return third(c.DeployKeys.AddDeployKey(p, &gitlab.AddDeployKeyOptions{Key: new("ssh-ed25519 AAAA")}))
			}},
		{name: "DeployTokens.CreateProjectDeployToken", want: "POST " + gitlabPath + "/deploy_tokens",
			do: func(c *gitlab.Client) error {
				return third(c.DeployTokens.CreateProjectDeployToken(p, &gitlab.CreateProjectDeployTokenOptions{Name: new("x")}))
			}},
		{name: "ProjectAccessTokens.CreateProjectAccessToken", want: "POST " + gitlabPath + "/access_tokens",
			do: func(c *gitlab.Client) error {
				return third(c.ProjectAccessTokens.CreateProjectAccessToken(p, &gitlab.CreateProjectAccessTokenOptions{Name: new("x")}))
			}},
		{name: "ProjectVariables.ListVariables", want: "GET " + gitlabPath + "/variables",
			do: func(c *gitlab.Client) error { return third(c.ProjectVariables.ListVariables(p, nil)) }},
		{name: "ProjectVariables.CreateVariable", want: "POST " + gitlabPath + "/variables",
			do: func(c *gitlab.Client) error {
				return third(c.ProjectVariables.CreateVariable(p, &gitlab.CreateProjectVariableOptions{Key: new("K"), Value: new("v")}))
			}},
		{name: "ProjectMembers.ListProjectMembers", want: "GET " + gitlabPath + "/members",
			do: func(c *gitlab.Client) error { return third(c.ProjectMembers.ListProjectMembers(p, nil)) }},
		{name: "ProjectMembers.AddProjectMember", want: "POST " + gitlabPath + "/members",
			do: func(c *gitlab.Client) error {
				return third(c.ProjectMembers.AddProjectMember(p, &gitlab.AddProjectMemberOptions{UserID: 7}))
			}},

		{name: "MergeRequests.CreateMergeRequest", want: "POST " + gitlabPath + "/merge_requests",
			do: func(c *gitlab.Client) error {
				return third(c.MergeRequests.CreateMergeRequest(p, &gitlab.CreateMergeRequestOptions{Title: new("x")}))
			}},
		{name: "MergeRequests.UpdateMergeRequest", want: "PUT " + gitlabPath + "/merge_requests/7",
			do: func(c *gitlab.Client) error {
				return third(c.MergeRequests.UpdateMergeRequest(p, 7, &gitlab.UpdateMergeRequestOptions{StateEvent: new("close")}))
			}},
		{name: "MergeRequests.AcceptMergeRequest", want: "PUT " + gitlabPath + "/merge_requests/7/merge",
			do: func(c *gitlab.Client) error { return third(c.MergeRequests.AcceptMergeRequest(p, 7, nil)) }},
		{name: "MergeRequests.ListMergeRequestDiffs", want: "GET " + gitlabPath + "/merge_requests/7/diffs",
			do: func(c *gitlab.Client) error { return third(c.MergeRequests.ListMergeRequestDiffs(p, 7, nil)) }},
		{name: "MergeRequestApprovals.ApproveMergeRequest", want: "POST " + gitlabPath + "/merge_requests/7/approve",
			do: func(c *gitlab.Client) error { return third(c.MergeRequestApprovals.ApproveMergeRequest(p, 7, nil)) }},
		{name: "MergeRequestApprovals.CreateApprovalRule", want: "POST " + gitlabPath + "/merge_requests/7/approval_rules",
			do: func(c *gitlab.Client) error {
				return third(c.MergeRequestApprovals.CreateApprovalRule(p, 7, &gitlab.CreateMergeRequestApprovalRuleOptions{Name: new("x")}))
			}},
		{name: "MergeRequests.ListProjectMergeRequests with a key that isn't documented", want: "GET " + gitlabPath + "/merge_requests",
			do: func(c *gitlab.Client) error {
				return third(c.MergeRequests.ListProjectMergeRequests(p, &gitlab.ListProjectMergeRequestsOptions{NonArchived: new(true)}))
			}},
		{name: "Notes.DeleteMergeRequestNote", want: "DELETE " + gitlabPath + "/merge_requests/7/notes/8",
			do: func(c *gitlab.Client) error { return second(c.Notes.DeleteMergeRequestNote(p, 7, 8)) }},
		{name: "Notes.CreateIssueNote", want: "POST " + gitlabPath + "/issues/7/notes",
			do: func(c *gitlab.Client) error {
				return third(c.Notes.CreateIssueNote(p, 7, &gitlab.CreateIssueNoteOptions{Body: new("x")}))
			}},

		{name: "RepositoryFiles.CreateFile", want: "POST " + gitlabPath + "/repository/files/main.tf",
			do: func(c *gitlab.Client) error {
				return third(c.RepositoryFiles.CreateFile(p, "main.tf", &gitlab.CreateFileOptions{Branch: new("main")}))
			}},
		{name: "RepositoryFiles.UpdateFile", want: "PUT " + gitlabPath + "/repository/files/.spacelift%2Fconfig.yml",
			do: func(c *gitlab.Client) error {
				return third(c.RepositoryFiles.UpdateFile(p, ".spacelift/config.yml", &gitlab.UpdateFileOptions{Branch: new("main")}))
			}},
		{name: "RepositoryFiles.DeleteFile", want: "DELETE " + gitlabPath + "/repository/files/main.tf",
			do: func(c *gitlab.Client) error {
				return second(c.RepositoryFiles.DeleteFile(p, "main.tf", &gitlab.DeleteFileOptions{Branch: new("main")}))
			}},
		{name: "RepositoryFiles.GetRawFile of another file", want: "GET " + gitlabPath + "/repository/files/main.tf/raw",
			do: func(c *gitlab.Client) error { return third(c.RepositoryFiles.GetRawFile(p, "main.tf", nil)) }},
		{name: "RepositoryFiles.GetFile", want: "GET " + gitlabPath + "/repository/files/.spacelift%2Fconfig.yml",
			do: func(c *gitlab.Client) error {
				return third(c.RepositoryFiles.GetFile(p, ".spacelift/config.yml", &gitlab.GetFileOptions{Ref: new("main")}))
			}},
		{name: "Repositories.ListTree", want: "GET " + gitlabPath + "/repository/tree",
			do: func(c *gitlab.Client) error { return third(c.Repositories.ListTree(p, nil)) }},
		{name: "Repositories.Archive as tar.bz2", want: "GET " + gitlabPath + "/repository/archive.tar.bz2",
			do: func(c *gitlab.Client) error {
				return third(c.Repositories.Archive(p, &gitlab.ArchiveOptions{Format: new("tar.bz2")}))
			}},
		{name: "Commits.CreateCommit", want: "POST " + gitlabPath + "/repository/commits",
			do: func(c *gitlab.Client) error {
				return third(c.Commits.CreateCommit(p, &gitlab.CreateCommitOptions{Branch: new("main")}))
			}},
		{name: "Commits.PostCommitComment", want: "POST " + gitlabPath + "/repository/commits/" + sha + "/comments",
			do: func(c *gitlab.Client) error {
				return third(c.Commits.PostCommitComment(p, sha, &gitlab.PostCommitCommentOptions{Note: new("x")}))
			}},
		{name: "Branches.CreateBranch", want: "POST " + gitlabPath + "/repository/branches",
			do: func(c *gitlab.Client) error {
				return third(c.Branches.CreateBranch(p, &gitlab.CreateBranchOptions{Branch: new("x"), Ref: new("main")}))
			}},
		{name: "Branches.DeleteBranch", want: "DELETE " + gitlabPath + "/repository/branches/main",
			do: func(c *gitlab.Client) error { return second(c.Branches.DeleteBranch(p, "main")) }},
		{name: "ProtectedBranches.UnprotectRepositoryBranches", want: "DELETE " + gitlabPath + "/protected_branches/main",
			do: func(c *gitlab.Client) error {
				return second(c.ProtectedBranches.UnprotectRepositoryBranches(p, "main"))
			}},
		{name: "Tags.CreateTag", want: "POST " + gitlabPath + "/repository/tags",
			do: func(c *gitlab.Client) error {
				return third(c.Tags.CreateTag(p, &gitlab.CreateTagOptions{TagName: new("v1"), Ref: new("main")}))
			}},

		{name: "Environments.EditEnvironment", want: "PUT " + gitlabPath + "/environments/7",
			do: func(c *gitlab.Client) error {
				return third(c.Environments.EditEnvironment(p, 7, &gitlab.EditEnvironmentOptions{Name: new("x")}))
			}},
		{name: "Deployments.DeleteProjectDeployment", want: "DELETE " + gitlabPath + "/deployments/7",
			do: func(c *gitlab.Client) error { return second(c.Deployments.DeleteProjectDeployment(p, 7)) }},
		{name: "Pipelines.CreatePipeline", want: "POST " + gitlabPath + "/pipeline",
			do: func(c *gitlab.Client) error {
				return third(c.Pipelines.CreatePipeline(p, &gitlab.CreatePipelineOptions{Ref: new("main")}))
			}},
		{name: "Runners.ListRunners", want: "GET /api/v4/runners",
			do: func(c *gitlab.Client) error { return third(c.Runners.ListRunners(nil)) }},
		{name: "Runners.RegisterNewRunner", want: "POST /api/v4/runners",
			do: func(c *gitlab.Client) error {
				return third(c.Runners.RegisterNewRunner(&gitlab.RegisterNewRunnerOptions{Token: new("x")}))
			}},

		{name: "Users.ListUsers", want: "GET /api/v4/users",
			do: func(c *gitlab.Client) error { return third(c.Users.ListUsers(nil)) }},
		{name: "Users.CreateUser", want: "POST /api/v4/users",
			do: func(c *gitlab.Client) error {
				return third(c.Users.CreateUser(&gitlab.CreateUserOptions{Email: new("x@example.com")}))
			}},
		{name: "Users.AddSSHKey", want: "POST /api/v4/user/keys",
			do: func(c *gitlab.Client) error {
				return third(c.Users.AddSSHKey(&gitlab.AddSSHKeyOptions{Key: new("ssh-ed25519 AAAA")}))
			}},
		{name: "Users.CreateImpersonationToken", want: "POST /api/v4/users/7/impersonation_tokens",
			do: func(c *gitlab.Client) error {
				return third(c.Users.CreateImpersonationToken(7, &gitlab.CreateImpersonationTokenOptions{Name: new("x")}))
			}},
		{name: "PersonalAccessTokens.ListPersonalAccessTokens", want: "GET /api/v4/personal_access_tokens",
			do: func(c *gitlab.Client) error {
				return third(c.PersonalAccessTokens.ListPersonalAccessTokens(nil))
			}},
		{name: "Groups.ListGroups", want: "GET /api/v4/groups",
			do: func(c *gitlab.Client) error { return third(c.Groups.ListGroups(nil)) }},
		{name: "GroupVariables.ListVariables", want: "GET /api/v4/groups/platform/variables",
			do: func(c *gitlab.Client) error { return third(c.GroupVariables.ListVariables("platform", nil)) }},
		{name: "Settings.UpdateSettings", want: "PUT /api/v4/application/settings",
			do: func(c *gitlab.Client) error {
				return third(c.Settings.UpdateSettings(&gitlab.UpdateSettingsOptions{SignupEnabled: new(true)}))
			}},
		{name: "SystemHooks.AddHook", want: "POST /api/v4/hooks",
			do: func(c *gitlab.Client) error {
				return third(c.SystemHooks.AddHook(&gitlab.AddHookOptions{URL: new("https://elsewhere.example/")}))
			}},
		{name: "GraphQL.Do", want: "POST /api/graphql",
			do: func(c *gitlab.Client) error {
				return second(c.GraphQL.Do(gitlab.GraphQLQuery{Query: "{currentUser{id}}"}, new(any)))
			}},
		{name: "Users.CurrentUser with sudo in the query", want: "GET /api/v4/user",
			do: func(c *gitlab.Client) error {
				return third(c.Users.CurrentUser(func(r *retryablehttp.Request) error {
					r.URL.RawQuery = "sudo=root"
					return nil
				}))
			}},
	}
}
