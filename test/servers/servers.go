// Package servers runs real servers for tests: squid and dante as proxies,
// Prometheus, network namespaces joined by a wire that can lose UDP, and the
// project's own binaries. test/setup.sh installs what it needs.
//
// Every helper starts its server on a free port below t.TempDir(), returns once
// it accepts connections, ends it when the test ends, and shows its log if the
// test failed. What can't be started fails the test; nothing is skipped.
//
// net/http never sends requests for a loopback address through a proxy. A test
// of proxies therefore puts its origin on [LocalAddress], or both ends into the
// namespaces of [Wire].
//
// A nil *[Namespace] means the network namespace that the test itself runs in.
package servers

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const (
	// startTimeout bounds how long a server may take until it accepts. They
	// take tens of milliseconds alone and seconds on a busy machine.
	startTimeout = 30 * time.Second
	// pollInterval is the pause between two looks at something outside this
	// process, which can't tell us when it changes.
	pollInterval = 20 * time.Millisecond
)

// listening starts the server that command makes for an address and waits until
// it accepts there. Without a port in addr (or with port 0) it picks a free
// one, and picks again if somebody else was faster to bind it.
func listening(t testing.TB, in *Namespace, addr string, command func(addr string) *exec.Cmd) (*Process, string) {
	t.Helper()
	host, port, err := splitAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	attempts := 1
	if port == "0" {
		attempts = 3
	}
	for {
		at, err := freeAddr(in, net.JoinHostPort(host, port))
		if err != nil {
			t.Fatalf("no address for a server: %v", err)
		}
		p := Start(t, in, command(at))
		if err = awaitAccept(in, p, at); err == nil {
			return p, at
		}
		attempts--
		if attempts == 0 || !p.Ended() {
			t.Fatalf("%s on %s: %v", p.name, at, err)
		}
	}
}

// splitAddr reads host:port, a host alone, or nothing, which is loopback.
func splitAddr(addr string) (host, port string, err error) {
	switch {
	case addr == "":
		return "127.0.0.1", "0", nil
	case net.ParseIP(addr) != nil:
		return addr, "0", nil
	}
	host, port, err = net.SplitHostPort(addr)
	if err == nil && net.ParseIP(host) == nil {
		err = fmt.Errorf("address %q: the host must be an IP address", addr)
	}
	return host, port, err
}

// freeAddr returns addr, with a free port in place of port 0, or says why
// nothing can listen there.
func freeAddr(in *Namespace, addr string) (string, error) {
	ln, err := in.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// awaitAccept returns nil once a connection to addr is accepted while p runs.
func awaitAccept(in *Namespace, p *Process, addr string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return poll(ctx, p, func() error {
		conn, err := in.Dial(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// poll calls try until it returns nil, p ends, or ctx is done. It returns nil
// or says which, with try's last error.
func poll(ctx context.Context, p *Process, try func() error) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := try()
		if p.Ended() {
			return fmt.Errorf("ended before it was ready: %v", p.cmd.ProcessState)
		}
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-p.Done():
		case <-ctx.Done():
			return fmt.Errorf("not ready in time: %w", err)
		}
	}
}

// lookPath is exec.LookPath that also finds what lies outside a user's PATH.
func lookPath(t testing.TB, name string) string {
	t.Helper()
	for _, dir := range []string{"", "/usr/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed; run test/setup.sh", name)
	return ""
}

// tail returns at most the last n bytes of s, from the start of a line.
func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	_, rest, _ := strings.Cut(s[len(s)-n:], "\n")
	return "…\n" + rest
}

// writeFile writes a server's configuration. Others may read it: a server
// started by root may run as one of them.
func writeFile(t testing.TB, name, content string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
