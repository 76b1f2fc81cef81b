package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/transport"
)

// checks makes agents that know the check.
var checks = []string{"other", transport.FeatureCheck}

// checkPool checks the pool, with as much time as a test has.
func (f *fixture) checkPool(t *testing.T) control.Check {
	t.Helper()
	c, err := f.Control().CheckPool(t.Context(), poolName)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// says is an agent that answers a check.
func says(t *testing.T, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "GET" || r.RequestURI != transport.CheckPath || r.ContentLength != 0 || len(r.Header) != 2 || r.Header.Get(transport.RequestIDHeader) == "" || r.UserAgent() != "vcs-gateway" {
			t.Errorf("the agent was asked %s %s, %v", r.Method, r.RequestURI, r.Header)
		}
		io.WriteString(w, body)
	}
}

func result(t *testing.T, r transport.CheckResult) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What an agent says of its VCS becomes a sentence.
func TestCheck(t *testing.T) {
	f := start(t)
	for _, tt := range []struct {
		name   string
		result transport.CheckResult
		detail string
	}{
		{"well", transport.CheckResult{Vendor: "gitlab", Reachable: true, Status: 200, Version: "17.5.1", Elapsed: .0113},
			"GitLab 17.5.1 answers: HTTP 200 in 12 ms through agent a."},
		{"without a credential", transport.CheckResult{Vendor: "gitlab", Reachable: true, Status: 401, Elapsed: .001, Detail: "The VCS answers; its version needs a credential, and the agent has none of its own."},
			"GitLab answers: HTTP 401 in 1 ms through agent a. The VCS answers; its version needs a credential, and the agent has none of its own."},
		{"unreachable", transport.CheckResult{Vendor: "gitlab", Elapsed: 1, Code: "vcs_unreachable", Detail: "The VCS could not be reached; the agent's log says why."},
			"The agent a is connected, but got no answer from its VCS. The VCS could not be reached; the agent's log says why."},
		{"silent", transport.CheckResult{Vendor: "gitlab", Elapsed: 10, Code: "vcs_timeout", Detail: "The VCS did not answer in time."},
			"The agent a is connected, but got no answer from its VCS. The VCS did not answer in time."},
		{"strange", transport.CheckResult{Vendor: "gitlab", Reachable: true, Status: 200, Detail: "a\nb"},
			"GitLab answers: HTTP 200 in 0 ms through agent a. a%0Ab"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bothCarriers(t, func(t *testing.T, mode transport.Mode) {
				a := f.join(t, options{mode: mode, instance: "a", features: checks}, says(t, result(t, tt.result)))
				defer f.gone(t, a)
				got := f.checkPool(t)
				if got.RTT <= 0 || got.RTT > 5 {
					t.Errorf("the round trip is %v", got.RTT)
				}
				got.RTT = 0
				want := control.Check{
					Agent: true, SessionID: f.AgentsOf(f.pool.ID)[0].SessionID, Instance: "a", Vendor: "gitlab", Detail: tt.detail,
					Reachable: tt.result.Reachable, Status: tt.result.Status, Version: tt.result.Version, Elapsed: tt.result.Elapsed, Code: tt.result.Code,
				}
				if got != want {
					t.Errorf("got  %+v\nwant %+v", got, want)
				}
			})
		})
	}
}

// gone ends an agent and waits until the gateway knows.
func (f *fixture) gone(t *testing.T, a *agent) {
	a.kill()
	f.awaitAgents(t, f.pool.ID, func(ids []string) bool { return len(ids) == 0 })
}

// An agent can't say what a result can't have.
func TestCheckBelievesNoNonsense(t *testing.T) {
	f := start(t)
	for name, body := range map[string]string{
		"no JSON":          "<html>",
		"empty":            "",
		"no reason":        `{"reachable":false}`,
		"other reason":     `{"reachable":false,"code":"served"}`,
		"both":             `{"reachable":true,"code":"vcs_timeout"}`,
		"version":          `{"reachable":true,"status":200,"version":"<b>"}`,
		"long version":     `{"reachable":true,"status":200,"version":"` + strings.Repeat("1", 65) + `"}`,
		"status":           `{"reachable":true,"status":1000}`,
		"time":             `{"reachable":true,"status":200,"elapsed":-1}`,
		"much time":        `{"reachable":true,"status":200,"elapsed":1e300}`,
		"larger than is":   `{"reachable":true,"status":200,"detail":"` + strings.Repeat("x", transport.MaxCheckBytes) + `"}`,
		"more than a JSON": `{"reachable":true,"status":200} {}`,
	} {
		t.Run(name, func(t *testing.T) {
			a := f.join(t, options{instance: "a", features: checks}, says(t, body))
			defer f.gone(t, a)
			got := f.checkPool(t)
			if got.Agent || got.Reachable || got.Version != "" || got.Code != "agent_fault" || !strings.HasPrefix(got.Detail, "The agent a is connected, but answered the check with ") {
				t.Errorf("%+v", got)
			}
		})
	}
	t.Run("status of the answer", func(t *testing.T) {
		a := f.join(t, options{instance: "a", features: checks}, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403) })
		defer f.gone(t, a)
		if got := f.checkPool(t); got.Agent || got.Detail != "The agent a is connected, but answered the check with status 403: look at its log." {
			t.Errorf("%+v", got)
		}
	})
}

func TestCheckWithoutAnAgent(t *testing.T) {
	f := start(t)
	want := control.Check{Code: "no_agent", Detail: "No agent of this pool is connected: start one with the pool's token, or look at its log."}
	if got := f.checkPool(t); got != want {
		t.Errorf("before any: %+v", got)
	}
	old := f.join(t, options{instance: "old"}, answer("must not be asked"))
	if got := f.checkPool(t); got.Code != "agent_too_old" || got.Agent || got.Detail != "No agent of this pool that is connected can do the check: update vcs-agent, or send a request through the pool." {
		t.Errorf("with an old one: %+v", got)
	}
	f.gone(t, old)
	if got := f.checkPool(t); got != want {
		t.Errorf("after it has gone: %+v", got)
	}
}

// A check goes to the least busy agent that knows how, while its streams are all
// taken, and takes none itself.
func TestCheckTakesNoStream(t *testing.T) {
	f := start(t)
	g := newGate()
	agentOf := func(name string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.RequestURI == transport.CheckPath {
				fmt.Fprintf(w, `{"vendor":"gitlab","reachable":true,"status":200,"version":%q}`, name)
				return
			}
			g.ServeHTTP(w, r)
		}
	}
	f.join(t, options{instance: "busy", features: checks}, agentOf("busy"))
	f.inFlight(t, g, "held")
	if got := f.checkPool(t); got.Version != "busy" {
		t.Errorf("%+v", got)
	}
	if c := f.AgentsOf(f.pool.ID)[0]; c.InFlight != 1 || c.Requests != 0 {
		t.Errorf("%+v", c)
	}
	f.join(t, options{instance: "old"}, agentOf("old"))
	idle := f.join(t, options{instance: "idle", features: checks}, agentOf("idle"))
	for range 10 {
		if got := f.checkPool(t); got.Version != "idle" || got.Instance != "idle" {
			t.Fatalf("%+v", got)
		}
	}
	if n := len(f.log.lines("request")); n != 0 {
		t.Errorf("%d requests are in the access log", n)
	}
	// One that drains gets no checks either.
	f.inFlight(t, g, "held too")
	close(idle.drain)
	await(t, "the drain", func() bool { return f.Draining(f.pool.ID) == 1 || len(f.AgentsOf(f.pool.ID)) == 2 })
	if got := f.checkPool(t); got.Version != "busy" {
		t.Errorf("%+v", got)
	}
	close(g.open)
}

// An agent that goes away or says nothing is told of.
func TestCheckWithoutAnAnswer(t *testing.T) {
	f := start(t)
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		arrived := make(chan struct{}, 1)
		a := f.join(t, options{mode: mode, instance: "a", features: checks}, func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-r.Context().Done()
		})
		got := make(chan control.Check, 1)
		go func() { got <- f.checkPool(t) }()
		receive(t, arrived)
		f.gone(t, a)
		if c := receive(t, got); c.Agent || c.Code != "agent_lost" || c.Instance != "a" || c.Detail != "The agent a went away before it answered: look at its log, and check again." {
			t.Errorf("%+v", c)
		}
	})
	f.join(t, options{instance: "a", features: checks}, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	if c := f.CheckWithin(t.Context(), f.pool, 100*time.Millisecond); c.Agent || c.Code != "agent_timeout" || !strings.HasPrefix(c.Detail, "The agent a is connected, but did not answer within 0.1 s") {
		t.Errorf("%+v", c)
	}
}
