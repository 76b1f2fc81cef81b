package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"
)

const (
	// headStart is how long QUIC is tried alone before TCP is tried beside it.
	headStart = 300 * time.Millisecond
	// quicWait is how long a TCP connection that is up waits for QUIC to win, from
	// the start of dialling. With UDP dropped an agent is then on TCP well within
	// 3 s of its start.
	quicWait = 2 * time.Second
	// dialTimeout bounds one attempt as a whole.
	dialTimeout = 15 * time.Second
)

// Dialer connects an agent to its gateway.
type Dialer struct {
	// Mode says which carriers may be used; "" means ModeAuto.
	Mode Mode
	// TLS verifies the gateway, see [ClientTLS]. Required. ALPN is set here.
	TLS *tls.Config
	// Proxy returns the proxy for the gateway's https URL, or nil for none; a nil
	// func means no proxy at all. See golang.org/x/net/http/httpproxy.
	Proxy func(*url.URL) (*url.URL, error)
	// Parallelism is the most requests that come at once, 1 to MaxParallelism; it
	// sizes the credit given to the gateway.
	Parallelism int
	// OnFailed is called for each carrier that was tried and didn't come up, not
	// for one that merely lost the race. It may be called from several
	// goroutines at once. May be nil.
	OnFailed func(Carrier, error)
	// Logger gets the transport's detail at debug level; nil means slog.Default().
	Logger *slog.Logger
}

// Dial connects to the gateway at addr (host:port). Under auto it prefers QUIC
// and falls back to TCP; through a proxy it uses TCP alone, since an operator
// who set one means it. The error names each carrier that was tried.
func (d *Dialer) Dial(ctx context.Context, addr string) (*Link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var proxyURL *url.URL
	if d.Proxy != nil && d.Mode != ModeQUIC {
		var err error
		if proxyURL, err = d.Proxy(&url.URL{Scheme: "https", Host: addr}); err != nil {
			return nil, fmt.Errorf("HTTPS_PROXY is not a proxy's URL: %w", maskURLError(err))
		}
	}
	switch {
	case d.Mode == ModeQUIC:
		return d.dialOne(ctx, QUIC, addr, nil, "the transport is set to quic")
	case d.Mode == ModeTCP && proxyURL != nil:
		return d.dialOne(ctx, TCP, addr, proxyURL, "the transport is set to tcp, and HTTPS_PROXY applies to the gateway")
	case d.Mode == ModeTCP:
		return d.dialOne(ctx, TCP, addr, nil, "the transport is set to tcp")
	case proxyURL != nil:
		return d.dialOne(ctx, TCP, addr, proxyURL, "HTTPS_PROXY applies to the gateway")
	default:
		return d.race(ctx, addr)
	}
}

// maskURLError drops the URL, which may hold a password, from a parse error.
func maskURLError(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return errors.New("it can't be parsed")
}

func (d *Dialer) dialOne(ctx context.Context, c Carrier, addr string, proxyURL *url.URL, why string) (*Link, error) {
	var l *Link
	var err error
	began := time.Now()
	defer func() {
		d.logger().Debug("dialled the gateway", "carrier", c, "address", addr, "proxy", MaskProxy(proxyURL), "took", time.Since(began).Seconds(), "error", err)
	}()
	if c == QUIC {
		l, err = d.dialQUIC(ctx, addr)
	} else {
		l, err = d.dialTCP(ctx, addr, proxyURL)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", c, err)
		if !errors.Is(ctx.Err(), context.Canceled) {
			d.failed(c, err)
		}
		return nil, err
	}
	l.Why = why
	l.logger = d.logger()
	return l, nil
}

type dialResult struct {
	link *Link
	err  error
}

// race gives QUIC its head start and then lets TCP in beside it.
func (d *Dialer) race(ctx context.Context, addr string) (*Link, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	start := func(c Carrier) <-chan dialResult {
		ch := make(chan dialResult, 1)
		go func() {
			l, err := d.dialOne(ctx, c, addr, nil, "")
			ch <- dialResult{l, err}
		}()
		return ch
	}
	begin := time.Now()
	quicDone := start(QUIC)
	var tcpDone <-chan dialResult
	head := time.NewTimer(headStart)
	defer head.Stop()
	deadline := time.NewTimer(quicWait)
	defer deadline.Stop()

	var quicErr, tcpErr error
	var tcp *Link
	waited := false
	for {
		select {
		case r := <-quicDone:
			quicDone = nil
			if r.err == nil {
				cancel()
				discard(tcp, tcpDone)
				r.link.Why = fmt.Sprintf("QUIC was up after %s", time.Since(begin).Round(time.Millisecond))
				return r.link, nil
			}
			quicErr = r.err
			if tcpDone == nil && tcp == nil && tcpErr == nil {
				tcpDone = start(TCP)
			}
		case <-head.C:
			if tcpDone == nil && tcp == nil {
				tcpDone = start(TCP)
			}
		case r := <-tcpDone:
			tcpDone = nil
			tcp, tcpErr = r.link, r.err
		case <-deadline.C:
			waited = true
		}
		switch {
		case tcp != nil && quicErr != nil:
			tcp.Why = fmt.Sprintf("QUIC failed: %v", quicErr)
			return tcp, nil
		case tcp != nil && waited:
			cancel()
			discard(nil, quicDone)
			tcp.Why = fmt.Sprintf("QUIC was not up within %s: UDP to %s seems to be blocked", quicWait, addr)
			d.failed(QUIC, errors.New(tcp.Why))
			return tcp, nil
		case quicErr != nil && tcpErr != nil:
			return nil, errors.Join(quicErr, tcpErr)
		}
	}
}

// discard closes the connection that lost the race, whether it's up already or
// still on its way; it waits for the latter, which the cancelled context ends.
func discard(l *Link, pending <-chan dialResult) {
	if l != nil {
		l.Close()
	}
	if pending != nil {
		if r := <-pending; r.link != nil {
			r.link.Close()
		}
	}
}

// dialTCP connects over TCP, through proxyURL unless it's nil, and makes the TLS
// connection.
func (d *Dialer) dialTCP(ctx context.Context, addr string, proxyURL *url.URL) (*Link, error) {
	dialer, err := proxyDialer(proxyURL, &net.Dialer{KeepAlive: 15 * time.Second})
	if err != nil {
		return nil, err
	}
	raw, err := dialer.DialContext(ctx, "tcp", addr)
	switch {
	case err != nil && proxyURL != nil && strings.HasPrefix(proxyURL.Scheme, "socks"):
		// The HTTP proxies' dialer names the proxy itself.
		return nil, fmt.Errorf("proxy %s: %w", MaskProxy(proxyURL), err)
	case err != nil:
		return nil, err
	}
	conn := tls.Client(raw, withALPN(d.TLS, alpnTCP))
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, fmt.Errorf("TLS to the gateway: %w", err)
	}
	if p := conn.ConnectionState().NegotiatedProtocol; p != alpnTCP {
		raw.Close()
		return nil, fmt.Errorf("what answers at %s is no gateway: it speaks %q, not %q", addr, p, alpnTCP)
	}
	return newTCPLink(conn, MaskProxy(proxyURL), d.parallelism()), nil
}

func (d *Dialer) failed(c Carrier, err error) {
	if d.OnFailed != nil {
		d.OnFailed(c, err)
	}
}

func (d *Dialer) parallelism() int { return min(max(d.Parallelism, 1), MaxParallelism) }

func (d *Dialer) logger() *slog.Logger {
	if d.Logger != nil {
		return d.Logger
	}
	return slog.Default()
}
