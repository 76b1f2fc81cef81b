package clients_test

import (
	"os"
	"testing"

	"github.com/google/go-github/v92/github"
	"github.com/shurcooL/githubv4"
)

// githubDenied are calls of go-github that no rule has: what changes code, who
// may do what, and what runs; secrets; and what is near to an allowed call.
func githubDenied(t *testing.T) []call[githubClients] {
	ctx := t.Context()
	o, r := ghOwner, ghRepo
	hook := &github.Hook{Config: &github.HookConfig{URL: new("https://elsewhere.example/")}}
	file := &github.RepositoryContentFileOptions{Message: new("x"), Content: []byte("x"), SHA: new(sha)}
	return []call[githubClients]{
		{name: "Repositories.Get", want: "GET " + ghPath,
			do: func(c githubClients) error { return third(c.Repositories.Get(ctx, o, r)) }},
		{name: "Repositories.Create", want: "POST /api/v3/orgs/platform/repos",
			do: func(c githubClients) error {
				return third(c.Repositories.Create(ctx, o, &github.Repository{Name: new("x")}))
			}},
		{name: "Repositories.Edit", want: "PATCH " + ghPath,
			do: func(c githubClients) error {
				return third(c.Repositories.Edit(ctx, o, r, &github.Repository{Private: new(false)}))
			}},
		{name: "Repositories.Delete", want: "DELETE " + ghPath,
			do: func(c githubClients) error { return second(c.Repositories.Delete(ctx, o, r)) }},
		{name: "Repositories.Transfer", want: "POST " + ghPath + "/transfer",
			do: func(c githubClients) error {
				return third(c.Repositories.Transfer(ctx, o, r, github.TransferRequest{NewOwner: "x"}))
			}},
		{name: "Repositories.CreateFork", want: "POST " + ghPath + "/forks",
			do: func(c githubClients) error { return third(c.Repositories.CreateFork(ctx, o, r, nil)) }},
		{name: "Repositories.Dispatch", want: "POST " + ghPath + "/dispatches",
			do: func(c githubClients) error {
				return third(c.Repositories.Dispatch(ctx, o, r, github.DispatchRequestOptions{EventType: "x"}))
			}},

		{name: "Repositories.ListHooks", want: "GET " + ghPath + "/hooks",
			do: func(c githubClients) error { return third(c.Repositories.ListHooks(ctx, o, r, nil)) }},
		{name: "Repositories.CreateHook", want: "POST " + ghPath + "/hooks",
			do: func(c githubClients) error { return third(c.Repositories.CreateHook(ctx, o, r, hook)) }},
		{name: "Repositories.CreateKey", want: "POST " + ghPath + "/keys",
			do: func(c githubClients) error {
				return third(c.Repositories.CreateKey(ctx, o, r, github.CreateDeployKeyRequest{Key: "ssh-ed25519 AAAA"}))
			}},
		{name: "Repositories.ListCollaborators", want: "GET " + ghPath + "/collaborators",
			do: func(c githubClients) error { return third(c.Repositories.ListCollaborators(ctx, o, r, nil)) }},
		{name: "Repositories.AddCollaborator", want: "PUT " + ghPath + "/collaborators/x",
			do: func(c githubClients) error { return third(c.Repositories.AddCollaborator(ctx, o, r, "x", nil)) }},
		{name: "Actions.ListRepoSecrets", want: "GET " + ghPath + "/actions/secrets",
			do: func(c githubClients) error { return third(c.Actions.ListRepoSecrets(ctx, o, r, nil)) }},
		{name: "Actions.CreateOrUpdateRepoSecret", want: "PUT " + ghPath + "/actions/secrets/K",
			do: func(c githubClients) error {
				return second(c.Actions.CreateOrUpdateRepoSecret(ctx, o, r, "K", github.SecretRequest{KeyID: "1", EncryptedValue: "x"}))
			}},
		{name: "Actions.CreateRepoVariable", want: "POST " + ghPath + "/actions/variables",
			do: func(c githubClients) error {
				return second(c.Actions.CreateRepoVariable(ctx, o, r, github.ActionsCreateVariableRequest{Name: "K", Value: "v"}))
			}},
		{name: "Actions.ListRunners", want: "GET " + ghPath + "/actions/runners",
			do: func(c githubClients) error { return third(c.Actions.ListRunners(ctx, o, r, nil)) }},
		{name: "Actions.CreateRegistrationToken", want: "POST " + ghPath + "/actions/runners/registration-token",
			do: func(c githubClients) error { return third(c.Actions.CreateRegistrationToken(ctx, o, r)) }},
		{name: "Actions.CreateWorkflowDispatchEventByID", want: "POST " + ghPath + "/actions/workflows/7/dispatches",
			do: func(c githubClients) error {
				return third(c.Actions.CreateWorkflowDispatchEventByID(ctx, o, r, 7, github.CreateWorkflowDispatchEventRequest{Ref: "main"}))
			}},

		{name: "PullRequests.List", want: "GET " + ghPath + "/pulls",
			do: func(c githubClients) error { return third(c.PullRequests.List(ctx, o, r, nil)) }},
		{name: "PullRequests.Create", want: "POST " + ghPath + "/pulls",
			do: func(c githubClients) error {
				return third(c.PullRequests.Create(ctx, o, r, github.CreatePullRequest{Head: "x", Base: "main"}))
			}},
		{name: "PullRequests.Edit", want: "PATCH " + ghPath + "/pulls/7",
			do: func(c githubClients) error {
				return third(c.PullRequests.Edit(ctx, o, r, 7, &github.PullRequest{State: new("closed")}))
			}},
		{name: "PullRequests.Merge", want: "PUT " + ghPath + "/pulls/7/merge",
			do: func(c githubClients) error { return third(c.PullRequests.Merge(ctx, o, r, 7, "x", nil)) }},
		{name: "PullRequests.CreateReview", want: "POST " + ghPath + "/pulls/7/reviews",
			do: func(c githubClients) error {
				return third(c.PullRequests.CreateReview(ctx, o, r, 7, &github.PullRequestReviewRequest{Event: new("APPROVE")}))
			}},
		{name: "Issues.Create", want: "POST " + ghPath + "/issues",
			do: func(c githubClients) error {
				return third(c.Issues.Create(ctx, o, r, github.CreateIssueRequest{Title: "x"}))
			}},
		{name: "Issues.DeleteComment", want: "DELETE " + ghPath + "/issues/comments/7",
			do: func(c githubClients) error { return second(c.Issues.DeleteComment(ctx, o, r, 7)) }},

		{name: "Repositories.GetContents", want: "GET " + ghPath + "/contents/main.tf",
			do: func(c githubClients) error {
				_, _, _, err := c.Repositories.GetContents(ctx, o, r, "main.tf", nil)
				return err
			}},
		{name: "Repositories.CreateFile", want: "PUT " + ghPath + "/contents/main.tf",
			do: func(c githubClients) error { return third(c.Repositories.CreateFile(ctx, o, r, "main.tf", file)) }},
		{name: "Repositories.DeleteFile", want: "DELETE " + ghPath + "/contents/main.tf",
			do: func(c githubClients) error { return third(c.Repositories.DeleteFile(ctx, o, r, "main.tf", file)) }},
		{name: "Repositories.Merge", want: "POST " + ghPath + "/merges",
			do: func(c githubClients) error {
				return third(c.Repositories.Merge(ctx, o, r, github.RepositoryMergeRequest{Base: "main", Head: "x"}))
			}},
		{name: "Repositories.GetCommit of a branch whose slash it leaves as it is", want: "GET " + ghPath + "/commits/feature/status",
			do: func(c githubClients) error {
				return third(c.Repositories.GetCommit(ctx, o, r, "feature/status", nil))
			}},
		{name: "Repositories.CreateComment", want: "POST " + ghPath + "/commits/" + sha + "/comments",
			do: func(c githubClients) error {
				return third(c.Repositories.CreateComment(ctx, o, r, sha, github.CreateCommitCommentRequest{Body: "x"}))
			}},
		{name: "Repositories.GetCombinedStatus", want: "GET " + ghPath + "/commits/" + sha + "/status",
			do: func(c githubClients) error { return third(c.Repositories.GetCombinedStatus(ctx, o, r, sha, nil)) }},
		{name: "Repositories.GetDeployment", want: "GET " + ghPath + "/deployments/7",
			do: func(c githubClients) error { return third(c.Repositories.GetDeployment(ctx, o, r, 7)) }},
		{name: "Repositories.GetArchiveLink as zip", want: "GET " + ghPath + "/zipball/main",
			do: func(c githubClients) error {
				return third(c.Repositories.GetArchiveLink(ctx, o, r, github.Zipball, &github.RepositoryContentGetOptions{Ref: "main"}, 0))
			}, answer: answer{status: 302}},
		{name: "Repositories.RenameBranch", want: "POST " + ghPath + "/branches/main/rename",
			do: func(c githubClients) error { return third(c.Repositories.RenameBranch(ctx, o, r, "main", "x")) }},
		{name: "Repositories.UpdateBranchProtection", want: "PUT " + ghPath + "/branches/main/protection",
			do: func(c githubClients) error {
				return third(c.Repositories.UpdateBranchProtection(ctx, o, r, "main", &github.ProtectionRequest{}))
			}},
		{name: "Repositories.UploadReleaseAsset", want: "POST /api/uploads/repos/platform/infra/releases/7/assets",
			do: func(c githubClients) error {
				f, err := os.Open("go.mod")
				if err != nil {
					return err
				}
				defer f.Close()
				return third(c.Repositories.UploadReleaseAsset(ctx, o, r, 7, &github.UploadOptions{Name: "x"}, f))
			}},
		{name: "Git.CreateRef", want: "POST " + ghPath + "/git/refs",
			do: func(c githubClients) error {
				return third(c.Git.CreateRef(ctx, o, r, github.CreateRef{Ref: "refs/heads/x", SHA: sha}))
			}},
		{name: "Git.DeleteRef", want: "DELETE " + ghPath + "/git/refs/heads/main",
			do: func(c githubClients) error { return second(c.Git.DeleteRef(ctx, o, r, "heads/main")) }},
		{name: "Git.CreateTag", want: "POST " + ghPath + "/git/tags",
			do: func(c githubClients) error {
				return third(c.Git.CreateTag(ctx, o, r, github.CreateTag{Tag: "v1", Object: sha}))
			}},

		{name: "Checks.GetCheckRun", want: "GET " + ghPath + "/check-runs/7",
			do: func(c githubClients) error { return third(c.Checks.GetCheckRun(ctx, o, r, 7)) }},
		{name: "Search.Code", want: "GET /api/v3/search/code",
			do: func(c githubClients) error { return third(c.Search.Code(ctx, "password", nil)) }},
		{name: "Users.Get of oneself", want: "GET /api/v3/user",
			do: func(c githubClients) error { return third(c.Users.Get(ctx, "")) }},
		{name: "Users.ListAll", want: "GET /api/v3/users",
			do: func(c githubClients) error { return third(c.Users.ListAll(ctx, nil)) }},
		{name: "Users.CreateKey", want: "POST /api/v3/user/keys",
			do: func(c githubClients) error {
				return third(c.Users.CreateKey(ctx, github.CreateUserKeyRequest{Key: "ssh-ed25519 AAAA"}))
			}},
		{name: "Admin.CreateUser", want: "POST /api/v3/admin/users",
			do: func(c githubClients) error {
				return third(c.Admin.CreateUser(ctx, github.CreateUserRequest{Login: "x"}))
			}},
		{name: "Admin.CreateUserImpersonation", want: "POST /api/v3/admin/users/root/authorizations",
			do: func(c githubClients) error {
				return third(c.Admin.CreateUserImpersonation(ctx, "root", github.CreateUserImpersonationRequest{Scopes: []string{"repo"}}))
			}},
		{name: "Organizations.CreateHook", want: "POST /api/v3/orgs/platform/hooks",
			do: func(c githubClients) error { return third(c.Organizations.CreateHook(ctx, o, hook)) }},
		{name: "Apps.Get of another", want: "GET /api/v3/apps/x",
			do: func(c githubClients) error { return third(c.Apps.Get(ctx, "x")) }},
		{name: "Apps.GetInstallation", want: "GET /api/v3/app/installations/7",
			do: func(c githubClients) error { return third(c.Apps.GetInstallation(ctx, 7)) }},
		{name: "Apps.DeleteInstallation", want: "DELETE /api/v3/app/installations/7",
			do: func(c githubClients) error { return second(c.Apps.DeleteInstallation(ctx, 7)) }},
		{name: "Apps.UpdateHookConfig", want: "PATCH /api/v3/app/hook/config",
			do: func(c githubClients) error {
				return third(c.Apps.UpdateHookConfig(ctx, github.HookConfig{URL: new("https://elsewhere.example/")}))
			}},
		{name: "Mutate of githubv4", want: "POST /api/graphql",
			do: func(c githubClients) error {
				var m struct {
					AddStar struct{ ClientMutationID string } `graphql:"addStar(input: $input)"`
				}
				return c.v4.Mutate(ctx, &m, githubv4.AddStarInput{StarrableID: "x"}, nil)
			}, answer: answer{body: `{"data":{}}`}},
	}
}
