package control

import (
	"crypto/rand"
	"encoding/base64"

	"vcsagent/transport"
)

const (
	// Prefixes tell people, and scanners for leaked secrets, what they found.
	keyPrefix      = "vcsgw_"
	tokenKeyPrefix = "vcspool_"
	sessionPrefix  = "vcssess_"
	// secretBytes is a key's entropy, and the reason why a plain SHA-256 is
	// enough to store.
	secretBytes = 32
)

// newSecret makes a key: the prefix and 43 characters of base64url.
func newSecret(prefix string) transport.Secret {
	b := make([]byte, secretBytes)
	rand.Read(b) // never fails
	return transport.Secret(prefix + base64.RawURLEncoding.EncodeToString(b))
}
