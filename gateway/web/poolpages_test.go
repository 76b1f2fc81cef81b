package web_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
)

func TestPoolsPage(t *testing.T) {
	r := newRig(t)
	p, _ := r.pool("basement")
	r.pool("attic")
	paused := true
	if _, err := r.control.UpdatePool(t.Context(), tester, "attic", store.PoolChange{Paused: &paused}); err != nil {
		t.Fatal(err)
	}
	r.connect(p.ID, control.Connection{Parallelism: 4, InFlight: 1}, control.Connection{Parallelism: 8, InFlight: 2})
	r.add(store.Request{PoolID: p.ID, Outcome: "served"}, store.Request{PoolID: p.ID, Outcome: "served"}, store.Request{PoolID: p.ID, Outcome: "denied"})
	b := r.signedIn()
	b.get("/").has(t, "2 agents", "Paused", `3 <span class="muted">of 12</span>`, "3 requests in the last 24 hours: 2 served, 1 denied, 0 failed", `class="denied"`)
	b.get("/?q=ATT").has(t, "/pools/attic")
	b.get("/?q=ATT").lacks(t, "/pools/basement")
	b.get("/?q=cellar").has(t, `No pool matches "cellar"`)
}

func TestPoolsPageIsBounded(t *testing.T) {
	r := newRig(t)
	for i := range 51 {
		r.pool("pool-" + string(rune('a'+i/26)) + string(rune('a'+i%26)))
	}
	b := r.signedIn()
	first := b.get("/")
	first.has(t, "pool-aa", "pool-bx", `href="/?page=2"`)
	first.lacks(t, "pool-by")
	b.get("/?page=2").has(t, "pool-by", `href="/"`)
	b.get("/?page=99").has(t, "pool-by")
	b.get("/?page=9223372036854775807").has(t, "pool-by")
}

func TestConnections(t *testing.T) {
	r := newRig(t)
	p, _ := r.pool("basement")
	b := r.signedIn()
	b.get("/pools/basement").has(t, "No agent is connected", "gateway.example.com:8443")
	r.connect(p.ID, control.Connection{SessionID: "S1", Instance: "vm-1", Version: "1.4.0", Vendor: "bitbucket_datacenter", Carrier: "quic",
		RemoteAddress: "198.51.100.7:4711", Since: time.Now().Add(-3 * time.Hour), Parallelism: 4, InFlight: 3, Requests: 12345, RTT: 0.0234, Loss: 0.015,
		Draining: true, TokenKeyID: "01ARZ3NDEKTSV4RRFFQ69G5FAV", Tags: map[string]string{"zone": "b", "host": "rack-7"}})
	b.get("/pools/basement").has(t, "vm-1", "agent 1.4.0", "Bitbucket Data Center", "quic", "198.51.100.7:4711", "3 h ago", "3 <span class=\"muted\">of 4</span>", "12\u202f345",
		"23.4 ms", "1.5 %", "going away", "…9G5FAV", `<span class="tag">host=rack-7</span><span class="tag">zone=b</span>`)
	var many []control.Connection
	for i := range 130 {
		many = append(many, control.Connection{Instance: fmt.Sprintf("vm-%d.", i)})
	}
	r.connect(p.ID, many...)
	page := b.get("/pools/basement")
	page.has(t, "vm-99.", "The oldest 100 are shown. There are 30 more")
	if strings.Contains(page.body, "vm-100.") {
		t.Error("the 101st is shown")
	}
}

func TestCheck(t *testing.T) {
	r := newRig(t)
	r.pool("basement")
	b := r.signedIn()
	for says, check := range map[string]control.Check{
		"No agent answered":                    {Code: "no_agent", Detail: "No agent of this pool is connected."},
		"The VCS doesn't answer":               {Agent: true, Code: "vcs_unreachable", Detail: "The connection was refused."},
		"The VCS answers, but not well":        {Agent: true, Reachable: true, Code: "vcs_error", Status: 500, Detail: "It answers HTTP 500."},
		"All well":                             {Agent: true, Reachable: true, Status: 200, Detail: "GitLab answers."},
		"the VCS took 12 ms and is version 17": {Agent: true, Reachable: true, Status: 200, Version: "17.5", RTT: 0.03, Elapsed: 0.012, Detail: "GitLab answers."},
	} {
		r.check = check
		b.post("/pools/basement/check", nil).has(t, says, check.Detail)
	}
	if a := b.post("/pools/attic/check", nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("a pool that there isn't: status %d", a.StatusCode)
	}
}

func TestPauseAndDelete(t *testing.T) {
	r := newRig(t)
	r.pool("basement")
	b := r.signedIn()
	b.get("/pools/basement/pause").has(t, "Pause basement?", `class="confirm"`)
	a := b.post("/pools/basement/pause", nil)
	if to := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || to != "/pools/basement?done=paused" {
		t.Errorf("pause: %d to %q", a.StatusCode, to)
	}
	b.get("/pools/basement?done=paused").has(t, "The pool is paused: callers are refused", "The pool is paused.", `id="resume"`)
	b.post("/pools/basement/resume", nil)
	b.get("/pools/basement").has(t, `id="pause"`)

	for _, wrong := range []string{"", "Basement", "basement "} {
		a := b.post("/pools/basement/delete", url.Values{"confirm": {wrong}})
		if a.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("confirmed with %q: status %d", wrong, a.StatusCode)
		}
		a.has(t, "nothing was deleted")
	}
	a = b.post("/pools/basement/delete", url.Values{"confirm": {"basement"}})
	if to := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || to != "/?done=pool-gone" {
		t.Errorf("delete: %d to %q", a.StatusCode, to)
	}
	b.get("/?done=pool-gone").has(t, "The pool is deleted.", "No pool yet")
	b.get("/audit").has(t, "pool.create", "pool.update", "pool.delete", "paused=true", "ada")
}

func TestTokens(t *testing.T) {
	r := newRig(t)
	p, first := r.pool("basement")
	b := r.signedIn()
	keys, err := r.control.TokenKeys(t.Context(), "basement")
	if err != nil {
		t.Fatal(err)
	}
	old := keys[0].ID
	r.connect(p.ID, control.Connection{Instance: "vm-1", TokenKeyID: old})

	b.get("/pools/basement/tokens/new").has(t, "Get a new token for basement?")
	for _, wrong := range []string{"2001-01-01", "tomorrow"} {
		a := b.post("/pools/basement/tokens/new", url.Values{"expires": {wrong}})
		if a.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("until %s: status %d", wrong, a.StatusCode)
		}
		a.has(t, `id="expires-problem"`)
	}
	until := time.Now().Add(48 * time.Hour).UTC().Format(time.DateOnly)
	made := b.post("/pools/basement/tokens/new", url.Values{"expires": {until}})
	if made.StatusCode != http.StatusCreated {
		t.Fatalf("status %d", made.StatusCode)
	}
	if token := tokenIn(t, made); token == first {
		t.Error("the new token is the old one")
	}
	if keys, err = r.control.TokenKeys(t.Context(), "basement"); err != nil || len(keys) != 2 {
		t.Fatalf("%d token keys, %v", len(keys), err)
	}
	if got := keys[1].ExpiresAt.Format(time.DateTime); got != until+" 23:59:59" {
		t.Errorf("it expires at %s, want the end of %s", got, until)
	}
	list := b.get("/pools/basement/tokens")
	list.has(t, old, keys[1].ID, "1 agent", "no agent", "never")

	b.get("/pools/basement/tokens/"+old+"/revoke").has(t, "1 agent of basement joined with it", "disconnected")
	if a := b.post("/pools/basement/tokens/"+old+"/revoke", nil); a.StatusCode != http.StatusSeeOther {
		t.Errorf("revoke: status %d", a.StatusCode)
	}
	b.get("/pools/basement/tokens").lacks(t, old)
	b.get("/pools/basement/tokens/"+keys[1].ID+"/revoke").has(t, "the pool's only token")
	if a := b.post("/pools/basement/tokens/"+old+"/revoke", nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("revoke it again: status %d", a.StatusCode)
	}
	b.post("/pools/basement/tokens/"+keys[1].ID+"/revoke", nil)
	b.get("/pools/basement/tokens").has(t, "No agent can join the pool")
}

func TestSettings(t *testing.T) {
	r := newRig(t)
	r.pool("basement")
	b := r.signedIn()
	form := url.Values{"description": {"two\r\nlines"}, "requests_per_second": {"2.5"}, "burst": {"10"}, "in_flight": {"4"}, "body_bytes": {"10 MiB"},
		"queue_length": {"7"}, "queue_wait": {"1m 30s"}, "max_parallelism": {"8"}, "networks": {"10.1.0.0/16\r\n192.0.2.7 2001:db8::/32"}}
	if a := b.post("/pools/basement/settings", form); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d: %s", a.StatusCode, mainOf(a.body))
	}
	p, err := r.control.Pool(t.Context(), "basement")
	if err != nil {
		t.Fatal(err)
	}
	want := store.Limits{RequestsPerSecond: 2.5, Burst: 10, InFlight: 4, BodyBytes: 10 << 20, QueueLength: 7, QueueWait: 90 * time.Second}
	if p.Limits != want || p.Description != "two\nlines" || p.MaxParallelism != 8 || len(p.Networks) != 3 || p.Networks[1] != netip.MustParsePrefix("192.0.2.7/32") {
		t.Errorf("the pool is %+v", p.Pool)
	}
	b.get("/pools/basement/settings?done=saved").has(t, "Saved.", `value="2.5"`, `value="10 MiB"`, `value="1m30s"`, `value="8"`, "192.0.2.7/32", "two\nlines")

	for field, wrong := range map[string]string{"requests_per_second": "many", "burst": "-1", "in_flight": "1.5", "body_bytes": "10 potatoes", "queue_length": "x",
		"queue_wait": "3h", "max_parallelism": "257", "networks": "10.1.0.1/16", "description": strings.Repeat("x", 1001)} {
		a := b.post("/pools/basement/settings", url.Values{field: {wrong}})
		if a.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s=%s: status %d", field, wrong, a.StatusCode)
		}
		a.has(t, `id="`+field+`-problem"`, "Nothing was saved", `aria-invalid="true"`)
	}
	if again, err := r.control.Pool(t.Context(), "basement"); err != nil || again.Limits != want {
		t.Errorf("a wrong form changed the limits: %+v, %v", again.Limits, err)
	}
	if a := b.post("/pools/basement/settings", url.Values{}); a.StatusCode != http.StatusSeeOther {
		t.Errorf("an empty form: status %d", a.StatusCode)
	}
	if p, err := r.control.Pool(t.Context(), "basement"); err != nil || p.Limits != (store.Limits{}) || p.MaxParallelism != 0 || len(p.Networks) != 0 {
		t.Errorf("an empty form leaves %+v, %v", p.Pool, err)
	}
}
