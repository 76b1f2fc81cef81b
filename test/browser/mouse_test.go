package browser_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// click moves the mouse to an element and clicks.
func (p *tab) click(role, name string, within ...string) {
	p.t.Helper()
	var err error
	// The page may replace or move the element after it was found.
	for range 5 {
		if err = p.clickOn(p.find(role, name, within...).BackendDOMNodeID); err == nil {
			return
		}
	}
	p.t.Fatalf("click on %s %q: %v", role, name, err)
}

// where is the script that tells the middle of an element, and whether a
// click there hits it.
const where = `function() {
	this.scrollIntoView({block: "center", inline: "center", behavior: "instant"})
	const r = this.getClientRects()[0]
	if (!r) return {what: "nothing: it isn't shown"}
	const x = r.left + r.width / 2, y = r.top + r.height / 2
	const hit = document.elementFromPoint(x, y)
	return {x, y, hits: this.contains(hit) || [...this.labels ?? []].some(l => l.contains(hit)), what: hit?.outerHTML.slice(0, 200) ?? "nothing"}
}`

// clickOn clicks in the middle of an element, or says what is in the way.
func (p *tab) clickOn(id cdp.BackendNodeID) error {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	at, err := onElement[struct {
		X, Y float64
		Hits bool
		What string
	}](ctx, id, where)
	if err != nil {
		return err
	}
	if !at.Hits {
		return fmt.Errorf("the mouse would hit %s", at.What)
	}
	return chromedp.Do(ctx, chromedp.MouseEvent(chromedp.MouseMoved, at.X, at.Y), chromedp.MouseClickXY(at.X, at.Y))
}

// onElement calls a function of JavaScript on an element.
func onElement[T any](ctx context.Context, id cdp.BackendNodeID, function string) (T, error) {
	var v T
	o, err := chromedp.Call(ctx, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: id})
	if err != nil {
		return v, err
	}
	if o.Object == nil {
		return v, errors.New("the element is gone")
	}
	return chromedp.Run(ctx, chromedp.CallFunctionOn[T](function, func(c *runtime.CallFunctionOnParams) { c.ObjectID = o.Object.ObjectID }))
}

// fill clicks into a field and types in place of what is in it.
func (p *tab) fill(label, text string) {
	p.t.Helper()
	p.click("textbox|searchbox|spinbutton", label)
	p.retype(text)
}

// choose chooses an option of a list.
func (p *tab) choose(label, option string) {
	p.t.Helper()
	p.click("combobox", label)
	p.press(option)
	p.press(kb.Enter)
}
