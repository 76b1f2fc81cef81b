package clients_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/git"
	"github.com/microsoft/azure-devops-go-api/azuredevops/v7/policy"
)

const (
	azureProject, azureRepo = "Infra Team", "stack"
	azurePath               = "/DefaultCollection/Infra%20Team/_apis/git/repositories/stack"
	azurePull               = azurePath + "/pullRequests/7"
)

// azureAPI is the library's client. It's handed to the clients of the areas.
type azureAPI struct {
	azuredevops.Client
	fresh func() *azuredevops.Client // one that hasn't asked for the resources yet
}

func (c azureAPI) git() git.Client { return &git.ClientImpl{Client: c.Client} }

func (c azureAPI) policy() policy.Client { return &policy.ClientImpl{Client: c.Client} }

func TestAzureDevOps(t *testing.T) {
	clients := 0
	vendor[azureAPI]{
		name: "azure_devops",
		client: func(base string, hc *http.Client) (azureAPI, error) {
			connection := azuredevops.NewPatConnection(base, "for-the-vcs")
			connection.ForceMsaPassThrough = true
			fresh := func() *azuredevops.Client {
				// The library keeps the server's resources for the whole process, by
				// the URL as it's given. It trims the slashes before it uses it.
				clients++
				url := base + "/DefaultCollection" + strings.Repeat("/", clients)
				return azuredevops.NewClientWithOptions(connection, url, azuredevops.WithHTTPClient(hc))
			}
			return azureAPI{*fresh(), fresh}, nil
		},
		forbidden: func(err error) bool {
			var e azuredevops.WrappedError
			return errors.As(err, &e) && e.StatusCode != nil && *e.StatusCode == http.StatusForbidden
		},
		serve:   serveAzureResources(t),
		dropped: []string{"X-Vss-Forcemsapassthrough"},
		allowed: azureAllowed(t),
		denied:  azureDenied(t),
		uncovered: map[string]string{
			"azure.git.refs":        "the library doesn't speak git",
			"azure.git.upload_pack": "the library doesn't speak git",
		},
	}.run(t)
}

// azureResources are what the library asks for by an id, as the server lists
// them: id, area, name, route.
const azureResources = `
e81700f7-3be2-46de-8624-2eb35882fcaa Location ResourceAreas _apis/{resource}/{areaId}

225f7195-f9c7-4d14-ab28-a83f7ff77e1f git repositories {project}/_apis/{area}/{resource}/{repositoryId}
2b6869c4-cb25-42b5-b7a3-0d3e6be0a11a git deletedRepositories {project}/_apis/{area}/{resource}
a663da97-81db-4eb3-8b83-287670f63073 git repositories {project}/_apis/{area}/recycleBin/{resource}/{repositoryId}
615588d5-c0c7-4b88-88f8-e625306446e8 git commitDiffs {project}/_apis/{area}/repositories/{repositoryId}/diffs/commits
d5b216de-d8d5-4d32-ae76-51df755b16d3 git branchStats {project}/_apis/{area}/repositories/{repositoryId}/stats/branches
fb93c0db-47ed-4a31-8c20-47552878fb44 git items {project}/_apis/{area}/repositories/{repositoryId}/{resource}/{*path}
630fd2e4-fb88-4f85-ad21-13f3fd1fbca9 git itemsBatch {project}/_apis/{area}/repositories/{repositoryId}/{resource}
7b28e929-2c99-405d-9c5c-6167a06e6816 git blobs {project}/_apis/{area}/repositories/{repositoryId}/{resource}/{sha1}
729f6437-6f92-44ec-8bee-273a7111063c git trees {project}/_apis/{area}/repositories/{repositoryId}/{resource}/{sha1}
c2570c3b-5b3f-41b8-98bf-5407bfde8d58 git commits {project}/_apis/{area}/repositories/{repositoryId}/{resource}/{commitId}
5bf884f5-3e07-42e9-afb8-1b872267bf16 git changes {project}/_apis/{area}/repositories/{repositoryId}/commits/{commitId}/{resource}
428dd4fb-fda5-4722-af02-9313b80305da git statuses {project}/_apis/{area}/repositories/{repositoryId}/commits/{commitId}/{resource}
2d874a60-a811-4f62-9c9f-963a6ea0a55b git refs {project}/_apis/{area}/repositories/{repositoryId}/{resource}/{*filter}
ea98d07b-3c87-4971-8ede-a613694ffb55 git pushes {project}/_apis/{area}/repositories/{repositoryId}/{resource}/{pushId}
5e8a8081-3851-4626-b677-9891cc04102e git annotatedTags {project}/_apis/{area}/repositories/{repositoryId}/{resource}/{objectId}
033bad68-9a14-43d1-90e0-59cb8856fef6 git cherryPicks {project}/_apis/{area}/repositories/{repositoryId}/{resource}/{cherryPickId}
bc866058-5449-4715-9cf1-a510b6ff193c git reverts {project}/_apis/{area}/repositories/{repositoryId}/{resource}/{revertId}
985f7ae9-844f-4906-9897-7ef41516c0e2 git merges {project}/_apis/{area}/repositories/{repositoryNameOrId}/{resource}/{mergeOperationId}
01828ddc-3600-4a41-8633-99b3a73a0eb3 git importRequests {project}/_apis/{area}/repositories/{repositoryId}/{resource}/{importRequestId}
1703f858-b9d1-46af-ab62-483e9e1055b5 git forkSyncRequests {project}/_apis/{area}/repositories/{repositoryNameOrId}/{resource}/{forkSyncOperationId}
9946fd70-0d40-406e-b686-b4744cbbcc37 git pullRequests {project}/_apis/{area}/repositories/{repositoryId}/{resource}/{pullRequestId}
01a46dea-7d46-4d40-bc84-319e7c260d99 git pullRequests {project}/_apis/{area}/{resource}/{pullRequestId}
a5d28130-9cd2-40fa-9f08-902e7daa9efb git pullRequests {project}/_apis/{area}/{resource}
b3a6eebe-9cf0-49ea-b6cb-1a4c5f5007b0 git pullRequestQuery {project}/_apis/{area}/repositories/{repositoryId}/{resource}
f22387e3-984e-4c52-9c6d-fbb8f14c812d git labels {project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/{resource}/{labelIdOrName}
4b6702c7-aa35-4b89-9c96-b9abf6d3e540 git reviewers {project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/{resource}/{reviewerId}
b5f6bb4f-8d1e-4d79-8d11-4c9172c99c35 git statuses {project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/{resource}/{statusId}
965d9361-878b-413b-a494-45d5b5fd8ab7 git attachments {project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/{resource}/{fileName}
ab6e2e5d-a0b7-4153-b64a-a4efe0d49449 git threads {project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/{resource}/{threadId}
965a3ec7-5ed8-455a-bdcb-835a5ea7fe7b git comments {project}/_apis/{area}/repositories/{repositoryId}/pullRequests/{pullRequestId}/threads/{threadId}/{resource}/{commentId}

c23ddff5-229c-4d04-a80b-0fdce9f360c8 policy evaluations {project}/_apis/{area}/{resource}
46aecb7a-5d2c-4647-897b-0209505a9fe4 policy evaluations {project}/_apis/{area}/{resource}/{evaluationId}
dad91cbe-d183-45f8-9c6e-9c1164472121 policy configurations {project}/_apis/{area}/{resource}/{configurationId}

603fe2ac-9723-48b9-88ad-09305aa6c6e1 core projects _apis/{resource}/{*projectId}
d30a3dd1-f8ba-442a-b86a-bd0c0c383e59 core teams _apis/projects/{projectId}/{resource}/{*teamId}
0cd358e1-9217-4d94-8269-1c1ee6f93dcf build builds {project}/_apis/{area}/{resource}/{buildId}
dbeaf647-6167-421a-bda9-c9327b25e2e6 build definitions {project}/_apis/{area}/{resource}/{definitionId}
7859261e-d2e9-4a68-b820-a5d84cc5bb3d pipelines runs {project}/_apis/{area}/{pipelineId}/{resource}/{runId}
a166fde7-27ad-408e-ba75-703c2cc9d500 release releases {project}/_apis/{area}/{resource}/{releaseId}
e85f1c62-adfc-4b74-b618-11a150fb195e serviceendpoint endpoints {project}/_apis/{area}/{resource}/{endpointId}
14e48fdc-2c8b-41ce-a0c3-e26f6cc55bd0 serviceendpoint endpoints _apis/{area}/{resource}/{endpointId}
fc50d02a-849f-41fb-8af1-0a5216103269 hooks subscriptions _apis/{area}/{resource}/{subscriptionId}
f5b09dd5-9d54-45a1-8b5a-1c8287d634cc distributedtask variablegroups {project}/_apis/{area}/{resource}/{groupId}
ef5b7057-ffc3-4c77-bbad-c10b4a4abcc7 distributedtask variablegroups _apis/{area}/{resource}/{groupId}
a8c47e17-4d56-4a56-92bb-de7ea7dc65be distributedtask pools _apis/{area}/{resource}/{poolId}
ac08c8ff-4323-4b08-af90-bcd018d380ce Security AccessControlEntries _apis/{resource}/{securityNamespaceId}
005e26ec-6b77-4e4f-a986-b3827bf241f5 Graph Users _apis/{area}/{resource}/{userDescriptor}
25d3fbc7-fe3d-46cb-b5a5-0b6f79caf27b wiki pages {project}/_apis/{area}/wikis/{wikiIdentifier}/{resource}/{*path}
`

// serveAzureResources answers the question that the library asks before its
// first call.
func serveAzureResources(t *testing.T) func(http.ResponseWriter, *http.Request) bool {
	t.Helper()
	var locations []azuredevops.ApiResourceLocation
	for line := range strings.Lines(azureResources) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		locations = append(locations, azuredevops.ApiResourceLocation{
			Id: new(uuid.MustParse(f[0])), Area: &f[1], ResourceName: &f[2], RouteTemplate: &f[3],
			MinVersion: new("1.0"), MaxVersion: new("7.1"), ReleasedVersion: new("7.0"), ResourceVersion: new(2),
		})
	}
	body, err := json.Marshal(map[string]any{"count": len(locations), "value": locations})
	if err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodOptions || r.URL.Path != "/DefaultCollection/_apis" {
			return false
		}
		w.Write(body)
		return true
	}
}

func azureAllowed(t *testing.T) []call[azureAPI] {
	ctx := t.Context()
	project, repo := new(azureProject), new(azureRepo)
	list := answer{body: `{"count":0,"value":[]}`}
	version := &git.GitVersionDescriptor{Version: new("feature/a b"), VersionType: &git.GitVersionTypeValues.Branch, VersionOptions: &git.GitVersionOptionsValues.None}
	return []call[azureAPI]{
		{
			name: "Send for a resource that the server doesn't list",
			do: func(c azureAPI) error {
				_, err := c.fresh().Send(ctx, http.MethodGet, uuid.Nil, "7.1", nil, nil, nil, "", "application/json", nil)
				var e *azuredevops.LocationIdNotRegisteredError
				if errors.As(err, &e) {
					return nil // after the list has come
				}
				return err
			},
			rule: "azure.resources.list", want: "OPTIONS /DefaultCollection/_apis",
		},
		{
			name: "GetResourceAreas",
			do:   func(c azureAPI) error { return second(c.GetResourceAreas(ctx)) },
			rule: "azure.areas.list", want: "GET /DefaultCollection/_apis/ResourceAreas",
			answer: list, // as a server on premises does: all is at one address
		},
		{
			name: "GetRepositories",
			do:   func(c azureAPI) error { return second(c.git().GetRepositories(ctx, git.GetRepositoriesArgs{})) },
			rule: "azure.repositories.list", want: "GET /DefaultCollection/_apis/git/repositories", answer: list,
		},
		{
			name: "GetRepositories of a project",
			do: func(c azureAPI) error {
				return second(c.git().GetRepositories(ctx, *filled(func(a *git.GetRepositoriesArgs) { a.Project = project })))
			},
			rule: "azure.repositories.list", want: "GET /DefaultCollection/Infra%20Team/_apis/git/repositories", answer: list,
		},
		{
			name: "GetCommitDiffs",
			do: func(c azureAPI) error {
				return second(c.git().GetCommitDiffs(ctx, *filled(func(a *git.GetCommitDiffsArgs) { a.Project, a.RepositoryId = project, repo })))
			},
			rule: "azure.compare", want: "GET " + azurePath + "/diffs/commits",
		},
		{
			name: "GetBranches",
			do: func(c azureAPI) error {
				return second(c.git().GetBranches(ctx, git.GetBranchesArgs{Project: project, RepositoryId: repo, BaseVersionDescriptor: version}))
			},
			rule: "azure.branches.list", want: "GET " + azurePath + "/stats/branches", answer: list,
		},
		{
			name: "GetBranch",
			do: func(c azureAPI) error {
				return second(c.git().GetBranch(ctx, git.GetBranchArgs{Project: project, RepositoryId: repo, Name: new("feature/a+b é"), BaseVersionDescriptor: version}))
			},
			rule: "azure.branches.list", want: "GET " + azurePath + "/stats/branches",
		},
		{
			name: "GetBranch of names with special characters",
			do: func(c azureAPI) error {
				return second(c.git().GetBranch(ctx, git.GetBranchArgs{Project: new("R&D @ Zürich"), RepositoryId: new("Réseau (v2)~x's"), Name: new("main")}))
			},
			rule: "azure.branches.list", want: "GET /DefaultCollection/R&D%20@%20Z%C3%BCrich/_apis/git/repositories/R%C3%A9seau%20%28v2%29~x%27s/stats/branches",
		},
		{
			name: "GetItem",
			do: func(c azureAPI) error {
				return second(c.git().GetItem(ctx, *filled(func(a *git.GetItemArgs) { a.Project, a.RepositoryId = project, repo })))
			},
			rule: "azure.items.get", want: "GET " + azurePath + "/items",
		},
		{
			name: "GetItemContent of the configuration",
			do: func(c azureAPI) error {
				return second(c.git().GetItemContent(ctx, git.GetItemContentArgs{Project: project, RepositoryId: repo, Path: new("/.spacelift/config.yml"), VersionDescriptor: version}))
			},
			rule: "azure.items.get", want: "GET " + azurePath + "/items", answer: answer{body: "version: 2\n"},
		},
		{
			name: "GetItemText",
			do: func(c azureAPI) error {
				return second(c.git().GetItemText(ctx, *filled(func(a *git.GetItemTextArgs) { a.Project, a.RepositoryId = project, repo })))
			},
			rule: "azure.items.get", want: "GET " + azurePath + "/items", answer: answer{body: "version: 2\n"},
		},
		{
			name: "GetItems",
			do: func(c azureAPI) error {
				return second(c.git().GetItems(ctx, *filled(func(a *git.GetItemsArgs) { a.Project, a.RepositoryId = project, repo })))
			},
			rule: "azure.items.get", want: "GET " + azurePath + "/items", answer: list,
		},
		{
			name: "GetItemZip",
			do: func(c azureAPI) error {
				return second(c.git().GetItemZip(ctx, git.GetItemZipArgs{Project: project, RepositoryId: repo, Path: new("/"), Download: new(true), VersionDescriptor: version}))
			},
			rule: "azure.items.get", want: "GET " + azurePath + "/items", answer: answer{body: "PK\x03\x04"},
		},
		{
			name: "GetCommit",
			do: func(c azureAPI) error {
				return second(c.git().GetCommit(ctx, git.GetCommitArgs{Project: project, RepositoryId: repo, CommitId: new(sha), ChangeCount: new(100)}))
			},
			rule: "azure.commit.get", want: "GET " + azurePath + "/commits/" + sha,
		},
		{
			name: "GetPullRequests",
			do: func(c azureAPI) error {
				return second(c.git().GetPullRequests(ctx, *filled(func(a *git.GetPullRequestsArgs) { a.Project, a.RepositoryId = project, repo })))
			},
			rule: "azure.pull_requests.list", want: "GET " + azurePath + "/pullRequests", answer: list,
		},
		{
			name: "GetPullRequest",
			do: func(c azureAPI) error {
				return second(c.git().GetPullRequest(ctx, *filled(func(a *git.GetPullRequestArgs) { a.Project, a.RepositoryId = project, repo })))
			},
			rule: "azure.pull_request.get", want: "GET " + azurePull,
		},
		{
			name: "GetPullRequestLabels",
			do: func(c azureAPI) error {
				return second(c.git().GetPullRequestLabels(ctx, *filled(func(a *git.GetPullRequestLabelsArgs) { a.Project, a.RepositoryId = project, repo })))
			},
			rule: "azure.pull_request.labels", want: "GET " + azurePull + "/labels", answer: list,
		},
		{
			name: "GetPullRequestThread",
			do: func(c azureAPI) error {
				return second(c.git().GetPullRequestThread(ctx, *filled(func(a *git.GetPullRequestThreadArgs) {
					a.Project, a.RepositoryId, a.ThreadId = project, repo, new(8)
				})))
			},
			rule: "azure.thread.get", want: "GET " + azurePull + "/threads/8",
		},
		{
			name: "GetPolicyEvaluations",
			do: func(c azureAPI) error {
				return second(c.policy().GetPolicyEvaluations(ctx, *filled(func(a *policy.GetPolicyEvaluationsArgs) {
					a.Project, a.ArtifactId = project, new("vstfs:///CodeReview/CodeReviewId/"+uuid.Nil.String()+"/7")
				})))
			},
			rule: "azure.policy_evaluations.list", want: "GET /DefaultCollection/Infra%20Team/_apis/policy/evaluations", answer: list,
		},
		{
			name: "CreateCommitStatus",
			do: func(c azureAPI) error {
				return second(c.git().CreateCommitStatus(ctx, git.CreateCommitStatusArgs{
					Project: project, RepositoryId: repo, CommitId: new(sha),
					GitCommitStatusToCreate: filled(func(s *git.GitStatus) {
						s.CreatedBy, s.CreationDate, s.Id, s.UpdatedDate = nil, nil, nil, nil // the server sets them
					}),
				}))
			},
			rule: "azure.status.create", want: "POST " + azurePath + "/commits/" + sha + "/statuses", answer: answer{status: 201},
		},
		{
			name: "CreateThread",
			do: func(c azureAPI) error {
				return second(c.git().CreateThread(ctx, git.CreateThreadArgs{
					Project: project, RepositoryId: repo, PullRequestId: new(7),
					CommentThread: filled(func(s *git.GitPullRequestCommentThread) {
						s.Comments = &[]git.Comment{{ParentCommentId: new(0), Content: new("**plan** <é> & \"so on\""), CommentType: &git.CommentTypeValues.Text}}
						s.Properties = map[string]any{"Microsoft.TeamFoundation.Discussion.SupportsMarkdown": 1}
						s.Id, s.IsDeleted, s.LastUpdatedDate, s.PublishedDate = nil, nil, nil, nil // the server sets them
					}),
				}))
			},
			rule: "azure.thread.create", want: "POST " + azurePull + "/threads",
		},
		{
			name: "UpdateComment",
			do: func(c azureAPI) error {
				return second(c.git().UpdateComment(ctx, git.UpdateCommentArgs{
					Project: project, RepositoryId: repo, PullRequestId: new(7), ThreadId: new(8), CommentId: new(9),
					Comment: &git.Comment{Content: new("edited"), CommentType: &git.CommentTypeValues.Text, ParentCommentId: new(1)},
				}))
			},
			rule: "azure.comment.update", want: "PATCH " + azurePull + "/threads/8/comments/9",
		},
	}
}
