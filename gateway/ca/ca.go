package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"vcsagent/gateway/store"
)

// The CA's files in the data folder.
const (
	// CertFile is the certificate, for clients that take a file in place of the
	// token's pin (mode 0644).
	CertFile = "ca.pem"
	// KeyFile is the private key (mode 0600), followed by the certificate, so
	// that the two are written in one step and a crash can't part them.
	KeyFile = "ca-key.pem"
)

const (
	// caLife is how long a new CA is valid. Agents pin it, so replacing it means
	// a new token for each of them; ten years is longer than a deployment lasts.
	caLife = 10 * 365 * 24 * time.Hour
	// clockSkew is how far an agent's clock may be behind.
	clockSkew = time.Hour
	// tooOpen are the permissions that a private key's file must not have.
	// Reading by the group is let pass: that's how secrets are mounted for a
	// process that isn't root.
	tooOpen fs.FileMode = 0o037
)

// CA is the gateway's own certificate authority.
type CA struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// LoadOrCreate reads the CA from dir, or makes one there (and dir, mode 0700)
// when neither of its files exists. A new CA has an ECDSA P-256 key and is
// valid for ten years.
//
// It never replaces a CA: agents trust the one in their tokens. It fails with a
// sentence when a file is missing or broken, the two don't belong together,
// others may read the key, or the CA has expired.
func LoadOrCreate(dir string) (*CA, error) {
	certFile, keyFile := filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)
	certPEM, err := readIfThere(certFile)
	if err != nil {
		return nil, fmt.Errorf("read the CA's certificate: %w", err)
	}
	keyPEM, err := readIfThere(keyFile)
	if err != nil {
		return nil, fmt.Errorf("read the CA's key: %w", err)
	}
	switch {
	case keyPEM == nil && certPEM != nil:
		return nil, fmt.Errorf("%s is there, but the CA's key %s is not: restore the key, "+
			"or remove the certificate as well to start with a new CA, which every agent then needs a new token for", certFile, keyFile)
	case keyPEM == nil:
		if keyPEM, err = create(dir); err != nil {
			return nil, fmt.Errorf("make a CA: %w", err)
		}
	default:
		if err := checkMode(keyFile); err != nil {
			return nil, err
		}
	}
	if certPEM == nil { // a new CA, or a crash or a person removed the copy
		if certPEM = certificatesIn(keyPEM); certPEM == nil {
			return nil, fmt.Errorf("%s is there, but the CA's certificate %s is not: restore it, "+
				"or remove the key as well to start with a new CA, which every agent then needs a new token for", keyFile, certFile)
		}
		if err := store.WriteFile(certFile, certPEM, 0o644); err != nil {
			return nil, fmt.Errorf("write the CA's certificate: %w", err)
		}
	}
	ca, err := parse(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("the CA in %s and %s can't be used: %w", certFile, keyFile, err)
	}
	return ca, nil
}

// SHA256 returns the pin for tokens: the hex form of the SHA-256 of the CA
// certificate's DER.
func (ca *CA) SHA256() string {
	sum := sha256.Sum256(ca.cert.Raw)
	return hex.EncodeToString(sum[:])
}

// create writes a new CA's key file and returns what's in it.
func create(dir string) ([]byte, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "vcs-gateway CA"},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true, // it signs the gateway's certificates and no other CA's
	}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	file := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	file = append(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER})...)
	return file, store.WriteFile(filepath.Join(dir, KeyFile), file, 0o600)
}

func parse(certPEM, keyPEM []byte) (*CA, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM) // sees to it that they belong together
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T can't sign", pair.PrivateKey)
	}
	cert := pair.Leaf
	if !cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign == 0 {
		return nil, fmt.Errorf("the certificate of %q is not a CA's", cert.Subject)
	}
	if err := checkTime(cert); err != nil {
		return nil, err
	}
	return &CA{cert: cert, key: key}, nil
}

// checkTime tells a CA that has ended, or a wrong clock.
func checkTime(cert *x509.Certificate) error {
	switch now := time.Now(); {
	case now.After(cert.NotAfter):
		return fmt.Errorf("the certificate expired on %s: remove both files to start with a new CA, "+
			"which every agent then needs a new token for", cert.NotAfter.Format(time.DateOnly))
	case now.Before(cert.NotBefore):
		return fmt.Errorf("the certificate is valid from %s on: is this machine's clock right? It says %s",
			cert.NotBefore.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

func checkMode(keyFile string) error {
	info, err := os.Stat(keyFile)
	if err != nil {
		return err
	}
	if perm := info.Mode().Perm(); perm&tooOpen != 0 {
		return fmt.Errorf("the CA's key %s has mode %04o, so others than its owner can use it: "+
			"run chmod 600 on it, and if someone may have read it, start with a new CA", keyFile, perm)
	}
	return nil
}

// certificatesIn returns the certificate blocks of a PEM file, nil if there are
// none.
func certificatesIn(file []byte) []byte {
	var certs []byte
	for {
		var block *pem.Block
		if block, file = pem.Decode(file); block == nil {
			return certs
		}
		if block.Type == "CERTIFICATE" {
			certs = append(certs, pem.EncodeToMemory(block)...)
		}
	}
}

// readIfThere returns nil for a file that doesn't exist. An empty file's content
// is not nil.
func readIfThere(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
