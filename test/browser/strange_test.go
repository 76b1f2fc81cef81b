package browser_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// traffic is what a tab with pages that aren't the gateway's did.
type traffic struct {
	mu      sync.Mutex
	sent    map[network.RequestID]string // "POST URL"
	answers []string                     // "POST URL 403", those that pages don't get to see too
	logged  []string                     // what the browser said about the pages
}

func (n *traffic) see(ev any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		n.sent[ev.RequestID] = ev.Request.Method + " " + ev.Request.URL
	case *network.EventResponseReceivedExtraInfo:
		n.answers = append(n.answers, fmt.Sprintf("%s %d", n.sent[ev.RequestID], ev.StatusCode))
	case *log.EventEntryAdded:
		n.logged = append(n.logged, ev.Entry.Text)
	}
}

// to returns the answers to requests like "POST URL".
func (n *traffic) to(request string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []string
	for _, a := range n.answers {
		if strings.HasPrefix(a, request+" ") {
			found = append(found, a)
		}
	}
	return found
}

// said says whether the browser said something about the pages, all words of it.
func (n *traffic) said(words ...string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.ContainsFunc(n.logged, func(line string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	})
}

// strangeTab opens a tab for pages that aren't the gateway's.
func (c *chromium) strangeTab() (*tab, *traffic) {
	c.t.Helper()
	p, n := &tab{t: c.t, browser: c}, &traffic{sent: make(map[network.RequestID]string)}
	p.ctx, _ = chromedp.NewContext(c.ctx, chromedp.WithListener(n.see))
	if err := chromedp.Do(p.ctx); err != nil {
		c.t.Fatalf("open a tab: %v", err)
	}
	return p, n
}

// goTo goes to any URL.
func (p *tab) goTo(url string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		p.t.Fatalf("go to %s: %v", url, err)
	}
}

// addKey adds a caller's key to what the tab sends to an origin, as a browser by
// itself can't. It returns the cookies that the browser sends.
func (p *tab) addKey(origin, key string) <-chan string {
	p.t.Helper()
	cookies := make(chan string, 16)
	err := chromedp.Listen(p.ctx, func(ev any) {
		switch ev := ev.(type) {
		case *network.EventRequestWillBeSentExtraInfo:
			for name, value := range ev.Headers {
				if strings.EqualFold(name, "Cookie") && len(cookies) < cap(cookies) {
					cookies <- fmt.Sprint(value)
				}
			}
		case *fetch.EventRequestPaused:
			go p.passWithKey(ev, key) // not here: a listener must not wait for an answer
		}
	})
	if err == nil {
		_, err = chromedp.Call(p.ctx, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: origin + "/*"}}})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return cookies
}

func (p *tab) passWithKey(paused *fetch.EventRequestPaused, key string) {
	headers := []*fetch.HeaderEntry{{Name: "VCS-Gateway-Key", Value: key}}
	for name, value := range paused.Request.Headers {
		headers = append(headers, &fetch.HeaderEntry{Name: name, Value: fmt.Sprint(value)})
	}
	if _, err := chromedp.Call(p.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: paused.RequestID, Headers: headers}); err != nil && p.ctx.Err() == nil {
		p.t.Errorf("pass a request on: %v", err)
	}
}
