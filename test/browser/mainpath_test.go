package browser_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"

	"vcsagent/test/servers"
	"vcsagent/test/stack"
	"vcsagent/transport"
)

// The main path with the mouse, on each kind of database.
func TestMainPath(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { mainPath(t) })
	t.Run("PostgreSQL", func(t *testing.T) {
		mainPath(t, "--database", servers.Postgres(t).Database(t))
	})
}

// visitor goes the main path and collects the secrets on it.
type visitor struct {
	*tab
	s       *scene
	secrets map[string]string // what each is, and its text
}

func mainPath(t *testing.T, gatewayArgs ...string) {
	s := newScene(t, stack.Options{GatewayArgs: gatewayArgs})
	s.api("DELETE", "/pools/"+stack.Pool)
	s.api("DELETE", "/keys/caller")
	v := visitor{startChromium(t).tab(s.origin()), s, map[string]string{"the admin key": s.admin}}
	answers := v.record()

	v.firstSignIn()
	firstFile := v.makePool()
	first := v.startFirstAgent(firstFile)
	v.watchRequests()
	v.filterAndOpen()
	v.check()
	second := v.rotate(first)
	v.revoke(first, second)
	v.pauseAndResume()
	v.remove(second)
	v.readAudit()

	checkSecrets(t, v, answers, first.Log()+second.Log())
}

// firstSignIn signs in to a gateway that has nothing yet.
func (v visitor) firstSignIn() {
	v.t.Helper()
	v.open("/")
	v.arrive("/sign-in")
	v.fill("Admin key", v.s.admin)
	v.click("button", "Sign in")
	v.arrive("/")
	v.see("No pool yet")
	cookies := v.cookies()
	if len(cookies) != 1 {
		v.t.Fatalf("%d cookies", len(cookies))
	}
	c := cookies[0]
	if c.Name != "__Host-vcs-gateway" || !c.Secure || !c.HTTPOnly || c.SameSite != network.CookieSameSiteStrict || c.Path != "/" || c.Session {
		v.t.Errorf("the cookie: %+v", c)
	}
	v.secrets["the session's cookie"] = c.Value
}

// makePool makes a pool, and saves its token, which is shown once.
func (v visitor) makePool() (tokenFile string) {
	v.t.Helper()
	v.click("link", "Make the first pool")
	v.arrive("/new-pool")
	v.fill("Name", stack.Pool)
	v.fill("Description optional", "GitLab in the basement")
	v.fill("Its address, seen from the agent optional", v.s.VCSURL)
	v.click("button", "Create the pool")
	v.see("The pool gitlab is there", "docker run", v.s.VCSURL, "Waiting for the first agent")
	return v.saveToken("the first token")
}

// saveToken downloads the token on the page.
func (v visitor) saveToken(what string) (file string) {
	v.t.Helper()
	shown := must[string](v.tab, `document.getElementById("token").value`)
	v.click("button", "Download as a file")
	file = v.browser.download()
	if saved := readToken(v.t, file); saved != shown {
		v.t.Fatalf("the file has the token %s, the page shows %s", saved, shown)
	}
	token, err := transport.ParseToken(shown)
	if err != nil {
		v.t.Fatal(err)
	}
	v.secrets[what], v.secrets["the key in "+what] = shown, token.Key.Reveal()
	return file
}

// startFirstAgent starts an agent with the saved token, which appears by itself.
func (v visitor) startFirstAgent(tokenFile string) *stack.Agent {
	v.t.Helper()
	page := v.document()
	agent := v.s.agentWith(tokenFile)
	v.see("Connected", instance(v.t, agent))
	v.stillOn(page)
	v.click("link", "Go to the pool")
	v.arrive("/pools/gitlab")
	v.see("GitLab in the basement")
	v.seeRows("#connections", []string{instance(v.t, agent), "GitLab", "quic", "0 of 4"})
	return agent
}

// watchRequests sends requests, which appear by themselves.
func (v visitor) watchRequests() {
	v.t.Helper()
	v.s.Key = v.s.Gateway.Command(v.t, "key", "create", "backend", "--pool", stack.Pool)
	v.secrets["the caller's key"] = v.s.Key
	v.click("link", "Requests", stack.Pool)
	v.arrive("/pools/gitlab/requests")
	v.see("No request yet")
	page := v.document()
	v.s.expect(200, "", "GET", "/api/v4/user")
	v.s.expect(403, "denied", "GET", "/api/v4/users")
	v.s.expect(502, "vcs_unreachable", "GET", brokenPath)
	v.seeRows("#request-rows",
		[]string{"GET", "/api/v4/user ", "gitlab.user.get", "Served", "200"},
		[]string{"GET", "/api/v4/users ", "Denied", "403"},
		[]string{"GET", brokenPath, "VCS error", "502"})
	v.seeNot("No request yet")
	v.stillOn(page)
}

// filterAndOpen filters the requests and reads what there is about some.
func (v visitor) filterAndOpen() {
	v.t.Helper()
	v.click("link", "GET /api/v4/user")
	v.seeIn("#request-detail", "Served", "GET /api/v4/user", "gitlab.user.get", "backend", "queued", "to first byte")
	v.click("button", "Close")
	v.choose("Outcome", "Denied")
	v.click("button", "Filter")
	v.seeRows("#request-rows", []string{"GET", "/api/v4/users ", "Denied"})
	v.click("link", "GET /api/v4/users")
	v.seeIn("#request-detail", "Denied by the agent", "no_rule", "GET /api/v4/users")
	v.click("button", "Close")
	// The filter holds for those to come.
	v.s.expect(200, "", "GET", "/api/v4/user")
	v.s.expect(403, "denied", "DELETE", "/api/v4/user")
	v.seeRows("#request-rows", []string{"GET", "/api/v4/users ", "Denied"}, []string{"DELETE", "/api/v4/user ", "Denied"})
}

// check asks the VCS through the pool.
func (v visitor) check() {
	v.t.Helper()
	v.click("link", "Connections", stack.Pool)
	v.arrive("/pools/gitlab")
	page := v.document()
	v.click("button", "Check")
	v.seeIn("#check-result", "All well", "GitLab answers", "HTTP 401")
	v.stillOn(page)
}

// rotate gets another token. The agent with the old one goes on beside one with
// the new.
func (v visitor) rotate(first *stack.Agent) (second *stack.Agent) {
	v.t.Helper()
	v.click("link", "Rotate token")
	v.click("button", "Get a new token")
	v.see("A new token for gitlab")
	file := v.saveToken("the second token")
	if v.secrets["the second token"] == v.secrets["the first token"] {
		v.t.Error("the second token is the first one")
	}
	v.s.expect(200, "", "GET", "/api/v4/user")
	second = v.s.agentWith(file)
	v.open("/pools/gitlab")
	v.seeRows("#connections", []string{instance(v.t, first)}, []string{instance(v.t, second)})
	return second
}

// revoke revokes the first token: its agent is gone, the other one serves.
func (v visitor) revoke(first, second *stack.Agent) {
	v.t.Helper()
	v.click("link", "Tokens", stack.Pool)
	v.arrive("/pools/gitlab/tokens")
	v.seeRows("#tokens", []string{"1 agent"}, []string{"1 agent"})
	v.click("link", must[string](v.tab, revokeLink)) // the oldest's
	v.click("button", "Revoke the token")
	v.seeRows("#tokens", []string{"1 agent"})
	v.click("link", "Connections", stack.Pool)
	v.seeRows("#connections", []string{instance(v.t, second)})
	first.AwaitLine(v.t, "that the token was refused", func(l stack.Line) bool { return strings.Contains(l.String("error"), "get a new token") })
	for range 4 { // whoever's turn it is
		v.s.expect(200, "", "GET", "/api/v4/user")
	}
}

// revokeLink is the name of the link that revokes a pool's oldest token.
const revokeLink = `document.querySelector("#tokens tbody a").textContent.replace(/\s+/g, " ")`

func (v visitor) pauseAndResume() {
	v.t.Helper()
	v.click("link", "Pause")
	v.click("button", "Pause the pool")
	v.see("The pool is paused.")
	v.s.expect(503, "pool_paused", "GET", "/api/v4/user")
	v.click("button", "Resume")
	v.seeNot("The pool is paused.")
	v.s.expect(200, "", "GET", "/api/v4/user")
}

// remove deletes the pool, once its name is typed.
func (v visitor) remove(agent *stack.Agent) {
	v.t.Helper()
	v.click("link", "Delete")
	v.fill("Type gitlab to go on", "gitlob")
	v.watch.expect("POST", "/pools/gitlab/delete", 422)
	v.click("button", "Delete the pool")
	v.see("so nothing was deleted")
	v.s.expect(200, "", "GET", "/api/v4/user")
	v.fill("Type gitlab to go on", "gitlab")
	v.click("button", "Delete the pool")
	v.arrive("/")
	v.see("No pool yet")
	agent.AwaitLine(v.t, "that the token was refused", func(l stack.Line) bool { return strings.Contains(l.String("error"), "get a new token") })
	if status, _ := v.s.call("GET", "/api/v4/user"); status != 403 && status != 404 {
		v.t.Errorf("a call of the deleted pool: %d", status)
	}
}

// readAudit finds all that was done in the audit log, and who did it.
func (v visitor) readAudit() {
	v.t.Helper()
	v.click("link", "Audit log")
	v.arrive("/audit")
	rows := v.rows("#audit")
	for _, want := range [][]string{
		{"admin", "sign_in"}, {"admin", "pool.create", "gitlab"}, {"admin", "key.create", "backend"}, {"the gateway", "agent.join", "gitlab"},
		{"admin", "token.add", "gitlab"}, {"admin", "token.revoke", "gitlab"}, {"admin", "pool.update", "paused"}, {"admin", "pool.delete", "gitlab"},
	} {
		if !slices.ContainsFunc(rows, func(row string) bool { return hasAll(row, append(want, "127.0.0.1")) }) {
			v.t.Errorf("no row with %q among %q", want, rows)
		}
	}
}

// checkSecrets looks for secrets in all that the browser got and asked for, and
// in what the processes logged. A token is in the one answer that made it, and
// the session's secret in the header that sets the cookie.
func checkSecrets(t *testing.T, v visitor, answers *record, agentLogs string) {
	t.Helper()
	origin := v.watch.origin
	inBody := map[string]string{
		"the first token":  "POST " + origin + "/new-pool",
		"the second token": "POST " + origin + "/pools/gitlab/tokens/new",
	}
	inHeader := map[string]string{"the session's cookie": "POST " + origin + "/sign-in"}
	if len(v.secrets) != 7 {
		t.Errorf("secrets are missing: %v", v.secrets)
	}
	for what, secret := range v.secrets {
		if len(secret) < 20 {
			t.Fatalf("%s is %q", what, secret)
		}
		for place, is := range map[string]struct{ got, want []string }{
			"bodies":  {answers.bodiesWith(secret), slices.DeleteFunc([]string{inBody[what]}, isEmpty)},
			"headers": {answers.headersWith(secret), slices.DeleteFunc([]string{inHeader[what]}, isEmpty)},
		} {
			if !slices.Equal(is.got, is.want) {
				t.Errorf("%s is in the %s of %q, want %q", what, place, is.got, is.want)
			}
		}
		for _, u := range v.watch.requested() {
			if strings.Contains(u, secret) || strings.Contains(u, url.QueryEscape(secret)) {
				t.Errorf("%s is in the URL %s", what, u)
			}
		}
		if strings.Contains(v.s.Gateway.Log(), secret) || strings.Contains(agentLogs, secret) {
			t.Errorf("%s is in a process's log", what)
		}
	}
	for name, text := range map[string]string{"localStorage": `JSON.stringify(localStorage)`, "sessionStorage": `JSON.stringify(sessionStorage)`, "document.cookie": `document.cookie`} {
		if kept := must[string](v.tab, text); kept != "" && kept != "{}" {
			t.Errorf("%s has %s", name, kept)
		}
	}
}

func isEmpty(s string) bool { return s == "" }
