package transport_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vcsagent/transport"
)

// silence is how long the package waits for a silent peer in these tests.
const silence = 3 * time.Second

func TestMain(m *testing.M) {
	transport.SetHandshakeTimeout(silence)
	goleak.VerifyTestMain(m)
}

// authority is a CA and a certificate for 127.0.0.1, made once per test run.
type authority struct {
	tls *tls.Config
	pin string
}

var testAuthority = sync.OnceValue(func() authority { return newAuthority("127.0.0.1") })

func newAuthority(ip string) authority {
	caKey, caDER := mustCert(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}, nil, nil)
	ca, _ := x509.ParseCertificate(caDER)
	key, der := mustCert(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "gateway"}, IPAddresses: []net.IP{net.ParseIP(ip)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}, ca, caKey)
	sum := sha256.Sum256(caDER)
	return authority{
		tls: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der, caDER}, PrivateKey: key}}},
		pin: hex.EncodeToString(sum[:]),
	}
}

func mustCert(tmpl, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	if parent == nil {
		parent, parentKey = tmpl, key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, parentKey)
	if err != nil {
		panic(err)
	}
	return key, der
}

// gateway is a listener whose sessions come out of a channel.
type gateway struct {
	addr     string
	sessions chan *transport.Session
	refused  chan error
}

func startGateway(t testing.TB, authenticate func(context.Context, transport.Hello) error) *gateway {
	t.Helper()
	if authenticate == nil {
		authenticate = func(context.Context, transport.Hello) error { return nil }
	}
	g := &gateway{sessions: make(chan *transport.Session, 16), refused: make(chan error, 256)}
	l, err := transport.Listen("127.0.0.1:0", transport.ListenConfig{
		TLS: testAuthority().tls, GatewayID: "gw-test", Software: "test",
		Authenticate: func(ctx context.Context, h transport.Hello, remote string) (any, error) {
			return remote, authenticate(ctx, h)
		},
		OnSession: func(s *transport.Session) { g.sessions <- s },
		OnRefused: func(_ transport.Carrier, err error) {
			select {
			case g.refused <- err:
			default:
			}
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	g.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := receive(t, done); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return g
}

func (g *gateway) token() transport.Token {
	return transport.Token{Host: g.addr, PoolID: "pool", Key: "secret-key", CASHA256: testAuthority().pin}
}

func dial(t testing.TB, g *gateway, mode transport.Mode, parallelism int) *transport.Link {
	t.Helper()
	link, err := dialer(t, g, mode, parallelism).Dial(t.Context(), g.addr)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

func dialer(t testing.TB, g *gateway, mode transport.Mode, parallelism int) *transport.Dialer {
	t.Helper()
	cfg, err := transport.ClientTLS(g.token(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &transport.Dialer{Mode: mode, TLS: cfg, Parallelism: parallelism, Logger: slog.New(slog.DiscardHandler)}
}

func testHello(parallelism int) transport.Hello {
	return transport.Hello{PoolID: "pool", Key: "secret-key", Instance: "i1", Software: "test", Vendor: "gitlab", Parallelism: parallelism}
}

// connect joins an agent that runs h to a gateway and returns the gateway's end.
func connect(t testing.TB, mode transport.Mode, parallelism int, h http.Handler) *transport.Session {
	t.Helper()
	g := startGateway(t, nil)
	s, _ := join(t, g, mode, parallelism, h)
	return s
}

// join adds an agent to a gateway; the channel gives the result of its Serve.
func join(t testing.TB, g *gateway, mode transport.Mode, parallelism int, h http.Handler) (*transport.Session, <-chan error) {
	t.Helper()
	link := dial(t, g, mode, parallelism)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		served <- link.Serve(ctx, transport.Server{Hello: testHello(parallelism), Handler: h})
		close(ended)
	}()
	t.Cleanup(func() { cancel(); receive(t, ended) })
	return receive(t, g.sessions), served
}

// receive waits for a value, but not for ever.
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
