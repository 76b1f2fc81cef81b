package e2e_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"vcsagent/test/samplevcs"
	"vcsagent/test/servers"
	"vcsagent/test/stack"
)

// The operator's commands, against a gateway with an agent and requests.

// What the commands print of an agent and of requests is what happened.
func TestCommandsShowWhatHappens(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.Options{})
	var none []map[string]any
	printed(t, s, &none, "connections")
	if len(none) != 0 {
		t.Errorf("connections without an agent: %v", none)
	}
	agent := s.LaunchAgent(t, stack.AgentOptions{Args: []string{"--parallelism", "3"}, Env: []string{"SPACELIFT_METADATA_zone=cellar\x1b[31m"}})
	session := s.AwaitSession(t, agent).String("session")

	var connections []struct {
		Pool, Vendor, Carrier string
		SessionID             string `json:"session_id"`
		Parallelism           int
		Tags                  map[string]string
	}
	printed(t, s, &connections, "connections", stack.Pool)
	if len(connections) != 1 || connections[0].Pool != stack.Pool || connections[0].SessionID != session || connections[0].Vendor != "gitlab" ||
		connections[0].Parallelism != 3 || !strings.HasPrefix(connections[0].Tags["zone"], "cellar") {
		t.Errorf("connections: %+v", connections)
	}
	table := s.Gateway.Command(t, "connections")
	if !strings.Contains(table, "0/3") || !strings.Contains(table, "zone=\"cellar\\x1b[31m") || strings.Contains(table, "\x1b") {
		t.Errorf("the table of connections is\n%s", table)
	}
	if list := s.Gateway.Command(t, "pool", "list"); !strings.Contains(list, "ready") {
		t.Errorf("the pool with an agent:\n%s", list)
	}

	code, out, stderr := run(t, s, "check", stack.Pool)
	if code != 0 || stderr != "" || !strings.Contains(out, "VCS     gitlab") {
		t.Errorf("check: exit code %d, stdout %s, stderr %s", code, out, stderr)
	}

	s.Get(t, "/api/v4/user")
	s.Get(t, "/api/v4/projects/platform%2Finfra")
	denied := s.Request(t, "GET", "/api/v4/projects/platform%2Finfra/hooks")
	denied.Header.Set("X-Request-Id", "the-denied-one")
	s.Do(t, denied)

	type request struct{ ID, Pool, Key, Outcome, Reason, Name, Project, Session string }
	of := func(args ...string) (list []request) {
		printed(t, s, &list, append([]string{"requests"}, args...)...)
		return list
	}
	eventually(t, "three requests are stored", func() bool { return len(of()) == 3 })
	all := of("--pool", stack.Pool, "--since", "1h")
	if len(all) != 3 || all[2].ID != "the-denied-one" || all[1].Outcome != "served" || all[1].Session != session {
		t.Errorf("requests, the newest last: %+v", all)
	}
	for _, args := range [][]string{
		{"--outcome", "denied"}, {"--id", "the-denied-one"}, {"--limit", "1"}, {"--name", "gitlab.project.get", "--limit", "1"},
		{"--project", "platform/infra", "--outcome", "served", "--key", "caller", "--limit", "1"},
	} {
		if got := of(args...); len(got) != 1 {
			t.Errorf("requests %q: %+v, want one", args, got)
		}
	}
	if got := of("--since", "2090-01-01T00:00:00Z"); len(got) != 0 {
		t.Errorf("requests of the future: %+v", got)
	}
	rows := s.Gateway.Command(t, "requests")
	if strings.Count(rows, "\n") != 3 || !strings.Contains(rows, "denied no_rule") || !strings.Contains(rows, "GET /api/v4/projects/platform%2Finfra/hooks") {
		t.Errorf("the table of requests is\n%s", rows)
	}
	if one := s.Gateway.Command(t, "requests", "--id", "the-denied-one"); !strings.Contains(one, "reason      no_rule") {
		t.Errorf("the denied request is\n%s", one)
	}
	if o := s.Gateway.Command(t, "overview"); !strings.Contains(o, "1, with 0 of 3 streams busy") || !strings.Contains(o, "2 served, 1 denied, 0 failed") {
		t.Errorf("the overview is\n%s", o)
	}

	end(t, agent)
	eventually(t, "the agent is gone", func() bool { return s.Gateway.Command(t, "connections") == "" })
	code, _, stderr = run(t, s, "check", stack.Pool)
	if code != 1 || !strings.Contains(stderr, "vcs-gateway: No agent") {
		t.Errorf("check without an agent: exit code %d, stderr %s", code, stderr)
	}
}

// A VCS that doesn't answer is told by the exit code and a sentence.
func TestCheckTellsOfAVCSThatIsDown(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.Options{})
	s.VCSURL = "http://127.0.0.1:1"
	s.StartAgent(t)
	code, out, stderr := run(t, s, "check", stack.Pool, "--json")
	var check struct {
		Agent, Reachable bool
		Code             string
	}
	if err := json.Unmarshal([]byte(out), &check); err != nil || code != 1 || !check.Agent || check.Reachable || check.Code != "vcs_unreachable" {
		t.Errorf("exit code %d, %v: %s", code, err, out)
	}
	if strings.Count(stderr, "\n") != 1 || !strings.HasPrefix(stderr, "vcs-gateway: ") {
		t.Errorf("stderr is %q", stderr)
	}
}

// Rotating a pool's token fails no request: the old agent works until its token is
// revoked, and then ends.
func TestRotatedTokens(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.Options{})
	old := s.StartAgent(t)
	s.Token = s.Gateway.Command(t, "pool", "rotate-token", stack.Pool)
	young := s.StartAgent(t)
	var tokens []struct {
		ID          string
		Connections int
	}
	printed(t, s, &tokens, "pool", "tokens", stack.Pool)
	if len(tokens) != 2 || tokens[0].Connections != 1 || tokens[1].Connections != 1 {
		t.Fatalf("tokens: %+v", tokens)
	}
	s.Gateway.Command(t, "pool", "revoke-token", stack.Pool, tokens[0].ID)
	eventually(t, "the old agent's session has ended", func() bool {
		printed(t, s, &tokens, "pool", "tokens", stack.Pool)
		return len(tokens) == 1 && tokens[0].Connections == 1 && len(linesWith(old.Process, "connected to the gateway")) == 1
	})
	if resp := s.Get(t, "/api/v4/user"); resp.StatusCode != 200 {
		t.Errorf("through the new agent: %s", resp.Status)
	}
	if young.Ended() {
		t.Error("the new agent ended")
	}
}

// One that follows prints requests as they end, on through a restart of the
// gateway, and ends quietly when it's interrupted.
func TestFollowOutlivesTheGateway(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.Options{})
	var stderr lockedBuffer
	cmd := command(t, s, "requests", "--follow", "--json", "--pool", stack.Pool)
	cmd.Stderr = &stderr
	follower := &stack.Process{Process: servers.Start(t, nil, cmd)}
	ask := func(id string) {
		t.Helper()
		req := s.Request(t, "GET", "/api/v4/user")
		req.Header.Set("X-Request-Id", id)
		s.Do(t, req)
	}
	seen := func(id string) func() bool {
		return func() bool {
			for _, l := range follower.Lines() {
				if l.String("id") == id {
					return true
				}
			}
			return false
		}
	}
	eventually(t, "a request is printed", func() bool { ask("before"); return seen("before")() })

	terminate(t, s.Gateway.Process)
	s.Gateway.ExitCode(t, patience)
	s.Gateway.Restart(t)
	ask("after") // whether the follower is back already or not
	eventually(t, "the request after the restart is printed", seen("after"))
	if err := follower.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := follower.ExitCode(t, patience); code != 0 {
		t.Errorf("exit code %d after an interruption", code)
	}
	said := stderr.String()
	if strings.Count(said, "\n") != 1 || !strings.HasPrefix(said, "vcs-gateway: the gateway at http://") || !strings.HasSuffix(said, ": connecting again\n") {
		t.Errorf("stderr is %q", said)
	}
	for line := range strings.Lines(follower.Log()) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Errorf("no JSON object on a line: %q", line)
		}
	}
}

// Whoever reads what is followed may stop reading.
func TestFollowEndsWithItsReader(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.Options{})
	var stderr lockedBuffer
	cmd := command(t, s, "requests", "--follow")
	reader, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, &stderr
	follower := &stack.Process{Process: servers.Start(t, nil, cmd)}
	out.Close()
	head := make([]byte, len("TIME"))
	if _, err := io.ReadFull(reader, head); err != nil || string(head) != "TIME" {
		t.Fatalf("read %q, %v", head, err)
	}
	reader.Close()
	eventually(t, "the follower ends", func() bool {
		s.Get(t, "/api/v4/user")
		return follower.Ended()
	})
	if said := stderr.String(); said != "" {
		t.Errorf("stderr is %q", said)
	}
}

// No secret is in what the commands print, but for the one that was made.
func TestCommandsPrintNoSecrets(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.Options{})
	s.StartAgent(t)
	req := s.Request(t, "GET", "/api/v4/user?private_token=query-secret")
	s.Do(t, req)
	admin, err := os.ReadFile(s.Gateway.DataDir + "/admin-key")
	if err != nil {
		t.Fatal(err)
	}
	rotated := s.Gateway.Command(t, "pool", "rotate-token", stack.Pool)
	var all strings.Builder
	for _, args := range [][]string{
		{"pool", "list"}, {"pool", "show", stack.Pool}, {"pool", "tokens", stack.Pool}, {"pool", "edit", stack.Pool, "--burst", "9"},
		{"key", "list"}, {"key", "show", "caller"}, {"key", "edit", "caller", "--burst", "9"},
		{"connections"}, {"check", stack.Pool}, {"audit"}, {"overview"}, {"requests"},
	} {
		for _, format := range [][]string{nil, {"--json"}} {
			code, out, stderr := run(t, s, append(args, format...)...)
			if code != 0 || out == "" {
				t.Errorf("%q: exit code %d, stdout %q, stderr %q", args, code, out, stderr)
			}
			all.WriteString(out + stderr)
		}
	}
	for what, secret := range map[string]string{
		"the admin key": strings.TrimSpace(string(admin)), "a caller's key": s.Key, "a token": s.Token, "a new token": rotated,
		"the VCS's token": samplevcs.Token, "a query's token": "query-secret",
	} {
		if strings.Contains(all.String(), secret) {
			t.Errorf("%s was printed", what)
		}
	}
}

// command is one of vcs-gateway's commands against a stack's gateway, which it
// finds by its environment.
func command(t *testing.T, s *stack.Stack, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(servers.Binary(t, "vcs-gateway"), args...)
	cmd.Env = append(cleanEnv(t), "VCS_GATEWAY_DATA_DIR="+s.Gateway.DataDir)
	return cmd
}

func run(t *testing.T, s *stack.Stack, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := command(t, s, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if ended := (*exec.ExitError)(nil); err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	if cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
		t.Fatalf("%q was ended by a signal: %s", args, errOut.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), errOut.String()
}

// printed reads what a command prints as JSON.
func printed(t *testing.T, s *stack.Stack, into any, args ...string) {
	t.Helper()
	out := s.Gateway.Command(t, append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("%q printed no JSON: %v: %s", args, err, out)
	}
}

// lockedBuffer is a buffer that a process's output is copied to.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
