package gateway_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

var gatewayPool = store.Pool{ID: "id", Name: "name"}

// runOnce runs g for no longer than it takes to stop.
func runOnce(t *testing.T, g *gateway.Gateway) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// ask GETs a path of one of the fixture's listeners.
func (f *fixture) ask(t *testing.T, listener, path string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+f.Addr(listener)+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, body := send(t, r)
	return resp.StatusCode, body
}

func TestHealthAndMetrics(t *testing.T) {
	f := start(t)
	f.join(t, options{parallelism: 3}, answer("served"))
	if resp, body := f.get(t, "/x"); resp.StatusCode != 200 {
		t.Fatal(resp.StatusCode, body)
	}
	f.log.await(t, "request", "outcome", "served")
	for _, path := range []string{"/livez", "/readyz"} {
		if status, body := f.ask(t, "metrics", path); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	_, body := f.ask(t, "metrics", "/metrics")
	for _, line := range []string{
		`vcs_gateway_agents{carrier="tcp",pool="gitlab"} 1`,
		`vcs_gateway_requests_total{code="200",outcome="served",pool="gitlab"} 1`,
		`vcs_gateway_request_duration_seconds_count{pool="gitlab"} 1`,
		`vcs_gateway_queue_length{pool="gitlab"} 0`,
		`vcs_gateway_bytes_total{direction="out"} 6`,
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("no %s in the metrics", line)
		}
	}
	// None of them is on the other listeners.
	for _, listener := range []string{"http", "admin"} {
		for _, path := range []string{"/metrics", "/livez", "/readyz"} {
			if status, _ := f.ask(t, listener, path); status == 200 {
				t.Errorf("%s is on the listener of %s", path, listener)
			}
		}
	}
}

// What a caller sends can't make new series.
func TestMetricsAreBounded(t *testing.T) {
	f := start(t)
	for _, path := range []string{"/", "/a", "/private/none/x", "/private/gitlab/x", "/private/x/y"} {
		f.ask(t, "http", path)
	}
	await(t, "five lines", func() bool { return len(f.log.lines("request")) == 5 })
	_, body := f.ask(t, "metrics", "/metrics")
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "vcs_gateway_requests_total") && !strings.Contains(line, `pool=""`) {
			t.Errorf("a series of a caller's making: %s", line)
		}
	}
}

func TestAdminAddressIsWrittenDown(t *testing.T) {
	for _, tt := range []struct{ listen, host string }{{"127.0.0.1:0", "127.0.0.1"}, {":0", "127.0.0.1"}, {"[::1]:0", "[::1]"}} {
		t.Run(tt.listen, func(t *testing.T) {
			f := start(t, func(c *gateway.Config) { c.AdminListen = tt.listen })
			f.log.await(t, "serving", "version", "test")
			b, err := os.ReadFile(filepath.Join(f.dir, gateway.AdminAddressFile))
			if err != nil {
				t.Fatal(err)
			}
			_, port, _ := net.SplitHostPort(f.Addr("admin"))
			if want := "http://" + tt.host + ":" + port + "\n"; string(b) != want {
				t.Errorf("%q, want %q", b, want)
			}
			resp, err := client.Get(strings.TrimSpace(string(b)) + "/api/v1/version")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			// Who has the port next is given no key by our commands.
			f.stop()
			warned := len(f.log.lines("other machines can reach the admin listener without TLS: set --admin-tls-cert and --admin-tls-key, unless only a proxy with a certificate can"))
			if others := tt.listen == ":0"; (warned == 1) != others {
				t.Errorf("%d warnings of others' keys in clear", warned)
			}
			if _, err := os.Stat(filepath.Join(f.dir, gateway.AdminAddressFile)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("after the gateway's end its address is still written down: %v", err)
			}
		})
	}
}

func TestPanicsOnTheAdminListenerAreLogged(t *testing.T) {
	f := start(t)
	h := f.LogPanics(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a fault") }))
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("the answer is cut with %v", p)
			}
		}()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/pools/vcsgw_0123456789abcdefghij", nil))
	}()
	line := f.log.await(t, "panic while serving the admin listener", "panic", "a fault")
	if line["level"] != "ERROR" && line["level"] != "error" || line["path"] != "/pools/(a secret)" {
		t.Errorf("logged as %v", line)
	}
}

func TestAgentsThatAreRefused(t *testing.T) {
	f := start(t)
	right := f.TokenFor(f.pool, poolKey)
	other := f.addPool(t, "other", "the-others-key")
	for _, tt := range []struct{ name, poolID, key string }{
		{"wrong key", right.PoolID, "x"},
		{"no key", right.PoolID, ""},
		{"another pool's key", right.PoolID, "the-others-key"},
		{"the key for another pool", other.ID, poolKey},
		{"a caller's key", right.PoolID, callerKey},
		{"unknown pool", "01ARZ3NDEKTSV4RRFFQ69G5FAV", poolKey},
		{"the pool's name", poolName, poolKey},
		{"the id in lower case", strings.ToLower(right.PoolID), poolKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothCarriers(t, func(t *testing.T, mode transport.Mode) {
				token := right
				token.PoolID, token.Key = tt.poolID, transport.Secret(tt.key)
				_, err := f.tryJoin(t, token, options{mode: mode}, answer(""))
				var refusal *transport.Refusal
				if !errors.As(err, &refusal) || refusal.Code != transport.RefusedUnauthorized || strings.Contains(refusal.Sentence, right.PoolID) {
					t.Errorf("%v", err)
				}
			})
		})
	}
	if n := len(f.AgentsOf(f.pool.ID)); n != 0 {
		t.Errorf("%d agents are in the pool", n)
	}
	await(t, "a line for each", func() bool { return len(f.log.lines("refused a connection to the agents' listener")) == 16 })
	for _, secret := range []string{poolKey, "the-others-key", callerKey} {
		if strings.Contains(f.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	_, body := f.ask(t, "metrics", "/metrics")
	for _, carrier := range []string{"quic", "tcp"} {
		if !strings.Contains(body, `vcs_gateway_refused_connections_total{carrier="`+carrier+`"} 8`) {
			t.Errorf("the refusals on %s aren't counted", carrier)
		}
	}
}

// What the API shows of an agent, from its first moment to its last.
func TestAgentsAreListed(t *testing.T) {
	f := start(t)
	g := newGate()
	a := f.join(t, options{mode: transport.ModeQUIC, parallelism: 2, instance: "i-1"}, g.ServeHTTP)
	b := f.join(t, options{instance: "i-2"}, g.ServeHTTP)
	done := make(chan int, 1)
	go func() { resp, _ := f.get(t, "/x"); done <- resp.StatusCode }()
	receive(t, g.arrived)
	got := f.AgentsOf(f.pool.ID)
	if len(got) != 2 || got[0].InFlight+got[1].InFlight != 1 {
		t.Fatalf("%+v", got)
	}
	if a := got[0]; a.Instance != "i-1" || a.Carrier != transport.QUIC || a.Parallelism != 2 || a.Pool != poolName || a.Vendor != "gitlab" || a.Version != "agent-test" || a.Tags["region"] != "eu" || a.Since.IsZero() || a.RemoteAddress == "" {
		t.Errorf("%+v", a)
	}
	close(g.open)
	if status := receive(t, done); status != 200 {
		t.Errorf("status %d", status)
	}
	a.kill()
	b.kill()
	f.awaitAgents(t, f.pool.ID, func(ids []string) bool { return len(ids) == 0 })
	f.log.await(t, "agent disconnected", "instance", "i-1")
	if f.AgentsOf("no pool") != nil {
		t.Error("a pool that isn't there has agents")
	}
	_, body := f.ask(t, "metrics", "/metrics")
	for _, carrier := range []string{"quic", "tcp"} {
		if !strings.Contains(body, `vcs_gateway_agents{carrier="`+carrier+`",pool="gitlab"} 0`) {
			t.Errorf("agents on %s are left over", carrier)
		}
	}
}

// When the gateway shuts down it isn't ready, takes nothing new, lets what it
// has end, tells its agents, and leaves nothing behind.
func TestShutdownLetsRequestsEnd(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		f := start(t)
		g := newGate()
		a := f.join(t, options{mode: mode}, g.ServeHTTP)
		served, queued := make(chan string, 1), make(chan string, 1)
		go func() { _, body := f.get(t, "/first"); served <- body }()
		receive(t, g.arrived)
		go func() { _, body := f.get(t, "/queued"); queued <- body }()
		f.awaitQueue(t, 1)
		stopped := make(chan error, 1)
		go func() { stopped <- f.stop() }()
		f.log.await(t, "shutting down: no new requests", "grace_period", patience.Seconds())
		if status, body := f.ask(t, "metrics", "/readyz"); status != 503 || !strings.Contains(body, "shutting down") {
			t.Errorf("/readyz: %d %s", status, body)
		}
		if status, _ := f.ask(t, "metrics", "/livez"); status != 200 {
			t.Errorf("/livez: %d", status)
		}
		_, err := f.tryJoin(t, f.TokenFor(f.pool, poolKey), options{mode: mode}, answer(""))
		var refusal *transport.Refusal
		if !errors.As(err, &refusal) || refusal.Code != transport.RefusedDraining {
			t.Errorf("a new agent gets %v", err)
		}
		await(t, "the callers' listener to close", func() bool {
			conn, err := net.Dial("tcp", f.Addr("http"))
			if err == nil {
				conn.Close()
			}
			return err != nil
		})
		close(g.open)
		if got := receive(t, served); got != "through" {
			t.Errorf("the request in flight got %q", got)
		}
		if got := receive(t, queued); got != "through" {
			t.Errorf("the request that waited got %q", got)
		}
		if err := receive(t, stopped); err != nil {
			t.Error(err)
		}
		if err := receive(t, a.served); err == nil {
			t.Error("the agent's session ended as if it had asked for it")
		}
		if n := len(f.log.lines("request")); n != 2 {
			t.Errorf("%d requests are in the log", n)
		}
	})
}

// awaitQueue waits until so many requests wait for a stream.
func (f *fixture) awaitQueue(t *testing.T, n int) {
	t.Helper()
	line := "\nvcs_gateway_queue_length{pool=\"gitlab\"} " + string(rune('0'+n)) + "\n"
	await(t, "the queue", func() bool {
		_, body := f.ask(t, "metrics", "/metrics")
		return strings.Contains(body, line)
	})
}

// slowToEnd is a session whose requests take a while to end once they are cut.
type slowToEnd struct{ arrived chan struct{} }

func (s slowToEnd) RoundTrip(r *http.Request) (*http.Response, error) {
	s.arrived <- struct{}{}
	<-r.Context().Done()
	time.Sleep(100 * time.Millisecond)
	return nil, r.Context().Err()
}

// Run returns after every handler has, and after its line is in the log.
func TestRunWaitsForWhatItCut(t *testing.T) {
	f := create(t, func(c *gateway.Config) { c.ShutdownGracePeriod = 0 })
	slow := slowToEnd{make(chan struct{}, 1)}
	f.SetTransport(slow)
	f.run(t)
	f.join(t, options{}, answer("not asked"))
	f.raw(t, "GET /private/gitlab/a HTTP/1.1\r\nHost: gw\r\nVCS-Gateway-Key: "+callerKey+"\r\n\r\n")
	receive(t, slow.arrived)
	if err := f.stop(); err != nil {
		t.Error(err)
	}
	if n := len(f.log.lines("request")); n != 1 {
		t.Errorf("%d requests are in the log when Run has returned", n)
	}
}

// What doesn't end in time is cut.
func TestShutdownCutsWhatDoesNotEnd(t *testing.T) {
	for _, grace := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(grace.String(), func(t *testing.T) {
			f := start(t, func(c *gateway.Config) { c.ShutdownGracePeriod = grace })
			g := newGate()
			f.join(t, options{parallelism: 2}, g.ServeHTTP)
			get := f.raw(t, "GET /private/gitlab/a HTTP/1.1\r\nHost: gw\r\nVCS-Gateway-Key: "+callerKey+"\r\n\r\n")
			receive(t, g.arrived)
			stalled := f.raw(t, post("/b", "Content-Length: 100\r\n"))
			receive(t, g.arrived)
			if err := f.stop(); err != nil {
				t.Error(err)
			}
			if n := len(f.log.lines("request")); n != 2 {
				t.Errorf("%d requests are in the log when Run has returned", n)
			}
			for _, conn := range []net.Conn{get, stalled} {
				if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil && resp.StatusCode == 200 {
					t.Errorf("it was answered: %v", resp)
				}
			}
			f.log.await(t, "the grace period is over: cutting what is in flight", "listener", "http")
		})
	}
}

// Idle connections of callers and silent ones of agents don't hold a shutdown up.
func TestShutdownWithIdleConnections(t *testing.T) {
	f := start(t)
	f.join(t, options{}, answer("served"))
	conn := f.raw(t, "GET /private/gitlab/a HTTP/1.1\r\nHost: gw\r\nVCS-Gateway-Key: "+callerKey+"\r\n\r\n")
	if _, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("tcp", f.Addr("agents"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	began := time.Now()
	if err := f.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
	if _, err := io.ReadAll(silent); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
}
