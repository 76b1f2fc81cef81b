package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"vcsagent/allow"
	"vcsagent/cmd/internal/cli"
)

// Bounds of a corpus.
const (
	maxLine     = 4 << 20 // bytes of a line, line break included; a body of allow.MaxBodyBytes fits, escaped
	maxPolicies = 64      // compiled at a time; each takes some 200 KiB
)

// explainLines reads calls, one JSON object a line, and writes one explanation a
// line. Blank lines count for nothing. It fails if a line couldn't be read.
func explainLines(in io.Reader, out io.Writer, settings allow.Options) error {
	lines, w := &lineReader{r: bufio.NewReaderSize(in, 64<<10)}, bufio.NewWriterSize(out, 64<<10)
	policies := policyCache{settings: settings, compiled: map[string]compiledPolicy{}}
	read, bad := 0, 0
	for {
		if !lines.waiting() { // whoever writes line by line wants to see the answer first
			if err := w.Flush(); err != nil {
				return written(err)
			}
		}
		line, err := lines.next()
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, errLongLine) {
			return errors.Join(fmt.Errorf("standard input can't be read: %w", err), written(w.Flush()))
		}
		if err == nil && len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var e explanation
		if err == nil {
			e, err = policies.explain(line)
		}
		read++
		if err != nil {
			bad++
			e = explanation{Verdict: verdictDeny, Reason: reasonBadInput, Error: strings.ReplaceAll(err.Error(), "\n", "; "), ID: e.ID}
		}
		if err := encodeLine(w, e); err != nil {
			return written(err)
		}
	}
	if err := w.Flush(); err != nil {
		return written(err)
	}
	if bad > 0 {
		return cli.Usage(fmt.Errorf("%d of %d lines can't be read: the key error of their answers says why", bad, read))
	}
	return nil
}

// lineReader reads lines of at most [maxLine] bytes.
type lineReader struct{ r *bufio.Reader }

var errLongLine = fmt.Errorf("the line is longer than %d MiB", maxLine>>20)

// waiting tells whether a whole line is there already.
func (l *lineReader) waiting() bool {
	there, _ := l.r.Peek(l.r.Buffered())
	return bytes.IndexByte(there, '\n') >= 0
}

// next returns the next line, which is valid until the call after it; a line
// that is too long is passed over and told as errLongLine.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.r.ReadSlice('\n')
	if err == nil || err == io.EOF && len(line) > 0 {
		return line, nil
	}
	if err != bufio.ErrBufferFull {
		return nil, err
	}
	whole := slices.Clone(line)
	for err == bufio.ErrBufferFull {
		line, err = l.r.ReadSlice('\n')
		if len(whole) <= maxLine {
			whole = append(whole, line...)
		}
	}
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(whole) > maxLine {
		return nil, errLongLine
	}
	return whole, nil
}

// policyCache keeps the policies that lines ask for: they are few, and compiling
// one costs more than thousands of decisions.
type policyCache struct {
	settings allow.Options // what lines leave open
	compiled map[string]compiledPolicy
}

type compiledPolicy struct {
	policy *allow.Policy
	err    error
}

func (c *policyCache) get(o allow.Options) (*allow.Policy, error) {
	key := fmt.Sprintf("%q %q %q", o.Vendor, o.Projects, o.Groups)
	p, ok := c.compiled[key]
	if !ok {
		if len(c.compiled) >= maxPolicies {
			clear(c.compiled)
		}
		p.policy, p.err = allow.New(o)
		c.compiled[key] = p
	}
	return p.policy, p.err
}

// explain answers a line. Of what it returns beside an error, the ID counts.
func (c *policyCache) explain(line []byte) (explanation, error) {
	l, err := parseCall(line)
	if err != nil {
		return explanation{ID: l.id}, err
	}
	o := c.settings
	if l.vendor != "" {
		o.Vendor = l.vendor
	}
	if l.projects != "" {
		o.Projects = l.projects
	}
	if l.groups != nil {
		o.Groups = l.groups
	}
	p, err := c.get(o)
	if err != nil {
		return explanation{ID: l.id}, err
	}
	e := explain(p, l.request)
	e.ID = l.id
	return e, nil
}

// callLine is a line of a corpus. What is "" or nil wasn't given, or was given as
// empty or null, which counts as much.
type callLine struct {
	request
	vendor, projects string
	groups           []string
	id               json.RawMessage
}

var callKeys = []string{"vendor", "method", "target", "allowed_projects", "allow_groups", "body", "headers"}

// parseCall reads a line. A key that it doesn't know is an error, since a
// misspelt allowed_projects would allow more than meant; but a corpus may have
// notes of its own: id, name, comment, and all that begins with "_".
func parseCall(line []byte) (callLine, error) {
	l := callLine{request: request{header: http.Header{}}}
	if !utf8.Valid(line) {
		return l, errors.New("the line is not UTF-8")
	}
	members, err := parseObject(line)
	if err != nil {
		return l, fmt.Errorf("the line %w", err)
	}
	var problems []error
	given := map[string]bool{}
	for _, m := range members {
		if string(m.value) == "null" {
			continue
		}
		given[m.name] = true
		switch m.name {
		case "vendor":
			err = m.text(&l.vendor)
		case "method":
			err = m.text(&l.method)
		case "target":
			err = m.text(&l.target)
		case "allowed_projects":
			err = m.text(&l.projects)
		case "allow_groups":
			l.groups, err = m.list()
		case "body":
			var body string
			err = m.text(&body)
			l.body = []byte(body)
		case "headers":
			err = m.headers(l.header)
		case "id":
			l.id, err = m.value, nil
		case "name", "comment":
			err = nil
		default:
			if err = nil; !strings.HasPrefix(m.name, "_") {
				err = fmt.Errorf("%.40q is no key of a call; the keys are %s, and id, name, comment and those that begin with _ for notes", m.name, strings.Join(callKeys, ", "))
			}
		}
		problems = append(problems, err)
	}
	for _, key := range []string{"method", "target"} {
		if !given[key] {
			problems = append(problems, fmt.Errorf("the key %s is missing", key))
		}
	}
	return l, errors.Join(problems...)
}

// member is a key of a JSON object and its value.
type member struct {
	name  string
	value json.RawMessage
}

// parseObject reads a JSON object whose keys are there once each: which of two
// counts differs between readers. Its errors complete a sentence.
func parseObject(text []byte) ([]member, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	var members []member
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, errors.New("is not a JSON object")
		}
		m := member{name: key.(string)} // the decoder takes nothing else for a key
		if err := dec.Decode(&m.value); err != nil {
			return nil, errors.New("is not a JSON object")
		}
		if slices.ContainsFunc(members, func(o member) bool { return o.name == m.name }) {
			return nil, fmt.Errorf("has the key %.40q twice", m.name)
		}
		members = append(members, m)
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("is not a whole JSON object")
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("has something behind its JSON object")
	}
	return members, nil
}

func (m member) text(into *string) error {
	if json.Unmarshal(m.value, into) != nil {
		return fmt.Errorf("%s must be a string", m.name)
	}
	return nil
}

// list reads a list, or a string with commas, as flags have it; "" is no list.
func (m member) list() ([]string, error) {
	var list []string
	if json.Unmarshal(m.value, &list) == nil {
		return list, nil
	}
	var text string
	if json.Unmarshal(m.value, &text) != nil {
		return nil, fmt.Errorf("%s must be a list of strings, or one string with commas", m.name)
	}
	if text == "" {
		return nil, nil
	}
	return strings.Split(text, ","), nil
}

// headers reads an object whose values are strings or lists of strings.
func (m member) headers(into http.Header) error {
	members, err := parseObject(m.value)
	if err != nil {
		return fmt.Errorf("%s %w", m.name, err)
	}
	var problems []error
	for _, h := range members {
		var values []string
		var value string
		if json.Unmarshal(h.value, &value) == nil {
			values = []string{value}
		} else if json.Unmarshal(h.value, &values) != nil {
			problems = append(problems, fmt.Errorf("the header %.40q must be a string or a list of strings", h.name))
		}
		for _, v := range values {
			problems = append(problems, addHeader(into, h.name, v))
		}
	}
	return errors.Join(problems...)
}
