package gateway_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"vcsagent/gateway"
	"vcsagent/gateway/ca"
	"vcsagent/transport"
)

// startedOn runs a gateway on a folder for a moment, with before done while its
// store is open, and returns what it logged and the pin in its tokens.
func startedOn(t *testing.T, dir string, before func(*fixture)) (log *logLines, pin string) {
	t.Helper()
	f := &fixture{log: newLogLines(), dir: dir}
	c := testConfig(t)
	c.DataDir, c.Logger = dir, slog.New(slog.NewJSONHandler(f.log, nil))
	var err error
	if f.Gateway, err = gateway.New(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if before != nil {
		before(f)
	}
	runOnce(t, f.Gateway)
	return f.log, f.TokenFor(gatewayPool, "k").CASHA256
}

// A gateway that lost its CA makes another. That strands the agents of pools that
// are there already, and only then it's more than news.
func TestNewCAIsToldOf(t *testing.T) {
	const (
		news    = "made a CA of the gateway's own; tokens pin it"
		warning = "made a new CA, since there was none any more: agents whose tokens pin the old one can't connect"
	)
	for _, tt := range []struct {
		name  string
		pool  bool // made before the second start
		loses bool // the CA, before it
		msg   string
		level string
	}{
		{"with a pool", true, true, warning, "WARN"},
		{"with none", false, true, news, "INFO"},
		{"kept", true, false, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			log, first := startedOn(t, dir, func(f *fixture) {
				if tt.pool {
					f.addPool(t, poolName, poolKey)
				}
			})
			if n := len(log.lines(news)); n != 1 || len(log.lines(warning)) != 0 {
				t.Errorf("the first start logged:\n%s", log)
			}
			if tt.loses {
				for _, name := range []string{ca.KeyFile, ca.CertFile} {
					if err := os.Remove(filepath.Join(dir, name)); err != nil {
						t.Fatal(err)
					}
				}
			}
			log, second := startedOn(t, dir, nil)
			if (second == first) == tt.loses {
				t.Errorf("the pin was %s and is %s", first, second)
			}
			told := append(log.lines(news), log.lines(warning)...)
			if tt.msg == "" {
				if len(told) != 0 {
					t.Errorf("told of a CA that is as it was: %v", told)
				}
				return
			}
			if len(told) != 1 {
				t.Fatalf("%d lines tell of the CA:\n%s", len(told), log)
			}
			if line := told[0]; line["msg"] != tt.msg || line["level"] != tt.level || line["sha256"] != second || line["file"] != filepath.Join(dir, ca.CertFile) {
				t.Errorf("logged %v, want %s %q with the pin %s", line, tt.level, tt.msg, second)
			}
		})
	}
}

// What the warning says holds: a token of before is no use with the new CA.
func TestTokensOfALostCADontConnect(t *testing.T) {
	dir := t.TempDir()
	var old transport.Token
	startedOn(t, dir, func(f *fixture) { old = f.TokenFor(f.addPool(t, poolName, poolKey), poolKey) })
	for _, name := range []string{ca.KeyFile, ca.CertFile} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	f := &fixture{log: newLogLines(), dir: dir}
	c := testConfig(t)
	c.DataDir = dir
	var err error
	if f.Gateway, err = gateway.New(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	f.run(t)
	now := f.TokenFor(gatewayPool, poolKey)
	now.PoolID = old.PoolID
	old.Host = now.Host
	if _, err := f.tryJoin(t, old, options{}, answer("")); err == nil {
		t.Error("an agent that pins the CA that is gone joins")
	}
	if _, err := f.tryJoin(t, now, options{}, answer("")); err != nil {
		t.Errorf("one that pins the new CA doesn't: %v", err)
	}
}
