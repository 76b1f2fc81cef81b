package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
)

const cookieName = "__Host-vcs-gateway"

func TestSignIn(t *testing.T) {
	r := newRig(t)
	r.pool("basement")
	b := r.browser()

	away := b.get("/pools/basement/requests?outcome=denied")
	if away.StatusCode != http.StatusSeeOther {
		t.Fatalf("a page without a session answers %d", away.StatusCode)
	}
	to := away.Header.Get("Location")
	b.get(to).has(t, `name="next" value="/pools/basement/requests?outcome=denied"`)

	in := b.post("/sign-in", url.Values{"key": {" " + r.admin.Reveal() + "\n"}, "next": {"/pools/basement/requests?outcome=denied"}})
	cookie := b.cookies[cookieName]
	if in.StatusCode != http.StatusSeeOther || cookie == nil {
		t.Fatalf("sign-in answers %d with the cookies %v", in.StatusCode, b.cookies)
	}
	if !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" ||
		cookie.MaxAge != int(control.SignInTime.Seconds()) {
		t.Errorf("the cookie is %v", in.Header["Set-Cookie"])
	}
	kept := b.get(in.Header.Get("Location"))
	if got := kept.Header.Get("Location"); kept.StatusCode != http.StatusSeeOther || got != "/pools/basement/requests?outcome=denied" {
		t.Errorf("after the sign-in: %d to %q", kept.StatusCode, got)
	}
	b.get("/pools/basement").has(t, "ada", "Sign out")
	if again := b.get("/sign-in"); again.StatusCode != http.StatusSeeOther || again.Header.Get("Location") != "/" {
		t.Errorf("the sign-in page with a session: %d to %q", again.StatusCode, again.Header.Get("Location"))
	}
}

func TestSignInTellsWhenTheCookieWasNotKept(t *testing.T) {
	r := newRig(t)
	b := r.browser()
	in := b.post("/sign-in", url.Values{"key": {r.admin.Reveal()}})
	clear(b.cookies) // as browsers do without HTTPS
	a := b.get(in.Header.Get("Location"))
	if a.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", a.StatusCode)
	}
	a.has(t, "keep the sign-in", "HTTPS", "--admin-tls-cert")
}

func TestSignInRefuses(t *testing.T) {
	r := newRig(t)
	pool, _ := r.pool("basement")
	_, callers, err := r.control.CreateKey(t.Context(), tester, store.NewKey{Name: "backend", Pools: []string{pool.Name}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, key, says string
		status          int
	}{
		{"a caller's key", callers.Reveal(), "This key is for calling pools; the pages need an admin key.", http.StatusForbidden},
		{"an unknown key", "vcsgw_nope", "not one of this gateway&#39;s keys", http.StatusUnauthorized},
		{"no key", " ", "Give an admin key.", http.StatusUnprocessableEntity},
	} {
		b := r.browser()
		a := b.post("/sign-in", url.Values{"key": {c.key}, "next": {"/keys"}})
		if a.StatusCode != c.status || len(b.cookies) != 0 {
			t.Errorf("%s: status %d, cookies %v", c.what, a.StatusCode, b.cookies)
		}
		a.has(t, c.says, `name="next" value="/keys"`)
		if c.key != " " {
			a.lacks(t, c.key)
		}
	}
	if strings.Contains(r.log.String(), callers.Reveal()) || strings.Contains(r.log.String(), "vcsgw_nope") {
		t.Error("the log has a key in it")
	}
}

func TestSignInWithAnExpiredKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHandlerRig(t)
		_, old, err := r.control.CreateKey(t.Context(), tester, store.NewKey{Name: "old", Admin: true, Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		a := r.browser().post("/sign-in", url.Values{"key": {old.Reveal()}})
		if a.StatusCode != http.StatusUnauthorized {
			t.Errorf("status %d", a.StatusCode)
		}
		a.has(t, "This key has expired")
	})
}

func TestAttemptsToSignInAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHandlerRig(t)
		b := r.browser()
		for i := range 10 {
			if a := b.post("/sign-in", url.Values{"key": {"vcsgw_guess"}}); a.StatusCode != http.StatusUnauthorized {
				t.Fatalf("attempt %d: status %d", i, a.StatusCode)
			}
		}
		a := b.post("/sign-in", url.Values{"key": {"vcsgw_guess"}})
		if a.StatusCode != http.StatusTooManyRequests || a.Header.Get("Retry-After") != "6" {
			t.Errorf("the eleventh: status %d, Retry-After %q", a.StatusCode, a.Header.Get("Retry-After"))
		}
		a.has(t, "Too many attempts")
		// Who has a key isn't shut out by others at the same address.
		if a := b.post("/sign-in", url.Values{"key": {r.admin.Reveal()}}); a.StatusCode != http.StatusSeeOther {
			t.Errorf("with the right key: status %d", a.StatusCode)
		}
		time.Sleep(6 * time.Second)
		if a := r.browser().post("/sign-in", url.Values{"key": {"vcsgw_guess"}}); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("six seconds later: status %d", a.StatusCode)
		}
	})
}

func TestSignInLeadsNowhereElse(t *testing.T) {
	r := newRig(t)
	b := r.signedIn()
	for _, next := range []string{"https://evil.example.com/", "//evil.example.com/", `/\evil.example.com`, `\\evil.example.com`, "/\t/evil.example.com",
		"javascript:alert(1)", "evil.example.com", "///evil.example.com", "http:/keys", "/sign-in?next=/", ""} {
		for _, a := range []answer{b.get("/sign-in?next=" + url.QueryEscape(next)), b.get("/signed-in?next=" + url.QueryEscape(next))} {
			if to := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || to != "/" {
				t.Errorf("next=%q leads to %q (status %d)", next, to, a.StatusCode)
			}
		}
		r.browser().get("/sign-in?next="+url.QueryEscape(next)).has(t, `name="next" value="/"`)
	}
}

func TestSignOut(t *testing.T) {
	r := newRig(t)
	b := r.signedIn()
	cookie := b.cookies[cookieName]
	out := b.post("/sign-out", nil)
	if out.StatusCode != http.StatusSeeOther || b.cookies[cookieName] != nil {
		t.Errorf("sign-out answers %d and leaves the cookies %v", out.StatusCode, b.cookies)
	}
	b.get(out.Header.Get("Location")).has(t, "You are signed out.")
	b.cookies[cookieName] = cookie // kept by somebody
	a := b.get("/keys")
	if to := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "/sign-in?") {
		t.Errorf("the old cookie still opens a page: %d to %q", a.StatusCode, to)
	}
}

func TestSessionsEnd(t *testing.T) {
	for what, wait := range map[string]time.Duration{"unused": control.SignInIdle + time.Minute, "old": control.SignInTime} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHandlerRig(t)
				r.pool("basement")
				b := r.signedIn()
				if what == "old" { // though it is used all the time
					for range int(wait/time.Hour) - 1 {
						time.Sleep(time.Hour)
						if a := b.get("/"); a.StatusCode != http.StatusOK {
							t.Fatalf("after some hours of use: status %d", a.StatusCode)
						}
					}
					wait = time.Hour
				}
				time.Sleep(wait)
				cookie := b.cookies[cookieName]
				a := b.get("/pools/basement")
				to := a.Header.Get("Location")
				if a.StatusCode != http.StatusSeeOther || to != "/sign-in?next=%2Fpools%2Fbasement&why=expired" || b.cookies[cookieName] != nil {
					t.Errorf("status %d to %q, cookies %v", a.StatusCode, to, b.cookies)
				}
				b.get(to).has(t, "You have been signed out", `value="/pools/basement"`)

				b.cookies[cookieName] = cookie
				a = b.post("/pools/basement/pause", nil)
				if to := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || to != "/sign-in?why=lost" {
					t.Errorf("a form: status %d to %q", a.StatusCode, to)
				}
				b.get("/sign-in?why=lost").has(t, "what you sent wasn&#39;t done")
				if p, err := r.control.Pool(t.Context(), "basement"); err != nil || p.Paused {
					t.Errorf("the form was done: %v, %v", p.Paused, err)
				}
			})
		})
	}
}

func TestSessionEndsWithItsKey(t *testing.T) {
	r := newRig(t)
	b := r.signedIn()
	if _, _, err := r.control.CreateKey(t.Context(), tester, store.NewKey{Name: "other", Admin: true}); err != nil {
		t.Fatal(err)
	}
	if err := r.control.DeleteKey(t.Context(), tester, "ada"); err != nil {
		t.Fatal(err)
	}
	live := b.request(http.MethodGet, "/", nil)
	live.Header.Set("VCS-Gateway-Live", "1")
	if a := b.do(live); a.StatusCode != http.StatusUnauthorized || b.cookies[cookieName] == nil {
		t.Errorf("the script gets %d and the cookies %v", a.StatusCode, b.cookies)
	}
	a := b.get("/") // which the browser goes to then
	if to := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || to != "/sign-in?why=expired" || b.cookies[cookieName] != nil {
		t.Errorf("status %d to %q after the key was deleted, cookies %v", a.StatusCode, to, b.cookies)
	}
}

// The script can't follow a redirect to a form; and SameSite=Strict keeps the
// cookie back when a link on another site leads here.
func TestWhoComesWithoutASession(t *testing.T) {
	r := newRig(t)
	b := r.browser()
	req := b.request(http.MethodGet, "/pools/basement", nil)
	req.Header.Set("VCS-Gateway-Live", "1")
	if a := b.do(req); a.StatusCode != http.StatusUnauthorized || a.Header.Get("Location") != "" {
		t.Errorf("the script gets %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	req = b.request(http.MethodGet, "/requests?name=%22%3E%3Cscript%3E", nil)
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	a := b.do(req)
	if a.StatusCode != http.StatusOK {
		t.Errorf("a link from another site: status %d", a.StatusCode)
	}
	a.has(t, `http-equiv="refresh" content="0"`, `href="/requests?name=%22%3E%3Cscript%3E"`)
}
