package allow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxBodyBytes bounds a body that has to be inspected: 1 MiB. Comments and
// statuses are far smaller; no vendor takes a larger comment.
const MaxBodyBytes = 1 << 20

const (
	typeJSON      = "application/json"
	typeForm      = "application/x-www-form-urlencoded"
	typeMultipart = "multipart/form-data"
)

// checkBody returns the body to send, its Content-Type ("" for the caller's),
// and why a policy that didn't only observe would deny it.
func (p *Policy) checkBody(r *rule, blocks []*block, header http.Header, body []byte) (checked []byte, contentType string, observed, f fault) {
	projects := p.newProjectCheck(r, nil, blocks)
	mode := r.Body
	switch {
	case len(body) > MaxBodyBytes:
		return nil, "", observed, fault{BodyTooLarge, "the body is larger than 1 MiB, too large to inspect"}
	case mode == bodyStream:
		return body, "", observed, fault{}
	case len(body) == 0 && mode != bodyGraphQL:
		return nil, "", observed, fault{}
	case mode == bodyNone && p.mayObserve("", &projects):
		mode, observed = bodyAny, fault{BodyNotAllowed, "the rule " + r.Name + " takes no body"}
	case mode == bodyNone:
		return nil, "", observed, fault{BodyNotAllowed, "the rule " + r.Name + " takes no body"}
	}
	if f := checkEncoding(header); f.reason != "" {
		return nil, "", observed, f
	}
	types := r.BodyTypes
	if mode == bodyAny {
		types = []string{"json", "form", "multipart"}
	}
	mediaType, boundary, f := contentTypeOf(types, header)
	if f.reason != "" {
		return nil, "", observed, f
	}
	fields := fieldSet{p: p, r: r, any: mode == bodyAny, projects: &projects}
	switch {
	case mode == bodyGraphQL:
		body, f = p.checkGraphQL(body)
	case mediaType == typeJSON:
		f = fields.json(body)
	case mediaType == typeForm:
		body, f = fields.form(body)
	case mediaType == typeMultipart:
		body, f = fields.multipart(body, boundary)
		mediaType += "; boundary=" + boundary
	}
	if f.reason == "" && projects.missing() != nil {
		f = fault{ProjectUnknown, "the body names another project by its number, and allowed or blocked projects are set"}
	}
	if f.reason != "" {
		return nil, "", observed, f
	}
	if fields.observed.reason != "" {
		observed = fields.observed
	}
	return body, mediaType, observed, fault{}
}

// checkEncoding denies a compressed body: what it says can't be seen.
func checkEncoding(header http.Header) fault {
	for _, v := range header.Values("Content-Encoding") {
		if v != "" && !strings.EqualFold(v, "identity") {
			return fault{BadBody, "the body has a Content-Encoding; send it as it is, so that it can be inspected"}
		}
	}
	return fault{}
}

// contentTypeOf returns the body's type and, for multipart, its boundary. It
// takes one header, one of the types and no parameter but those, since servers
// differ in what they read from any others.
func contentTypeOf(types []string, header http.Header) (mediaType, boundary string, f fault) {
	values := header.Values("Content-Type")
	if len(values) == 0 && slices.Contains(types, "json") {
		return typeJSON, "", fault{} // it is read as JSON, and sent as such
	}
	if len(values) != 1 {
		return "", "", fault{BadBody, fmt.Sprintf("the body needs exactly one Content-Type; the request has %d", len(values))}
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	if err != nil {
		return "", "", fault{BadBody, "the Content-Type " + quote(values[0]) + " can't be read"}
	}
	name := map[string]string{typeJSON: "json", typeForm: "form", typeMultipart: "multipart"}[mediaType]
	if name == "" || !slices.Contains(types, name) {
		return "", "", fault{BadBody, "the body's type " + quote(mediaType) + " is not one that can be inspected here (" + strings.Join(types, ", ") + ")"}
	}
	for param, value := range params {
		switch {
		case param == "charset" && name != "multipart" && strings.EqualFold(value, "utf-8"):
		case param == "boundary" && name == "multipart" && isBoundary(value):
			boundary = value
		default:
			return "", "", fault{BadBody, "the Content-Type has the parameter " + quote(param) + ", or a value of it, that is not allowed"}
		}
	}
	if name == "multipart" && boundary == "" {
		return "", "", fault{BadBody, "the Content-Type has no boundary"}
	}
	return mediaType, boundary, fault{}
}

// isBoundary accepts the part of RFC 2046's boundaries that needs no quotes.
func isBoundary(s string) bool {
	return len(s) <= 70 && strings.Trim(s, "-") != "" && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}) < 0
}

// fieldSet checks the fields of one body against a rule.
type fieldSet struct {
	p        *Policy
	r        *rule
	any      bool // whatever isn't dangerous
	projects *projectCheck
	seen     map[string]bool
	observed fault // why a policy that didn't only observe would deny it
}

// add checks a top-level field.
func (s *fieldSet) add(name string) fault {
	switch {
	case s.any && dangerHint(name) == "":
		return fault{} // a list in a form has its key more than once
	case slices.Contains(s.r.Fields, name):
	case s.p.mayObserve(name, s.projects):
		s.observed = fault{FieldNotAllowed, s.r.describeUnknown("body field", name, true)}
	default:
		return fault{FieldNotAllowed, s.r.describeUnknown("body field", name, true)}
	}
	if s.seen[name] {
		return fault{BadBody, "the body field " + quote(name) + " is given twice"}
	}
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	s.seen[name] = true
	return fault{}
}

// named checks a field, top-level or deeper, that may name another project.
func (s *fieldSet) named(name, value string) fault {
	return s.projects.named(s.r.NamesProjects[name], name, value)
}

func (s *fieldSet) form(body []byte) ([]byte, fault) {
	pairs, f := parsePairs(string(body), nil, BadBody, "form")
	for _, pr := range pairs {
		if f.reason == "" {
			f = s.add(pr.key)
		}
		if f.reason == "" {
			f = s.named(pr.key, pr.value)
		}
	}
	if f.reason != "" {
		return nil, f
	}
	return []byte(encodePairs(pairs)), fault{}
}

// multipart reads the parts and writes them anew: parsers differ in preambles,
// line ends and headers of parts, and the new body has none.
func (s *fieldSet) multipart(body []byte, boundary string) ([]byte, fault) {
	bad := func(what string) ([]byte, fault) { return nil, fault{BadBody, "the multipart body " + what} }
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	if err := w.SetBoundary(boundary); err != nil {
		return bad("has a boundary that is not allowed")
	}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	n := 0
	for ; ; n++ {
		part, err := parts.NextRawPart()
		if err == io.EOF { // a wrapped one means that the last boundary is missing
			break
		}
		if err != nil {
			return bad("can't be read")
		}
		if part.FileName() != "" || part.Header.Get("Content-Transfer-Encoding") != "" {
			return bad("has a file or an encoded part")
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return bad("can't be read")
		}
		name := part.FormName()
		if f := s.add(name); f.reason != "" {
			return nil, f
		}
		if f := s.named(name, string(value)); f.reason != "" {
			return nil, f
		}
		field, err := w.CreateFormField(name)
		if err == nil {
			_, err = field.Write(value)
		}
		if err != nil {
			return bad("can't be written anew")
		}
	}
	if err := w.Close(); err != nil {
		return bad("can't be written anew")
	}
	if bytes.Count(out.Bytes(), []byte("--"+boundary)) != n+1 {
		return bad("has its boundary within a value")
	}
	return out.Bytes(), fault{}
}

// json checks the object that the body must be.
func (s *fieldSet) json(body []byte) fault {
	if string(bytes.TrimSpace(body)) == "null" {
		return fault{} // as some clients write a body without fields
	}
	return walkJSON(body, func(path string, depth int, value any) fault {
		if depth == 1 {
			if f := s.add(path); f.reason != "" {
				return f
			}
		}
		text, _ := value.(string) // anything else names no path, and so is unknown
		if number, ok := value.(json.Number); ok {
			text = number.String()
		}
		return s.named(path, text)
	})
}

// maxJSONDepth bounds how deep a body's objects and lists may nest.
const maxJSONDepth = 64

// walkJSON calls visit for every key of the object that body must be, with the
// keys that lead to it (joined by dots), how many they are, and its value if
// that is a scalar. A key that an object has twice is a fault, since parsers
// differ in which one they take.
func walkJSON(body []byte, visit func(path string, depth int, value any) fault) fault {
	if !utf8.Valid(body) || !json.Valid(body) {
		return fault{BadBody, "the body is not valid JSON"}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	w := jsonWalk{dec, visit}
	if tok := w.next(); tok != json.Delim('{') {
		return fault{BadBody, "the body is not a JSON object"}
	}
	return w.object("", 1)
}

type jsonWalk struct {
	dec   *json.Decoder
	visit func(path string, depth int, value any) fault
}

// next returns the next token; that there is one was seen by json.Valid.
func (w *jsonWalk) next() json.Token {
	tok, err := w.dec.Token()
	if err != nil {
		panic("allow: read valid JSON: " + err.Error())
	}
	return tok
}

func (w *jsonWalk) object(path string, depth int) fault {
	if depth > maxJSONDepth {
		return fault{BadBody, "the body nests deeper than 64 levels"}
	}
	keys := make(map[string]bool)
	for {
		tok := w.next()
		if tok == json.Delim('}') {
			return fault{}
		}
		key := tok.(string)
		if keys[key] {
			return fault{BadBody, "the body has the key " + quote(key) + " twice in one object"}
		}
		keys[key] = true
		at := key
		if path != "" {
			at = path + "." + key
		}
		value := w.next()
		if f := w.visit(at, depth, value); f.reason != "" {
			return f
		}
		if f := w.value(value, at, depth); f.reason != "" {
			return f
		}
	}
}

// value walks on into a value whose first token was read.
func (w *jsonWalk) value(tok json.Token, path string, depth int) fault {
	switch tok {
	case json.Delim('{'):
		return w.object(path, depth+1)
	case json.Delim('['):
		if depth >= maxJSONDepth {
			return fault{BadBody, "the body nests deeper than 64 levels"}
		}
		for {
			tok := w.next()
			if tok == json.Delim(']') {
				return fault{}
			}
			if f := w.value(tok, path, depth+1); f.reason != "" {
				return f
			}
		}
	}
	return fault{}
}
