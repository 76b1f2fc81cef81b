//go:debug x509usefallbackroots=1

package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"vcsagent/transport"
)

// systemCA stands for the system's roots in this test binary.
var systemCA = issue(nil, func(c *x509.Certificate) { c.Subject.CommonName = "system CA"; c.IsCA = true })

func init() {
	pool := x509.NewCertPool()
	pool.AddCert(systemCA.cert)
	x509.SetFallbackRoots(pool)
}

type issued struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate for gateway.test, self-signed without a parent.
func issue(parent *issued, change func(*x509.Certificate)) *issued {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "gateway"}, DNSNames: []string{"gateway.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if change != nil {
		change(c)
	}
	if c.IsCA {
		c.KeyUsage, c.ExtKeyUsage, c.DNSNames, c.IPAddresses = x509.KeyUsageCertSign, nil, nil, nil
	}
	by, byKey := c, key
	if parent != nil {
		by, byKey = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return &issued{cert, key}
}

func (i *issued) pin() string {
	sum := sha256.Sum256(i.cert.Raw)
	return hex.EncodeToString(sum[:])
}

func (i *issued) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw})
}

// chain is what a server presents: the leaf and what it sends along.
func chain(leaf *issued, more ...*issued) tls.Certificate {
	c := tls.Certificate{Certificate: [][]byte{leaf.cert.Raw}, PrivateKey: leaf.key}
	for _, m := range more {
		c.Certificate = append(c.Certificate, m.cert.Raw)
	}
	return c
}

func TestTrust(t *testing.T) {
	const host = "gateway.test:8443"
	caOf := func(name string) *issued {
		return issue(nil, func(c *x509.Certificate) { c.Subject.CommonName = name; c.IsCA = true })
	}
	ca, other := caOf("own CA"), caOf("own CA") // the same name, another key
	leaf := issue(ca, nil)
	between := issue(ca, func(c *x509.Certificate) { c.Subject.CommonName = "intermediate"; c.IsCA = true })
	noCA := issue(ca, func(c *x509.Certificate) { c.Subject.CommonName = "no authority" })
	self := issue(nil, nil)
	expiredCA := issue(nil, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.NotAfter = "old CA", true, time.Now().Add(-time.Minute)
	})
	pin := func(c *issued) transport.Token { return transport.Token{Host: host, CASHA256: c.pin()} }
	for _, tc := range []struct {
		name  string
		token transport.Token
		roots []byte
		shown tls.Certificate
		want  string // in the error; "" for a good gateway
	}{
		{"the pinned CA", pin(ca), nil, chain(leaf, ca), ""},
		{"the pinned CA, by way of an intermediate", pin(ca), nil, chain(issue(between, nil), between, ca), ""},
		{"the pinned CA among others", pin(ca), nil, chain(leaf, other, ca), ""},
		{"a pinned intermediate CA", pin(between), nil, chain(issue(between, nil), between), ""},
		{"another CA of the same name", pin(ca), nil, chain(issue(other, nil), other), "lacks the CA that the token pins"},
		{"another CA's leaf with the pinned CA along", pin(ca), nil, chain(issue(other, nil), other, ca), "verify the gateway's certificate against the token's pin"},
		{"the pinned CA not sent", pin(ca), nil, chain(leaf), "lacks the CA that the token pins"},
		{"a leaf that the system would trust", pin(ca), nil, chain(issue(systemCA, nil), systemCA), "lacks the CA that the token pins"},
		{"another name", pin(ca), nil, chain(issue(ca, func(c *x509.Certificate) { c.DNSNames = []string{"other.test"} }), ca), "certificate is valid for other.test, not gateway.test"},
		{"an address in place of the name", pin(ca), nil, chain(issue(ca, func(c *x509.Certificate) { c.DNSNames = nil }), ca), "doesn't contain any IP SANs|not gateway.test|not valid for any names"},
		{"an expired leaf", pin(ca), nil, chain(issue(ca, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), ca), "expired"},
		{"a leaf of the future", pin(ca), nil, chain(issue(ca, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), ca), "not yet valid"},
		{"an expired CA", pin(expiredCA), nil, chain(issue(expiredCA, nil), expiredCA), "expired"},
		{"a leaf for clients", pin(ca), nil, chain(issue(ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), ca), "incompatible key usage"},
		{"a pinned certificate that is no CA", pin(noCA), nil, chain(issue(noCA, nil), noCA), "is not a CA's"},
		{"the leaf itself pinned", pin(leaf), nil, chain(leaf, ca), "is not a CA's"},
		{"a pinned self-signed leaf", pin(self), nil, chain(self), "is not a CA's"},

		{"roots from a file", transport.Token{Host: host}, ca.pem(), chain(leaf), ""},
		{"two roots from a file", transport.Token{Host: host}, append(other.pem(), ca.pem()...), chain(leaf), ""},
		{"roots from a file, another CA", transport.Token{Host: host}, other.pem(), chain(leaf, ca), "unknown authority"},
		{"roots from a file, a leaf that the system would trust", transport.Token{Host: host}, ca.pem(), chain(issue(systemCA, nil)), "unknown authority"},
		{"roots from a file, another name", transport.Token{Host: "other.test:8443"}, ca.pem(), chain(leaf), "not other.test"},
		{"roots from a file beside a pin", pin(other), ca.pem(), chain(leaf, ca), "lacks the CA that the token pins"},

		{"the system's roots", transport.Token{Host: host}, nil, chain(issue(systemCA, nil)), ""},
		{"the system's roots, another CA", transport.Token{Host: host}, nil, chain(leaf, ca), "unknown authority"},
		{"the system's roots, another name", transport.Token{Host: "other.test:8443"}, nil, chain(issue(systemCA, nil)), "not other.test"},
		{"the system's roots, by address", transport.Token{Host: "127.0.0.1:8443"}, nil, chain(issue(systemCA, nil)), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg, err := transport.ClientTLS(tc.token, tc.roots)
			if err != nil {
				t.Fatal(err)
			}
			err = handshake(t, cfg, &tls.Config{Certificates: []tls.Certificate{tc.shown}})
			if tc.want == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("trusted")
			}
			for part := range strings.SplitSeq(tc.want, "|") {
				if strings.Contains(err.Error(), part) {
					return
				}
			}
			t.Errorf("refused with %v, want %s", err, tc.want)
		})
	}
}

// handshake returns what the client said of the server.
func handshake(t *testing.T, client, server *tls.Config) error {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		raw, err := l.Accept()
		if err != nil {
			return
		}
		defer raw.Close()
		c := tls.Server(raw, server)
		if c.Handshake() == nil {
			c.Read(make([]byte, 1)) // the client's verdict
		}
	}()
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	err = tls.Client(raw, client).HandshakeContext(t.Context())
	raw.Close()
	receive(t, done)
	return err
}

func TestTrustNeedsTLS13(t *testing.T) {
	for _, token := range []transport.Token{{Host: "gateway.test:1"}, {Host: "gateway.test:1", CASHA256: systemCA.pin()}} {
		cfg, err := transport.ClientTLS(token, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := handshake(t, cfg, &tls.Config{Certificates: []tls.Certificate{chain(issue(systemCA, nil), systemCA)}, MaxVersion: tls.VersionTLS12}); err == nil {
			t.Error("TLS 1.2 was taken")
		}
	}
}

func TestClientTLSRefuses(t *testing.T) {
	for _, tc := range []struct {
		name  string
		token transport.Token
		roots []byte
		want  string
	}{
		{"host without port", transport.Token{Host: "h"}, nil, "missing port"},
		{"short pin", transport.Token{Host: "h:1", CASHA256: "00"}, nil, "ca_sha256"},
		{"empty bundle", transport.Token{Host: "h:1"}, []byte{}, "no PEM certificate"},
		{"bundle without certificate", transport.Token{Host: "h:1"}, []byte("text"), "no PEM certificate"},
	} {
		if _, err := transport.ClientTLS(tc.token, tc.roots); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}
