package gateway_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"vcsagent/gateway"
	"vcsagent/gateway/ca"
)

// withTLS makes the callers' listener speak TLS, and so HTTP/2.
func withTLS(t *testing.T) func(*gateway.Config) {
	dir := t.TempDir()
	if _, err := ca.LoadOrCreate(dir); err != nil {
		t.Fatal(err)
	}
	return func(c *gateway.Config) {
		c.HTTPTLSCert, c.HTTPTLSKey = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "ca-key.pem")
	}
}

// bothVersions runs the same test with callers on HTTP/1.1 and HTTP/2, each sending
// through do.
func bothVersions(t *testing.T, test func(t *testing.T, f *fixture, do func(*http.Request) (*http.Response, error))) {
	for proto, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		t.Run(proto, func(t *testing.T) {
			t.Parallel()
			f := start(t, withTLS(t))
			tr := &http.Transport{ForceAttemptHTTP2: http2, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
			t.Cleanup(tr.CloseIdleConnections)
			test(t, f, func(r *http.Request) (*http.Response, error) {
				r.URL.Scheme = "https"
				resp, err := tr.RoundTrip(r)
				if err == nil {
					t.Cleanup(func() { resp.Body.Close() })
					if resp.Proto != proto {
						t.Errorf("it is %s", resp.Proto)
					}
				}
				return resp, err
			})
		})
	}
}

// endless answers until it can't.
func endless(w http.ResponseWriter, r *http.Request) { io.Copy(w, zeros{}) }

// A caller that takes in nothing of its answer gives its stream back in the end,
// and the log says why.
func TestCallerStopsReading(t *testing.T) {
	bothVersions(t, func(t *testing.T, f *fixture, do func(*http.Request) (*http.Response, error)) {
		f.join(t, options{}, endless)
		r := f.request(t, "GET", "/x", nil)
		r.Header.Set("X-Request-Id", "stuck")
		began := time.Now()
		resp, err := do(r)
		if err != nil {
			t.Fatal(err)
		}
		await(t, "its stream", func() bool { return f.AgentsOf(f.pool.ID)[0].InFlight == 0 })
		if took := time.Since(began); took < standstill {
			t.Errorf("it took %s", took)
		}
		line := f.log.await(t, "request", "id", "stuck")
		if line["outcome"] != "cancelled" || line["error"] != "the caller has stopped taking in the answer" {
			t.Errorf("%v", line)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Error("the answer looks whole")
		}
	})
}

// A caller that is slow is served to the end, however long that takes, and so is
// one whose VCS is.
func TestSlowReaderIsServed(t *testing.T) {
	const length = 24 << 20
	bothVersions(t, func(t *testing.T, f *fixture, do func(*http.Request) (*http.Response, error)) {
		f.join(t, options{}, func(w http.ResponseWriter, r *http.Request) {
			io.CopyN(w, zeros{}, length/2)
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(standstill + time.Second):
			case <-r.Context().Done():
				return
			}
			io.CopyN(w, zeros{}, length/2)
		})
		resp, err := do(f.request(t, "GET", "/x", nil))
		if err != nil {
			t.Fatal(err)
		}
		tick := time.NewTicker(standstill / 5)
		defer tick.Stop()
		n := int64(0)
		for range 15 {
			<-tick.C
			m, err := io.CopyN(io.Discard, resp.Body, length/30)
			if n += m; err != nil {
				t.Fatal(err)
			}
		}
		m, err := io.Copy(io.Discard, resp.Body)
		if n += m; err != nil || n != length {
			t.Errorf("%d bytes, %v", n, err)
		}
	})
}
