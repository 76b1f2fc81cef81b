package allow

import (
	"fmt"
	"strings"
)

// node is a place in the tree of all templates: what may follow the segments
// that lead to it. What matching costs depends on the request's segments and
// on how many kinds of parameter may stand in one place, not on how many rules
// there are.
type node struct {
	fixed  map[string]*node
	params []*edge
	leaves []leaf
}

// edge leads on by a parameter.
type edge struct {
	kind   *kind
	rest   bool
	suffix string
	next   *node
}

// leaf is a rule's end in the tree, for one method. The leaves of a node have
// the same parameters, as the same edges led to them.
type leaf struct {
	method string
	v      *variant
}

func (n *node) add(v *variant) error {
	for _, seg := range v.segs {
		n = n.child(seg)
	}
	for _, method := range v.rule.Methods {
		for _, l := range n.leaves {
			if l.method == method {
				return fmt.Errorf("rules %s and %s both have %s %s", quote(l.v.rule.Name), quote(v.rule.Name), method, v.rule.Path)
			}
		}
		n.leaves = append(n.leaves, leaf{method, v})
	}
	return nil
}

func (n *node) child(seg templateSegment) *node {
	if seg.kind == nil {
		next, ok := n.fixed[seg.text]
		if !ok {
			if n.fixed == nil {
				n.fixed = make(map[string]*node)
			}
			next = new(node)
			n.fixed[seg.text] = next
		}
		return next
	}
	for _, e := range n.params {
		if e.kind == seg.kind && e.rest == seg.rest && e.suffix == seg.suffix {
			return e.next
		}
	}
	e := &edge{seg.kind, seg.rest, seg.suffix, new(node)}
	n.params = append(n.params, e)
	return e.next
}

// matcher is one walk through the tree.
type matcher struct {
	segs   []segment
	method string

	found *variant
	other *variant // the path's rule for another method, when found is nil
	spans [maxParams]span
	n     int // spans in use
}

// span is the segments [from, to) that a parameter took.
type span struct{ from, to int }

// match walks on from a node with the segments from i. A fixed segment is tried
// before a parameter, and parameters in the order of the rules, so the first
// match is always the same one.
func (m *matcher) match(n *node, i int) bool {
	if i == len(m.segs) {
		return m.matchMethod(n)
	}
	if next, ok := n.fixed[m.segs[i].text]; ok && m.match(next, i+1) { // no fixed segment has a slash in it
		return true
	}
	for _, e := range n.params {
		if e.rest && m.matchRest(e, i) || !e.rest && m.matchOne(e, i) {
			return true
		}
	}
	return false
}

func (m *matcher) matchMethod(n *node) bool {
	if len(n.leaves) == 0 || !m.restFits(n.leaves[0].v) {
		return false
	}
	want := m.method
	if want == "HEAD" {
		want = "GET"
	}
	for _, l := range n.leaves {
		if l.method == want {
			m.found = l.v
			return true
		}
		m.other = l.v
	}
	return false
}

// restFits checks what the parameters that span segments took. It is done last:
// of all the ends that such a parameter could have, few lead to a rule.
func (m *matcher) restFits(v *variant) bool {
	n := 0
	for i := range v.segs {
		seg := &v.segs[i]
		if seg.kind == nil {
			continue
		}
		if seg.rest && !seg.kind.valid(m.join(m.spans[n])) {
			return false
		}
		n++
	}
	return true
}

func (m *matcher) matchOne(e *edge, i int) bool {
	s := &m.segs[i]
	text, ok := strings.CutSuffix(s.text, e.suffix)
	if !ok || s.slash && !e.kind.slash || !e.kind.valid(text) {
		return false
	}
	return m.follow(e, i, i+1)
}

func (m *matcher) matchRest(e *edge, i int) bool {
	for end := i + 1; end <= len(m.segs); end++ {
		if m.segs[end-1].slash && !e.kind.slash {
			return false
		}
		if m.follow(e, i, end) {
			return true
		}
	}
	return false
}

func (m *matcher) follow(e *edge, from, to int) bool {
	at := m.n
	m.spans[at] = span{from, to}
	m.n++
	if m.match(e.next, to) {
		return true
	}
	m.n = at
	return false
}

// join returns the decoded text of a span.
func (m *matcher) join(sp span) string {
	if sp.to == sp.from+1 {
		return m.segs[sp.from].text
	}
	texts := make([]string, 0, MaxSegments)
	for _, s := range m.segs[sp.from:sp.to] {
		texts = append(texts, s.text)
	}
	return strings.Join(texts, "/")
}

// param returns the value of the found template's nth parameter.
func (m *matcher) param(n int, seg *templateSegment) string {
	return strings.TrimSuffix(m.join(m.spans[n]), seg.suffix)
}

// project returns the project that the path names, "" if it names none.
func (m *matcher) project() string {
	project, n := "", 0
	for i := range m.found.segs {
		seg := &m.found.segs[i]
		if seg.kind == nil {
			continue
		}
		if seg.kind.project {
			if project == "" {
				project = m.param(n, seg)
			} else {
				project += "/" + m.param(n, seg)
			}
		}
		n++
	}
	return project
}

// spellings returns the paths that the found rule has for the same call besides
// the one that came: "/rest/api/latest" beside "/rest/api/1.0". A block of one
// must block all.
func (m *matcher) spellings() []foldedPath {
	var params []templateSegment
	for _, seg := range m.found.segs {
		if seg.kind != nil {
			params = append(params, seg)
		}
	}
	var all []foldedPath
	for _, v := range m.found.rule.variants {
		if v == m.found {
			continue
		}
		var segs []segment
		n := 0
		for _, seg := range v.segs {
			switch {
			case seg.kind == nil:
				segs = append(segs, segment{text: seg.text})
				continue
			case n == len(params):
				// It has a part that the request lacks, so it's no spelling of this call.
			case seg.rest:
				segs = append(segs, m.segs[m.spans[n].from:m.spans[n].to]...)
			default:
				value := m.param(n, &params[n]) + seg.suffix
				segs = append(segs, segment{text: value, slash: strings.Contains(value, "/")})
			}
			n++
		}
		if n == len(params) {
			all = append(all, foldPath(segs))
		}
	}
	return all
}

// path rebuilds the escaped path from the template and what was matched.
func (m *matcher) path() string {
	var buf [512]byte
	b, n := buf[:0], 0
	for i := range m.found.segs {
		seg := &m.found.segs[i]
		b = append(b, '/')
		if seg.kind == nil {
			b = append(b, seg.text...) // templates hold only what needs no escaping
			continue
		}
		slash := "%2F"
		if seg.rest && !seg.kind.encode {
			slash = "/"
		}
		b = appendParam(b, m.param(n, seg), slash)
		b = append(b, seg.suffix...)
		n++
	}
	return string(b)
}

func appendParam(b []byte, value, slash string) []byte {
	for {
		part, rest, more := strings.Cut(value, "/")
		b = appendEscaped(b, part)
		if !more {
			return b
		}
		b, value = append(b, slash...), rest
	}
}
