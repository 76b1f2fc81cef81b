package web_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/gateway/web"
	"vcsagent/transport"
)

// rig is the pages over a real store, with a gateway's live side that the test
// decides on.
type rig struct {
	t       *testing.T
	handler http.Handler
	server  *httptest.Server // nil: requests go to the handler itself
	control *control.Control
	admin   transport.Secret // an admin key
	log     *safeBuffer
	dir     string // of the database

	mu          sync.Mutex
	connections map[string][]control.Connection // by pool
	check       control.Check
}

var tester = store.Actor{KeyName: "tester"}

// newRig serves the pages on a port.
func newRig(t *testing.T) *rig {
	t.Helper()
	r := newHandlerRig(t)
	r.server = httptest.NewServer(r.handler)
	t.Cleanup(r.server.Close)
	return r
}

// newHandlerRig serves nothing: for tests in a synctest bubble, where there is no
// network.
func newHandlerRig(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, store.FileName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	r := &rig{t: t, dir: dir, log: &safeBuffer{}, connections: map[string][]control.Connection{}}
	logger := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.control = &control.Control{Store: st, Version: "1.2.3-test", Logger: logger,
		Token: func(p store.Pool, key transport.Secret) transport.Token {
			return transport.Token{Host: "gateway.example.com:8443", PoolID: p.ID, Key: key}
		},
		Live: control.Live{
			Connections: func(poolID string) []control.Connection {
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.connections[poolID]
			},
			Check: func(context.Context, store.Pool) control.Check {
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.check
			},
		}}
	_, r.admin, err = r.control.CreateKey(t.Context(), tester, store.NewKey{Name: "ada", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	r.handler = web.New(web.Config{Control: r.control, Host: "Pages.example.com", Logger: logger})
	return r
}

// url is where the pages are.
func (r *rig) url() string {
	if r.server == nil {
		return "http://127.0.0.1:8081"
	}
	return r.server.URL
}

func (r *rig) send(req *http.Request) *http.Response {
	r.t.Helper()
	if r.server == nil {
		w := httptest.NewRecorder()
		req.RemoteAddr = "127.0.0.1:50000"
		r.handler.ServeHTTP(w, req)
		return w.Result()
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

func (r *rig) connect(poolID string, connections ...control.Connection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.connections[poolID] = connections
}

// pool makes a pool and returns it with its token.
func (r *rig) pool(name string) (store.Pool, string) {
	r.t.Helper()
	p, token, err := r.control.CreatePool(r.t.Context(), tester, store.NewPool{Name: name})
	if err != nil {
		r.t.Fatal(err)
	}
	return p, token.Encode()
}

func (r *rig) add(requests ...store.Request) []store.Request {
	r.t.Helper()
	for i := range requests {
		if requests[i].At.IsZero() {
			requests[i].At = time.Now()
		}
	}
	if err := r.control.Store.AddRequests(r.t.Context(), requests); err != nil {
		r.t.Fatal(err)
	}
	return requests
}

// answer is what a browser got.
type answer struct {
	*http.Response
	body string
}

func (a answer) has(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(a.body, w) {
			t.Errorf("%s %s (status %d) has no %q:\n%.3000s", a.Request.Method, a.Request.URL, a.StatusCode, w, mainOf(a.body))
		}
	}
}

func (a answer) lacks(t *testing.T, unwanted ...string) {
	t.Helper()
	for _, w := range unwanted {
		if strings.Contains(a.body, w) {
			t.Errorf("%s %s (status %d) has %q:\n%.3000s", a.Request.Method, a.Request.URL, a.StatusCode, w, mainOf(a.body))
		}
	}
}

// mainOf is a page without what all pages have.
func mainOf(page string) string {
	if _, rest, found := strings.Cut(page, "<main"); found {
		return rest
	}
	return page
}

// browser is one that follows no redirects and keeps cookies as browsers do on a
// loopback address, Secure or not.
type browser struct {
	r       *rig
	cookies map[string]*http.Cookie
	csrf    string
}

func (r *rig) browser() *browser { return &browser{r: r, cookies: map[string]*http.Cookie{}} }

// signedIn is a browser with a session.
func (r *rig) signedIn() *browser {
	r.t.Helper()
	b := r.browser()
	if a := b.post("/sign-in", url.Values{"key": {r.admin.Reveal()}}); a.StatusCode != http.StatusSeeOther {
		r.t.Fatalf("sign-in answers %d: %s", a.StatusCode, a.body)
	}
	b.get("/")
	if b.csrf == "" {
		r.t.Fatal("no form token on the first page")
	}
	return b
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (b *browser) do(req *http.Request) answer {
	b.r.t.Helper()
	for _, c := range b.cookies {
		req.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	resp := b.r.send(req)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.r.t.Fatal(err)
	}
	for _, c := range resp.Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c
		}
	}
	if m := csrfField.FindStringSubmatch(string(body)); m != nil {
		b.csrf = m[1]
	}
	resp.Request = req
	return answer{resp, string(body)}
}

func (b *browser) request(method, path string, body io.Reader) *http.Request {
	b.r.t.Helper()
	req, err := http.NewRequestWithContext(b.r.t.Context(), method, b.r.url()+path, body)
	if err != nil {
		b.r.t.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		req.Header.Set("Origin", b.r.url())
	}
	return req
}

func (b *browser) get(path string) answer {
	b.r.t.Helper()
	return b.do(b.request(http.MethodGet, path, nil))
}

// post sends a form with the session's token.
func (b *browser) post(path string, form url.Values) answer {
	b.r.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	if b.csrf != "" && !form.Has("csrf") {
		form.Set("csrf", b.csrf)
	}
	return b.do(b.request(http.MethodPost, path, strings.NewReader(form.Encode())))
}

// safeBuffer is a log that several goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// requestAddress is where a request's details are.
func requestAddress(r store.Request) string { return web.RequestPath(r) }
