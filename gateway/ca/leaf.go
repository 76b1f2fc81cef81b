package ca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// leafLife is how long a certificate issued under the CA is valid. It is
// replaced when a third of that is left, so an agent with a clock ten days fast
// still connects.
const leafLife = 30 * 24 * time.Hour

// TLSConfig returns a server's configuration (TLS 1.3) with a certificate for
// the given DNS names and IP addresses, issued in memory and replaced while the
// server runs. The chain includes the CA's certificate, which is what a client
// with a pin looks for. Application protocols are the caller's to set.
//
// It fails when names is empty or holds something that can't be in a
// certificate.
func (ca *CA) TLSConfig(names []string) (*tls.Config, error) {
	template, err := leafTemplate(names)
	if err != nil {
		return nil, err
	}
	l := &leaf{ca: ca, template: template}
	if _, err := l.get(nil); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: l.get,
		// Agents dial rarely; a ticket would only outlive the certificate.
		SessionTicketsDisabled: true,
	}, nil
}

func leafTemplate(names []string) (*x509.Certificate, error) {
	if len(names) == 0 {
		return nil, errors.New("the gateway's certificate needs at least one host name or IP address")
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "vcs-gateway"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, ip.AsSlice())
		} else if name == "" {
			return nil, errors.New("the gateway's certificate can't be for an empty name")
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return template, nil
}

// leaf is the certificate in use for one set of names.
type leaf struct {
	ca       *CA
	template *x509.Certificate

	mu      sync.Mutex
	cert    *tls.Certificate
	renewAt time.Time
}

// get is a [tls.Config]'s GetCertificate.
func (l *leaf) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now(); l.cert == nil || now.After(l.renewAt) {
		cert, err := l.ca.issue(*l.template, now)
		if err != nil {
			return nil, fmt.Errorf("issue the gateway's certificate: %w", err)
		}
		l.cert = cert
		l.renewAt = now.Add(cert.Leaf.NotAfter.Sub(now) * 2 / 3)
	}
	return l.cert, nil
}

// issue makes a key and a certificate for it, valid from now for leafLife, but
// not longer than the CA.
func (ca *CA) issue(template x509.Certificate, now time.Time) (*tls.Certificate, error) {
	if err := checkTime(ca.cert); err != nil {
		return nil, err
	}
	template.NotBefore = now.Add(-clockSkew)
	template.NotAfter = now.Add(leafLife)
	if template.NotAfter.After(ca.cert.NotAfter) {
		template.NotAfter = ca.cert.NotAfter
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der, ca.cert.Raw}, PrivateKey: key, Leaf: cert}, nil
}
