package allow

import (
	"fmt"
	"strings"
	"unicode"
)

// glob is a pattern for decoded paths: a segment "**" stands for any number of
// segments, none included, and "*" within a segment for any run of characters.
// It takes no notice of the case of letters, since some servers take none.
type glob []string

// maxGlobSegments bounds a glob; a path of templates has no more either.
const maxGlobSegments = MaxSegments

func parseGlob(pattern string) (glob, error) {
	const form = `; it must be a decoded path such as /api/v4/projects/*/hooks/**, where * stands for a part of a segment and ** for any segments`
	if !strings.HasPrefix(pattern, "/") {
		return nil, fmt.Errorf("path is %s%s", quote(pattern), form)
	}
	if strings.ContainsAny(pattern, "%?#\\;{}") {
		return nil, fmt.Errorf("path is %s, which has a character of %%?#\\;{}%s", quote(pattern), form)
	}
	g := glob(strings.Split(fold(pattern[1:]), "/"))
	if len(g) > maxGlobSegments {
		return nil, fmt.Errorf("path is %s, which has more than %d segments", quote(pattern), maxGlobSegments)
	}
	for _, seg := range g {
		if strings.Contains(seg, "**") && seg != "**" {
			return nil, fmt.Errorf("path is %s, which has ** beside other characters of a segment%s", quote(pattern), form)
		}
	}
	return g, nil
}

// fold maps letters that differ in case only to one of them.
func fold(s string) string {
	return strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, s)
}

// match takes folded segments.
func (g glob) match(segs []string) bool {
	return wild(g, segs, func(p string) bool { return p == "**" }, func(p, s string) bool {
		return wild([]byte(p), []byte(s), func(c byte) bool { return c == '*' }, func(a, b byte) bool { return a == b })
	})
}

// wild matches items against a pattern in which star stands for any number of
// them. It goes back to the last star only, so it takes at most
// len(pattern)*len(items) steps.
func wild[P, S any](pattern []P, items []S, star func(P) bool, one func(P, S) bool) bool {
	p, s := 0, 0
	back, mark := -1, 0
	for s < len(items) {
		switch {
		case p < len(pattern) && star(pattern[p]):
			back, mark = p, s
			p++
		case p < len(pattern) && one(pattern[p], items[s]):
			p++
			s++
		case back >= 0:
			mark++
			p, s = back+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && star(pattern[p]) {
		p++
	}
	return p == len(pattern)
}

// foldedPath is a request's path for globs: as segments, and the same with
// encoded slashes taken for separators. A glob that matches either counts,
// since globs only ever deny.
type foldedPath struct{ segs, flat []string }

func foldPath(segs []segment) foldedPath {
	var f foldedPath
	encoded := false
	for _, s := range segs {
		f.segs = append(f.segs, fold(s.text))
		encoded = encoded || s.slash
	}
	f.flat = f.segs
	if encoded {
		f.flat = strings.Split(strings.Join(f.segs, "/"), "/")
	}
	return f
}

func (f foldedPath) matches(g glob) bool { return g.match(f.segs) || g.match(f.flat) }
