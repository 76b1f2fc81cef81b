package servers

import (
	"net/url"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// Proxy is a running proxy server.
type Proxy struct {
	*Process

	// URL is what HTTPS_PROXY wants: scheme, user and password if the proxy
	// asks for them, host and port.
	URL string
	// Addr is the proxy's IP address and port.
	Addr string
	// CAFile is the PEM file of the CA that an HTTPS proxy's certificate
	// chains to; empty for other proxies.
	CAFile string

	accessLog func() string
}

// AccessLog returns the proxy's own record of what went through it so far, and
// of what it refused. Squid writes a tunnel's line when the tunnel ends.
func (p *Proxy) AccessLog() string { return p.accessLog() }

func proxyURL(scheme, addr, user, password string) string {
	u := url.URL{Scheme: scheme, Host: addr}
	if user != "" {
		u.User = url.UserPassword(user, password)
	}
	return u.String()
}

// hash returns a password in the form of crypt(3), as cheap as bcrypt can be.
func hash(t testing.TB, password string) string {
	t.Helper()
	h, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatalf("hash the proxy's password: %v", err)
	}
	return string(h)
}
