package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway"
)

// Each value that is allowed stands beside near-misses; Validate opens nothing.
func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*gateway.Config)
		wrong  string // the settings, sorted; "" for none
	}{
		{"as it is", func(c *gateway.Config) {}, ""},
		{"nothing at all", func(c *gateway.Config) { *c = gateway.Config{} }, "admin-listen,agent-listen,data-dir,http-listen,queue-timeout"},
		{"no metrics", func(c *gateway.Config) { c.MetricsListen = "" }, ""},
		{"a port alone", func(c *gateway.Config) { c.AgentListen = ":8443" }, ""},
		{"the highest port", func(c *gateway.Config) { c.AgentListen = ":65535" }, ""},
		{"a higher one", func(c *gateway.Config) { c.AgentListen = ":65536" }, "agent-listen"},
		{"a negative one", func(c *gateway.Config) { c.HTTPListen = "127.0.0.1:-1" }, "http-listen"},
		{"a port's name", func(c *gateway.Config) { c.AdminListen = "127.0.0.1:http" }, "admin-listen"},
		{"no port", func(c *gateway.Config) { c.MetricsListen = "127.0.0.1" }, "metrics-listen"},
		{"a URL", func(c *gateway.Config) { c.HTTPListen = "http://127.0.0.1:80" }, "http-listen"},
		{"IPv6", func(c *gateway.Config) { c.HTTPListen = "[::1]:80" }, ""},
		{"IPv6 without brackets", func(c *gateway.Config) { c.HTTPListen = "::1:80" }, "http-listen"},
		{"a public name", func(c *gateway.Config) { c.PublicAddress = "gw.example:8443" }, ""},
		{"a public name without a port", func(c *gateway.Config) { c.PublicAddress = "gw.example" }, "public-address"},
		{"a public port alone", func(c *gateway.Config) { c.PublicAddress = ":8443" }, "public-address"},
		{"a public port 0", func(c *gateway.Config) { c.PublicAddress = "gw.example:0" }, "public-address"},
		{"a public URL", func(c *gateway.Config) { c.PublicAddress = "https://gw.example:8443" }, "public-address"},
		{"a public address with a path", func(c *gateway.Config) { c.PublicAddress = "gw.example/x:8443" }, "public-address"},
		{"a public address with userinfo", func(c *gateway.Config) { c.PublicAddress = "u@gw.example:8443" }, "public-address"},
		{"a certificate without a key", func(c *gateway.Config) { c.TLSCert = "c.pem" }, "tls-cert"},
		{"a key without a certificate", func(c *gateway.Config) { c.HTTPTLSKey = "k.pem" }, "http-tls-cert"},
		{"both", func(c *gateway.Config) { c.AdminTLSCert, c.AdminTLSKey = "c.pem", "k.pem" }, ""},
		{"a proxy's name", func(c *gateway.Config) { c.PagesHost = "Gw-1.example" }, ""},
		{"a proxy's URL", func(c *gateway.Config) { c.PagesHost = "https://gw.example" }, "pages-host"},
		{"a proxy's name with a port", func(c *gateway.Config) { c.PagesHost = "gw.example:443" }, "pages-host"},
		{"no queue", func(c *gateway.Config) { c.QueueLength = 0 }, ""},
		{"less than none", func(c *gateway.Config) { c.QueueLength = -1 }, "queue-length"},
		{"the shortest wait", func(c *gateway.Config) { c.QueueTimeout = 1 }, ""},
		{"no wait", func(c *gateway.Config) { c.QueueTimeout = 0 }, "queue-timeout"},
		{"no grace", func(c *gateway.Config) { c.ShutdownGracePeriod = 0 }, ""},
		{"less than none", func(c *gateway.Config) { c.ShutdownGracePeriod = -time.Second }, "shutdown-grace-period"},
		{"PostgreSQL", func(c *gateway.Config) { c.Database = "postgres://u:p@h/d" }, ""},
		{"a file for PostgreSQL", func(c *gateway.Config) { c.Database = "gateway.db" }, "database"},
		{"another server", func(c *gateway.Config) { c.Database = "mysql://u:p@h/d" }, "database"},
		{"the least of a log", func(c *gateway.Config) { c.RequestLogMaxAge, c.RequestLogMaxRows = 1, 1 }, ""},
		{"less than none", func(c *gateway.Config) { c.RequestLogMaxAge, c.RequestLogMaxRows = -1, -1 }, "request-log-max-age,request-log-max-rows"},
		{"three at once", func(c *gateway.Config) { c.AgentListen, c.QueueLength, c.AdminTLSKey = "x", -1, "k" }, "admin-tls-cert,agent-listen,queue-length"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig(t)
			tt.change(&c)
			err := c.Validate()
			if got := words(settingsIn(err)); got != tt.wrong {
				t.Errorf("%q are wrong, want %q: %v", got, tt.wrong, err)
			}
			if err != nil {
				if _, newErr := gateway.New(t.Context(), c); newErr == nil || newErr.Error() != err.Error() {
					t.Errorf("New says %v, Validate %v", newErr, err)
				}
			}
		})
	}
}

// settingsIn lists the settings that an error names, sorted.
func settingsIn(err error) []string {
	var out []string
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) {
		case nil:
		case *gateway.SettingError:
			out = append(out, e.SettingName())
		case interface{ Unwrap() []error }:
			for _, e := range e.Unwrap() {
				walk(e)
			}
		default:
			out = append(out, "no setting: "+err.Error())
		}
	}
	walk(err)
	slices.Sort(out)
	return out
}

func TestSettingErrorIsASentence(t *testing.T) {
	for want, e := range map[string]*gateway.SettingError{
		`--http-listen is "x": it must be y`: {Setting: "http-listen", Value: "x", Problem: "it must be y"},
		`--data-dir: none is given`:          {Setting: "data-dir", Problem: "none is given"},
	} {
		if e.Error() != want {
			t.Errorf("%q, want %q", e, want)
		}
	}
}

// What can't be opened is named, with its value and why, all at once, and leaves
// nothing open behind: neither ports nor goroutines.
func TestNewSaysWhatItCannotOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("no folder and no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	inUse, inUseUDP := taken.Addr().String(), udp.LocalAddr().String()
	for _, tt := range []struct {
		name   string
		change func(*gateway.Config)
		wrong  string // settings
		says   []string
	}{
		{"agents' TCP port", func(c *gateway.Config) { c.AgentListen = inUse }, "agent-listen", []string{inUse, "address already in use"}},
		{"agents' UDP port", func(c *gateway.Config) { c.AgentListen = inUseUDP }, "agent-listen", []string{inUseUDP, "address already in use"}},
		{"callers' port", func(c *gateway.Config) { c.HTTPListen = inUse }, "http-listen", []string{inUse, "address already in use"}},
		{"admin port", func(c *gateway.Config) { c.AdminListen = inUse }, "admin-listen", []string{inUse, "address already in use"}},
		{"metrics port", func(c *gateway.Config) { c.MetricsListen = inUse }, "metrics-listen", []string{inUse, "address already in use"}},
		{"several", func(c *gateway.Config) { c.AgentListen, c.HTTPListen, c.MetricsListen = inUse, inUse, inUse }, "agent-listen,http-listen,metrics-listen", nil},
		{"no address of ours", func(c *gateway.Config) { c.HTTPListen = "192.0.2.1:80" }, "http-listen", []string{"cannot assign requested address"}},
		{"no host at all", func(c *gateway.Config) { c.HTTPListen = "no.such.host.invalid:80" }, "http-listen", []string{"no.such.host.invalid"}},
		{"a folder that is a file", func(c *gateway.Config) { c.DataDir = file }, "data-dir", []string{"not a directory"}},
		{"a folder in a file", func(c *gateway.Config) { c.DataDir = filepath.Join(file, "x") }, "data-dir", []string{"not a directory"}},
		{"a folder with something else as the database", func(c *gateway.Config) {
			os.WriteFile(filepath.Join(c.DataDir, "gateway.db"), []byte(strings.Repeat("no database ", 1000)), 0o600)
		}, "data-dir", []string{"gateway.db"}},
		{"a folder with something else as the CA", func(c *gateway.Config) {
			os.WriteFile(filepath.Join(c.DataDir, "ca.pem"), []byte("no certificate"), 0o600)
			os.WriteFile(filepath.Join(c.DataDir, "ca-key.pem"), []byte("no key"), 0o600)
		}, "data-dir", nil},
		{"a folder with a folder as the reset key", func(c *gateway.Config) { os.Mkdir(filepath.Join(c.DataDir, "reset-key"), 0o700) }, "data-dir", []string{"reset-key"}},
		{"a certificate that isn't there", func(c *gateway.Config) { c.TLSCert, c.TLSKey = file+"2", file }, "tls-cert", []string{"no such file"}},
		{"a certificate that is none", func(c *gateway.Config) { c.TLSCert, c.TLSKey = file, file }, "tls-cert", nil},
		{"callers' certificate", func(c *gateway.Config) { c.HTTPTLSCert, c.HTTPTLSKey = file, file }, "http-tls-cert", nil},
		{"admin certificate", func(c *gateway.Config) { c.AdminTLSCert, c.AdminTLSKey = file, file }, "admin-tls-cert", nil},
		{"a certificate and a port", func(c *gateway.Config) { c.TLSCert, c.TLSKey, c.AdminListen = file, file, inUse }, "admin-listen,tls-cert", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := testConfig(t)
			// Ports that a start that failed must have given back.
			c.AgentListen, c.HTTPListen, c.AdminListen, c.MetricsListen = freePort(t), freePort(t), freePort(t), freePort(t)
			ports := []string{c.AgentListen, c.HTTPListen, c.AdminListen, c.MetricsListen}
			tt.change(&c)
			g, err := gateway.New(t.Context(), c)
			if err == nil {
				t.Fatal("New takes it")
			}
			if got := words(settingsIn(err)); got != tt.wrong || g != nil {
				t.Errorf("%q are wrong, want %q; gateway %v: %v", got, tt.wrong, g != nil, err)
			}
			for _, s := range tt.says {
				if !strings.Contains(err.Error(), s) {
					t.Errorf("%q doesn't say %q", err, s)
				}
			}
			for _, p := range ports {
				l, err := net.Listen("tcp", p)
				if err != nil {
					t.Errorf("a port is left open: %v", err)
					continue
				}
				l.Close()
			}
		})
	}
}

// freePort is an address on which nobody listens, for now.
//
// It is on a loopback address that no other test uses: on 127.0.0.1 another
// program's connection could have taken it by the time that it is wanted.
func freePort(t *testing.T) string {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// The address in tokens is what was said, else what can be told.
func TestPublicAddress(t *testing.T) {
	hostname, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, public, listen, host string }{
		{"said", "gw.example:443", "127.0.0.1:0", "gw.example:443"},
		{"an address", "", "127.0.0.1:0", "127.0.0.1"},
		{"a name", "", "localhost:0", "localhost"},
		{"everywhere", "", ":0", hostname},
		{"everywhere on IPv4", "", "0.0.0.0:0", hostname},
		{"everywhere on IPv6", "", "[::]:0", hostname},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := start(t, func(c *gateway.Config) { c.PublicAddress, c.AgentListen = tt.public, tt.listen })
			want := tt.host
			if tt.public == "" {
				_, port, _ := net.SplitHostPort(f.Addr("agents"))
				want = net.JoinHostPort(tt.host, port)
			}
			token := f.TokenFor(f.pool, poolKey)
			if token.Host != want || token.PoolID != f.pool.ID || len(token.CASHA256) != 64 {
				t.Errorf("%+v, want the host %s", token, want)
			}
		})
	}
}

// A folder that is kept keeps what agents and commands know of the gateway.
func TestDataFolderIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	read := func() map[string]string {
		c := testConfig(t)
		c.DataDir = dir
		g, err := gateway.New(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		runOnce(t, g)
		out := map[string]string{}
		for _, name := range []string{"admin-key", "reset-key"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %v, %v", name, info, err)
			}
			out[name] = string(b)
		}
		out["pin"] = g.TokenFor(gatewayPool, "k").CASHA256
		return out
	}
	first, second := read(), read()
	for name, value := range first {
		if value == "" || second[name] != value {
			t.Errorf("%s became another", name)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info, err)
	}
	// A reset key that was cut short is made anew.
	if err := os.WriteFile(filepath.Join(dir, "reset-key"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if third := read(); len(third["reset-key"]) != 32 {
		t.Errorf("the reset key has %d bytes", len(third["reset-key"]))
	}
}
