package control

import (
	"crypto/rand"
	"encoding/base64"
	"regexp"

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

// secretLike finds what looks like one of our keys, or like a token, which is
// base64 of JSON.
var secretLike = regexp.MustCompile(`(?:` + keyPrefix + `|` + tokenKeyPrefix + `|` + sessionPrefix + `)[A-Za-z0-9_-]+|eyJ[A-Za-z0-9+/_-]{40,}=*`)

// maxShown bounds what a client's text takes of a log line or a sentence, in bytes.
const maxShown = 150

// Shown makes a client's text fit for a log line or a sentence: it is cut, and
// keys and tokens that were put where a name belongs are left out.
func Shown(s string) string {
	if len(s) > 2*maxShown { // a secret at the cut is cut below
		s = s[:2*maxShown]
	}
	s = secretLike.ReplaceAllString(s, "(a secret)")
	if len(s) > maxShown {
		return s[:maxShown] + "…"
	}
	return s
}
