package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"

	"vcsagent/test/stack"
	"vcsagent/transport"
)

// inject is markup that runs a script where it's taken for markup, after a word
// that tells where it was said. It has no space, so that it fits everywhere.
func inject(where string) string {
	return where + `"'><img/src=x/onerror=window.hit=1><script>window.hit=1</script>{{.}}`
}

// unquoted is the same without a quote, for what takes none.
func unquoted(where string) string {
	return where + `'><img/src=x/onerror=window.hit=1><script>window.hit=1</script>`
}

// What agents, callers and the VCS say is text in the pages, wherever it is
// shown. That nothing of it was asked for and no script was even refused is
// what the watch sees to.
func TestInjectedMarkup(t *testing.T) {
	s := newScene(t, stack.Options{})
	p := startChromium(t).tab(s.origin())
	s.signIn(p)

	// In what admins type, each in the page that says it again.
	p.open("/pools/gitlab/settings")
	p.fill("Description", inject("description"))
	p.click("button", "Save")
	p.see("Saved", inject("description"))
	p.watch.expect("POST", "/new-pool", http.StatusUnprocessableEntity)
	p.open("/new-pool")
	p.fill("Name", "x")
	p.fill("Its address, seen from the agent optional", inject("endpoint"))
	before := p.document()
	p.click("button", "Create the pool")
	p.leave(before)
	p.harmless(strings.ReplaceAll(inject("endpoint"), `"`, `\"`))
	for _, address := range []string{"/?q=", "/requests?name=", "/requests?pool=", "/requests?key=", "/requests?outcome=", "/requests?from=", "/audit?action=", "/audit?target=", "/sign-in?why=", "/?done="} {
		p.open(address + url.QueryEscape(inject("address")))
		p.harmless()
	}
	p.watch.expect("GET", "/"+inject("path"), http.StatusNotFound)
	p.open("/" + url.PathEscape(inject("path")))
	p.harmless()

	// In a real agent's tags, and in requests that it gets.
	a := s.LaunchAgent(t, stack.AgentOptions{Env: []string{"SPACELIFT_METADATA_x=" + inject("tag")}})
	s.AwaitSession(t, a)
	s.call("GET", "/api/v4/projects/"+unquoted("target")+"?ref="+unquoted("query"), "X-Request-Id", unquoted("id"))
	s.call("PWN'ED", "/api/v4/user")
	p.open("/pools/gitlab")
	p.see(inject("tag"))
	p.harmless(inject("description"))
	p.readRequests(map[string][]string{unquoted("target"): {unquoted("id"), unquoted("query")}, "PWN'ED": nil})
	if err := a.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	a.ExitCode(t, patience)

	// In what an agent makes up.
	joinHostile(t, s)
	p.open("/pools/gitlab")
	p.see(inject("instance"), inject("software"), inject("vendor"), inject("tag")+"="+inject("value"))
	p.click("button", "Check")
	p.seeIn("#check-result", inject("instance"))
	p.harmless(inject("vendor"))
	s.call("GET", "/api/v4/told")
	s.call("GET", "/api/v4/denied")
	p.readRequests(map[string][]string{"/api/v4/told": {inject("name"), inject("purpose"), inject("project"), inject("instance")}, "/api/v4/denied": {inject("reason")}})
	p.open("/audit")
	p.see("agent.join")
	p.harmless(inject("instance"), inject("description"))
}

// harmless fails the test if a script ran or made-up markup is in the page, and
// looks for texts that must be shown as they are.
func (p *tab) harmless(texts ...string) {
	p.t.Helper()
	p.see(texts...)
	for what, found := range map[string]bool{
		"a script ran":       must[bool](p, `"hit" in window`),
		"there is an image":  must[bool](p, `document.images.length > 0`),
		"there is a script":  must[bool](p, `[...document.scripts].some(s => s.text !== "")`),
		"there is a handler": must[bool](p, `[...document.querySelectorAll("*")].some(e => [...e.attributes].some(a => a.name.startsWith("on")))`),
	} {
		if found {
			p.t.Errorf("%s in %s", what, must[string](p, "location.pathname"))
		}
	}
}

// readRequests opens requests of the log by a part of their line, beside the list
// and on a page of their own, and finds the texts there.
func (p *tab) readRequests(requests map[string][]string) {
	p.t.Helper()
	p.open("/requests")
	for line, texts := range requests {
		eventually(p.t, "the request "+line, func() bool {
			return slices.ContainsFunc(p.rows("#request-rows"), func(row string) bool { return strings.Contains(row, line) })
		})
		link := must[string](p, `[...document.querySelectorAll("#request-rows a")].find(a => a.textContent.includes(`+quote(line)+`)).textContent.replace(/\s+/g, " ").trim()`)
		address := must[string](p, `[...document.querySelectorAll("#request-rows a")].find(a => a.textContent.includes(`+quote(line)+`)).getAttribute("href")`)
		p.click("link", link)
		p.seeIn("#request-detail", append(texts, line)...)
		p.harmless(texts...)
		p.open(address)
		p.harmless(texts...)
		p.open("/requests")
	}
}

// joinHostile joins the pool as an agent that lies about all that it says.
func joinHostile(t testing.TB, s *scene) {
	t.Helper()
	token, err := transport.ParseToken(s.Token)
	if err != nil {
		t.Fatal(err)
	}
	config, err := transport.ClientTLS(token, nil)
	if err != nil {
		t.Fatal(err)
	}
	dialer := transport.Dialer{TLS: config, Parallelism: 1, Logger: slog.New(slog.DiscardHandler)}
	link, err := dialer.Dial(t.Context(), token.Host)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = link.Serve(ctx, transport.Server{ // its end is the test's
			Hello: transport.Hello{
				PoolID: token.PoolID, Key: token.Key, Parallelism: 1, Features: []string{transport.FeatureCheck},
				Instance: inject("instance"), Software: inject("software"), Vendor: inject("vendor"),
				Tags: map[string]string{inject("tag"): inject("value")},
			},
			Handler: http.HandlerFunc(answerHostile),
		})
	}()
	t.Cleanup(func() {
		end()
		<-ended
	})
}

// answerHostile answers with made-up markup in all that the gateway reads.
func answerHostile(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.URL.Path == transport.CheckPath {
		h.Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(transport.CheckResult{
			Vendor: inject("vendor"), Reachable: true, Status: 200, Version: inject("version"), Detail: inject("detail"),
		})
		return
	}
	h.Set(transport.NameHeader, inject("name"))
	h.Set(transport.PurposeHeader, inject("purpose"))
	h.Set(transport.ProjectHeader, url.PathEscape(inject("project")))
	h.Set(transport.StreamHeader, inject("stream"))
	h.Set("Content-Type", inject("type"))
	h.Set("Server", inject("server"))
	if strings.HasSuffix(r.URL.Path, "/denied") {
		h.Set(transport.ErrorHeader, "denied")
		h.Set(transport.ReasonHeader, inject("reason"))
		w.WriteHeader(http.StatusForbidden)
	}
	fmt.Fprint(w, inject("body"))
}
