package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vcsagent/gateway"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// standstill is how long a body, or a caller, may stand still in these tests.
const standstill = 5 * time.Second

func TestMain(m *testing.M) {
	gateway.SetStandstill(standstill)
	goleak.VerifyTestMain(m)
}

// patience bounds every wait for something that must come.
const patience = 30 * time.Second

const (
	poolName  = "gitlab"
	poolKey   = "the-agents-key"
	callerKey = "the-callers-key"
)

// fixture is a running gateway with a pool and a caller's key for it.
type fixture struct {
	*gateway.Gateway
	log  *logLines
	dir  string
	pool store.Pool
	stop func() error // shuts the gateway down and returns what Run did; once or more
}

// testConfig listens on free ports of the loopback.
func testConfig(t testing.TB) gateway.Config {
	return gateway.Config{
		DataDir: t.TempDir(), AgentListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", MetricsListen: "127.0.0.1:0",
		QueueLength: 100, QueueTimeout: 10 * time.Second, ShutdownGracePeriod: patience, Version: "test",
		Logger: slog.New(slog.DiscardHandler),
	}
}

// start runs a gateway until the test's end.
func start(t *testing.T, change ...func(*gateway.Config)) *fixture {
	t.Helper()
	f := create(t, change...)
	f.run(t)
	return f
}

// create makes a gateway that must be run.
func create(t *testing.T, change ...func(*gateway.Config)) *fixture {
	t.Helper()
	cfg := testConfig(t)
	f := &fixture{log: newLogLines(), dir: cfg.DataDir}
	cfg.Logger = slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if f.Gateway, err = gateway.New(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	f.pool = f.addPool(t, poolName, poolKey)
	f.addKey(t, "backend", callerKey, poolName)
	return f
}

// run runs the gateway until the test's end.
func (f *fixture) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- f.Run(ctx) }()
	f.stop = sync.OnceValue(func() error {
		cancel()
		return receive(t, ran)
	})
	t.Cleanup(func() {
		if err := f.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func (f *fixture) addPool(t *testing.T, name, key string) store.Pool {
	t.Helper()
	p, err := f.Store().CreatePool(t.Context(), store.Actor{}, store.NewPool{Name: name, TokenKey: store.HashOf(key)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (f *fixture) addKey(t *testing.T, name, key string, pools ...string) {
	t.Helper()
	if _, err := f.Store().CreateKey(t.Context(), store.Actor{}, store.NewKey{Name: name, Pools: pools, Hash: store.HashOf(key)}); err != nil {
		t.Fatal(err)
	}
}

// url is a path on the pool's VCS, in the path form.
func (f *fixture) url(path string) string {
	return "http://" + f.Addr("http") + "/private/" + poolName + path
}

// request is one in the path form, with the key.
func (f *fixture) request(t testing.TB, method, path string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, f.url(path), body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(gateway.KeyHeader, callerKey)
	return r
}

// get sends a GET in the path form and reads the answer whole.
func (f *fixture) get(t testing.TB, path string) (*http.Response, string) {
	t.Helper()
	return send(t, f.request(t, "GET", path, nil))
}

// client follows nothing and keeps nothing.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// send reads the answer whole; its trailers are in the response afterwards.
func send(t testing.TB, r *http.Request) (*http.Response, string) {
	t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	return resp, string(b)
}

// raw sends bytes to the callers' listener and returns the connection.
func (f *fixture) raw(t *testing.T, request string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", f.Addr("http"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// problem is an answer that the gateway or an agent made itself.
type problem struct {
	Status           int
	Code, Detail, ID string
}

func problemIn(t testing.TB, resp *http.Response, body string) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("status %d with no problem: %v: %q", resp.StatusCode, err, body)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type is %q", ct)
	}
	if p.Status != resp.StatusCode || p.Code != resp.Header.Get(transport.ErrorHeader) || p.Detail == "" || p.ID == "" {
		t.Errorf("status %d, %v, and in the body %+v", resp.StatusCode, resp.Header, p)
	}
	return p
}

// agent is the agent's end of a session whose handler is the test's.
type agent struct {
	link    *transport.Link
	drain   chan struct{} // close it to ask for nothing new
	drained chan struct{} // closed when the gateway asks the agent to dial anew
	served  chan error    // what Serve returned
	kill    func()        // cuts the session and waits for its end on this side
}

// options of join. The zero value is one stream on TCP.
type options struct {
	mode        transport.Mode
	parallelism int
	instance    string
	features    []string
}

// join connects an agent to the fixture's pool and waits until it may be called.
func (f *fixture) join(t testing.TB, o options, h http.HandlerFunc) *agent {
	t.Helper()
	a, err := f.tryJoin(t, f.TokenFor(f.pool, poolKey), o, h)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// tryJoin is join with any token; the error is a refusal, or why there's no connection.
func (f *fixture) tryJoin(t testing.TB, token transport.Token, o options, h http.HandlerFunc) (*agent, error) {
	t.Helper()
	if o.mode == "" {
		o.mode = transport.ModeTCP
	}
	o.parallelism = max(o.parallelism, 1)
	cfg, err := transport.ClientTLS(token, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := transport.Dialer{Mode: o.mode, TLS: cfg, Parallelism: o.parallelism, Logger: slog.New(slog.DiscardHandler)}
	link, err := d.Dial(t.Context(), token.Host)
	if err != nil {
		return nil, err
	}
	a := &agent{link: link, drain: make(chan struct{}), drained: make(chan struct{}), served: make(chan error, 1)}
	welcome := make(chan transport.Welcome, 1)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		a.served <- link.Serve(ctx, transport.Server{
			Hello: transport.Hello{
				PoolID: token.PoolID, Key: token.Key, Instance: o.instance, Software: "agent-test", Vendor: "gitlab", Parallelism: o.parallelism,
				Tags: map[string]string{"region": "eu"}, Features: o.features,
			},
			Handler: h, Drain: a.drain,
			OnWelcome: func(w transport.Welcome) { welcome <- w },
			OnDrain:   sync.OnceFunc(func() { close(a.drained) }),
		})
	}()
	a.kill = func() { cancel(); receive(t, ended) }
	t.Cleanup(a.kill)
	select {
	case w := <-welcome:
		f.awaitAgents(t, token.PoolID, func(ids []string) bool { return contains(ids, w.SessionID) })
		return a, nil
	case err := <-a.served:
		return nil, err
	case <-time.After(patience):
		t.Fatal("the gateway said nothing")
		return nil, nil
	}
}

// awaitAgents waits until the ids of a pool's sessions are as ok wants them.
func (f *fixture) awaitAgents(t testing.TB, poolID string, ok func(ids []string) bool) {
	t.Helper()
	await(t, "the pool's sessions", func() bool {
		var ids []string
		for _, a := range f.AgentsOf(poolID) {
			ids = append(ids, a.SessionID)
		}
		return ok(ids)
	})
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

// await polls for a condition that nothing announces.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not so within %s", what, patience)
		}
	}
}

// receive waits for a value, but not for ever.
func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(patience):
		t.Error("nothing came in time")
		panic("timeout")
	}
}

// logLines keeps a JSON log.
type logLines struct {
	mu    sync.Mutex
	all   []map[string]any
	text  bytes.Buffer
	added chan struct{} // closed with the next line
}

func newLogLines() *logLines { return &logLines{added: make(chan struct{})} }

// Write takes one line, as slog's handlers write them.
func (l *logLines) Write(b []byte) (int, error) {
	var line map[string]any
	if err := json.Unmarshal(b, &line); err != nil {
		return 0, fmt.Errorf("not one line of JSON: %w: %q", err, b)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(b)
	l.all = append(l.all, line)
	close(l.added)
	l.added = make(chan struct{})
	return len(b), nil
}

// lines returns those so far whose msg is as given.
func (l *logLines) lines(msg string) []map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []map[string]any
	for _, line := range l.all {
		if line["msg"] == msg {
			out = append(out, line)
		}
	}
	return out
}

// String is the whole log.
func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits for a line with the msg whose field holds the value.
func (l *logLines) await(t testing.TB, msg, field string, value any) map[string]any {
	t.Helper()
	deadline := time.After(patience)
	for {
		l.mu.Lock()
		added := l.added
		for _, line := range l.all {
			if line["msg"] == msg && line[field] == value {
				l.mu.Unlock()
				return line
			}
		}
		l.mu.Unlock()
		select {
		case <-added:
		case <-deadline:
			t.Fatalf("no line %q with %s=%v in:\n%s", msg, field, value, l)
		}
	}
}

// answer is a handler that says what it's given.
func answer(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, text) }
}

// bothCarriers runs the same test over QUIC and TCP.
func bothCarriers(t *testing.T, f func(t *testing.T, mode transport.Mode)) {
	for _, mode := range []transport.Mode{transport.ModeQUIC, transport.ModeTCP} {
		t.Run(string(mode), func(t *testing.T) { f(t, mode) })
	}
}

// gate lets handlers through one at a time, as a test says.
type gate struct {
	arrived chan string   // the target of each request that is waiting
	open    chan struct{} // one value lets one through; closed lets all
}

func newGate() *gate { return &gate{arrived: make(chan string, 1024), open: make(chan struct{})} }

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.arrived <- r.RequestURI
	select {
	case <-g.open:
		io.WriteString(w, "through")
	case <-r.Context().Done():
	}
}

// words joins with commas, for comparing lists in one go.
func words(list []string) string { return strings.Join(list, ",") }
