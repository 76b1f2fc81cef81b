package network_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"vcsagent/test/servers"
	"vcsagent/test/stack"
)

// direct keeps the agent's own connection off the proxy in tests of its calls
// to the VCS.
func (s *site) direct() string { return "NO_PROXY=" + s.Gateway.Agents }

// call sends one call through a new agent, the only one, and returns the answer,
// its body and, when the agent has ended, the line about it in its log.
func (s *site) call(t *testing.T, env []string, args ...string) (*http.Response, string, stack.Line) {
	t.Helper()
	a, line := s.start(t, env, args...)
	if line.String("proxy") != "" {
		t.Fatalf("the session itself goes through a proxy: %v", line)
	}
	resp := s.Get(t, "/api/v4/user")
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	stop(t, a)
	assertNoPassword(t, a)
	return resp, string(body), a.AwaitLine(t, "a status code", func(l stack.Line) bool { return l["status_code"] != nil })
}

// Calls to a VCS without TLS take HTTP_PROXY and heed NO_PROXY.
func TestVCSThroughProxy(t *testing.T) {
	t.Parallel()
	s := newSite(t, stack.Options{})
	squid := servers.Squid(t, servers.SquidOptions{In: s.outside, Addr: s.outside.Addr, User: user, Password: password})
	dante := servers.Dante(t, servers.DanteOptions{In: s.outside, Addr: s.outside.Addr, User: user, Password: password})
	host := parse(t, s.VCSURL).Host
	for _, tc := range []struct {
		name string
		env  []string
		by   *servers.Proxy // nil for none
	}{
		{"no proxy", nil, nil},
		{"HTTP_PROXY", []string{"HTTP_PROXY=" + squid.URL}, squid},
		{"http_proxy", []string{"http_proxy=" + squid.URL}, squid},
		{"HTTP_PROXY is SOCKS5", []string{"HTTP_PROXY=" + dante.URL}, dante},
		{"HTTPS_PROXY", []string{"HTTPS_PROXY=" + squid.URL, s.direct()}, nil},
		{"NO_PROXY", []string{"HTTP_PROXY=" + squid.URL, "NO_PROXY=" + s.inside.Addr}, nil},
		{"NO_PROXY for another address", []string{"HTTP_PROXY=" + squid.URL, "NO_PROXY=" + s.outside.Addr}, squid},
		{"no_proxy", []string{"http_proxy=" + squid.URL, "no_proxy=" + host}, nil},
		{"no_proxy for another port", []string{"http_proxy=" + squid.URL, "no_proxy=" + s.inside.Addr + ":1"}, squid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines := map[*servers.Proxy]int{squid: mentions(squid, host), dante: mentions(dante, host)}
			if resp, body, line := s.call(t, tc.env); resp.StatusCode != http.StatusOK {
				t.Errorf("%s: %s %v", resp.Status, body, line)
			}
			for p, before := range lines {
				if p == tc.by {
					await(t, soon(), "the call in the proxy's log", func() bool { return mentions(p, host) > before })
				} else if n := mentions(p, host); n != before {
					t.Errorf("%s has seen the call:\n%s", p.URL, p.AccessLog())
				}
			}
		})
	}

	// The proxy's own refusal must not pass for the VCS's answer, and least of all
	// for the gateway's, which asks its callers for a password by 407 as well.
	wrong := strings.Replace(squid.URL, user, user+"x", 1)
	t.Run("a wrong password", func(t *testing.T) {
		resp, body, line := s.call(t, []string{"HTTP_PROXY=" + wrong})
		if resp.StatusCode != http.StatusBadGateway || resp.Header.Get("VCS-Agent-Error") != "vcs_unreachable" || resp.Header.Get("Proxy-Authenticate") != "" {
			t.Errorf("%s, %v: %s", resp.Status, resp.Header, body)
		}
		assertSays(t, "the log", line.String("error"), "proxy", "407")
	})
}

// Calls to a VCS with a certificate of the company's own CA: the CA adds to the
// system's roots, in either spelling, and the proxy stays in use.
func TestVCSCertificates(t *testing.T) {
	t.Parallel()
	own, other := newAuthority(t), newAuthority(t)
	s := newSite(t, stack.Options{VCSTLS: own.server(t, "198.18.0.1")})
	squid := servers.Squid(t, servers.SquidOptions{In: s.outside, Addr: s.outside.Addr, User: user, Password: password})
	host := parse(t, s.VCSURL).Host
	encoded := func(a *authority) string { return "--ca-cert=" + base64.StdEncoding.EncodeToString(a.pem) }
	file := func(a *authority) string { return "--ca-cert-file=" + a.file }
	both := base64.StdEncoding.EncodeToString(append(bytes.Clone(other.pem), own.pem...))
	const trusted, untrusted = http.StatusOK, http.StatusBadGateway
	for _, tc := range []struct {
		name   string
		args   []string
		system *authority // what the system trusts; nil for its usual roots
		status int
	}{
		{"no CA", nil, nil, untrusted},
		{"--ca-cert", []string{encoded(own)}, nil, trusted},
		{"--ca-cert with two", []string{"--ca-cert=" + both}, nil, trusted},
		{"--ca-cert of another", []string{encoded(other)}, nil, untrusted},
		{"--ca-cert-file", []string{file(own)}, nil, trusted},
		{"--ca-cert-file of another", []string{file(other)}, nil, untrusted},
		{"both settings", []string{encoded(other), file(own)}, nil, trusted},
		{"the system's roots", nil, own, trusted},
		{"the system's roots beside --ca-cert", []string{encoded(other)}, own, trusted},
		{"the system's roots beside --ca-cert-file", []string{file(other)}, own, trusted},
		{"other roots of the system", []string{file(other)}, other, untrusted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var env []string
			if tc.system != nil {
				env = append(env, "SSL_CERT_FILE="+tc.system.file)
			}
			for _, proxied := range []bool{false, true} {
				if proxied {
					env = append(env, "HTTPS_PROXY="+squid.URL, s.direct())
				}
				before := mentions(squid, "CONNECT "+host)
				resp, body, line := s.call(t, env, tc.args...)
				if resp.StatusCode != tc.status {
					t.Errorf("proxied %v: %s: %s", proxied, resp.Status, body)
				}
				if tc.status == untrusted {
					if code := resp.Header.Get("VCS-Agent-Error"); code != "vcs_unreachable" {
						t.Errorf("the code is %q: %s", code, body)
					}
					assertSays(t, "the log", line.String("error"), "certificate signed by unknown authority")
				}
				if proxied {
					await(t, soon(), "the CONNECT in squid's log", func() bool { return mentions(squid, "CONNECT "+host) == before+1 })
				} else if n := mentions(squid, host); n != before {
					t.Errorf("without HTTPS_PROXY squid has seen the call:\n%s", squid.AccessLog())
				}
			}
		})
	}

	wrong := strings.Replace(squid.URL, user, user+"x", 1)
	for _, tc := range []struct{ name, proxy, vcs, says string }{
		{"a wrong password", wrong, s.VCSURL, "wants a user and password, or other ones than HTTPS_PROXY has (407)"},
		{"a VCS that the proxy doesn't reach", squid.URL, "https://198.18.0.1:9", "refused CONNECT to 198.18.0.1:9: status 503"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			resp, body, line := s.call(t, []string{"HTTPS_PROXY=" + tc.proxy, s.direct()}, file(own), "--target-base-endpoint", tc.vcs)
			if resp.StatusCode != http.StatusBadGateway || resp.Header.Get("VCS-Agent-Error") != "vcs_unreachable" {
				t.Errorf("%s, %v: %s", resp.Status, resp.Header, body)
			}
			assertSays(t, "the log", line.String("error"), "proxy "+masked(t, tc.proxy), tc.says)
		})
	}
}

// mentions counts the lines of a proxy's log with a text, in squid's spelling of
// addresses or in danted's.
func mentions(p *servers.Proxy, text string) int {
	dotted := strings.ReplaceAll(text, ":", ".")
	n := 0
	for line := range strings.Lines(p.AccessLog()) {
		if strings.Contains(line, text) || strings.Contains(line, dotted) {
			n++
		}
	}
	return n
}
