package gateway_test

import (
	"bufio"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/gateway"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

func key(id string, l store.Limits) store.Key   { return store.Key{ID: id, Name: id, Limits: l} }
func pool(id string, l store.Limits) store.Pool { return store.Pool{ID: id, Name: id, Limits: l} }

// fill enters until a limit is in the way.
func fill(l *gateway.Limits, k store.Key, p store.Pool) (n int, leave []func(), of, limit string, retry time.Duration) {
	for ; n < 10000; n++ {
		out, of, limit, retry := l.Enter(k, p)
		if out == nil {
			return n, leave, of, limit, retry
		}
		leave = append(leave, out)
	}
	return n, leave, "", "", 0
}

func TestRates(t *testing.T) {
	for _, tt := range []struct {
		name      string
		key, pool store.Limits
		burst     int
		of        string
		every     time.Duration
	}{
		{"key", store.Limits{RequestsPerSecond: 10, Burst: 3}, store.Limits{}, 3, "key", 100 * time.Millisecond},
		{"pool", store.Limits{}, store.Limits{RequestsPerSecond: 4, Burst: 1}, 1, "pool", 250 * time.Millisecond},
		{"as many at once as in a second", store.Limits{RequestsPerSecond: 2.5}, store.Limits{}, 3, "key", 400 * time.Millisecond},
		{"less than one a second", store.Limits{RequestsPerSecond: .1}, store.Limits{}, 1, "key", 10 * time.Second},
		{"the key's is the tighter", store.Limits{RequestsPerSecond: 1, Burst: 2}, store.Limits{RequestsPerSecond: 1, Burst: 5}, 2, "key", time.Second},
		{"the pool's is the tighter", store.Limits{RequestsPerSecond: 1, Burst: 5}, store.Limits{RequestsPerSecond: 1, Burst: 2}, 2, "pool", time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := gateway.NewLimits()
				k, p := key("k", tt.key), pool("p", tt.pool)
				for round := range 2 {
					n, _, of, limit, retry := fill(l, k, p)
					if n != tt.burst || of != tt.of || limit != "rate" || retry != tt.every {
						t.Fatalf("round %d: %d came through, then %s's %s for %s", round, n, of, limit, retry)
					}
					// The one that was refused has used nothing up, of neither.
					time.Sleep(retry + time.Microsecond)
					if n, _, _, _, _ := fill(l, k, p); n != 1 {
						t.Fatalf("round %d: %d came through after the wait", round, n)
					}
					time.Sleep(time.Duration(tt.burst+1) * tt.every)
				}
			})
		})
	}
}

// What the pool refuses takes nothing of the key's rate, which counts elsewhere.
func TestRefusedTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := gateway.NewLimits()
		k := key("k", store.Limits{RequestsPerSecond: 1, Burst: 5})
		full := pool("full", store.Limits{RequestsPerSecond: 1, Burst: 1})
		if n, _, of, _, _ := fill(l, k, full); n != 1 || of != "pool" {
			t.Fatalf("%d came through, then the %s's", n, of)
		}
		for range 100 {
			l.Enter(k, full)
		}
		if n, _, of, _, _ := fill(l, k, pool("other", store.Limits{})); n != 4 || of != "key" {
			t.Errorf("%d came through to the other pool, then the %s's", n, of)
		}
	})
}

func TestInFlight(t *testing.T) {
	l := gateway.NewLimits()
	a, b := key("a", store.Limits{InFlight: 2}), key("b", store.Limits{})
	p := pool("p", store.Limits{InFlight: 3})
	n, ofA, of, limit, retry := fill(l, a, p)
	if n != 2 || of != "key" || limit != "in_flight" || retry != time.Second {
		t.Fatalf("%d came through, then %s's %s for %s", n, of, limit, retry)
	}
	n, ofB, of, limit, _ := fill(l, b, p)
	if n != 1 || of != "pool" || limit != "in_flight" {
		t.Fatalf("%d came through, then %s's %s", n, of, limit)
	}
	ofA[0]()
	if n, _, of, _, _ := fill(l, b, p); n != 1 || of != "pool" {
		t.Errorf("%d came through after one had left, then the %s's", n, of)
	}
	ofB[0]()
	// A limit that is changed counts those that came before.
	a.Limits.InFlight = 1
	if n, _, of, _, _ := fill(l, a, p); n != 0 || of != "key" {
		t.Errorf("%d came through a limit that is lower now, then the %s's", n, of)
	}
}

// A rate that is changed counts at once, and gives back nothing that was used.
func TestRateIsChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := gateway.NewLimits()
		k := key("k", store.Limits{RequestsPerSecond: 1, Burst: 100})
		fill(l, k, pool("p", store.Limits{}))
		k.Limits = store.Limits{RequestsPerSecond: 50, Burst: 2}
		if n, _, _, _, retry := fill(l, k, pool("p", store.Limits{})); n != 0 || retry != 20*time.Millisecond {
			t.Errorf("%d came through at once, then one after %s", n, retry)
		}
		time.Sleep(time.Second)
		if n, _, _, _, _ := fill(l, k, pool("p", store.Limits{})); n != 2 {
			t.Errorf("%d came through after a second", n)
		}
		k.Limits = store.Limits{}
		if n, _, _, _, _ := fill(l, k, pool("p", store.Limits{})); n != 10000 {
			t.Errorf("%d came through without limits", n)
		}
	})
}

// What is remembered is bounded, and forgotten only where that lets nothing
// through that it wouldn't.
func TestLimitersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := gateway.NewLimits()
		p := pool("p", store.Limits{})
		held := key("held", store.Limits{InFlight: 1})
		leave, _, _, _ := l.Enter(held, p)
		used := key("used", store.Limits{RequestsPerSecond: .001})
		out, _, _, _ := l.Enter(used, p)
		out()
		for i := range 10 * gateway.LimitersSweep { // all come to rest
			out, _, _, _ := l.Enter(key(strconv.Itoa(i), store.Limits{InFlight: 1}), p)
			out()
		}
		if n := l.Remembered(); n > gateway.LimitersSweep {
			t.Errorf("%d are remembered", n)
		}
		if out, _, _, _ := l.Enter(held, p); out != nil {
			t.Error("the one that is in use was forgotten")
		}
		if out, _, _, _ := l.Enter(used, p); out != nil {
			t.Error("the one that was used up was forgotten")
		}
		for i := range gateway.MaxLimiters + 10 { // none comes to rest
			out, _, _, _ := l.Enter(key("u"+strconv.Itoa(i), store.Limits{RequestsPerSecond: .001}), p)
			out()
		}
		if n := l.Remembered(); n > gateway.MaxLimiters {
			t.Errorf("%d are remembered", n)
		}
		if out, _, _, _ := l.Enter(held, p); out != nil {
			t.Error("the one that is in use was forgotten, when there were too many")
		}
		leave()
	})
}

func TestLimitsTogether(t *testing.T) {
	l := gateway.NewLimits()
	p := pool("p", store.Limits{InFlight: 3, RequestsPerSecond: 1e6})
	var mu sync.Mutex
	inFlight := 0
	var wg sync.WaitGroup
	for i := range 16 {
		k := key(strconv.Itoa(i%4), store.Limits{InFlight: 2})
		wg.Go(func() {
			for range 1000 {
				leave, _, _, _ := l.Enter(k, p)
				if leave == nil {
					continue
				}
				mu.Lock()
				if inFlight++; inFlight > 3 {
					t.Errorf("%d in flight", inFlight)
				}
				mu.Unlock()
				mu.Lock()
				inFlight--
				mu.Unlock()
				leave()
			}
		})
	}
	wg.Wait()
}

// Whoever has no limits pays nothing for those of others.
func TestUnlimitedCostsNothing(t *testing.T) {
	l := gateway.NewLimits()
	k, p := key("k", store.Limits{}), pool("p", store.Limits{})
	if n := testing.AllocsPerRun(100, func() { l.EnterAndLeave(&k, &p) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if l.Remembered() != 0 {
		t.Error("the key and the pool are remembered")
	}
	unlock := l.Lock() // taking the lock would wait for ever
	l.EnterAndLeave(&k, &p)
	unlock()
}

// limitKey changes the limits of the fixture's caller.
func (f *fixture) limitKey(t *testing.T, l store.Limits) {
	t.Helper()
	if _, err := f.Control().UpdateKey(t.Context(), byAdmin, "backend", store.KeyChange{Limits: &l}); err != nil {
		t.Fatal(err)
	}
}

// Requests over a limit are told which, and when to try again.
func TestLimitedRequests(t *testing.T) {
	f := start(t)
	g := newGate()
	f.join(t, options{parallelism: 4}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/held" {
			g.ServeHTTP(w, r)
		}
	})
	refused := func(detail, retry, metric string) {
		t.Helper()
		resp, body := f.get(t, "/x")
		if p := problemIn(t, resp, body); p.Status != 429 || p.Code != "rate_limited" || p.Detail != detail || resp.Header.Get("Retry-After") != retry {
			t.Errorf("%+v, retry after %q", p, resp.Header.Get("Retry-After"))
		} else if line := f.log.await(t, "request", "id", p.ID); line["outcome"] != "refused" || line["code"] != "rate_limited" {
			t.Errorf("%v", line)
		}
		if !f.counted(t, `vcs_gateway_limited_requests_total{`+metric+`,pool="gitlab",scope=`+scopeIn(detail)+`} 1`) {
			t.Errorf("%s isn't counted", metric)
		}
	}
	served := func() {
		t.Helper()
		if resp, body := f.get(t, "/x"); resp.StatusCode != 200 {
			t.Errorf("status %d: %s", resp.StatusCode, body)
		}
	}
	served()
	f.limitKey(t, store.Limits{RequestsPerSecond: .01, Burst: 2})
	served()
	served()
	refused("The limit of the key backend is 0.01 requests per second with bursts of 2.", "100", `limit="rate"`)
	f.limitKey(t, store.Limits{})
	served()
	f.update(t, store.PoolChange{Limits: &store.Limits{RequestsPerSecond: .01}})
	served()
	refused("The limit of the pool gitlab is 0.01 requests per second with bursts of 1.", "100", `limit="rate"`)

	f.update(t, store.PoolChange{Limits: &store.Limits{InFlight: 1}})
	held := f.inFlight(t, g, "held")
	refused("The limit of the pool gitlab is 1 request in flight.", "1", `limit="in_flight"`)
	g.open <- struct{}{}
	if resp, err := http.ReadResponse(held, nil); err != nil || resp.StatusCode != 200 {
		t.Error(resp, err)
	}
	f.log.await(t, "request", "id", "held")
	served()
}

func scopeIn(detail string) string {
	if strings.Contains(detail, "key") {
		return `"key"`
	}
	return `"pool"`
}

// A body that says that it is too large is refused at once, and one that turns out
// to be is cut: what the agent got of it doesn't look whole.
func TestBodyLimit(t *testing.T) {
	f := start(t)
	f.limitKey(t, store.Limits{BodyBytes: 1000})
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		arrived, bodies := make(chan struct{}, 8), make(chan error, 8)
		a := f.join(t, options{mode: mode}, func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			n, err := io.Copy(io.Discard, r.Body)
			if n > 1000 {
				t.Errorf("the agent got %d bytes", n)
			}
			bodies <- err
			if err != nil {
				panic(http.ErrAbortHandler)
			}
		})
		defer a.kill()
		for _, tt := range []struct {
			name, fields, body string
			ok, asked          bool
		}{
			{"as long as may be", "Content-Length: 1000\r\n", strings.Repeat("x", 1000), true, true},
			{"too long", "Content-Length: 1001\r\n", "", false, false},
			{"chunked, as long as may be", "Transfer-Encoding: chunked\r\n", "3e8\r\n" + strings.Repeat("x", 1000) + "\r\n0\r\n\r\n", true, true},
			{"chunked, one byte too long", "Transfer-Encoding: chunked\r\n", "3e8\r\n" + strings.Repeat("x", 1000) + "\r\n1\r\nx\r\n0\r\n\r\n", false, true},
			{"chunked, without end", "Transfer-Encoding: chunked\r\n", "fffffff\r\n" + strings.Repeat("x", 5000), false, true},
		} {
			t.Run(tt.name, func(t *testing.T) {
				id := string(mode) + "-" + strings.ReplaceAll(tt.name, " ", "-")
				conn := f.raw(t, post("/x", "X-Request-Id: "+id+"\r\n"+tt.fields))
				if tt.asked {
					receive(t, arrived) // else the end may reach the agent before the request
				}
				if _, err := io.WriteString(conn, tt.body); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(resp.Body)
				line := f.log.await(t, "request", "id", id)
				if tt.asked {
					if err := receive(t, bodies); (err == nil) != tt.ok {
						t.Errorf("the agent read the body with %v", err)
					}
				}
				if tt.ok {
					if resp.StatusCode != 200 {
						t.Errorf("status %d: %s", resp.StatusCode, body)
					}
					return
				}
				p := problemIn(t, resp, string(body))
				if p.Status != 413 || p.Code != "body_too_large" || p.Detail != "The request's body is larger than the limit of the key backend, 1000 bytes." {
					t.Errorf("%+v", p)
				}
				if line["outcome"] != "refused" || line["code"] != "body_too_large" {
					t.Errorf("%v", line)
				}
			})
		}
		if len(arrived) != 0 {
			t.Error("the agent was asked once too often")
		}
	})
	if !f.counted(t, `vcs_gateway_limited_requests_total{limit="body",pool="gitlab",scope="key"} 6`) {
		t.Error("not counted")
	}
	// The smaller one counts, whosever it is.
	f.join(t, options{}, answer(""))
	f.update(t, store.PoolChange{Limits: &store.Limits{BodyBytes: 10}})
	resp, body := send(t, f.request(t, "POST", "/x", strings.NewReader(strings.Repeat("x", 11))))
	if p := problemIn(t, resp, body); p.Status != 413 || !strings.HasSuffix(p.Detail, "the limit of the pool gitlab, 10 bytes.") {
		t.Errorf("%+v", p)
	}
}

// Pools and keys have queues of their own length and patience.
func TestQueueLimits(t *testing.T) {
	f := start(t)
	g := newGate()
	f.join(t, options{}, g.ServeHTTP)
	f.inFlight(t, g, "held")
	busy := func(detail, metric string) {
		t.Helper()
		resp, body := f.get(t, "/x")
		if p := problemIn(t, resp, body); p.Status != 503 || p.Code != "busy" || p.Detail != detail || resp.Header.Get("Retry-After") == "" {
			t.Errorf("%+v", p)
		} else if line := f.log.await(t, "request", "id", p.ID); line["outcome"] != "busy" {
			t.Errorf("%v", line)
		}
		if !f.counted(t, `vcs_gateway_limited_requests_total{`+metric+`} 1`) {
			t.Errorf("%s isn't counted", metric)
		}
	}
	const every = "Every stream of this pool's agents is busy, and the limit of the "
	f.update(t, store.PoolChange{Limits: &store.Limits{QueueWait: 10 * time.Millisecond}})
	busy(every+"pool gitlab is a wait of 10ms.", `limit="queue",pool="gitlab",scope="pool"`)
	f.limitKey(t, store.Limits{QueueWait: 5 * time.Millisecond})
	busy(every+"key backend is a wait of 5ms.", `limit="queue",pool="gitlab",scope="key"`)

	// The key may have one request in the queue, and another key's get in beside it.
	f.limitKey(t, store.Limits{QueueLength: 1})
	f.update(t, store.PoolChange{Limits: &store.Limits{QueueLength: 2}})
	waiting := make(chan int, 3)
	go func() { resp, _ := f.get(t, "/x"); waiting <- resp.StatusCode }()
	f.awaitQueue(t, 1)
	resp, body := f.get(t, "/x")
	if p := problemIn(t, resp, body); p.Status != 503 || p.Detail != every+"key backend is 1 request waiting." {
		t.Errorf("%+v", p)
	}
	f.addKey(t, "other", "the-others-key", poolName)
	other := func() *http.Request {
		r := f.request(t, "GET", "/x", nil)
		r.Header.Set(gateway.KeyHeader, "the-others-key")
		return r
	}
	go func() { resp, _ := send(t, other()); waiting <- resp.StatusCode }()
	f.awaitQueue(t, 2)
	resp, body = send(t, other())
	if p := problemIn(t, resp, body); p.Status != 503 || p.Detail != every+"pool gitlab is 2 requests waiting." {
		t.Errorf("%+v", p)
	}
	f.through(t, g, 2)
	// Its place in the queue is free again.
	go func() { resp, _ := f.get(t, "/x"); waiting <- resp.StatusCode }()
	f.awaitQueue(t, 1)
	f.through(t, g, 1)
	close(g.open)
	for range 3 {
		if code := receive(t, waiting); code != 200 {
			t.Errorf("one that waited got %d", code)
		}
	}
}

// through lets a held request through and, one after another, n that wait.
func (f *fixture) through(t *testing.T, g *gate, n int) {
	t.Helper()
	for range n {
		g.open <- struct{}{}
		receive(t, g.arrived)
	}
	f.awaitQueue(t, 0)
}
