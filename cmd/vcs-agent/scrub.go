package main

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// scrubber takes secrets out of text that leaves the process beside the log:
// error reports and the last words on stderr. Nothing should put one there; this
// is for the error of a library that quotes what it was given.
type scrubber struct {
	first []string // as many as the settings have

	mu    sync.Mutex // for later
	later [][]string // by rotation, at most maxRotations

	known atomic.Pointer[strings.Replacer]
}

// maxRotations bounds how many rotated credentials are remembered: an error may
// still quote the one before, but hardly the one before these.
const maxRotations = 16

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
func newScrubber(secrets ...string) *scrubber {
	s := &scrubber{first: secrets}
	s.rebuild()
	return s
}

// add makes s take out secrets that came later, too.
func (s *scrubber) add(secrets ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.later = append(s.later, secrets)
	s.later = s.later[max(0, len(s.later)-maxRotations):]
	s.rebuild()
}

func (s *scrubber) rebuild() {
	const least = 4
	secrets := slices.Concat(slices.Concat(s.later...), s.first)
	// The longest first, or a key would be cut out of its token and the rest left.
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, secret := range slices.Compact(secrets) {
		if len(secret) >= least {
			pairs = append(pairs, secret, scrubbed)
		}
	}
	s.known.Store(strings.NewReplacer(pairs...))
}

func (s *scrubber) text(t string) string {
	t = s.known.Load().Replace(t)
	for _, p := range patterns {
		t = p.find.ReplaceAllString(t, p.replace)
	}
	return t
}
