package allow

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// MaxTargetBytes bounds a request's target, path and query together. Git
	// hosts bound theirs at 4 to 8 KiB.
	MaxTargetBytes = 8 << 10
	// MaxSegments bounds the segments of a path. The longest real ones are refs
	// and files some twenty folders deep.
	MaxSegments = 64
)

// segment is one part of a path, between two slashes, decoded exactly once.
type segment struct {
	text  string
	slash bool // an encoded slash was in it
}

// What a raw byte of a target means to its reading.
const (
	plain = iota
	control
	notASCII
	backslash
	semicolon
	fragment
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c <= ' ' || c == 0x7f:
			t[c] = control
		case c > 0x7f:
			t[c] = notASCII
		}
	}
	t['\\'], t[';'], t['#'] = backslash, semicolon, fragment
	return t
}()

// parseTarget reads a target in origin form (RFC 9112, section 3.2.1) into
// segments and pairs, which it appends to the given buffers. It refuses
// whatever two servers could read differently.
func parseTarget(target string, segs []segment, pairs []pair) ([]segment, []pair, fault) {
	if len(target) > MaxTargetBytes {
		return nil, nil, fault{TargetTooLong, "the target is longer than 8 KiB"}
	}
	if target == "" || target[0] != '/' {
		return nil, nil, fault{BadTarget, "the target is not a path that begins with a slash; absolute, authority and asterisk form are not allowed"}
	}
	for i := range len(target) {
		switch class[target[i]] {
		case control:
			return nil, nil, fault{BadEncoding, "the target holds a space or a control character"}
		case notASCII:
			return nil, nil, fault{BadEncoding, "the target holds a byte outside ASCII that is not percent-encoded"}
		case fragment:
			return nil, nil, fault{BadTarget, "the target holds a fragment"}
		case backslash:
			return nil, nil, fault{AmbiguousPath, "the target holds a backslash"}
		}
	}
	path, query, _ := strings.Cut(target, "?")
	segs, f := parsePath(path, segs)
	if f.reason != "" {
		return nil, nil, f
	}
	pairs, f = parsePairs(query, pairs, BadQuery, "query")
	return segs, pairs, f
}

func parsePath(path string, segs []segment) ([]segment, fault) {
	rest := path[1:]
	for more := true; more; {
		var raw string
		raw, rest, more = strings.Cut(rest, "/")
		if len(segs) == MaxSegments {
			return nil, fault{TargetTooLong, "the path has more than 64 segments"}
		}
		if raw == "" {
			if more {
				return nil, fault{AmbiguousPath, "the path has an empty segment (two slashes in a row)"}
			}
			segs = append(segs, segment{}) // a slash at the end: only a template that has one matches it
			break
		}
		seg, f := parseSegment(raw)
		if f.reason != "" {
			return nil, f
		}
		segs = append(segs, seg)
	}
	return segs, fault{}
}

func parseSegment(raw string) (segment, fault) {
	text := raw
	if strings.IndexByte(raw, '%') >= 0 {
		var ok bool
		if text, ok = unescape(raw, false); !ok {
			return segment{}, fault{BadEncoding, "the path has a broken percent-escape in " + quote(raw)}
		}
		if f := checkDecoded(raw, text); f.reason != "" {
			return segment{}, f
		}
	}
	if strings.IndexByte(text, ';') >= 0 {
		return segment{}, fault{AmbiguousPath, `the path has a ";" in ` + quote(raw) + ", which some servers read as a parameter"}
	}
	seg := segment{text: text, slash: text != raw && strings.IndexByte(text, '/') >= 0}
	if !seg.slash {
		if isDots(text) {
			return segment{}, fault{AmbiguousPath, "the path has a segment that is nothing but dots or spaces: " + quote(raw)}
		}
		return seg, fault{}
	}
	for part := range strings.SplitSeq(text, "/") {
		if part == "" || isDots(part) {
			return segment{}, fault{AmbiguousPath, "the path has an empty or dot segment behind an encoded slash in " + quote(raw)}
		}
	}
	return seg, fault{}
}

// checkDecoded looks at what came out of percent-decoding, where any byte may be.
func checkDecoded(raw, text string) fault {
	ascii := true
	for i := range len(text) {
		switch c := text[i]; {
		case c >= utf8.RuneSelf:
			ascii = false
		case c < ' ' || c == 0x7f:
			return fault{BadEncoding, "the path has a control character in " + quote(raw)}
		case c == '\\':
			return fault{AmbiguousPath, "the path has an encoded backslash in " + quote(raw)}
		case c == '%' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			return fault{AmbiguousPath, "the path is percent-encoded twice in " + quote(raw)}
		case c == '%' && i+1 < len(text) && (text[i+1] == 'u' || text[i+1] == 'U'):
			return fault{AmbiguousPath, "the path holds what some servers read as an escape of their own in " + quote(raw)}
		}
	}
	switch {
	case ascii:
	case !printable(text):
		return fault{BadEncoding, "the path has invalid UTF-8 or an unprintable character in " + quote(raw)}
	case slices.ContainsFunc([]rune(text), lookalike):
		return fault{AmbiguousPath, "the path has a character that some servers turn into a dot or slash in " + quote(raw)}
	}
	return fault{}
}

// lookalike tells characters that NFKC, or the best-fit mapping of some servers,
// turns into one that means something in a path.
func lookalike(r rune) bool {
	return r >= utf8.RuneSelf && (strings.ContainsRune("⁄∕∖⧵", r) || strings.ContainsAny(norm.NFKC.String(string(r)), `./\;%?#`))
}

// isDots reports whether a path part is "." or "..", or becomes it on servers
// that strip dots and spaces from its end.
func isDots(part string) bool {
	for i := range len(part) {
		if part[i] != '.' && part[i] != ' ' {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

// unescape decodes percent-escapes once, and "+" to a space where asked. Unlike
// net/url's it has one way to fail, and doesn't allocate for what is plain.
func unescape(s string, plus bool) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && !(plus && strings.IndexByte(s, '+') >= 0) {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return "", false
			}
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		case c == '+' && plus:
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b), true
}

// appendEscaped percent-encodes everything but RFC 3986's unreserved
// characters, upper-case, so that a text has one encoding.
func appendEscaped(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	from := 0
	for i := range len(s) {
		if c := s[i]; !unreserved[c] {
			b = append(append(b, s[from:i]...), '%', digits[c>>4], digits[c&15])
			from = i + 1
		}
	}
	return append(b, s[from:]...)
}

var unreserved = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") {
		t[c] = true
	}
	return t
}()
