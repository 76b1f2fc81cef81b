package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vcsagent/transport"
)

func request(t testing.TB, method, target string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://placeholder/", body)
	if err != nil {
		t.Fatal(err)
	}
	r.URL = transport.TargetURL(target)
	r.Host = ""
	return r
}

func roundTrip(t testing.TB, s http.RoundTripper, r *http.Request) *http.Response {
	t.Helper()
	resp, err := s.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s: %v", r.Method, err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMethodsTargetsAndHeaders(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		type seen struct {
			method, target, body string
			multi                []string
			length               int64
		}
		got := make(chan seen, 1)
		s := connect(t, mode, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			got <- seen{r.Method, r.RequestURI, string(b), r.Header["X-Multi"], r.ContentLength}
			w.Header()["X-Answer"] = []string{"one", "two"}
			w.WriteHeader(http.StatusAccepted)
		}))
		for _, tc := range []struct {
			method, target, body string
			length               int64
		}{
			{"GET", "/", "", 0},
			{"GET", "/api/v4/projects/group%2Fsub%2Frepo?a=1&a=2&b=%20", "", 0},
			{"GET", "/dots/%2e%2e/x//y/%2E?", "", 0},
			{"DELETE", "/thing", "", 0},
			{"DELETE", "/thing", "with a body", 11},
			{"OPTIONS", "/thing", "", 0},
			{"POST", "/thing", "body", 4},
			{"POST", "/thing", "", 0},
			{"PUT", "/thing", "body", 4},
			{"PATCH", "/thing", "body", 4},
			{"PROPFIND", "/thing", "", 0},
		} {
			var body io.Reader
			if tc.body != "" {
				body = strings.NewReader(tc.body)
			}
			r := request(t, tc.method, tc.target, body)
			r.Header["X-Multi"] = []string{"a", "b, c"}
			resp := roundTrip(t, s, r)
			want := seen{tc.method, tc.target, tc.body, []string{"a", "b, c"}, tc.length}
			if have := receive(t, got); !reflect.DeepEqual(have, want) {
				t.Errorf("%s %s: the agent saw %+v, want %+v", tc.method, tc.target, have, want)
			}
			if resp.StatusCode != http.StatusAccepted || !reflect.DeepEqual(resp.Header["X-Answer"], []string{"one", "two"}) {
				t.Errorf("%s: answer %d %v", tc.method, resp.StatusCode, resp.Header["X-Answer"])
			}
		}
	})
}

func TestBodiesWithoutLength(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		s := connect(t, mode, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			http.NewResponseController(w).Flush()
			n, err := io.Copy(w, r.Body)
			if err != nil {
				t.Errorf("after %d bytes: %v", n, err)
			}
		}))
		for _, size := range []int{0, 1, 4095, 4096, 70_000, 3 << 20} {
			want := strings.Repeat("x", size)
			resp := roundTrip(t, s, request(t, "POST", "/echo", io.MultiReader(strings.NewReader(want)))) // MultiReader hides the length
			if got := readAll(t, resp.Body); got != want {
				t.Errorf("%d bytes came back as %d", size, len(got))
			}
		}
		// A method that rarely has a body keeps one of unknown length whole.
		resp := roundTrip(t, s, request(t, "DELETE", "/echo", io.MultiReader(strings.NewReader("few"))))
		if got := readAll(t, resp.Body); got != "few" {
			t.Errorf("DELETE: body %q", got)
		}
	})
}

func TestTrailers(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		s := connect(t, mode, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Trailer", "X-Announced")
			io.WriteString(w, "body")
			w.Header().Set("X-Announced", "yes")
			w.Header().Set(http.TrailerPrefix+"X-Late", "too")
		}))
		resp := roundTrip(t, s, request(t, "GET", "/", nil))
		if got := readAll(t, resp.Body); got != "body" {
			t.Errorf("body %q", got)
		}
		if a, l := resp.Trailer.Get("X-Announced"), resp.Trailer.Get("X-Late"); a != "yes" || l != "too" {
			t.Errorf("trailers %v", resp.Trailer)
		}
	})
}

func TestHEAD(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		s := connect(t, mode, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/sized" {
				w.Header().Set("Content-Length", "12345")
			}
			w.WriteHeader(200)
		}))
		for target, want := range map[string]int64{"/sized": 12345, "/unsized": -1} {
			resp := roundTrip(t, s, request(t, "HEAD", target, nil))
			if resp.ContentLength != want || readAll(t, resp.Body) != "" {
				t.Errorf("%s: length %d, want %d", target, resp.ContentLength, want)
			}
		}
	})
}

func TestAnswersWithoutBody(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		s := connect(t, mode, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			code, _ := strconv.Atoi(r.URL.Query().Get("code"))
			w.WriteHeader(code)
		}))
		for _, code := range []int{200, 204, 304, 404, 500} {
			resp := roundTrip(t, s, request(t, "GET", fmt.Sprintf("/?code=%d", code), nil))
			if resp.StatusCode != code || readAll(t, resp.Body) != "" {
				t.Errorf("status %d, want %d", resp.StatusCode, code)
			}
		}
	})
}

func TestInformationalAnswers(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		s := connect(t, mode, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.WriteHeader(http.StatusProcessing)
			io.WriteString(w, "final")
		}))
		var codes []int
		var link string
		r := request(t, "GET", "/", nil)
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				codes = append(codes, code)
				link += h.Get("Link")
				return nil
			},
		}))
		resp := roundTrip(t, s, r)
		if body := readAll(t, resp.Body); body != "final" || !reflect.DeepEqual(codes, []int{103, 102}) || link != "</style.css>; rel=preload" {
			t.Errorf("body %q, informational %v, Link %q", body, codes, link)
		}
	})
}

// An answer that comes while the body is still being sent reaches the caller, and
// the rest of the body stops.
func TestEarlyAnswer(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		s := connect(t, mode, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.CopyN(io.Discard, r.Body, 1000)
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			io.WriteString(w, "too much")
		}))
		body := &endless{stopped: make(chan struct{})}
		resp := roundTrip(t, s, request(t, "POST", "/", body))
		if got := readAll(t, resp.Body); resp.StatusCode != 413 || got != "too much" {
			t.Errorf("answer %d %q", resp.StatusCode, got)
		}
		resp.Body.Close()
		receive(t, body.stopped)
	})
}

// endless is a body without end; it tells when it's closed.
type endless struct {
	read    atomic.Int64
	once    sync.Once
	stopped chan struct{}
}

func (e *endless) Read(p []byte) (int, error) {
	select {
	case <-e.stopped:
		return 0, errors.New("closed")
	default:
	}
	e.read.Add(int64(len(p)))
	return len(p), nil
}

func (e *endless) Close() error {
	e.once.Do(func() { close(e.stopped) })
	return nil
}

// A body and its answer flow at the same time: each line is answered before the
// next is sent.
func TestFullDuplex(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		s := connect(t, mode, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			rc := http.NewResponseController(w)
			rc.Flush()
			buf := make([]byte, 1)
			for {
				if _, err := r.Body.Read(buf); err != nil {
					return
				}
				w.Write([]byte{buf[0] + 1})
				rc.Flush()
			}
		}))
		pr, pw := io.Pipe()
		resp := roundTrip(t, s, request(t, "POST", "/", pr))
		for _, b := range []byte("hello") {
			if _, err := pw.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
			var back [1]byte
			if _, err := io.ReadFull(resp.Body, back[:]); err != nil || back[0] != b+1 {
				t.Fatalf("sent %q, got %q, %v", b, back[0], err)
			}
		}
		pw.Close()
		readAll(t, resp.Body)
	})
}

func TestCallerCancels(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		started, ended := make(chan struct{}, 2), make(chan error, 2)
		s := connect(t, mode, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/body" {
				io.WriteString(w, strings.Repeat("x", 10_000))
				http.NewResponseController(w).Flush()
			}
			started <- struct{}{}
			<-r.Context().Done()
			ended <- r.Context().Err()
		}))
		for _, target := range []string{"/nothing", "/body"} {
			ctx, cancel := context.WithCancel(t.Context())
			r := request(t, "GET", target, nil).WithContext(ctx)
			result := make(chan error, 1)
			go func() {
				resp, err := s.RoundTrip(r)
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				result <- err
			}()
			receive(t, started)
			cancel()
			if err := receive(t, ended); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: the handler's context ended with %v", target, err)
			}
			if err := receive(t, result); err == nil {
				t.Errorf("%s: the caller got a whole answer", target)
			}
		}
	})
}

// A handler that breaks off makes the caller's read fail: a cut answer never
// looks whole.
func TestAgentAborts(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		s := connect(t, mode, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/whole" {
				return
			}
			io.WriteString(w, strings.Repeat("x", 10_000))
			http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}))
		// The reset may overtake the header.
		if resp, err := s.RoundTrip(request(t, "GET", "/cut", nil)); err == nil {
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("the cut answer was read without an error")
			}
			resp.Body.Close()
		}
		// The session lives on.
		if resp := roundTrip(t, s, request(t, "GET", "/whole", nil)); resp.StatusCode != 200 {
			t.Errorf("next request: %d", resp.StatusCode)
		}
	})
}

// A caller that stops reading stops the handler's writing, and other streams go on.
func TestBackPressure(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		const parallelism = 6
		var written atomic.Int64
		s := connect(t, mode, parallelism, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/small" {
				io.WriteString(w, "small")
				return
			}
			chunk := make([]byte, 32<<10)
			for {
				n, err := w.Write(chunk)
				written.Add(int64(n))
				if err != nil {
					return
				}
			}
		}))
		for range parallelism - 1 {
			ctx, cancel := context.WithCancel(t.Context())
			resp := roundTrip(t, s, request(t, "GET", "/endless", nil).WithContext(ctx))
			t.Cleanup(func() { cancel(); resp.Body.Close() })
		}
		// Wait until nothing more is taken, with nobody reading.
		quiet := settled(t, &written)
		if limit := int64(parallelism * 6 << 20); quiet > limit {
			t.Errorf("%d bytes were written with nobody reading, more than %d", quiet, limit)
		}
		resp := roundTrip(t, s, request(t, "GET", "/small", nil))
		if got := readAll(t, resp.Body); got != "small" {
			t.Errorf("beside stopped streams: %q", got)
		}
	})
}

// The same the other way: a handler that stops reading stops the caller's sending.
func TestBackPressureOfRequests(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		const parallelism = 6
		s := connect(t, mode, parallelism, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/small" {
				io.Copy(w, r.Body)
				return
			}
			<-r.Context().Done()
		}))
		var sent atomic.Int64
		for range parallelism - 1 {
			ctx, cancel := context.WithCancel(t.Context())
			body := &counted{n: &sent}
			done := make(chan struct{})
			go func() {
				defer close(done)
				if resp, err := s.RoundTrip(request(t, "POST", "/stuck", body).WithContext(ctx)); err == nil {
					resp.Body.Close()
				}
			}()
			t.Cleanup(func() { cancel(); receive(t, done) })
		}
		quiet := settled(t, &sent)
		if limit := int64(parallelism * 6 << 20); quiet > limit {
			t.Errorf("%d bytes were sent with nobody reading, more than %d", quiet, limit)
		}
		resp := roundTrip(t, s, request(t, "POST", "/small", strings.NewReader("small")))
		if got := readAll(t, resp.Body); got != "small" {
			t.Errorf("beside stopped streams: %q", got)
		}
	})
}

type counted struct{ n *atomic.Int64 }

func (c *counted) Read(p []byte) (int, error) { c.n.Add(int64(len(p))); return len(p), nil }

// settled waits until n has moved and then stood still for half a second.
func settled(t *testing.T, n *atomic.Int64) int64 {
	t.Helper()
	last, still := n.Load(), 0
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("still moving after 30 s, at %d", n.Load())
		}
		now := n.Load()
		if now == last && now > 0 {
			still++
		} else {
			still = 0
		}
		if still == 10 {
			return now
		}
		last = now
	}
}

func TestManyParallelStreams(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		const parallelism = 64
		var now, most atomic.Int64
		var once sync.Once
		all := make(chan struct{})
		s := connect(t, mode, parallelism, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := now.Add(1)
			defer now.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			if n == parallelism {
				once.Do(func() { close(all) })
			}
			select {
			case <-all:
			case <-r.Context().Done():
			}
			io.Copy(w, r.Body)
		}))
		// All at once, then a long run of short ones: no stream's credit is lost.
		var wg sync.WaitGroup
		for i := range parallelism {
			wg.Go(func() {
				for j := range 30 {
					body := fmt.Sprintf("stream %d, request %d", i, j)
					resp, err := s.RoundTrip(request(t, "POST", "/", strings.NewReader(body)))
					if err != nil {
						t.Error(err)
						return
					}
					got, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || string(got) != body {
						t.Errorf("%q came back as %q, %v", body, got, err)
					}
				}
			})
		}
		wg.Wait()
		if most.Load() != parallelism {
			t.Errorf("%d requests ran at once, want %d", most.Load(), parallelism)
		}
	})
}

func TestLargeHeaders(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		s := connect(t, mode, 4, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Length", strconv.Itoa(len(r.Header.Get("X-Large"))))
			if n, _ := strconv.Atoi(r.URL.Query().Get("answer")); n > 0 {
				w.Header().Set("X-Large", strings.Repeat("b", n))
			}
		}))
		r := request(t, "GET", "/?answer=100000", nil)
		r.Header.Set("X-Large", strings.Repeat("a", 100_000))
		resp := roundTrip(t, s, r)
		if resp.Header.Get("X-Length") != "100000" || len(resp.Header.Get("X-Large")) != 100_000 {
			t.Errorf("X-Length %s, X-Large of %d bytes", resp.Header.Get("X-Length"), len(resp.Header.Get("X-Large")))
		}
		// A request over the bound is refused and the session lives on.
		r = request(t, "GET", "/", nil)
		r.Header.Set("X-Large", strings.Repeat("a", transport.MaxHeaderBytes+20_000))
		if resp, err := s.RoundTrip(r); err == nil {
			if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
				t.Errorf("headers over the bound: %d", resp.StatusCode)
			}
			resp.Body.Close()
		}
		if resp := roundTrip(t, s, request(t, "GET", "/", nil)); resp.StatusCode != 200 {
			t.Errorf("afterwards: %d", resp.StatusCode)
		}
		// An answer over the bound is the agent's fault and may end its session.
		if resp, err := s.RoundTrip(request(t, "GET", fmt.Sprintf("/?answer=%d", transport.MaxHeaderBytes+20_000), nil)); err == nil {
			t.Errorf("an answer with headers over the bound was taken: %d", resp.StatusCode)
			resp.Body.Close()
		}
	})
}
