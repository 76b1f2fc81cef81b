package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"vcsagent/test/stack"
)

// protected are pages that only an admin may see.
var protected = []string{
	"/", "/new-pool", "/pools/gitlab", "/pools/gitlab/requests", "/pools/gitlab/tokens", "/pools/gitlab/tokens/new", "/pools/gitlab/settings",
	"/pools/gitlab/pause", "/pools/gitlab/delete", "/requests", "/keys", "/new-key", "/audit", "/nowhere",
}

// A caller's key, or none, opens no page.
func TestCallersKey(t *testing.T) {
	s := newScene(t, stack.Options{})
	p := startChromium(t).tab(s.origin())
	for _, path := range protected {
		p.open(path)
		p.arrive("/sign-in")
	}
	p.watch.expect("POST", "/sign-in", http.StatusForbidden)
	p.watch.expect("POST", "/sign-in", http.StatusUnauthorized)
	for _, c := range []struct{ key, sentence string }{
		{s.Key, "This key is for calling pools; the pages need an admin key."},
		{s.admin + "x", "This is not one of this gateway's keys."},
		{s.Token, "This is not one of this gateway's keys."},
		{"' OR 1=1; --", "This is not one of this gateway's keys."},
	} {
		before := p.document()
		p.fill("Admin key", c.key)
		p.click("button", "Sign in")
		p.leave(before)
		p.see(c.sentence)
		if got := p.cookies(); len(got) != 0 {
			t.Errorf("where it says %q, there is the cookie %s", c.sentence, got[0].Name)
		}
		if page := must[string](p, `document.documentElement.outerHTML`); strings.Contains(page, c.key) {
			t.Errorf("where it says %q, the page has the key that was typed", c.sentence)
		}
	}
	p.open("/pools/gitlab")
	p.arrive("/sign-in")
}

// After a sign-in one is where one wanted to go; after the sign-out nothing is left
// in the browser, and the cookie it had is worth nothing.
func TestSignOut(t *testing.T) {
	s := newScene(t, stack.Options{})
	p := startChromium(t).tab(s.origin())
	p.open("/pools/gitlab/settings")
	p.arrive("/sign-in")
	p.fill("Admin key", s.admin)
	p.click("button", "Sign in")
	p.arrive("/pools/gitlab/settings")
	p.open("/keys")
	p.see("caller")
	cookie := p.cookies()[0].Value
	if got := s.page("/keys", cookie); got != http.StatusOK {
		t.Fatalf("a page with the cookie: %d", got)
	}
	p.click("button", "Sign out")
	p.arrive("/sign-in")
	p.see("You are signed out.")
	if got := p.cookies(); len(got) != 0 {
		t.Errorf("there still are %d cookies", len(got))
	}
	if err := chromedp.Do(p.ctx, chromedp.NavigateBack()); err != nil {
		t.Fatal(err)
	}
	p.arrive("/sign-in")
	if p.shows("caller") {
		t.Error("the back button shows the page")
	}
	if got := s.page("/keys", cookie); got != http.StatusSeeOther {
		t.Errorf("a page with the old cookie: %d", got)
	}
}

// When an admin's key is deleted, the pages that it opened stop.
func TestDeletedAdminKey(t *testing.T) {
	s := newScene(t, stack.Options{})
	first := s.admin
	s.admin = s.Gateway.Command(t, "key", "create", "second", "--admin")
	c := startChromium(t)
	p := c.tab(s.origin())
	s.signIn(p)
	p.click("link", stack.Pool)
	p.arrive("/pools/gitlab")
	p.see("No agent is connected")
	s.admin = first
	p.watch.expect("GET", "/pools/gitlab", http.StatusUnauthorized)
	s.api("DELETE", "/keys/second")
	// The page asks for what is new, and finds that it may not.
	p.arrive("/sign-in")
	p.see("You have been signed out")
	p.open("/keys")
	p.arrive("/sign-in")
}

// page asks for a page with a session's cookie and returns the status.
func (s *scene) page(path, cookie string) int {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.origin()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: "__Host-vcs-gateway", Value: cookie})
	return s.Do(s.t, req).StatusCode
}
