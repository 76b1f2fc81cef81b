package browser_test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcsagent/test/samplevcs"
	"vcsagent/test/stack"
	"vcsagent/transport"
)

// brokenPath is a call that the agent lets through and the VCS hangs up on.
const brokenPath = "/api/v4/projects/17/repository/branches/broken"

// scene is a gateway with its pages, a VCS, and what a person at the pages has.
type scene struct {
	*stack.Stack
	t     testing.TB
	admin string // the first admin key
}

// newScene starts a gateway with a pool and a caller's key, and no agent.
func newScene(t testing.TB, o stack.Options) *scene {
	t.Helper()
	if o.VCS == nil {
		vcs, err := samplevcs.New(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		o.VCS = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == brokenPath {
				panic(http.ErrAbortHandler)
			}
			vcs.ServeHTTP(w, r)
		})
	}
	s := &scene{Stack: stack.New(t, o), t: t}
	admin, err := os.ReadFile(filepath.Join(s.Gateway.DataDir, "admin-key"))
	if err != nil {
		t.Fatal(err)
	}
	s.admin = string(bytes.TrimSpace(admin))
	return s
}

// origin is the admin listener's.
func (s *scene) origin() string { return "http://" + s.Gateway.Admin }

// signIn types a key into the sign-in page, with the mouse.
func (s *scene) signIn(p *tab) {
	s.t.Helper()
	p.open("/sign-in")
	p.fill("Admin key", s.admin)
	p.click("button", "Sign in")
	p.arrive("/")
}

// call sends a request through the callers' listener and returns the status and
// the code of an answer that wasn't the VCS's.
func (s *scene) call(method, path string, header ...string) (status int, code string) {
	s.t.Helper()
	req := s.Request(s.t, method, path)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp := s.Do(s.t, req)
	resp.Body.Close()
	return resp.StatusCode, resp.Header.Get(transport.ErrorHeader)
}

// expect sends a request and fails the test unless it is answered like that.
func (s *scene) expect(status int, code, method, path string) {
	s.t.Helper()
	if gotStatus, gotCode := s.call(method, path); gotStatus != status || gotCode != code {
		s.t.Fatalf("%s %s: %d %q, want %d %q", method, path, gotStatus, gotCode, status, code)
	}
}

// agentWith starts an agent whose token is in a file and waits until it is
// connected.
func (s *scene) agentWith(tokenFile string, args ...string) *stack.Agent {
	s.t.Helper()
	a := s.LaunchAgent(s.t, stack.AgentOptions{
		Args: append([]string{"--token-file", tokenFile}, args...),
		Env:  []string{"SPACELIFT_VCS_AGENT_POOL_TOKEN="},
	})
	s.AwaitSession(s.t, a)
	return a
}

// readToken reads a token's file.
func readToken(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// api sends a request to the admin API, with the first admin key.
func (s *scene) api(method, path string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.origin()+"/api/v1"+path, strings.NewReader("{}"))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+s.admin)
	if resp := s.Do(s.t, req); resp.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
}

// instance is an agent's name for itself.
func instance(t testing.TB, a *stack.Agent) string {
	t.Helper()
	return a.Await(t, "starting").String("instance")
}
