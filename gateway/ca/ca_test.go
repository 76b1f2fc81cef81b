package ca_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/gateway/ca"
)

func TestLoadOrCreateMakesACAOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	first, err := ca.LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]fs.FileMode{"": 0o700, ca.CertFile: 0o644, ca.KeyFile: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q has mode %04o, want %04o", name, got, want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("folder holds %v, %v; want two files", entries, err)
	}

	certPEM := read(t, filepath.Join(dir, ca.CertFile))
	block, rest := pem.Decode(certPEM)
	if block == nil || len(rest) > 0 {
		t.Fatalf("%s is not one PEM block", ca.CertFile)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if life := time.Until(cert.NotAfter); life < 3649*24*time.Hour || life > 3651*24*time.Hour {
		t.Errorf("the CA is valid for %v, want ten years", life)
	}
	if cert.PublicKeyAlgorithm != x509.ECDSA || !cert.IsCA || !cert.MaxPathLenZero {
		t.Errorf("the CA is %v, CA %v, path length zero %v", cert.PublicKeyAlgorithm, cert.IsCA, cert.MaxPathLenZero)
	}
	if bytes.Contains(certPEM, []byte("PRIVATE KEY")) {
		t.Error("the certificate's file holds the key")
	}

	second, err := ca.LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if first.SHA256() != second.SHA256() {
		t.Error("a second start has another CA")
	}
	if b, err := hex.DecodeString(first.SHA256()); err != nil || len(b) != 32 {
		t.Errorf("SHA256() = %q, want 64 hex digits", first.SHA256())
	}
	other, err := ca.LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if other.SHA256() == first.SHA256() {
		t.Error("two folders have the same CA")
	}
}

func TestCertificateThatWasLostIsWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	first, err := ca.LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	certFile := filepath.Join(dir, ca.CertFile)
	want := read(t, certFile)
	if err := os.Remove(certFile); err != nil { // as if the first start was killed in between
		t.Fatal(err)
	}
	second, err := ca.LoadOrCreate(dir)
	if err != nil {
		t.Fatal(err)
	}
	if second.SHA256() != first.SHA256() || !bytes.Equal(read(t, certFile), want) {
		t.Error("the certificate is not the one there was")
	}
}

func TestLoadOrCreateRefuses(t *testing.T) {
	isCA := func(c *x509.Certificate) {
		c.BasicConstraintsValid, c.IsCA, c.KeyUsage = true, true, x509.KeyUsageCertSign
	}
	caPEM, caKeyPEM := selfSigned(t, "mounted CA", isCA)
	otherPEM, _ := selfSigned(t, "another CA", isCA)
	leafPEM, leafKeyPEM := selfSigned(t, "no CA", nil)
	oldPEM, oldKeyPEM := selfSigned(t, "old CA", func(c *x509.Certificate) {
		isCA(c)
		c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	futurePEM, futureKeyPEM := selfSigned(t, "future CA", func(c *x509.Certificate) {
		isCA(c)
		c.NotBefore = time.Now().Add(30 * time.Minute)
	})
	tests := []struct {
		name      string
		cert, key []byte // nil: no such file
		keyMode   fs.FileMode
		want      string // in the error; "" if it's fine
	}{
		{"certificate and key", caPEM, caKeyPEM, 0o600, ""},
		{"key of another certificate", otherPEM, caKeyPEM, 0o600, "private key does not match"},
		{"certificate alone", caPEM, nil, 0o600, "restore the key"},
		{"key alone", nil, caKeyPEM, 0o600, "restore it"},
		{"key readable by the group", caPEM, caKeyPEM, 0o640, ""},
		{"key readable by all", caPEM, caKeyPEM, 0o644, "mode 0644"},
		{"key writable by the group", caPEM, caKeyPEM, 0o620, "mode 0620"},
		{"not a CA", leafPEM, leafKeyPEM, 0o600, "is not a CA's"},
		{"expired", oldPEM, oldKeyPEM, 0o600, "expired on"},
		{"not valid yet", futurePEM, futureKeyPEM, 0o600, "clock"},
		{"certificate is empty", []byte{}, caKeyPEM, 0o600, "can't be used"},
		{"key is empty", caPEM, []byte{}, 0o600, "can't be used"},
		{"both are empty", []byte{}, []byte{}, 0o600, "can't be used"},
		{"key is garbage", caPEM, []byte("garbage"), 0o600, "can't be used"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			certFile, keyFile := filepath.Join(dir, ca.CertFile), filepath.Join(dir, ca.KeyFile)
			if tt.cert != nil {
				write(t, certFile, tt.cert)
			}
			if tt.key != nil {
				write(t, keyFile, tt.key)
				if err := os.Chmod(keyFile, tt.keyMode); err != nil {
					t.Fatal(err)
				}
			}
			_, err := ca.LoadOrCreate(dir)
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir) {
				t.Fatalf("error = %v, want one that names the file and says %q", err, tt.want)
			}
			// What's there is left as it is.
			if tt.cert != nil && !bytes.Equal(read(t, certFile), tt.cert) || tt.key != nil && !bytes.Equal(read(t, keyFile), tt.key) {
				t.Error("a file was changed")
			}
		})
	}
}

func TestHandshakeAgainstThePin(t *testing.T) {
	authority, err := ca.LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	other, err := ca.LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := authority.TLSConfig([]string{"gateway.example", "192.0.2.7", "2001:db8::7"})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, pin string
		wantErr   func(error) bool
	}{
		{"gateway.example", authority.SHA256(), nil},
		{"gateway.example", other.SHA256(), func(err error) bool { return !isNameError(err) }},
		{"agateway.example", authority.SHA256(), isNameError},
		{"sub.gateway.example", authority.SHA256(), isNameError},
		{"192.0.2.7", authority.SHA256(), nil},
		{"192.0.2.8", authority.SHA256(), isNameError},
		{"2001:db8::7", authority.SHA256(), nil},
		{"2001:db8::8", authority.SHA256(), isNameError},
	}
	for _, tt := range tests {
		_, err := handshake(t, server, pinned(tt.pin, tt.name))
		if tt.wantErr == nil && err != nil || tt.wantErr != nil && (err == nil || !tt.wantErr(err)) {
			t.Errorf("handshake with %s: %v", tt.name, err)
		}
	}
}

func TestHandshakeNeedsTLS13(t *testing.T) {
	authority, err := ca.LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := authority.TLSConfig([]string{"gateway.example"})
	if err != nil {
		t.Fatal(err)
	}
	client := pinned(authority.SHA256(), "gateway.example")
	client.MaxVersion = 0x0303 // TLS 1.2
	if _, err := handshake(t, server, client); err == nil {
		t.Error("a TLS 1.2 client got through")
	}
}

func TestTLSConfigNames(t *testing.T) {
	authority, err := ca.LoadOrCreate(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		names []string
		ok    bool
	}{
		{[]string{"localhost"}, true},
		{nil, false},
		{[]string{"localhost", ""}, false},
		{[]string{"gatewäy.example"}, false},
		{[]string{"xn--gatewy-bua.example"}, true},
	}
	for _, tt := range tests {
		if _, err := authority.TLSConfig(tt.names); (err == nil) != tt.ok {
			t.Errorf("TLSConfig(%q): error %v", tt.names, err)
		}
	}
}

func TestLeafIsReissuedWhenAThirdOfItsLifeIsLeft(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		authority, err := ca.LoadOrCreate(dir)
		if err != nil {
			t.Fatal(err)
		}
		server, err := authority.TLSConfig([]string{"gateway.example"})
		if err != nil {
			t.Fatal(err)
		}
		const day = 24 * time.Hour
		start := time.Now()
		var serials []string
		for _, at := range []time.Duration{0, 20*day - time.Second, 20*day + time.Second, 40 * day, 41 * day} {
			time.Sleep(time.Until(start.Add(at))) // the bubble's clock
			cert, err := handshake(t, server, pinned(authority.SHA256(), "gateway.example"))
			if err != nil {
				t.Fatalf("after %v: %v", at, err)
			}
			if left := time.Until(cert.NotAfter); left < 10*day {
				t.Errorf("after %v the certificate has %v left, want at least 10 days", at, left)
			}
			serials = append(serials, cert.SerialNumber.String())
		}
		if serials[0] != serials[1] || serials[1] == serials[2] || serials[2] != serials[3] || serials[3] == serials[4] {
			t.Errorf("serials are %v, want a new one after 20 days and after 40", serials)
		}
	})
}

func TestLeafNeverOutlivesTheCA(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		authority, err := ca.LoadOrCreate(dir)
		if err != nil {
			t.Fatal(err)
		}
		server, err := authority.TLSConfig([]string{"gateway.example"})
		if err != nil {
			t.Fatal(err)
		}
		block, _ := pem.Decode(read(t, filepath.Join(dir, ca.CertFile)))
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(root.NotAfter.Add(-time.Hour)))
		var last string
		for range 2 {
			cert, err := handshake(t, server, pinned(authority.SHA256(), "gateway.example"))
			if err != nil {
				t.Fatal(err)
			}
			if !cert.NotAfter.Equal(root.NotAfter) {
				t.Errorf("the certificate ends %v, the CA %v", cert.NotAfter, root.NotAfter)
			}
			if serial := cert.SerialNumber.String(); last != "" && serial != last {
				t.Error("each handshake near the CA's end issues a certificate")
			} else {
				last = serial
			}
		}
		time.Sleep(2 * time.Hour)
		if _, err := server.GetCertificate(nil); err == nil || !strings.Contains(err.Error(), "expired on") {
			t.Errorf("after the CA's end: error %v", err)
		}
		if _, err := ca.LoadOrCreate(dir); err == nil || !strings.Contains(err.Error(), "expired on") {
			t.Errorf("start after the CA's end: error %v", err)
		}
	})
}
