package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"vcsagent/test/servers"
	"vcsagent/test/stack"
)

func TestMain(m *testing.M) { servers.Main(m) }

const (
	// patience bounds every wait for something that is sure to come: seconds
	// on a busy machine.
	patience = 30 * time.Second
	// glance is the pause between two looks at another process.
	glance = 10 * time.Millisecond
)

// long says whether to run with the larger numbers.
var long = os.Getenv("VCSAGENT_LONG") != ""

// onBothCarriers runs test once over QUIC and once over TCP.
func onBothCarriers(t *testing.T, test func(t *testing.T, carrier string)) {
	t.Helper()
	for _, carrier := range []string{"quic", "tcp"} {
		t.Run(carrier, func(t *testing.T) { test(t, carrier) })
	}
}

// eventually looks until ok says yes, and fails the test if that takes longer
// than patience.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	late := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// receive waits for a value, or for the channel's end.
func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("%s: not within %s", what, patience)
		panic("unreachable")
	}
}

// recorder is a VCS that remembers the requests that reached it.
type recorder struct {
	next http.Handler

	mu   sync.Mutex
	seen []*http.Request
}

// record puts a recorder before h; a nil h answers 200 with an empty object.
func record(h http.HandlerFunc) *recorder {
	if h == nil {
		h = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }
	}
	return &recorder{next: h}
}

// ServeHTTP implements http.Handler.
func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rec.mu.Lock()
	rec.seen = append(rec.seen, r.Clone(context.Background()))
	rec.mu.Unlock()
	rec.next.ServeHTTP(w, r)
}

// take returns what came since the last take.
func (rec *recorder) take() []*http.Request {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	seen := rec.seen
	rec.seen = nil
	return seen
}

// problem is an answer of the agent's or the gateway's own.
type problem struct {
	Title, Detail, Code, Reason, ID string
	Status                          int
	Nearest                         string `json:"nearest_rule"`
}

// problemIn reads an answer that must be a problem.
func problemIn(t *testing.T, resp *http.Response) problem {
	t.Helper()
	var p problem
	body := readAll(t, resp)
	if err := json.Unmarshal([]byte(body), &p); err != nil || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d with %q is no problem+json: %v: %q", resp.StatusCode, resp.Header.Get("Content-Type"), err, body)
	}
	if p.Status != resp.StatusCode || p.Code != resp.Header.Get("VCS-Agent-Error") || p.Detail == "" || p.ID == "" {
		t.Errorf("status %d, VCS-Agent-Error %q, but the problem is %+v", resp.StatusCode, resp.Header.Get("VCS-Agent-Error"), p)
	}
	return p
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("read the answer: %v", err)
	}
	return string(body)
}

// raw sends bytes as they are over a connection of their own and reads one answer.
func raw(t *testing.T, addr, request string) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	go io.WriteString(c, request) // an early answer may come before all is sent
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer to %.200q: %v", request, err)
	}
	return resp
}

// curl runs curl and returns the answer that it shows; it must have got one.
func curl(t *testing.T, args ...string) *http.Response {
	t.Helper()
	out := runCurl(t, append([]string{"-i"}, args...)...)
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(out)), nil)
	if err != nil {
		t.Fatalf("curl %q shows no answer: %q", args, out)
	}
	return resp
}

// runCurl runs curl and returns what it printed. Its exit code doesn't matter: a
// refused CONNECT is an error to curl.
func runCurl(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "curl", append([]string{"-q", "-sS", "--http1.1", "--path-as-is", "--max-time", "30"}, args...)...)
	cmd.Env = cleanEnv(t)
	out, err := cmd.Output()
	if ee := (*exec.ExitError)(nil); err != nil && !errors.As(err, &ee) {
		t.Fatal(err)
	} else if err != nil && len(out) == 0 {
		t.Fatalf("curl %q: %v, %s", args, err, ee.Stderr)
	}
	return string(out)
}

// cleanEnv is an environment for curl and git in which nothing of the machine's
// is a setting.
func cleanEnv(t *testing.T) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0"}
}

// health asks a probe of an agent or a gateway; 0 says that nobody listens.
func health(t *testing.T, metrics, path string) (int, string) {
	t.Helper()
	resp, err := direct.Get("http://" + metrics + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	return resp.StatusCode, strings.TrimSpace(readAll(t, resp))
}

// direct calls without a proxy and keeps no connection over tests.
var direct = &http.Client{
	Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       patience,
}

// answer is what became of a request that was sent in the background.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // no answer, or one that broke off
}

// send sends a request in the background.
func send(req *http.Request) <-chan answer {
	out := make(chan answer, 1)
	go func() {
		resp, err := direct.Do(req)
		if err != nil {
			out <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		out <- answer{resp.StatusCode, resp.Header, string(body), err}
	}()
	return out
}

// linesWith returns the lines of a log that have this message.
func linesWith(p *stack.Process, msg string) []stack.Line {
	var out []stack.Line
	for _, l := range p.Lines() {
		if l.String("msg") == msg {
			out = append(out, l)
		}
	}
	return out
}

// lineOf waits for the line about the request with this id.
func lineOf(t *testing.T, p *stack.Process, id string) stack.Line {
	t.Helper()
	return p.AwaitLine(t, fmt.Sprintf("id %q and a status", id), func(l stack.Line) bool {
		return l.String("id") == id && l["status_code"] != nil
	})
}
