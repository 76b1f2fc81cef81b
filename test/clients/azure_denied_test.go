package clients_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/build"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/core"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/graph"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/pipelines"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/policy"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/release"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/security"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/serviceendpoint"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/servicehooks"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/taskagent"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/webapi"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/wiki"
)

// azureDenied are calls of the library that no rule has: what changes code, who
// may do what, and what runs; secrets; and what is near to an allowed call.
func azureDenied(t *testing.T) []call[azureAPI] {
	ctx := t.Context()
	const inProject = "/DefaultCollection/Infra%20Team/_apis"
	project, repo := new(azureProject), new(azureRepo)
	id := new(uuid.MustParse("3411ebc1-d5aa-464f-9615-0b527bc66719"))
	someone := &webapi.IdentityRef{Id: new("someone")}
	return []call[azureAPI]{
		{name: "core.GetProjects", want: "GET /DefaultCollection/_apis/projects",
			do: func(c azureAPI) error {
				return second((&core.ClientImpl{Client: c.Client}).GetProjects(ctx, core.GetProjectsArgs{}))
			}},
		{name: "core.QueueCreateProject", want: "POST /DefaultCollection/_apis/projects",
			do: func(c azureAPI) error {
				return second((&core.ClientImpl{Client: c.Client}).QueueCreateProject(ctx, core.QueueCreateProjectArgs{ProjectToCreate: &core.TeamProject{Name: new("x")}}))
			}},
		{name: "core.UpdateProject", want: "PATCH /DefaultCollection/_apis/projects/" + id.String(),
			do: func(c azureAPI) error {
				return second((&core.ClientImpl{Client: c.Client}).UpdateProject(ctx, core.UpdateProjectArgs{ProjectId: id, ProjectUpdate: &core.TeamProject{Visibility: &core.ProjectVisibilityValues.Public}}))
			}},
		{name: "core.QueueDeleteProject", want: "DELETE /DefaultCollection/_apis/projects/" + id.String(),
			do: func(c azureAPI) error {
				return second((&core.ClientImpl{Client: c.Client}).QueueDeleteProject(ctx, core.QueueDeleteProjectArgs{ProjectId: id}))
			}},
		{name: "core.CreateTeam", want: "POST /DefaultCollection/_apis/projects/Infra%20Team/teams",
			do: func(c azureAPI) error {
				return second((&core.ClientImpl{Client: c.Client}).CreateTeam(ctx, core.CreateTeamArgs{ProjectId: project, Team: &core.WebApiTeam{Name: new("x")}}))
			}},
		{name: "graph.ListUsers", want: "GET /DefaultCollection/_apis/Graph/Users",
			do: func(c azureAPI) error {
				return second((&graph.ClientImpl{Client: c.Client}).ListUsers(ctx, graph.ListUsersArgs{}))
			}},
		{name: "security.SetAccessControlEntries", want: "POST /DefaultCollection/_apis/AccessControlEntries/" + id.String(),
			do: func(c azureAPI) error {
				return second((&security.ClientImpl{Client: c.Client}).SetAccessControlEntries(ctx, security.SetAccessControlEntriesArgs{SecurityNamespaceId: id, Container: map[string]any{"token": "repoV2"}}))
			}},

		{name: "CreateRepository", want: "POST " + inProject + "/git/repositories",
			do: func(c azureAPI) error {
				return second(c.git().CreateRepository(ctx, git.CreateRepositoryArgs{Project: project, GitRepositoryToCreate: &git.GitRepositoryCreateOptions{Name: new("x")}}))
			}},
		{name: "GetRepository", want: "GET " + azurePath,
			do: func(c azureAPI) error {
				return second(c.git().GetRepository(ctx, git.GetRepositoryArgs{Project: project, RepositoryId: repo}))
			}},
		{name: "UpdateRepository", want: "PATCH " + inProject + "/git/repositories/" + id.String(),
			do: func(c azureAPI) error {
				return second(c.git().UpdateRepository(ctx, git.UpdateRepositoryArgs{Project: project, RepositoryId: id, NewRepositoryInfo: &git.GitRepository{IsDisabled: new(true)}}))
			}},
		{name: "DeleteRepository", want: "DELETE " + inProject + "/git/repositories/" + id.String(),
			do: func(c azureAPI) error {
				return c.git().DeleteRepository(ctx, git.DeleteRepositoryArgs{Project: project, RepositoryId: id})
			}},
		{name: "GetDeletedRepositories", want: "GET " + inProject + "/git/deletedRepositories",
			do: func(c azureAPI) error {
				return second(c.git().GetDeletedRepositories(ctx, git.GetDeletedRepositoriesArgs{Project: project}))
			}},
		{name: "DeleteRepositoryFromRecycleBin", want: "DELETE " + inProject + "/git/recycleBin/repositories/" + id.String(),
			do: func(c azureAPI) error {
				return c.git().DeleteRepositoryFromRecycleBin(ctx, git.DeleteRepositoryFromRecycleBinArgs{Project: project, RepositoryId: id})
			}},

		{name: "CreatePush", want: "POST " + azurePath + "/pushes",
			do: func(c azureAPI) error {
				return second(c.git().CreatePush(ctx, git.CreatePushArgs{Project: project, RepositoryId: repo, Push: &git.GitPush{RefUpdates: &[]git.GitRefUpdate{{Name: new("refs/heads/main")}}}}))
			}},
		{name: "GetRefs", want: "GET " + azurePath + "/refs",
			do: func(c azureAPI) error {
				return second(c.git().GetRefs(ctx, git.GetRefsArgs{Project: project, RepositoryId: repo, Filter: new("heads/")}))
			}},
		{name: "UpdateRefs", want: "POST " + azurePath + "/refs",
			do: func(c azureAPI) error {
				return second(c.git().UpdateRefs(ctx, git.UpdateRefsArgs{Project: project, RepositoryId: repo, RefUpdates: &[]git.GitRefUpdate{{Name: new("refs/heads/main"), NewObjectId: new(sha)}}}))
			}},
		{name: "UpdateRef", want: "PATCH " + azurePath + "/refs",
			do: func(c azureAPI) error {
				return second(c.git().UpdateRef(ctx, git.UpdateRefArgs{Project: project, RepositoryId: repo, Filter: new("heads/main"), NewRefInfo: &git.GitRefUpdate{IsLocked: new(false)}}))
			}},
		{name: "CreateAnnotatedTag", want: "POST " + azurePath + "/annotatedTags",
			do: func(c azureAPI) error {
				return second(c.git().CreateAnnotatedTag(ctx, git.CreateAnnotatedTagArgs{Project: project, RepositoryId: repo, TagObject: &git.GitAnnotatedTag{Name: new("v1")}}))
			}},
		{name: "CreateCherryPick", want: "POST " + azurePath + "/cherryPicks",
			do: func(c azureAPI) error {
				return second(c.git().CreateCherryPick(ctx, git.CreateCherryPickArgs{Project: project, RepositoryId: repo, CherryPickToCreate: &git.GitAsyncRefOperationParameters{OntoRefName: new("refs/heads/main")}}))
			}},
		{name: "CreateRevert", want: "POST " + azurePath + "/reverts",
			do: func(c azureAPI) error {
				return second(c.git().CreateRevert(ctx, git.CreateRevertArgs{Project: project, RepositoryId: repo, RevertToCreate: &git.GitAsyncRefOperationParameters{OntoRefName: new("refs/heads/main")}}))
			}},
		{name: "CreateMergeRequest", want: "POST " + azurePath + "/merges",
			do: func(c azureAPI) error {
				return second(c.git().CreateMergeRequest(ctx, git.CreateMergeRequestArgs{Project: project, RepositoryNameOrId: repo, MergeParameters: &git.GitMergeParameters{Comment: new("x")}}))
			}},
		{name: "CreateImportRequest", want: "POST " + azurePath + "/importRequests",
			do: func(c azureAPI) error {
				return second(c.git().CreateImportRequest(ctx, git.CreateImportRequestArgs{Project: project, RepositoryId: repo, ImportRequest: &git.GitImportRequest{}}))
			}},
		{name: "CreateForkSyncRequest", want: "POST " + azurePath + "/forkSyncRequests",
			do: func(c azureAPI) error {
				return second(c.git().CreateForkSyncRequest(ctx, git.CreateForkSyncRequestArgs{Project: project, RepositoryNameOrId: repo, SyncParams: &git.GitForkSyncRequestParameters{}}))
			}},

		{name: "GetItem of a repository by its id alone", want: "GET /DefaultCollection/_apis/git/repositories/" + id.String() + "/items",
			do: func(c azureAPI) error {
				return second(c.git().GetItem(ctx, git.GetItemArgs{RepositoryId: new(id.String()), Path: new("/main.tf")}))
			}},
		{name: "GetItemsBatch", want: "POST " + azurePath + "/itemsBatch",
			do: func(c azureAPI) error {
				return second(c.git().GetItemsBatch(ctx, git.GetItemsBatchArgs{Project: project, RepositoryId: repo, RequestData: &git.GitItemRequestData{}}))
			}},
		{name: "GetBlobContent", want: "GET " + azurePath + "/blobs/" + sha,
			do: func(c azureAPI) error {
				return second(c.git().GetBlobContent(ctx, git.GetBlobContentArgs{Project: project, RepositoryId: repo, Sha1: new(sha)}))
			}},
		{name: "GetTreeZip", want: "GET " + azurePath + "/trees/" + sha,
			do: func(c azureAPI) error {
				return second(c.git().GetTreeZip(ctx, git.GetTreeZipArgs{Project: project, RepositoryId: repo, Sha1: new(sha)}))
			}},
		{name: "GetCommits", want: "GET " + azurePath + "/commits",
			do: func(c azureAPI) error {
				return second(c.git().GetCommits(ctx, git.GetCommitsArgs{Project: project, RepositoryId: repo, SearchCriteria: &git.GitQueryCommitsCriteria{}}))
			}},
		{name: "GetCommitsBatch", want: "POST " + azurePath + "/commitsBatch",
			do: func(c azureAPI) error {
				return second(c.git().GetCommitsBatch(ctx, git.GetCommitsBatchArgs{Project: project, RepositoryId: repo, SearchCriteria: &git.GitQueryCommitsCriteria{}}))
			}},
		{name: "GetChanges", want: "GET " + azurePath + "/commits/" + sha + "/changes",
			do: func(c azureAPI) error {
				return second(c.git().GetChanges(ctx, git.GetChangesArgs{Project: project, RepositoryId: repo, CommitId: new(sha)}))
			}},
		{name: "GetStatuses", want: "GET " + azurePath + "/commits/" + sha + "/statuses",
			do: func(c azureAPI) error {
				return second(c.git().GetStatuses(ctx, git.GetStatusesArgs{Project: project, RepositoryId: repo, CommitId: new(sha)}))
			}},
		{name: "CreateCommitStatus in another's name", want: "POST " + azurePath + "/commits/" + sha + "/statuses",
			do: func(c azureAPI) error {
				return second(c.git().CreateCommitStatus(ctx, git.CreateCommitStatusArgs{Project: project, RepositoryId: repo, CommitId: new(sha),
					GitCommitStatusToCreate: &git.GitStatus{State: &git.GitStatusStateValues.Succeeded, CreatedBy: someone}}))
			}},

		{name: "CreatePullRequest", want: "POST " + azurePath + "/pullRequests",
			do: func(c azureAPI) error {
				return second(c.git().CreatePullRequest(ctx, git.CreatePullRequestArgs{Project: project, RepositoryId: repo, GitPullRequestToCreate: &git.GitPullRequest{Title: new("x")}}))
			}},
		{name: "UpdatePullRequest, which completes it", want: "PATCH " + azurePull,
			do: func(c azureAPI) error {
				return second(c.git().UpdatePullRequest(ctx, git.UpdatePullRequestArgs{Project: project, RepositoryId: repo, PullRequestId: new(7),
					GitPullRequestToUpdate: &git.GitPullRequest{Status: &git.PullRequestStatusValues.Completed}}))
			}},
		{name: "CreatePullRequestReviewer, which votes", want: "PUT " + azurePull + "/reviewers/someone",
			do: func(c azureAPI) error {
				return second(c.git().CreatePullRequestReviewer(ctx, git.CreatePullRequestReviewerArgs{Project: project, RepositoryId: repo, PullRequestId: new(7),
					ReviewerId: new("someone"), Reviewer: &git.IdentityRefWithVote{Vote: new(10)}}))
			}},
		{name: "CreatePullRequestStatus", want: "POST " + azurePull + "/statuses",
			do: func(c azureAPI) error {
				return second(c.git().CreatePullRequestStatus(ctx, git.CreatePullRequestStatusArgs{Project: project, RepositoryId: repo, PullRequestId: new(7), Status: &git.GitPullRequestStatus{}}))
			}},
		{name: "CreatePullRequestLabel", want: "POST " + azurePull + "/labels",
			do: func(c azureAPI) error {
				return second(c.git().CreatePullRequestLabel(ctx, git.CreatePullRequestLabelArgs{Project: project, RepositoryId: repo, PullRequestId: new(7), Label: &core.WebApiCreateTagRequestData{Name: new("x")}}))
			}},
		{name: "CreateAttachment", want: "POST " + azurePull + "/attachments/plan.txt",
			do: func(c azureAPI) error {
				return second(c.git().CreateAttachment(ctx, git.CreateAttachmentArgs{Project: project, RepositoryId: repo, PullRequestId: new(7), FileName: new("plan.txt"), UploadStream: strings.NewReader("x")}))
			}},
		{name: "GetPullRequestById", want: "GET " + inProject + "/git/pullRequests/7",
			do: func(c azureAPI) error {
				return second(c.git().GetPullRequestById(ctx, git.GetPullRequestByIdArgs{Project: project, PullRequestId: new(7)}))
			}},
		{name: "GetPullRequestsByProject", want: "GET " + inProject + "/git/pullRequests",
			do: func(c azureAPI) error {
				return second(c.git().GetPullRequestsByProject(ctx, git.GetPullRequestsByProjectArgs{Project: project, SearchCriteria: &git.GitPullRequestSearchCriteria{}}))
			}},
		{name: "GetPullRequestQuery", want: "POST " + azurePath + "/pullRequestQuery",
			do: func(c azureAPI) error {
				return second(c.git().GetPullRequestQuery(ctx, git.GetPullRequestQueryArgs{Project: project, RepositoryId: repo, Queries: &git.GitPullRequestQuery{}}))
			}},

		{name: "GetThreads", want: "GET " + azurePull + "/threads",
			do: func(c azureAPI) error {
				return second(c.git().GetThreads(ctx, git.GetThreadsArgs{Project: project, RepositoryId: repo, PullRequestId: new(7)}))
			}},
		{name: "CreateThread that is deleted", want: "POST " + azurePull + "/threads",
			do: func(c azureAPI) error {
				return second(c.git().CreateThread(ctx, git.CreateThreadArgs{Project: project, RepositoryId: repo, PullRequestId: new(7),
					CommentThread: &git.GitPullRequestCommentThread{Comments: &[]git.Comment{{Content: new("x")}}, IsDeleted: new(true)}}))
			}},
		{name: "UpdateThread", want: "PATCH " + azurePull + "/threads/8",
			do: func(c azureAPI) error {
				return second(c.git().UpdateThread(ctx, git.UpdateThreadArgs{Project: project, RepositoryId: repo, PullRequestId: new(7), ThreadId: new(8),
					CommentThread: &git.GitPullRequestCommentThread{Status: &git.CommentThreadStatusValues.Closed}}))
			}},
		{name: "CreateComment", want: "POST " + azurePull + "/threads/8/comments",
			do: func(c azureAPI) error {
				return second(c.git().CreateComment(ctx, git.CreateCommentArgs{Project: project, RepositoryId: repo, PullRequestId: new(7), ThreadId: new(8), Comment: &git.Comment{Content: new("x")}}))
			}},
		{name: "UpdateComment in another's name", want: "PATCH " + azurePull + "/threads/8/comments/9",
			do: func(c azureAPI) error {
				return second(c.git().UpdateComment(ctx, git.UpdateCommentArgs{Project: project, RepositoryId: repo, PullRequestId: new(7), ThreadId: new(8), CommentId: new(9),
					Comment: &git.Comment{Content: new("x"), Author: someone}}))
			}},
		{name: "DeleteComment", want: "DELETE " + azurePull + "/threads/8/comments/9",
			do: func(c azureAPI) error {
				return c.git().DeleteComment(ctx, git.DeleteCommentArgs{Project: project, RepositoryId: repo, PullRequestId: new(7), ThreadId: new(8), CommentId: new(9)})
			}},

		{name: "policy.CreatePolicyConfiguration", want: "POST " + inProject + "/policy/configurations",
			do: func(c azureAPI) error {
				return second(c.policy().CreatePolicyConfiguration(ctx, policy.CreatePolicyConfigurationArgs{Project: project, Configuration: &policy.PolicyConfiguration{IsEnabled: new(false)}}))
			}},
		{name: "policy.DeletePolicyConfiguration", want: "DELETE " + inProject + "/policy/configurations/7",
			do: func(c azureAPI) error {
				return c.policy().DeletePolicyConfiguration(ctx, policy.DeletePolicyConfigurationArgs{Project: project, ConfigurationId: new(7)})
			}},
		{name: "policy.RequeuePolicyEvaluation", want: "PATCH " + inProject + "/policy/evaluations/" + id.String(),
			do: func(c azureAPI) error {
				return second(c.policy().RequeuePolicyEvaluation(ctx, policy.RequeuePolicyEvaluationArgs{Project: project, EvaluationId: id}))
			}},

		{name: "build.GetBuilds", want: "GET " + inProject + "/build/Builds",
			do: func(c azureAPI) error {
				return second((&build.ClientImpl{Client: c.Client}).GetBuilds(ctx, build.GetBuildsArgs{Project: project}))
			}},
		{name: "build.QueueBuild", want: "POST " + inProject + "/build/Builds",
			do: func(c azureAPI) error {
				return second((&build.ClientImpl{Client: c.Client}).QueueBuild(ctx, build.QueueBuildArgs{Project: project, Build: &build.Build{SourceBranch: new("x")}}))
			}},
		{name: "build.CreateDefinition", want: "POST " + inProject + "/build/definitions",
			do: func(c azureAPI) error {
				return second((&build.ClientImpl{Client: c.Client}).CreateDefinition(ctx, build.CreateDefinitionArgs{Project: project, Definition: &build.BuildDefinition{Name: new("x")}}))
			}},
		{name: "pipelines.RunPipeline", want: "POST " + inProject + "/pipelines/7/runs",
			do: func(c azureAPI) error {
				return second((&pipelines.ClientImpl{Client: c.Client}).RunPipeline(ctx, pipelines.RunPipelineArgs{Project: project, PipelineId: new(7), RunParameters: &pipelines.RunPipelineParameters{}}))
			}},
		{name: "release.CreateRelease", want: "POST " + inProject + "/release/releases",
			do: func(c azureAPI) error {
				return second((&release.ClientImpl{Client: c.Client}).CreateRelease(ctx, release.CreateReleaseArgs{Project: project, ReleaseStartMetadata: &release.ReleaseStartMetadata{DefinitionId: new(7)}}))
			}},
		{name: "taskagent.GetVariableGroups", want: "GET " + inProject + "/distributedtask/variablegroups",
			do: func(c azureAPI) error {
				return second((&taskagent.ClientImpl{Client: c.Client}).GetVariableGroups(ctx, taskagent.GetVariableGroupsArgs{Project: project}))
			}},
		{name: "taskagent.AddVariableGroup", want: "POST /DefaultCollection/_apis/distributedtask/variablegroups",
			do: func(c azureAPI) error {
				return second((&taskagent.ClientImpl{Client: c.Client}).AddVariableGroup(ctx, taskagent.AddVariableGroupArgs{VariableGroupParameters: &taskagent.VariableGroupParameters{Name: new("x")}}))
			}},
		{name: "taskagent.AddAgentPool", want: "POST /DefaultCollection/_apis/distributedtask/pools",
			do: func(c azureAPI) error {
				return second((&taskagent.ClientImpl{Client: c.Client}).AddAgentPool(ctx, taskagent.AddAgentPoolArgs{Pool: &taskagent.TaskAgentPool{Name: new("x")}}))
			}},
		{name: "taskagent.AddAgent", want: "POST /DefaultCollection/_apis/distributedtask/pools/7/agents",
			do: func(c azureAPI) error {
				return second((&taskagent.ClientImpl{Client: c.Client}).AddAgent(ctx, taskagent.AddAgentArgs{PoolId: new(7), Agent: &taskagent.TaskAgent{Name: new("x")}}))
			}},
		{name: "serviceendpoint.GetServiceEndpoints", want: "GET " + inProject + "/serviceendpoint/endpoints",
			do: func(c azureAPI) error {
				return second((&serviceendpoint.ClientImpl{Client: c.Client}).GetServiceEndpoints(ctx, serviceendpoint.GetServiceEndpointsArgs{Project: project}))
			}},
		{name: "serviceendpoint.CreateServiceEndpoint", want: "POST /DefaultCollection/_apis/serviceendpoint/endpoints",
			do: func(c azureAPI) error {
				return second((&serviceendpoint.ClientImpl{Client: c.Client}).CreateServiceEndpoint(ctx, serviceendpoint.CreateServiceEndpointArgs{Endpoint: &serviceendpoint.ServiceEndpoint{Name: new("x")}}))
			}},
		{name: "servicehooks.ListSubscriptions", want: "GET /DefaultCollection/_apis/hooks/Subscriptions",
			do: func(c azureAPI) error {
				return second((&servicehooks.ClientImpl{Client: c.Client}).ListSubscriptions(ctx, servicehooks.ListSubscriptionsArgs{}))
			}},
		{name: "servicehooks.CreateSubscription", want: "POST /DefaultCollection/_apis/hooks/Subscriptions",
			do: func(c azureAPI) error {
				return second((&servicehooks.ClientImpl{Client: c.Client}).CreateSubscription(ctx, servicehooks.CreateSubscriptionArgs{Subscription: &servicehooks.Subscription{EventType: new("git.push")}}))
			}},
		{name: "wiki.CreateOrUpdatePage", want: "PUT " + inProject + "/wiki/wikis/docs/pages",
			do: func(c azureAPI) error {
				return second((&wiki.ClientImpl{Client: c.Client}).CreateOrUpdatePage(ctx, wiki.CreateOrUpdatePageArgs{Project: project, WikiIdentifier: new("docs"), Path: new("/Home"), Parameters: &wiki.WikiPageCreateOrUpdateParameters{Content: new("x")}}))
			}},
	}
}
