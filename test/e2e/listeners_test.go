package e2e_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"vcsagent/test/stack"
)

// What is thrown at the listeners is refused, said once, and leaves nothing
// behind: no goroutine, little memory.
func TestListenersUnderAbuse(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.Options{})
	a := s.StartAgent(t)
	receive(t, "a first answer", send(s.Request(t, "GET", "/api/v4/user")))
	goroutines := func() float64 { return metric(t, s.Gateway.Metrics, "go_goroutines") }
	before, memory := goroutines(), residentMiB(t, s.Gateway.Process)

	const each = 40 // connections of each kind, at the same time
	open := func(addr string, speak func(net.Conn)) {
		for range each {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			go speak(c)
		}
	}
	garbage := func(c net.Conn) {
		io.WriteString(c, strings.Repeat("\x00\xff garbage \r\n", 500))
		io.Copy(io.Discard, c)
	}
	slow := func(c net.Conn) { // a header that never ends, a byte at a time
		io.WriteString(c, "GET /private/gitlab/api/v4/user HTTP/1.1\r\nHost: x\r\nX-Slow: ")
		for tick := time.NewTicker(500 * time.Millisecond); ; <-tick.C {
			if _, err := io.WriteString(c, "a"); err != nil {
				tick.Stop()
				return
			}
		}
	}
	huge := func(c net.Conn) {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nX-Huge: "+strings.Repeat("a", 4<<20)+"\r\n\r\n")
		io.Copy(io.Discard, c)
	}
	wrongALPN := func(c net.Conn) {
		tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}).Handshake()
		c.Close()
	}
	silentTLS := func(c net.Conn) {
		tls.Client(c, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"rh2"}}).Handshake()
	}
	open(s.Gateway.HTTP, garbage)
	open(s.Gateway.HTTP, slow)
	open(s.Gateway.HTTP, huge)
	open(s.Gateway.Admin, garbage)
	open(s.Gateway.Admin, huge)
	open(s.Gateway.Agents, garbage)
	open(s.Gateway.Agents, func(net.Conn) {}) // says nothing
	open(s.Gateway.Agents, wrongALPN)
	open(s.Gateway.Agents, silentTLS)
	open(a.Metrics, garbage)
	open(a.Metrics, slow)
	udp, err := net.Dial("udp", s.Gateway.Agents)
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for i := range 500 {
		fmt.Fprintf(udp, "\xc0noise %d %s", i, strings.Repeat("x", i))
	}

	// Real callers are served all the while.
	for range 20 {
		if got := receive(t, "an answer", send(s.Request(t, "GET", "/api/v4/user"))); got.status != 200 {
			t.Errorf("in the middle of it: %d %v", got.status, got.err)
		}
	}
	// One line for each refused connection to the agents' listener.
	eventually(t, "all are refused", func() bool {
		return len(linesWith(s.Gateway.Process, "refused a connection to the agents' listener")) >= 4*each
	})
	// The slow headers have 10 s; then all that is left is what was there.
	eventually(t, fmt.Sprintf("no more than %v goroutines", before+8), func() bool { return goroutines() <= before+8 })
	if n := len(linesWith(s.Gateway.Process, "refused a connection to the agents' listener")); n != 4*each {
		t.Errorf("%d lines for %d refused connections", n, 4*each)
	}
	if now := residentMiB(t, s.Gateway.Process); now > memory+24 {
		t.Errorf("%d MiB resident, %d before", now, memory)
	}
	if got := receive(t, "an answer", send(s.Request(t, "GET", "/api/v4/user"))); got.status != 200 {
		t.Errorf("afterwards: %d %v", got.status, got.err)
	}
}

// The same on QUIC: peers that speak another protocol, say nothing, or speak
// out of turn.
func TestQUICListenerUnderAbuse(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.Options{})
	s.StartAgent(t, "--transport", "quic")
	receive(t, "a first answer", send(s.Request(t, "GET", "/api/v4/user")))
	goroutines := func() float64 { return metric(t, s.Gateway.Metrics, "go_goroutines") }
	before, memory := goroutines(), residentMiB(t, s.Gateway.Process)

	sock, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	dialer := &quic.Transport{Conn: sock}
	t.Cleanup(func() {
		dialer.Close()
		sock.Close()
	})
	addr, err := net.ResolveUDPAddr("udp", s.Gateway.Agents)
	if err != nil {
		t.Fatal(err)
	}
	dial := func(alpn string) (*quic.Conn, error) {
		return dialer.Dial(t.Context(), addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpn}},
			&quic.Config{MaxIncomingStreams: 100, KeepAlivePeriod: time.Second})
	}
	const each = 20
	for range each {
		if c, err := dial("h3"); err == nil {
			t.Errorf("a peer that speaks h3 was let in: %v", c.RemoteAddr())
		}
		// One that is silent, one that opens streams with garbage, one that leaves.
		for _, speak := range []func(*quic.Conn){
			func(*quic.Conn) {},
			func(c *quic.Conn) {
				for range 10 {
					if str, err := c.OpenUniStream(); err == nil {
						io.WriteString(str, strings.Repeat("\x3f garbage", 100))
					}
				}
			},
			func(c *quic.Conn) { c.CloseWithError(0, "") },
		} {
			c, err := dial("rh3")
			if err != nil {
				t.Fatal(err)
			}
			go speak(c)
		}
	}
	for range 20 {
		if got := receive(t, "an answer", send(s.Request(t, "GET", "/api/v4/user"))); got.status != 200 {
			t.Errorf("in the middle of it: %d %v", got.status, got.err)
		}
	}
	refused := func() int {
		return len(linesWith(s.Gateway.Process, "refused a connection to the agents' listener"))
	}
	// Those that leave may be gone before the gateway looks at them.
	eventually(t, "all that stay are refused, said and counted, and none is left", func() bool {
		n := refused()
		return n >= 2*each && goroutines() <= before+8 &&
			metric(t, s.Gateway.Metrics, `vcs_gateway_refused_connections_total{carrier="quic"}`) == float64(n)
	})
	if n := refused(); n > 3*each {
		t.Errorf("%d lines for %d connections", n, 3*each)
	}
	if now := residentMiB(t, s.Gateway.Process); now > memory+24 {
		t.Errorf("%d MiB resident, %d before", now, memory)
	}
}
