package browser_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"vcsagent/test/stack"
)

// The main path with nothing but a keyboard. Wherever the focus is, it's to be
// seen, and dialogs and panes give it back.
func TestKeyboard(t *testing.T) {
	s := newScene(t, stack.Options{})
	s.api("DELETE", "/pools/"+stack.Pool)
	s.api("DELETE", "/keys/caller")
	p := startChromium(t).tab(s.origin())

	// The first field has the focus.
	p.open("/")
	p.arrive("/sign-in")
	p.focusOn("textbox", "Admin key")
	p.press(s.admin + kb.Enter)
	p.arrive("/")

	// The first stop leads past the navigation.
	p.press(kb.Tab)
	p.focusOn("link", "Skip to the content")
	p.press(kb.Enter)
	p.press(kb.Tab)
	p.focusOn("link", "Make the first pool")
	p.press(kb.Enter)
	p.arrive("/new-pool")
	p.focusOn("textbox", "Name")
	p.press(stack.Pool)
	p.tabTo("button", "Create the pool")
	p.press(" ")

	p.see("The pool gitlab is there")
	token := copyToken(p)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.agentWith(file)
	s.Key = s.Gateway.Command(t, "key", "create", "backend", "--pool", stack.Pool)
	p.tabTo("link", "Go to the pool")
	p.press(kb.Enter)
	p.arrive("/pools/gitlab")
	p.tabTo("link", "Requests", stack.Pool)
	p.press(kb.Enter)
	p.arrive("/pools/gitlab/requests")

	s.expect(200, "", "GET", "/api/v4/user")
	s.expect(403, "denied", "GET", "/api/v4/users")
	p.seeRows("#request-rows", []string{"Served"}, []string{"Denied"})
	p.tabTo("combobox", "Outcome")
	p.press("Den")
	p.tabTo("button", "Filter")
	p.press(kb.Enter)
	p.seeRows("#request-rows", []string{"Denied"})

	// The details take the focus and give it back, by Escape and by the button.
	p.tabTo("link", "GET /api/v4/users")
	p.press(kb.Enter)
	p.seeIn("#request-detail", "Denied by the agent")
	p.focusOn("region", "Denied HTTP 403")
	p.press(kb.Escape)
	p.seeNot("Denied by the agent")
	p.focusOn("link", "GET /api/v4/users")
	p.press(kb.Enter)
	p.tabTo("button", "Close")
	p.press(" ")
	p.seeNot("Denied by the agent")
	p.focusOn("link", "GET /api/v4/users")

	// On a phone they lie over the list, until the focus goes there.
	p.resize(390)
	p.press(kb.Enter)
	p.seeIn("#request-detail", "Denied by the agent")
	p.focusOn("region", "Denied HTTP 403")
	p.press(kb.Tab, chromedp.ModifierShift)
	p.focusOn("link", "GET /api/v4/users")
	p.seeNot("Denied by the agent")
	p.resize(widths[0])

	// New requests wait while the focus is in the list, and are shown on demand.
	s.expect(403, "denied", "DELETE", "/api/v4/user")
	p.tabBackTo("button", "Show 1 new request")
	p.press(kb.Enter)
	p.seeRows("#request-rows", []string{"DELETE"}, []string{"GET"})
	if f, err := p.focused(); err != nil || f.lost || !f.visible {
		t.Errorf("after the new request was shown: %v, %v", f, err)
	}

	// Dialogs give the focus back, and keep it while they are open.
	p.tabTo("link", "Connections", stack.Pool)
	p.press(kb.Enter)
	p.arrive("/pools/gitlab")
	p.tabTo("button", "Check")
	p.press(kb.Enter)
	p.seeIn("#check-result", "All well")
	p.focusOn("button", "Check")
	for _, dialog := range []struct{ link, field, role, sentence string }{
		{"Pause", "Pause the pool", "button", "Callers get 503"},
		{"Rotate token", "Get a new token", "button", "until you revoke theirs"},
		{"Delete", "Type gitlab to go on", "textbox", "It can't be undone"},
	} {
		p.tabTo("link", dialog.link)
		p.press(kb.Enter)
		p.see(dialog.sentence)
		p.focusOn(dialog.role, dialog.field)
		p.staysInDialog()
		p.escapeDialog()
		p.focusOn("link", dialog.link)
	}
	p.revokeDialog(s)
	p.tabBackTo("link", "Delete")
	p.press(kb.Enter)
	p.focusOn("textbox", "Type gitlab to go on")
	p.press(stack.Pool)
	p.tabTo("button", "Delete the pool")
	p.press(kb.Enter)
	p.arrive("/")
	p.see("No pool yet")

	p.tabTo("button", "Sign out")
	p.press(kb.Enter)
	p.arrive("/sign-in")
}

// copyToken goes to the token, which can be selected, and copies it.
func copyToken(p *tab) string {
	p.t.Helper()
	_, err := chromedp.CallBrowser(p.ctx, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: "clipboard-read"}, Setting: browser.PermissionSettingGranted, Origin: p.watch.origin,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.tabTo("textbox", "Agents join the pool with it")
	shown := must[string](p, `document.activeElement.value`)
	p.tabTo("button", "Copy", "1 Save the token")
	p.press(" ")
	p.see("Copied")
	copied, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`navigator.clipboard.readText()`, chromedp.EvalAwaitPromise))
	if err != nil || strings.TrimSpace(copied) != shown || shown == "" {
		p.t.Fatalf("copied %q, %v; the page shows %q", copied, err, shown)
	}
	return shown
}

// revokeDialog opens a dialog from a table that is brought up to date meanwhile:
// the link that opened it is another one by then, and gets the focus all the same.
func (p *tab) revokeDialog(s *scene) {
	p.t.Helper()
	p.tabTo("link", "Tokens", stack.Pool)
	p.press(kb.Enter)
	p.arrive("/pools/gitlab/tokens")
	revoke := must[string](p, revokeLink)
	p.tabTo("link", revoke)
	p.press(kb.Enter)
	p.focusOn("button", "Revoke the token")
	s.api("POST", "/pools/gitlab/tokens")
	p.seeRows("#tokens", []string{"1 agent"}, []string{"no agent"})
	p.escapeDialog()
	p.focusOn("link", revoke)
}

// escapeDialog closes a dialog and waits until nothing is left of it: what has the
// focus then keeps it.
func (p *tab) escapeDialog() {
	p.t.Helper()
	p.press(kb.Escape)
	eventually(p.t, "no dialog", func() bool { return must[bool](p, `!document.querySelector("dialog")`) })
}

// staysInDialog presses Tab more often than a dialog has stops.
func (p *tab) staysInDialog() {
	p.t.Helper()
	for range 8 {
		p.press(kb.Tab)
		if where := must[string](p, `document.activeElement.closest("dialog") ? "" : document.activeElement.outerHTML.slice(0, 200)`); where != "" && !strings.HasPrefix(where, "<body") {
			p.t.Errorf("Tab led out of the dialog, to %s", where)
		}
	}
}
