package transport_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"go.uber.org/goleak"

	"vcsagent/transport"
)

// samePort binds UDP and TCP on one port of loopback.
func samePort(t *testing.T) (*net.UDPConn, net.Listener) {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: l.Addr().(*net.TCPAddr).Port})
		if err != nil {
			l.Close()
			continue
		}
		t.Cleanup(func() { udp.Close(); l.Close() })
		return udp, l
	}
	t.Fatal("no port is free on both UDP and TCP")
	return nil, nil
}

// serveTLS makes the handshake of carrier TCP with each that comes, keeps the
// connection, and tells when it came and when it went.
func serveTLS(t *testing.T, l net.Listener) (came, went <-chan struct{}) {
	t.Helper()
	in, out := make(chan struct{}, 16), make(chan struct{}, 16)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer raw.Close()
				c := tls.Server(raw, &tls.Config{Certificates: testAuthority().tls.Certificates, NextProtos: []string{"rh2"}})
				if c.Handshake() == nil {
					in <- struct{}{}
					io.Copy(io.Discard, c)
				}
				out <- struct{}{}
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return in, out
}

// refuseQUIC answers every QUIC connection with a failed handshake.
func refuseQUIC(t *testing.T, udp *net.UDPConn) {
	t.Helper()
	l, err := quic.Listen(udp, &tls.Config{Certificates: testAuthority().tls.Certificates, NextProtos: []string{"another"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
}

func dialerTo(t *testing.T, mode transport.Mode, addr string) *transport.Dialer {
	return dialer(t, &gateway{addr: addr}, mode, 4)
}

// heard tells whether a packet came to udp.
func heard(udp *net.UDPConn) bool {
	udp.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, _, err := udp.ReadFrom(make([]byte, 2000))
	return err == nil
}

// nothingLeft fails the test if goroutines or sockets of the test are left at its
// end. Call it first.
func nothingLeft(t *testing.T) {
	t.Helper()
	before, ignore := sockets(t), goleak.IgnoreCurrent()
	t.Cleanup(func() {
		goleak.VerifyNone(t, ignore)
		if after := sockets(t); after > before {
			t.Errorf("%d sockets are open, %d before", after, before)
		}
	})
}

func sockets(t *testing.T) (n int) {
	t.Helper()
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil || len(fds) == 0 {
		t.Fatal("no /proc/self/fd", err)
	}
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}

func TestAutoFallsBackWhenUDPIsDropped(t *testing.T) {
	nothingLeft(t)
	udp, l := samePort(t) // nobody reads udp: a firewall that drops
	serveTLS(t, l)
	began := time.Now()
	link, err := dialerTo(t, transport.ModeAuto, l.Addr().String()).Dial(t.Context(), l.Addr().String())
	took := time.Since(began)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if link.Carrier != transport.TCP || took >= 3*time.Second {
		t.Errorf("%s after %s, want TCP within 3 s", link.Carrier, took)
	}
	if want := "UDP to " + l.Addr().String() + " seems to be blocked"; !strings.Contains(link.Why, want) {
		t.Errorf("since %q, want %q in it", link.Why, want)
	}
	if !heard(udp) {
		t.Error("QUIC wasn't tried")
	}
}

func TestAutoPrefersQUIC(t *testing.T) {
	nothingLeft(t)
	g := startGateway(t, nil)
	link, err := dialer(t, g, transport.ModeAuto, 4).Dial(t.Context(), g.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if link.Carrier != transport.QUIC || !strings.HasPrefix(link.Why, "QUIC was up after ") || link.Proxy != "" || link.Remote != g.addr {
		t.Errorf("%+v", link)
	}
}

// QUIC that needs longer than its head start still wins, and the TCP connection
// that was made meanwhile is closed.
func TestAutoPrefersLateQUIC(t *testing.T) {
	nothingLeft(t)
	g := startGateway(t, nil)
	udp, l := samePort(t)
	came, went := serveTLS(t, l)
	relay(t, udp, g.addr, came)
	link, err := dialerTo(t, transport.ModeAuto, l.Addr().String()).Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if link.Carrier != transport.QUIC {
		t.Errorf("%s, since %s", link.Carrier, link.Why)
	}
	receive(t, went)
}

// relay passes packets on to addr and back, from the moment that open is.
func relay(t *testing.T, udp *net.UDPConn, addr string, open <-chan struct{}) {
	t.Helper()
	up, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	first := make(chan net.Addr, 1)
	wg.Go(func() {
		buf := make([]byte, 2000)
		for opened := false; ; {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			if !opened {
				<-open
				opened = true
				first <- from
			}
			up.Write(buf[:n])
		}
	})
	wg.Go(func() {
		from, ok := <-first
		if !ok {
			return
		}
		buf := make([]byte, 2000)
		for {
			n, err := up.Read(buf)
			if err != nil {
				return
			}
			udp.WriteTo(buf[:n], from)
		}
	})
	t.Cleanup(func() { udp.Close(); up.Close(); wg.Wait() })
}

func TestAutoFallsBackAtOnceWhenQUICFails(t *testing.T) {
	nothingLeft(t)
	udp, l := samePort(t)
	refuseQUIC(t, udp)
	serveTLS(t, l)
	began := time.Now()
	link, err := dialerTo(t, transport.ModeAuto, l.Addr().String()).Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer link.Close()
	if took := time.Since(began); link.Carrier != transport.TCP || took > 1500*time.Millisecond || !strings.HasPrefix(link.Why, "QUIC failed: quic: ") {
		t.Errorf("%s after %s, since %s", link.Carrier, took, link.Why)
	}
}

func TestAutoTellsBothFailures(t *testing.T) {
	nothingLeft(t)
	udp, l := samePort(t)
	refuseQUIC(t, udp)
	addr := l.Addr().String()
	l.Close()
	_, err := dialerTo(t, transport.ModeAuto, addr).Dial(t.Context(), addr)
	if err == nil || !strings.Contains(err.Error(), "quic: ") || !strings.Contains(err.Error(), "tcp: ") || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v", err)
	}
}

// A gateway that can't be trusted is so on both carriers, and isn't joined.
func TestAutoTrustsOnNoCarrier(t *testing.T) {
	nothingLeft(t)
	g := startGateway(t, nil)
	token := g.token()
	token.CASHA256 = systemCA.pin()
	cfg, err := transport.ClientTLS(token, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = (&transport.Dialer{TLS: cfg, Parallelism: 1}).Dial(t.Context(), g.addr)
	if err == nil || strings.Count(err.Error(), "lacks the CA that the token pins") != 2 {
		t.Errorf("got %v", err)
	}
}

func TestModesKeepToTheirCarrier(t *testing.T) {
	t.Run("quic", func(t *testing.T) {
		nothingLeft(t)
		udp, l := samePort(t)
		came, _ := serveTLS(t, l)
		refuseQUIC(t, udp)
		d := dialerTo(t, transport.ModeQUIC, l.Addr().String())
		d.Proxy = func(*url.URL) (*url.URL, error) { t.Error("a proxy was looked for"); return nil, nil }
		_, err := d.Dial(t.Context(), l.Addr().String())
		if err == nil || !strings.HasPrefix(err.Error(), "quic: ") || strings.Contains(err.Error(), "tcp: ") {
			t.Errorf("got %v", err)
		}
		select {
		case <-came:
			t.Error("TCP was used")
		default:
		}
	})
	t.Run("tcp", func(t *testing.T) {
		nothingLeft(t)
		udp, l := samePort(t)
		serveTLS(t, l)
		link, err := dialerTo(t, transport.ModeTCP, l.Addr().String()).Dial(t.Context(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer link.Close()
		if link.Carrier != transport.TCP || link.Why != "the transport is set to tcp" || heard(udp) {
			t.Errorf("%s, since %s; or UDP was used", link.Carrier, link.Why)
		}
	})
	t.Run("auto with a proxy", func(t *testing.T) {
		nothingLeft(t)
		udp, l := samePort(t)
		serveTLS(t, l)
		p := startProxy(t, "http", nil, connectTo(""))
		d := dialerTo(t, transport.ModeAuto, l.Addr().String())
		d.Proxy = func(*url.URL) (*url.URL, error) { return p.url, nil }
		link, err := d.Dial(t.Context(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer link.Close()
		if link.Carrier != transport.TCP || link.Proxy == "" || heard(udp) {
			t.Errorf("%s through %q; or UDP was used", link.Carrier, link.Proxy)
		}
	})
	t.Run("auto with a proxy for others", func(t *testing.T) {
		nothingLeft(t)
		g := startGateway(t, nil)
		d := dialer(t, g, transport.ModeAuto, 4)
		d.Proxy = func(*url.URL) (*url.URL, error) { return nil, nil } // NO_PROXY
		link, err := d.Dial(t.Context(), g.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer link.Close()
		if link.Carrier != transport.QUIC {
			t.Errorf("%s, since %s", link.Carrier, link.Why)
		}
	})
}

// What answers without the carrier's ALPN is no gateway.
func TestStrangersAreNoGateways(t *testing.T) {
	for _, protos := range [][]string{nil, {"h2", "http/1.1"}} {
		nothingLeft(t)
		l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: testAuthority().tls.Certificates, NextProtos: protos})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if c, err := l.Accept(); err == nil {
				c.(*tls.Conn).Handshake()
				io.Copy(io.Discard, c)
				c.Close()
			}
		}()
		_, err = dialerTo(t, transport.ModeTCP, l.Addr().String()).Dial(t.Context(), l.Addr().String())
		if err == nil || !strings.HasPrefix(err.Error(), "tcp: ") {
			t.Errorf("ALPN %v: %v", protos, err)
		}
		l.Close()
		receive(t, done)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	for _, mode := range []transport.Mode{transport.ModeAuto, transport.ModeQUIC, transport.ModeTCP} {
		t.Run(string(mode), func(t *testing.T) {
			nothingLeft(t)
			udp, l := samePort(t) // TCP connects, and the handshake gets no answer
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := make(chan error, 1)
			go func() {
				link, err := dialerTo(t, mode, l.Addr().String()).Dial(ctx, l.Addr().String())
				if err == nil {
					link.Close()
				}
				failed <- err
			}()
			if mode != transport.ModeTCP {
				if _, _, err := udp.ReadFrom(make([]byte, 2000)); err != nil {
					t.Fatal(err)
				}
			}
			if mode != transport.ModeQUIC {
				c, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
			cancel()
			if err := receive(t, failed); err == nil {
				t.Error("connected")
			}
		})
	}
}

// A link that is given up before it serves leaves nothing behind.
func TestClosedLinksLeaveNothing(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		nothingLeft(t)
		link := dial(t, startGateway(t, nil), mode, 4)
		link.Close()
		link.Close()
	})
}
