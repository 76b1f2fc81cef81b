package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// watch keeps an eye on what a tab's pages do.
type watch struct {
	origin string

	mu       sync.Mutex
	bad      []string
	expected map[string]bool // refusals as "GET /path 404", and whether they came
	methods  map[network.RequestID]string
	urls     []string // of every request
}

func newWatch(origin string) *watch {
	return &watch{origin: origin, expected: make(map[string]bool), methods: make(map[network.RequestID]string)}
}

// expect says that the pages will get this status at least once, and that it's no
// trouble.
func (w *watch) expect(method, path string, status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.expected[fmt.Sprintf("%s %s %d", method, path, status)] = false
}

// troubles are what should not have happened.
func (w *watch) troubles() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := slices.Clone(w.bad)
	for answer, came := range w.expected {
		if !came {
			all = append(all, "never got "+answer)
		}
	}
	return all
}

// requested returns the URLs of all requests so far.
func (w *watch) requested() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.urls)
}

// see takes the tab's events.
func (w *watch) see(ev any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	trouble := func(format string, args ...any) { w.bad = append(w.bad, fmt.Sprintf(format, args...)) }
	switch ev := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		if ev.Type == runtime.ConsoleAPICalledTypeError || ev.Type == runtime.ConsoleAPICalledTypeWarning || ev.Type == runtime.ConsoleAPICalledTypeAssert {
			var text []string
			for _, a := range ev.Args {
				text = append(text, string(a.Value)+a.Description)
			}
			trouble("console %s: %s", ev.Type, strings.Join(text, " "))
		}
	case *runtime.EventExceptionThrown:
		d := ev.ExceptionDetails
		if d.Exception != nil {
			trouble("exception: %s %s", d.Text, d.Exception.Description)
		} else {
			trouble("exception: %s", d.Text)
		}
	case *log.EventEntryAdded:
		e := ev.Entry
		if e.Level != log.EntryLevelError && e.Level != log.EntryLevelWarning {
			return
		}
		// The status itself is looked at below.
		if e.Source == log.EntrySourceNetwork && strings.HasPrefix(e.Text, "Failed to load resource: the server responded with a status of") {
			return
		}
		trouble("%s %s: %s (%s)", e.Source, e.Level, e.Text, e.URL)
	case *network.EventRequestWillBeSent:
		w.methods[ev.RequestID] = ev.Request.Method
		w.urls = append(w.urls, ev.Request.URL+ev.Request.URLFragment)
		if !ofOrigin(ev.Request.URL, w.origin) {
			trouble("request to another origin: %s %s", ev.Request.Method, ev.Request.URL)
		}
	case *network.EventResponseReceived:
		if ev.Response.Status < 400 {
			return
		}
		u, err := url.Parse(ev.Response.URL)
		if err != nil {
			trouble("answer for %s: %v", ev.Response.URL, err)
			return
		}
		answer := fmt.Sprintf("%s %s %d", w.methods[ev.RequestID], u.Path, ev.Response.Status)
		if _, ok := w.expected[answer]; !ok {
			trouble("answer %s", answer)
			return
		}
		w.expected[answer] = true
	case *network.EventLoadingFailed:
		// A poll that a navigation ends, and a download, which leaves the page.
		if !ev.Canceled && ev.ErrorText != "net::ERR_ABORTED" {
			trouble("request failed: %s %s %s", w.methods[ev.RequestID], ev.ErrorText, ev.BlockedReason)
		}
	}
}

// ofOrigin says whether a URL is of an origin or of the page itself.
func ofOrigin(raw, origin string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	switch u.Scheme {
	case "data", "about":
		return true
	case "blob":
		return strings.HasPrefix(u.Opaque, origin+"/")
	}
	return u.Scheme+"://"+u.Host == origin
}

// What the pages must not do is seen, each of it.
func TestWatch(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	answers := map[string]string{
		"console":    `<script>console.error("broken", 7)</script>`,
		"warning":    `<script>console.warn("careful")</script>`,
		"exception":  `<script>null.f()</script>`,
		"rejection":  `<script>Promise.reject(new Error("nobody cares"))</script>`,
		"policy":     `<meta http-equiv="Content-Security-Policy" content="style-src 'none'"><p style="color:red">x`,
		"missing":    `<script>fetch("/nothing")</script>`,
		"other":      `<script>fetch("` + other.URL + `/x", {mode: "no-cors"})</script>`,
		"failed":     `<script>fetch("/cut").catch(() => 0)</script>`,
		"unexpected": `<p>a refusal that never came`,
		"fine":       `<script>console.log("hello"); fetch("/ok"); fetch("/refused")</script><a href="data:,x">x</a>`,
	}
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		switch name {
		case "nothing":
			w.WriteHeader(http.StatusNotFound)
		case "refused":
			w.WriteHeader(http.StatusForbidden)
		case "cut":
			panic(http.ErrAbortHandler)
		default:
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, answers[name])
		}
	}))
	defer pages.Close()
	wants := map[string]string{
		"console": `console error: "broken" 7`, "warning": `console warning: "careful"`,
		"exception": "TypeError", "rejection": "nobody cares",
		"policy":  "security error: Applying inline style violates",
		"missing": "answer GET /nothing 404", "other": "request to another origin: GET " + other.URL + "/x",
		"failed": "request failed: GET net::ERR_", "unexpected": "never got POST /refused 403",
	}
	c := startChromium(t)
	for name := range answers {
		w := newWatch(pages.URL)
		if name == "unexpected" {
			w.expect("POST", "/refused", 403)
		}
		if name == "fine" {
			w.expect("GET", "/refused", 403)
		}
		p := c.tabWith(w)
		p.open("/" + name)
		if name == "fine" {
			eventually(t, "the page's requests", func() bool { return slices.Contains(w.requested(), pages.URL+"/ok") && len(w.troubles()) == 0 })
			continue
		}
		eventually(t, name, func() bool {
			return slices.ContainsFunc(w.troubles(), func(s string) bool { return strings.Contains(s, wants[name]) })
		})
	}
}
