package samplevcs_test

import (
	"crypto/rand"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcsagent/test/samplevcs"
)

func TestClone(t *testing.T) {
	s := start(t)
	for version, want := range map[string]bool{"2": true, "0": false} {
		dir := t.TempDir()
		mustGit(t, dir, "-c", "protocol.version="+version, "clone", "--quiet", s.repo(samplevcs.Token), "work")
		work := filepath.Join(dir, "work")
		if got := mustGit(t, work, "rev-parse", "--abbrev-ref", "HEAD"); got != samplevcs.DefaultBranch {
			t.Errorf("HEAD is %s, want %s", got, samplevcs.DefaultBranch)
		}
		branches := mustGit(t, work, "for-each-ref", "--format=%(refname:lstrip=3)", "refs/remotes/origin")
		for _, b := range []string{samplevcs.DefaultBranch, samplevcs.FeatureBranch} {
			if !strings.Contains(branches, b) {
				t.Errorf("no branch %s in:\n%s", b, branches)
			}
		}
		if got := mustGit(t, work, "describe", "--tags"); !strings.HasPrefix(got, samplevcs.Tag+"-1-g") {
			t.Errorf("described as %s, want one commit past %s", got, samplevcs.Tag)
		}
		if _, err := os.Stat(filepath.Join(work, samplevcs.ConfigFile)); err != nil {
			t.Error(err)
		}
		packets, err := os.ReadFile(filepath.Join(dir, ".packets"))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(packets), "git< version 2"); got != want {
			t.Errorf("protocol.version=%s: the server speaks version 2: %v, want %v", version, got, want)
		}
	}
}

func TestFetchAndPush(t *testing.T) {
	s := start(t)
	dir, other := t.TempDir(), t.TempDir()
	for _, d := range []string{dir, other} {
		mustGit(t, d, "clone", "--quiet", s.repo(samplevcs.Token), ".")
	}
	// More than git sends in one piece (1 MiB), and not to be compressed: the
	// push has a chunked body.
	large := make([]byte, 3<<20)
	rand.Read(large)
	if err := os.WriteFile(filepath.Join(dir, "large"), large, 0o644); err != nil {
		t.Fatal(err)
	}
	mustGit(t, dir, "add", "large")
	mustGit(t, dir, "commit", "--quiet", "--message=large")
	mustGit(t, dir, "push", "--quiet", "origin", "HEAD")
	head := mustGit(t, dir, "rev-parse", "HEAD")

	mustGit(t, other, "fetch", "--quiet")
	if got := mustGit(t, other, "rev-parse", "origin/"+samplevcs.DefaultBranch); got != head {
		t.Errorf("fetched %s, pushed %s", got, head)
	}
	// The API tells the same.
	if _, body := s.call(t, "GET", "/api/v4/projects/17/repository/branches/main", "", ""); !strings.Contains(body, head) {
		t.Errorf("the branch is %s, want %s", body, head)
	}
	var pushed bool
	for _, r := range s.Requests() {
		pushed = pushed || r.Method == http.MethodPost && r.URI == "/"+samplevcs.Project+".git/git-receive-pack"
	}
	if !pushed {
		t.Error("no push among the recorded requests")
	}
}

func TestGitNeedsTheToken(t *testing.T) {
	s := start(t)
	for _, url := range []string{s.repo("wrong"), strings.Replace(s.repo(""), "git:@", "", 1)} {
		if out, err := git(t, t.TempDir(), "ls-remote", url); err == nil {
			t.Errorf("%s answered:\n%s", url, out)
		}
	}
	if out, err := git(t, t.TempDir(), "ls-remote", strings.Replace(s.repo(samplevcs.Token), "infra", "other", 1)); err == nil {
		t.Errorf("a repository that isn't there answered:\n%s", out)
	}
	mustGit(t, t.TempDir(), "ls-remote", s.repo(samplevcs.Token))
}

// Nothing but the repository is served, whatever the path says.
func TestGitStaysInItsRoot(t *testing.T) {
	s := start(t)
	for target, want := range map[string]int{
		"/platform/infra.git/HEAD":                           http.StatusOK,
		"/platform/infra.git/config":                         http.StatusNotFound,
		"/platform/infra.git/../../../../etc/passwd":         http.StatusInternalServerError, // as git answers that
		"/platform/infra.git/%2e%2e/infra.git/HEAD":          http.StatusInternalServerError,
		"/platform/infra.git/info/refs?service=git-not-real": http.StatusForbidden,
	} {
		req, err := http.NewRequest("GET", s.URL+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("git", samplevcs.Token)
		if resp, body := s.do(t, req); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d\n%s", target, resp.Status, want, body)
		}
	}
}

func TestNewRefusesWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	if _, err := samplevcs.New(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := samplevcs.New(dir); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a second repository in the same folder: %v", err)
	}
}
