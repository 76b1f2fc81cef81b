package network_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"vcsagent/test/servers"
	"vcsagent/test/stack"
)

const (
	user     = "agent-user"
	password = "p@ss:/w%rd" // nothing of it survives in a URL as it is
)

// proxyKind is one of the kinds of proxies that HTTPS_PROXY may name.
type proxyKind struct {
	name  string
	start func(t *testing.T, s *site, user, password string) *servers.Proxy
}

var proxyKinds = []proxyKind{
	{"squid", func(t *testing.T, s *site, user, password string) *servers.Proxy {
		return servers.Squid(t, servers.SquidOptions{In: s.outside, Addr: s.outside.Addr, User: user, Password: password})
	}},
	{"squid over TLS", func(t *testing.T, s *site, user, password string) *servers.Proxy {
		return servers.Squid(t, servers.SquidOptions{In: s.outside, Addr: s.outside.Addr, User: user, Password: password, TLS: true})
	}},
	{"dante", func(t *testing.T, s *site, user, password string) *servers.Proxy {
		return servers.Dante(t, servers.DanteOptions{In: s.outside, Addr: s.outside.Addr, User: user, Password: password})
	}},
}

// proxyEnv is the environment that sends an agent through a proxy.
func proxyEnv(p *servers.Proxy, proxyURL string) []string {
	env := []string{"HTTPS_PROXY=" + proxyURL}
	if p.CAFile != "" {
		env = append(env, "SSL_CERT_FILE="+p.CAFile)
	}
	return env
}

// Through each kind of proxy, with and without a password, the agent serves; it
// tries no UDP, though UDP works, and says why.
func TestGatewayThroughProxy(t *testing.T) {
	for _, kind := range proxyKinds {
		for _, auth := range []struct{ name, user, password string }{{"", "", ""}, {" with a password", user, password}} {
			t.Run(kind.name+auth.name, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, stack.Options{})
				p := kind.start(t, s, auth.user, auth.password)
				before := datagrams(t, s.inside)
				a, line := s.start(t, proxyEnv(p, p.URL), withGit)
				assertCarrier(t, line, "tcp")
				assertSays(t, "why", line.String("why"), "HTTPS_PROXY applies to the gateway")
				if got, want := line.String("proxy"), masked(t, p.URL); got != want {
					t.Errorf("the proxy is %q, want %q", got, want)
				}
				s.assertServes(t)
				stop(t, a) // squid logs a tunnel at its end
				awaitInAccessLog(t, p, s.Gateway.Agents)
				if sent := datagrams(t, s.inside) - before; sent != 0 {
					t.Errorf("%d datagrams were sent", sent)
				}
				assertNoPassword(t, a)
			})
		}
	}
}

// What a proxy or the agent refuses is told in a sentence, by the proxy's
// address; the password isn't in it. The agent doesn't go round the proxy.
func TestProxyRefuses(t *testing.T) {
	for _, kind := range proxyKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, stack.Options{})
			p := kind.start(t, s, user, password)
			wrong, nobody, gone := parse(t, p.URL), parse(t, p.URL), parse(t, p.URL)
			wrong.User = url.UserPassword(user, password+"x")
			nobody.User = nil
			gone.Host = s.outside.Addr + ":9"
			rejected := map[string]string{
				"squid": "wants a user and password, or other ones than the URL has (407)", "squid over TLS": "wants a user and password, or other ones than the URL has (407)",
				"dante": "username/password authentication failed",
			}[kind.name]
			unasked := rejected
			if kind.name == "dante" {
				unasked = "no acceptable authentication methods"
			}
			for _, tc := range []struct {
				name string
				env  []string
				addr string
				says string
			}{
				{"a wrong password", proxyEnv(p, wrong.String()), p.Addr, rejected},
				{"no password", proxyEnv(p, nobody.String()), p.Addr, unasked},
				{"no proxy there", proxyEnv(p, gone.String()), gone.Host, "connection refused"},
				{"an untrusted certificate", []string{"HTTPS_PROXY=" + p.URL}, p.Addr, "certificate signed by unknown authority"},
			} {
				if tc.name == "an untrusted certificate" && p.CAFile == "" {
					continue
				}
				t.Run(tc.name, func(t *testing.T) {
					before := datagrams(t, s.inside)
					a := s.launch(t, tc.env)
					line := a.Await(t, notConnected)
					t.Log(line.String("error"))
					if line.String("level") != "warn" {
						t.Errorf("the level is %q, want warn", line.String("level"))
					}
					assertSays(t, "the error", line.String("error"), "proxy", tc.addr, tc.says)
					if sent := datagrams(t, s.inside) - before; sent != 0 {
						t.Errorf("%d datagrams were sent", sent)
					}
					stop(t, a)
					assertNoPassword(t, a)
				})
			}
		})
	}
}

// masked is a proxy's URL as the log may show it.
func masked(t *testing.T, proxyURL string) string {
	t.Helper()
	u := parse(t, proxyURL)
	if u.User != nil {
		u.User = url.UserPassword("xxxxx", "xxxxx")
	}
	return u.String()
}

func parse(t *testing.T, rawURL string) *url.URL {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// assertNoPassword wants the agent's whole log, debug lines included, free of
// the proxy's password in any of its forms.
func assertNoPassword(t *testing.T, a *stack.Agent) {
	t.Helper()
	log := a.Log()
	for _, form := range []string{
		password, url.QueryEscape(password), url.PathEscape(password), url.UserPassword("", password).String(),
		base64.StdEncoding.EncodeToString([]byte(user + ":" + password)),
	} {
		if strings.Contains(log, strings.TrimPrefix(form, ":")) {
			t.Errorf("the log has the password as %q:\n%s", form, log)
		}
	}
}

// awaitInAccessLog waits until the proxy's own log names a target, host:port.
func awaitInAccessLog(t *testing.T, p *servers.Proxy, target string) {
	t.Helper()
	i := strings.LastIndexByte(target, ':')
	await(t, soon(), "the proxy's log names "+target, func() bool {
		log := p.AccessLog()
		return strings.Contains(log, target) || strings.Contains(log, target[:i]+"."+target[i+1:]) // as danted writes it
	})
}
