package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"vcsagent/allow"
	"vcsagent/transport"
)

// What a verdict may be.
const (
	verdictAllow = "allow"
	verdictDeny  = "deny"
)

// reasonBadInput stands in place of an [allow.Reason] for a line that is no
// request.
const reasonBadInput = "bad_input"

// request is what a policy decides on.
type request struct {
	method, target string
	header         http.Header
	body           []byte
}

// explanation is a decision in JSON. The first keys are always there.
type explanation struct {
	Verdict string `json:"verdict"`
	Rule    string `json:"rule"`    // that allows it; "" on a denial, and for what is let through to be observed only
	Group   string `json:"group"`   // of the rule, on a denial too if one was found
	Project string `json:"project"` // decoded; "" if the call names none
	Reason  string `json:"reason"`  // why it's denied

	Purpose  string          `json:"purpose,omitempty"`
	Observed string          `json:"observed,omitempty"` // why it would be denied if the policy enforced
	Detail   string          `json:"detail,omitempty"`   // the denial as a sentence, with the part that failed
	Nearest  string          `json:"nearest,omitempty"`  // rule, or block, that came nearest
	Sent     *sent           `json:"sent,omitempty"`
	Error    string          `json:"error,omitempty"`
	ID       json.RawMessage `json:"id,omitempty"` // the line's own
}

// sent is what the VCS would get.
type sent struct {
	Method     string   `json:"method"`
	Target     string   `json:"target"`      // below the base endpoint
	HostPrefix string   `json:"host_prefix"` // before the base endpoint's host
	Headers    []string `json:"headers"`     // names of the request's headers that pass
	Dropped    []string `json:"dropped"`     // and of those that don't
	BodyBytes  int      `json:"body_bytes"`
	Body       string   `json:"body,omitempty"` // if it was written anew and is text
}

// explain decides on a request as the agent does: by the target as it is, then,
// where the decision asks for it, by the body.
func explain(p *allow.Policy, r request) explanation {
	d := p.Check(r.method, r.target)
	body := r.body
	if d.Allowed && d.InspectBody {
		d, body = p.CheckBody(d, r.header, body)
	}
	e := explanation{
		Verdict: verdictDeny, Group: d.Group, Project: d.Project,
		Reason: string(d.Reason), Observed: string(d.Observed), Detail: d.Detail, Nearest: d.Nearest,
	}
	if len(d.Lookup) > 0 {
		e.Detail += lookups(p, d.Lookup)
	}
	if !d.Allowed {
		return e
	}
	e.Verdict, e.Rule, e.Purpose = verdictAllow, d.Rule, d.Purpose
	e.Sent = &sent{Method: r.method, Target: d.Path, HostPrefix: d.HostPrefix, BodyBytes: len(body)}
	if d.RawQuery != "" {
		e.Sent.Target += "?" + d.RawQuery
	}
	if !bytes.Equal(body, r.body) && utf8.Valid(body) {
		e.Sent.Body = string(body)
	}
	passing := p.Header(r.header)
	e.Sent.Headers = orEmpty(slices.Sorted(maps.Keys(passing)))
	e.Sent.Dropped = []string{}
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		if _, ok := passing[name]; !ok {
			e.Sent.Dropped = append(e.Sent.Dropped, name)
		}
	}
	return e
}

// lookups says what the agent would do before it denies, which can't be tried
// without the VCS.
func lookups(p *allow.Policy, ids []string) string {
	var calls []string
	for _, id := range ids {
		calls = append(calls, "GET "+p.LookupPath(id))
	}
	return "; here nobody is asked, but the agent would ask the VCS (" + strings.Join(calls, ", ") + ") and decide by the path"
}

// print writes the explanation for people, one "key: value" a line. Values of
// secret query keys are masked: what is printed may be pasted elsewhere.
func (e explanation) print(w io.Writer, p *allow.Policy) error {
	var b strings.Builder
	line := func(key, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s %s\n", key+":", transport.Printable(fmt.Sprintf(format, args...)))
	}
	line("verdict", "%s", e.Verdict)
	if e.Verdict == verdictDeny {
		line("reason", "%s", e.Reason)
		line("why", "%s", e.Detail)
		if e.Project != "" {
			line("project", "%s", e.Project)
		}
		line("nearest", "%s", describeNearest(p, e.Nearest))
		_, err := io.WriteString(w, b.String())
		return err
	}
	if e.Observed != "" {
		line("observed", "%s: enforce would deny this call", e.Observed)
	}
	line("rule", "%s", orNone(e.Rule))
	if e.Rule != "" {
		line("group", "%s", orNone(e.Group))
		line("purpose", "%s", e.Purpose)
	}
	line("project", "%s", orNone(e.Project))
	line("sent", "%s %s", e.Sent.Method, transport.MaskTarget(e.Sent.Target))
	if e.Sent.HostPrefix != "" {
		line("host", "%s before the base endpoint's host", e.Sent.HostPrefix)
	}
	if len(e.Sent.Headers) > 0 {
		line("headers", "%s", strings.Join(e.Sent.Headers, ", "))
	}
	if len(e.Sent.Dropped) > 0 {
		line("dropped", "%s", strings.Join(e.Sent.Dropped, ", "))
	}
	switch s := e.Sent; {
	case s.Body != "":
		line("body", "%d bytes, written anew: %s", s.BodyBytes, s.Body)
	case s.BodyBytes > 0:
		line("body", "%d bytes, as they came", s.BodyBytes)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// describeNearest returns a rule's or block's name with the calls it's about.
func describeNearest(p *allow.Policy, name string) string {
	for _, r := range p.List() {
		if r.Name == name {
			about := strings.Join(r.Methods, ",") + " " + r.Path
			if !r.On {
				about += ", in the group " + r.Group + ", which is off"
			}
			return name + ", " + about
		}
	}
	for _, b := range p.Blocks() {
		if b.Name == name {
			return fmt.Sprintf("%s, which blocks %s (%s)", name, b.Path, b.Source)
		}
	}
	return orNone(name)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
