package transport

import (
	"net/http"
	"regexp"
	"strings"
)

// maxLogged bounds a target or a header's value in a log line.
const maxLogged = 2 << 10

// secretName tells query keys, form keys and JSON members that carry
// credentials, whatever they're called exactly. Too much is masked rather than too little.
var secretName = regexp.MustCompile(`(?i)token|secret|passw|credential|signature|api[-_]?key|private[-_]?key|authorization|^(?:key|sig|jwt|code|state)$`)

// secretHeaders carry credentials in any vendor's API, or ours.
var secretHeaders = map[string]bool{
	"Authorization": true, "Proxy-Authorization": true, "Proxy-Authenticate": false,
	"Private-Token": true, "Job-Token": true, "Deploy-Token": true, "Cookie": true, "Set-Cookie": true,
	"Vcs-Gateway-Key": true, "X-Gitlab-Token": true, "X-Hub-Signature": true, "X-Hub-Signature-256": true,
}

// MaskTarget renders a request target for logs: the values of query keys that
// carry credentials are hidden, userinfo and what looks like a URL's password
// too, and it is bounded to 2 KiB.
func MaskTarget(target string) string {
	path, query, has := strings.Cut(target, "?")
	if i := strings.LastIndexByte(path, '@'); i >= 0 {
		if j := strings.Index(path, "://"); j >= 0 && j < i {
			path = path[:j+3] + masked + path[i:]
		}
	}
	if !has {
		return bounded(path)
	}
	var b strings.Builder
	b.WriteString(path)
	b.WriteByte('?')
	for len(query) > 0 {
		// A key ends at "=", and a pair at "&" or at the ";" that some servers take.
		pair := query
		if i := strings.IndexAny(query, "&;"); i >= 0 {
			pair, query = query[:i+1], query[i+1:]
		} else {
			query = ""
		}
		key, _, hasValue := strings.Cut(pair, "=")
		if !hasValue || !secretName.MatchString(unescapeLoosely(key)) {
			b.WriteString(pair)
			continue
		}
		b.WriteString(key + "=" + masked)
		if last := pair[len(pair)-1]; last == '&' || last == ';' {
			b.WriteByte(last)
		}
	}
	return bounded(b.String())
}

// unescapeLoosely decodes what is percent-encoded and leaves the rest, so that
// an encoded key is masked like a plain one.
func unescapeLoosely(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi >= 0 && lo >= 0 {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

func bounded(s string) string {
	if len(s) > maxLogged {
		return s[:maxLogged] + "…"
	}
	return s
}

// MaskHeader returns a copy of h for logs, with the values that carry
// credentials hidden.
func MaskHeader(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		for _, v := range values {
			switch canonical := http.CanonicalHeaderKey(name); {
			case secretHeaders[canonical] || secretName.MatchString(name):
				v = masked
			case canonical == "Location" || canonical == "Link" || canonical == "Referer":
				v = MaskTarget(v)
			}
			out[name] = append(out[name], bounded(v))
		}
	}
	return out
}

var (
	jsonSecret = regexp.MustCompile(`(?i)("[^"\\]{0,64}(?:token|secret|passw|credential|private[-_]?key|authorization|jwt)[^"\\]{0,64}"\s*:\s*)"(?:[^"\\]|\\.)*("?)`)
	formSecret = regexp.MustCompile(`(?i)((?:^|&)[^=&]{0,64}(?:token|secret|passw|credential|key|assertion)[^=&]{0,64}=)[^&\s]*`)
)

// MaskBody renders a body, or the start of one, for logs: members of JSON and of
// forms that carry credentials are hidden.
func MaskBody(b []byte) string {
	s := jsonSecret.ReplaceAllString(string(b), `${1}"`+masked+`${2}`)
	return formSecret.ReplaceAllString(s, "${1}"+masked)
}
