package ca_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/gateway/ca"
)

func TestLoadKeyPairTakesUpRenewedFiles(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
		oneCert, oneKey := selfSigned(t, "one.example", nil)
		twoCert, twoKey := selfSigned(t, "two.example", nil)
		write(t, certFile, oneCert)
		write(t, keyFile, oneKey)

		var log bytes.Buffer
		config, err := ca.LoadKeyPair(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		const recheck = 5 * time.Second
		// Each step waits, changes the files and says what is served then and
		// how many lines the log has in all.
		steps := []struct {
			name   string
			wait   time.Duration
			change func()
			want   string
			lines  int
		}{
			{"unchanged", recheck, func() {}, "one.example", 0},
			{"new certificate with the old key", recheck, func() { write(t, certFile, twoCert) }, "one.example", 1},
			{"the same again", recheck, func() {}, "one.example", 1},
			{"new key, seen too soon", recheck - 1, func() { write(t, keyFile, twoKey) }, "one.example", 1},
			{"new key", 1, func() {}, "two.example", 2},
			{"no certificate", recheck, func() { os.Remove(certFile) }, "two.example", 3},
			{"still none", recheck, func() {}, "two.example", 3},
			{"garbage", recheck, func() { write(t, certFile, []byte("garbage")) }, "two.example", 4},
			{"the first again", recheck, func() { write(t, certFile, oneCert); write(t, keyFile, oneKey) }, "one.example", 5},
			{"none again", recheck, func() { os.Remove(certFile) }, "one.example", 6},
		}
		for _, step := range steps {
			step.change()
			time.Sleep(step.wait) // the bubble's clock
			cert, err := handshake(t, config, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if got := cert.DNSNames[0]; got != step.want {
				t.Errorf("%s: served %s, want %s", step.name, got, step.want)
			}
			if got := strings.Count(log.String(), "\n"); got != step.lines {
				t.Errorf("%s: %d log lines, want %d:\n%s", step.name, got, step.lines, log.String())
			}
		}
		if strings.Contains(log.String(), "PRIVATE") {
			t.Error("the log holds a key")
		}
	})
}

func TestLoadKeyPairRefuses(t *testing.T) {
	oneCert, oneKey := selfSigned(t, "one.example", nil)
	_, twoKey := selfSigned(t, "two.example", nil)
	tests := []struct {
		name      string
		cert, key []byte
		want      string
	}{
		{"pair", oneCert, oneKey, ""},
		{"another's key", oneCert, twoKey, "can't be used together"},
		{"no certificate", nil, oneKey, "read the certificate:"},
		{"no key", oneCert, nil, "read the certificate's key:"},
		{"swapped", oneKey, oneCert, "can't be used together"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			certFile, keyFile := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
			if tt.cert != nil {
				write(t, certFile, tt.cert)
			}
			if tt.key != nil {
				write(t, keyFile, tt.key)
			}
			_, err := ca.LoadKeyPair(certFile, keyFile, nil)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestLoadKeyPairSaysThatItExpired(t *testing.T) {
	for name, change := range map[string]func(*x509.Certificate){
		"expired": func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) },
		"valid":   nil,
	} {
		certFile, keyFile := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
		cert, key := selfSigned(t, "gateway.example", change)
		write(t, certFile, cert)
		write(t, keyFile, key)
		var log bytes.Buffer
		if _, err := ca.LoadKeyPair(certFile, keyFile, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Contains(log.String(), "has expired"), name == "expired"; got != want {
			t.Errorf("%s: log is %q", name, log.String())
		}
	}
}

func TestManyHandshakesAtOnce(t *testing.T) {
	authority, err := ca.LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := authority.TLSConfig([]string{"gateway.example"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := handshake(t, server, pinned(authority.SHA256(), "gateway.example")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}
