package browser_test

import (
	"fmt"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// record keeps every answer that a tab gets: the bodies, and the headers.
type record struct {
	mu      sync.Mutex
	sent    map[network.RequestID]string // "POST URL"; of redirects, the first
	bodies  []answer
	headers []answer
}

// answer is a part of one.
type answer struct{ to, text string }

// record begins to keep the answers.
func (p *tab) record() *record {
	p.t.Helper()
	r := &record{sent: make(map[network.RequestID]string)}
	err := chromedp.Listen(p.ctx, func(ev any) {
		r.mu.Lock()
		defer r.mu.Unlock()
		switch ev := ev.(type) {
		case *fetch.EventRequestPaused:
			go r.keep(p, ev) // not here: a listener must not wait for an answer
		case *network.EventRequestWillBeSent:
			if r.sent[ev.RequestID] == "" {
				r.sent[ev.RequestID] = ev.Request.Method + " " + ev.Request.URL
			}
		case *network.EventResponseReceivedExtraInfo: // has Set-Cookie too
			r.headers = append(r.headers, answer{r.sent[ev.RequestID], fmt.Sprint(ev.Headers)})
		}
	})
	if err == nil {
		_, err = chromedp.Call(p.ctx, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{
			{URLPattern: p.watch.origin + "/*", RequestStage: fetch.RequestStageResponse},
		}})
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// keep keeps an answer and lets the page have it. One that the page has given up
// meanwhile is an error of the browser's, and nobody's loss.
func (r *record) keep(p *tab, paused *fetch.EventRequestPaused) {
	if got, err := chromedp.Call(p.ctx, fetch.GetResponseBody, fetch.GetResponseBodyParams{RequestID: paused.RequestID}); err == nil {
		r.mu.Lock()
		r.bodies = append(r.bodies, answer{paused.Request.Method + " " + paused.Request.URL, string(got.Body)})
		r.mu.Unlock()
	}
	_, _ = chromedp.Call(p.ctx, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: paused.RequestID})
}

// bodiesWith says to what requests the answers have a text in their body.
func (r *record) bodiesWith(text string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return with(r.bodies, text)
}

// headersWith says to what requests they have it in their headers.
func (r *record) headersWith(text string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return with(r.headers, text)
}

func with(answers []answer, text string) []string {
	var found []string
	for _, a := range answers {
		if strings.Contains(a.text, text) {
			found = append(found, a.to)
		}
	}
	return found
}
