package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/qlog"
)

const (
	// quicKeepAlive and quicIdle make a dead UDP path known within seconds and
	// keep NAT mappings open (RFC 9308, section 3.2, names 15 s as a safe period).
	quicKeepAlive = 2500 * time.Millisecond
	quicIdle      = 10 * time.Second
	// quicPacket fits every path that QUIC allows (RFC 9000, section 14): VPNs
	// and PPPoE included. Path MTU discovery grows it.
	quicPacket = 1200
	// quicConnBuffer is over what all streams' windows add up to, so that a
	// stream whose reader has stopped never stops the others. What is held is
	// bounded by streamBuffer times the streams.
	quicConnBuffer = (MaxParallelism + 8) * streamBuffer
	// h3UniStreams is what HTTP/3 needs: control and the two QPACK streams (RFC 9114, section 6.2).
	h3UniStreams = 3

	h3NoError = quic.ApplicationErrorCode(http3.ErrCodeNoError)
)

func init() {
	// The library prints its own hint about socket buffers; hintBuffers is ours.
	os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true")
}

// quicConfig is what both ends share. incoming is how many requests the peer may have open.
func quicConfig(incoming int) *quic.Config {
	c := &quic.Config{
		HandshakeIdleTimeout:           handshakeTimeout / 2, // quic-go ends the handshake after twice this
		MaxIdleTimeout:                 quicIdle,
		KeepAlivePeriod:                quicKeepAlive,
		InitialPacketSize:              quicPacket,
		InitialStreamReceiveWindow:     streamBuffer / 2,
		MaxStreamReceiveWindow:         streamBuffer,
		InitialConnectionReceiveWindow: quicConnBuffer,
		MaxConnectionReceiveWindow:     quicConnBuffer,
		MaxIncomingStreams:             int64(incoming),
		MaxIncomingUniStreams:          h3UniStreams,
		Tracer:                         qlog.DefaultConnectionTracer, // writes only where QLOGDIR says
	}
	if incoming == 0 {
		c.MaxIncomingStreams = -1
	}
	return c
}

func (d *Dialer) dialQUIC(ctx context.Context, addr string) (*Link, error) {
	remote, err := resolveUDP(ctx, addr)
	if err != nil {
		return nil, err
	}
	sock, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	hintBuffers(sock, d.logger(), slog.LevelDebug)
	tr := &quic.Transport{Conn: sock}
	conn, err := tr.Dial(ctx, remote, withALPN(d.TLS, alpnQUIC), quicConfig(streamCredit(d.parallelism())))
	if err != nil {
		tr.Close()
		sock.Close()
		return nil, quicDialError(err, remote)
	}
	l := &Link{Carrier: QUIC, Remote: remote.String()}
	l.close = sync.OnceValue(func() error {
		err := conn.CloseWithError(h3NoError, "")
		tr.Close()
		sock.Close()
		return err
	})
	l.serve = func(h http.Handler) error {
		srv := &http3.Server{Handler: h3Handler{h}, MaxHeaderBytes: MaxHeaderBytes} // no Logger: it would write whole targets
		err := srv.ServeQUICConn(conn)
		l.close()
		return quicError(err)
	}
	return l, nil
}

// resolveUDP is net.ResolveUDPAddr that ends with ctx. Like that it prefers IPv4.
func resolveUDP(ctx context.Context, addr string) (*net.UDPAddr, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "udp", port)
	if err != nil {
		return nil, err
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	ip := ips[0]
	if i := slices.IndexFunc(ips, func(a netip.Addr) bool { return a.Unmap().Is4() }); i >= 0 {
		ip = ips[i]
	}
	return net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip.Unmap(), uint16(n))), nil
}

// quicDialError turns the library's errors for silence and for TLS into phrases.
func quicDialError(err error, remote net.Addr) error {
	var idle *quic.IdleTimeoutError
	var handshake *quic.HandshakeTimeoutError
	var broken *quic.TransportError
	switch {
	case errors.As(err, &idle), errors.As(err, &handshake):
		return fmt.Errorf("no answer came: UDP to %s seems to be blocked, or no gateway is there", remote)
	case errors.As(err, &broken) && broken.ErrorCode.IsCryptoError():
		// The code says less than the error below it, where there is one.
		cause := err
		for _, e := range broken.Unwrap() {
			if e != nil && e != net.ErrClosed {
				cause = e
			}
		}
		return fmt.Errorf("TLS to the gateway: %w", cause)
	}
	return err
}

// quicError turns the library's errors for the ends of a connection into phrases.
func quicError(err error) error {
	var idle *quic.IdleTimeoutError
	var reset *quic.StatelessResetError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &idle):
		return fmt.Errorf("nothing was heard for %s", quicIdle)
	case errors.As(err, &reset):
		return errors.New("the gateway was restarted")
	}
	return err
}

// h3Handler evens out what http3's server does otherwise than net/http's.
type h3Handler struct{ next http.Handler }

// ServeHTTP implements http.Handler.
func (h h3Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Whether a request without a length has a body is known only from its
	// first byte or its end. For the methods that rarely have one it's worth
	// waiting for, since the VCS would else be sent an empty chunked body.
	if r.ContentLength < 0 {
		switch r.Method {
		case http.MethodPost, http.MethodPut, http.MethodPatch:
		default:
			if err := sniffBody(r); err != nil {
				panic(http.ErrAbortHandler) // the stream is gone
			}
		}
	}
	// httputil.ReverseProxy cuts a broken answer off only below a server that
	// it knows; else the broken answer would look whole.
	h.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), http.ServerContextKey, h3AsServer)))
	if r.Method == http.MethodHead {
		// Else http3 adds a Content-Length of 0, which is the GET's length.
		http.NewResponseController(w).Flush()
	}
}

// h3AsServer stands for http3's server under net/http's context key.
var h3AsServer = new(http.Server)

// sniffBody waits for the body's first byte or its end.
func sniffBody(r *http.Request) error {
	var first [1]byte
	n, err := io.ReadFull(r.Body, first[:])
	switch {
	case n == 1:
		r.Body = &putBack{first: first, full: true, ReadCloser: r.Body}
	case errors.Is(err, io.EOF):
		r.Body = http.NoBody
		r.ContentLength = 0
	default:
		return err
	}
	return nil
}

// putBack is a body whose first byte was read already.
type putBack struct {
	first [1]byte
	full  bool
	io.ReadCloser
}

// Read implements io.Reader.
func (b *putBack) Read(p []byte) (int, error) {
	if b.full && len(p) > 0 {
		b.full = false
		p[0] = b.first[0]
		return 1, nil
	}
	return b.ReadCloser.Read(p)
}

// h3Client is the gateway's end on QUIC.
func h3Client(conn *quic.Conn) http.RoundTripper {
	t := &http3.Transport{DisableCompression: true, MaxResponseHeaderBytes: MaxHeaderBytes}
	return t.NewClientConn(conn)
}

// listenQUIC listens on sock. Handshakes that aren't done yet are bounded by
// half, from their first packet on.
func listenQUIC(sock *net.UDPConn, tlsConfig *tls.Config, resetKey *quic.StatelessResetKey, half *halfOpen) (*quic.Transport, *quic.Listener, error) {
	tr := &quic.Transport{
		Conn:              sock,
		StatelessResetKey: resetKey,
		// Under many unfinished handshakes a source must prove its address
		// first (RFC 9000, section 8.1.2), which costs us no memory.
		VerifySourceAddress: func(net.Addr) bool { return half.n.Load() > retryAbove },
		ConnContext: func(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
			return half.begin(ctx)
		},
	}
	l, err := tr.Listen(withALPN(tlsConfig, alpnQUIC), quicConfig(0))
	if err != nil {
		return nil, nil, err
	}
	return tr, l, nil
}

// retryAbove is how many unfinished handshakes are taken without a proof of the
// source's address; maxGreeting is how many are taken at all.
const retryAbove = 64

// halfOpen counts QUIC handshakes that are under way.
type halfOpen struct{ n atomic.Int64 }

type halfOpenKey struct{}

// begin counts a connection whose context is ctx until its handshake is done, see
// end, or it is given up.
func (h *halfOpen) begin(ctx context.Context) (context.Context, error) {
	if h.n.Add(1) > maxGreeting {
		h.n.Add(-1)
		return nil, errTooMany
	}
	end := sync.OnceFunc(func() { h.n.Add(-1) })
	context.AfterFunc(ctx, end)
	return context.WithValue(ctx, halfOpenKey{}, end), nil
}

// end is called when a connection's handshake is done.
func (*halfOpen) end(conn *quic.Conn) {
	if end, ok := conn.Context().Value(halfOpenKey{}).(func()); ok {
		end()
	}
}
