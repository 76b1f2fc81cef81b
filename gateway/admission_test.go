package gateway_test

import (
	"net/http"
	"testing"
	"time"

	"vcsagent/gateway"
	"vcsagent/gateway/store"
)

// A key's holder can't tell pools that are others' from none, and leaves no trace
// in their logs.
func TestOthersPoolsAreNoneOfAKeysBusiness(t *testing.T) {
	f := start(t, func(c *gateway.Config) { c.RequestLogMaxRows = 1000 })
	other := f.addPool(t, "other", "k")
	var answers []string
	for _, name := range []string{"other", "none"} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+f.Addr("http")+"/private/"+name+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(gateway.KeyHeader, callerKey)
		r.Header.Set("X-Request-Id", "the-same")
		resp, body := send(t, r)
		resp.Header.Del("Date")
		if p := problemIn(t, resp, body); p.Status != 403 || p.Code != "forbidden" || p.Detail != "This key may not call a pool of this name." {
			t.Errorf("%s: %+v", name, p)
		}
		answers = append(answers, body)
	}
	if answers[0] != answers[1] {
		t.Errorf("the answers differ: %q", answers)
	}
	await(t, "the log", func() bool {
		all, err := f.Store().Requests(t.Context(), store.RequestFilter{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			if r.PoolID == other.ID || r.PoolName != "" {
				t.Errorf("in a pool's log: %+v", r)
			}
		}
		return len(all) == 2
	})
}

// What waits for a stream is no further than what comes: a change that would have
// refused a request does so at the end of its wait.
func TestChangeWhileRequestsWait(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		code   string
		change func(t *testing.T, f *fixture) error
	}{
		{"nothing that matters", 200, "", func(t *testing.T, f *fixture) error {
			text := "another text"
			f.update(t, store.PoolChange{Description: &text})
			return nil
		}},
		{"the key is deleted", 401, "unauthenticated", func(t *testing.T, f *fixture) error {
			return f.Control().DeleteKey(t.Context(), byAdmin, "backend")
		}},
		{"the key expires", 401, "unauthenticated", func(t *testing.T, f *fixture) error {
			expires := time.Now().Add(time.Second)
			_, err := f.Control().UpdateKey(t.Context(), byAdmin, "backend", store.KeyChange{Expires: &expires})
			await(t, "the key's end", func() bool { return time.Now().After(expires) })
			return err
		}},
		{"the key is for another pool", 403, "forbidden", func(t *testing.T, f *fixture) error {
			other := f.addPool(t, "other", "k")
			_, err := f.Control().UpdateKey(t.Context(), byAdmin, "backend", store.KeyChange{Pools: &[]string{other.Name}})
			return err
		}},
		{"the pool is paused", 503, "pool_paused", func(t *testing.T, f *fixture) error {
			yes := true
			f.update(t, store.PoolChange{Paused: &yes})
			return nil
		}},
		{"the pool is deleted", 403, "forbidden", func(t *testing.T, f *fixture) error {
			return f.Control().DeletePool(t.Context(), byAdmin, poolName)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := start(t)
			g := newGate()
			f.join(t, options{}, g.ServeHTTP)
			done := make(chan struct{})
			go func() { // in flight; what becomes of it isn't this test's
				defer close(done)
				if resp, err := client.Do(f.request(t, "GET", "/first", nil)); err == nil {
					resp.Body.Close()
				}
			}()
			receive(t, g.arrived)
			type answer struct {
				*http.Response
				body string
			}
			second := make(chan answer, 1)
			go func() {
				resp, body := f.get(t, "/second")
				second <- answer{resp, body}
			}()
			f.awaitQueue(t, 1)
			if err := tt.change(t, f); err != nil {
				t.Fatal(err)
			}
			close(g.open)
			got := receive(t, second)
			receive(t, done)
			if got.StatusCode != tt.status {
				t.Errorf("status %d: %s", got.StatusCode, got.body)
			}
			if tt.status == 200 {
				return
			}
			p := problemIn(t, got.Response, got.body)
			line := f.log.await(t, "request", "id", p.ID)
			if p.Code != tt.code || line["outcome"] != "refused" || line["session"] != nil || len(g.arrived) != 0 {
				t.Errorf("%+v, logged %v; the agent got %d more", p, line, len(g.arrived))
			}
			for _, a := range f.AgentsOf(f.pool.ID) {
				if a.InFlight != 0 {
					t.Errorf("a stream is still taken: %+v", a)
				}
			}
		})
	}
}
