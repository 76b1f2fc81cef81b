package servers_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http/httpproxy"

	"vcsagent/test/servers"
)

const (
	arrives = 10 * time.Second       // more than anything takes that arrives
	lost    = 200 * time.Millisecond // more than a round trip on an idle wire takes
)

func TestDrop(t *testing.T) {
	a, b := servers.Wire(t)
	udp := func() net.Conn {
		t.Helper()
		server, err := b.ListenPacket("udp", net.JoinHostPort(b.Addr, "0"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { server.Close() })
		go echo(server)
		client, err := a.Dial(t.Context(), "udp", server.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		if err := roundTrip(client, arrives); err != nil {
			t.Fatalf("before anything is dropped: %v", err)
		}
		return client
	}
	first, second := udp(), udp()
	tcp := tcpEcho(t, a, b)
	port := first.RemoteAddr().(*net.UDPAddr).Port

	restore := b.Drop(t, "udp", port)
	assertLost(t, "UDP to the dropped port", first)
	assertArrives(t, "UDP to the other port", second)
	assertArrives(t, "TCP", tcp)
	restore()
	assertArrives(t, "UDP once restored", first)

	restoreAll := b.Drop(t, "udp", 0)
	assertLost(t, "UDP to one port", first)
	assertLost(t, "UDP to the other port", second)
	assertArrives(t, "TCP", tcp)
	restoreAll()
	assertArrives(t, "UDP once restored", second)

	// The other protocol and the other direction.
	restoreAnswers := a.Drop(t, "tcp", 0)
	assertLost(t, "the answer by TCP", tcp)
	assertArrives(t, "UDP", first)
	restoreAnswers()
	ctx, cancel := context.WithTimeout(t.Context(), arrives)
	defer cancel()
	conn, err := a.Dial(ctx, "tcp", tcp.RemoteAddr().String())
	if err != nil {
		t.Fatalf("TCP once restored: %v", err)
	}
	conn.Close()
}

// A port that nobody listens on is refused at once: silence is Drop's doing.
func TestWireTellsOfClosedPorts(t *testing.T) {
	a, b := servers.Wire(t)
	conn, err := a.Dial(t.Context(), "udp", net.JoinHostPort(b.Addr, "9"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := roundTrip(conn, arrives); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("UDP to a closed port: %v, want connection refused", err)
	}
	if _, err := a.Dial(t.Context(), "tcp", net.JoinHostPort(b.Addr, "9")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("TCP to a closed port: %v, want connection refused", err)
	}
}

func TestNamespacesAreApart(t *testing.T) {
	a, b := servers.Wire(t)
	ln, err := b.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for name, ns := range map[string]*servers.Namespace{"the other end": a, "the test's own": nil} {
		if conn, err := ns.Dial(t.Context(), "tcp", ln.Addr().String()); err == nil {
			conn.Close()
			t.Errorf("%s reaches a loopback that isn't its own", name)
		}
	}
	conn, err := b.Dial(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatalf("the same end doesn't reach its loopback: %v", err)
	}
	conn.Close()

	// A second wire has the same addresses and doesn't meet the first.
	c, _ := servers.Wire(t)
	out := servers.Run(t, c, "ip", "-brief", "address")
	if !strings.Contains(out, "198.18.0.1/30") {
		t.Errorf("addresses on the second wire:\n%s", out)
	}
}

// A proxy, its client and its target in namespaces, as a test of real agents
// and gateways needs them.
func TestProxyInNamespace(t *testing.T) {
	a, b := servers.Wire(t)
	ln, err := b.Listen("tcp", net.JoinHostPort(b.Addr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.NotFoundHandler()}
	go srv.Serve(ln)
	defer srv.Close()
	for _, p := range []*servers.Proxy{
		servers.Squid(t, servers.SquidOptions{In: b, Addr: b.Addr, User: "ci", Password: "secret"}),
		servers.Dante(t, servers.DanteOptions{In: b, Addr: b.Addr, User: "ci", Password: "secret"}),
	} {
		if host, _, _ := net.SplitHostPort(p.Addr); host != b.Addr {
			t.Errorf("the proxy is on %s, want %s", p.Addr, b.Addr)
		}
		args := []string{"--silent", "--max-time", "20", "--proxytunnel", "--output", "/dev/null", "--write-out", "%{http_code}",
			"--proxy", p.URL, "http://" + ln.Addr().String()}
		if got := servers.Run(t, a, "curl", args...); got != "404" {
			t.Errorf("curl through %s got %s, want 404", p.URL, got)
		}
	}
}

func TestLocalAddress(t *testing.T) {
	first, second := servers.LocalAddress(t), servers.LocalAddress(t)
	if first == second {
		t.Errorf("two calls gave the same address, %s", first)
	}
	config := httpproxy.Config{HTTPSProxy: "http://proxy.test:3128"}
	for addr, proxied := range map[string]bool{first: true, "127.0.0.1": false} {
		req, err := http.NewRequest(http.MethodGet, "https://"+addr, nil)
		if err != nil {
			t.Fatal(err)
		}
		if proxy, err := config.ProxyFunc()(req.URL); err != nil || (proxy != nil) != proxied {
			t.Errorf("%s: proxy %v, error %v; want one: %v", addr, proxy, err, proxied)
		}
	}
	t.Run("goes with its test", func(t *testing.T) { first = servers.LocalAddress(t) })
	if ln, err := net.Listen("tcp", net.JoinHostPort(first, "0")); err == nil {
		ln.Close()
		t.Errorf("%s is still there after its test", first)
	}
}

// What Do opens stays in the namespace, and threads that were in one never run
// anything else.
func TestDoLeavesTheTestWhereItIs(t *testing.T) {
	here := netns(t)
	a, _ := servers.Wire(t)
	for range 50 {
		var there string
		if err := a.Do(func() (err error) {
			there, err = os.Readlink("/proc/thread-self/ns/net")
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if there == here {
			t.Fatal("Do ran in the test's own namespace")
		}
		if now := netns(t); now != here {
			t.Fatalf("the test is in %s, and was in %s", now, here)
		}
	}
}

func netns(t *testing.T) string {
	t.Helper()
	name, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func tcpEcho(t *testing.T, client, server *servers.Namespace) net.Conn {
	t.Helper()
	ln, err := server.Listen("tcp", net.JoinHostPort(server.Addr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	accepted := make(chan net.Conn, 1)
	go func() {
		defer close(accepted)
		if conn, err := ln.Accept(); err == nil {
			accepted <- conn
		}
	}()
	conn, err := client.Dial(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	far, ok := <-accepted
	if !ok {
		t.Fatal("nothing accepted")
	}
	t.Cleanup(func() { far.Close() })
	go func() {
		buf := make([]byte, 64)
		for {
			n, err := far.Read(buf)
			if err != nil {
				return
			}
			far.Write(buf[:n])
		}
	}()
	return conn
}

func assertArrives(t *testing.T, what string, conn net.Conn) {
	t.Helper()
	if err := roundTrip(conn, arrives); err != nil {
		t.Errorf("%s: %v, want an answer", what, err)
	}
}

// assertLost wants silence: the write succeeds, a second one too (it would
// report what the first one met), and nothing comes back.
func assertLost(t *testing.T, what string, conn net.Conn) {
	t.Helper()
	for range 2 {
		if err := roundTrip(conn, lost); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v, want silence", what, err)
		}
	}
}
