package e2e_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

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
