package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"vcsagent/test/samplevcs"
	"vcsagent/test/stack"
)

const withGit = "read,archive,status,comment,app,git"

// git runs git in a folder and returns its output and whether it succeeded.
func git(t *testing.T, dir string, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(cleanEnv(t), "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@example.com", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

func mustGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, ok := git(t, dir, args...)
	if !ok {
		t.Fatalf("git %s: %s", strings.Join(args, " "), out)
	}
	return out
}

// ways are the two ways to clone through the gateway.
func ways(s *stack.Stack) map[string]struct {
	config []string
	url    string
} {
	type way = struct {
		config []string
		url    string
	}
	return map[string]way{
		"forward proxy": {
			[]string{"-c", "http.proxy=" + s.ProxyURL().String()},
			"http://git:" + samplevcs.Token + "@" + stack.Pool + ".private/" + samplevcs.Project + ".git",
		},
		"path form": {
			[]string{"-c", "http.extraHeader=VCS-Gateway-Key: " + s.Key},
			"http://git:" + samplevcs.Token + "@" + s.Gateway.HTTP + "/private/" + stack.Pool + "/" + samplevcs.Project + ".git",
		},
	}
}

func TestGit(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, carrier string) {
		t.Parallel()
		s := stack.New(t, stack.Options{})
		s.StartAgent(t, "--transport", carrier, "--allow-groups", withGit)
		for name, way := range ways(s) {
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				clone := filepath.Join(dir, "clone")
				mustGit(t, dir, append(way.config, "clone", "-q", way.url, clone)...)
				if log := mustGit(t, clone, "log", "--format=%s"); len(strings.Fields(log)) == 0 {
					t.Error("the clone is empty")
				}
				mustGit(t, clone, "fsck", "--strict")
				// A shallow clone, the other protocol versions, and a fetch of one branch.
				for i, extra := range [][]string{{"-c", "protocol.version=0"}, {"-c", "protocol.version=1"}, {"-c", "protocol.version=2"}} {
					args := append(append([]string{}, way.config...), extra...)
					mustGit(t, dir, append(args, "clone", "-q", "--depth=1", way.url, fmt.Sprintf("shallow-%d", i))...)
				}
				mustGit(t, clone, append(way.config, "fetch", "-q", way.url, samplevcs.FeatureBranch)...)
				mustGit(t, clone, append(way.config, "fetch", "-q", "--tags", "origin")...)

				// A push ends with 403, and nothing of it reaches the VCS.
				before := len(s.VCS.Requests())
				out, ok := git(t, clone, append(way.config, "push", way.url, "HEAD:refs/heads/pushed")...)
				if ok || !strings.Contains(out, "403") {
					t.Errorf("push: %v, %s", ok, out)
				}
				if n := len(s.VCS.Requests()); n != before {
					t.Errorf("the push led to %d requests at the VCS", n-before)
				}
			})
		}
	})
}

// Without the group git there is no clone, and the denial says why.
func TestGitGroupOff(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.Options{})
	a := s.StartAgent(t)
	for name, way := range ways(s) {
		out, ok := git(t, t.TempDir(), append(way.config, "clone", way.url, "clone")...)
		if ok || !strings.Contains(out, "403") {
			t.Errorf("%s: %v, %s", name, ok, out)
		}
	}
	if l := a.Await(t, "denied"); l.String("reason") != "group_off" || l.String("name") != "" || l.String("nearest_rule") != "gitlab.git.refs" {
		t.Errorf("the agent's line: %v", l)
	}
	if n := len(s.VCS.Requests()); n != 0 {
		t.Errorf("%d requests reached the VCS", n)
	}
}

// A clone whose negotiation git compresses (it does from 1 KiB on), of a
// repository in a sub-group with a few MiB in it.
func TestGitLargeRepository(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	origin, local := filepath.Join(dir, "srv", "group", "sub", "big.git"), filepath.Join(dir, "local")
	mustGit(t, dir, "init", "-q", "--bare", origin)
	mustGit(t, dir, "init", "-q", local)
	for i := range 60 {
		content := bytes.Repeat([]byte(fmt.Sprintf("%d %x\n", i, i*7919)), 2000+i)
		if err := os.WriteFile(filepath.Join(local, fmt.Sprintf("file-%d", i)), content, 0o600); err != nil {
			t.Fatal(err)
		}
		mustGit(t, local, "add", ".")
		mustGit(t, local, "commit", "-q", "-m", fmt.Sprintf("commit %d", i))
		mustGit(t, local, "tag", fmt.Sprintf("v%d", i))
	}
	mustGit(t, local, "push", "-q", "--tags", origin, "HEAD:refs/heads/main")

	var compressed atomic.Bool
	backend := httpBackend(filepath.Join(dir, "srv"))
	s := stack.New(t, stack.Options{VCS: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Encoding") == "gzip" {
			compressed.Store(true)
		}
		backend.ServeHTTP(w, r)
	})})
	s.StartAgent(t, "--allow-groups", withGit)
	url := "http://" + stack.Pool + ".private/group/sub/big.git"
	proxy := "http.proxy=" + s.ProxyURL().String()
	mustGit(t, dir, "-c", proxy, "clone", "-q", url, "clone")
	mustGit(t, filepath.Join(dir, "clone"), "fsck", "--strict")
	// The fetch of one more commit names all that is there, which is long.
	mustGit(t, local, "commit", "-q", "--allow-empty", "-m", "one more")
	mustGit(t, local, "push", "-q", origin, "HEAD:refs/heads/main")
	mustGit(t, filepath.Join(dir, "clone"), "-c", proxy, "fetch", "-q")
	if got, want := mustGit(t, filepath.Join(dir, "clone"), "rev-parse", "origin/main"), mustGit(t, local, "rev-parse", "HEAD"); got != want {
		t.Errorf("origin/main is %s, want %s", got, want)
	}
	if !compressed.Load() {
		t.Error("git compressed no request: this test shows less than it should")
	}
}

// httpBackend serves the bare repositories below root with git http-backend.
func httpBackend(root string) http.Handler {
	return &cgi.Handler{
		Path: "/bin/sh",
		Args: []string{"-c", "exec git http-backend"},
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + root, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
}
