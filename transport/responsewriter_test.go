package transport_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"strings"
	"testing"

	"vcsagent/transport"
)

// serveOnce gets one answer of h through a ResponseWriter.
func serveOnce(t *testing.T, h func(*transport.ResponseWriter)) (*http.Response, string, *transport.ResponseWriter) {
	t.Helper()
	wrapped := make(chan *transport.ResponseWriter, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw := transport.NewResponseWriter(w)
		h(rw)
		wrapped <- rw
	}))
	t.Cleanup(srv.Close)
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp, readAll(t, resp.Body), receive(t, wrapped)
}

func TestResponseWriterGuessesNothing(t *testing.T) {
	resp, body, rw := serveOnce(t, func(w *transport.ResponseWriter) { io.WriteString(w, "<html>") })
	if _, ok := resp.Header["Content-Type"]; ok || body != "<html>" {
		t.Errorf("Content-Type %q was added to %q", resp.Header["Content-Type"], body)
	}
	if rw.Status() != 200 || rw.Bytes() != 6 {
		t.Errorf("status %d, %d bytes", rw.Status(), rw.Bytes())
	}
	resp, _, _ = serveOnce(t, func(w *transport.ResponseWriter) {
		w.Header().Set("Content-Type", "text/x-own")
		w.WriteHeader(http.StatusTeapot)
	})
	if got := resp.Header.Get("Content-Type"); got != "text/x-own" || resp.StatusCode != http.StatusTeapot {
		t.Errorf("the origin's Content-Type came as %q, status %d", got, resp.StatusCode)
	}
}

// The first final status counts, and an informational one is none.
func TestResponseWriterStatus(t *testing.T) {
	w := transport.NewResponseWriter(httptest.NewRecorder())
	if w.Status() != 0 || w.Bytes() != 0 {
		t.Errorf("before anything: %d, %d bytes", w.Status(), w.Bytes())
	}
	w.WriteHeader(http.StatusEarlyHints)
	if w.Status() != 0 {
		t.Errorf("after 103: %d", w.Status())
	}
	w.WriteHeader(http.StatusAccepted)
	w.WriteHeader(http.StatusTeapot)
	if w.Status() != http.StatusAccepted {
		t.Errorf("after 202 and 418: %d", w.Status())
	}
}

func TestResponseWriterStripsInformationalAnswers(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw := transport.NewResponseWriter(w)
		rw.Header().Set("VCS-Agent-Error", "forged")
		rw.Header().Set("Set-Cookie", "a=b")
		rw.Header().Set("Link", "<https://elsewhere.example/>; rel=preload")
		rw.WriteHeader(http.StatusEarlyHints)
		rw.Header().Set("X-Final", "yes")
		io.WriteString(rw, "final")
	}))
	defer srv.Close()
	var hints []textproto.MIMEHeader
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code != http.StatusEarlyHints {
			t.Errorf("informational status %d", code)
		}
		hints = append(hints, h)
		return nil
	}}
	r, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", srv.URL, nil)
	resp, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if len(hints) != 1 || len(hints[0]) != 0 {
		t.Errorf("informational answers %v, want one without fields", hints)
	}
	if resp.Header.Get("X-Final") != "yes" || resp.Header.Get("VCS-Agent-Error") != "" || readAll(t, resp.Body) != "final" {
		t.Errorf("final answer %v", resp.Header)
	}
}

// Flush and full duplex reach the connection below.
func TestResponseWriterUnwraps(t *testing.T) {
	_, body, _ := serveOnce(t, func(w *transport.ResponseWriter) {
		rc := http.NewResponseController(w)
		if err := rc.EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		io.WriteString(w, "a")
		if err := rc.Flush(); err != nil {
			t.Error(err)
		}
		io.WriteString(w, "b")
	})
	if body != "ab" {
		t.Errorf("body %q", body)
	}
}

func TestCountingBody(t *testing.T) {
	b := &transport.CountingBody{ReadCloser: io.NopCloser(strings.NewReader("0123456789"))}
	if b.Bytes() != 0 {
		t.Errorf("%d bytes before any read", b.Bytes())
	}
	io.ReadFull(b, make([]byte, 4))
	if b.Bytes() != 4 {
		t.Errorf("%d bytes after 4", b.Bytes())
	}
	io.Copy(io.Discard, b)
	if b.Bytes() != 10 {
		t.Errorf("%d bytes in all", b.Bytes())
	}
}

func TestCleanAnswer(t *testing.T) {
	h := http.Header{
		"Set-Cookie": {"a", "b"}, "Set-Cookie2": {"a"}, "Alt-Svc": {"h3"}, "Strict-Transport-Security": {"x"}, "Clear-Site-Data": {"x"},
		"Refresh": {"0;url=https://evil.example"}, "X-Accel-Redirect": {"/internal"}, "X-Accel-Expires": {"1"}, "X-Sendfile": {"/etc/passwd"}, "X-Reproxy-Url": {"http://10.0.0.1/"}, "Set-Cookie ": {"a=1"}, "X Y": {"x"}, "": {"x"},
		"Vcs-Agent-Error": {"denied"}, "VCS-Agent-Anything": {"x"}, "vcs-gateway-key": {"x"}, "Vcs-Gateway-": {"x"},
		// near-misses
		"Vcs-Agents": {"stays"}, "X-Vcs-Agent-Error": {"stays"}, "Etag": {"stays", "too"}, "Cookie": {"stays"}, "X-Accel-Buffering": {"no"},
	}
	transport.CleanAnswer(h)
	want := http.Header{"Vcs-Agents": {"stays"}, "X-Vcs-Agent-Error": {"stays"}, "Etag": {"stays", "too"}, "Cookie": {"stays"}, "X-Accel-Buffering": {"no"}}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("left: %v", h)
	}
	transport.CleanAnswer(nil) // no trailers
}

// A buffer that was given back comes out as long as it was.
func TestCopyBuffers(t *testing.T) {
	var p transport.CopyBuffers
	a := p.Get()
	if len(a) < 4<<10 {
		t.Errorf("a buffer of %d bytes", len(a))
	}
	p.Put(a)
	if b := p.Get(); len(b) != len(a) {
		t.Errorf("a buffer of %d bytes, and then of %d", len(a), len(b))
	}
}

func TestHeaderSize(t *testing.T) {
	for _, tc := range []struct {
		h    http.Header
		want int
	}{{nil, 0}, {http.Header{"A": {"b"}}, 34}, {http.Header{"A": {"b", ""}, "Long": {"value"}}, 34 + 33 + 41}} {
		if got := transport.HeaderSize(tc.h); got != tc.want {
			t.Errorf("%v is %d bytes, want %d", tc.h, got, tc.want)
		}
	}
}
