package transport_test

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"

	"vcsagent/transport"
)

// deaf is a socket whose owner sees no answer, like a source that isn't its own.
type deaf struct{ net.PacketConn }

func (d deaf) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		if _, _, err := d.PacketConn.ReadFrom(p); err != nil {
			return 0, nil, err
		}
	}
}

// Handshakes that nobody finishes take no more than a few places, and agents get in
// beside them.
func TestFloodOfHandshakes(t *testing.T) {
	l, err := transport.Listen("127.0.0.1:0", transport.ListenConfig{
		TLS: testAuthority().tls, Logger: slog.New(slog.DiscardHandler),
		Authenticate: func(context.Context, transport.Hello, string) (any, error) { return nil, nil },
		OnSession:    func(*transport.Session) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- l.Serve(ctx) }()
	defer func() { cancel(); receive(t, served) }()
	g := &gateway{addr: l.Addr().String()}

	sock, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tr := &quic.Transport{Conn: deaf{sock}}
	defer sock.Close()
	defer tr.Close()
	cfg, err := transport.ClientTLS(g.token(), nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.NextProtos = []string{"rh3"}
	flood, stop := context.WithCancel(t.Context())
	var dials sync.WaitGroup
	for range 4 * transport.RetryAbove {
		dials.Go(func() {
			if c, err := tr.Dial(flood, net.UDPAddrFromAddrPort(l.Addr().(*net.TCPAddr).AddrPort()), cfg, nil); err == nil {
				c.CloseWithError(0, "")
			}
		})
	}
	eventually(t, func() bool { return l.HalfOpen() > transport.RetryAbove })
	if link, err := dialer(t, g, transport.ModeQUIC, 1).Dial(t.Context(), g.addr); err != nil {
		t.Errorf("beside the flood: %v", err)
	} else {
		link.Close()
	}
	if n := l.HalfOpen(); n > transport.RetryAbove+8 {
		t.Errorf("%d handshakes are half open, want at most about %d", n, transport.RetryAbove)
	}
	stop()
	dials.Wait()
	eventually(t, func() bool { return l.HalfOpen() == 0 })
}
