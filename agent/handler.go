package agent

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"vcsagent/allow"
	"vcsagent/metrics"
	"vcsagent/transport"
)

// The codes of answers that the agent makes itself.
const (
	codeDenied         = "denied"           // 403: the allowlist says no; 413: to a body too large to inspect
	codeUnreachable    = "vcs_unreachable"  // 502: no answer came from the VCS
	codeTimeout        = "vcs_timeout"      // 504: no answer came in time
	codeForeign        = "foreign_redirect" // 502: the VCS redirects to another host
	codeInternal       = "internal"         // 500: a fault of the agent's own
	codeBodyUnreadable = "body_unreadable"  // 400: the request's body broke off

	// statusCancelled is logged when the caller went away before the answer
	// (as other proxies log it; it is never sent).
	statusCancelled = 499

	// goneWait is how long a request whose body broke off may take to show that
	// its caller has gone: a carrier may tell of the body first.
	goneWait = 250 * time.Millisecond
)

type handlerConfig struct {
	base       *url.URL // the VCS's base endpoint
	poolID     string
	policy     *allow.Policy // at the start
	credential *Credential   // nil: callers send their own
	upstream   *http.Transport
	identity   bool // ask the VCS for identity encoding
	debug      bool // log whole requests and answers, masked
	log        *slog.Logger
	metrics    *metrics.Agent
	report     func(error) // panics; may be nil
}

// handler checks requests, forwards them and logs them. It is shared by all
// sessions.
type handler struct {
	handlerConfig
	rules    atomic.Pointer[rules] // in force now
	lookups  *lookups
	checks   *checks
	proxy    *httputil.ReverseProxy
	inFlight atomic.Int64
}

func newHandler(cfg handlerConfig) *handler {
	h := &handler{handlerConfig: cfg, lookups: newLookups(), checks: newChecks()}
	h.rules.Store(newRules(cfg.base, cfg.policy))
	h.proxy = &httputil.ReverseProxy{
		Transport:      cfg.upstream,
		Rewrite:        h.rewrite,
		ModifyResponse: h.modifyResponse,
		ErrorHandler:   h.forwardFailed,
		ErrorLog:       slog.NewLogLogger(cfg.log.Handler(), slog.LevelDebug),
		FlushInterval:  transport.FlushInterval,
		BufferPool:     &transport.CopyBuffers{},
	}
	return h
}

// session returns the handler for one session: it numbers its streams from 1 to
// n and lets each serve one request at a time.
func (h *handler) session(n int) http.Handler {
	streams := make(chan int, n)
	for i := range n {
		streams <- i + 1
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isCheck(r) {
			h.serveCheck(w, r)
			return
		}
		// The gateway schedules within n; a request can only be ahead of the
		// end of the one before it by a moment.
		select {
		case stream := <-streams:
			defer func() { streams <- stream }()
			h.handle(w, r, stream, h.answer, h.finish)
		case <-r.Context().Done():
		}
	})
}

// call is what is known of a request on its way.
type call struct {
	id         string
	stream     int
	began      time.Time
	w          *transport.ResponseWriter
	body       *callerBody
	bodyIn     *transport.CountingBody // counts body
	rules      *rules                  // that were in force as it began
	credential *credential             // that it goes with, of that moment; nil: the caller's
	decision   allow.Decision
	code       string // of an answer that we made; "" if the VCS answered
	failure    error  // what the code stands for, for the log only
	trace      *debugTrace
}

// allowedBy is the rule that allowed the call, or "" if none did. A decision may
// name a rule on a denial too, and on what observing alone lets through.
func (c *call) allowedBy() (name, purpose string) {
	if d := c.decision; d.Allowed && d.Observed == "" {
		return d.Rule, d.Purpose
	}
	return "", ""
}

// nearest is the rule that a call without one came nearest to; "" if none is near.
func (c *call) nearest() string { return cmp.Or(c.decision.Nearest, c.decision.Rule) }

// gone tells whether the caller went away, so that nobody is there to answer.
func (c *call) gone(ctx context.Context) bool {
	if ctx.Err() == nil && c.body.broke.Load() {
		select {
		case <-ctx.Done():
		case <-time.After(goneWait):
		}
	}
	return ctx.Err() != nil
}

// callerBody is a request's body that remembers whether it broke off. Reads may
// go on after the handler has returned, hence the atomic.
type callerBody struct {
	io.ReadCloser
	broke atomic.Bool
}

// Read implements io.Reader.
func (b *callerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.broke.Store(true)
	}
	return n, err
}

type callKey struct{}

func callOf(r *http.Request) *call { return r.Context().Value(callKey{}).(*call) }

// handle has a request answered and, whatever becomes of it, finished.
func (h *handler) handle(w http.ResponseWriter, r *http.Request, stream int, answer func(*call, *http.Request), finish func(c *call, r *http.Request, cut bool)) {
	c := &call{id: requestID(r), stream: stream, began: time.Now(), w: transport.NewResponseWriter(w), body: &callerBody{ReadCloser: r.Body},
		rules: h.rules.Load(), credential: h.credential.load()}
	c.bodyIn = &transport.CountingBody{ReadCloser: c.body}
	r.Body = c.bodyIn
	h.inFlight.Add(1)
	h.metrics.InFlight.Inc()
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			h.panicked(c, r, p)
		}
		finish(c, r, p != nil)
		h.metrics.InFlight.Dec()
		h.inFlight.Add(-1)
		if p != nil && (p == http.ErrAbortHandler || c.w.Status() == 0 || c.code != codeInternal) {
			panic(http.ErrAbortHandler) // the answer is cut: it must not look whole
		}
	}()
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	answer(c, r)
}

// answer decides on the request and forwards it.
func (h *handler) answer(c *call, r *http.Request) {
	c.decision = c.rules.policy.Check(r.Method, r.RequestURI)
	if h.debug {
		c.trace = newDebugTrace(c, r)
	}
	if len(c.decision.Lookup) > 0 {
		h.known(c, r)
	}
	if c.decision.Allowed && isOwnPath(c.decision.Path) {
		c.decision = allow.Decision{Reason: allow.NoRule, Detail: "the path is the gateway's and the agent's own, and is never forwarded"}
	}
	if !c.decision.Allowed {
		h.deny(c, r)
		return
	}
	if c.decision.InspectBody && !h.inspect(c, r) {
		return
	}
	h.proxy.ServeHTTP(c.w, r)
}

// inspect reads a body that a rule must see, lets the policy decide on it and
// puts what is to be sent in its place. It reports whether the call goes on.
func (h *handler) inspect(c *call, r *http.Request) bool {
	var body []byte
	if r.ContentLength != 0 {
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.Body, allow.MaxBodyBytes+1)); err != nil {
			c.failure = err
			if c.gone(r.Context()) {
				panic(http.ErrAbortHandler)
			}
			h.problem(c, r, brokenBody)
			return false
		}
	}
	c.decision, body = c.rules.policy.CheckBody(c.decision, r.Header, body)
	if !c.decision.Allowed {
		h.deny(c, r)
		return false
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if len(body) == 0 {
		r.Body = http.NoBody
	}
	return true
}

var brokenBody = transport.Problem{Status: http.StatusBadRequest, Code: codeBodyUnreadable, Detail: "The request's body broke off."}

func (h *handler) deny(c *call, r *http.Request) {
	d := c.decision
	h.metrics.Denied.WithLabelValues(string(d.Reason)).Inc()
	p := transport.Problem{Status: http.StatusForbidden, Code: codeDenied, Reason: string(d.Reason), Nearest: c.nearest(), Detail: sentence(d.Detail)}
	if d.Reason == allow.BodyTooLarge {
		p.Status = http.StatusRequestEntityTooLarge
	}
	h.problem(c, r, p)
}

// sentence gives a phrase of the log the form of the other answers' details.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:] + "."
}

// announce tells the gateway what the call is, in the header of its answer.
func announce(h http.Header, c *call) {
	h.Set(transport.StreamHeader, strconv.Itoa(c.stream))
	if name, purpose := c.allowedBy(); name != "" {
		h.Set(transport.NameHeader, name)
		h.Set(transport.PurposeHeader, purpose)
	}
	if project := c.decision.Project; project != "" {
		h.Set(transport.ProjectHeader, url.PathEscape(project))
	}
}

// problem answers in the agent's own name.
func (h *handler) problem(c *call, r *http.Request, p transport.Problem) {
	c.code = p.Code
	p.ID = c.id
	announce(c.w.Header(), c)
	p.Write(c.w, r)
}

// rewrite turns the request that came through the tunnel into the one for the
// VCS: everything in it comes from what the policy matched or lets through.
func (h *handler) rewrite(pr *httputil.ProxyRequest) {
	c := callOf(pr.In)
	out := pr.Out
	out.Header = c.rules.policy.Header(pr.Out.Header)
	if c.credential != nil {
		c.authorize(out.Header)
	}
	if t := c.decision.ContentType; t != "" {
		out.Header.Set("Content-Type", t) // the one that was checked
	}
	out.Header.Set(transport.RequestIDHeader, c.id)
	if h.identity {
		out.Header.Set("Accept-Encoding", "identity")
	}
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header.Set("User-Agent", "") // stops net/http's own
	}
	out.URL = c.rules.hosts.target(c.decision)
	out.Host = ""
	out.Trailer = nil
	if c.trace != nil {
		c.trace.request(out, c.credential)
	}
}

// What is told of a VCS that gave no answer; why is the log's alone.
const (
	detailUnreachable = "The VCS could not be reached; the agent's log says why."
	detailTimeout     = "The VCS did not answer in time."
)

// forwardFailed answers when the VCS didn't, or not usably.
func (h *handler) forwardFailed(_ http.ResponseWriter, r *http.Request, err error) {
	c := callOf(r)
	c.failure = hinted(err)
	if c.gone(r.Context()) {
		panic(http.ErrAbortHandler)
	}
	if c.body.broke.Load() { // no fault of the VCS's
		h.problem(c, r, brokenBody)
		return
	}
	var foreign *foreignRedirectError
	p := transport.Problem{Status: http.StatusBadGateway, Code: codeUnreachable, Detail: detailUnreachable}
	switch {
	case errors.As(err, &foreign):
		p.Code, p.Detail = codeForeign, "The VCS answered with a redirect to another host, which the agent doesn't pass on."
	case isTimeout(err):
		p.Status, p.Code, p.Detail = http.StatusGatewayTimeout, codeTimeout, detailTimeout
	}
	h.metrics.VCSErrors.WithLabelValues(p.Code).Inc()
	h.problem(c, r, p)
}

// hinted adds what to do to errors that have one likely cause.
func hinted(err error) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("%w; a CA of the company's own is trusted with --ca-cert-file", err)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Errorf("%w; is the VCS served by http and not https?", err)
	}
	return err
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// panicked logs and reports a fault of the agent's own; it ends this request alone.
func (h *handler) panicked(c *call, r *http.Request, p any) {
	err := fmt.Errorf("panic while serving a request: %v", p)
	c.failure = err
	h.log.Error("panic while serving a request", "id", c.id, "name", c.decision.Rule, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	if h.report != nil {
		h.report(err)
	}
	if c.w.Status() == 0 {
		h.problem(c, r, transport.Problem{Status: http.StatusInternalServerError, Code: codeInternal, Detail: "The agent failed on this request; its log says how."})
	}
}

// requestID takes the gateway's id for the request.
func requestID(r *http.Request) string { return r.Header.Get(transport.RequestIDHeader) }
