package agent

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"unicode/utf8"

	"vcsagent/transport"
)

// debugBody bounds what --debug-print-all keeps of a body.
const debugBody = 16 << 10

// debugTrace collects a request and its answer for --debug-print-all. Secrets are
// masked when it's logged; the bodies of calls that trade in tokens are left out whole.
type debugTrace struct {
	callerHeader       http.Header
	vcsURL             string
	vcsHeader          http.Header
	answerStatus       string
	answerHeader       http.Header
	requestBody, reply *capture
}

func newDebugTrace(c *call, r *http.Request) *debugTrace {
	t := &debugTrace{callerHeader: transport.MaskHeader(r.Header), requestBody: &capture{}, reply: &capture{}}
	c.bodyIn.ReadCloser = &teeBody{c.bodyIn.ReadCloser, t.requestBody}
	return t
}

// request takes down what goes to the VCS, with the agent's own credential or nil.
func (t *debugTrace) request(out *http.Request, own *credential) {
	t.vcsURL = transport.MaskTarget(out.URL.String())
	t.vcsHeader = transport.MaskHeader(out.Header)
	if own != nil { // its name may be one that nothing tells to be secret
		for i := range t.vcsHeader[own.name] {
			t.vcsHeader[own.name][i] = transport.Secret(own.value).String()
		}
	}
}

func (t *debugTrace) answer(resp *http.Response) {
	t.answerStatus = resp.Status
	t.answerHeader = transport.MaskHeader(resp.Header)
	resp.Body = &teeBody{resp.Body, t.reply}
}

func (t *debugTrace) log(log *slog.Logger, c *call) {
	secret := c.decision.Group == "app" // installation tokens
	log.Info("debug: request", "id", c.id, "caller_headers", t.callerHeader, "vcs_url", t.vcsURL, "vcs_headers", t.vcsHeader, "body", t.requestBody.print(secret))
	log.Info("debug: response", "id", c.id, "vcs_status", t.answerStatus, "vcs_headers", t.answerHeader, "body", t.reply.print(secret))
}

// capture keeps the start of what passes and counts the rest.
type capture struct {
	mu    sync.Mutex // net/http may read a request's body after its answer
	kept  []byte
	total int64
}

// Write implements io.Writer; it takes everything.
func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.total += int64(len(p))
	if room := debugBody - len(c.kept); room > 0 {
		c.kept = append(c.kept, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

func (c *capture) print(secret bool) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.total == 0:
		return ""
	case secret:
		return fmt.Sprintf("[masked: %d bytes]", c.total)
	case !utf8.Valid(c.kept) && !utf8.Valid(c.kept[:max(0, len(c.kept)-utf8.UTFMax)]):
		return fmt.Sprintf("[binary: %d bytes]", c.total)
	}
	s := strings.ToValidUTF8(transport.MaskBody(c.kept), "")
	if c.total > int64(len(c.kept)) {
		s += fmt.Sprintf("… (%d bytes in all)", c.total)
	}
	return s
}

// teeBody copies what is read of a body into a capture.
type teeBody struct {
	io.ReadCloser
	to *capture
}

// Read implements io.Reader.
func (b *teeBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.to.Write(p[:n])
	return n, err
}
