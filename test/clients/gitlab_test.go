package clients_test

import (
	"errors"
	"net/http"
	"testing"

	gitlab "gitlab.com/gitlab-org/api/client-go/v2"
)

// second and third are the errors of calls that return more.
func second[A any](_ A, err error) error { return err }

func third[A, B any](_ A, _ B, err error) error { return err }

const (
	sha = "0123456789abcdef0123456789abcdef01234567"

	gitlabProject = "platform/team/infra"
	gitlabPath    = "/api/v4/projects/platform%2Fteam%2Finfra"
)

func TestGitLab(t *testing.T) {
	vendor[*gitlab.Client]{
		name: "gitlab",
		client: func(base string, hc *http.Client) (*gitlab.Client, error) {
			return gitlab.NewClient("for-the-vcs", gitlab.WithBaseURL(base), gitlab.WithHTTPClient(hc), gitlab.WithoutRetries())
		},
		forbidden: func(err error) bool {
			var q *gitlab.GraphQLResponseError
			if errors.As(err, &q) {
				err = q.Err
			}
			var e *gitlab.ErrorResponse
			return errors.As(err, &e) && e.StatusCode == http.StatusForbidden
		},
		dropped: []string{"Sudo"},
		allowed: gitlabAllowed(),
		denied:  gitlabDenied(),
		uncovered: map[string]string{
			"gitlab.git.refs":        "the library doesn't speak git",
			"gitlab.git.upload_pack": "the library doesn't speak git",
		},
	}.run(t)
}

func gitlabAllowed() []call[*gitlab.Client] {
	list := answer{body: "[]"}
	return []call[*gitlab.Client]{
		{
			name: "Do for the base URL",
			do: func(c *gitlab.Client) error {
				req, err := c.NewRequest(http.MethodGet, "", nil, nil)
				if err != nil {
					return err
				}
				return second(c.Do(req, nil))
			},
			rule: "gitlab.api.root", want: "GET /api/v4/",
		},
		{
			name: "Users.CurrentUser",
			do:   func(c *gitlab.Client) error { return third(c.Users.CurrentUser()) },
			rule: "gitlab.user.get", want: "GET /api/v4/user",
			answer: answer{body: `{"id":7,"username":"backend"}`},
		},
		{
			name: "Users.CurrentUser with a Sudo header, which stays behind",
			do:   func(c *gitlab.Client) error { return third(c.Users.CurrentUser(gitlab.WithSudo("root"))) },
			rule: "gitlab.user.get", want: "GET /api/v4/user",
		},
		{
			name: "Projects.ListProjects",
			do: func(c *gitlab.Client) error {
				return third(c.Projects.ListProjects(filled(func(o *gitlab.ListProjectsOptions) { o.ListOptions.OrderBy, o.ListOptions.Sort = "", "" })))
			},
			rule: "gitlab.projects.list", want: "GET /api/v4/projects", answer: list,
		},
		{
			name: "Projects.ListProjects by key set",
			do: func(c *gitlab.Client) error {
				return third(c.Projects.ListProjects(nil, gitlab.WithKeysetPaginationParameters("https://gitlab.example/api/v4/projects?pagination=keyset&id_after=7&cursor=x")))
			},
			rule: "gitlab.projects.list", want: "GET /api/v4/projects", answer: list,
		},
		{
			name: "Projects.GetProject",
			do: func(c *gitlab.Client) error {
				return third(c.Projects.GetProject(gitlabProject, filled[gitlab.GetProjectOptions]()))
			},
			rule: "gitlab.project.get", want: "GET " + gitlabPath,
		},
		{
			name: "Projects.GetProject by number",
			do:   func(c *gitlab.Client) error { return third(c.Projects.GetProject(42, nil)) },
			rule: "gitlab.project.get", want: "GET /api/v4/projects/42",
		},
		{
			name: "Projects.GetProject with dots in the name",
			do:   func(c *gitlab.Client) error { return third(c.Projects.GetProject("platform/infra.v2", nil)) },
			rule: "gitlab.project.get", want: "GET /api/v4/projects/platform%2Finfra.v2",
		},
		{
			name: "Branches.ListBranches",
			do: func(c *gitlab.Client) error {
				return third(c.Branches.ListBranches(gitlabProject, filled[gitlab.ListBranchesOptions]()))
			},
			rule: "gitlab.branches.list", want: "GET " + gitlabPath + "/repository/branches", answer: list,
		},
		{
			name: "Branches.GetBranch",
			do:   func(c *gitlab.Client) error { return third(c.Branches.GetBranch(gitlabProject, "feature/a+b#1")) },
			rule: "gitlab.branch.get", want: "GET " + gitlabPath + "/repository/branches/feature%2Fa%2Bb%231",
		},
		{
			name: "Commits.GetCommit",
			do: func(c *gitlab.Client) error {
				return third(c.Commits.GetCommit(gitlabProject, sha, filled[gitlab.GetCommitOptions]()))
			},
			rule: "gitlab.commit.get", want: "GET " + gitlabPath + "/repository/commits/" + sha,
		},
		{
			name: "Repositories.Compare",
			do: func(c *gitlab.Client) error {
				return third(c.Repositories.Compare(gitlabProject, filled[gitlab.CompareOptions]()))
			},
			rule: "gitlab.compare", want: "GET " + gitlabPath + "/repository/compare",
		},
		{
			name: "RepositoryFiles.GetRawFile",
			do: func(c *gitlab.Client) error {
				return third(c.RepositoryFiles.GetRawFile(gitlabProject, ".spacelift/config.yml", filled[gitlab.GetRawFileOptions]()))
			},
			rule: "gitlab.config.get", want: "GET " + gitlabPath + "/repository/files/.spacelift%2Fconfig.yml/raw",
			answer: answer{body: "version: 2\n"},
		},
		{
			name: "RepositoryFiles.GetRawFile in a folder",
			do: func(c *gitlab.Client) error {
				return third(c.RepositoryFiles.GetRawFile(gitlabProject, "stacks/a/.spacelift/config.yml", nil))
			},
			rule: "gitlab.config.get", want: "GET " + gitlabPath + "/repository/files/stacks%2Fa%2F.spacelift%2Fconfig.yml/raw",
		},
		{
			name: "RepositoryFiles.GetRawFileMetaData",
			do: func(c *gitlab.Client) error {
				return third(c.RepositoryFiles.GetRawFileMetaData(gitlabProject, ".spacelift/config.yml", &gitlab.GetRawFileOptions{Ref: new(sha)}))
			},
			rule: "gitlab.config.get", want: "HEAD " + gitlabPath + "/repository/files/.spacelift%2Fconfig.yml/raw",
			answer: answer{header: http.Header{"X-Gitlab-Size": {"11"}}},
		},
		{
			name: "MergeRequests.ListProjectMergeRequests",
			do: func(c *gitlab.Client) error {
				return third(c.MergeRequests.ListProjectMergeRequests(gitlabProject, filled(func(o *gitlab.ListProjectMergeRequestsOptions) {
					o.ListOptions.OrderBy, o.ListOptions.Sort = "", ""
					o.AssigneeID = gitlab.AssigneeID(7)
					o.ReviewerID = gitlab.ReviewerID(gitlab.UserIDAny)
					o.ApproverIDs = gitlab.ApproverIDs([]int64{7, 8})
					o.ApprovedByIDs = gitlab.ApproverIDs(gitlab.UserIDNone)
					o.ApprovedByUsernames, o.NonArchived = nil, nil // GitLab documents neither for a project
				})))
			},
			rule: "gitlab.merge_requests.list", want: "GET " + gitlabPath + "/merge_requests", answer: list,
		},
		{
			name: "MergeRequests.GetMergeRequest",
			do: func(c *gitlab.Client) error {
				return third(c.MergeRequests.GetMergeRequest(gitlabProject, 7, filled[gitlab.GetMergeRequestsOptions]()))
			},
			rule: "gitlab.merge_request.get", want: "GET " + gitlabPath + "/merge_requests/7",
		},
		{
			name: "MergeRequests.GetMergeRequestApprovals",
			do: func(c *gitlab.Client) error {
				return third(c.MergeRequests.GetMergeRequestApprovals(gitlabProject, 7))
			},
			rule: "gitlab.merge_request.approvals", want: "GET " + gitlabPath + "/merge_requests/7/approvals",
		},
		{
			name: "MergeRequestApprovals.GetConfiguration",
			do: func(c *gitlab.Client) error {
				return third(c.MergeRequestApprovals.GetConfiguration(gitlabProject, 7))
			},
			rule: "gitlab.merge_request.approvals", want: "GET " + gitlabPath + "/merge_requests/7/approvals",
		},
		{
			name: "Commits.ListMergeRequestsByCommit",
			do: func(c *gitlab.Client) error {
				return third(c.Commits.ListMergeRequestsByCommit(gitlabProject, sha))
			},
			rule: "gitlab.commit.merge_requests", want: "GET " + gitlabPath + "/repository/commits/" + sha + "/merge_requests", answer: list,
		},
		{
			name: "Environments.ListEnvironments",
			do: func(c *gitlab.Client) error {
				return third(c.Environments.ListEnvironments(gitlabProject, filled[gitlab.ListEnvironmentsOptions]()))
			},
			rule: "gitlab.environments.list", want: "GET " + gitlabPath + "/environments", answer: list,
		},
		{
			name: "Repositories.Archive",
			do: func(c *gitlab.Client) error {
				return third(c.Repositories.Archive(gitlabProject, filled(func(o *gitlab.ArchiveOptions) { o.Format = nil })))
			},
			rule: "gitlab.archive.get", want: "GET " + gitlabPath + "/repository/archive", answer: answer{body: "\x1f\x8b"},
		},
		{
			name: "Repositories.Archive as tar.gz",
			do: func(c *gitlab.Client) error {
				return third(c.Repositories.Archive(gitlabProject, &gitlab.ArchiveOptions{Format: new("tar.gz"), SHA: new(sha)}))
			},
			rule: "gitlab.archive.get", want: "GET " + gitlabPath + "/repository/archive.tar.gz", answer: answer{body: "\x1f\x8b"},
		},
		{
			name: "Repositories.Archive as zip",
			do: func(c *gitlab.Client) error {
				return third(c.Repositories.Archive(gitlabProject, &gitlab.ArchiveOptions{Format: new("zip")}))
			},
			rule: "gitlab.archive.get", want: "GET " + gitlabPath + "/repository/archive.zip", answer: answer{body: "PK"},
		},
		{
			name: "Commits.SetCommitStatus",
			do: func(c *gitlab.Client) error {
				return third(c.Commits.SetCommitStatus(gitlabProject, sha, filled[gitlab.SetCommitStatusOptions]()))
			},
			rule: "gitlab.status.create", want: "POST " + gitlabPath + "/statuses/" + sha, answer: answer{status: 201},
		},
		{
			name: "Environments.CreateEnvironment",
			do: func(c *gitlab.Client) error {
				return third(c.Environments.CreateEnvironment(gitlabProject, filled[gitlab.CreateEnvironmentOptions]()))
			},
			rule: "gitlab.environment.create", want: "POST " + gitlabPath + "/environments", answer: answer{status: 201},
		},
		{
			name: "Environments.StopEnvironment",
			do: func(c *gitlab.Client) error {
				return third(c.Environments.StopEnvironment(gitlabProject, 7, filled[gitlab.StopEnvironmentOptions]()))
			},
			rule: "gitlab.environment.stop", want: "POST " + gitlabPath + "/environments/7/stop",
		},
		{
			name: "Environments.DeleteEnvironment",
			do:   func(c *gitlab.Client) error { return second(c.Environments.DeleteEnvironment(gitlabProject, 7)) },
			rule: "gitlab.environment.delete", want: "DELETE " + gitlabPath + "/environments/7",
		},
		{
			name: "Deployments.CreateProjectDeployment",
			do: func(c *gitlab.Client) error {
				return third(c.Deployments.CreateProjectDeployment(gitlabProject, filled[gitlab.CreateProjectDeploymentOptions]()))
			},
			rule: "gitlab.deployment.create", want: "POST " + gitlabPath + "/deployments", answer: answer{status: 201},
		},
		{
			name: "Deployments.UpdateProjectDeployment",
			do: func(c *gitlab.Client) error {
				return third(c.Deployments.UpdateProjectDeployment(gitlabProject, 7, filled[gitlab.UpdateProjectDeploymentOptions]()))
			},
			rule: "gitlab.deployment.update", want: "PUT " + gitlabPath + "/deployments/7",
		},
		{
			name: "Notes.CreateMergeRequestNote",
			do: func(c *gitlab.Client) error {
				return third(c.Notes.CreateMergeRequestNote(gitlabProject, 7, filled[gitlab.CreateMergeRequestNoteOptions]()))
			},
			rule: "gitlab.note.create", want: "POST " + gitlabPath + "/merge_requests/7/notes", answer: answer{status: 201},
		},
		{
			name: "Notes.UpdateMergeRequestNote",
			do: func(c *gitlab.Client) error {
				return third(c.Notes.UpdateMergeRequestNote(gitlabProject, 7, 8, filled[gitlab.UpdateMergeRequestNoteOptions]()))
			},
			rule: "gitlab.note.update", want: "PUT " + gitlabPath + "/merge_requests/7/notes/8",
		},
	}
}
