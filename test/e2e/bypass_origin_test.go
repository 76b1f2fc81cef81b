package e2e_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// origin is a VCS that keeps what it gets as it came. It answers one request a
// connection, so that each that is made for nothing shows.
type origin struct {
	addr   string
	answer func(received) string // nil: ok

	mu          sync.Mutex
	connections int
	got         []received
}

// received is a request as it came.
type received struct {
	line   string   // the first
	header []string // the others of the head
	body   string   // less any chunks' framing
}

// sha is the query's key sha, by which a test says what it wants to be answered.
func (r received) sha() string {
	_, rest, _ := strings.Cut(r.line, "?sha=")
	value, _, _ := strings.Cut(rest, " ")
	return value
}

var okAnswer = answerWith("{}")

func answerWith(json string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(json), json)
}

// newOrigin starts an origin on loopback.
func newOrigin(t *testing.T, answer func(received) string) *origin {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOrigin(t, l, answer)
}

func serveOrigin(t *testing.T, l net.Listener, answer func(received) string) *origin {
	t.Helper()
	o := &origin{addr: l.Addr().String(), answer: answer}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { o.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return o
}

func (o *origin) serve(c net.Conn) {
	defer c.Close()
	o.mu.Lock()
	o.connections++
	o.mu.Unlock()
	c.SetDeadline(time.Now().Add(patience))
	var raw bytes.Buffer
	var body []byte
	r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(c, &raw)))
	if err == nil {
		body, err = io.ReadAll(r.Body)
	}
	head, _, _ := strings.Cut(raw.String(), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	got := received{line: lines[0], header: lines[1:], body: string(body)}
	if err != nil {
		got.line = fmt.Sprintf("unreadable (%v): %q", err, raw.String())
	}
	o.mu.Lock()
	o.got = append(o.got, got)
	o.mu.Unlock()
	if o.answer == nil {
		io.WriteString(c, okAnswer)
		return
	}
	io.WriteString(c, o.answer(got))
}

// take returns what came since the last take.
func (o *origin) take() (got []received, connections int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	got, connections = o.got, o.connections
	o.got, o.connections = nil, 0
	return got, connections
}

// projectsByNumber answers like a GitLab with two projects, to whoever asks for
// them by their number, and anything else with an empty object.
func projectsByNumber(r received) string {
	for number, path := range map[int]string{17: "acme/infra", 18: "evil/infra"} {
		if r.line == fmt.Sprintf("GET /api/v4/projects/%d HTTP/1.1", number) {
			return answerWith(fmt.Sprintf(`{"id":%d,"path_with_namespace":%q}`, number, path))
		}
	}
	return okAnswer
}
