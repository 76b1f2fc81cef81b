package allow_test

import (
	"strings"
	"testing"

	"vcsagent/allow"
)

// FuzzRespell holds that no other spelling of a denied path is allowed: with
// characters percent-encoded that need no encoding, with the hex digits of
// escapes in the other case, and with dots encoded. An allowed one may become
// denied (encoding twice is), but what is sent for it stays the same.
func FuzzRespell(f *testing.F) {
	for _, target := range []string{
		"/api/v4/projects/g%2Fr/hooks", "/api/v4/projects/g%2Fr", "/api/v4/projects/g%2fr/../x", "/api/v4/projects/evil%2Fr",
		"/repos/acme/infra/contents/a", "/repos/acme/infra/compare/a...b", "/g/r.git/git-receive-pack", "/scm/K/s.git/info/refs?service=git-upload-pack",
		"/rest/api/1x0/repos", "/projects/K/repos/s/raw/XspaceliftXconfigAyml", "/DefaultCollection/P/_apis/git/repositories/R/pushes",
		"/api/v1/repos/acme/infra/raw/.spacelift/config.yml", "/blocked/x",
	} {
		f.Add("GET", target, []byte{1, 2, 3, 0xff, 7, 0, 0x55})
		f.Add("POST", target, []byte{0xff, 0xff, 0xff, 0xff, 0xff})
	}
	rules := rulesOf(f, "block: [{name: b, path: /**/*locked/**}]")
	var policies []*allow.Policy
	for _, vendor := range allow.Vendors() {
		for _, projects := range []string{"", "acme/infra|g/.*|K/s"} {
			policies = append(policies, policy(f, allow.Options{Vendor: vendor, Groups: allow.Groups(), Projects: projects, Rules: rules}))
		}
		policies = append(policies, policy(f, allow.Options{Vendor: vendor, Observe: true, Rules: rules}))
	}
	f.Fuzz(func(t *testing.T, method, target string, choices []byte) {
		other := respell(target, choices)
		for _, p := range policies {
			first, second := p.Check(method, target), p.Check(method, other)
			if !second.Allowed {
				continue
			}
			if !first.Allowed {
				t.Fatalf("%s %s is denied (%s), but %s is allowed by %s", method, target, first.Reason, other, second.Rule)
			}
			if sent(first) != sent(second) {
				t.Fatalf("%s is sent as %s, but %s as %s", target, sent(first), other, sent(second))
			}
		}
	})
}

// respell writes a target's path otherwise; the bits of choices say which of its
// characters are touched. A "%" that begins no escape stays as it is.
func respell(target string, choices []byte) string {
	path, query, hasQuery := strings.Cut(target, "?")
	var b strings.Builder
	const hex, otherHex = "0123456789ABCDEF", "0123456789abcdef"
	n := 0
	for i := 0; i < len(path); i++ {
		chosen := len(choices) > 0 && choices[n/8%len(choices)]>>(n%8)&1 == 1
		n++
		c := path[i]
		digits := hex
		if n%3 == 0 {
			digits = otherHex
		}
		switch {
		case c == '%' && i+2 < len(path) && strings.IndexByte(hex+otherHex, path[i+1]) >= 0 && strings.IndexByte(hex+otherHex, path[i+2]) >= 0:
			escape := path[i : i+3]
			if chosen {
				escape = swapCase(escape)
			}
			b.WriteString(escape)
			i += 2
		case chosen && unreservedByte(c):
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		default:
			b.WriteByte(c)
		}
	}
	if hasQuery {
		return b.String() + "?" + query
	}
	return b.String()
}

func swapCase(s string) string {
	if lower := strings.ToLower(s); lower != s {
		return lower
	}
	return strings.ToUpper(s)
}

func unreservedByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func TestRespell(t *testing.T) {
	for _, c := range []struct {
		in      string
		choices []byte
		want    string
	}{
		{"/a.b", []byte{0}, "/a.b"}, {"/a.b", []byte{0xff}, "/%61%2e%62"}, {"/%2fx?a.b", []byte{0xff}, "/%2F%78?a.b"}, {"/%2Fx%z", []byte{2}, "/%2fx%z"},
	} {
		if got := respell(c.in, c.choices); got != c.want {
			t.Errorf("respell(%s, %v) = %s, want %s", c.in, c.choices, got, c.want)
		}
	}
}
