package main

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// scrubber takes secrets out of text that leaves the process beside the log:
// error reports and the last words on stderr. Nothing should put one there; this
// is for the error of a library that quotes what it was given.
type scrubber struct {
	known *strings.Replacer
}

const scrubbed = "[masked]"

// patterns are secrets that can be told by where they stand: a URL's user and
// password, its query, and credentials of HTTP.
var patterns = []struct {
	find    *regexp.Regexp
	replace string
}{
	{regexp.MustCompile(`(://)[^\s/@"']+@`), "${1}" + scrubbed + "@"},
	{regexp.MustCompile(`(://[^\s?"']+\?)[^\s"']+`), "${1}" + scrubbed},
	{regexp.MustCompile(`(?i)\b(bearer|basic|token)\s+[a-z0-9._~+/=-]{8,}`), "${1} " + scrubbed},
}

// newScrubber returns a scrubber of secrets and of what looks like one. Values
// of fewer than 4 letters are left alone: taking them out would garble the text
// and tell more than it hides.
func newScrubber(secrets ...string) scrubber {
	const least = 4
	secrets = slices.Clone(secrets)
	// The longest first, or a key would be cut out of its token and the rest left.
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, s := range slices.Compact(secrets) {
		if len(s) >= least {
			pairs = append(pairs, s, scrubbed)
		}
	}
	return scrubber{strings.NewReplacer(pairs...)}
}

func (s scrubber) text(t string) string {
	t = s.known.Replace(t)
	for _, p := range patterns {
		t = p.find.ReplaceAllString(t, p.replace)
	}
	return t
}
