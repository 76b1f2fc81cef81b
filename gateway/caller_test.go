package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"vcsagent/gateway"
	"vcsagent/transport"
)

// recorder is an agent that keeps what it was sent and answers as the test says.
type recorder struct {
	mu     sync.Mutex
	seen   []*http.Request
	bodies []string
	answer http.HandlerFunc
}

func (rec *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	rec.mu.Lock()
	rec.seen = append(rec.seen, r)
	rec.bodies = append(rec.bodies, string(b))
	answer := rec.answer
	rec.mu.Unlock()
	if answer != nil {
		answer(w, r)
	}
}

// next sets the answer to what comes next.
func (rec *recorder) next(answer http.HandlerFunc) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.answer = answer
}

// take returns what came since the last call.
func (rec *recorder) take() (seen []*http.Request, bodies []string) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	seen, bodies = rec.seen, rec.bodies
	rec.seen, rec.bodies = nil, nil
	return seen, bodies
}

// one is the one request that came since the last call.
func (rec *recorder) one(t *testing.T) (*http.Request, string) {
	t.Helper()
	seen, bodies := rec.take()
	if len(seen) != 1 {
		t.Fatalf("the agent got %d requests, want 1", len(seen))
	}
	return seen[0], bodies[0]
}

// The agent gets the request as it was sent, less what concerns the gateway alone.
func TestWhatTheAgentSees(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		rec := &recorder{}
		a := f.join(t, options{mode: mode}, rec.ServeHTTP)
		defer a.kill()

		goes := http.Header{
			"Accept":          {"application/json", "text/plain"},
			"Authorization":   {"Basic dmNzOnZjcw=="},
			"Private-Token":   {"for-the-vcs"},
			"Accept-Encoding": {"gzip, zstd"},
			"Content-Type":    {"application/json"},
			"Traceparent":     {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
			"User-Agent":      {"backend/1"},
			"X-Odd":           {"", "b", "a"},
			"X-Request-Id":    {"id-1"},
		}
		stays := http.Header{
			"Connection":           {"close, X-Hop, vcs-gateway-key", "x-hop-too"},
			"Cookie":               {"a=b"},
			"Expect":               {"100-continue"},
			"Keep-Alive":           {"timeout=5"},
			"Proxy-Authorization":  {"Bearer " + callerKey},
			"Proxy-Authenticate":   {"x"},
			"Proxy-Connection":     {"keep-alive"},
			"Te":                   {"trailers"},
			"Upgrade":              {"websocket"},
			"X-Hop":                {"x"},
			"X-Hop-Too":            {"x"},
			"Forwarded":            {"for=1.2.3.4"},
			"X-Forwarded-For":      {"1.2.3.4"},
			"X-Forwarded-Host":     {"elsewhere"},
			"X-Forwarded-Proto":    {"https"},
			"Vcs-Gateway-Key":      {callerKey, "another"},
			"vcs-gateway-anything": {"x"},
			"Vcs-Agent-Error":      {"forged"},
			"vCS-aGENT-nAME":       {"forged"},
		}
		r := f.request(t, "POST", "/a%2Fb//c/../d;e?x=%zz&y=a+b&&z", strings.NewReader("body"))
		r.Header = http.Header{}
		maps.Copy(r.Header, goes)
		maps.Copy(r.Header, stays)
		resp, body := send(t, r)
		if resp.StatusCode != 200 || resp.Header.Get("X-Request-Id") != "id-1" {
			t.Fatalf("status %d, %v: %s", resp.StatusCode, resp.Header, body)
		}
		got, gotBody := rec.one(t)
		if got.Method != "POST" || got.RequestURI != "/a%2Fb//c/../d;e?x=%zz&y=a+b&&z" || got.Host != "vcs-agent" || gotBody != "body" {
			t.Errorf("the agent got %s %s of %s with %q", got.Method, got.RequestURI, got.Host, gotBody)
		}
		want := maps.Clone(goes)
		want["Content-Length"] = []string{"4"}
		for _, name := range slices.Sorted(maps.Keys(got.Header)) {
			if !slices.Equal(got.Header[name], want[name]) {
				t.Errorf("the agent got %s: %q, want %q", name, got.Header[name], want[name])
			}
			delete(want, name)
		}
		for name := range want {
			t.Errorf("the agent didn't get %s", name)
		}
	})
}

// Nothing is made up for a caller that sends little.
func TestNothingIsAddedToARequest(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		rec := &recorder{}
		a := f.join(t, options{mode: mode}, rec.ServeHTTP)
		defer a.kill()
		conn := f.raw(t, "GET /private/gitlab/x HTTP/1.1\r\nHost: gw\r\nVCS-Gateway-Key: "+callerKey+"\r\n\r\n")
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != 200 || resp.Header.Get("X-Request-Id") == "" {
			t.Fatal(resp, err)
		}
		got, _ := rec.one(t)
		id := got.Header.Get("X-Request-Id")
		got.Header.Del("X-Request-Id")
		if id == "" || len(got.Header) != 0 || got.ContentLength != 0 {
			t.Errorf("the agent got id %q, %v, length %d", id, got.Header, got.ContentLength)
		}
	})
}

// Trailers of a request go no further, whatever they are.
func TestRequestTrailersStay(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		rec := &recorder{}
		a := f.join(t, options{mode: mode}, rec.ServeHTTP)
		defer a.kill()
		r := f.request(t, "POST", "/x", io.NopCloser(strings.NewReader("body")))
		r.Trailer = http.Header{"X-Sum": {"1"}, "Vcs-Gateway-Key": {callerKey}}
		if resp, body := send(t, r); resp.StatusCode != 200 {
			t.Fatal(resp.StatusCode, body)
		}
		got, body := rec.one(t)
		if len(got.Trailer) != 0 || got.Header.Get("Trailer") != "" || body != "body" {
			t.Errorf("the agent got trailers %v, %q, body %q", got.Trailer, got.Header["Trailer"], body)
		}
	})
}

func TestRequestID(t *testing.T) {
	f := start(t)
	rec := &recorder{}
	f.join(t, options{}, rec.ServeHTTP)
	for _, tt := range []struct {
		id   string
		kept bool
	}{
		{"a", true}, {"3fa9:/+=_-.~[]{}", true}, {strings.Repeat("i", 128), true},
		{"", false}, {strings.Repeat("i", 129), false}, {"a b", false}, {"a\tb", false}, {`a"b`, false}, {`a\b`, false}, {"é", false}, {"a\x80", false},
	} {
		t.Run(tt.id, func(t *testing.T) {
			r := f.request(t, "GET", "/x", nil)
			r.Header["X-Request-Id"] = []string{tt.id}
			resp, _ := send(t, r)
			got, _ := rec.one(t)
			id := got.Header.Get("X-Request-Id")
			if (id == tt.id) != tt.kept || id == "" || resp.Header.Get("X-Request-Id") != id || len(resp.Header["X-Request-Id"]) != 1 {
				t.Errorf("%q became %q, answered with %q", tt.id, id, resp.Header["X-Request-Id"])
			}
			f.log.await(t, "request", "id", id)
		})
	}
	t.Run("on refusals", func(t *testing.T) {
		r := f.request(t, "GET", "/x", nil)
		r.Header.Set("X-Request-Id", "mine")
		r.Header.Set(gateway.KeyHeader, "wrong")
		resp, body := send(t, r)
		if p := problemIn(t, resp, body); p.ID != "mine" {
			t.Errorf("%+v", p)
		}
		f.log.await(t, "request", "id", "mine")
	})
}

// What comes from the VCS passes as it is, less what acts on the gateway's host
// and what only agent and gateway may say.
func TestWhatTheCallerSees(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		rec := &recorder{}
		a := f.join(t, options{mode: mode}, rec.ServeHTTP)
		defer a.kill()
		rec.next(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			for name, values := range map[string][]string{
				"X-Page": {"1", "2"}, "Content-Type": {"text/html"}, "Etag": {`W/"x"`}, "WWW-Authenticate": {"Basic", "Bearer"},
				"Content-Security-Policy": {"default-src *"}, "Retry-After": {"7"},
				"Set-Cookie": {"a=b"}, "Set-Cookie2": {"a=b"}, "Alt-Svc": {"h3=x"}, "Strict-Transport-Security": {"max-age=1"}, "Clear-Site-Data": {"*"},
				"Vcs-Agent-Name": {"the rule"}, "Vcs-Agent-Purpose": {"what for"}, "Vcs-Agent-Project": {"a%2Fb"}, "Vcs-Agent-Stream": {"1"},
				"Vcs-Agent-Else": {"x"}, "Vcs-Gateway-Key": {"x"}, "Proxy-Authenticate": {"Basic"},
			} {
				h[http.CanonicalHeaderKey(name)] = values
			}
			w.WriteHeader(418)
			io.WriteString(w, "<script>")
		})
		resp, body := send(t, f.request(t, "GET", "/x", nil))
		resp.Header.Del("Date")
		want := http.Header{
			"X-Page": {"1", "2"}, "Content-Type": {"text/html"}, "Etag": {`W/"x"`}, "Www-Authenticate": {"Basic", "Bearer"}, "Retry-After": {"7"},
			"Content-Security-Policy": {"default-src *", "default-src 'none'; sandbox"}, "X-Content-Type-Options": {"nosniff"},
			"Vcs-Agent-Name": {"the rule"}, "X-Request-Id": resp.Header["X-Request-Id"],
			"Connection": {"close"}, "Content-Length": {"8"}, // ours
		}
		if resp.StatusCode != 418 || body != "<script>" {
			t.Errorf("status %d: %q", resp.StatusCode, body)
		}
		for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
			if !slices.Equal(resp.Header[name], want[name]) {
				t.Errorf("the caller got %s: %q, want %q", name, resp.Header[name], want[name])
			}
			delete(want, name)
		}
		delete(want, "Content-Length") // chunked is as good
		delete(want, "Connection")
		for name := range want {
			t.Errorf("the caller didn't get %s", name)
		}
	})
}

// Trailers pass, those that weren't announced too, under the same rules.
func TestAnswerTrailers(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		rec := &recorder{}
		a := f.join(t, options{mode: mode}, rec.ServeHTTP)
		defer a.kill()
		forged := []string{"Vcs-Agent-Error", "Vcs-Agent-Name", "Vcs-Gateway-Key", "Set-Cookie", "Alt-Svc"}
		for _, announced := range []bool{true, false} {
			t.Run(fmt.Sprintf("announced %v", announced), func(t *testing.T) {
				rec.next(func(w http.ResponseWriter, r *http.Request) {
					prefix := http.TrailerPrefix
					if announced {
						prefix = ""
						for _, name := range append(forged, "X-Sum") {
							w.Header().Add("Trailer", name)
						}
					}
					io.WriteString(w, "body")
					http.NewResponseController(w).Flush()
					for _, name := range forged {
						w.Header().Set(prefix+name, "forged")
					}
					w.Header()[prefix+"X-Sum"] = []string{"1", "2"}
				})
				resp, body := send(t, f.request(t, "GET", "/x", nil))
				if body != "body" || len(resp.Trailer) != 1 || !slices.Equal(resp.Trailer["X-Sum"], []string{"1", "2"}) {
					t.Errorf("%q with trailers %v", body, resp.Trailer)
				}
				if resp.Header.Get(transport.ErrorHeader) != "" {
					t.Errorf("the error is in the header: %v", resp.Header)
				}
			})
		}
	})
}

// Informational answers go along, and nothing goes along by them.
func TestInformationalAnswers(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		a := f.join(t, options{mode: mode}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style>; rel=preload")
			w.Header().Set("Set-Cookie", "a=b")
			w.Header().Set("VCS-Agent-Error", "forged")
			w.WriteHeader(http.StatusEarlyHints)
			clear(w.Header())
			w.Header().Set("X-Final", "1")
			io.WriteString(w, "body")
		})
		defer a.kill()
		var informed []string
		r := f.request(t, "GET", "/x", nil)
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				informed = append(informed, fmt.Sprint(code, len(h)))
				return nil
			},
		}))
		resp, body := send(t, r)
		if words(informed) != "103 0" {
			t.Errorf("informational answers (status and number of fields): %v", informed)
		}
		if resp.StatusCode != 200 || resp.Header.Get("X-Final") != "1" || resp.Header.Get("Set-Cookie") != "" || resp.Header.Get("VCS-Agent-Error") != "" || body != "body" {
			t.Errorf("status %d, %v: %q", resp.StatusCode, resp.Header, body)
		}
	})
}

// The agent writes URLs as paths; callers get them in their own terms.
func TestLocationAndLink(t *testing.T) {
	f := start(t)
	rec := &recorder{}
	f.join(t, options{}, rec.ServeHTTP)
	proxied := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: f.Addr("http"), User: url.UserPassword("any", callerKey)})},
		CheckRedirect: client.CheckRedirect,
	}
	for _, tt := range []struct{ name, location, link string }{
		{"paths", "/a/b?c=d#e", `</x?page=2>; rel="next", </y>; rel="last"`},
		{"a path with two slashes, from a faulty agent", "//evil.example/", `<//evil.example/>; rel=next`},
		{"none", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec.next(func(w http.ResponseWriter, r *http.Request) {
				if tt.location != "" {
					w.Header().Set("Location", tt.location)
					w.Header().Set("Link", tt.link)
				}
				w.WriteHeader(302)
			})
			for form, origin := range map[string]string{"path": "http://" + f.Addr("http") + "/private/gitlab", "proxy": "http://gitlab.private"} {
				var resp *http.Response
				var err error
				if form == "path" {
					resp, err = client.Do(f.request(t, "GET", "/x", nil))
				} else {
					resp, err = proxied.Get("http://gitlab.private/x")
				}
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				location, link := "", ""
				if tt.location != "" {
					location, link = origin+tt.location, strings.ReplaceAll(tt.link, "<", "<"+origin)
				}
				if got := resp.Header.Get("Location"); got != location {
					t.Errorf("%s form: Location %q, want %q", form, got, location)
				}
				if got := resp.Header.Get("Link"); got != link {
					t.Errorf("%s form: Link %q, want %q", form, got, link)
				}
			}
		})
	}
}

func TestAbsoluteLinks(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`</a>; rel=next`, `<O/a>; rel=next`},
		{`</a>; rel="next", </b>; rel="prev"`, `<O/a>; rel="next", <O/b>; rel="prev"`},
		{`</a,b>; rel=x,</c>`, `<O/a,b>; rel=x,<O/c>`},
		{`</a>; title="</no>", </b>`, `<O/a>; title="</no>", <O/b>`},
		{`</a>; title="1 < 2", </b>`, `<O/a>; title="1 < 2", <O/b>`},
		{`</a>; title="a \" </no>", </b>`, `<O/a>; title="a \" </no>", <O/b>`},
		{`</a"b>; rel=x, </c>`, `<O/a"b>; rel=x, <O/c>`},
		{`<https://elsewhere/a>; rel=x`, `<https://elsewhere/a>; rel=x`},
		{`<a>; rel=x`, `<a>; rel=x`},
		{`<>; rel=x`, `<>; rel=x`},
		{`</a`, `<O/a`},
		{`no link`, `no link`},
		{``, ``},
	} {
		if got := gateway.AbsoluteLinks(tt.in, "O"); got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.in, got, tt.want)
		}
	}
}

// HEAD, empty answers and statuses without a body keep their shape.
func TestAnswersWithoutABody(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		rec := &recorder{}
		a := f.join(t, options{mode: mode}, rec.ServeHTTP)
		defer a.kill()
		for _, tt := range []struct {
			method string
			status int
			length string // as the agent says; "" says none
			want   int64
		}{
			{"HEAD", 200, "1234", 1234},
			{"HEAD", 200, "", -1},
			{"HEAD", 404, "10", 10},
			{"GET", 204, "", 0},
			{"GET", 304, "", 0},
			{"GET", 200, "0", 0},
			{"DELETE", 200, "0", 0},
		} {
			rec.next(func(w http.ResponseWriter, r *http.Request) {
				if tt.length != "" {
					w.Header().Set("Content-Length", tt.length)
				}
				w.WriteHeader(tt.status)
			})
			resp, body := send(t, f.request(t, tt.method, "/x", nil))
			if resp.StatusCode != tt.status || resp.ContentLength != tt.want || body != "" {
				t.Errorf("%s with %d and length %q: status %d, length %d, body %q", tt.method, tt.status, tt.length, resp.StatusCode, resp.ContentLength, body)
			}
			if _, ok := resp.Header["Content-Type"]; ok {
				t.Errorf("%s with %d: a Content-Type was made up: %v", tt.method, tt.status, resp.Header)
			}
		}
	})
}

// A browser that is shown any answer of this listener runs nothing of it.
func TestEveryAnswerIsUntrusted(t *testing.T) {
	f := start(t)
	f.addPool(t, "empty", "k")
	f.addKey(t, "both", "both-key", poolName, "empty")
	rec := &recorder{}
	f.join(t, options{}, rec.ServeHTTP)
	base := "http://" + f.Addr("http")
	for _, tt := range []struct {
		name, url, key string
		status         int
	}{
		{"the VCS's", base + "/private/gitlab/x", "both-key", 200},
		{"no key", base + "/private/gitlab/x", "", 401},
		{"another's key", base + "/private/empty/x", callerKey, 403},
		{"no pool", base + "/private/none/x", callerKey, 403},
		{"no pool's name", base + "/private/NONE/x", callerKey, 404},
		{"no path", base + "/", "", 404},
		{"no agent", base + "/private/empty/x", "both-key", 503},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), "GET", tt.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.key != "" {
				r.Header.Set(gateway.KeyHeader, tt.key)
			}
			resp, body := send(t, r)
			if resp.StatusCode != tt.status {
				t.Errorf("status %d: %s", resp.StatusCode, body)
			}
			if csp := resp.Header["Content-Security-Policy"]; !slices.Equal(csp, []string{"default-src 'none'; sandbox"}) || words(resp.Header["X-Content-Type-Options"]) != "nosniff" {
				t.Errorf("%v", resp.Header)
			}
		})
	}
}
