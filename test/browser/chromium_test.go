package browser_test

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"vcsagent/test/servers"
)

// chromium is a browser of a test's own, with a profile of its own.
type chromium struct {
	t     testing.TB
	ctx   context.Context
	saved chan string // paths of files that were downloaded
}

// startChromium starts a browser that has nothing of this machine's environment
// and ends, with every process of its, when the test ends.
func startChromium(t testing.TB) *chromium {
	t.Helper()
	c := &chromium{t: t, saved: make(chan string, 8)}
	// Not the test's context: that ends before the browser can be closed.
	ctx, stop := context.WithTimeout(context.Background(), testTime)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(servers.Chromium(t)),
		chromedp.NoInheritEnv, chromedp.Env("PATH=/usr/bin:/bin", "HOME="+t.TempDir(), "LANG=C.UTF-8"),
		chromedp.Flag("headless", "new"), chromedp.Flag("no-proxy-server", true), chromedp.WindowSize(1280, 900))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	ctx, _ = chromedp.NewExecAllocator(ctx, options...)
	allocator := chromedp.FromContext(ctx).Allocator
	c.ctx, _ = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		closing, cancel := context.WithTimeout(c.ctx, 10*time.Second)
		defer cancel()
		if err := chromedp.Cancel(closing); err != nil {
			t.Errorf("close the browser: %v", err)
		}
		stop()
		allocator.Wait() // for its processes, and until its profile is removed
	})
	if err := chromedp.Do(c.ctx); err != nil {
		t.Fatalf("start the browser: %v", err)
	}
	c.keepDownloads()
	return c
}

// keepDownloads sends what pages give to download to a folder of the test's.
func (c *chromium) keepDownloads() {
	c.t.Helper()
	err := chromedp.ListenBrowser(c.ctx, func(ev any) {
		if d, ok := ev.(*browser.EventDownloadProgress); ok && d.State == browser.DownloadProgressStateCompleted {
			c.saved <- d.FilePath
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
	_, err = chromedp.CallBrowser(c.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: c.t.TempDir(), EventsEnabled: new(true),
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// download waits until the next download is complete and returns its path.
func (c *chromium) download() string {
	c.t.Helper()
	return receive(c.t, "a download", c.saved)
}

// tab opens a tab for the pages of an origin, such as http://127.0.0.1:8081, and
// watches what they do until the test ends.
func (c *chromium) tab(origin string) *tab {
	c.t.Helper()
	p := c.tabWith(newWatch(origin))
	c.t.Cleanup(func() {
		if c.t.Failed() {
			text, err := eval[string](p, `location.href + "\n" + document.body.innerText`)
			c.t.Logf("the page in the end, %v:\n%.4000s", err, text)
		}
		for _, trouble := range p.watch.troubles() {
			c.t.Errorf("the pages: %s", trouble)
		}
	})
	return p
}

// tabWith opens a tab whose watch is somebody else's to ask.
func (c *chromium) tabWith(w *watch) *tab {
	c.t.Helper()
	p := &tab{t: c.t, browser: c, watch: w}
	p.ctx, _ = chromedp.NewContext(c.ctx, chromedp.WithListener(w.see))
	if err := chromedp.Do(p.ctx); err != nil {
		c.t.Fatalf("open a tab: %v", err)
	}
	return p
}

// eval evaluates an expression in the page. It works without JavaScript in the
// page too.
func eval[T any](p *tab, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](expression))
}

// must is eval that fails the test.
func must[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := eval[T](p, expression)
	if err != nil {
		p.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return v
}

// quote writes a string as JavaScript.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings can be marshalled
	}
	return string(b)
}
