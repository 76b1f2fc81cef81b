package transport

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// maxTokenBytes bounds the encoded token: a host, an id, a key and a pin take
// well under 1 KiB.
const maxTokenBytes = 8 << 10

// Token is what a pool hands to its agents: where the gateway is, which pool
// to join, the key that proves the right to, and (when the gateway uses a CA of
// its own) the pin of that CA.
//
// It travels as padded base64 of JSON. Deployments already parse the fields
// host, pool_ulid and key, so their names are fixed.
type Token struct {
	Host     string // the gateway's agent listener, host:port
	PoolID   string // the pool's ULID
	Key      Secret // authenticates the agent in its hello
	CASHA256 string // hex SHA-256 of the CA certificate's DER; "" verifies against the system's roots
}

type tokenJSON struct {
	Host     string `json:"host"`
	PoolID   string `json:"pool_ulid"`
	Key      string `json:"key"`
	CASHA256 string `json:"ca_sha256,omitempty"`
}

// Encode returns the token's wire form. It carries the key in clear: print it
// only where the user asked for the token.
func (t Token) Encode() string {
	b, err := json.Marshal(tokenJSON{t.Host, t.PoolID, t.Key.Reveal(), t.CASHA256})
	if err != nil {
		panic("transport: encode token: " + err.Error()) // four strings always encode
	}
	return base64.StdEncoding.EncodeToString(b)
}

// String describes the token without its key.
func (t Token) String() string {
	return fmt.Sprintf("token for pool %s at %s (key %s)", t.PoolID, t.Host, t.Key)
}

// ParseToken reads a token in padded, unpadded or URL-safe base64; white space
// around it and line breaks inside it are ignored. Its errors say what is wrong
// and never quote the token.
func ParseToken(s string) (Token, error) {
	s = strings.Map(func(r rune) rune {
		switch r {
		case ' ', '\t', '\r', '\n':
			return -1
		case '-':
			return '+'
		case '_':
			return '/'
		}
		return r
	}, s)
	if s == "" {
		return Token{}, errors.New("the token is empty")
	}
	if len(s) > maxTokenBytes {
		return Token{}, fmt.Errorf("the token is %d bytes long, more than any real one (at most %d)", len(s), maxTokenBytes)
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return Token{}, errors.New("the token is not base64 (was it copied whole?)")
	}
	var j tokenJSON
	if err := json.Unmarshal(raw, &j); err != nil {
		return Token{}, errors.New("the token is base64, but what it holds is not JSON (was it copied whole?)")
	}
	t := Token{Host: j.Host, PoolID: j.PoolID, Key: Secret(j.Key), CASHA256: strings.ToLower(j.CASHA256)}
	var missing []string
	for _, f := range []struct{ name, value string }{{"host", t.Host}, {"pool_ulid", t.PoolID}, {"key", j.Key}} {
		if f.value == "" {
			missing = append(missing, f.name)
		}
	}
	if missing != nil {
		return Token{}, fmt.Errorf("the token lacks %s", strings.Join(missing, " and "))
	}
	if err := validHostPort(t.Host); err != nil {
		return Token{}, fmt.Errorf("the token's host %q is not host:port: %w", t.Host, err)
	}
	if t.CASHA256 != "" {
		if b, err := hex.DecodeString(t.CASHA256); err != nil || len(b) != sha256.Size {
			return Token{}, errors.New("the token's ca_sha256 is not the hex form of a SHA-256")
		}
	}
	return t, nil
}

func validHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return err
	}
	if host == "" {
		return errors.New("no host")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return nil
}
