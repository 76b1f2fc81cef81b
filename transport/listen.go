package transport

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// maxGreeting bounds the connections that have no session yet.
const maxGreeting = 1024

// ListenConfig is a gateway's side of the transport.
type ListenConfig struct {
	// TLS is the gateway's certificate. Required. ALPN is set here.
	TLS *tls.Config
	// GatewayID tells this gateway from others behind the same address.
	GatewayID string
	// Software is the gateway's version, for the welcome.
	Software string
	// Authenticate decides on an agent by its hello and the address that it, or its
	// proxy, comes from. A nil error accepts it, and the grant becomes
	// [Session.Grant]; a [*Refusal] is sent to it; any other error is logged and
	// the agent told to try again.
	Authenticate func(ctx context.Context, h Hello, remote string) (grant any, err error)
	// OnSession is called once per session, when it can carry requests. It must not block.
	OnSession func(*Session)
	// OnRefused is called for each connection that got no session, with its
	// carrier and the reason, after it was logged. May be nil.
	OnRefused func(Carrier, error)
	// ResetKey lets agents of a gateway that was restarted tell at once that
	// their session is gone (RFC 9000, section 10.3). Keep it over restarts.
	ResetKey [32]byte
	// Logger gets one line per refused connection; nil means slog.Default().
	Logger *slog.Logger
}

// Listener accepts agents on UDP and TCP at the same port.
type Listener struct {
	cfg      ListenConfig
	tcp      net.Listener
	sock     *net.UDPConn
	quicTr   *quic.Transport
	quic     *quic.Listener
	halfOpen halfOpen      // QUIC handshakes under way
	greeting chan struct{} // a place per connection that has no session yet
}

// Listen binds addr (host:port; port 0 picks one) on TCP and UDP.
func Listen(addr string, cfg ListenConfig) (*Listener, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	l := &Listener{cfg: cfg, greeting: make(chan struct{}, maxGreeting)}
	if err := l.bind(addr); err != nil {
		return nil, err
	}
	hintBuffers(l.sock, cfg.Logger, slog.LevelWarn)
	key := quic.StatelessResetKey(cfg.ResetKey)
	var err error
	l.quicTr, l.quic, err = listenQUIC(l.sock, cfg.TLS, &key, &l.halfOpen)
	if err != nil {
		l.tcp.Close()
		l.sock.Close()
		return nil, fmt.Errorf("listen for QUIC: %w", err)
	}
	return l, nil
}

// bind takes the TCP port and then the same UDP port; when any port will do, it
// tries a few until one is free on both.
func (l *Listener) bind(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	for try := 0; ; try++ {
		if l.tcp, err = net.Listen("tcp", addr); err != nil {
			return err
		}
		at := l.tcp.Addr().(*net.TCPAddr)
		l.sock, err = net.ListenUDP("udp", &net.UDPAddr{IP: at.IP, Port: at.Port, Zone: at.Zone})
		if err == nil {
			return nil
		}
		l.tcp.Close()
		if port != "0" || try == 16 {
			return err
		}
	}
}

// Addr is the address on both TCP and UDP.
func (l *Listener) Addr() net.Addr { return l.tcp.Addr() }

// Serve accepts agents until ctx is done; then it closes the listeners and every
// session, and returns when all their goroutines have.
func (l *Listener) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make(chan error, 2)
	wg.Go(func() { errs <- l.acceptTCP(ctx, &wg); cancel() })
	wg.Go(func() { errs <- l.acceptQUIC(ctx, &wg); cancel() })
	<-ctx.Done()
	l.tcp.Close()
	l.quic.Close()
	wg.Wait()
	l.quicTr.Close()
	l.sock.Close()
	return errors.Join(<-errs, <-errs)
}

func (l *Listener) acceptTCP(ctx context.Context, wg *sync.WaitGroup) error {
	for {
		c, err := l.tcp.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if ne := net.Error(nil); errors.As(err, &ne) && ne.Timeout() || isTransient(err) {
				// Out of file descriptors, most likely: wait for some to be freed.
				l.cfg.Logger.Warn("can't accept an agent for now", "carrier", TCP, "error", err)
				select {
				case <-ctx.Done():
				case <-time.After(100 * time.Millisecond):
				}
				continue
			}
			return fmt.Errorf("accept agents on TCP: %w", err)
		}
		if !l.admit() {
			c.Close()
			l.refuse(TCP, c.RemoteAddr(), errTooMany)
			continue
		}
		wg.Go(func() { l.greetTCP(ctx, c) })
	}
}

func (l *Listener) acceptQUIC(ctx context.Context, wg *sync.WaitGroup) error {
	for {
		c, err := l.quic.Accept(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept agents on QUIC: %w", err)
		}
		l.halfOpen.end(c)
		if !l.admit() {
			c.CloseWithError(h3NoError, "")
			l.refuse(QUIC, c.RemoteAddr(), errTooMany)
			continue
		}
		wg.Go(func() {
			l.run(ctx, carried{QUIC, c.RemoteAddr(), h3Client(c), func() PathStats { return quicPath(c) },
				func() error { return c.CloseWithError(h3NoError, "") }})
		})
	}
}

// greetTCP makes the TLS connection and goes on as on QUIC.
func (l *Listener) greetTCP(ctx context.Context, c net.Conn) {
	hctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	tc := tls.Server(c, withALPN(l.cfg.TLS, alpnTCP))
	err := tc.HandshakeContext(hctx)
	if err == nil && tc.ConnectionState().NegotiatedProtocol != alpnTCP {
		err = fmt.Errorf("the client speaks no ALPN, not %q", alpnTCP)
	}
	var rt http.RoundTripper
	if err == nil {
		rt, err = h2Client(hctx, tc)
	}
	if err != nil {
		c.Close()
		l.done()
		l.refuse(TCP, c.RemoteAddr(), fmt.Errorf("TLS handshake: %w", err))
		return
	}
	l.run(ctx, carried{TCP, c.RemoteAddr(), rt, func() PathStats { return tcpPath(c) }, tc.Close})
}

// carried is a connection whose handshake is done.
type carried struct {
	carrier Carrier
	remote  net.Addr
	rt      http.RoundTripper
	path    func() PathStats
	close   func() error
}

// run takes a connection from its first byte to its end.
func (l *Listener) run(ctx context.Context, c carried) {
	body, out := io.Pipe()
	s := &Session{
		ID: rand.Text(), Carrier: c.carrier, Remote: c.remote.String(), Since: time.Now(),
		rt: c.rt, path: c.path, closeConn: c.close, body: body, out: out,
		done: make(chan struct{}), draining: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	err := s.greet(ctx, l.cfg)
	l.done()
	if err != nil {
		s.Close()
		l.refuse(c.carrier, c.remote, err)
		return
	}
	l.cfg.OnSession(s)
	s.run()
}

var errTooMany = fmt.Errorf("more than %d connections have no session yet", maxGreeting)

func (l *Listener) admit() bool {
	select {
	case l.greeting <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l *Listener) done() { <-l.greeting }

func (l *Listener) refuse(c Carrier, remote net.Addr, err error) {
	l.cfg.Logger.Info("refused a connection to the agents' listener", "carrier", c, "remote", remote.String(), "reason", printable(err.Error()))
	if l.cfg.OnRefused != nil {
		l.cfg.OnRefused(c, err)
	}
}
