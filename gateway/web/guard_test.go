package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vcsagent/gateway/store"
)

// everyPage are addresses of all pages that a GET shows, of the pool basement.
func everyPage(t *testing.T, r *rig) []string {
	t.Helper()
	keys, err := r.control.TokenKeys(t.Context(), "basement")
	if err != nil {
		t.Fatal(err)
	}
	ada, err := r.control.Key(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	one := r.add(store.Request{ID: "r1", PoolName: "basement", Method: "GET", Path: "/x", Outcome: "denied", Reason: "no_rule", Code: "denied", Status: 403})[0]
	return []string{"/", "/new-pool", "/pools/basement", "/pools/basement/waiting", "/pools/basement/pause", "/pools/basement/delete", "/pools/basement/requests",
		"/pools/basement/tokens", "/pools/basement/tokens/new", "/pools/basement/tokens/" + keys[0].ID + "/revoke", "/pools/basement/settings",
		"/requests", requestAddress(one), "/keys", "/new-key", "/keys/" + ada.ID, "/keys/" + ada.ID + "/delete", "/audit"}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	r := newRig(t)
	r.pool("basement")
	b := r.signedIn()
	answers := []answer{b.get("/nowhere"), b.post("/sign-out", url.Values{"csrf": {"wrong"}}), r.browser().get("/sign-in"), r.browser().get("/keys")}
	for _, path := range everyPage(t, r) {
		a := b.get(path)
		if a.StatusCode != http.StatusOK {
			t.Errorf("%s answers %d", path, a.StatusCode)
		}
		answers = append(answers, a)
	}
	for _, a := range answers {
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s has %s: %q, want %q", a.Request.URL, name, got, want)
			}
		}
		csp := a.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
			if !strings.Contains(csp, want) {
				t.Errorf("%s has the policy %q without %q", a.Request.URL, csp, want)
			}
		}
		if strings.Contains(csp, "unsafe") {
			t.Errorf("%s has the policy %q", a.Request.URL, csp)
		}
		// What the policy would refuse anyway.
		for _, inline := range []string{" style=", "<style", " onclick=", " onload=", "javascript:"} {
			a.lacks(t, inline)
		}
	}
}

func TestEveryPageNeedsASession(t *testing.T) {
	r := newRig(t)
	r.pool("basement")
	for _, path := range append(everyPage(t, r), "/nowhere") {
		a := r.browser().get(path)
		if to := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/sign-in") {
			t.Errorf("%s answers %d to %q", path, a.StatusCode, to)
		}
		a.lacks(t, "csrf", "Sign out")
	}
}

// Every form but the sign-in needs the session's token, and the browser's word
// that a page of these sent it.
func TestFormsOfOthersAreRefused(t *testing.T) {
	r := newRig(t)
	r.pool("basement")
	b, other := r.signedIn(), r.signedIn()
	if b.csrf == other.csrf {
		t.Error("two sessions have the same form token")
	}
	for what, change := range map[string]func(*http.Request, url.Values){
		"no token":                func(_ *http.Request, f url.Values) { f.Del("csrf") },
		"a wrong token":           func(_ *http.Request, f url.Values) { f.Set("csrf", "x"+b.csrf[1:]) },
		"another session's token": func(_ *http.Request, f url.Values) { f.Set("csrf", other.csrf) },
		"sent by another site":    func(r *http.Request, _ url.Values) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"sent by another port":    func(r *http.Request, _ url.Values) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"from another origin": func(r *http.Request, _ url.Values) {
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Set("Origin", "http://evil.example.com")
		},
		"from a sandbox":            func(r *http.Request, _ url.Values) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "null") },
		"as text":                   func(r *http.Request, _ url.Values) { r.Header.Set("Content-Type", "text/plain") },
		"with the token in the URL": func(r *http.Request, f url.Values) { r.URL.RawQuery = f.Encode(); f.Del("csrf") },
	} {
		form := url.Values{"csrf": {b.csrf}, "confirm": {"basement"}}
		req := b.request(http.MethodPost, "/pools/basement/delete", nil)
		change(req, form)
		sent := b.request(http.MethodPost, "/pools/basement/delete", strings.NewReader(form.Encode()))
		sent.Header, sent.URL = req.Header, req.URL
		if a := b.do(sent); a.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d", what, a.StatusCode)
		}
		if _, err := r.control.Pool(t.Context(), "basement"); err != nil {
			t.Fatalf("%s: the pool is deleted", what)
		}
	}
	req := r.browser().request(http.MethodPost, "/sign-in", strings.NewReader(url.Values{"key": {r.admin.Reveal()}}.Encode()))
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	if a := r.browser().do(req); a.StatusCode != http.StatusForbidden || len(a.Cookies()) != 0 {
		t.Errorf("another site signs a browser in: status %d, cookies %v", a.StatusCode, a.Cookies())
	}
	if a := b.post("/pools/basement/delete", url.Values{"csrf": {b.csrf}, "confirm": {"basement"}}); a.StatusCode != http.StatusSeeOther {
		t.Errorf("the pages' own form: status %d", a.StatusCode)
	}
}

func TestNamesThatOthersCanPointHere(t *testing.T) {
	r := newRig(t)
	for host, ok := range map[string]bool{"127.0.0.1:8081": true, "localhost:8081": true, "LOCALHOST": true, "[::1]:8081": true, "127.1.2.3": true, "10.0.0.7": false, "[2001:db8::1]:8081": false, "gw.localhost": true,
		"pages.example.com": true, "PAGES.example.com:443": true, "pages.example.com.evil.example.com": false, "example.com": false,
		"evil.example.com": false, "127.0.0.1.evil.example.com:8081": false, "localhost.evil.example.com": false} {
		b := r.browser()
		req := b.request(http.MethodGet, "/sign-in", nil)
		req.Host = host
		want := http.StatusOK
		if !ok {
			want = http.StatusMisdirectedRequest
		}
		if a := b.do(req); a.StatusCode != want {
			t.Errorf("Host %q: status %d, want %d", host, a.StatusCode, want)
		}
	}
}

func TestMethodsAndPathsThatThereArent(t *testing.T) {
	r := newRig(t)
	r.pool("basement")
	b := r.signedIn()
	for _, c := range []struct {
		method, path string
		status       int
		allow, says  string
	}{
		{http.MethodGet, "/nowhere", http.StatusNotFound, "", "There is no such page."},
		{http.MethodGet, "/pools/attic", http.StatusNotFound, "", "attic"},
		{http.MethodGet, "/pools/basement/tokens/01AAA/revoke", http.StatusNotFound, "", "no such token"},
		{http.MethodGet, "/requests/17?at=5", http.StatusNotFound, "", "not in the log"},
		{http.MethodGet, "/requests/x", http.StatusNotFound, "", "not in the log"},
		{http.MethodGet, "/keys/01AAA", http.StatusNotFound, "", "does not exist"},
		{http.MethodGet, "/sign-out", http.StatusMethodNotAllowed, "POST", "takes POST"},
		{http.MethodGet, "/pools/basement/check", http.StatusMethodNotAllowed, "POST", "takes POST"},
		{http.MethodPost, "/audit", http.StatusMethodNotAllowed, "GET", "takes GET"},
	} {
		var a answer
		if c.method == http.MethodPost {
			a = b.post(c.path, nil)
		} else {
			a = b.get(c.path)
		}
		if a.StatusCode != c.status || a.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: status %d, Allow %q", c.method, c.path, a.StatusCode, a.Header.Get("Allow"))
		}
		a.has(t, c.says, "Go to the pools")
	}
	if a := b.do(b.request(http.MethodHead, "/", nil)); a.StatusCode != http.StatusOK || a.body != "" {
		t.Errorf("HEAD: status %d, body %q", a.StatusCode, a.body)
	}
	if a := b.do(b.request(http.MethodDelete, "/pools/basement", nil)); a.StatusCode < 400 {
		t.Errorf("DELETE: status %d", a.StatusCode)
	}
}

func TestFormsAreBounded(t *testing.T) {
	r := newRig(t)
	b := r.signedIn()
	a := b.post("/new-pool", url.Values{"name": {"basement"}, "vendor": {"gitlab"}, "description": {strings.Repeat("x", 64<<10)}})
	if a.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", a.StatusCode)
	}
	a.has(t, "larger than 64 KiB")
}

func TestAssets(t *testing.T) {
	r := newRig(t)
	page := r.browser().get("/sign-in").body
	for ext, kind := range map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"} {
		_, rest, _ := strings.Cut(page, `"/assets/`)
		for !strings.HasPrefix(rest[strings.IndexByte(rest, '"')-len(ext):], ext) {
			_, rest, _ = strings.Cut(rest, `"/assets/`)
		}
		a := r.browser().get("/assets/" + rest[:strings.IndexByte(rest, '"')])
		if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != kind || !strings.Contains(a.Header.Get("Cache-Control"), "immutable") || a.body == "" {
			t.Errorf("%s: status %d, %v", ext, a.StatusCode, a.Header)
		}
	}
	if a := r.browser().get("/assets/style.css"); a.StatusCode != http.StatusNotFound {
		t.Errorf("a name without its hash: status %d", a.StatusCode)
	}
}
