package samplevcs_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"vcsagent/test/samplevcs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type server struct {
	*samplevcs.VCS
	URL    string
	client *http.Client
}

func start(t *testing.T) *server {
	t.Helper()
	v, err := samplevcs.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	v.Stderr = t.Output()
	s := httptest.NewServer(v)
	t.Cleanup(s.Close)
	return &server{v, s.URL, s.Client()}
}

// call sends a request for a raw target with the token and returns the answer
// with its body.
func (s *server) call(t *testing.T, method, target, contentType, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, s.URL+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Private-Token", samplevcs.Token)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	return s.do(t, req)
}

func (s *server) do(t *testing.T, req *http.Request) (*http.Response, string) {
	t.Helper()
	client := *s.client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

// repo is the repository's address, with the token in it or another password.
func (s *server) repo(password string) string {
	return strings.Replace(s.URL, "http://", "http://git:"+password+"@", 1) + "/" + samplevcs.Project + ".git"
}

// git runs git without the user's configuration and returns what it printed,
// and whether it failed.
func git(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_TRACE_PACKET="+filepath.Join(dir, ".packets"),
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@vcs.invalid", "GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@vcs.invalid")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func mustGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := git(t, dir, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}
