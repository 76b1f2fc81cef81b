package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"vcsagent/transport"
)

const (
	// vcsDialTimeout bounds the TCP connection and, separately, the TLS handshake with the VCS.
	vcsDialTimeout = 15 * time.Second
	// vcsHeaderBytes bounds an answer's headers, as HTTP/1 and as the carriers count
	// them, well below what those take.
	vcsHeaderBytes = transport.MaxHeaderBytes / 2
)

// newUpstream returns the client for the VCS: HTTP(S)_PROXY and NO_PROXY apply
// with and without CAs of the customer's own, which add to the system's.
func newUpstream(cfg Config) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: vcsDialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    vcsDialTimeout,
		ResponseHeaderTimeout:  cfg.VCSTimeout,
		MaxResponseHeaderBytes: vcsHeaderBytes,
		MaxIdleConnsPerHost:    cfg.Parallelism,
		IdleConnTimeout:        90 * time.Second,
		DisableCompression:     true, // the caller's Accept-Encoding goes along as it is
		ForceAttemptHTTP2:      true,
		// Else a connection whose path has died would take every request
		// with it until the kernel gives it up, a quarter of an hour later.
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 10 * time.Second, PingTimeout: 10 * time.Second, WriteByteTimeout: 30 * time.Second},
		OnProxyConnectResponse: checkConnect,
	}
	extra, err := vcsCAs(cfg)
	if err != nil {
		return nil, err
	}
	if extra != nil {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool() // none on this system: then only the customer's
		}
		for _, c := range extra {
			roots.AddCert(c)
		}
		t.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return t, nil
}

// checkConnect says more about a proxy's refusal of a CONNECT than net/http,
// which gives the status's text alone.
func checkConnect(_ context.Context, proxy *url.URL, req *http.Request, resp *http.Response) error {
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusProxyAuthRequired:
		return fmt.Errorf("proxy %s: it wants a user and password, or other ones than HTTPS_PROXY has (407)", transport.MaskProxy(proxy))
	}
	return fmt.Errorf("proxy %s: it refused CONNECT to %s: status %d", transport.MaskProxy(proxy), req.Host, resp.StatusCode)
}

// vcsCAs reads --ca-cert and --ca-cert-file.
func vcsCAs(cfg Config) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	if cfg.CACert != "" {
		encoded := strings.TrimRight(strings.Join(strings.Fields(cfg.CACert), ""), "=")
		bundle, err := base64.RawStdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, &SettingError{Setting: "ca-cert", Problem: "it is not base64"}
		}
		certs, err := ParseCABundle(bundle)
		if err != nil {
			return nil, &SettingError{Setting: "ca-cert", Problem: err.Error()}
		}
		all = append(all, certs...)
	}
	if cfg.CACertFile != "" {
		bundle, err := os.ReadFile(cfg.CACertFile)
		if err != nil {
			return nil, &SettingError{"ca-cert-file", cfg.CACertFile, err.Error()}
		}
		certs, err := ParseCABundle(bundle)
		if err != nil {
			return nil, &SettingError{"ca-cert-file", cfg.CACertFile, err.Error()}
		}
		all = append(all, certs...)
	}
	return all, nil
}
