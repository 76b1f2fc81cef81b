// Package network_test runs real agents and gateways over networks that misbehave
// and through real proxies: which carrier the agent takes, by which way, what it
// says about it, and how it comes back when the way is lost.
package network_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"vcsagent/test/samplevcs"
	"vcsagent/test/servers"
	"vcsagent/test/stack"
)

func TestMain(m *testing.M) { servers.Main(m) }

// What agents log, by its msg.
const (
	connected    = "connected to the gateway"
	notConnected = "not connected to the gateway"
)

// site is a company's network, where agent and VCS are, and the world outside,
// where the gateway is and, for the tests' sake, the proxies.
type site struct {
	*stack.Stack
	inside, outside *servers.Namespace
}

func newSite(t *testing.T, o stack.Options) *site {
	t.Helper()
	s := &site{}
	s.inside, s.outside = servers.Wire(t)
	o.GatewayIn, o.GatewayIP = s.outside, s.outside.Addr
	o.VCSIn, o.VCSIP = s.inside, s.inside.Addr
	s.Stack = stack.New(t, o)
	return s
}

// launch starts an agent in the company's network and doesn't wait.
func (s *site) launch(t *testing.T, env []string, args ...string) *stack.Agent {
	t.Helper()
	return s.LaunchAgent(t, stack.AgentOptions{In: s.inside, Env: env, Args: args})
}

// start starts an agent and returns it with the line that says it is connected.
func (s *site) start(t *testing.T, env []string, args ...string) (*stack.Agent, stack.Line) {
	t.Helper()
	a := s.launch(t, env, args...)
	return a, s.AwaitSession(t, a)
}

// stop ends an agent in order.
func stop(t *testing.T, a *stack.Agent) {
	t.Helper()
	if err := a.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := a.ExitCode(t, 10*time.Second); code != 0 {
		t.Errorf("the agent's exit code is %d, want 0", code)
	}
}

// askGateway sends a GET to the gateway's metrics listener.
func (s *site) askGateway(t *testing.T, path string) (status int, body string) {
	t.Helper()
	resp, err := s.callers().Get("http://" + s.Gateway.Metrics + path)
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

// callers is a client in the world outside that keeps no connections.
func (s *site) callers() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: s.outside.Dial, DisableKeepAlives: true}}
}

// status is what a call through the whole path is answered with, 0 for no answer
// within 3 s.
func (s *site) status(t *testing.T) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	resp, err := s.callers().Do(s.Request(t, http.MethodGet, "/api/v4/user").WithContext(ctx))
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0
	}
	return resp.StatusCode
}

// assertServes wants a small call, an archive and a clone to work.
func (s *site) assertServes(t *testing.T) {
	t.Helper()
	if got := s.status(t); got != http.StatusOK {
		t.Errorf("a call is answered with %d, want 200", got)
	}

	resp := s.Get(t, "/api/v4/projects/"+url.PathEscape(samplevcs.Project)+"/repository/archive.tar.gz")
	archive, err := gzip.NewReader(resp.Body)
	if err == nil {
		_, err = io.Copy(io.Discard, archive)
	}
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("an archive: %s, %v", resp.Status, err)
	}

	clone := t.TempDir()
	servers.Run(t, s.outside, "env", "-i", "PATH="+os.Getenv("PATH"), "HOME=/nonexistent", "GIT_TERMINAL_PROMPT=0",
		"git", "-c", "http.proxy="+s.ProxyURL().String(), "clone", "--quiet",
		fmt.Sprintf("http://oauth2:%s@%s.private/%s.git", samplevcs.Token, stack.Pool, samplevcs.Project), clone)
	if files, err := os.ReadDir(clone); err != nil || len(files) < 2 {
		t.Errorf("the clone holds %v, %v", files, err)
	}
}

// withGit turns on what assertServes needs beyond the default groups.
const withGit = "--allow-groups=read,archive,git"

// await polls until ok, which looks at other processes' doing, is true; it fails
// the test at the deadline.
func await(t *testing.T, deadline time.Time, what string, ok func() bool) {
	t.Helper()
	for tick := time.NewTicker(20 * time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// logged is when a line was logged.
func logged(t *testing.T, l stack.Line) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, l.String("time"))
	if err != nil {
		t.Fatalf("the line %v has no time: %v", l, err)
	}
	return at
}

// metric is the value of one of the agent's series, such as
// vcs_agent_connected{carrier="tcp"}.
func metric(t *testing.T, a *stack.Agent, series string) float64 {
	t.Helper()
	_, body := a.Ask(t, "/metrics")
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("there is no series %s in:\n%s", series, body)
	return 0
}

// datagrams is how many UDP datagrams were sent from a namespace, by anybody and
// to anywhere.
func datagrams(t *testing.T, ns *servers.Namespace) int {
	t.Helper()
	var text []byte
	if err := ns.Do(func() (err error) {
		text, err = os.ReadFile("/proc/thread-self/net/snmp")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch {
		case fields[0] != "Udp:":
		case names == nil:
			names = fields
		default:
			for i, name := range names {
				if name == "OutDatagrams" {
					n, err := strconv.Atoi(fields[i])
					if err != nil {
						t.Fatal(err)
					}
					return n
				}
			}
		}
	}
	t.Fatalf("no count of datagrams in:\n%s", text)
	return 0
}

// assertSays wants a text to hold each phrase.
func assertSays(t *testing.T, what, text string, phrases ...string) {
	t.Helper()
	for _, p := range phrases {
		if !strings.Contains(text, p) {
			t.Errorf("%s doesn't say %q: %s", what, p, text)
		}
	}
}

// assertCarrier wants a connected line to name the carrier.
func assertCarrier(t *testing.T, line stack.Line, want string) {
	t.Helper()
	if got := line.String("carrier"); got != want {
		t.Errorf("the carrier is %q, want %q: %v", got, want, line)
	}
}

// soon is a deadline for what takes no time of its own.
func soon() time.Time { return time.Now().Add(10 * time.Second) }
