package browser_test

import (
	"testing"

	"vcsagent/test/stack"
)

// A key that is made in the pages can do what was chosen, and nothing once it is
// deleted. It is shown once.
func TestKeyPages(t *testing.T) {
	s := newScene(t, stack.Options{})
	s.StartAgent(t)
	s.Gateway.Command(t, "pool", "create", "other")
	c := startChromium(t)
	p := c.tab(s.origin())
	s.signIn(p)

	p.click("link", "Keys", "Main")
	p.arrive("/keys")
	p.click("link", "New key")
	p.arrive("/new-key")
	p.fill("Name", "robot")
	p.click("checkbox", stack.Pool)
	p.fill("In flight at a time", "many")
	p.watch.expect("POST", "/new-key", 422)
	before := p.document()
	p.click("button", "Create the key")
	p.leave(before)
	p.see("Nothing was saved")
	p.fill("In flight at a time", "")
	p.fill("Requests per second", "0.001")
	p.fill("At once, beyond that", "2")
	p.click("button", "Create the key")
	p.see("The key robot is there")
	s.Key = must[string](p, `document.getElementById("secret").value`)
	p.click("button", "Download as a file")
	if saved := readToken(t, c.download()); saved != s.Key {
		t.Errorf("the file has another key than the page shows")
	}

	s.expect(200, "", "GET", "/api/v4/user")
	s.expect(200, "", "GET", "/api/v4/user")
	s.expect(429, "rate_limited", "GET", "/api/v4/user")
	p.click("link", "Go to the keys")
	p.arrive("/keys")
	if p.shows(s.Key) {
		t.Error("the key is shown again")
	}
	p.click("link", "Edit robot")
	p.see("Requests per second")
	p.fill("Requests per second", "")
	p.fill("At once, beyond that", "")
	p.click("button", "Save")
	p.arrive("/keys")
	p.see("Saved")
	for range 4 {
		s.expect(200, "", "GET", "/api/v4/user")
	}

	p.click("link", "Delete robot")
	p.click("button", "Delete the key")
	p.seeRows("#keys", []string{"admin", "you"}, []string{"caller"})
	s.expect(401, "unauthenticated", "GET", "/api/v4/user")
}
