package clients_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	bitbucket "github.com/gfleury/go-bitbucket-v1"
)

const (
	bbKey, bbSlug = "PLAT", "infra"
	bbPath        = "/rest/api/1.0/projects/PLAT/repos/infra"
)

// bbJSON is a Content-Type that some calls of the library are told.
var bbJSON = []string{"application/json"}

type bitbucketAPI = *bitbucket.DefaultApiService

func TestBitbucketDataCenter(t *testing.T) {
	vendor[bitbucketAPI]{
		name: "bitbucket_datacenter",
		client: func(base string, hc *http.Client) (bitbucketAPI, error) {
			cfg := bitbucket.NewConfiguration(base + "/rest")
			cfg.HTTPClient = hc
			ctx := context.WithValue(t.Context(), bitbucket.ContextAccessToken, "for-the-vcs")
			return bitbucket.NewAPIClient(ctx, cfg).DefaultApi, nil
		},
		forbidden: func(err error) bool {
			// The library's errors have text alone.
			return strings.HasPrefix(err.Error(), "Status: 403 Forbidden, ") && strings.Contains(err.Error(), `"code":"denied"`)
		},
		allowed: bitbucketAllowed(),
		denied:  bitbucketDenied(),
		uncovered: map[string]string{
			"bitbucket.build.create":         "the library has only the older /rest/build-status, which names no repository",
			"bitbucket.commit.pull_requests": "the library has no call for it",
			"bitbucket.config.get":           "the library reads files below /rest/api",
			"bitbucket.git.refs":             "the library doesn't speak git",
			"bitbucket.git.upload_pack":      "the library doesn't speak git",
		},
	}.run(t)
}

func bitbucketAllowed() []call[bitbucketAPI] {
	page := answer{body: `{"size":0,"limit":25,"isLastPage":true,"values":[],"start":0}`}
	created := answer{status: 201}
	type optionals = map[string]any
	return []call[bitbucketAPI]{
		{
			name: "GetUser",
			do:   func(c bitbucketAPI) error { return second(c.GetUser("some-one")) },
			rule: "bitbucket.user.get", want: "GET /rest/api/1.0/users/some-one",
		},
		{
			name: "GetRepositories_19",
			do: func(c bitbucketAPI) error {
				return second(c.GetRepositories_19(optionals{"name": "in fra+", "projectname": "Plat", "permission": "REPO_READ", "visibility": "private", "limit": 50, "start": 25}))
			},
			rule: "bitbucket.repos.list", want: "GET /rest/api/1.0/repos", answer: page,
		},
		{
			name: "GetRepository",
			do:   func(c bitbucketAPI) error { return second(c.GetRepository(bbKey, bbSlug)) },
			rule: "bitbucket.repo.get", want: "GET " + bbPath,
		},
		{
			name: "GetRepository of a user",
			do:   func(c bitbucketAPI) error { return second(c.GetRepository("~some-one", "infra.v2")) },
			rule: "bitbucket.repo.get", want: "GET /rest/api/1.0/projects/~some-one/repos/infra.v2",
		},
		{
			name: "GetBranches",
			do: func(c bitbucketAPI) error {
				return second(c.GetBranches(bbKey, bbSlug, optionals{"base": "refs/heads/main", "details": true, "filterText": "feature/a b", "orderBy": "MODIFICATION", "boostMatches": true, "limit": 50, "start": 25}))
			},
			rule: "bitbucket.branches.list", want: "GET " + bbPath + "/branches", answer: page,
		},
		{
			name: "GetCommit",
			do: func(c bitbucketAPI) error {
				return second(c.GetCommit(bbKey, bbSlug, sha, optionals{"path": "stacks/main.tf"}))
			},
			rule: "bitbucket.commit.get", want: "GET " + bbPath + "/commits/" + sha,
		},
		{
			name: "StreamChanges",
			do: func(c bitbucketAPI) error {
				return second(c.StreamChanges(bbKey, bbSlug, optionals{"from": sha, "to": "refs/heads/main", "fromRepo": "PLAT/fork"}))
			},
			rule: "bitbucket.compare.changes", want: "GET " + bbPath + "/compare/changes", answer: page,
		},
		{
			name: "StreamCommits",
			do: func(c bitbucketAPI) error {
				return second(c.StreamCommits(bbKey, bbSlug, optionals{"from": sha, "to": "refs/heads/main", "fromRepo": "PLAT/fork"}))
			},
			rule: "bitbucket.compare.commits", want: "GET " + bbPath + "/compare/commits", answer: page,
		},
		{
			name: "GetPullRequestsPage",
			do: func(c bitbucketAPI) error {
				return second(c.GetPullRequestsPage(bbKey, bbSlug, optionals{"direction": "OUTGOING", "at": "refs/heads/main", "state": "OPEN", "order": "NEWEST", "withAttributes": true, "withProperties": true, "limit": 50, "start": 25}))
			},
			rule: "bitbucket.pull_requests.list", want: "GET " + bbPath + "/pull-requests", answer: page,
		},
		{
			name: "GetPullRequest",
			do:   func(c bitbucketAPI) error { return second(c.GetPullRequest(bbKey, bbSlug, 7)) },
			rule: "bitbucket.pull_request.get", want: "GET " + bbPath + "/pull-requests/7",
		},
		{
			name: "GetPullRequestDiff",
			do: func(c bitbucketAPI) error {
				return second(c.GetPullRequestDiff(bbKey, bbSlug, 7, optionals{"contextLines": int32(3), "diffType": "RANGE", "sinceId": sha, "srcPath": "a b.tf", "untilId": sha, "whitespace": "ignore-all", "withComments": false}))
			},
			rule: "bitbucket.pull_request.diff", want: "GET " + bbPath + "/pull-requests/7/diff",
		},
		{
			name: "CanMerge",
			do:   func(c bitbucketAPI) error { return second(c.CanMerge(bbKey, bbSlug, 7)) },
			rule: "bitbucket.pull_request.mergeable", want: "GET " + bbPath + "/pull-requests/7/merge",
		},
		{
			name: "GetComment_6",
			do:   func(c bitbucketAPI) error { return second(c.GetComment_6(bbKey, bbSlug, 7, 8)) },
			rule: "bitbucket.comment.get", want: "GET " + bbPath + "/pull-requests/7/comments/8",
		},
		{
			name: "GetArchive",
			do: func(c bitbucketAPI) error {
				return second(c.GetArchive(bbKey, bbSlug, optionals{"at": "refs/heads/main", "filename": "a.tar.gz", "format": "tar.gz", "path": "stacks,modules", "prefix": "infra/"}, io.Discard))
			},
			rule: "bitbucket.archive.get", want: "GET " + bbPath + "/archive", answer: answer{body: "\x1f\x8b"},
		},
		{
			name: "GetArchive of the latest API",
			do: func(c bitbucketAPI) error {
				return second(c.GetArchive(bbKey, bbSlug, optionals{"apibasepath": "/api/latest"}, io.Discard))
			},
			rule: "bitbucket.archive.get", want: "GET /rest/api/latest/projects/PLAT/repos/infra/archive", answer: answer{body: "PK"},
		},
		{
			name: "CreatePullRequestComment",
			do: func(c bitbucketAPI) error {
				return second(c.CreatePullRequestComment(bbKey, bbSlug, 7, *filled[bitbucket.Comment](), bbJSON))
			},
			rule: "bitbucket.comment.create", want: "POST " + bbPath + "/pull-requests/7/comments", answer: created,
		},
		{
			// The call with a body, UpdatePullRequestComment, is denied: see there.
			name: "UpdateComment_46",
			do:   func(c bitbucketAPI) error { return second(c.UpdateComment_46(bbKey, bbSlug, 7, 8)) },
			rule: "bitbucket.comment.update", want: "PUT " + bbPath + "/pull-requests/7/comments/8",
		},
	}
}
