package transport

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
)

// ClientTLS returns how an agent with token t verifies its gateway, before it
// says anything: by the token's CA pin if there is one (then by nothing else),
// else by the PEM roots given, else by the system's. The name is the token's
// host in every case. Its error is for a bundle without certificates or a host
// that isn't host:port.
func ClientTLS(t Token, rootsPEM []byte) (*tls.Config, error) {
	host, _, err := net.SplitHostPort(t.Host)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: host}
	switch {
	case t.CASHA256 != "":
		pin, err := hex.DecodeString(t.CASHA256)
		if err != nil || len(pin) != sha256.Size {
			return nil, errors.New("the token's ca_sha256 is not the hex form of a SHA-256")
		}
		c.InsecureSkipVerify = true // in favour of VerifyConnection, which checks chain, name and pin
		c.VerifyConnection = verifyPinned([sha256.Size]byte(pin), host)
	case rootsPEM != nil:
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(rootsPEM) {
			return nil, errors.New("no PEM certificate in it")
		}
	}
	return c, nil
}

// verifyPinned checks that the presented chain leads from the leaf, for this
// name, to the certificate whose SHA-256 is pinned. The gateway sends that
// certificate along; any other one it sends can only be an intermediate.
func verifyPinned(pin [sha256.Size]byte, host string) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return errors.New("the gateway presented no certificate")
		}
		opts := x509.VerifyOptions{DNSName: host, Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
		found := false
		for _, c := range cs.PeerCertificates {
			if sha256.Sum256(c.Raw) == pin {
				if !c.BasicConstraintsValid || !c.IsCA {
					return errors.New("the certificate that the token pins is not a CA's")
				}
				opts.Roots.AddCert(c)
				found = true
			} else {
				opts.Intermediates.AddCert(c)
			}
		}
		if !found {
			return errors.New("the gateway's certificate chain lacks the CA that the token pins: this is another gateway, or something between intercepts TLS")
		}
		if _, err := cs.PeerCertificates[0].Verify(opts); err != nil {
			return fmt.Errorf("verify the gateway's certificate against the token's pin: %w", err)
		}
		return nil
	}
}

// withALPN returns a copy of c that speaks exactly one of the carriers.
func withALPN(c *tls.Config, alpn string) *tls.Config {
	c = c.Clone()
	c.NextProtos = []string{alpn}
	c.MinVersion = tls.VersionTLS13
	return c
}
