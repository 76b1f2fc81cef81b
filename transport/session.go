package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// agentAuthority is the name by which the gateway calls any agent.
const agentAuthority = "vcs-agent"

// refusalLinger is how long the gateway waits for an agent to hang up after it
// was refused, so that the sentence reaches it.
const refusalLinger = 2 * time.Second

// TargetURL returns the URL for a request through [Session.RoundTrip] whose raw
// target (path and query, beginning with "/") must reach the agent as it is,
// whatever net/url thinks of its encoding.
func TargetURL(target string) *url.URL {
	return &url.URL{Scheme: "https", Host: agentAuthority, Opaque: "//" + agentAuthority + target}
}

// Session is the gateway's end of an agent's live connection.
type Session struct {
	ID      string    // unique, chosen by this gateway
	Hello   Hello     // what the agent said of itself; the key is blanked
	Carrier Carrier   // what it runs on
	Remote  string    // the agent's address, or its proxy's
	Since   time.Time // when the connection was accepted
	Grant   any       // what Authenticate said of it; nobody else looks at it

	rt        http.RoundTripper
	path      func() PathStats
	closeConn func() error
	closeOnce sync.Once
	done      chan struct{}
	drainOnce sync.Once
	draining  chan struct{}

	in     *lineReader
	body   *io.PipeReader // our half of the exchange, as the request's body
	out    *io.PipeWriter // writes it
	resp   io.ReadCloser  // the agent's half
	sendMu sync.Mutex     // orders lines on out
}

// RoundTrip sends a request to the agent; it implements http.RoundTripper. Its
// URL should come from [TargetURL]. The caller keeps the number in flight within
// Hello.Parallelism. An error means that no answer began; a body that breaks off
// later says so from its Read.
func (s *Session) RoundTrip(r *http.Request) (*http.Response, error) {
	return s.rt.RoundTrip(r)
}

// Path says how the path to the agent does now. A zero Session has none.
func (s *Session) Path() PathStats {
	if s.path == nil {
		return PathStats{}
	}
	return s.path()
}

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.done }

// Draining is closed when the agent has asked for no new requests. The gateway
// then calls Drained once its last one has ended.
func (s *Session) Draining() <-chan struct{} { return s.draining }

// Drained tells a draining agent that nothing more will come.
func (s *Session) Drained() { s.send(line{Type: lineDrained}) }

// Drain asks the agent to dial anew, elsewhere if it can.
func (s *Session) Drain() { s.send(line{Type: lineDrain}) }

// Close ends the session at once; requests in flight fail.
func (s *Session) Close() error {
	var err error
	s.closeOnce.Do(func() {
		s.out.CloseWithError(errSessionClosed)
		err = s.closeConn()
	})
	return err
}

var errSessionClosed = errors.New("the session was closed")

func (s *Session) send(l line) error {
	s.sendMu.Lock()
	defer s.sendMu.Unlock()
	return writeLine(s.out, l)
}

// greet opens the exchange, reads the hello and answers it. Its error is why
// there is no session.
func (s *Session) greet(ctx context.Context, cfg ListenConfig) error {
	late := time.AfterFunc(handshakeTimeout, func() { s.closeConn() })
	err := s.exchangeHello(ctx, cfg)
	if !late.Stop() {
		if err == nil {
			err = errors.New("the greeting took too long")
		}
		return fmt.Errorf("no session within %s: %w", handshakeTimeout, err)
	}
	return err
}

func (s *Session) exchangeHello(ctx context.Context, cfg ListenConfig) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+agentAuthority+SessionPath, s.body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := s.rt.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("open the session exchange: %w", err)
	}
	s.resp = resp.Body
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return fmt.Errorf("the peer answered the session exchange with status %d", resp.StatusCode)
	}
	s.in = newLineReader(resp.Body)
	first, err := s.in.next()
	if err != nil {
		resp.Body.Close()
		return fmt.Errorf("read the hello: %w", err)
	}
	hello, refusal := parseHello(first)
	if refusal == nil {
		s.Grant, refusal = authenticate(ctx, cfg, hello, s.Remote)
	}
	if refusal != nil {
		s.refuse(refusal)
		return refusal
	}
	hello.Key = ""
	s.Hello = hello
	if err := s.send(line{Type: lineWelcome, Welcome: &Welcome{SessionID: s.ID, GatewayID: cfg.GatewayID, Software: cfg.Software}}); err != nil {
		resp.Body.Close()
		return fmt.Errorf("send welcome: %w", err)
	}
	// A request must not overtake the welcome, and streams are independent:
	// only the agent knows when it has read it.
	ready, err := s.in.nextLine()
	if err == nil && ready.Type != lineReady {
		err = fmt.Errorf("its second line is %q", printable(ready.Type))
	}
	if err != nil {
		resp.Body.Close()
		return fmt.Errorf("the agent didn't say ready: %w", err)
	}
	return nil
}

func authenticate(ctx context.Context, cfg ListenConfig, h Hello, remote string) (grant any, _ *Refusal) {
	grant, err := cfg.Authenticate(ctx, h, remote)
	if err == nil {
		return grant, nil
	}
	var r *Refusal
	if errors.As(err, &r) {
		return nil, r
	}
	cfg.Logger.Error("can't decide on an agent", "error", err, "pool_id", printable(h.PoolID))
	return nil, &Refusal{Code: RefusedUnavailable, Sentence: "the gateway can't decide on this agent for now", RetryAfter: 5 * time.Second}
}

// refuse says no and gives the agent a moment to read it and hang up.
func (s *Session) refuse(r *Refusal) {
	linger := time.AfterFunc(refusalLinger, func() { s.closeConn() })
	defer linger.Stop()
	if s.send(refusedLine(r)) == nil {
		s.out.Close()
		io.Copy(io.Discard, io.LimitReader(s.resp, MaxLineBytes))
	}
	s.resp.Close()
}

// run reads the agent's lines until the session ends.
func (s *Session) run() {
	defer close(s.done)
	defer s.Close()
	defer s.resp.Close()
	for {
		l, err := s.in.nextLine()
		if err != nil {
			return
		}
		switch l.Type {
		case linePing:
			if s.send(line{Type: linePong, Seq: l.Seq}) != nil {
				return
			}
		case lineDrain:
			s.drainOnce.Do(func() { close(s.draining) })
		}
	}
}
