package agent_test

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/agent"
	"vcsagent/allow"
	"vcsagent/transport"
)

// givenUpAfter is how long a connection to the VCS whose path is dead may live:
// silence that makes the agent ask for a sign of life, and the wait for one.
const givenUpAfter = 10*time.Second + 10*time.Second

// A path to the VCS that dies in silence, as when a firewall forgets a connection,
// takes along what is under way on it, after the time for pings, and nothing that
// comes later.
func TestDeadPathToTheVCS(t *testing.T) {
	release := func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			t.Errorf("the VCS is spoken to in %s", r.Proto)
		}
		switch r.Header.Get("User-Agent") {
		case "late": // long after a dead connection would have been given up
			time.Sleep(2*givenUpAfter + time.Second)
		case "endless":
			io.WriteString(w, "begun")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return
		}
		io.WriteString(w, "served")
	}
	for _, tc := range []struct {
		name string
		run  func(*testing.T, *deadPathRig)
	}{
		{"with a request under way", func(t *testing.T, r *deadPathRig) {
			r.mustServe(t, "", 1)
			r.paths.die()
			began := time.Now()
			if a := r.call(""); a.Code != 502 || a.Header().Get(transport.ErrorHeader) != "vcs_unreachable" {
				t.Errorf("%d %s", a.Code, a.Body)
			}
			if took := time.Since(began); took > givenUpAfter {
				t.Errorf("given up after %s, want %s at most", took, givenUpAfter)
			}
			r.mustServe(t, "", 2)
		}},
		{"with an answer under way", func(t *testing.T, r *deadPathRig) {
			cut := make(chan time.Duration)
			began := time.Now()
			go func() {
				defer func() {
					if recover() != http.ErrAbortHandler {
						t.Error("an answer whose end never came looks whole")
					}
					cut <- time.Since(began)
				}()
				r.call("endless")
			}()
			synctest.Wait()
			r.paths.die()
			if took := <-cut; took > givenUpAfter {
				t.Errorf("cut after %s, want %s at most", took, givenUpAfter)
			}
			r.mustServe(t, "", 2)
		}},
		{"while nothing is under way", func(t *testing.T, r *deadPathRig) {
			r.mustServe(t, "", 1)
			r.paths.die()
			time.Sleep(givenUpAfter + 1)
			r.mustServe(t, "", 2)
		}},
		{"not dead, only slow to answer", func(t *testing.T, r *deadPathRig) {
			r.mustServe(t, "", 1)
			r.mustServe(t, "late", 1)
			r.mustServe(t, "", 1)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tc.run(t, newDeadPathRig(t, release)) })
		})
	}
}

// deadPathRig is an agent's handler and an HTTP/2 VCS in simulated time.
type deadPathRig struct {
	handler http.Handler
	paths   *paths
}

func newDeadPathRig(t *testing.T, vcs http.HandlerFunc) *deadPathRig {
	t.Helper()
	p := &paths{accept: make(chan net.Conn), closed: make(chan struct{})}
	server := &httptest.Server{Listener: p, EnableHTTP2: true, Config: &http.Server{Handler: vcs, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}}
	server.StartTLS()
	token := transport.Token{Host: "127.0.0.1:1", PoolID: "01J0000000000000000000000P", Key: "key", CASHA256: strings.Repeat("0", 64)}
	a, err := agent.New(agent.Config{
		TargetBaseEndpoint: server.URL, Token: transport.Secret(token.Encode()), Policy: allow.Options{Vendor: "gitlab"},
		CACert:      base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
		Parallelism: 1, Transport: transport.ModeAuto, VCSTimeout: 10 * givenUpAfter, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Through(func(next http.RoundTripper) http.RoundTripper {
		upstream := next.(*http.Transport)
		upstream.DialContext = p.dial
		t.Cleanup(upstream.CloseIdleConnections)
		return upstream
	})
	t.Cleanup(func() {
		p.cutAll() // what waits on a dead path ends with it
		server.Close()
	})
	return &deadPathRig{a.Session(1), p}
}

// call sends a request to the agent's handler.
func (r *deadPathRig) call(userAgent string) *httptest.ResponseRecorder {
	// Only to a server does ReverseProxy tell of a cut answer.
	ctx := context.WithValue(context.Background(), http.ServerContextKey, &http.Server{})
	req := httptest.NewRequestWithContext(ctx, "GET", project, nil)
	req.Header.Set("User-Agent", userAgent)
	rec := httptest.NewRecorder()
	r.handler.ServeHTTP(rec, req)
	return rec
}

// mustServe wants an answer from the VCS on the connection with this number.
func (r *deadPathRig) mustServe(t *testing.T, userAgent string, connection int) {
	t.Helper()
	if a := r.call(userAgent); a.Code != 200 || a.Body.String() != "served" {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	if n := r.paths.count(); n != connection {
		t.Errorf("%d connections were made, want %d", n, connection)
	}
}

// paths is a network in memory, with one listener: each connection has a relay in
// its middle that can stop to pass bytes without closing anything.
type paths struct {
	accept chan net.Conn
	closed chan struct{}
	once   sync.Once

	mu    sync.Mutex
	dead  []*atomic.Bool // one for each connection
	conns []net.Conn
}

func (p *paths) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, left := net.Pipe()
	right, server := net.Pipe()
	dead := new(atomic.Bool)
	p.mu.Lock()
	p.dead = append(p.dead, dead)
	p.conns = append(p.conns, client, left, right, server)
	p.mu.Unlock()
	go relay(left, right, dead)
	go relay(right, left, dead)
	select {
	case p.accept <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// relay passes bytes, and the end, until the path is dead. Then it takes in what
// is sent, as a network does, and nothing of it arrives.
func relay(to, from net.Conn, dead *atomic.Bool) {
	buf := make([]byte, 1<<14)
	for {
		n, err := from.Read(buf)
		if err != nil {
			break
		}
		if !dead.Load() {
			to.Write(buf[:n]) // its failure shows at the next Read
		}
	}
	if !dead.Load() {
		to.Close()
	}
}

// die makes all connections that there are go silent.
func (p *paths) die() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.dead {
		d.Store(true)
	}
}

func (p *paths) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
}

// count is how many connections were made.
func (p *paths) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.dead)
}

// Accept implements net.Listener.
func (p *paths) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *paths) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener: an address that the test server's certificate is for.
func (p *paths) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 443} }
