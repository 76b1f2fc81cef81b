package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// Config is everything the gateway needs to know. Only cmd/vcs-gateway fills it
// from flags, environment and file.
type Config struct {
	DataDir string // SQLite database, CA and admin key; made with mode 0700 if it isn't there; required

	// Database is the URL of a PostgreSQL database; "" means a SQLite file in
	// DataDir.
	Database transport.Secret

	AgentListen   string // host:port for agents, on UDP and TCP; required
	HTTPListen    string // host:port for callers; required
	AdminListen   string // host:port for the API; required
	MetricsListen string // host:port for /metrics, /livez, /readyz; "" serves none

	// PublicAddress is the host:port at which agents reach AgentListen; it goes
	// into tokens and the gateway's own certificate. "" means AgentListen's
	// host, or this machine's name where that is empty, and AgentListen's port.
	PublicAddress string

	TLSCert, TLSKey           string // PEM files for the agents' listener; both "" uses a CA of the gateway's own, pinned in tokens
	HTTPTLSCert, HTTPTLSKey   string // PEM files for the callers' listener; both "" serves it in clear
	AdminTLSCert, AdminTLSKey string // PEM files for the admin listener; both "" serves it in clear

	PagesHost string // the name under which a proxy with a certificate serves the admin listener's pages; "" is none

	QueueLength         int           // requests that may wait for a stream, per pool; 0 or more
	QueueTimeout        time.Duration // how long one may wait; more than 0
	ShutdownGracePeriod time.Duration // how long requests in flight may take to end after SIGTERM; 0 cuts them at once

	RequestLogMaxAge  time.Duration // how long requests stay in the store's log; 0 means whatever their age
	RequestLogMaxRows int64         // how many of the newest stay in it; 0 stores none

	Version string       // the software's version
	Logger  *slog.Logger // lifecycle and access log; nil means slog.Default()
}

// SettingError says which setting is wrong and what is allowed.
type SettingError struct {
	Setting string // the setting's name without dashes, as in agent-listen
	Value   string // what it was given; "" prints none
	Problem string // what is wrong or what is allowed
}

// Error implements error.
func (e *SettingError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("--%s: %s", e.Setting, e.Problem)
	}
	return fmt.Sprintf("--%s is %q: %s", e.Setting, e.Value, e.Problem)
}

// SettingName returns the setting's name, for commands that know where it was set.
func (e *SettingError) SettingName() string { return e.Setting }

// Validate reports everything that is wrong with the values, at once, as a join
// of [*SettingError]; it opens nothing.
func (c *Config) Validate() error {
	var problems []error
	bad := func(setting, value, problem string) {
		problems = append(problems, &SettingError{setting, value, problem})
	}
	if c.DataDir == "" {
		bad("data-dir", "", "no folder is named for the database, the CA and the admin key")
	}
	if c.Database != "" && !store.IsPostgres(c.Database.Reveal()) {
		bad("database", "", "it must be a URL as postgres://USER:PASSWORD@HOST:PORT/DATABASE, or empty for a SQLite file in the data folder")
	}
	for _, l := range []struct {
		setting, value string
		required       bool
	}{
		{"agent-listen", c.AgentListen, true}, {"http-listen", c.HTTPListen, true},
		{"admin-listen", c.AdminListen, true}, {"metrics-listen", c.MetricsListen, false},
	} {
		switch {
		case l.value == "" && l.required:
			bad(l.setting, "", "no address is given: it must be HOST:PORT or :PORT")
		case l.value != "" && !validAddress(l.value, 0):
			bad(l.setting, l.value, "it must be HOST:PORT or :PORT with a port from 0 to 65535")
		}
	}
	if c.PublicAddress != "" {
		host, _, _ := net.SplitHostPort(c.PublicAddress)
		if !validAddress(c.PublicAddress, 1) || host == "" || strings.ContainsAny(host, "/@ ") {
			bad("public-address", c.PublicAddress, "it must be HOST:PORT as agents reach it, such as vcs-gateway.example.com:8443")
		}
	}
	if h := c.PagesHost; h != "" && (len(h) > 253 || strings.ContainsFunc(h, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '-'
	})) {
		bad("pages-host", h, "it must be a host's name without scheme or port, such as vcs-gateway.example.com")
	}
	for _, p := range []struct{ name, cert, key string }{
		{"", c.TLSCert, c.TLSKey}, {"http-", c.HTTPTLSCert, c.HTTPTLSKey}, {"admin-", c.AdminTLSCert, c.AdminTLSKey},
	} {
		if (p.cert == "") != (p.key == "") {
			bad(p.name+"tls-cert", p.cert, "--"+p.name+"tls-cert and --"+p.name+"tls-key go together")
		}
	}
	if c.QueueLength < 0 {
		bad("queue-length", strconv.Itoa(c.QueueLength), "it must be 0 or more")
	}
	if c.QueueTimeout <= 0 {
		bad("queue-timeout", c.QueueTimeout.String(), "it must be more than 0, such as 10s")
	}
	if c.ShutdownGracePeriod < 0 {
		bad("shutdown-grace-period", c.ShutdownGracePeriod.String(), "it must be 0 or more, such as 30s")
	}
	if c.RequestLogMaxAge < 0 {
		bad("request-log-max-age", c.RequestLogMaxAge.String(), "it must be more than 0, such as 720h, or 0 to keep requests whatever their age")
	}
	if c.RequestLogMaxRows < 0 {
		bad("request-log-max-rows", strconv.FormatInt(c.RequestLogMaxRows, 10), "it must be 1 or more, or 0 to store no requests")
	}
	return errors.Join(problems...)
}

// databaseKind is what the store runs on, for the log.
func (c *Config) databaseKind() string {
	if c.Database != "" {
		return "postgres"
	}
	return "sqlite"
}

// openStore opens the database. Its errors name the setting to change.
func openStore(ctx context.Context, c Config) (*store.Store, error) {
	if c.Database != "" {
		s, err := store.Open(ctx, c.Database.Reveal())
		if err != nil {
			return nil, &SettingError{"database", "", err.Error()}
		}
		return s, nil
	}
	s, err := store.Open(ctx, filepath.Join(c.DataDir, store.FileName))
	if err != nil {
		return nil, &SettingError{"data-dir", c.DataDir, err.Error()}
	}
	return s, nil
}

func validAddress(s string, leastPort int) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= leastPort && n <= 65535
}

// publicAddress is the host:port that tokens carry, given the address that
// the agents' listener got.
func (c *Config) publicAddress(listening net.Addr) (string, error) {
	if c.PublicAddress != "" {
		return c.PublicAddress, nil
	}
	_, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return "", err
	}
	host, _, err := net.SplitHostPort(c.AgentListen)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return "", &SettingError{"public-address", "", "it is needed, since this machine's name can't be read: " + err.Error()}
		}
	}
	return net.JoinHostPort(host, port), nil
}
