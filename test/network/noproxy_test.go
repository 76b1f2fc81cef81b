package network_test

import (
	"testing"

	"vcsagent/test/servers"
	"vcsagent/test/stack"
)

// NO_PROXY decides whether the proxy applies to the gateway: if not, it's as if
// there were none, QUIC included. Each entry that matches stands beside one that
// just doesn't.
func TestNoProxy(t *testing.T) {
	t.Parallel()
	const name, address = "gateway.corp.test", "198.18.0.2"
	own := newAuthority(t)
	cert, key := own.issue(t, name, address)
	s := newSite(t, stack.Options{GatewayArgs: []string{
		"--tls-cert", cert, "--tls-key", key, "--public-address", name + ":8443", "--agent-listen", address + ":8443"}})
	squid := servers.Squid(t, servers.SquidOptions{
		In: s.outside, Addr: s.outside.Addr, User: user, Password: password, Hosts: map[string]string{name: address}})

	const proxied, direct = "tcp", "quic"
	for _, tc := range []struct {
		host    string // in the token
		noProxy string
		carrier string
	}{
		{name, "", proxied},
		{name, "gateway.corp.test", direct},
		{name, "ateway.corp.test", proxied},
		{name, "GATEWAY.corp.test", direct},
		{name, "corp.test", direct},
		{name, ".corp.test", direct},
		{name, "*.corp.test", direct},
		{name, ".gateway.corp.test", proxied},
		{name, ".test2, .corp.test", direct},
		{name, ".test2, .corp2.test", proxied},
		{name, "gateway.corp.test:8443", direct},
		{name, "gateway.corp.test:443", proxied},
		{name, ".corp.test:8443", direct},
		{name, ".corp.test:443", proxied},
		{name, "*", direct},
		{name, "198.18.0.0/30", proxied}, // a name isn't looked up for this
		{address, "198.18.0.2", direct},
		{address, "198.18.0.3", proxied},
		{address, "198.18.0.2:8443", direct},
		{address, "198.18.0.2:443", proxied},
		{address, "198.18.0.0/30", direct},
		{address, "198.18.0.4/30", proxied},
		{address, "10.0.0.0/8,198.18.0.0/15", direct},
		{address, "corp.test", proxied},
	} {
		t.Run(tc.host+" NO_PROXY="+tc.noProxy, func(t *testing.T) {
			t.Parallel()
			for _, variables := range [][2]string{{"HTTPS_PROXY", "NO_PROXY"}, {"https_proxy", "no_proxy"}} {
				a := s.LaunchAgent(t, stack.AgentOptions{
					In: s.inside, Args: []string{"--gateway-ca-file", own.file}, Hosts: map[string]string{name: address},
					Env: []string{tokenEnv(reworded(t, s.Token, map[string]string{"host": tc.host + ":8443"})),
						variables[0] + "=" + squid.URL, variables[1] + "=" + tc.noProxy},
				})
				line := a.Await(t, connected)
				assertCarrier(t, line, tc.carrier)
				want := ""
				if tc.carrier == proxied {
					want = masked(t, squid.URL)
				}
				if got := line.String("proxy"); got != want {
					t.Errorf("with %s the proxy is %q, want %q", variables[0], got, want)
				}
				stop(t, a)
			}
		})
	}
}

// HTTP_PROXY is for http URLs: the gateway isn't one. And a carrier that was
// chosen decides over the proxy where it can't use one.
func TestProxyDoesNotApply(t *testing.T) {
	t.Parallel()
	s := newSite(t, stack.Options{})
	squid := servers.Squid(t, servers.SquidOptions{In: s.outside, Addr: s.outside.Addr})
	for _, tc := range []struct {
		name, variable, transport, carrier string
		proxied                            bool
	}{
		{"HTTP_PROXY", "HTTP_PROXY", "auto", "quic", false},
		{"HTTPS_PROXY", "HTTPS_PROXY", "auto", "tcp", true},
		{"HTTPS_PROXY and TCP alone", "HTTPS_PROXY", "tcp", "tcp", true},
		{"HTTPS_PROXY and QUIC alone", "HTTPS_PROXY", "quic", "quic", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, line := s.start(t, []string{tc.variable + "=" + squid.URL}, "--transport", tc.transport)
			assertCarrier(t, line, tc.carrier)
			if got := line.String("proxy"); (got != "") != tc.proxied {
				t.Errorf("the proxy is %q; want one: %v", got, tc.proxied)
			}
		})
	}
}
