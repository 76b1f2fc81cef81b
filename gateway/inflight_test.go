package gateway_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

// What a key has in flight is cut when it is taken back, whatever its caller does
// meanwhile, and the log says why.
func TestRevokedKeyCutsItsRequests(t *testing.T) {
	deleted := func(t *testing.T, f *fixture) error { return f.Control().DeleteKey(t.Context(), byAdmin, "backend") }
	for _, tt := range []struct {
		name, why string
		change    func(t *testing.T, f *fixture) error
	}{
		{"deleted", "the caller's key was revoked", deleted},
		{"deleted elsewhere", "the caller's key was revoked", func(t *testing.T, f *fixture) error {
			k, err := f.Store().KeyByName(t.Context(), "backend")
			if err != nil {
				return err
			}
			return f.Store().DeleteKey(t.Context(), byAdmin, k.ID)
		}},
		{"expired", "the caller's key has expired", func(t *testing.T, f *fixture) error {
			expires := time.Now().Add(time.Second)
			_, err := f.Control().UpdateKey(t.Context(), byAdmin, "backend", store.KeyChange{Expires: &expires})
			await(t, "the key's end", func() bool { return time.Now().After(expires) })
			return err
		}},
		{"for another pool", "the caller's key may not call this pool any more", func(t *testing.T, f *fixture) error {
			other := f.addPool(t, "other", "k")
			_, err := f.Control().UpdateKey(t.Context(), byAdmin, "backend", store.KeyChange{Pools: &[]string{other.Name}})
			return err
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothVersions(t, func(t *testing.T, f *fixture, do func(*http.Request) (*http.Response, error)) {
				arrived, ended := make(chan struct{}, 3), make(chan struct{}, 3)
				f.join(t, options{parallelism: 3}, func(w http.ResponseWriter, r *http.Request) {
					arrived <- struct{}{}
					defer func() { ended <- struct{}{} }()
					switch r.URL.Path {
					case "/answering":
						endless(w, r)
					case "/reading":
						io.Copy(io.Discard, r.Body)
					}
					<-r.Context().Done()
				})
				body, held := io.Pipe()
				t.Cleanup(func() { held.Close() })
				ids := []string{"/answering", "/reading", "/waiting"}
				for _, path := range ids {
					r := f.request(t, "GET", path, nil)
					if path == "/reading" {
						r = f.request(t, "POST", path, body)
					}
					r.Header.Set("X-Request-Id", path)
					go do(r) // what comes isn't read
				}
				for range ids {
					receive(t, arrived)
				}
				if err := tt.change(t, f); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				for range ids {
					receive(t, ended)
				}
				if took := time.Since(began); took > 2*soon {
					t.Errorf("it took %s", took)
				}
				for _, id := range ids {
					if line := f.log.await(t, "request", "id", id); line["outcome"] != "cut" || line["error"] != tt.why {
						t.Errorf("%v", line)
					}
				}
				await(t, "the streams", func() bool { return f.AgentsOf(f.pool.ID)[0].InFlight == 0 && f.InFlight() == 0 })
			})
		})
	}
}

// Changes that take nothing from a key leave its requests alone, and so does a
// pause of its pool: what is in flight may end.
func TestOtherChangesCutNothing(t *testing.T) {
	f := start(t)
	g := newGate()
	f.join(t, options{}, g.ServeHTTP)
	f.addKey(t, "another", "another-key", poolName)
	done := f.fillQueue(t, g, 0)
	if err := f.Control().DeleteKey(t.Context(), byAdmin, "another"); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	if _, err := f.Control().UpdateKey(t.Context(), byAdmin, "backend", store.KeyChange{Expires: &later}); err != nil {
		t.Fatal(err)
	}
	yes := true
	f.update(t, store.PoolChange{Paused: &yes})
	// Each looked at what is in flight before it returned.
	close(g.open)
	if code := receive(t, done); code != 200 {
		t.Errorf("status %d", code)
	}
}
