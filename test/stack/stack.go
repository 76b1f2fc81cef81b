// Package stack runs the real gateway and real agents, as processes, with a
// sample VCS behind them, for tests of the whole path.
//
//	s := stack.New(t, stack.Options{})
//	agent := s.StartAgent(t, "--transport", "tcp")
//	resp := s.Get(t, "/api/v4/user")
//
// Processes end with the test; their logs are shown if it failed.
package stack

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"vcsagent/test/samplevcs"
	"vcsagent/test/servers"
)

// Pool is the name of the pool that every stack has.
const Pool = "gitlab"

// Options shape a stack. The zero value is a gateway on loopback and the sample VCS.
type Options struct {
	GatewayArgs []string           // added to serve's
	GatewayEnv  []string           // added to an environment without proxies and settings
	GatewayIP   string             // what it listens on; "" means 127.0.0.1
	GatewayIn   *servers.Namespace // where it runs
	VCS         http.Handler       // nil means a samplevcs.VCS
	VCSIP       string             // what the VCS listens on; "" means 127.0.0.1
	VCSIn       *servers.Namespace // where it listens
	VCSTLS      *tls.Config        // its certificate; nil means plain HTTP
}

// Stack is a gateway with a pool, a caller's key, and a VCS.
type Stack struct {
	Gateway *Gateway
	VCS     *samplevcs.VCS // nil with another VCS
	VCSURL  string         // the base endpoint
	Token   string         // the pool's token
	Key     string         // a key that may call the pool

	client *http.Client // in the gateway's network
}

// Gateway is a running gateway and the addresses its listeners got.
type Gateway struct {
	*Process
	DataDir                      string
	Agents, HTTP, Admin, Metrics string // host:port

	in   *servers.Namespace
	args []string
	env  []string
}

// New starts a gateway, makes a pool and a key, and starts the VCS.
func New(t testing.TB, o Options) *Stack {
	t.Helper()
	s := &Stack{client: newClient(o.GatewayIn)}
	var handler http.Handler = o.VCS
	if handler == nil {
		vcs, err := samplevcs.New(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		s.VCS, handler = vcs, vcs
	}
	s.VCSURL = serveVCS(t, handler, o)
	s.Gateway = startGateway(t, o)
	s.Token = s.Gateway.Command(t, "pool", "create", Pool)
	s.Key = s.Gateway.Command(t, "key", "create", "caller", "--pool", Pool)
	return s
}

func serveVCS(t testing.TB, h http.Handler, o Options) string {
	t.Helper()
	ip := o.VCSIP
	if ip == "" {
		ip = "127.0.0.1"
	}
	l, err := o.VCSIn.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(h)
	srv.Listener.Close()
	srv.Listener = l
	scheme := "http"
	if o.VCSTLS != nil {
		scheme, srv.TLS = "https", o.VCSTLS
		srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of refused certificates, which tests provoke
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return scheme + "://" + l.Addr().String()
}

func startGateway(t testing.TB, o Options) *Gateway {
	t.Helper()
	ip := o.GatewayIP
	if ip == "" {
		ip = "127.0.0.1"
	}
	g := &Gateway{DataDir: t.TempDir(), in: o.GatewayIn, env: o.GatewayEnv}
	any := net.JoinHostPort(ip, "0")
	g.args = append([]string{"--agent-listen", any, "--http-listen", any, "--admin-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"}, o.GatewayArgs...)
	g.start(t)
	return g
}

func (g *Gateway) start(t testing.TB) {
	t.Helper()
	g.Process = start(t, g.in, "vcs-gateway", g.env, append([]string{"serve", "--data-dir", g.DataDir}, g.args...)...)
	line := g.Await(t, "serving")
	g.Agents, g.HTTP, g.Admin, g.Metrics = line.String("agents"), line.String("http"), line.String("admin"), line.String("metrics")
}

// Restart starts the gateway again, after it has ended, on the same data and the
// same addresses.
func (g *Gateway) Restart(t testing.TB) {
	t.Helper()
	g.args = append(slices.Clone(g.args), "--agent-listen", g.Agents, "--http-listen", g.HTTP, "--admin-listen", g.Admin, "--metrics-listen", g.Metrics)
	g.start(t)
}

// Command runs one of vcs-gateway's other commands against this gateway and
// returns what it printed on stdout, less the newline.
func (g *Gateway) Command(t testing.TB, args ...string) string {
	t.Helper()
	cmd := exec.Command(servers.Binary(t, "vcs-gateway"), append(args, "--data-dir", g.DataDir)...)
	var out []byte
	err := g.in.Do(func() (err error) { out, err = cmd.Output(); return err })
	if err != nil {
		detail := ""
		if ee, ok := err.(*exec.ExitError); ok {
			detail = string(ee.Stderr)
		}
		t.Fatalf("vcs-gateway %s: %v %s", strings.Join(args, " "), err, detail)
	}
	return strings.TrimSpace(string(out))
}

// Agent is a running agent.
type Agent struct {
	*Process
	Metrics string // host:port of /metrics, /livez and /readyz

	client *http.Client // in the agent's network
}

// AgentOptions shape an agent. The zero value is one with the pool's token in the
// test's own network.
type AgentOptions struct {
	Args []string
	Env  []string
	In   *servers.Namespace
	// Hosts are names and the addresses that the agent finds for them, in a mount
	// namespace of its own, beside those in the system's /etc/hosts.
	Hosts map[string]string
}

// StartAgent starts an agent of the pool with more flags and waits until it is
// connected.
func (s *Stack) StartAgent(t testing.TB, args ...string) *Agent {
	t.Helper()
	a := s.LaunchAgent(t, AgentOptions{Args: args})
	s.AwaitSession(t, a)
	return a
}

// AwaitSession waits until an agent is connected and the gateway sends it
// requests, which is a moment later, and returns the agent's line about it.
func (s *Stack) AwaitSession(t testing.TB, a *Agent) Line {
	t.Helper()
	line := a.Await(t, "connected to the gateway")
	session := line.String("session")
	s.Gateway.AwaitLine(t, "session "+session, func(l Line) bool { return l.String("msg") == "agent connected" && l.String("session") == session })
	return line
}

// LaunchAgent starts an agent and doesn't wait.
func (s *Stack) LaunchAgent(t testing.TB, o AgentOptions) *Agent {
	t.Helper()
	env := append([]string{"SPACELIFT_VCS_AGENT_POOL_TOKEN=" + s.Token}, o.Env...)
	args := append([]string{"--target-base-endpoint", s.VCSURL, "--vendor", "gitlab", "--metrics-listen", "127.0.0.1:0"}, o.Args...)
	a := &Agent{Process: &Process{servers.Start(t, o.In, agentCommand(t, o.Hosts, env, args))}, client: newClient(o.In)}
	a.Metrics = a.Await(t, "serving metrics and health").String("address")
	return a
}

// withHosts, in a mount namespace, puts a copy of /etc/hosts in place and becomes
// the command that follows.
const withHosts = `mount --bind "$1" /etc/hosts && shift && exec "$@"`

func agentCommand(t testing.TB, hosts map[string]string, env, args []string) *exec.Cmd {
	t.Helper()
	cmd := command(t, "vcs-agent", env, args...)
	if len(hosts) == 0 {
		return cmd
	}
	text, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	for name, ip := range hosts {
		text = fmt.Appendf(text, "\n%s %s\n", ip, name)
	}
	file := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	wrapped := exec.Command("/bin/sh", append([]string{"-c", withHosts, "sh", file}, cmd.Args...)...)
	wrapped.Env = cmd.Env
	wrapped.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return wrapped
}

// Ask sends a GET to the agent's metrics listener, such as for /readyz, and
// returns the status and the body.
func (a *Agent) Ask(t testing.TB, path string) (status int, body string) {
	t.Helper()
	resp, err := a.client.Get("http://" + a.Metrics + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// URL is a path's URL in the path form.
func (s *Stack) URL(path string) string {
	return "http://" + s.Gateway.HTTP + "/private/" + Pool + path
}

// ProxyURL is the gateway as a forward proxy, the key as its password.
func (s *Stack) ProxyURL() *url.URL {
	return &url.URL{Scheme: "http", Host: s.Gateway.HTTP, User: url.UserPassword("caller", s.Key)}
}

// Get calls the VCS through the gateway with the key and the sample VCS's token.
// The test closes the body, or its end does.
func (s *Stack) Get(t testing.TB, path string) *http.Response {
	t.Helper()
	return s.Do(t, s.Request(t, http.MethodGet, path))
}

// Request makes a request in the path form, with the key and the sample VCS's
// token. The path is sent as it is.
func (s *Stack) Request(t testing.TB, method, path string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL("/"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.URL.Opaque = "/private/" + Pool + path
	req.Header.Set("VCS-Gateway-Key", s.Key)
	req.Header.Set("Private-Token", samplevcs.Token)
	return req
}

// Do sends a request as it is, following no redirect.
func (s *Stack) Do(t testing.TB, req *http.Request) *http.Response {
	t.Helper()
	resp, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// newClient returns a client in a namespace that asks for nothing by itself and
// keeps no connection over tests.
func newClient(in *servers.Namespace) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true, DialContext: in.Dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Process is a running program that logs JSON lines.
type Process struct{ *servers.Process }

// cleanEnv is an environment in which nothing of the machine's is a setting.
var cleanEnv = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/nonexistent"}

func start(t testing.TB, in *servers.Namespace, program string, env []string, args ...string) *Process {
	t.Helper()
	return &Process{servers.Start(t, in, command(t, program, env, args...))}
}

func command(t testing.TB, program string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(servers.Binary(t, program), args...)
	cmd.Env = append(slices.Clone(cleanEnv), env...)
	return cmd
}

// Line is a line of a process's log.
type Line map[string]any

// String returns a field that is a string, "" if it's missing.
func (l Line) String(field string) string { s, _ := l[field].(string); return s }

// Number returns a field that is a number, 0 if it's missing.
func (l Line) Number(field string) float64 { n, _ := l[field].(float64); return n }

// Lines returns what the process has logged so far. Output that isn't JSON is left out.
func (p *Process) Lines() []Line {
	var out []Line
	sc := bufio.NewScanner(strings.NewReader(p.Log()))
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var l Line
		if json.Unmarshal(sc.Bytes(), &l) == nil && l != nil {
			out = append(out, l)
		}
	}
	return out
}

// Await waits for a line with this message and returns the last such line.
func (p *Process) Await(t testing.TB, msg string) Line {
	t.Helper()
	return p.AwaitLine(t, fmt.Sprintf("msg %q", msg), func(l Line) bool { return l.String("msg") == msg })
}

// AwaitLine waits until the log has a line that fits and returns the last one. It
// fails the test after 30 s, or when the process ends without it.
func (p *Process) AwaitLine(t testing.TB, what string, fits func(Line) bool) Line {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		ended := p.Ended() // before the log is read: nothing comes afterwards
		for _, l := range slices.Backward(p.Lines()) {
			if fits(l) {
				return l
			}
		}
		if ended {
			t.Fatalf("the process ended without a line with %s; it said:\n%s", what, p.Log())
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no line with %s came within 30 s; the log is:\n%s", what, p.Log())
		}
	}
}
