package servers_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vcsagent/test/servers"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := servers.RemoveBinaries(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}))
}

// origin is an HTTP server that answers "origin" on a non-loopback address.
func origin(t *testing.T) *url.URL {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(servers.LocalAddress(t), "0"))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "origin") }))
	s.Listener.Close()
	s.Listener = ln
	s.StartTLS()
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// get asks curl for target through a proxy and returns the answer's body.
// Only the proxy's certificate is verified.
func get(t *testing.T, p *servers.Proxy, proxyURL string, target *url.URL) (string, error) {
	t.Helper()
	args := []string{"--silent", "--show-error", "--max-time", "20", "--insecure", "--proxy", proxyURL, target.String()}
	if p.CAFile != "" {
		args = append(args, "--proxy-cacert", p.CAFile)
	}
	out, err := exec.CommandContext(t.Context(), "curl", args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, out)
	}
	return string(out), err
}

// await polls until ok, which looks at another process's doing, is true.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for tick := time.NewTicker(10 * time.Millisecond); !ok(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// echo answers each datagram of conn with itself until conn is closed.
func echo(conn net.PacketConn) {
	buf := make([]byte, 1500)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		conn.WriteTo(buf[:n], from)
	}
}

// roundTrip writes to conn and says whether the same came back within d.
func roundTrip(conn net.Conn, d time.Duration) error {
	sent := []byte("ping")
	if _, err := conn.Write(sent); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	conn.SetReadDeadline(time.Now().Add(d))
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(conn, got); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if !bytes.Equal(got, sent) {
		return fmt.Errorf("got %q", got)
	}
	return nil
}

// fatal is a test whose Fatal ends its goroutine alone and keeps what it said.
type fatal struct {
	testing.TB
	said string
}

func (f *fatal) Fatal(args ...any) { f.said = fmt.Sprint(args...); runtime.Goexit() }

func (f *fatal) Fatalf(format string, args ...any) { f.Fatal(fmt.Sprintf(format, args...)) }
