package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// pingPeriod is how often the agent measures the round trip.
	pingPeriod = 2500 * time.Millisecond
	// quicPongWait is how long a ping may stay unanswered on QUIC. A UDP path that
	// has died in one direction is noticed by QUIC itself only once the other end
	// has given up and fallen silent as well. Less than quicIdle, so that a
	// gateway that still hears us is told. On TCP, where an answer waits behind
	// whatever is queued, HTTP/2's own pings decide.
	quicPongWait = 7 * time.Second
)

// Link is the agent's end of a connection to a gateway. It is up and the
// gateway is verified; [Link.Serve] runs the one session that it carries.
type Link struct {
	Carrier Carrier // what it runs on
	Proxy   string  // the proxy it goes through, its credentials masked; "" for none
	Remote  string  // the address at its other end: the gateway's or the proxy's
	Why     string  // why this carrier, a phrase for the log

	// serve answers the gateway's requests until the connection ends. It
	// returns after the connection's own goroutines have.
	serve  func(http.Handler) error
	close  func() error
	logger *slog.Logger
	rtt    atomic.Int64 // nanoseconds
}

// Close ends the connection at once. It may be called more than once.
func (l *Link) Close() error { return l.close() }

// RTT is the last round trip through the session exchange, 0 before the first.
// It includes the proxy's part and whatever waits in buffers on the way.
func (l *Link) RTT() time.Duration { return time.Duration(l.rtt.Load()) }

// Server is the agent's side of one session.
type Server struct {
	// Hello introduces the agent.
	Hello Hello
	// Handler answers the gateway's requests. A request's RequestURI is the raw
	// target as the gateway sent it.
	Handler http.Handler
	// Drain, once closed, asks the gateway for no new requests; Serve returns nil
	// when the last one has ended. nil never drains.
	Drain <-chan struct{}
	// OnWelcome is called once, when the gateway has accepted the session.
	OnWelcome func(Welcome)
	// OnDrain is called when the gateway asks its agents to dial anew.
	OnDrain func()
}

// errDrained ends an exchange whose last request is done.
var errDrained = errors.New("drained")

// Serve runs the session and closes the link. It returns nil after a drain, a
// [*Refusal] if the gateway said no, and else why the connection ended.
// Cancelling ctx cuts the session at once. Every handler has returned when Serve
// does.
func (l *Link) Serve(ctx context.Context, s Server) error {
	x := &exchange{link: l, server: s, ended: make(chan error, 1), dead: make(chan error, 1), welcomed: make(chan struct{})}
	served := make(chan error, 1)
	go func() { served <- l.serve(x) }()

	patience := time.NewTimer(handshakeTimeout)
	defer patience.Stop()
	welcomed := x.welcomed
	var err error
	connEnded := false
wait:
	for {
		select {
		case err = <-x.ended:
			break wait
		case err = <-x.dead:
			break wait
		case err = <-served:
			connEnded = true
			// A refusal or the end of a drain closes the connection a moment later.
			select {
			case err = <-x.ended:
			default:
			}
			break wait
		case <-welcomed:
			patience.Stop()
			welcomed = nil
		case <-patience.C:
			err = fmt.Errorf("the gateway said nothing for %s after the connection was up", handshakeTimeout)
			break wait
		case <-ctx.Done():
			err = ctx.Err()
			break wait
		}
	}
	l.Close()
	if !connEnded {
		<-served
	}
	x.handlers.Wait()
	switch {
	case errors.Is(err, errDrained):
		return nil
	case err == nil:
		return errors.New("the gateway closed the connection")
	}
	return err
}

// exchange is the handler below the caller's: it keeps the session exchange
// apart from requests and lets none through before the gateway's welcome.
type exchange struct {
	link     *Link
	server   Server
	opened   atomic.Bool
	welcomed chan struct{}
	ended    chan error // the exchange's result, once
	dead     chan error // why the path is given up, once at most
	handlers sync.WaitGroup
}

// ServeHTTP implements http.Handler.
func (x *exchange) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.handlers.Add(1)
	defer x.handlers.Done()
	if r.RequestURI == SessionPath {
		switch {
		case r.Method != http.MethodPost:
			http.Error(w, "the session exchange is a POST", http.StatusMethodNotAllowed)
		case !x.opened.CompareAndSwap(false, true):
			http.Error(w, "this connection has a session already", http.StatusConflict)
		default:
			x.ended <- x.run(w, r)
		}
		return
	}
	select {
	case <-x.welcomed:
		x.server.Handler.ServeHTTP(w, r)
	default:
		http.Error(w, "this connection has no session yet", http.StatusMisdirectedRequest)
	}
}

// run is the exchange itself; it returns why the session ended.
func (x *exchange) run(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithCancel(r.Context())
	rc := http.NewResponseController(w)
	send := func(l any) error {
		if err := writeLine(w, l); err != nil {
			return err
		}
		return rc.Flush()
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	if err := send(newHelloLine(x.server.Hello)); err != nil {
		cancel()
		return fmt.Errorf("send hello: %w", err)
	}
	in := newLineReader(r.Body)
	first, err := in.nextLine()
	if err == nil && first.Type == lineRefused {
		err = first.refusal()
	} else if err == nil && (first.Type != lineWelcome || first.Welcome == nil) {
		err = fmt.Errorf("the gateway's first line is %q, not welcome or refused", printable(first.Type))
	}
	if err != nil {
		cancel()
		return err
	}
	// Ready to serve before the gateway hears that we are.
	close(x.welcomed)
	if x.server.OnWelcome != nil {
		x.server.OnWelcome(*first.Welcome)
	}
	if err := send(line{Type: lineReady}); err != nil {
		cancel()
		return fmt.Errorf("send ready: %w", err)
	}

	pings := &pinger{}
	var writer sync.WaitGroup
	writer.Go(func() { x.write(ctx, send, pings) })
	defer writer.Wait()
	defer cancel()
	for {
		l, err := in.nextLine()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return errors.New("the gateway ended the session")
			}
			return fmt.Errorf("the session broke: %w", quicError(err))
		}
		switch l.Type {
		case linePong:
			if rtt := pings.answered(l.Seq); rtt > 0 {
				x.link.rtt.Store(int64(rtt))
			}
		case lineDrain:
			if x.server.OnDrain != nil {
				x.server.OnDrain()
			}
		case lineDrained:
			return errDrained
		}
	}
}

// write sends what the agent has to say after ready: pings, and drain once. It
// ends with ctx, when the connection takes no more, or when the path is dead.
func (x *exchange) write(ctx context.Context, send func(any) error, pings *pinger) {
	tick := time.NewTicker(pingPeriod)
	defer tick.Stop()
	drain := x.server.Drain
	if send(line{Type: linePing, Seq: pings.next()}) != nil {
		return
	}
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			switch waited := pings.waited(); {
			case waited == 0:
				err = send(line{Type: linePing, Seq: pings.next()})
			case x.link.Carrier == QUIC && waited >= quicPongWait:
				x.dead <- fmt.Errorf("no answer came from the gateway for %s: UDP seems to get lost", waited.Round(time.Second))
				return
			}
		case <-drain:
			drain = nil
			err = send(line{Type: lineDrain})
		}
		if err != nil {
			return // the reading side sees the broken connection and says so
		}
	}
}

// pinger times one ping at a time.
type pinger struct {
	mu   sync.Mutex
	seq  uint64
	sent time.Time
}

func (p *pinger) next() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	p.sent = time.Now()
	return p.seq
}

// waited is how long the latest ping has been without an answer, 0 if it has one.
func (p *pinger) waited() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sent.IsZero() {
		return 0
	}
	return time.Since(p.sent)
}

// answered returns the round trip of ping seq, or 0 if it isn't the latest.
func (p *pinger) answered(seq uint64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if seq != p.seq || p.sent.IsZero() {
		return 0
	}
	rtt := time.Since(p.sent)
	p.sent = time.Time{}
	return rtt
}
