package agent

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"vcsagent/transport"
)

const (
	// vcsDialTimeout bounds the TCP connection and, separately, the TLS handshake with the VCS.
	vcsDialTimeout = 15 * time.Second
	// vcsHeaderBytes bounds an answer's headers, well below what the carriers take.
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
