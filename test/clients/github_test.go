package clients_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-github/v92/github"
	"github.com/shurcooL/githubv4"
)

const (
	ghOwner, ghRepo = "platform", "infra"
	ghPath          = "/api/v3/repos/platform/infra"
)

// githubClients are go-github and, for GraphQL, which that doesn't speak, githubv4.
type githubClients struct {
	*github.Client
	v4 *githubv4.Client
}

func TestGitHubEnterprise(t *testing.T) {
	vendor[githubClients]{
		name: "github_enterprise",
		client: func(base string, hc *http.Client) (githubClients, error) {
			c, err := github.NewClient(
				github.WithHTTPClient(hc),
				github.WithEnterpriseURLs(base, base),
				github.WithAuthToken("for-the-vcs"),
				github.WithDisableRateLimitCheck(),
			)
			return githubClients{c, githubv4.NewEnterpriseClient(base+"/api/graphql", hc)}, err
		},
		forbidden: func(err error) bool {
			var e *github.ErrorResponse
			if errors.As(err, &e) {
				return e.Response.StatusCode == http.StatusForbidden && e.Message != "" // our sentence
			}
			// githubv4, and go-github where it wants a redirect, have text alone.
			return strings.Contains(err.Error(), "status code: 403 Forbidden")
		},
		allowed: githubAllowed(t),
		denied:  githubDenied(t),
		uncovered: map[string]string{
			"github.archive.get_isolated": "it's where github.archive.link may lead; the library reads the link and leaves the download to others",
			"github.git.refs":             "the library doesn't speak git",
			"github.git.upload_pack":      "the library doesn't speak git",
		},
	}.run(t)
}

func githubAllowed(t *testing.T) []call[githubClients] {
	ctx := t.Context()
	list, created := answer{body: "[]"}, answer{status: 201}
	paging := filled[github.ListOptions]()
	return []call[githubClients]{
		{
			name: "Repositories.CompareCommits",
			do: func(c githubClients) error {
				return third(c.Repositories.CompareCommits(ctx, ghOwner, ghRepo, "main", sha, paging))
			},
			rule: "github.compare", want: "GET " + ghPath + "/compare/main..." + sha,
		},
		{
			name: "Repositories.CompareCommits of branches",
			do: func(c githubClients) error {
				return third(c.Repositories.CompareCommits(ctx, ghOwner, ghRepo, "release/1.x", "someone:feature/a", nil))
			},
			rule: "github.compare", want: "GET " + ghPath + "/compare/release%2F1.x...someone%3Afeature%2Fa",
		},
		{
			name: "Repositories.CompareCommitsRaw",
			do: func(c githubClients) error {
				return third(c.Repositories.CompareCommitsRaw(ctx, ghOwner, ghRepo, "main", sha, github.RawOptions{Type: github.Diff}))
			},
			rule: "github.compare", want: "GET " + ghPath + "/compare/main..." + sha, answer: answer{body: "diff --git a/x b/x\n"},
		},
		{
			name: "Repositories.GetCommit",
			do: func(c githubClients) error {
				return third(c.Repositories.GetCommit(ctx, ghOwner, ghRepo, sha, paging))
			},
			rule: "github.commit.get", want: "GET " + ghPath + "/commits/" + sha,
		},
		{
			name: "Repositories.GetCommitSHA1",
			do: func(c githubClients) error {
				return third(c.Repositories.GetCommitSHA1(ctx, ghOwner, ghRepo, "main", sha))
			},
			rule: "github.commit.get", want: "GET " + ghPath + "/commits/main", answer: answer{body: sha},
		},
		{
			name: "PullRequests.Get",
			do:   func(c githubClients) error { return third(c.PullRequests.Get(ctx, ghOwner, ghRepo, 7)) },
			rule: "github.pull.get", want: "GET " + ghPath + "/pulls/7",
		},
		{
			name: "PullRequests.GetRaw",
			do: func(c githubClients) error {
				return third(c.PullRequests.GetRaw(ctx, ghOwner, ghRepo, 7, github.RawOptions{Type: github.Patch}))
			},
			rule: "github.pull.get", want: "GET " + ghPath + "/pulls/7", answer: answer{body: "From 0\n"},
		},
		{
			name: "PullRequests.ListFiles",
			do: func(c githubClients) error {
				return third(c.PullRequests.ListFiles(ctx, ghOwner, ghRepo, 7, paging))
			},
			rule: "github.pull.files", want: "GET " + ghPath + "/pulls/7/files", answer: list,
		},
		{
			name: "Repositories.ListDeployments",
			do: func(c githubClients) error {
				return third(c.Repositories.ListDeployments(ctx, ghOwner, ghRepo, filled[github.DeploymentsListOptions]()))
			},
			rule: "github.deployments.list", want: "GET " + ghPath + "/deployments", answer: list,
		},
		{
			name: "Users.Get",
			do:   func(c githubClients) error { return third(c.Users.Get(ctx, "some-one")) },
			rule: "github.user.get", want: "GET /api/v3/users/some-one",
		},
		{
			name: "Query of githubv4",
			do: func(c githubClients) error {
				var q struct {
					Repository struct{ DatabaseID int } `graphql:"repository(owner: $owner, name: $name)"`
				}
				return c.v4.Query(ctx, &q, map[string]any{"owner": githubv4.String(ghOwner), "name": githubv4.String(ghRepo)})
			},
			rule: "github.graphql.query", want: "POST /api/graphql", answer: answer{body: `{"data":{"repository":{"databaseId":7}}}`},
			sameBody: sameGraphQL,
		},
		{
			name: "Repositories.GetArchiveLink",
			do: func(c githubClients) error {
				return third(c.Repositories.GetArchiveLink(ctx, ghOwner, ghRepo, github.Tarball, &github.RepositoryContentGetOptions{Ref: "feature/a"}, 0))
			},
			rule: "github.archive.link", want: "GET " + ghPath + "/tarball/feature/a",
			answer: answer{status: 302, header: http.Header{"Location": {"/_codeload/platform/infra/legacy.tar.gz/feature/a?token=T"}}},
		},
		{
			name: "Client.Get of an archive's link",
			do: func(c githubClients) error {
				link, err := url.JoinPath(c.BaseURL(), "../../_codeload/platform/infra/legacy.tar.gz/refs/heads/feature/a")
				if err != nil {
					return err
				}
				resp, err := c.Client.Client().Get(link + "?token=T")
				if err == nil {
					err = resp.Body.Close()
				}
				return err
			},
			rule: "github.archive.get", want: "GET /_codeload/platform/infra/legacy.tar.gz/refs/heads/feature/a", answer: answer{body: "\x1f\x8b"},
		},
		{
			name: "Repositories.CreateStatus",
			do: func(c githubClients) error {
				return third(c.Repositories.CreateStatus(ctx, ghOwner, ghRepo, sha, github.RepoStatus{
					State: new("success"), TargetURL: new("https://saas.example/run/7?a=b&c=d"), Description: new("a <b> & ü"), Context: new("saas/stack"),
				}))
			},
			rule: "github.status.create", want: "POST " + ghPath + "/statuses/" + sha, answer: created,
		},
		{
			name: "Checks.CreateCheckRun",
			do: func(c githubClients) error {
				return third(c.Checks.CreateCheckRun(ctx, ghOwner, ghRepo, *filled[github.CreateCheckRunOptions]()))
			},
			rule: "github.check_run.create", want: "POST " + ghPath + "/check-runs", answer: created,
		},
		{
			name: "Checks.UpdateCheckRun",
			do: func(c githubClients) error {
				return third(c.Checks.UpdateCheckRun(ctx, ghOwner, ghRepo, 7, *filled[github.UpdateCheckRunOptions]()))
			},
			rule: "github.check_run.update", want: "PATCH " + ghPath + "/check-runs/7",
		},
		{
			name: "Repositories.CreateDeployment",
			do: func(c githubClients) error {
				return third(c.Repositories.CreateDeployment(ctx, ghOwner, ghRepo, *filled(func(o *github.DeploymentRequest) {
					o.Payload = map[string]any{"run": 7}
				})))
			},
			rule: "github.deployment.create", want: "POST " + ghPath + "/deployments", answer: created,
		},
		{
			name: "Repositories.CreateDeploymentStatus",
			do: func(c githubClients) error {
				return third(c.Repositories.CreateDeploymentStatus(ctx, ghOwner, ghRepo, 7, *filled[github.DeploymentStatusRequest]()))
			},
			rule: "github.deployment_status.create", want: "POST " + ghPath + "/deployments/7/statuses", answer: created,
		},
		{
			name: "Repositories.DeleteDeployment",
			do: func(c githubClients) error {
				return second(c.Repositories.DeleteDeployment(ctx, ghOwner, ghRepo, 7))
			},
			rule: "github.deployment.delete", want: "DELETE " + ghPath + "/deployments/7",
		},
		{
			name: "Issues.CreateComment",
			do: func(c githubClients) error {
				return third(c.Issues.CreateComment(ctx, ghOwner, ghRepo, 7, github.IssueCommentRequest{Body: "a <b> & ü"}))
			},
			rule: "github.comment.create", want: "POST " + ghPath + "/issues/7/comments", answer: created,
		},
		{
			name: "Issues.UpdateComment",
			do: func(c githubClients) error {
				return third(c.Issues.UpdateComment(ctx, ghOwner, ghRepo, 7, github.IssueCommentRequest{Body: "b"}))
			},
			rule: "github.comment.update", want: "PATCH " + ghPath + "/issues/comments/7",
		},
		{
			name: "Apps.Get",
			do:   func(c githubClients) error { return third(c.Apps.Get(ctx, "")) },
			rule: "github.app.get", want: "GET /api/v3/app",
		},
		{
			name: "Apps.ListInstallations",
			do:   func(c githubClients) error { return third(c.Apps.ListInstallations(ctx, paging)) },
			rule: "github.app.installations", want: "GET /api/v3/app/installations", answer: list,
		},
		{
			name: "Apps.CreateInstallationToken",
			do: func(c githubClients) error {
				return third(c.Apps.CreateInstallationToken(ctx, 7, nil))
			},
			rule: "github.app.token", want: "POST /api/v3/app/installations/7/access_tokens", answer: created,
		},
		{
			name: "Apps.CreateInstallationToken, narrowed",
			do: func(c githubClients) error {
				return third(c.Apps.CreateInstallationToken(ctx, 7, filled[github.InstallationTokenOptions]()))
			},
			rule: "github.app.token", want: "POST /api/v3/app/installations/7/access_tokens", answer: created,
		},
	}
}
