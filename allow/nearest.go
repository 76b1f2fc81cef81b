package allow

import (
	"slices"
	"strconv"
	"strings"
)

// noMatch explains why no rule was found. It may look at every rule: a denial
// is rare, and bounded by the number of rules.
func (p *Policy) noMatch(m *matcher) Decision {
	if m.other != nil {
		r := m.other.rule
		return Decision{
			Reason: MethodNotAllowed, Nearest: r.Name,
			Detail: quoteMethod(m.method) + " is not allowed on this path; the rule " + r.Name + " has " + strings.Join(withHead(r.Methods), ", "),
		}
	}
	d := Decision{Reason: NoRule, Detail: "no rule allows this path"}
	v, at := p.nearest(m)
	if v != nil {
		d.Nearest = v.rule.Name
		d.Detail = "no rule allows this path; the nearest, " + v.rule.Name + ", " + v.differs(m.segs, at)
	}
	switch {
	case m.segs[len(m.segs)-1].text == "" && len(m.segs) > 1:
		d.Reason, d.Detail = AmbiguousPath, "the path ends with a slash, and no rule has one there"
	case v != nil && at < len(m.segs) && m.segs[at].slash && !v.takesSlash(at):
		d.Reason, d.Detail = AmbiguousPath, "the path has an encoded slash in "+quote(m.segs[at].text)+", where no rule allows one"
	}
	return d
}

func withHead(methods []string) []string {
	if slices.Contains(methods, "GET") {
		return append([]string{"HEAD"}, methods...)
	}
	return methods
}

func quoteMethod(m string) string {
	if slices.Contains(methods, m) || m == "HEAD" {
		return m
	}
	return "the method " + quote(m)
}

// nearest returns the template that most of the request's segments fit, from
// its start and its end, and the first segment that doesn't. None is near that
// shares less than half of its fixed segments.
func (p *Policy) nearest(m *matcher) (best *variant, at int) {
	bestScore := 0
	for _, v := range p.variants {
		head, headFixed, headScore := fit(v.segs, m.segs, 0, 1)
		_, tailFixed, tailScore := fit(v.segs[head:], m.segs[min(head, len(m.segs)):], -1, -1)
		fixed := 0
		for _, s := range v.segs {
			if s.kind == nil {
				fixed++
			}
		}
		if (headFixed+tailFixed)*2 < fixed || headFixed+tailFixed == 0 {
			continue
		}
		score := headScore + tailScore - abs(len(v.segs)-len(m.segs))
		if slices.Contains(withHead(v.rule.Methods), m.method) {
			score++
		}
		if score > bestScore {
			best, at, bestScore = v, head, score
		}
	}
	return best, at
}

// fit counts how many segments in a row fit the template's, from the start
// (step 1) or the end (step -1). A fixed segment scores two, a parameter one.
func fit(template []templateSegment, segs []segment, start, step int) (n, fixed, score int) {
	for n < len(template) && n < len(segs) {
		i, j := start+n*step, start+n*step
		if step < 0 {
			i, j = len(template)+i, len(segs)+j
		}
		t, s := &template[i], &segs[j]
		switch {
		case t.kind == nil && t.text == s.text:
			fixed++
			score += 2
		case t.kind != nil && t.accepts(s):
			score++
		default:
			return n, fixed, score
		}
		n++
	}
	return n, fixed, score
}

func (t *templateSegment) accepts(s *segment) bool {
	text, ok := strings.CutSuffix(s.text, t.suffix)
	return ok && (!s.slash || t.kind.slash) && t.kind.valid(text)
}

func (v *variant) takesSlash(at int) bool {
	return at < len(v.segs) && v.segs[at].kind != nil && v.segs[at].kind.slash
}

// differs says how a request that fits the template up to a segment goes on
// differently.
func (v *variant) differs(segs []segment, at int) string {
	switch {
	case at >= len(segs):
		return "goes on with " + quote(v.segs[min(at, len(v.segs)-1)].text)
	case at >= len(v.segs):
		return "ends before " + quote(segs[at].text)
	}
	return "has " + quote(v.segs[at].text) + " where the request has " + quote(segs[at].text)
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// maxQuoted bounds what a sentence quotes of a request, in bytes.
const maxQuoted = 64

// quote makes a part of a request safe to print: ASCII, no control characters,
// bounded.
func quote(s string) string {
	if len(s) > maxQuoted {
		s = strings.ToValidUTF8(s[:maxQuoted], "") + "..."
	}
	return strconv.QuoteToASCII(s)
}
