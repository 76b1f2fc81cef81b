package gateway_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"

	"vcsagent/transport"
)

// broken panics for some paths and answers the others.
type broken struct{}

func (broken) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case strings.HasSuffix(r.URL.Opaque, "/before"):
		panic("before the answer")
	case strings.HasSuffix(r.URL.Opaque, "/within"):
		return &http.Response{StatusCode: 200, Header: http.Header{}, ContentLength: -1, Request: r, Body: &brokenBody{}}, nil
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: http.NoBody}, nil
}

type brokenBody struct{ begun bool }

func (b *brokenBody) Read(p []byte) (int, error) {
	if b.begun {
		panic("within the answer")
	}
	b.begun = true
	return copy(p, "begun"), nil
}
func (*brokenBody) Close() error { return nil }

// A panic ends the request that it was in, which doesn't look whole, and gives
// its stream back; it is in the log with its stack.
func TestPanicEndsOneRequest(t *testing.T) {
	f := create(t)
	f.SetTransport(broken{})
	f.run(t)
	f.join(t, options{}, answer("not asked"))
	for _, path := range []string{"/before", "/within", "/before"} {
		id := "panic" + strings.ReplaceAll(path, "/", "-")
		conn := f.raw(t, "GET /private/gitlab"+path+" HTTP/1.1\r\nHost: gw\r\nX-Request-Id: "+id+"\r\nVCS-Gateway-Key: "+callerKey+"\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
		}
		if err == nil {
			t.Errorf("%s: the answer looks whole: %v", path, resp)
		}
		line := f.log.await(t, "panic while serving a request", "id", id)
		if !strings.Contains(line["stack"].(string), "broken") || line["level"] != "ERROR" {
			t.Errorf("%v", line)
		}
		if line := f.log.await(t, "request", "id", id); line["outcome"] != "cut" {
			t.Errorf("%v", line)
		}
		if resp, body := f.get(t, "/x"); resp.StatusCode != 200 {
			t.Errorf("the next one: status %d: %s", resp.StatusCode, body)
		}
	}
}

// A store that can't be asked is the gateway's fault, whose details stay in its log.
func TestStoreThatFails(t *testing.T) {
	f := start(t)
	if err := f.Store().Close(); err != nil {
		t.Fatal(err)
	}
	resp, body := f.get(t, "/x")
	p := problemIn(t, resp, body)
	if p.Status != 500 || p.Code != "internal" || strings.Contains(strings.ToLower(body), "sql") {
		t.Errorf("%s", body)
	}
	if line := f.log.await(t, "request", "id", p.ID); line["outcome"] != "refused" || line["error"] == nil {
		t.Errorf("%v", line)
	}
	_, err := f.tryJoin(t, f.TokenFor(f.pool, poolKey), options{}, answer(""))
	if r, ok := err.(*transport.Refusal); !ok || r.Code != transport.RefusedUnavailable || r.RetryAfter == 0 {
		t.Errorf("an agent gets %v", err)
	}
}
