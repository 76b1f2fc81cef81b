package gateway_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway"
	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// byAdmin is who changes things in these tests.
var byAdmin = store.Actor{KeyName: "admin", Remote: "192.0.2.1:1"}

// soon is how long a change may take to count for what is live.
const soon = time.Second

// rotate gives the pool another token.
func (f *fixture) rotate(t *testing.T, expires time.Time) (store.TokenKey, transport.Token) {
	t.Helper()
	key, token, err := f.Control().RotateToken(t.Context(), byAdmin, poolName, expires)
	if err != nil {
		t.Fatal(err)
	}
	return key, token
}

// firstTokenKey is the one that start makes.
func (f *fixture) firstTokenKey(t *testing.T) store.TokenKey {
	t.Helper()
	keys, err := f.Store().TokenKeys(t.Context(), f.pool.ID)
	if err != nil || len(keys) == 0 {
		t.Fatal(keys, err)
	}
	return keys[0]
}

// update changes the pool.
func (f *fixture) update(t *testing.T, change store.PoolChange) {
	t.Helper()
	if _, err := f.Control().UpdatePool(t.Context(), byAdmin, poolName, change); err != nil {
		t.Fatal(err)
	}
}

// inFlight starts a GET and waits until the agent has it.
func (f *fixture) inFlight(t *testing.T, g *gate, id string) *bufio.Reader {
	t.Helper()
	conn := f.raw(t, "GET /private/gitlab/held HTTP/1.1\r\nHost: gw\r\nX-Request-Id: "+id+"\r\nVCS-Gateway-Key: "+callerKey+"\r\n\r\n")
	receive(t, g.arrived)
	return bufio.NewReader(conn)
}

// lost reads the answer of a request whose agent went away.
func lost(t *testing.T, in *bufio.Reader) {
	t.Helper()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if p := problemIn(t, resp, string(body)); p.Status != 502 || p.Code != "agent_lost" {
		t.Errorf("%+v", p)
	}
}

// counted tells whether a line is in the metrics.
func (f *fixture) counted(t *testing.T, line string) bool {
	t.Helper()
	_, body := f.ask(t, "metrics", "/metrics")
	return strings.Contains(body, "\n"+line+"\n")
}

// A token's key that is revoked ends the sessions that joined with it, with what
// is in flight on them, and no others; its agents are told to get a new one.
func TestRevokedTokenEndsItsSessions(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		f := start(t)
		g := newGate()
		old := f.join(t, options{mode: mode, instance: "old"}, g.ServeHTTP)
		held := f.inFlight(t, g, "held")
		first := f.firstTokenKey(t)
		second, token := f.rotate(t, time.Time{})
		if _, err := f.tryJoin(t, token, options{mode: mode, instance: "new"}, answer("served by the new one")); err != nil {
			t.Fatal(err)
		}
		for _, c := range f.AgentsOf(f.pool.ID) {
			if want := map[string]string{"old": first.ID, "new": second.ID}[c.Instance]; c.TokenKeyID != want {
				t.Errorf("%s joined with the key %q, want %q", c.Instance, c.TokenKeyID, want)
			}
		}

		began := time.Now()
		if err := f.Control().RevokeToken(t.Context(), byAdmin, poolName, first.ID); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, old.served); err == nil {
			t.Error("the session ended as if all were well")
		}
		lost(t, held)
		if took := time.Since(began); took > soon {
			t.Errorf("it took %s", took)
		}
		f.log.await(t, "ending an agent's session: its token's key was revoked", "instance", "old")
		if resp, body := f.get(t, "/x"); resp.StatusCode != 200 || body != "served by the new one" {
			t.Errorf("status %d: %s", resp.StatusCode, body)
		}
		_, err := f.tryJoin(t, f.TokenFor(f.pool, poolKey), options{mode: mode}, answer(""))
		if !isRefused(err, transport.RefusedUnauthorized) || !strings.Contains(err.Error(), "get a new token from the gateway's operator") {
			t.Errorf("the old token: %v", err)
		}
		await(t, "the refusal's count", func() bool { return f.counted(t, `vcs_gateway_refused_sessions_total{reason="unauthorized"} 1`) })
		if list := f.AgentsOf(f.pool.ID); len(list) != 1 || list[0].Instance != "new" {
			t.Errorf("connected are %+v", list)
		}
	})
}

// What another gateway with the same database changed counts as soon.
func TestChangesMadeElsewhere(t *testing.T) {
	f := start(t)
	a := f.join(t, options{}, answer(""))
	if err := f.Store().RevokeTokenKey(t.Context(), byAdmin, f.pool.ID, f.firstTokenKey(t).ID); err != nil {
		t.Fatal(err)
	}
	if err := receive(t, a.served); err == nil {
		t.Error("the session ended as if all were well")
	}
	f.log.await(t, "ending an agent's session: its token's key was revoked", "pool", poolName)
}

// A pool that is deleted leaves nothing: no session, no live side, no series.
func TestDeletedPool(t *testing.T) {
	t.Parallel()
	f := start(t)
	g := newGate()
	a := f.join(t, options{instance: "a"}, g.ServeHTTP)
	held := f.inFlight(t, g, "held")
	other := f.addPool(t, "other", "the-others-key")
	if _, err := f.tryJoin(t, f.TokenFor(other, "the-others-key"), options{}, answer("")); err != nil {
		t.Fatal(err)
	}
	if n := f.LivePools(); n != 2 {
		t.Fatalf("%d pools have a live side", n)
	}
	if err := f.Control().DeletePool(t.Context(), byAdmin, poolName); err != nil {
		t.Fatal(err)
	}
	lost(t, held)
	if err := receive(t, a.served); err == nil {
		t.Error("the session ended as if all were well")
	}
	f.log.await(t, "ending an agent's session: its pool was deleted", "instance", "a")
	resp, body := f.get(t, "/x")
	if p := problemIn(t, resp, body); p.Code != "forbidden" {
		t.Errorf("a request for it: %+v", p)
	}
	await(t, "the live sides", func() bool { return f.LivePools() == 1 })
	await(t, "the series", func() bool {
		_, body := f.ask(t, "metrics", "/metrics")
		return !strings.Contains(body, `pool="gitlab"`)
	})
	if !f.counted(t, `vcs_gateway_agents{carrier="tcp",pool="other"} 1`) {
		t.Error("the other pool's series went too")
	}
}

// Sessions from elsewhere end when a pool takes agents from some networks only,
// and don't get in any more.
func TestNetworks(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		f := start(t)
		a := f.join(t, options{mode: mode}, answer("served"))
		here, elsewhere := netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")
		f.update(t, store.PoolChange{Networks: &[]netip.Prefix{elsewhere, here}})
		if resp, body := f.get(t, "/x"); resp.StatusCode != 200 {
			t.Errorf("status %d: %s", resp.StatusCode, body)
		}
		f.update(t, store.PoolChange{Networks: &[]netip.Prefix{elsewhere}})
		if err := receive(t, a.served); err == nil {
			t.Error("the session ended as if all were well")
		}
		f.log.await(t, "ending an agent's session: it comes from none of the pool's networks", "pool", poolName)

		_, err := f.tryJoin(t, f.TokenFor(f.pool, poolKey), options{mode: mode}, answer(""))
		if !isRefused(err, transport.RefusedNetwork) || !strings.HasSuffix(err.Error(), "this pool takes agents from other networks only: ask the gateway's operator") {
			t.Errorf("from elsewhere: %v", err)
		}
		line := f.log.await(t, "refused an agent: it comes from none of the pool's networks", "pool", poolName)
		if remote, _ := line["remote"].(string); !strings.HasPrefix(remote, "127.0.0.1:") {
			t.Errorf("logged %v", line)
		}
		await(t, "the refusal's count", func() bool { return f.counted(t, `vcs_gateway_refused_sessions_total{reason="network"} 1`) })
		f.update(t, store.PoolChange{Networks: &[]netip.Prefix{}})
		if _, err := f.tryJoin(t, f.TokenFor(f.pool, poolKey), options{mode: mode}, answer("")); err != nil {
			t.Error(err)
		}
	})
}

func TestComesFrom(t *testing.T) {
	for _, tt := range []struct {
		remote, networks string
		want             bool
	}{
		{"10.1.2.3:99", "", true},
		{"no address", "", true},
		{"10.1.2.3:99", "10.1.0.0/16", true},
		{"10.2.2.3:99", "10.1.0.0/16", false},
		{"10.2.2.3:99", "10.1.0.0/16 10.2.2.3/32", true},
		{"[::ffff:10.1.2.3]:99", "10.1.0.0/16", true},
		{"[::ffff:10.2.2.3]:99", "10.1.0.0/16", false},
		{"10.1.2.3:99", "::/0", false},
		{"[2001:db8::1]:99", "2001:db8::/32", true},
		{"[2001:db9::1]:99", "2001:db8::/32", false},
		{"[2001:db8::1]:99", "0.0.0.0/0", false},
		{"[fe80::1%eth0]:99", "fe80::/10", true},
		{"no address", "0.0.0.0/0 ::/0", false},
		{"", "0.0.0.0/0 ::/0", false},
		{"10.1.2.3", "10.1.0.0/16", false},
	} {
		var networks []netip.Prefix
		for _, n := range strings.Fields(tt.networks) {
			networks = append(networks, netip.MustParsePrefix(n))
		}
		if got := gateway.ComesFrom(tt.remote, networks...); got != tt.want {
			t.Errorf("%q in %q: %v", tt.remote, tt.networks, got)
		}
	}
}

// A session ends when its token's key does, at the day that the key had then or
// was given since.
func TestTokenThatExpires(t *testing.T) {
	for _, tt := range []struct {
		name   string
		expire func(t *testing.T, f *fixture) transport.Token
	}{
		{"as made", func(t *testing.T, f *fixture) transport.Token {
			_, token := f.rotate(t, time.Now().Add(1500*time.Millisecond))
			return token
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			stays := f.join(t, options{instance: "stays"}, answer("stays"))
			token := tt.expire(t, f)
			a, err := f.tryJoin(t, token, options{instance: "goes"}, answer("goes"))
			if err != nil {
				t.Fatal(err)
			}
			if err := receive(t, a.served); err == nil {
				t.Error("the session ended as if all were well")
			}
			f.log.await(t, "ending an agent's session: its token's key has expired", "instance", "goes")
			if _, err := f.tryJoin(t, token, options{}, answer("")); !isRefused(err, transport.RefusedUnauthorized) {
				t.Errorf("after its day: %v", err)
			}
			if resp, body := f.get(t, "/x"); resp.StatusCode != 200 || body != "stays" {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
			stays.kill()
		})
	}
	t.Run("since", func(t *testing.T) {
		t.Parallel()
		f := start(t)
		a := f.join(t, options{instance: "goes"}, answer("goes"))
		if err := f.Store().ExpireTokenKey(t.Context(), byAdmin, f.pool.ID, f.firstTokenKey(t).ID, time.Now().Add(1500*time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if err := receive(t, a.served); err == nil {
			t.Error("the session ended as if all were well")
		}
		f.log.await(t, "ending an agent's session: its token's key has expired", "instance", "goes")
	})
}

// A token's key that is revoked between an agent's hello and the moment from which
// it may be called, which the agent chooses, lets it in no more: none of the
// requests that wait gets to it.
func TestRevokedWhileJoining(t *testing.T) {
	f := start(t)
	g := newGate()
	f.join(t, options{}, g.ServeHTTP)
	key, token := f.rotate(t, time.Time{})
	slow := f.slowAgent(t, token)
	receive(t, slow.welcomed)
	done := f.fillQueue(t, g, 5)
	before := f.Changes()
	if err := f.Control().RevokeToken(t.Context(), byAdmin, poolName, key.ID); err != nil {
		t.Fatal(err)
	}
	// Not by the look for changes made elsewhere, which has been by then.
	await(t, "that look", func() bool { return f.Changes() == before+2 })
	close(slow.ready)
	receive(t, slow.ended)
	f.log.await(t, "ending an agent's session: its token's key was revoked", "instance", "slow")
	f.awaitAgents(t, f.pool.ID, func(ids []string) bool { return len(ids) == 1 })
	if n := len(slow.requests); n != 0 {
		t.Errorf("it got %d requests", n)
	}
	f.awaitQueue(t, 5)
	close(g.open)
	for range 6 {
		if code := receive(t, done); code != 200 {
			t.Errorf("status %d", code)
		}
	}
	if lines := f.log.lines("agent connected"); len(lines) != 1 {
		t.Errorf("%v", lines)
	}
}

// A change that has nothing to do with it delays a session, and no more.
func TestChangedWhileJoining(t *testing.T) {
	f := start(t)
	g := newGate()
	f.join(t, options{}, g.ServeHTTP)
	slow := f.slowAgent(t, f.TokenFor(f.pool, poolKey))
	receive(t, slow.welcomed)
	done := f.fillQueue(t, g, 1)
	limit := 7
	f.update(t, store.PoolChange{MaxParallelism: &limit})
	close(slow.ready)
	if path := receive(t, slow.requests); path != "/held" {
		t.Errorf("it got %s", path)
	}
	f.log.await(t, "agent connected", "instance", "slow")
	close(g.open)
	for range 2 {
		if code := receive(t, done); code != 200 {
			t.Errorf("status %d", code)
		}
	}
}

// While the store can't tell, nobody joins that something was changed against.
func TestStoreFailsWhileJoining(t *testing.T) {
	f := start(t)
	g := newGate()
	f.join(t, options{}, g.ServeHTTP)
	slow := f.slowAgent(t, f.TokenFor(f.pool, poolKey))
	receive(t, slow.welcomed)
	done := f.fillQueue(t, g, 1)
	limit := 7
	f.update(t, store.PoolChange{MaxParallelism: &limit})
	f.Store().Close()
	close(slow.ready)
	receive(t, slow.ended)
	f.log.await(t, "closed an agent's session: something was changed while it joined, and the store could not tell whether it may still", "instance", "slow")
	if n := len(slow.requests); n != 0 {
		t.Errorf("it got %d requests", n)
	}
	f.awaitQueue(t, 1)
	if !f.counted(t, `vcs_gateway_refused_sessions_total{reason="unavailable"} 1`) {
		t.Error("not counted")
	}
	close(g.open)
	for range 2 {
		receive(t, done)
	}
}

// A token's key that expires while its agent joins is too late.
func TestExpiredWhileJoining(t *testing.T) {
	f := start(t)
	expires := time.Now().Add(time.Second)
	_, token := f.rotate(t, expires)
	slow := f.slowAgent(t, token)
	receive(t, slow.welcomed)
	await(t, "the key's end", func() bool { return time.Now().After(expires) })
	close(slow.ready)
	receive(t, slow.ended)
	f.log.await(t, "closed an agent's session: its token's key has expired", "instance", "slow")
}

// fillQueue sends a request that the agent behind g holds, and n more that wait.
// The returned channel gets their statuses.
func (f *fixture) fillQueue(t *testing.T, g *gate, n int) <-chan int {
	t.Helper()
	done := make(chan int, n+1)
	get := func() {
		resp, _ := f.get(t, "/held")
		done <- resp.StatusCode
	}
	go get()
	receive(t, g.arrived)
	for range n {
		go get()
	}
	f.awaitQueue(t, n)
	return done
}

// slowAgent is an agent that says ready when a test wants it.
type slowAgent struct {
	welcomed chan struct{} // closed by it
	ready    chan struct{} // closed by the test
	requests chan string   // the paths of those it got, which it answers
	ended    chan struct{} // closed at the session's end
}

func (f *fixture) slowAgent(t *testing.T, token transport.Token) *slowAgent {
	t.Helper()
	a := &slowAgent{welcomed: make(chan struct{}), ready: make(chan struct{}), requests: make(chan string, 100), ended: make(chan struct{})}
	cfg, err := transport.ClientTLS(token, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.NextProtos = []string{"rh2"}
	conn, err := tls.Dial("tcp", token.Host, cfg)
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Protocols: protocols,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != transport.SessionPath {
				a.requests <- r.URL.Path
				return
			}
			defer close(a.ended)
			rc := http.NewResponseController(w)
			fmt.Fprintf(w, `{"type":"hello","version":1,"pool_ulid":%q,"key":%q,"instance":"slow","parallelism":1}`+"\n", token.PoolID, token.Key.Reveal())
			rc.Flush()
			in := bufio.NewReader(r.Body)
			if _, err := in.ReadString('\n'); err != nil { // welcome
				t.Error(err)
			}
			close(a.welcomed)
			select {
			case <-a.ready:
			case <-r.Context().Done():
				return
			}
			io.WriteString(w, `{"type":"ready"}`+"\n")
			rc.Flush()
			io.Copy(io.Discard, in)
		}),
	}
	served := make(chan struct{})
	l := &oneConn{conn: struct{ net.Conn }{conn}, closed: make(chan struct{})}
	go func() { defer close(served); srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); conn.Close(); receive(t, served) })
	return a
}

// The pool's cap counts for sessions that are there and those that come, from the
// next request on; raising it serves who waits.
func TestParallelismIsCapped(t *testing.T) {
	f := start(t)
	limit := func(n int) { f.update(t, store.PoolChange{MaxParallelism: &n}) }
	streams := func(want int) {
		t.Helper()
		if list := f.AgentsOf(f.pool.ID); len(list) != 1 || list[0].Parallelism != want {
			t.Errorf("connected: %+v, want one with %d streams", list, want)
		}
	}
	limit(2)
	g := newGate()
	f.join(t, options{parallelism: 4}, g.ServeHTTP)
	streams(2)
	done := make(chan int, 4)
	for range 4 {
		go func() {
			resp, _ := f.get(t, "/held")
			done <- resp.StatusCode
		}()
	}
	receive(t, g.arrived)
	receive(t, g.arrived)
	f.awaitQueue(t, 2)
	if c := f.AgentsOf(f.pool.ID)[0]; c.InFlight != 2 || c.Requests != 0 {
		t.Errorf("%+v", c)
	}
	limit(3)
	streams(3)
	receive(t, g.arrived)
	f.awaitQueue(t, 1)
	limit(1)
	streams(1)
	for range 2 { // down to the new cap, no new one is given
		g.open <- struct{}{}
		receive(t, done)
	}
	f.awaitQueue(t, 1)
	g.open <- struct{}{}
	receive(t, done)
	receive(t, g.arrived)
	limit(0)
	streams(4)
	close(g.open)
	if code := receive(t, done); code != 200 {
		t.Errorf("status %d", code)
	}
	await(t, "the requests served", func() bool { return f.AgentsOf(f.pool.ID)[0].Requests == 4 })
}

// A pool that is paused refuses callers and keeps its agents.
func TestPausedPool(t *testing.T) {
	f := start(t)
	f.join(t, options{}, answer("served"))
	f.get(t, "/x") // so that the pool is remembered
	yes, no := true, false
	f.update(t, store.PoolChange{Paused: &yes})
	resp, body := f.get(t, "/x")
	if p := problemIn(t, resp, body); p.Status != 503 || p.Code != "pool_paused" || resp.Header.Get("Retry-After") != "30" || p.Detail != "The gateway's operator has paused this pool." {
		t.Errorf("%+v, %v", p, resp.Header)
	} else if line := f.log.await(t, "request", "id", p.ID); line["outcome"] != "refused" {
		t.Errorf("%v", line)
	}
	if n := len(f.AgentsOf(f.pool.ID)); n != 1 {
		t.Errorf("%d agents are connected", n)
	}
	f.update(t, store.PoolChange{Paused: &no})
	if resp, body := f.get(t, "/x"); resp.StatusCode != 200 {
		t.Errorf("status %d: %s", resp.StatusCode, body)
	}
}

// Connections tell what the carrier knows of the path.
func TestConnectionsTellOfThePath(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		a := f.join(t, options{mode: mode}, answer("served"))
		f.get(t, "/x")
		var c control.Connection
		await(t, "the request's count", func() bool { c = f.AgentsOf(f.pool.ID)[0]; return c.Requests == 1 })
		if c.RTT <= 0 || c.RTT > 5 || c.Loss < 0 || c.Loss > .5 || c.Draining || c.TokenKeyID == "" {
			t.Errorf("%+v", c)
		}
		close(a.drain)
		receive(t, a.served)
		f.awaitAgents(t, f.pool.ID, func(ids []string) bool { return len(ids) == 0 })
	})
}
