package allow

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A template is a path in which
//
//	{name}         stands for one segment of the type called name
//	{name:type}    the same, with the type spelt out
//	{name...}      stands for one or more segments
//	{name}.git     leaves a fixed end of the segment to the template
//	{this|that}    is either word
//	[/some/path]   may be there or not
//
// The last two are expanded, so that a template becomes one or more variants
// without choices.

// variant is a template without choices.
type variant struct {
	rule *rule
	segs []templateSegment
}

// templateSegment is a fixed segment, or a parameter when kind is set.
type templateSegment struct {
	text   string // fixed: the segment; else the parameter as it stands in the template
	kind   *kind
	rest   bool   // it spans one or more segments
	suffix string // fixed end of the parameter's segment
}

const (
	// maxParams bounds the parameters of one template.
	maxParams = 8
	// maxRest bounds those of them that span segments: each multiplies the ways
	// in which a path could be divided among them.
	maxRest = 2
)

func parseTemplate(r *rule) ([]*variant, error) {
	var variants []*variant
	for _, path := range expand(r.Path) {
		if !strings.HasPrefix(path, "/") {
			return nil, fmt.Errorf("path is %s; it must begin with a slash", quote(r.Path))
		}
		v := &variant{rule: r}
		params, rest := 0, 0
		for part := range strings.SplitSeq(path[1:], "/") {
			seg, err := parseTemplateSegment(part)
			if err != nil {
				return nil, fmt.Errorf("path is %s: %w", quote(r.Path), err)
			}
			if seg.kind != nil {
				params++
			}
			if seg.rest {
				rest++
			}
			v.segs = append(v.segs, seg)
		}
		if rest > maxRest {
			return nil, fmt.Errorf("path is %s: more than %d of its parameters span segments", quote(r.Path), maxRest)
		}
		if params > maxParams || len(v.segs) > MaxSegments {
			return nil, fmt.Errorf("path is %s: it has more than %d parameters or %d segments", quote(r.Path), maxParams, MaxSegments)
		}
		variants = append(variants, v)
	}
	return variants, nil
}

// expand resolves the choices of a template. What isn't a choice is left for
// parseTemplateSegment to judge.
func expand(path string) []string {
	if before, after, ok := strings.Cut(path, "["); ok {
		if inner, after, ok := strings.Cut(after, "]"); ok {
			return append(expand(before+inner+after), expand(before+after)...)
		}
	}
	for i := strings.IndexByte(path, '{'); i >= 0; {
		end := strings.IndexByte(path[i:], '}')
		if end < 0 {
			break
		}
		end += i
		if words := strings.Split(path[i+1:end], "|"); len(words) > 1 {
			var all []string
			for _, w := range words {
				all = append(all, expand(path[:i]+w+path[end+1:])...)
			}
			return all
		}
		next := strings.IndexByte(path[end:], '{')
		if next < 0 {
			break
		}
		i = end + next
	}
	return []string{path}
}

func parseTemplateSegment(s string) (templateSegment, error) {
	inner, isParam := strings.CutPrefix(s, "{")
	if !isParam {
		if string(appendEscaped(nil, s)) != s || s == "." || s == ".." {
			return templateSegment{}, fmt.Errorf("segment %s has a character other than letters, digits and -._~", quote(s))
		}
		return templateSegment{text: s}, nil
	}
	name, suffix, ok := strings.Cut(inner, "}")
	if !ok || string(appendEscaped(nil, suffix)) != suffix {
		return templateSegment{}, fmt.Errorf("segment %s is not {name}, {name:type} or {name...}", quote(s))
	}
	seg := templateSegment{text: s, suffix: suffix}
	name, seg.rest = strings.CutSuffix(name, "...")
	if seg.rest && suffix != "" {
		return templateSegment{}, errors.New("a parameter that spans segments can't have a fixed end")
	}
	typeName := name
	if _, t, ok := strings.Cut(name, ":"); ok {
		typeName = t
	}
	if seg.kind = kinds[typeName]; seg.kind == nil {
		return templateSegment{}, fmt.Errorf("parameter %s has no known type; types are %s", quote(s), strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	}
	return seg, nil
}
