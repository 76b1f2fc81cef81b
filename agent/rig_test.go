package agent_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vcsagent/agent"
	"vcsagent/allow"
	"vcsagent/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// project is an allowed call, and what it is called.
const (
	project     = "/api/v4/projects/group%2Frepo"
	projectRule = "gitlab.project.get"
	notes       = "/api/v4/projects/group%2Frepo/merge_requests/1/notes"
)

// rig is an agent between a VCS and a gateway, all on loopback.
type rig struct {
	*agent.Agent
	t       *testing.T
	vcs     *httptest.Server
	gateway *fakeGateway
	session *transport.Session
	log     *logBuffer
	stop    context.CancelFunc // as SIGTERM does
	stopped <-chan error       // Run's result
}

// start runs an agent with change to its configuration and waits for its
// session.
func start(t *testing.T, mode transport.Mode, vcs http.HandlerFunc, change func(*agent.Config)) *rig {
	t.Helper()
	r := prepare(t, mode, vcs, change)
	r.run()
	r.session = receive(t, r.gateway.sessions)
	return r
}

// prepare is start before Run.
func prepare(t *testing.T, mode transport.Mode, vcs http.HandlerFunc, change func(*agent.Config)) *rig {
	t.Helper()
	r := &rig{t: t, log: &logBuffer{}, gateway: startGateway(t, nil)}
	r.vcs = httptest.NewUnstartedServer(vcs)
	r.vcs.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	r.vcs.Start()
	t.Cleanup(r.vcs.Close)
	cfg := agent.Config{
		TargetBaseEndpoint: r.vcs.URL, Token: transport.Secret(r.gateway.token().Encode()), Policy: allow.Options{Vendor: "gitlab"},
		Parallelism: 4, Transport: mode, VCSTimeout: 20 * time.Second, ShutdownGracePeriod: 20 * time.Second,
		Version: "1.2.3", Logger: slog.New(slog.NewJSONHandler(r.log, nil)),
		Metadata: map[string]string{"zone": "a"},
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.Agent, err = agent.New(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) run() {
	ctx, cancel := context.WithCancel(context.Background())
	r.stop = cancel
	stopped := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		stopped <- r.Run(ctx)
	}()
	r.stopped = stopped
	r.t.Cleanup(func() {
		cancel()
		r.gateway.stop() // it ends the session, so that nothing waits for a drain
		receive(r.t, done)
	})
}

// send sends a request as the gateway would, with id as its id.
func (r *rig) send(ctx context.Context, method, target string, header http.Header, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://placeholder/", body)
	if err != nil {
		r.t.Error(err)
		return nil, err
	}
	req.URL, req.Host = transport.TargetURL(target), ""
	for name, values := range header {
		req.Header[name] = values
	}
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header.Set("User-Agent", "") // as the gateway does: none is made up
	}
	if req.Header.Get("X-Request-Id") == "" {
		req.Header.Set("X-Request-Id", "id-1")
	}
	return r.session.RoundTrip(req)
}

// answer is a whole answer.
type answer struct {
	*http.Response
	body    string
	problem struct {
		Title, Detail, Code, Reason, ID string
		Nearest                         string `json:"nearest_rule"`
		Status                          int
	}
}

// get sends a request and reads its answer.
func (r *rig) get(method, target string, header http.Header, body string) answer {
	r.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	resp, err := r.send(r.t.Context(), method, target, header, reader)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatalf("%s %s: %v", method, target, err)
	}
	a := answer{Response: resp, body: string(b)}
	if resp.Header.Get("Content-Type") == "application/problem+json" && len(b) > 0 {
		if err := json.Unmarshal(b, &a.problem); err != nil {
			r.t.Errorf("problem %s: %v", b, err)
		}
	}
	return a
}

// lines returns the log's lines with this message once there are n of them.
func (r *rig) lines(msg string, n int) []map[string]any {
	r.t.Helper()
	return r.log.wait(r.t, msg, n)
}

// logBuffer is a log of JSON lines that can be waited for.
type logBuffer struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	wrote chan struct{} // closed at the next write
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wrote != nil {
		close(l.wrote)
		l.wrote = nil
	}
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBuffer) wait(t *testing.T, msg string, n int) []map[string]any {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		l.mu.Lock()
		if l.wrote == nil {
			l.wrote = make(chan struct{})
		}
		wrote, text := l.wrote, l.buf.String()
		l.mu.Unlock()
		var found []map[string]any
		for line := range strings.Lines(text) {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("not a line of JSON: %q", line)
			}
			if m["msg"] == msg {
				found = append(found, m)
			}
		}
		if len(found) >= n {
			return found
		}
		select {
		case <-wrote:
		case <-deadline:
			t.Fatalf("%d lines %q came, not %d:\n%s", len(found), msg, n, text)
		}
	}
}

// fakeGateway is a listener whose sessions come out of a channel.
type fakeGateway struct {
	addr     string
	sessions chan *transport.Session
	stop     func()
}

var authority = sync.OnceValues(func() (tls.Certificate, string) {
	make := func(c, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, *x509.Certificate) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		if parent == nil {
			parent, parentKey = c, key
		}
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, parentKey)
		if err != nil {
			panic(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		return key, cert
	}
	caKey, ca := make(&x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil, nil)
	key, leaf := make(&x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, ca, caKey)
	sum := sha256.Sum256(ca.Raw)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, ca.Raw}, PrivateKey: key}, hex.EncodeToString(sum[:])
})

func startGateway(t *testing.T, authenticate func(context.Context, transport.Hello) error) *fakeGateway {
	t.Helper()
	return startGatewayAt(t, "127.0.0.1:0", authenticate)
}

func startGatewayAt(t *testing.T, addr string, authenticate func(context.Context, transport.Hello) error) *fakeGateway {
	t.Helper()
	if authenticate == nil {
		authenticate = func(context.Context, transport.Hello) error { return nil }
	}
	g := &fakeGateway{sessions: make(chan *transport.Session, 16)}
	cert, _ := authority()
	l, err := transport.Listen(addr, transport.ListenConfig{
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, GatewayID: "gw-1", Software: "9.9.9",
		Authenticate: func(ctx context.Context, h transport.Hello, _ string) (any, error) { return nil, authenticate(ctx, h) },
		OnSession:    func(s *transport.Session) { g.sessions <- s }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	g.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := l.Serve(ctx); err != nil {
			t.Errorf("serve agents: %v", err)
		}
	}()
	g.stop = func() { cancel(); receive(t, done) }
	t.Cleanup(g.stop)
	return g
}

func (g *fakeGateway) token() transport.Token {
	_, pin := authority()
	return transport.Token{Host: g.addr, PoolID: "01J0000000000000000000000P", Key: "the-pools-s3cret-key", CASHA256: pin}
}

// receive waits for a value, but not for ever. A closed channel gives many.
func receive[T any](t testing.TB, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(30 * time.Second):
		t.Error("nothing came within 30 s")
		panic("timeout")
	}
}

// bothCarriers runs the same test over QUIC and TCP.
func bothCarriers(t *testing.T, f func(t *testing.T, mode transport.Mode)) {
	for _, mode := range []transport.Mode{transport.ModeQUIC, transport.ModeTCP} {
		t.Run(string(mode), func(t *testing.T) { f(t, mode) })
	}
}
