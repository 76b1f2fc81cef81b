package clients_test

import (
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
			return errors.As(err, &e) && e.StatusCode != nil && *e.StatusCode == http.StatusForbidden && e.Message != nil && *e.Message != "" // our sentence
		},
		serve:   serveAzure,
		dropped: []string{"X-Vss-Forcemsapassthrough"},
		allowed: azureAllowed(t),
		denied:  azureDenied(t),
		uncovered: map[string]string{
			"azure.git.refs":        "the library doesn't speak git",
			"azure.git.upload_pack": "the library doesn't speak git",
		},
	}.run(t)
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
			rule: "azure.branches.list", want: "GET /DefaultCollection/R%26D%20%40%20Z%C3%BCrich/_apis/git/repositories/R%C3%A9seau%20%28v2%29~x%27s/stats/branches",
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
						s.Id, s.Identities, s.IsDeleted, s.LastUpdatedDate, s.PublishedDate = nil, nil, nil, nil, nil // the server sets them
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
