package servers_test

import (
	"strings"
	"testing"

	"vcsagent/test/servers"
)

func TestProxy(t *testing.T) {
	target := origin(t)
	for _, tt := range []struct {
		name   string
		start  func(t *testing.T) *servers.Proxy
		scheme string
		auth   bool
	}{
		{"squid", func(t *testing.T) *servers.Proxy { return servers.Squid(t, servers.SquidOptions{}) }, "http://", false},
		{"squid with a password", func(t *testing.T) *servers.Proxy {
			return servers.Squid(t, servers.SquidOptions{User: "ci", Password: "pass word"})
		}, "http://", true},
		{"squid over TLS with a password", func(t *testing.T) *servers.Proxy {
			return servers.Squid(t, servers.SquidOptions{User: "ci", Password: "p@ss:/word", TLS: true})
		}, "https://", true},
		{"squid on an address of its own", func(t *testing.T) *servers.Proxy {
			return servers.Squid(t, servers.SquidOptions{Addr: servers.LocalAddress(t), TLS: true})
		}, "https://198.18.", false},
		{"dante", func(t *testing.T) *servers.Proxy { return servers.Dante(t, servers.DanteOptions{}) }, "socks5://", false},
		{"dante with a password", func(t *testing.T) *servers.Proxy {
			return servers.Dante(t, servers.DanteOptions{User: "ci", Password: "p@ss:/word"})
		}, "socks5://", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := tt.start(t)
			if !strings.HasPrefix(p.URL, tt.scheme) {
				t.Errorf("URL is %s, want %s…", p.URL, tt.scheme)
			}
			got, err := get(t, p, p.URL, target)
			if err != nil || got != "origin" {
				t.Errorf("through the proxy: %q, %v", got, err)
			}
			await(t, "the target in the access log", func() bool {
				log := p.AccessLog()
				return strings.Contains(log, target.Host) ||
					strings.Contains(log, target.Hostname()+"."+target.Port()) // as danted writes it
			})
			if !tt.auth {
				return
			}
			scheme, rest, _ := strings.Cut(p.URL, "://")
			user, addr, _ := strings.Cut(rest, "@")
			for name, url := range map[string]string{
				"nobody":           scheme + "://" + addr,
				"a wrong password": scheme + "://" + user + "x@" + addr,
				"a wrong user":     scheme + "://x" + user + "@" + addr,
			} {
				if got, err := get(t, p, url, target); err == nil {
					t.Errorf("%s was let through and got %q", name, got)
				}
			}
		})
	}
}

// Two proxies at once must not meet in shared memory, files or ports.
func TestProxiesSideBySide(t *testing.T) {
	target := origin(t)
	for range 2 {
		t.Run("one of two", func(t *testing.T) {
			t.Parallel()
			for _, p := range []*servers.Proxy{
				servers.Squid(t, servers.SquidOptions{User: "ci", Password: "secret"}),
				servers.Dante(t, servers.DanteOptions{User: "ci", Password: "secret"}),
			} {
				if got, err := get(t, p, p.URL, target); err != nil || got != "origin" {
					t.Errorf("through %s: %q, %v", p.URL, got, err)
				}
			}
		})
	}
}
