package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"vcsagent/gateway/store"
	"vcsagent/metrics"
	"vcsagent/transport"
)

// The codes of answers that the gateway makes itself.
const (
	codeUnauthenticated = "unauthenticated"  // 401 or 407: no key, or not one of ours
	codeForbidden       = "forbidden"        // 403: the key may not call such a pool, or nobody may do that
	codeUnknownPool     = "unknown_pool"     // 404: what should be a pool's name is none
	codeNotFound        = "not_found"        // 404: no such path on this listener
	codeNoAgent         = "no_agent"         // 503: no agent of the pool is connected
	codeBusy            = "busy"             // 503: every stream is taken
	codeAgentLost       = "agent_lost"       // 502: the agent went away before it answered
	codeHeaderTooLarge  = "header_too_large" // 431: more than the tunnel takes
	codeBodyUnreadable  = "body_unreadable"  // 400: the caller's body is no HTTP
	codePoolPaused      = "pool_paused"      // 503: the operator lets nobody through for now
	codeRateLimited     = "rate_limited"     // 429: a limit of the key or the pool
	codeBodyTooLarge    = "body_too_large"   // 413: a limit of the key or the pool
	codeInternal        = "internal"         // 500: a fault of the gateway's own
	codeAgentFault      = "agent_fault"      // 502, or what the agent chose: its answer is none that agents make
)

const (
	noAgentRetryAfter = 5 * time.Second
	busyRetryAfter    = 2 * time.Second
	pausedRetryAfter  = 30 * time.Second

	// bodyLinger is how long the rest of a body that nobody wants any more may
	// take to come, so that the connection is good for another request.
	bodyLinger = 5 * time.Second

	// headerListSize is what a request's header section may come to as the
	// carriers count it, with room for what is added here.
	headerListSize = transport.MaxHeaderBytes - 4<<10

	// statusCancelled is logged when the caller went away before an answer; it is never sent.
	statusCancelled = 499
)

// callers serves callers' requests.
type callers struct {
	store   *keyring
	router  *router
	limits  *limits
	log     *slog.Logger
	metrics *metrics.Gateway
	proxy   *httputil.ReverseProxy

	recorder *recorder // takes every request that has ended
}

func newCallers(keys *keyring, rt *router, rec *recorder, log *slog.Logger, m *metrics.Gateway) *callers {
	h := &callers{store: keys, router: rt, limits: newLimits(), recorder: rec, log: log, metrics: m}
	h.proxy = &httputil.ReverseProxy{
		Transport:      sessionTransport{},
		Rewrite:        rewrite,
		ModifyResponse: modifyResponse,
		ErrorHandler:   forwardFailed,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		FlushInterval:  transport.FlushInterval,
		BufferPool:     &transport.CopyBuffers{},
	}
	return h
}

// call is what is known of a request on its way.
type call struct {
	id      string
	began   time.Time
	w       *transport.ResponseWriter
	writer  *answerWriter // under w
	bodyIn  *callerBody
	route   route
	secret  transport.Secret // the caller's key, or whatever it sent for one
	changes int64            // those that the router knew of before key and pool were looked up
	pool    store.Pool       // zero until its key may call it
	key     store.Key        // zero until it's known
	counted counted          // what it counts in, until its answer's end
	member  *member
	queued  time.Duration // waiting for a stream
	first   time.Duration // from the start to the answer's header
	code    string        // of an answer that we or the agent made; "" if the VCS answered
	failure error         // for the log only
	cut     error         // why it was cut; guarded by flights.mu until it has landed
	told    told

	bodyLimitOf scope // whose limit bodyIn.most is
}

// told is what the agent said of the call.
type told struct{ name, purpose, project, stream, reason string }

type callKey struct{}

func callOf(ctx context.Context) *call { return ctx.Value(callKey{}).(*call) }

// ServeHTTP implements http.Handler.
func (h *callers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	writer := newAnswerWriter(w, r)
	c := &call{id: requestID(r), began: time.Now(), w: transport.NewResponseWriter(writer), writer: writer}
	r = r.WithContext(r.Context()) // net/http looks at the body in its own
	c.bodyIn = &callerBody{CountingBody: transport.CountingBody{ReadCloser: r.Body}, deadline: http.NewResponseController(w).SetReadDeadline}
	c.bodyIn.ended.Store(r.ContentLength == 0)
	r.Body = c.bodyIn
	defer func() {
		p := recover()
		h.limits.leave(c.counted)
		if p != nil && c.writer.stalled {
			c.failure = errStalled
		}
		if p != nil && c.cut != nil {
			c.failure = c.cut
		}
		c.writer.last()
		if errors.Is(c.bodyIn.failure(), errBodyTooLarge) {
			h.countLimited(c, c.bodyLimitOf, limitBody)
		}
		h.finish(c, r, p)
		if r.ProtoMajor == 1 && !c.bodyIn.ended.Load() {
			// net/http reads on, and its own deadline is gone.
			linger := bodyLinger
			if p != nil {
				linger = 0
			}
			http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(linger))
		}
		if p != nil {
			panic(http.ErrAbortHandler) // the answer is cut: it must not look whole
		}
	}()
	if problem := h.admit(c, r); problem != nil {
		h.answer(c, r, problem)
		return
	}
	h.forward(c, r)
}

// forward takes a stream and sends the request through it.
func (h *callers) forward(c *call, r *http.Request) {
	p := h.router.find(c.pool.ID)
	err := errNoAgent
	q := h.queueing(c)
	var m *member
	if p != nil {
		m, err = p.acquire(r.Context(), q)
	}
	if m != nil {
		defer m.release()
	}
	c.queued = time.Since(c.began)
	ctx, land := h.router.flights.enter(r.Context(), c)
	defer land()
	// From here on a change cuts it; what was changed before is looked at now.
	problem := h.readmit(c, r)
	switch {
	case problem != nil && r.Context().Err() == nil:
		h.answer(c, r, problem)
		return
	case errors.Is(err, errNoAgent):
		h.answer(c, r, &refusal{Status: http.StatusServiceUnavailable, Code: codeNoAgent, RetryAfter: noAgentRetryAfter, Detail: "No agent of this pool is connected."})
		return
	case errors.Is(err, errBusy):
		h.answer(c, r, h.busy(c, q, err))
		return
	case err != nil: // the caller went away
		c.failure = err
		panic(http.ErrAbortHandler)
	}
	c.member = m
	// An early answer (413, say) must pass a body that is still being sent. It
	// only exists, and is only needed, on HTTP/1. See closeBehindEarlyAnswer.
	http.NewResponseController(c.w).EnableFullDuplex()
	h.proxy.ServeHTTP(c.w, r.WithContext(context.WithValue(ctx, callKey{}, c)))
}

// answer answers in the gateway's own name.
func (h *callers) answer(c *call, r *http.Request, p *refusal) {
	hdr := c.w.Header()
	switch p.Status {
	case http.StatusUnauthorized:
		hdr.Set("WWW-Authenticate", KeyHeader+` realm="vcs-gateway"`)
	case http.StatusProxyAuthRequired:
		hdr.Set("Proxy-Authenticate", `Basic realm="vcs-gateway"`)
	}
	if c.key.ID == "" && r.ProtoMajor == 1 {
		// Nobody whom we don't know keeps a connection. On HTTP/2 it may be others' as well.
		hdr.Set("Connection", "close")
	}
	protect(hdr)
	c.code = p.Code
	p.ID = c.id
	p.Write(c.w, r)
}

// protect marks every answer on this listener as untrusted content: a browser
// that opens one runs nothing.
func protect(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Add("Content-Security-Policy", "default-src 'none'; sandbox")
}

// sessionTransport sends a call's request through the session it holds a stream of.
type sessionTransport struct{}

// RoundTrip implements http.RoundTripper.
func (sessionTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	s := callOf(r.Context()).member.session
	if r.Body == nil {
		return s.RoundTrip(r)
	}
	// When the session ends HTTP/2 goes on waiting for the body's next bytes,
	// which a caller that has stopped sending never sends.
	type result struct {
		resp *http.Response
		err  error
	}
	done := make(chan result, 1)
	go func() {
		resp, err := s.RoundTrip(r)
		done <- result{resp, err}
	}()
	select {
	case got := <-done:
		return got.resp, got.err
	case <-s.Done():
	}
	select {
	case got := <-done:
		return got.resp, got.err
	default: // an answer can't come any more
		return nil, errSessionEnded
	}
}

var errSessionEnded = errors.New("the session with the agent ended")

// rewrite makes the request for the agent: the caller's, less what concerns only
// the gateway. What may go on to the VCS is the agent's to decide.
func rewrite(pr *httputil.ProxyRequest) {
	c := callOf(pr.In.Context())
	out := pr.Out
	out.URL = transport.TargetURL(c.route.target)
	out.Host = ""
	for _, name := range []string{"Proxy-Authorization", "Proxy-Connection", "Expect", "Upgrade", "Connection", "Te", "Cookie"} {
		out.Header.Del(name)
	}
	transport.DropOurs(out.Header)
	out.Header.Set(transport.RequestIDHeader, c.id)
	out.Trailer = nil
}

// forwardFailed answers when the agent went away before it did.
func forwardFailed(w http.ResponseWriter, r *http.Request, err error) {
	c := callOf(r.Context())
	c.failure = err
	if r.Context().Err() != nil { // the caller went away: nobody to answer
		panic(http.ErrAbortHandler)
	}
	p := refusal{Status: http.StatusBadGateway, Code: codeAgentLost, ID: c.id, Detail: "The connection to the agent ended before it answered; the VCS may have seen the request or not."}
	if s, ok := errors.AsType[statusError](err); ok {
		p.Code, p.Detail = codeAgentFault, fmt.Sprintf("The agent answered with status %d, which is none; the VCS may have seen the request.", int(s))
	} else if failure := c.bodyIn.failure(); failure != nil {
		c.failure = failure
		p.Status, p.Code, p.Detail = http.StatusBadRequest, codeBodyUnreadable, "The request's body could not be read to its end."
		if errors.Is(failure, errBodyTooLarge) {
			p = *c.bodyTooLarge()
			p.ID = c.id
		}
	}
	c.code = p.Code
	protect(w.Header())
	closeBehindEarlyAnswer(w.Header(), c, r)
	p.Write(w, r)
}

// closeBehindEarlyAnswer marks a connection as not to be used again if its
// request's body wasn't read to the end before the answer. With EnableFullDuplex
// net/http doesn't keep such a body apart from the next request: a read of either
// panics, on the carrier's goroutine too, where nothing recovers it.
func closeBehindEarlyAnswer(h http.Header, c *call, r *http.Request) {
	if r.ProtoMajor == 1 && !c.bodyIn.ended.Load() {
		h.Set("Connection", "close")
	}
}

// callerBody is a caller's body: counted, and with what became of it. The
// carrier reads it on a goroutine of its own.
type callerBody struct {
	transport.CountingBody
	deadline func(time.Time) error // for the next read
	most     int64                 // bytes that it may have; 0 is any number

	ended  atomic.Bool           // it was read to its end
	failed atomic.Pointer[error] // why it couldn't be
}

// errBodyTooLarge is what a body breaks off with that is over its limit.
var errBodyTooLarge = errors.New("the request's body is over the limit")

// Read implements io.Reader.
func (b *callerBody) Read(p []byte) (int, error) {
	// A body that stands still would keep its stream from everybody else.
	b.deadline(time.Now().Add(bodyIdle))
	if b.most > 0 {
		// One byte more tells whether there is more.
		p = p[:min(int64(len(p)), max(b.most+1-b.Bytes(), 0))]
	}
	n, err := b.CountingBody.Read(p)
	if b.most > 0 && b.Bytes() > b.most {
		// Without an end, so that what has gone to the agent doesn't look whole.
		n, err = max(n-1, 0), errBodyTooLarge
	}
	switch {
	case err == io.EOF:
		b.ended.Store(true)
		b.deadline(time.Time{}) // net/http goes on reading, to see the caller leave
	case err != nil:
		b.failed.Store(&err)
	}
	return n, err
}

// failure is why the body couldn't be read, or nil.
func (b *callerBody) failure() error {
	if err := b.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// requestID keeps the caller's id for a request if it's a sensible one.
func requestID(r *http.Request) string {
	id := r.Header.Get(transport.RequestIDHeader)
	if len(id) == 0 || len(id) > 128 {
		return newRequestID()
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return newRequestID()
		}
	}
	return id
}

// newRequestID makes an ID that sorts by its time, which costs the index of the
// stored requests the least. It is no secret.
func newRequestID() string { return ulid.Make().String() }
