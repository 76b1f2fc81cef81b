package ca

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// recheckEvery is how long files that were just read are taken to be the same.
const recheckEvery = 5 * time.Second

// LoadKeyPair returns a server's configuration (TLS 1.2 and up) with the
// certificate chain and key from two PEM files. The files are looked at again
// during handshakes, at most every five seconds, so a renewed certificate is
// taken up without a restart. While what is there is unreadable or doesn't fit
// together, the last good pair stays in use and logger (nil means
// slog.Default()) says so once.
//
// It fails when the files can't be used to begin with.
func LoadKeyPair(certFile, keyFile string, logger *slog.Logger) (*tls.Config, error) {
	if logger == nil {
		logger = slog.Default()
	}
	k := &keyPair{certFile: certFile, keyFile: keyFile, logger: logger}
	if _, err := k.reload(); err != nil {
		return nil, err
	}
	k.checked = time.Now()
	k.warnIfExpired()
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: k.get}, nil
}

// keyPair is a certificate and key that may be replaced on the disk.
type keyPair struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu               sync.Mutex
	cert             *tls.Certificate
	certPEM, keyPEM  []byte // as last read, good or not
	checked          time.Time
	complainedOfRead string // the last read error that was logged
}

// get is a [tls.Config]'s GetCertificate.
func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := time.Now(); now.Sub(k.checked) >= recheckEvery {
		k.checked = now
		switch changed, err := k.reload(); {
		case err != nil:
			k.logger.Error("renewed certificate can't be used, keeping the one loaded before", "error", err,
				"not_after", k.cert.Leaf.NotAfter)
		case changed:
			k.logger.Info("certificate reloaded", "file", k.certFile, "not_after", k.cert.Leaf.NotAfter)
			k.warnIfExpired()
		}
	}
	return k.cert, nil
}

// reload reads the files and uses them if they changed. Contents are compared,
// not times: a copy can be as large and as old as what it replaces. An error is
// returned once for each state of the files.
func (k *keyPair) reload() (changed bool, err error) {
	certPEM, keyPEM, err := k.read()
	if err != nil {
		if k.complainedOfRead == err.Error() {
			return false, nil
		}
		k.complainedOfRead = err.Error()
		return false, err
	}
	k.complainedOfRead = ""
	if bytes.Equal(certPEM, k.certPEM) && bytes.Equal(keyPEM, k.keyPEM) {
		return false, nil
	}
	k.certPEM, k.keyPEM = certPEM, keyPEM
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return false, fmt.Errorf("the certificate %s and the key %s can't be used together: %w", k.certFile, k.keyFile, err)
	}
	k.cert = &pair
	return true, nil
}

func (k *keyPair) read() (certPEM, keyPEM []byte, err error) {
	if certPEM, err = os.ReadFile(k.certFile); err != nil {
		return nil, nil, fmt.Errorf("read the certificate: %w", err)
	}
	if keyPEM, err = os.ReadFile(k.keyFile); err != nil {
		return nil, nil, fmt.Errorf("read the certificate's key: %w", err)
	}
	return certPEM, keyPEM, nil
}

func (k *keyPair) warnIfExpired() {
	if end := k.cert.Leaf.NotAfter; time.Now().After(end) {
		k.logger.Warn("the certificate has expired, clients will refuse it", "file", k.certFile, "not_after", end)
	}
}
