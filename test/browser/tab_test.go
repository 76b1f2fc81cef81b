package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
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

// shows says whether the page shows all the texts now.
func (p *tab) shows(texts ...string) bool {
	text := p.text()
	return !slices.ContainsFunc(texts, func(s string) bool { return !strings.Contains(text, s) })
}

// node is an element as assistive technology has it.
type node struct {
	*accessibility.Node
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
	var all []node
	for _, n := range tree.Nodes {
		if !n.Ignored && n.BackendDOMNodeID != 0 {
			all = append(all, node{n})
		}
	}
	return all, err
}

// find waits for the element of a role, such as "button" or "button|link", with a
// name, and returns it. There must be only one.
func (p *tab) find(role, name string) node {
	p.t.Helper()
	var found []node
	eventually(p.t, fmt.Sprintf("one %s %q", role, name), func() bool {
		all, err := p.elements()
		found = slices.DeleteFunc(all, func(n node) bool {
			return !slices.Contains(strings.Split(role, "|"), n.role()) || n.name() != name || n.is(accessibility.PropertyNameDisabled)
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
