package allow_test

import (
	"regexp"
	"strings"
	"testing"

	"vcsagent/allow"
)

func TestGlobs(t *testing.T) {
	for _, c := range []struct {
		glob string
		yes  []string
		no   []string
	}{
		{"/a/b", []string{"/a/b", "/A/B", "/%61/b"}, []string{"/a", "/a/b/c", "/a/bb", "/x/a/b"}},
		{"/a/*", []string{"/a/b", "/a/b%2Fc"}, []string{"/a", "/a/b/c"}},
		{"/a/**", []string{"/a", "/a/b", "/a/b/c"}, []string{"/ab", "/x/a"}},
		{"/**/c", []string{"/c", "/a/c", "/a/b/c", "/a%2Fc"}, []string{"/c/d", "/a/cc"}},
		{"/**/b/**/d", []string{"/b/d", "/a/b/c/d", "/b/b/d/d", "/a%2Fb%2Fc/d"}, []string{"/a/d", "/b/c"}},
		{"/a*b/c", []string{"/ab/c", "/axxb/c", "/aBb/c"}, []string{"/a/b/c", "/axc/c"}},
		{"/*.git/**", []string{"/x.git", "/x.GIT/info"}, []string{"/x.gitx", "/a/x.git"}},
		{"/k/s", []string{"/k/s", "/%E2%84%AA/%C5%BF"}, []string{"/k/t"}}, // the Kelvin sign and the long s fold to k and s
		{"/**", []string{"/", "/a", "/a/b"}, nil},
	} {
		rules := rulesOf(t, "block: [{name: b, path: '"+c.glob+"'}]")
		p := policy(t, allow.Options{Vendor: "gitlab", Rules: rules})
		for _, path := range c.yes {
			if d := p.Check("GET", path); d.Reason != allow.Blocked {
				t.Errorf("%s doesn't block %s: %s", c.glob, path, d.Reason)
			}
		}
		for _, path := range c.no {
			if d := p.Check("GET", path); d.Reason == allow.Blocked {
				t.Errorf("%s blocks %s", c.glob, path)
			}
		}
	}
}

// FuzzGlob holds globs against regular expressions that say the same.
func FuzzGlob(f *testing.F) {
	for _, c := range [][2]string{{"/a/*/c", "/a/b/c"}, {"/**/b/**", "/a/b"}, {"/**/**/x*y*z", "/a/xyyz"}, {"/*/**/*", "/a"}} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, glob, path string) {
		if strings.IndexFunc(glob+path, func(r rune) bool { return !strings.ContainsRune("/abc*.", r) }) >= 0 || len(glob) > 40 || len(path) > 40 {
			return
		}
		rules, err := allow.ParseRules("r", []byte("block: [{name: b, path: '"+glob+"'}]"))
		if err != nil {
			return
		}
		d := policy(t, allow.Options{Vendor: "gitlab", Rules: rules}).Check("GET", path)
		if d.Reason != allow.NoRule && d.Reason != allow.Blocked {
			return // it isn't even read
		}
		var re strings.Builder
		for seg := range strings.SplitSeq(glob[1:], "/") {
			if seg == "**" {
				re.WriteString("(/[^/]*)*")
				continue
			}
			re.WriteString("/" + strings.ReplaceAll(regexp.QuoteMeta(seg), `\*`, "[^/]*"))
		}
		want := regexp.MustCompile(`\A` + re.String() + `\z`).MatchString(path)
		if got := d.Reason == allow.Blocked; got != want {
			t.Fatalf("glob %s on %s: %t, want %t", glob, path, got, want)
		}
	})
}
