package agent

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/net/http/httpguts"

	"vcsagent/allow"
	"vcsagent/transport"
)

// Credential is the VCS's credential that the agent adds to requests itself, so
// that callers need none. Its zero value holds none; [Credential.Set] gives it one,
// and another when it is rotated, while any number of goroutines use it. It
// prints as masked.
type Credential struct {
	now atomic.Pointer[credential]
}

// credential is one header, which never changes.
type credential struct{ name, value string }

// maxCredentialBytes bounds the header's line; a signed token (JWT) with many
// claims has some 4 KiB.
const maxCredentialBytes = 16 << 10

// Set takes the line "Header-Name: value" for every request from now on; white
// space around the name and the value goes. On error, which completes a sentence that names the setting and
// never quotes the value, the credential before it stays.
func (c *Credential) Set(line transport.Secret) error {
	parsed, err := parseCredential(line.Reveal())
	if err != nil {
		return err
	}
	c.now.Store(parsed)
	return nil
}

// Unusual returns the name of the credential's header if the vendor takes
// credentials in others, else "". A proxy before the VCS may want it so, but it
// may also be misspelt, and then reach the VCS as one that it takes no notice of.
func (c *Credential) Unusual(vendor string) string {
	now := c.load()
	if now == nil || slices.Contains(allow.CredentialHeaders(vendor), now.name) {
		return ""
	}
	return now.name
}

// String implements fmt.Stringer.
func (c *Credential) String() string {
	if c == nil || c.now.Load() == nil {
		return ""
	}
	return transport.Secret("set").String()
}

// Format implements fmt.Formatter, so that no verb prints the header.
func (c *Credential) Format(f fmt.State, verb rune) { transport.Secret(c.String()).Format(f, verb) }

func parseCredential(line string) (*credential, error) {
	line = strings.TrimSpace(line)
	const form = `it must be one line "Header-Name: value", such as "Private-Token: …" or "Authorization: Bearer …"`
	name, value, ok := strings.Cut(line, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case line == "":
		return nil, errors.New("it is empty: " + form)
	case strings.ContainsAny(line, "\r\n"):
		return nil, errors.New("it has more than one line: " + form)
	case !ok || !httpguts.ValidHeaderFieldName(name):
		return nil, errors.New(form)
	case len(line) > maxCredentialBytes:
		return nil, fmt.Errorf("it has %d bytes, and may have at most %d", len(line), maxCredentialBytes)
	case value == "":
		return nil, fmt.Errorf("the header %s has no value: %s", name, form)
	case !printableASCII(value):
		return nil, fmt.Errorf("the value of the header %s must be printable ASCII", name)
	}
	name = textproto.CanonicalMIMEHeaderKey(name)
	if noCredential(name) {
		return nil, fmt.Errorf("the header %s can't carry a credential: use the one that the VCS reads tokens from, such as Private-Token or Authorization", name)
	}
	return &credential{name, value}, nil
}

// printableASCII tells values that every server reads alike.
func printableASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// noCredential tells the headers that mean something else to the VCS, to a proxy
// before it or to us; setting one would change what a checked request is. name is
// in canonical form.
func noCredential(name string) bool {
	for _, prefix := range []string{"Accept", "Access-Control-", "Content-", "If-", "Proxy-", "Sec-", "Vcs-", "X-Forwarded-", "X-Http-Method", "X-Method-", "X-Original-", "X-Rewrite-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return slices.Contains([]string{
		"Connection", "Cookie", "Cookie2", "Date", "Expect", "Forwarded", "Git-Protocol", "Host", "Keep-Alive", "Origin", "Range", "Referer", "Set-Cookie",
		"Sudo", "Te", "Traceparent", "Tracestate", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent", "Via", "X-Request-Id", "X-Url-Scheme",
	}, name)
}

// load returns the header of now, nil when the agent adds none.
func (c *Credential) load() *credential {
	if c == nil {
		return nil
	}
	return c.now.Load()
}

// authorize puts the agent's credential in the place of whatever the caller sent
// under its name. It is the base endpoint's: a host that a rule names gets none.
func (c *call) authorize(h http.Header) {
	h.Del(c.credential.name)
	if c.decision.HostPrefix != "" {
		return
	}
	gitUser := ""
	if c.decision.Group == "git" {
		gitUser = c.rules.policy.GitUser()
	}
	c.credential.put(h, gitUser)
}

// put sets the credential. With a gitUser the token goes as that user's password:
// such a vendor's git servers take it in no other form.
func (c *credential) put(h http.Header, gitUser string) {
	if gitUser == "" || c.isBasic() {
		h[c.name] = []string{c.value}
		return
	}
	h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(gitUser+":"+c.token())))
}

func (c *credential) isBasic() bool {
	_, ok := cutScheme(c.value, "Basic")
	return ok && c.name == "Authorization"
}

// token is the value without the scheme that some headers want before it.
func (c *credential) token() string {
	for _, scheme := range []string{"Bearer", "token"} {
		if token, ok := cutScheme(c.value, scheme); ok {
			return token
		}
	}
	return c.value
}

// cutScheme cuts an authentication scheme, whose letters' case doesn't matter
// (RFC 9110, section 11.1), and the spaces behind it.
func cutScheme(value, scheme string) (string, bool) {
	if len(value) <= len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) || value[len(scheme)] != ' ' {
		return "", false
	}
	return strings.TrimLeft(value[len(scheme):], " "), true
}
