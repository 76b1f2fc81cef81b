package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLogged bounds a target or a header's value in a log line.
const maxLogged = 2 << 10

// What carries credentials, whatever it's called exactly. Too much is masked
// rather than too little.
var (
	// secretName tells query keys and headers.
	secretName = regexp.MustCompile(`(?i)token|secret|passw|credential|signature|assertion|api[-_]?key|private[-_]?key|authorization|(?:^|[-_])(?:sig|jwt)$|^(?:key|code|state)$`)
	// secretMember tells members of JSON and fields of forms, where code, state
	// and key are everyday words.
	secretMember = regexp.MustCompile(`(?i)token|secret|passw|credential|signature|assertion|api[-_]?key|private[-_]?key|authorization|(?:^|[-_])(?:sig|jwt|pem)$`)
)

// secretHeaders carry credentials in any vendor's API, or ours, beside those
// that secretName tells.
var secretHeaders = map[string]bool{"Cookie": true, "Set-Cookie": true, "Set-Cookie2": true, "Vcs-Gateway-Key": true}

// MaskTarget renders a request target or a URL for logs: the values of query
// keys that carry credentials are hidden, userinfo too, and it is bounded to 2 KiB.
func MaskTarget(target string) string {
	target = userinfo.ReplaceAllString(target, "://"+masked+"@")
	// Servers differ in whether ";" ends a value, and hardly any other character does.
	return bounded(maskPairs(target, "&", secretName))
}

// jsonAmpersand is "&" as many encoders write it in JSON's strings.
const jsonAmpersand = `\u0026`

// maskPairs hides the value of each key=value in s whose key name matches. A
// key begins behind whatever may stand before one; a value ends at one of ends.
func maskPairs(s, ends string, name *regexp.Regexp) string {
	var b strings.Builder
	done := 0 // up to where s is in b
	for from := 0; ; {
		i := strings.IndexByte(s[from:], '=')
		if i < 0 {
			break
		}
		i += from
		key := s[done:i]
		if j := strings.LastIndexAny(key, "?&;#/=,<>{}()\"' \t\r\n"); j >= 0 {
			key = key[j+1:]
		}
		if j := strings.LastIndex(key, jsonAmpersand); j >= 0 {
			key = key[j+len(jsonAmpersand):]
		}
		from = i + 1
		if !name.MatchString(unescapeLoosely(key)) {
			continue
		}
		end := strings.IndexAny(s[from:], ends)
		if end < 0 {
			end = len(s) - from
		}
		if end == 0 {
			continue // an empty value
		}
		b.WriteString(s[done:from])
		b.WriteString(masked)
		from += end
		done = from
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
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
		return Printable(s[:maxLogged]) + "…"
	}
	return Printable(s)
}

// MaskHeader returns a copy of h for logs: values that carry credentials are
// hidden, and in the others what [MaskTarget] hides in a URL.
func MaskHeader(h http.Header) http.Header {
	out := make(http.Header, len(h))
	for name, values := range h {
		secret := secretHeaders[http.CanonicalHeaderKey(name)] || secretName.MatchString(name)
		for _, v := range values {
			if secret {
				v = masked
			} else {
				v = maskText(v, secretName)
			}
			out[name] = append(out[name], bounded(v))
		}
	}
	return out
}

// userinfo is the part of a URL before its host.
var userinfo = regexp.MustCompile(`://[^/?#\s"'<>]+@`)

// maskText hides credentials in the URLs of a text that is more than one URL.
func maskText(s string, name *regexp.Regexp) string {
	return maskPairs(userinfo.ReplaceAllString(s, "://"+masked+"@"), "& \t\r\n\"<>", name)
}

// multipartField is a form's field: its headers, its name, and its value up to the boundary.
var multipartField = regexp.MustCompile(`(?is)(content-disposition:[^\r\n]*\bname\s*=\s*("[^"\r\n]*"?|[^;\r\n]*)[^\r\n]*(?:\r?\n[^\r\n]+)*\r?\n\r?\n)(.*?)(\r?\n--|$)`)

// MaskBody renders a body, or the start of one, for logs: members of JSON and
// fields of forms that carry credentials are hidden, and those in URLs.
func MaskBody(b []byte) string {
	s := string(b)
	switch start := bytes.TrimLeft(b, " \t\r\n"); {
	case len(start) > 0 && (start[0] == '{' || start[0] == '['):
		return maskText(maskMembers(s), secretMember)
	case bytes.HasPrefix(start, []byte("--")):
		s = multipartField.ReplaceAllStringFunc(s, func(field string) string {
			m := multipartField.FindStringSubmatch(field)
			if secretMember.MatchString(strings.Trim(m[2], `" `)) {
				return m[1] + masked + m[4]
			}
			return field
		})
		return maskText(s, secretMember)
	}
	return maskPairs(userinfo.ReplaceAllString(s, "://"+masked+"@"), "&", secretMember)
}

// maskMembers hides the values of secret members of JSON that may be cut off at
// any point. It looks for strings before colons, so it needs no whole document.
func maskMembers(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '"' {
			b.WriteByte(s[i])
			i++
			continue
		}
		end := stringEnd(s, i)
		name := s[i:end]
		b.WriteString(name)
		i = end
		colon := skipSpace(s, i)
		if colon == len(s) || s[colon] != ':' {
			continue
		}
		value := skipSpace(s, colon+1)
		b.WriteString(s[i:value])
		i = value
		var plain string
		if json.Unmarshal([]byte(name), &plain) != nil {
			plain = name
		}
		if secretMember.MatchString(plain) {
			if i = valueEnd(s, value); i > value && !isWord(s[value:i]) {
				b.WriteString(`"` + masked + `"`)
			} else {
				b.WriteString(s[value:i])
			}
		}
	}
	return b.String()
}

// isWord tells the values that are no secret, whatever the member's name.
func isWord(v string) bool { return v == "null" || v == "true" || v == "false" }

func skipSpace(s string, i int) int {
	for i < len(s) && strings.IndexByte(" \t\r\n", s[i]) >= 0 {
		i++
	}
	return i
}

// stringEnd is the index behind the JSON string that begins at i.
func stringEnd(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

// valueEnd is the index behind the JSON value that begins at i.
func valueEnd(s string, i int) int {
	for depth := 0; i < len(s); {
		switch s[i] {
		case '"':
			i = stringEnd(s, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				if depth < 0 {
					return i // the end of what holds the value
				}
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		case ' ', '\t', '\r', '\n':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(s)
}

// Printable renders a peer's text for a log: what isn't printable, such as
// control characters, marks that turn the writing's direction and broken UTF-8, is
// percent-encoded, so that neither a terminal nor an eye is misled. JSON alone
// escapes only some of that.
func Printable(s string) string {
	var b strings.Builder
	done := 0 // up to where s is in b
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if !unicode.IsPrint(r) || r == utf8.RuneError && size == 1 {
			b.WriteString(s[done:i])
			for _, c := range []byte(s[i : i+size]) {
				fmt.Fprintf(&b, "%%%02X", c)
			}
			done = i + size
		}
		i += size
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}
