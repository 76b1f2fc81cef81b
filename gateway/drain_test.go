package gateway_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vcsagent/gateway"
	"vcsagent/transport"
)

// A session that drains gets nothing new, ends what it has, and ends itself; what
// comes meanwhile waits for another.
func TestDrainingSessionGetsNothingNew(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		old := newGate()
		a := f.join(t, options{mode: mode, parallelism: 4}, old.ServeHTTP)
		first, second := make(chan string, 1), make(chan string, 1)
		go func() { _, body := f.get(t, "/first"); first <- body }()
		receive(t, old.arrived)
		close(a.drain)
		await(t, "the drain", func() bool { return f.Draining(f.pool.ID) == 1 })
		go func() { _, body := f.get(t, "/second"); second <- body }()
		f.awaitQueue(t, 1)
		b := f.join(t, options{mode: mode}, answer("elsewhere"))
		defer b.kill()
		if got := receive(t, second); got != "elsewhere" {
			t.Errorf("the request that waited got %q", got)
		}
		for range 10 {
			if resp, body := f.get(t, "/x"); body != "elsewhere" {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
		}
		close(old.open)
		if got := receive(t, first); got != "through" {
			t.Errorf("the request in flight got %q", got)
		}
		if err := receive(t, a.served); err != nil {
			t.Errorf("the drained session ended with %v", err)
		}
		f.awaitAgents(t, f.pool.ID, func(ids []string) bool { return len(ids) == 1 })
	})
}

// An idle session that drains ends at once, and its pool has no agent then.
func TestIdleSessionDrains(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		a := f.join(t, options{mode: mode}, answer("served"))
		close(a.drain)
		if err := receive(t, a.served); err != nil {
			t.Errorf("the drained session ended with %v", err)
		}
		f.awaitAgents(t, f.pool.ID, func(ids []string) bool { return len(ids) == 0 })
		if resp, body := f.get(t, "/x"); problemIn(t, resp, body).Code != "no_agent" {
			t.Errorf("%s", body)
		}
	})
}

// An agent that drains and takes in no more lines doesn't keep its last caller.
func TestStuckDrainDoesNotHoldTheCallerUp(t *testing.T) {
	f := start(t)
	token := f.TokenFor(f.pool, poolKey)
	cfg, err := transport.ClientTLS(token, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.NextProtos = []string{"rh2"}
	conn, err := tls.Dial("tcp", token.Host, cfg)
	if err != nil {
		t.Fatal(err)
	}
	g := newGate()
	var pings atomic.Int64
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Protocols: protocols,
		HTTP2:     &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10, MaxReceiveBufferPerConnection: 64 << 10},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.RequestURI != transport.SessionPath {
				g.ServeHTTP(w, r)
				return
			}
			rc := http.NewResponseController(w)
			fmt.Fprintf(w, `{"type":"hello","version":1,"pool_ulid":%q,"key":%q,"parallelism":1}`+"\n", token.PoolID, token.Key.Reveal())
			rc.Flush()
			if _, err := bufio.NewReaderSize(r.Body, 16).ReadString('\n'); err != nil { // welcome
				t.Error(err)
				return
			}
			io.WriteString(w, `{"type":"ready"}`+"\n")
			rc.Flush()
			receive(t, g.arrived)
			io.WriteString(w, `{"type":"drain"}`+"\n")
			for {
				if _, err := io.WriteString(w, `{"type":"ping","seq":1}`+"\n"); err != nil || rc.Flush() != nil {
					return
				}
				pings.Add(1)
			}
		}),
	}
	served := make(chan struct{})
	l := &oneConn{conn: struct{ net.Conn }{conn}, closed: make(chan struct{})}
	go func() { defer close(served); srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); conn.Close(); receive(t, served) })
	f.awaitAgents(t, f.pool.ID, func(ids []string) bool { return len(ids) == 1 })

	got := make(chan string, 1)
	go func() { _, body := f.get(t, "/x"); got <- body }()
	var last int64
	still := 0
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	await(t, "the agent to be stuck", func() bool {
		<-tick.C
		if now := pings.Load(); now == 0 || now != last {
			last, still = now, 0
		} else {
			still++
		}
		return still == 10
	})
	close(g.open)
	if body := receive(t, got); body != "through" {
		t.Errorf("%q", body)
	}
}

// With several agents, none has ever more in flight than it offers, on either
// carrier, and all of what is sent is answered.
func TestParallelismHolds(t *testing.T) {
	f := start(t, func(c *gateway.Config) { c.QueueLength, c.QueueTimeout = 1000, patience })
	offers := []options{{mode: transport.ModeQUIC, parallelism: 1, instance: "a"}, {mode: transport.ModeQUIC, parallelism: 3, instance: "b"}, {mode: transport.ModeTCP, parallelism: 2, instance: "c"}, {mode: transport.ModeTCP, parallelism: 4, instance: "d"}}
	served := make([]atomic.Int64, len(offers))
	for i, o := range offers {
		var inFlight atomic.Int64
		f.join(t, o, func(w http.ResponseWriter, r *http.Request) {
			defer inFlight.Add(-1) // before the answer's end is sent
			if n := inFlight.Add(1); n > int64(o.parallelism) {
				t.Errorf("%d are in flight on a session of %d", n, o.parallelism)
			}
			served[i].Add(1)
			io.Copy(w, r.Body)
		})
	}
	const callers, each = 24, 25
	tr := &http.Transport{MaxIdleConnsPerHost: callers}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr}
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				r := f.request(t, "POST", "/x", io.LimitReader(zeros{}, 4<<10))
				resp, err := c.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				n, err := io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 200 || n != 4<<10 || err != nil {
					t.Errorf("status %d, %d bytes, %v", resp.StatusCode, n, err)
				}
			}
		})
	}
	wg.Wait()
	total := int64(0)
	for i := range served {
		n := served[i].Load()
		total += n
		if n < callers*each/int64(10*len(offers)) {
			t.Errorf("agent %s served %d of %d", offers[i].instance, n, callers*each)
		}
	}
	if total != callers*each {
		t.Errorf("%d were served, want %d", total, callers*each)
	}
}

// A full queue answers at once, one that is slow in time; both say when to come
// again, and a caller that leaves the queue leaves it at once.
func TestBusy(t *testing.T) {
	f := start(t, func(c *gateway.Config) { c.QueueLength, c.QueueTimeout = 1, 300*time.Millisecond })
	g := newGate()
	f.join(t, options{}, g.ServeHTTP)
	held := make(chan string, 1)
	go func() { _, body := f.get(t, "/held"); held <- body }()
	receive(t, g.arrived)
	slow := make(chan problem, 1)
	go func() {
		resp, body := f.get(t, "/slow")
		if resp.Header.Get("Retry-After") != "2" {
			t.Errorf("Retry-After is %q", resp.Header.Get("Retry-After"))
		}
		slow <- problemIn(t, resp, body)
	}()
	f.awaitQueue(t, 1)
	resp, body := f.get(t, "/full")
	if p := problemIn(t, resp, body); p.Status != 503 || p.Code != "busy" || resp.Header.Get("Retry-After") != "2" {
		t.Errorf("%+v, %v", p, resp.Header)
	}
	if p := receive(t, slow); p.Status != 503 || p.Code != "busy" {
		t.Errorf("%+v", p)
	}
	if line := f.log.await(t, "request", "path", "/slow"); line["outcome"] != "busy" || line["queued"].(float64) < 0.3 || line["code"] != "busy" {
		t.Errorf("%v", line)
	}
	conn := f.raw(t, "GET /private/gitlab/gone HTTP/1.1\r\nHost: gw\r\nVCS-Gateway-Key: "+callerKey+"\r\n\r\n")
	f.awaitQueue(t, 1)
	conn.Close()
	f.awaitQueue(t, 0)
	if line := f.log.await(t, "request", "path", "/gone"); line["outcome"] != "cancelled" || line["status_code"] != 499.0 {
		t.Errorf("%v", line)
	}
	close(g.open)
	if got := receive(t, held); got != "through" {
		t.Errorf("%q", got)
	}
	if len(g.arrived) != 0 {
		t.Error("the agent got one that had been turned away")
	}
}

// When the pool's last agent goes, who waits for it hears so at once.
func TestLastAgentGoesWhileOthersWait(t *testing.T) {
	f := start(t)
	g := newGate()
	a := f.join(t, options{}, g.ServeHTTP)
	codes := make(chan string, 4)
	for range 4 {
		go func() {
			resp, body := f.get(t, "/x")
			codes <- problemIn(t, resp, body).Code
		}()
	}
	receive(t, g.arrived)
	f.awaitQueue(t, 3)
	a.kill()
	seen := map[string]int{}
	for range 4 {
		seen[receive(t, codes)]++
	}
	// The stream that the first gave back may have gone to the next before the
	// gateway knew why.
	if seen["agent_lost"] < 1 || seen["agent_lost"]+seen["no_agent"] != 4 {
		t.Errorf("%v", seen)
	}
}
