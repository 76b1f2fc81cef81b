package transport

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/proxy"
)

// ProxySchemes are the schemes of a proxy URL that a [Dialer] can go through.
var ProxySchemes = []string{"http", "https", "socks5", "socks5h"}

func init() {
	// x/net/proxy brings SOCKS5 and the registry; the two forms of HTTP CONNECT join it.
	proxy.RegisterDialerType("http", newConnectDialer)
	proxy.RegisterDialerType("https", newConnectDialer)
}

// MaskProxy renders a proxy's URL for logs, its user and password hidden.
func MaskProxy(u *url.URL) string {
	if u == nil {
		return ""
	}
	c := *u
	if c.User != nil {
		c.User = url.UserPassword("xxxxx", "xxxxx")
	}
	return c.String()
}

// proxyDialer returns what dials through the proxy u, or directly for nil.
func proxyDialer(u *url.URL, direct *net.Dialer) (proxy.ContextDialer, error) {
	if u == nil {
		return direct, nil
	}
	d, err := proxy.FromURL(u, direct)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: its scheme must be one of %v", MaskProxy(u), ProxySchemes)
	}
	cd, ok := d.(proxy.ContextDialer)
	if !ok {
		return nil, fmt.Errorf("proxy %s: its dialer takes no context", MaskProxy(u))
	}
	return cd, nil
}

// connectDialer tunnels through an HTTP proxy with CONNECT (RFC 9110, section
// 9.3.6), itself reached in clear (http) or over TLS (https; verified against the
// system's roots).
type connectDialer struct {
	proxy   *url.URL
	forward proxy.Dialer
}

func newConnectDialer(u *url.URL, forward proxy.Dialer) (proxy.Dialer, error) {
	return &connectDialer{proxy: u, forward: forward}, nil
}

// Dial implements proxy.Dialer.
func (d *connectDialer) Dial(network, addr string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, addr)
}

// DialContext implements proxy.ContextDialer.
func (d *connectDialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	port := d.proxy.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[d.proxy.Scheme]
	}
	proxyAddr := net.JoinHostPort(d.proxy.Hostname(), port)
	fwd, ok := d.forward.(proxy.ContextDialer)
	if !ok {
		return nil, errors.New("the dialer below the proxy takes no context")
	}
	c, err := fwd.DialContext(ctx, network, proxyAddr)
	if err != nil {
		return nil, fmt.Errorf("reach proxy %s: %w", MaskProxy(d.proxy), err)
	}
	// The context bounds the exchange with the proxy; afterwards the conn is the caller's.
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	tunnel, err := d.connect(ctx, c, addr)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("proxy %s: %w", MaskProxy(d.proxy), err)
	}
	return tunnel, nil
}

func (d *connectDialer) connect(ctx context.Context, c net.Conn, addr string) (net.Conn, error) {
	if d.proxy.Scheme == "https" {
		t := tls.Client(c, &tls.Config{ServerName: d.proxy.Hostname(), NextProtos: []string{"http/1.1"}})
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS to the proxy: %w", err)
		}
		c = t
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{"User-Agent": {"vcs-agent"}}}
	if u := d.proxy.User; u != nil {
		password, _ := u.Password()
		req.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)))
	}
	if err := req.Write(c); err != nil {
		return nil, err
	}
	br := bufio.NewReader(io.LimitReader(c, MaxHeaderBytes))
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		return nil, fmt.Errorf("read its answer to CONNECT: %w", err)
	}
	switch {
	case resp.StatusCode == http.StatusProxyAuthRequired:
		return nil, errors.New("it wants a user and password, or other ones than the URL has (407)")
	case resp.StatusCode/100 != 2:
		return nil, fmt.Errorf("it refused CONNECT to %s: %s", addr, printable(resp.Status))
	case br.Buffered() > 0:
		// In TLS the client speaks first: this isn't the gateway's doing.
		return nil, errors.New("it sent data before the tunnel carried any")
	}
	return c, nil
}
