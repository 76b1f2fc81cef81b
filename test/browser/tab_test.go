package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// tab is a tab of the browser and whoever sits before it.
type tab struct {
	t       testing.TB
	ctx     context.Context
	browser *chromium
	watch   *watch
}

// open goes to a path of the tab's origin, as by the address bar.
func (p *tab) open(path string) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, chromedp.Navigate(p.watch.origin+path)); err != nil {
		p.t.Fatalf("open %s: %v", path, err)
	}
}

// arrive waits until the tab shows the page of a path, loaded.
func (p *tab) arrive(path string) {
	p.t.Helper()
	var at string
	eventually(p.t, "the page "+path, func() bool {
		at, _ = eval[string](p, `document.readyState === "complete" ? location.pathname : ""`)
		return at == path
	})
}

// text is what a person reads on the page.
func (p *tab) text() string {
	text, _ := eval[string](p, `document.body.innerText`)
	return text
}

// see waits until the page shows all the texts.
func (p *tab) see(texts ...string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("text on the page: %q", texts), func() bool { return p.shows(texts...) })
}

// seeNot waits until the page shows none of the texts.
func (p *tab) seeNot(texts ...string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("no such text on the page: %q", texts), func() bool {
		text := p.text()
		return text != "" && !slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(text, s) })
	})
}

// seeIn waits until an element of the page shows all the texts.
func (p *tab) seeIn(selector string, texts ...string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("in %s: %q", selector, texts), func() bool {
		text, _ := eval[string](p, `document.querySelector(`+quote(selector)+`)?.innerText ?? ""`)
		return hasAll(text, texts)
	})
}

// rows are the rows of a table on the page, as a person reads them.
func (p *tab) rows(selector string) []string {
	rows, _ := eval[[]string](p, `[...document.querySelectorAll(`+quote(selector+" tbody tr, "+selector+" > tr")+`)].map(r => r.innerText.replace(/\s+/g, " ").trim())`)
	return rows
}

// seeRows waits until a table has as many rows as are given, each with all of a
// row's words.
func (p *tab) seeRows(selector string, rows ...[]string) {
	p.t.Helper()
	var got []string
	defer func() {
		if p.t.Failed() {
			p.t.Logf("the rows in the end: %q", got)
		}
	}()
	eventually(p.t, fmt.Sprintf("rows in %s: %q", selector, rows), func() bool {
		got = p.rows(selector)
		return len(got) == len(rows) && !slices.ContainsFunc(rows, func(words []string) bool {
			return !slices.ContainsFunc(got, func(row string) bool { return hasAll(row, words) })
		})
	})
}

func hasAll(s string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(s, w) })
}

// document tells the page from one that is loaded later.
func (p *tab) document() float64 {
	p.t.Helper()
	return must[float64](p, `performance.timeOrigin`)
}

// leave waits until another page has been loaded.
func (p *tab) leave(document float64) {
	p.t.Helper()
	eventually(p.t, "another page", func() bool {
		loaded, err := eval[bool](p, `document.readyState === "complete"`)
		return err == nil && loaded && p.document() != document
	})
}

// stillOn fails the test if the page was loaded anew.
func (p *tab) stillOn(document float64) {
	p.t.Helper()
	if now := p.document(); now != document {
		p.t.Errorf("the page was reloaded")
	}
}

// cookies are all that the browser has for the page, those kept from scripts too.
func (p *tab) cookies() []*network.Cookie {
	p.t.Helper()
	got, err := chromedp.Call(p.ctx, network.GetCookies, network.GetCookiesParams{})
	if err != nil {
		p.t.Fatal(err)
	}
	return got.Cookies
}

// shows says whether the page shows all the texts now.
func (p *tab) shows(texts ...string) bool {
	text := p.text()
	return hasAll(text, texts)
}

// node is an element as assistive technology has it.
type node struct {
	*accessibility.Node
	around []string // the names of what it is in
}

func (n node) role() string { return axString(n.Role) }
func (n node) name() string { return axString(n.Name) }

// is says whether a property such as "disabled" or "focusable" is true.
func (n node) is(property accessibility.PropertyName) bool {
	for _, p := range n.Properties {
		if p.Name == property {
			return string(p.Value.Value) == "true"
		}
	}
	return false
}

func axString(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var s string
	if json.Unmarshal([]byte(v.Value), &s) != nil {
		return string(v.Value)
	}
	return s
}

// elements are all elements on the page that aren't hidden from people.
func (p *tab) elements() ([]node, error) {
	tree, err := chromedp.Call(p.ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	byID := make(map[accessibility.NodeID]node, len(tree.Nodes))
	var all []node
	for _, n := range tree.Nodes { // parents come first
		e := node{Node: n}
		if parent, ok := byID[n.ParentID]; ok {
			e.around = parent.around
			if name := parent.name(); name != "" {
				e.around = append(slices.Clone(e.around), name)
			}
		}
		byID[n.NodeID] = e
		if !n.Ignored && n.BackendDOMNodeID != 0 {
			all = append(all, e)
		}
	}
	return all, err
}

// find waits for the element of a role, such as "button" or "textbox|searchbox",
// with a name, and returns it. There must be only one, within the landmarks or
// rows of the names given.
func (p *tab) find(role, name string, within ...string) node {
	p.t.Helper()
	var found []node
	eventually(p.t, fmt.Sprintf("one %s %q in %q", role, name, within), func() bool {
		all, err := p.elements()
		found = slices.DeleteFunc(all, func(n node) bool {
			return !slices.Contains(strings.Split(role, "|"), n.role()) || n.name() != name || n.is(accessibility.PropertyNameDisabled) ||
				slices.ContainsFunc(within, func(name string) bool { return !slices.Contains(n.around, name) })
		})
		return err == nil && len(found) == 1
	})
	return found[0]
}

// has says whether there is such an element now.
func (p *tab) has(role, name string) bool {
	p.t.Helper()
	all, err := p.elements()
	if err != nil {
		p.t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(n node) bool { return n.role() == role && n.name() == name })
}
