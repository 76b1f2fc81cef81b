package browser_test

import (
	"context"
	"fmt"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// maxTabs is how often Tab is pressed in search of an element before the test
// gives up; the fullest page has fewer stops.
const maxTabs = 150

// press presses keys, one after the other.
func (p *tab) press(keys string, modifiers ...chromedp.Modifier) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.KeyEvent(keys, chromedp.KeyModifiers(modifiers...))); err != nil {
		p.t.Fatalf("press %q: %v", keys, err)
	}
}

// retype types in place of what is in the focused field.
func (p *tab) retype(text string) {
	p.t.Helper()
	p.press("a", chromedp.ModifierCtrl)
	p.press(kb.Backspace)
	p.press(text)
}

// focus is what the keyboard acts on.
type focus struct {
	role, name string
	id         cdp.BackendNodeID
	lost       bool // nothing has it
	visible    bool // a person sees that it's there
}

func (f focus) String() string {
	if f.lost {
		return "the focus, which is nowhere"
	}
	return fmt.Sprintf("the focus on %s %q", f.role, f.name)
}

// looks tells whether the focused element looks focused: it has an outline or
// a shadow that is gone while it isn't, and its middle isn't covered.
const looks = `(() => {
	const e = document.activeElement, style = s => [s.outlineStyle, s.outlineWidth, s.boxShadow]
	const [outline, width, shadow] = style(getComputedStyle(e))
	const box = e.getClientRects()[0], middle = (from, to, most) => (Math.max(from, 0) + Math.min(to, most)) / 2
	const top = box && document.elementFromPoint(middle(box.left, box.right, innerWidth), middle(box.top, box.bottom, innerHeight))
	const seen = top && (e.contains(top) || top.contains(e))
	return seen && e.matches(":focus-visible") && (outline !== "none" && parseFloat(width) > 0 || shadow !== "none")
})()`

// focused returns what has the focus.
func (p *tab) focused() (focus, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	lost, err := eval[bool](p, `!document.activeElement || document.activeElement === document.body || document.activeElement === document.documentElement`)
	if err != nil || lost {
		return focus{lost: true}, err
	}
	element, err := chromedp.Run(ctx, chromedp.Evaluate[*runtime.RemoteObject](`document.activeElement`))
	if err != nil {
		return focus{}, err
	}
	tree, err := chromedp.Call(ctx, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{ObjectID: element.ObjectID, FetchRelatives: new(false)})
	if err != nil || len(tree.Nodes) == 0 {
		return focus{}, fmt.Errorf("no accessible element has the focus: %v", err)
	}
	n := node{Node: tree.Nodes[0]}
	visible, err := eval[bool](p, looks)
	return focus{role: n.role(), name: n.name(), id: n.BackendDOMNodeID, visible: visible}, err
}

// tabTo presses Tab until an element has the focus. At each stop the focus must
// be seen.
func (p *tab) tabTo(role, name string, within ...string) {
	p.t.Helper()
	p.seek(role, name, within, func() { p.press(kb.Tab) })
}

// tabBackTo does the same with Shift and Tab.
func (p *tab) tabBackTo(role, name string, within ...string) {
	p.t.Helper()
	p.seek(role, name, within, func() { p.press(kb.Tab, chromedp.ModifierShift) })
}

func (p *tab) seek(role, name string, within []string, next func()) {
	p.t.Helper()
	p.find(role, name, within...) // it may have to come first
	var stops []focus
	for range maxTabs {
		f, err := p.focused()
		if err != nil {
			p.t.Fatal(err)
		}
		if !f.lost { // as it is at the page's start, and beyond its end
			p.checkFocus(f)
		}
		if f.role == role && f.name == name && (within == nil || f.id == p.find(role, name, within...).BackendDOMNodeID) {
			return
		}
		stops = append(stops, f)
		next()
	}
	p.t.Fatalf("%d times Tab did not lead to %s %q, but to %v", maxTabs, role, name, stops)
}

// focusOn waits until an element has the focus, which must be seen.
func (p *tab) focusOn(role, name string) {
	p.t.Helper()
	var f focus
	defer func() {
		if p.t.Failed() {
			p.t.Logf("in the end: %v", f)
		}
	}()
	eventually(p.t, fmt.Sprintf("the focus on %s %q", role, name), func() bool {
		var err error
		f, err = p.focused()
		return err == nil && f.role == role && f.name == name
	})
	p.checkFocus(f)
}

// checkFocus fails the test if a person can't see what has the focus.
func (p *tab) checkFocus(f focus) {
	p.t.Helper()
	if f.lost || !f.visible {
		p.t.Errorf("%v isn't to be seen", f)
	}
}
