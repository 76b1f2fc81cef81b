package gateway

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"path"
	"strings"

	"vcsagent/transport"
)

// form is how a caller addressed a pool.
type form int

const (
	pathForm  form = iota // /private/POOL/path
	proxyForm             // http://POOL.private/path, as to a forward proxy
)

const (
	pathPrefix  = "/private/"
	proxySuffix = ".private"
	// KeyHeader carries a caller's key in the path form.
	KeyHeader = "VCS-Gateway-Key"
)

// route is where a request is to go.
type route struct {
	form   form
	pool   string // the pool's name as the caller wrote it, lower-cased
	target string // path and query for the agent, raw
	origin string // what a path-absolute URL in the answer is put behind, in the caller's terms
}

// refusal is a request that goes nowhere, as the problem to answer.
type refusal = transport.Problem

func refuse(status int, code, detail string) *refusal {
	return &refusal{Status: status, Code: code, Detail: detail}
}

// routeOf reads where a request is to go from its raw target, which no part of
// net/http has cleaned: the agent must see it as the caller sent it.
func routeOf(r *http.Request) (route, *refusal) {
	if r.Method == http.MethodConnect {
		return route{form: proxyForm}, refuse(http.StatusForbidden, codeForbidden, "CONNECT is not served: send requests for http://POOL.private/path themselves.")
	}
	var rt route
	target := r.RequestURI
	switch {
	case strings.HasPrefix(target, pathPrefix):
		name, rest, ok := cutSegment(target[len(pathPrefix):])
		if !ok || !isLabel(name) {
			return rt, refuse(http.StatusNotFound, codeUnknownPool, "What follows /private/ must be a pool's name, in lower case, and a path.")
		}
		rt = route{form: pathForm, pool: name, target: rest}
		rt.origin = pathPrefix + name
		if r.Host != "" { // HTTP/1.0 may leave it out
			rt.origin = scheme(r) + "://" + r.Host + rt.origin
		}
	case strings.HasPrefix(target, "/"), target == "*":
		return rt, refuse(http.StatusNotFound, codeNotFound, "Requests go to /private/POOL/path, or to http://POOL.private/path with this gateway as the proxy.")
	default:
		rt.form = proxyForm
		const prefix = "http://"
		if len(target) < len(prefix) || !strings.EqualFold(target[:len(prefix)], prefix) {
			return rt, refuse(http.StatusForbidden, codeForbidden, "As a proxy this gateway serves http://POOL.private/path only.")
		}
		authority, rest := target[len(prefix):], ""
		if i := strings.IndexAny(authority, "/?#\\"); i >= 0 {
			authority, rest = authority[:i], authority[i:]
		}
		if !strings.HasPrefix(rest, "/") {
			rest = "/" + rest
		}
		authority = strings.ToLower(authority)
		name, ok := strings.CutSuffix(strings.TrimSuffix(authority, ":80"), proxySuffix)
		if !ok || !isLabel(name) {
			return rt, refuse(http.StatusForbidden, codeForbidden, "As a proxy this gateway serves http://POOL.private/path only.")
		}
		rt = route{form: proxyForm, pool: name, target: rest, origin: prefix + authority}
	}
	if isOurs(rt.target) {
		return rt, refuse(http.StatusForbidden, codeForbidden, "/.well-known/vcs-agent/ is never forwarded.")
	}
	return rt, nil
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// cutSegment splits s behind its first segment; the rest begins with "/". A path
// that ends with the segment has "/" as its rest.
func cutSegment(s string) (segment, rest string, ok bool) {
	i := strings.IndexAny(s, "/?")
	if i < 0 {
		return s, "/", s != ""
	}
	if s[i] == '?' {
		return s[:i], "/" + s[i:], i > 0
	}
	return s[:i], s[i:], i > 0
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

// oursPrefix is where the session exchange is.
const oursPrefix = "/.well-known/vcs-agent"

// maxDecodings is how many layers of percent-encoding isOurs looks below.
const maxDecodings = 4

// isOurs tells targets that are the session exchange's, or would be to someone
// who decodes the path, joins its slashes or resolves its dot segments.
func isOurs(target string) bool {
	p, _, _ := strings.Cut(target, "?")
	for range maxDecodings {
		if clean := path.Clean(strings.ReplaceAll(p, `\`, "/")); len(clean) >= len(oursPrefix) && strings.EqualFold(clean[:len(oursPrefix)], oursPrefix) {
			return true
		}
		decoded, err := url.PathUnescape(p)
		if err != nil || decoded == p {
			return false
		}
		p = decoded
	}
	return false
}

// callerKey returns the key that a request carries: VCS-Gateway-Key or a Bearer in
// Proxy-Authorization; as a proxy, also the password of Basic, since that is
// what git and curl can send. Authorization is the VCS's and isn't looked at.
func callerKey(r *http.Request, f form) transport.Secret {
	if k := r.Header.Get(KeyHeader); k != "" {
		return transport.Secret(k)
	}
	kind, value, _ := strings.Cut(r.Header.Get("Proxy-Authorization"), " ")
	value = strings.TrimSpace(value)
	switch {
	case strings.EqualFold(kind, "Bearer"):
		return transport.Secret(value)
	case strings.EqualFold(kind, "Basic") && f == proxyForm:
		raw, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return ""
		}
		_, password, _ := strings.Cut(string(raw), ":")
		return transport.Secret(password)
	}
	return ""
}
