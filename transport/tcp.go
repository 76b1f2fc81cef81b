package transport

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// A TCP connection that is silent this long is pinged, and dropped when the
	// ping stays unanswered: a peer that vanished is noticed within their sum.
	tcpPingAfter   = 10 * time.Second
	tcpPingTimeout = 10 * time.Second
	// tcpWriteTimeout drops a connection that takes no byte for so long.
	tcpWriteTimeout = 30 * time.Second

	// streamBuffer is what one side buffers for one stream at the most: it is
	// how far a sender runs ahead of a reader that has stopped.
	streamBuffer = 1 << 20
	// h2ConnBuffer is the largest connection window that net/http takes (less
	// than 4 MiB). An agent divides it by its streams, so that uploads to a
	// VCS that has stopped reading never starve the others.
	h2ConnBuffer = 4<<20 - 1
	// h2Frame is the largest DATA frame taken, as large as the buffers that
	// bodies are copied through: large answers cost a quarter less CPU than with
	// HTTP/2's default of 16 KiB.
	h2Frame = copyBuffer
)

// h2Only returns the protocols of a connection that is HTTP/2 from its first
// byte. TLS is below and already made; net/http must not look for its ALPN.
func h2Only() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

// plainConn hides that a connection is TLS, since net/http would look for the
// ALPN id h2 in it, and tells when it was closed.
type plainConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func newPlainConn(c net.Conn) *plainConn {
	return &plainConn{Conn: c, closed: make(chan struct{})}
}

// Close implements net.Conn.
func (c *plainConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { close(c.closed) })
	return err
}

// oneListener is a listener that accepts one connection and then waits for its end.
type oneListener struct {
	conn     *plainConn
	accepted bool // only Accept's goroutine looks at it
}

// Accept implements net.Listener.
func (l *oneListener) Accept() (net.Conn, error) {
	if !l.accepted {
		l.accepted = true
		return l.conn, nil
	}
	<-l.conn.closed
	return nil, net.ErrClosed
}

// Close implements net.Listener; the connection is closed by its owner.
func (l *oneListener) Close() error { return nil }

// Addr implements net.Listener.
func (l *oneListener) Addr() net.Addr { return l.conn.LocalAddr() }

// newTCPLink is the agent's end on TCP: net/http's HTTP/2 server on the
// connection that the agent dialled.
func newTCPLink(tc *tls.Conn, proxy string, parallelism int) *Link {
	conn := newPlainConn(tc)
	l := &Link{Carrier: TCP, Proxy: proxy, Remote: tc.RemoteAddr().String(), close: conn.Close}
	l.serve = func(h http.Handler) error {
		srv := &http.Server{
			Handler:        h,
			Protocols:      h2Only(),
			MaxHeaderBytes: MaxHeaderBytes,
			ErrorLog:       slog.NewLogLogger(l.logger.Handler(), slog.LevelDebug),
			HTTP2: &http.HTTP2Config{
				MaxConcurrentStreams:          streamCredit(parallelism),
				MaxReceiveBufferPerConnection: h2ConnBuffer,
				MaxReceiveBufferPerStream:     min(streamBuffer, h2ConnBuffer/(parallelism+1)),
				MaxReadFrameSize:              h2Frame,
				SendPingTimeout:               tcpPingAfter,
				PingTimeout:                   tcpPingTimeout,
				WriteByteTimeout:              tcpWriteTimeout,
			},
		}
		srv.Serve(&oneListener{conn: conn}) // always net.ErrClosed: the connection has ended
		srv.Close()
		return nil
	}
	return l
}

// streamCredit is how many requests a gateway may have open on a connection:
// the parallelism, the session exchange, and room for streams that have ended but
// whose credit is still on its way back.
func streamCredit(parallelism int) int { return 2*parallelism + 8 }

// h2Client is the gateway's end on TCP: net/http's HTTP/2 client on the
// connection that the gateway accepted.
func h2Client(ctx context.Context, tc *tls.Conn) (http.RoundTripper, error) {
	conn := newPlainConn(tc)
	t := &http.Transport{
		Protocols:              h2Only(),
		DisableCompression:     true,
		MaxResponseHeaderBytes: MaxHeaderBytes,
		DialContext:            func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		HTTP2: &http.HTTP2Config{
			// The connection's window stays at net/http's 1 GiB, far over what
			// all streams' windows add up to: a caller that stops reading stops
			// its own stream and no other.
			MaxReceiveBufferPerStream: streamBuffer,
			MaxReadFrameSize:          h2Frame,
			SendPingTimeout:           tcpPingAfter,
			PingTimeout:               tcpPingTimeout,
			WriteByteTimeout:          tcpWriteTimeout,
		},
	}
	return t.NewClientConn(ctx, "http", agentAuthority+":80")
}
