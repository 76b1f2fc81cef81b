package browser_test

import (
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"vcsagent/test/stack"
)

// Without JavaScript the pages do all but follow what happens.
func TestNoScript(t *testing.T) {
	s := newScene(t, stack.Options{})
	s.StartAgent(t)
	s.expect(200, "", "GET", "/api/v4/user")
	s.expect(403, "denied", "GET", "/api/v4/users")
	p := startChromium(t).tab(s.origin())
	if _, err := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	s.signIn(p)

	p.click("link", "New pool")
	p.arrive("/new-pool")
	p.fill("Name", "quiet")
	p.click("button", "Create the pool")
	p.see("The pool quiet is there")
	p.find("textbox", "Agents join the pool with it")
	if token := must[string](p, `document.getElementById("token").value`); len(token) < 100 {
		t.Errorf("the token is %q", token)
	}
	if p.has("button", "Copy") || p.has("button", "Download as a file") {
		t.Error("there are buttons that need JavaScript")
	}
	p.click("link", "See whether it has come")
	p.arrive("/pools/quiet")
	p.see("No agent is connected")
	p.click("button", "Check")
	p.see("No agent answered")

	p.click("link", "Pools", "Main")
	p.arrive("/")
	p.seeRows("#pools", []string{"quiet"}, []string{stack.Pool, "1 agent"})
	p.click("link", stack.Pool)
	p.arrive("/pools/gitlab")
	p.click("link", "Requests", stack.Pool)
	p.arrive("/pools/gitlab/requests")
	eventually(t, "both requests in the log", func() bool {
		if len(p.rows("#request-rows")) == 2 {
			return true
		}
		p.open("/pools/gitlab/requests")
		return false
	})
	p.choose("Outcome", "Denied")
	p.click("button", "Filter")
	p.seeRows("#request-rows", []string{"/api/v4/users ", "Denied"})
	p.click("link", "GET /api/v4/users")
	p.see("Denied by the agent", "no_rule")

	p.open("/pools/quiet")
	p.click("link", "Pause")
	p.arrive("/pools/quiet/pause")
	p.click("button", "Pause the pool")
	p.see("The pool is paused.")
	p.click("link", "Delete")
	p.arrive("/pools/quiet/delete")
	p.fill("Type quiet to go on", "quiet")
	p.click("button", "Delete the pool")
	p.arrive("/")
	p.seeRows("#pools", []string{stack.Pool})
	p.click("button", "Sign out")
	p.arrive("/sign-in")
}
