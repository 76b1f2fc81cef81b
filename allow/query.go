package allow

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pair is one key and value of a query or form, decoded once.
type pair struct {
	key, value string
	noValue    bool // written without "=", which some servers tell from an empty value
}

// parsePairs reads a query or an urlencoded form strictly: one separator, no
// broken escape, no empty key. what names the thing in sentences.
func parsePairs(raw string, pairs []pair, bad Reason, what string) ([]pair, fault) {
	if raw == "" {
		return pairs, fault{}
	}
	for more := true; more; {
		var item string
		item, raw, more = strings.Cut(raw, "&")
		if strings.IndexByte(item, ';') >= 0 {
			return nil, fault{bad, "the " + what + ` has a ";", which some servers read as a separator`}
		}
		rawKey, rawValue, hasValue := strings.Cut(item, "=")
		if bad == BadQuery && rawKey != "" && strings.IndexByte(item, '%') < 0 && strings.IndexByte(item, '+') < 0 {
			// As most are: nothing to decode, and parseTarget has seen the bytes.
			pairs = append(pairs, pair{rawKey, rawValue, !hasValue})
			continue
		}
		key, ok := unescape(rawKey, true)
		value, ok2 := unescape(rawValue, true)
		switch {
		case !ok || !ok2:
			return nil, fault{bad, "the " + what + " has a broken percent-escape"}
		case key == "":
			return nil, fault{bad, "the " + what + " has a pair without a key"}
		case !printable(key) || !utf8.ValidString(value):
			return nil, fault{bad, "the " + what + " has invalid UTF-8 or an unprintable key"}
		case bad == BadQuery && hasControl(value):
			return nil, fault{bad, "the query has a control character in a value"}
		}
		pairs = append(pairs, pair{key, value, !hasValue})
	}
	return pairs, fault{}
}

func printable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

func hasControl(s string) bool { return strings.IndexFunc(s, unicode.IsControl) >= 0 }

// checkQuery holds the pairs against the rule and returns the query to send.
// observed is why a policy that didn't only observe would deny it.
func (p *Policy) checkQuery(r *rule, pairs []pair, projects *projectCheck) (rawQuery string, observed, f fault) {
	var seen keySet
	for i := range pairs {
		pr := &pairs[i]
		k, ok := r.queryKeys[pr.key]
		if !ok {
			if p.mayObserve(pr.key, projects) {
				observed = fault{QueryNotAllowed, r.describeUnknown("query key", pr.key, !pr.noValue)}
				continue
			}
			return "", observed, fault{QueryNotAllowed, r.describeUnknown("query key", pr.key, !pr.noValue)}
		}
		if !seen.add(k.index) && !k.repeat {
			return "", observed, fault{QueryNotAllowed, "the query key " + quote(pr.key) + " is given twice"}
		}
		if k.fixed && pr.value != k.value {
			return "", observed, fault{QueryNotAllowed, "the query key " + quote(pr.key) + " must be " + k.value}
		}
		if f := projects.named(k.names, pr.key, pr.value); f.reason != "" {
			return "", observed, f
		}
	}
	for name, want := range r.Fixed {
		if !seen.has(r.queryKeys[name].index) {
			return "", observed, fault{QueryNotAllowed, "the query must have " + name + "=" + want}
		}
	}
	if len(pairs) == 0 {
		return "", observed, fault{}
	}
	return encodePairs(pairs), observed, fault{}
}

func encodePairs(pairs []pair) string {
	var buf [256]byte
	b := buf[:0]
	for i, pr := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = appendQueryEscaped(b, pr.key)
		if !pr.noValue {
			b = append(b, '=')
			b = appendQueryEscaped(b, pr.value)
		}
	}
	return string(b)
}

// appendQueryEscaped is appendEscaped with "+" for a space, as forms have it: a
// value that came with a "+" goes on with one.
func appendQueryEscaped(b []byte, s string) []byte {
	for {
		word, rest, more := strings.Cut(s, " ")
		b = appendEscaped(b, word)
		if !more {
			return b
		}
		b, s = append(b, '+'), rest
	}
}

// dangerous are parameters that change who asks or what is asked, of any vendor.
// No rule may name them; the hint says what to do instead.
var dangerous = []struct{ name, hint string }{
	{"private_token", "send the token in a header"},
	{"access_token", "send the token in the Authorization header"},
	{"oauth_token", "send the token in the Authorization header"},
	{"token", "send the token in a header"},
	{"job_token", "job tokens are not accepted"},
	{"deploy_token", "deploy tokens are not accepted"},
	{"feed_token", "feed tokens are not accepted"},
	{"client_secret", "secrets of applications are not accepted"},
	{"os_username", "send the credential in the Authorization header"},
	{"os_password", "send the credential in the Authorization header"},
	{"os_authtype", "send the credential in the Authorization header"},
	{"sudo", "acting as another user is not accepted"},
	{"_method", "send the method itself"},
	{"_httpmethod", "send the method itself"},
	{"x-http-method-override", "send the method itself"},
}

// dangerHint returns the hint for a parameter that some server reads as one of
// the dangerous ones, "" for any other.
func dangerHint(name string) string {
	name = strings.TrimLeft(strings.ToLower(name), "[] \t") // as Rack does
	if i := strings.IndexAny(name, "[]"); i >= 0 {
		name = name[:i]
	}
	name = strings.TrimSpace(name)
	i := slices.IndexFunc(dangerous, func(d struct{ name, hint string }) bool { return d.name == name })
	if i < 0 {
		return ""
	}
	return dangerous[i].hint
}

// describeUnknown says that the rule doesn't have a key. The key is quoted only
// when it can't be a value that lost its key.
func (r *rule) describeUnknown(what, name string, quotable bool) string {
	if hint := dangerHint(name); hint != "" {
		return "the " + what + " " + quote(name) + " is never allowed; " + hint
	}
	if !quotable {
		return "a " + what + " is not one that the rule " + r.Name + " has"
	}
	return "the " + what + " " + quote(name) + " is not one that the rule " + r.Name + " has"
}

// maxKeys bounds the keys of one rule's query and body.
const maxKeys = 128

// keySet is a set of key indexes below maxKeys.
type keySet [maxKeys / 64]uint64

// add reports whether the index is new.
func (s *keySet) add(i int) bool {
	had := s.has(i)
	s[i/64] |= 1 << (i % 64)
	return !had
}

func (s *keySet) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }
