package clients_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"code.gitea.io/sdk/gitea"

	"vcsagent/test/stack"
)

const (
	gtOwner, gtRepo = "platform", "infra"
	gtPath          = "/api/v1/repos/platform/infra"
)

func TestGitea(t *testing.T) {
	gt := giteaSDK()
	gt.allowed = giteaAllowed()
	gt.denied = giteaDenied()
	gt.uncovered = map[string]string{
		"gitea.git.refs":        "the library doesn't speak git",
		"gitea.git.upload_pack": "the library doesn't speak git",
	}
	gt.run(t)
}

// giteaSDK is Gitea's library without any calls.
func giteaSDK() vendor[*gitea.Client] {
	return vendor[*gitea.Client]{
		name: "gitea",
		client: func(base string, hc *http.Client) (*gitea.Client, error) {
			return gitea.NewClient(base, gitea.SetHTTPClient(hc), gitea.SetToken("for-the-vcs"))
		},
		forbidden: func(err error) bool {
			e, ok := err.(*giteaError)
			if !ok || e.status != http.StatusForbidden {
				return false
			}
			// Calls that look at the status alone don't pass our answer on.
			return e.err == nil || strings.HasSuffix(e.err.Error(), "tatus: 403") ||
				strings.HasSuffix(e.err.Error(), ".") // our sentence; the library's have no full stop
		},
		serve:   func(w http.ResponseWriter, r *http.Request) bool { return giteaVersion(w, r, "1.26.0") },
		dropped: []string{"Sudo", "X-Gitea-Otp"},
	}
}

// giteaVersion answers what a new client of the library asks first, since it
// knows what calls each version has.
func giteaVersion(w http.ResponseWriter, r *http.Request, version string) bool {
	if r.URL.Path != "/api/v1/version" {
		return false
	}
	fmt.Fprintf(w, `{"version":%q}`, version)
	return true
}

// giteaError is how a call went that wasn't a success: the status of its answer
// and the library's error, which has text alone, or is nil where the library
// only returns a false.
type giteaError struct {
	status int
	err    error
}

// Error implements error.
func (e *giteaError) Error() string { return fmt.Sprintf("%d: %v", e.status, e.err) }

// gt2 and gt3 are the errors of calls that return a response, and of those that
// return something before it.
func gt2(resp *gitea.Response, err error) error {
	switch {
	case resp == nil:
		return err
	case err != nil || resp.StatusCode >= http.StatusMultipleChoices:
		return &giteaError{resp.StatusCode, err}
	}
	return nil
}

func gt3[A any](_ A, resp *gitea.Response, err error) error { return gt2(resp, err) }

func giteaAllowed() []call[*gitea.Client] {
	const o, r = gtOwner, gtRepo
	list := answer{body: "[]"}
	created := answer{status: http.StatusCreated}
	return []call[*gitea.Client]{
		{
			name: "ServerVersion",
			do:   func(c *gitea.Client) error { return gt3(c.ServerVersion()) },
			rule: "gitea.version.get", want: "GET /api/v1/version",
		},
		{
			name: "GetMyUserInfo",
			do:   func(c *gitea.Client) error { return gt3(c.GetMyUserInfo()) },
			rule: "gitea.user.current", want: "GET /api/v1/user",
			answer: answer{body: `{"id":7,"login":"backend"}`},
		},
		{
			name: "GetMyUserInfo with SetSudo and SetOTP, whose headers stay behind",
			do: func(c *gitea.Client) error {
				c.SetSudo("root")
				c.SetOTP("123456")
				defer c.SetSudo("")
				defer c.SetOTP("")
				return gt3(c.GetMyUserInfo())
			},
			rule: "gitea.user.current", want: "GET /api/v1/user",
		},
		{
			name: "GetMyUserInfo with SetBasicAuth",
			do: func(c *gitea.Client) error {
				c.SetBasicAuth("backend", "password")
				defer c.SetBasicAuth("", "")
				return gt3(c.GetMyUserInfo())
			},
			rule: "gitea.user.current", want: "GET /api/v1/user",
		},
		{
			name: "GetUserInfo",
			do:   func(c *gitea.Client) error { return gt3(c.GetUserInfo("some.one-1")) },
			rule: "gitea.user.get", want: "GET /api/v1/users/some.one-1",
		},
		{
			name: "ListMyRepos",
			do: func(c *gitea.Client) error {
				return gt3(c.ListMyRepos(*filled[gitea.ListReposOptions]()))
			},
			rule: "gitea.user.repos", want: "GET /api/v1/user/repos", answer: list,
		},
		{
			name: "ListMyRepos without paging",
			do: func(c *gitea.Client) error {
				return gt3(c.ListMyRepos(gitea.ListReposOptions{ListOptions: gitea.ListOptions{Page: -1}}))
			},
			rule: "gitea.user.repos", want: "GET /api/v1/user/repos", answer: list,
		},
		{
			name: "SearchRepos",
			do: func(c *gitea.Client) error {
				return gt3(c.SearchRepos(*filled(func(o *gitea.SearchRepoOptions) { o.RawQuery = "" })))
			},
			rule: "gitea.repos.search", want: "GET /api/v1/repos/search",
		},
		{
			name: "SearchRepos with a raw query",
			do: func(c *gitea.Client) error {
				return gt3(c.SearchRepos(gitea.SearchRepoOptions{RawQuery: "team_id=7&q=a%20b+c"}))
			},
			rule: "gitea.repos.search", want: "GET /api/v1/repos/search",
		},
		{
			name: "GetRepo",
			do:   func(c *gitea.Client) error { return gt3(c.GetRepo(o, r)) },
			rule: "gitea.repo.get", want: "GET " + gtPath,
		},
		{
			name: "GetRepo with dots in both names",
			do:   func(c *gitea.Client) error { return gt3(c.GetRepo("plat.form", "infra.v2")) },
			rule: "gitea.repo.get", want: "GET /api/v1/repos/plat.form/infra.v2",
		},
		{
			name: "ListRepoBranches",
			do: func(c *gitea.Client) error {
				return gt3(c.ListRepoBranches(o, r, *filled[gitea.ListRepoBranchesOptions]()))
			},
			rule: "gitea.branches.list", want: "GET " + gtPath + "/branches", answer: list,
		},
		{
			name: "GetRepoBranch",
			do:   func(c *gitea.Client) error { return gt3(c.GetRepoBranch(o, r, "feature/a+b#1")) },
			rule: "gitea.branch.get", want: "GET " + gtPath + "/branches/feature/a%2Bb%231",
		},
		{
			name: "GetSingleCommit",
			do:   func(c *gitea.Client) error { return gt3(c.GetSingleCommit(o, r, sha)) },
			rule: "gitea.commit.get", want: "GET " + gtPath + "/git/commits/" + sha,
		},
		{
			name: "GetCommitDiff",
			do:   func(c *gitea.Client) error { return gt3(c.GetCommitDiff(o, r, sha)) },
			rule: "gitea.commit.diff", want: "GET " + gtPath + "/git/commits/" + sha + ".diff",
		},
		{
			name: "GetCommitPatch",
			do:   func(c *gitea.Client) error { return gt3(c.GetCommitPatch(o, r, sha)) },
			rule: "gitea.commit.diff", want: "GET " + gtPath + "/git/commits/" + sha + ".patch",
		},
		{
			name: "GetCommitPullRequest",
			do:   func(c *gitea.Client) error { return gt3(c.GetCommitPullRequest(o, r, sha)) },
			rule: "gitea.commit.pull", want: "GET " + gtPath + "/commits/" + sha + "/pull",
		},
		{
			name: "CompareCommits",
			do:   func(c *gitea.Client) error { return gt3(c.CompareCommits(o, r, "main", sha)) },
			rule: "gitea.compare", want: "GET " + gtPath + "/compare/main..." + sha,
		},
		{
			name: "ListRepoPullRequests",
			do: func(c *gitea.Client) error {
				return gt3(c.ListRepoPullRequests(o, r, *filled[gitea.ListPullRequestsOptions]()))
			},
			rule: "gitea.pulls.list", want: "GET " + gtPath + "/pulls", answer: list,
		},
		{
			name: "GetPullRequest",
			do:   func(c *gitea.Client) error { return gt3(c.GetPullRequest(o, r, 7)) },
			rule: "gitea.pull.get", want: "GET " + gtPath + "/pulls/7",
		},
		{
			name: "GetPullRequestDiff",
			do: func(c *gitea.Client) error {
				return gt3(c.GetPullRequestDiff(o, r, 7, gitea.PullRequestDiffOptions{Binary: true}))
			},
			rule: "gitea.pull.diff", want: "GET " + gtPath + "/pulls/7.diff",
			answer: answer{body: "diff --git a/main.tf b/main.tf\n"},
		},
		{
			name: "GetPullRequestPatch",
			do:   func(c *gitea.Client) error { return gt3(c.GetPullRequestPatch(o, r, 7)) },
			rule: "gitea.pull.diff", want: "GET " + gtPath + "/pulls/7.patch",
		},
		{
			name: "ListPullRequestFiles",
			do: func(c *gitea.Client) error {
				return gt3(c.ListPullRequestFiles(o, r, 7, *filled[gitea.ListPullRequestFilesOptions]()))
			},
			rule: "gitea.pull.files", want: "GET " + gtPath + "/pulls/7/files", answer: list,
		},
		{
			name: "ListPullReviews",
			do: func(c *gitea.Client) error {
				return gt3(c.ListPullReviews(o, r, 7, *filled[gitea.ListPullReviewsOptions]()))
			},
			rule: "gitea.pull.reviews", want: "GET " + gtPath + "/pulls/7/reviews", answer: list,
		},
		{
			name: "IsPullRequestMerged",
			do: func(c *gitea.Client) error {
				merged, resp, err := c.IsPullRequestMerged(o, r, 7)
				if err == nil && !merged {
					return fmt.Errorf("the pull request isn't merged: %s", resp.Status)
				}
				return gt2(resp, err)
			},
			rule: "gitea.pull.merged", want: "GET " + gtPath + "/pulls/7/merge",
			answer: answer{status: http.StatusNoContent},
		},
		{
			name: "IsPullRequestMerged of one that isn't",
			do: func(c *gitea.Client) error {
				merged, resp, err := c.IsPullRequestMerged(o, r, 7)
				if err == nil && (merged || resp.StatusCode != http.StatusNotFound) {
					return fmt.Errorf("the pull request is merged: %t, %s", merged, resp.Status)
				}
				return err
			},
			rule: "gitea.pull.merged", want: "GET " + gtPath + "/pulls/7/merge",
			answer: answer{status: http.StatusNotFound},
		},
		{
			name: "GetFile",
			do: func(c *gitea.Client) error {
				return gt3(c.GetFile(o, r, "feature/a+b#1", ".spacelift/config.yml"))
			},
			rule: "gitea.config.raw", want: "GET " + gtPath + "/raw/.spacelift/config.yml",
			answer: answer{body: "version: 2\n"},
		},
		{
			name: "GetFile in a folder",
			do:   func(c *gitea.Client) error { return gt3(c.GetFile(o, r, sha, "stacks/a/.spacelift/config.yml")) },
			rule: "gitea.config.raw", want: "GET " + gtPath + "/raw/stacks/a/.spacelift/config.yml",
		},
		{
			name: "GetRawFile",
			do:   func(c *gitea.Client) error { return gt3(c.GetRawFile(o, r, ".spacelift/config.yml", sha)) },
			rule: "gitea.config.raw", want: "GET " + gtPath + "/raw/.spacelift/config.yml",
		},
		{
			name: "GetContents",
			do:   func(c *gitea.Client) error { return gt3(c.GetContents(o, r, sha, ".spacelift/config.yml")) },
			rule: "gitea.config.contents", want: "GET " + gtPath + "/contents/.spacelift/config.yml",
			answer: answer{body: `{"name":"config.yml","path":".spacelift/config.yml","type":"file"}`},
		},
		{
			name: "GetContents of the default branch",
			do:   func(c *gitea.Client) error { return gt3(c.GetContents(o, r, "", "/.spacelift/config.yml")) },
			rule: "gitea.config.contents", want: "GET " + gtPath + "/contents/.spacelift/config.yml",
		},
		{
			name: "GetArchive",
			do:   func(c *gitea.Client) error { return gt3(c.GetArchive(o, r, sha, gitea.TarGZArchive)) },
			rule: "gitea.archive.get", want: "GET " + gtPath + "/archive/" + sha + ".tar.gz",
			answer: answer{body: "\x1f\x8b"},
		},
		{
			name: "GetArchiveReader of a branch as zip",
			do: func(c *gitea.Client) error {
				archive, resp, err := c.GetArchiveReader(o, r, "feature/x", gitea.ZipArchive)
				if archive != nil {
					archive.Close()
				}
				return gt2(resp, err)
			},
			rule: "gitea.archive.get", want: "GET " + gtPath + "/archive/feature/x.zip",
			answer: answer{body: "PK"},
		},
		{
			name: "CreateStatus",
			do: func(c *gitea.Client) error {
				return gt3(c.CreateStatus(o, r, sha, *filled[gitea.CreateStatusOption]()))
			},
			rule: "gitea.status.create", want: "POST " + gtPath + "/statuses/" + sha, answer: created,
		},
		{
			name: "CreateStatus with only a state",
			do: func(c *gitea.Client) error {
				return gt3(c.CreateStatus(o, r, sha, gitea.CreateStatusOption{State: gitea.StatusSuccess}))
			},
			rule: "gitea.status.create", want: "POST " + gtPath + "/statuses/" + sha, answer: created,
		},
		{
			name: "CreateIssueComment",
			do: func(c *gitea.Client) error {
				return gt3(c.CreateIssueComment(o, r, 7, *filled[gitea.CreateIssueCommentOption]()))
			},
			rule: "gitea.comment.create", want: "POST " + gtPath + "/issues/7/comments", answer: created,
		},
		{
			name: "EditIssueComment",
			do: func(c *gitea.Client) error {
				return gt3(c.EditIssueComment(o, r, 8, *filled[gitea.EditIssueCommentOption]()))
			},
			rule: "gitea.comment.update", want: "PATCH " + gtPath + "/issues/comments/8",
		},
	}
}

// TestGiteaForms makes calls whose target depends on more than their arguments.
func TestGiteaForms(t *testing.T) {
	version := ""
	gt := giteaSDK()
	vcs := &origin{serve: func(w http.ResponseWriter, r *http.Request) bool { return giteaVersion(w, r, version) }}
	s := stack.New(t, stack.Options{VCS: vcs})
	s.StartAgent(t, "--vendor", gt.name)
	for _, c := range []struct {
		name, version  string
		do             func(*gitea.Client) error
		straight, want string
	}{
		// Slashes arrive plain, which Gitea holds for the same: its router
		// decodes what stands for the "*" that ends this call's pattern.
		{"CompareCommits with slashes, which the library encodes", "1.26.0",
			func(c *gitea.Client) error {
				return gt3(c.CompareCommits(gtOwner, gtRepo, "release/1.0", "feature/x"))
			},
			gtPath + "/compare/release%2F1.0...feature%2Fx", gtPath + "/compare/release/1.0...feature/x"},
		{"GetFile from a server that is older than 1.14, with the ref in the path", "1.13.7",
			func(c *gitea.Client) error {
				return gt3(c.GetFile(gtOwner, gtRepo, "feature/x", ".spacelift/config.yml"))
			},
			gtPath + "/raw/feature/x/.spacelift/config.yml", gtPath + "/raw/feature/x/.spacelift/config.yml"},
		{"GetFile of another file from an older server", "1.13.7",
			func(c *gitea.Client) error {
				err := gt3(c.GetFile(gtOwner, gtRepo, "feature/x", "main.tf"))
				if gt.forbidden(err) {
					return nil
				}
				return err
			},
			gtPath + "/raw/feature/x/main.tf", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			version = c.version
			for _, w := range []struct {
				way  *way[*gitea.Client]
				want string
			}{
				{gt.connect(t, "straight", s.VCSURL, newTap("", nil)), c.straight},
				{gt.connect(t, "path form", s.URL(""), newTap(s.Key, nil)), c.want},
			} {
				vcs.await(answer{})
				if err := c.do(w.way.client); err != nil {
					t.Errorf("%s: %v", w.way.name, err)
				}
				got := ""
				for _, request := range vcs.requests() {
					got += request.RequestURI
				}
				if got != w.want {
					t.Errorf("%s: the VCS got %q, want %q", w.way.name, got, w.want)
				}
			}
		})
	}
}
