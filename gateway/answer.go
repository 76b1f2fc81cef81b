package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vcsagent/transport"
)

// ownCodes are those that the gateway alone can say: an agent is asked only when
// nothing of the kind is so. By them a request's outcome is told.
var ownCodes = []string{
	codeUnauthenticated, codeForbidden, codeUnknownPool, codeNotFound, codeNoAgent, codeBusy, codeAgentLost,
	codeHeaderTooLarge, codePoolPaused, codeRateLimited, codeBodyTooLarge,
}

// agentsCode is the code of an answer that an agent made itself, as it says: any
// word that isn't the gateway's own, since agents may be newer; "" if the VCS
// answered.
func agentsCode(code string) string {
	if code == "" {
		return ""
	}
	word := len(code) <= maxCode && !strings.ContainsFunc(code, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' })
	if !word || slices.Contains(ownCodes, code) {
		return codeAgentFault
	}
	return code
}

// maxCode bounds an agent's code, in bytes.
const maxCode = 64

// statusError is an agent's status that is no final answer's.
type statusError int

// Error implements error.
func (s statusError) Error() string { return fmt.Sprintf("the agent answered with status %d", int(s)) }

// modifyResponse reads what the agent says of the call, keeps the error code and
// the name for the caller, and puts URLs into the caller's terms.
func modifyResponse(resp *http.Response) error {
	c := callOf(resp.Request.Context())
	c.first = time.Since(c.began)
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		return statusError(resp.StatusCode)
	}
	h := resp.Header
	project, err := url.PathUnescape(h.Get(transport.ProjectHeader))
	if err != nil {
		project = ""
	}
	c.told = told{
		name: h.Get(transport.NameHeader), purpose: h.Get(transport.PurposeHeader), project: project,
		stream: h.Get(transport.StreamHeader), reason: h.Get(transport.ReasonHeader),
	}
	c.code = agentsCode(h.Get(transport.ErrorHeader))
	// The agent has cleaned the VCS's answer; this keeps a faulty one from mattering.
	transport.CleanAnswer(h)
	transport.CleanAnswer(resp.Trailer)
	resp.Body = &answerBody{ReadCloser: resp.Body, resp: resp}
	if c.code != "" {
		h.Set(transport.ErrorHeader, c.code)
	}
	if c.told.name != "" {
		h.Set(transport.NameHeader, c.told.name)
	}
	if values := h["Location"]; len(values) > 0 {
		h.Del("Location")
		if l, ok := callersLocation(values[0], c.route.origin); ok {
			h.Set("Location", l)
		}
	}
	if links := h["Link"]; len(links) > 0 {
		for i, v := range links {
			links[i] = absoluteLinks(v, c.route.origin)
		}
	}
	h.Set(transport.RequestIDHeader, c.id)
	protect(h)
	closeBehindEarlyAnswer(h, c, resp.Request)
	return nil
}

// callersLocation puts a path, as agents write the VCS's own URLs, into the caller's
// terms. An absolute URL stays as it is: whether redirects may name its host is for
// the agent's policy. Anything else comes from no agent that works, and goes.
func callersLocation(l, origin string) (string, bool) {
	if strings.HasPrefix(l, "/") {
		return origin + l, true
	}
	u, err := url.Parse(l)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return "", false
	}
	return l, true
}

// answerBody takes forged names out of trailers that weren't announced: they are
// known only at the body's end.
type answerBody struct {
	io.ReadCloser
	resp *http.Response
}

// Read implements io.Reader.
func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		transport.CleanAnswer(b.resp.Trailer)
	}
	return n, err
}

// absoluteLinks puts origin before each path-absolute target in a Link value
// (RFC 8288, section 3): what stands between "<" and ">", outside quotes.
func absoluteLinks(v, origin string) string {
	var b strings.Builder
	inTarget, inQuotes := false, false
	for i := 0; i < len(v); i++ {
		b.WriteByte(v[i])
		switch c := v[i]; {
		case inTarget:
			inTarget = c != '>'
		case inQuotes && c == '\\' && i+1 < len(v):
			i++
			b.WriteByte(v[i])
		case c == '"':
			inQuotes = !inQuotes
		case c == '<' && !inQuotes:
			inTarget = true
			if strings.HasPrefix(v[i+1:], "/") {
				b.WriteString(origin)
			}
		}
	}
	return b.String()
}
