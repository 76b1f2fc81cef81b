package browser_test

import (
	_ "embed"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"vcsagent/test/stack"
)

//go:embed layout.js
var layoutFaults string

// structureFaults are what is wrong with a page's elements, at any size.
const structureFaults = `(() => {
	const wrong = [], ids = new Set()
	for (const e of document.querySelectorAll("[id]")) {
		if (ids.has(e.id)) wrong.push("two elements have the id " + e.id)
		ids.add(e.id)
	}
	for (const e of document.querySelectorAll("[for], [aria-labelledby], [aria-describedby]")) {
		for (const id of [e.htmlFor, e.getAttribute("aria-labelledby")].filter(Boolean).join(" ").split(" ").filter(Boolean)) {
			if (!ids.has(id)) wrong.push("nothing has the id " + id + " that <" + e.tagName.toLowerCase() + "> names")
		}
	}
	if (document.querySelectorAll("h1").length !== 1 && !document.querySelector("dialog") && !location.pathname.startsWith("/requests/")) wrong.push("it has " + document.querySelectorAll("h1").length + " h1")
	if (!document.documentElement.lang) wrong.push("it has no language")
	if (!document.title) wrong.push("it has no title")
	return wrong
})()`

// widths are a desktop's, a tablet's and a phone's.
var widths = []int64{1280, 820, 390}

// The pages fit their window, at three widths, and can be read, light and dark.
func TestLayout(t *testing.T) {
	s := newScene(t, stack.Options{})
	s.LaunchAgent(t, stack.AgentOptions{Env: []string{
		"SPACELIFT_METADATA_region=eu-central-1", "SPACELIFT_METADATA_instance_id=i-0123456789abcdef0",
		"SPACELIFT_METADATA_long=an-unusually-long-value-of-a-tag-that-nobody-thought-of-when-the-table-was-made",
	}})
	p := startChromium(t).tab(s.origin())
	p.open("/sign-in")
	p.looksRight("sign-in")
	s.signIn(p)
	p.open("/")
	p.see("1 agent")
	s.expect(200, "", "GET", "/api/v4/user")
	s.expect(403, "denied", "GET", "/api/v4/projects/a%2Fgroup%2Fwith%2Fa%2Fvery%2Flong%2Fname%2Fthat%2Fgoes%2Fon/repository/and/then/a/path/that/no/rule/allows?with=a&query=too")
	s.expect(502, "vcs_unreachable", "GET", brokenPath)
	p.open("/requests")
	p.seeRows("#request-rows", []string{"Served"}, []string{"Denied"}, []string{"VCS error"})
	p.looksRight("requests")
	p.click("link", "GET "+brokenPath)
	p.seeIn("#request-detail", "vcs_unreachable")
	p.looksRight("requests with details")
	for _, path := range []string{
		"/", "/pools/gitlab", "/pools/gitlab/requests", "/requests?outcome=cancelled", "/pools/gitlab/tokens", "/pools/gitlab/tokens/new", "/pools/gitlab/settings",
		"/pools/gitlab/pause", "/pools/gitlab/delete", "/new-pool", "/keys", "/new-key", "/audit",
	} {
		p.open(path)
		p.looksRight(path)
	}
	p.open("/pools/gitlab")
	p.click("button", "Check")
	p.seeIn("#check-result", "All well")
	p.looksRight("a check")
	p.click("link", "Delete")
	p.see("It can't be undone")
	p.looksRight("a dialog")
	p.open("/new-pool")
	p.fill("Name", "another")
	p.click("button", "Create the pool")
	p.see("The pool another is there")
	p.looksRight("a new pool")
	p.open("/pools/another")
	p.see("No agent is connected")
	p.looksRight("a pool without agents")
	p.watch.expect("GET", "/nowhere", 404)
	p.open("/nowhere")
	p.looksRight("not found")
}

// What can be wrong with a page is seen, each of it.
func TestLayoutFaults(t *testing.T) {
	c := startChromium(t)
	const fine = `<!doctype html><html lang="en"><title>x</title><h1>One</h1><p>two</p><p>three</p>`
	for name, tc := range map[string]struct{ page, want string }{
		"wide":      {`<pre>` + strings.Repeat("wide ", 100), "the page is"},
		"pale":      {`<p style="color: #888">pale</p>`, "contrast 3.5"},
		"clear":     {`<p style="opacity: .5">half</p>`, "contrast"},
		"pale hint": {`<input aria-label="x" placeholder="hint" style="color-scheme: light"><style>::placeholder { color: #bbb }</style>`, "contrast 1.9"},
		"cut":       {`<button style="width: 20px; overflow: hidden; white-space: nowrap">a long word</button>`, "is cut"},
		"overlap":   {`<button>one</button><button style="margin-left: -20px">two</button>`, "overlap"},
		"ids":       {`<p id="a"></p><p id="a"></p>`, "two elements have the id a"},
		"label":     {`<label for="nobody">x</label>`, "nothing has the id nobody"},
		"heading":   {`<h1>Two</h1>`, "2 h1"},
		"no name":   {`<button><svg width="9" height="9"></svg></button>`, "a button"},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, fine+tc.page)
		}))
		p := c.tabWith(newWatch(srv.URL))
		p.open("/")
		p.resize(390)
		faults := slices.Concat(must[[]string](p, layoutFaults), must[[]string](p, structureFaults), p.unnamed())
		if len(faults) != 1 || !strings.Contains(faults[0], tc.want) {
			t.Errorf("%s: the faults are %q, want one with %q", name, faults, tc.want)
		}
		srv.Close()
	}
}

// looksRight looks at the page at all widths, light and dark.
func (p *tab) looksRight(page string) {
	p.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		_, err := chromedp.Call(p.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		if err != nil {
			p.t.Fatal(err)
		}
		for _, width := range widths {
			p.resize(width)
			for _, fault := range must[[]string](p, layoutFaults) {
				p.t.Errorf("%s, %d wide, %s: %s", page, width, scheme, fault)
			}
		}
	}
	for _, fault := range must[[]string](p, structureFaults) {
		p.t.Errorf("%s: %s", page, fault)
	}
	for _, unnamed := range p.unnamed() {
		p.t.Errorf("%s: %s has no name", page, unnamed)
	}
	p.resize(widths[0])
}

// resize gives the window a width.
func (p *tab) resize(width int64) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, chromedp.EmulateViewport(width, 900)); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "the new width", func() bool { return must[int64](p, "innerWidth") == width })
}

// unnamed are the elements to act on, and pictures, that have no accessible name.
func (p *tab) unnamed() []string {
	p.t.Helper()
	all, err := p.elements()
	if err != nil {
		p.t.Fatal(err)
	}
	var unnamed []string
	for _, n := range all {
		switch n.role() {
		case "button", "link", "textbox", "searchbox", "spinbutton", "combobox", "checkbox", "radio", "Date", "DateTime", "DisclosureTriangle", "image", "img", "dialog", "navigation", "search":
			if n.name() == "" {
				unnamed = append(unnamed, fmt.Sprintf("a %s in %q", n.role(), n.around))
			}
		}
	}
	return unnamed
}
