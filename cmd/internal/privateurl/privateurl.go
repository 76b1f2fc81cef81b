package privateurl

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Scheme is what a private URL begins with.
const Scheme = "private://"

// MaxBytes bounds a private URL, as the gateway's agents bound their targets.
const MaxBytes = 8 << 10

// ErrNoGateway says that a URL leads through the gateway, and none is named.
var ErrNoGateway = errors.New("no gateway is named")

// Resolver turns private URLs into those to use.
type Resolver struct {
	// Mappings are the pools whose VCS is reached directly.
	Mappings Mappings
	// Gateway is the URL of the callers' listener as it is reached from here: http
	// or https, a host, and a path if the gateway is below one. "" means that there
	// is none, which suits pools with a mapping.
	Gateway string
}

// Resolved is the URL to use for a private one.
type Resolved struct {
	Pool string // the pool's name
	URL  string
	// Direct says that the URL is the VCS's own. Otherwise it is the gateway's, and
	// wants a key.
	Direct bool
}

// Resolve returns the URL to use in place of raw, private://POOL/path. The error
// wraps [ErrNoGateway] when it would be the gateway's.
func (r Resolver) Resolve(raw string) (Resolved, error) {
	pool, target, err := Parse(raw)
	if err != nil {
		return Resolved{}, err
	}
	base, mapped, err := r.Mappings.lookup(pool)
	switch {
	case err != nil:
		return Resolved{}, err
	case leaves(target): // the pool's path too: many clients resolve it before they send it
		return Resolved{}, fmt.Errorf("%s has \"..\" in its path, or what a client or server could read as that: it would lead out of the pool", shown(raw))
	case mapped:
		return Resolved{Pool: pool, URL: base + target, Direct: true}, nil
	case r.Gateway == "":
		return Resolved{}, fmt.Errorf("the pool %q has no mapping (%s<N> and %s<N>), and %w", pool, nameVariable, endpointVariable, ErrNoGateway)
	}
	gateway, err := CheckEndpoint(r.Gateway)
	if err != nil {
		return Resolved{}, fmt.Errorf("the gateway's URL is no use: %w", err)
	}
	return Resolved{Pool: pool, URL: gateway + "/private/" + pool + target}, nil
}

// Parse takes a private URL apart: the pool's name, and the path and query behind
// it as they stand there, which begin with "/" or "?" or are empty.
func Parse(raw string) (pool, target string, err error) {
	switch {
	case len(raw) > MaxBytes:
		return "", "", fmt.Errorf("the URL is %d bytes long: at most %d are allowed", len(raw), MaxBytes)
	case len(raw) < len(Scheme) || !strings.EqualFold(raw[:len(Scheme)], Scheme):
		return "", "", fmt.Errorf("%s is no private URL: write private://POOL/path", shown(raw))
	}
	pool = raw[len(Scheme):]
	if i := strings.IndexAny(pool, `/?#\`); i >= 0 {
		pool, target = pool[:i], pool[i:]
	}
	switch {
	case strings.Contains(pool, "@"): // may have a password: not shown
		return "", "", errors.New("a private URL has no user and no password: write private://POOL/path; credentials go the way that they go to the VCS")
	case strings.Contains(pool, ":"):
		return "", "", fmt.Errorf("%s has a port: a private URL names a pool, write private://POOL/path", shown(raw))
	case !isLabel(pool):
		return "", "", fmt.Errorf("%q is no pool's name: it must be 1 to 63 of a-z, 0-9 and -, with a letter or digit first and last", shorten(pool))
	case strings.Contains(target, "#"):
		return "", "", fmt.Errorf("%s has a fragment, the part from # on: no VCS gets to see it, so leave it out, or write %%23 for a # in a name", shown(raw))
	case strings.HasPrefix(target, `\`):
		return "", "", fmt.Errorf("%s has a backslash behind the pool: write private://POOL/path", shown(raw))
	case !isPrintableASCII(target):
		return "", "", fmt.Errorf("%s has a space, a control character or a letter beyond ASCII: write it percent-encoded, such as %%20 for a space", shown(raw))
	}
	return pool, target, nil
}

// CheckEndpoint checks the URL that a private URL's path is put behind, a VCS's
// or a gateway's, and returns it without slashes at its end.
func CheckEndpoint(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	switch {
	case !isPrintableASCII(endpoint) || err != nil: // may have a password: not shown
		return "", errors.New("it must be an http or https URL, such as https://git.example.com")
	case u.User != nil:
		return "", errors.New("it must have no user and no password: credentials go the way that they go to the VCS")
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return "", fmt.Errorf("it is %q: it must be an http or https URL, such as https://git.example.com", shorten(endpoint))
	case strings.ContainsAny(endpoint, "?#"):
		return "", errors.New("it must end with its path, without a query or a fragment")
	case strings.Contains(endpoint, `\`), leaves(u.EscapedPath()):
		return "", fmt.Errorf("it is %q: its path must have no \"..\" and no backslash", shorten(endpoint))
	}
	return strings.TrimRight(endpoint, "/"), nil
}

// leaves says whether a path has a segment that some server takes for "..":
// after any number of decodings, with backslashes for slashes, with a ;parameter
// behind it, or in look-alike letters. Where such a path leads depends on who
// reads it, so it counts as a way out wherever it stands.
func leaves(target string) bool {
	path, _, _ := strings.Cut(target, "?")
	for {
		plain := strings.ReplaceAll(norm.NFKC.String(path), `\`, "/")
		for segment := range strings.SplitSeq(plain, "/") {
			if segment, _, _ = strings.Cut(segment, ";"); strings.Trim(segment, " ") == ".." {
				return true
			}
		}
		decoded := unescape(path)
		if decoded == path {
			return false
		}
		path = decoded // shorter than before: this ends
	}
}

// unescape decodes the percent-escapes of s and leaves broken ones as they are,
// as lenient servers do.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// isLabel tells a pool's name: a lower-case DNS label.
func isLabel(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func isPrintableASCII(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// shown is a private URL in a sentence: without its query, whose values may be
// secrets, on one line and not longer than is of use.
func shown(raw string) string {
	raw, _, _ = strings.Cut(raw, "?")
	if scheme, rest, ok := strings.Cut(raw, "://"); ok {
		authority, path, slash := strings.Cut(rest, "/")
		if i := strings.LastIndex(authority, "@"); i >= 0 { // https://user:password@host
			authority = authority[i+1:]
		}
		raw = scheme + "://" + authority
		if slash {
			raw += "/" + path
		}
	}
	return fmt.Sprintf("%q", shorten(raw))
}

func shorten(s string) string {
	const most = 100
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}
