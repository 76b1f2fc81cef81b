package agent_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"vcsagent/agent"
	"vcsagent/allow"
	"vcsagent/transport"
)

// follow makes an agent follow the policies that the test sends.
func follow(c *agent.Config) chan<- agent.PolicyChange {
	changes := make(chan agent.PolicyChange)
	c.PolicyChanges = changes
	return changes
}

// send gives the agent a change, which it has begun on when send returns.
func send(t *testing.T, changes chan<- agent.PolicyChange, c agent.PolicyChange) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		changes <- c
	}()
	receive(t, done)
}

// rulesOf reads a customer's rules.
func rulesOf(t *testing.T, text string) *allow.Rules {
	t.Helper()
	r, err := allow.ParseRules("rules.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustHash(t *testing.T, o allow.Options) string {
	t.Helper()
	p, err := allow.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p.Hash()
}

func TestPolicyChanges(t *testing.T) {
	var changes chan<- agent.PolicyChange
	vcs, got := recorder()
	first := allow.Options{Vendor: "gitlab"}
	r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) { c.Policy = first; changes = follow(c) })
	want := func(target string, status int) {
		t.Helper()
		if a := r.get("GET", target, nil, ""); a.StatusCode != status {
			t.Errorf("%s: %d %s", target, a.StatusCode, a.body)
		} else if status == 200 {
			receive(t, got)
		}
	}
	info := func(o allow.Options) float64 {
		return r.metric(fmt.Sprintf(`vcs_agent_policy_info{policy_sha256="%s",vendor="gitlab"}`, mustHash(t, o)))
	}
	const other, tags = "/api/v4/projects/group%2Fother", "/api/v4/projects/group%2Frepo/repository/tags"
	want(project, 200)
	want(other, 200)
	want(tags, 403)

	second := allow.Options{Vendor: "gitlab", Projects: "group/repo", Rules: rulesOf(t, `
allow:
  - {name: acme.tags, purpose: List a project's tags., group: read, methods: [GET], path: "/api/v4/projects/{project}/repository/tags"}
block:
  - {name: acme.none, path: /api/v4/user}
`)}
	want("/api/v4/user", 200)
	send(t, changes, agent.PolicyChange{Options: second})
	line := r.lines("policy changed", 1)[0]
	for field, value := range map[string]any{
		"level": "INFO", "policy": "enforce", "allowed_projects": "group/repo", "blocks": 1.0, "policy_sha256": mustHash(t, second), "old_policy_sha256": mustHash(t, first),
	} {
		if line[field] != value {
			t.Errorf("%s is %v, want %v", field, line[field], value)
		}
	}
	want(project, 200)
	want(other, 403)
	want(tags, 200)
	want("/api/v4/user", 403)
	if info(first) != -1 || info(second) != 1 {
		t.Errorf("policy_info: %v for the old policy, %v for the new one", info(first), info(second))
	}

	send(t, changes, agent.PolicyChange{Options: second})
	if line := r.lines("policy unchanged", 1)[0]; line["level"] != "INFO" || line["policy_sha256"] != mustHash(t, second) {
		t.Errorf("log %v", line)
	}
	for series, want := range map[string]float64{
		`vcs_agent_policy_reloads_total{result="changed"}`: 1, `vcs_agent_policy_reloads_total{result="unchanged"}`: 1, `vcs_agent_policy_reloads_total{result="failed"}`: 0,
		"vcs_agent_policy_last_reload_successful": 1, "vcs_agent_policy_observe": 0, "vcs_agent_policy_rules": line["rules"].(float64),
	} {
		if got := r.metric(series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// What can't be used leaves the policy as it is, and says all that is wrong.
func TestBrokenPolicyChanges(t *testing.T) {
	var changes chan<- agent.PolicyChange
	vcs, got := recorder()
	first := allow.Options{Vendor: "gitlab", Projects: "group/repo"}
	r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) { c.Policy = first; changes = follow(c) })
	const other = "/api/v4/projects/group%2Fother"
	for i, tc := range []struct {
		name   string
		change agent.PolicyChange
		want   []string // in the problems, in this order
	}{
		{"settings that can't be read", agent.PolicyChange{Err: errors.Join(errors.New("rules.yaml, line 3: broken"), errors.New("rules.yaml, line 7: broken too"))},
			[]string{"rules.yaml, line 3: broken", "rules.yaml, line 7: broken too"}},
		{"a pattern that doesn't compile and no such group", agent.PolicyChange{Options: allow.Options{Vendor: "gitlab", Projects: "(", Groups: []string{"push"}}},
			[]string{"--allowed-projects", "--allow-groups"}},
		{"no group at all", agent.PolicyChange{Options: allow.Options{Vendor: "gitlab", Groups: []string{}}}, []string{"allow-groups"}},
		{"another vendor", agent.PolicyChange{Options: allow.Options{Vendor: "gitea"}}, []string{`--vendor is "gitea": the agent runs with gitlab`}},
		{"no vendor", agent.PolicyChange{}, []string{"--vendor"}},
		{"a rule for nothing", agent.PolicyChange{Options: allow.Options{Vendor: "gitlab", Rules: rulesOf(t, "projects: {gitlab.nothing: x}")}}, []string{"rules.yaml, line 1"}},
		{"a credential that the agent doesn't have", agent.PolicyChange{Options: allow.Options{Vendor: "gitlab", Credential: true}}, []string{"--vcs-credential"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			send(t, changes, tc.change)
			line := r.lines("policy not changed: the one before stays in force", i+1)[i]
			problems, _ := line["problems"].([]any)
			if line["level"] != "ERROR" || line["policy_sha256"] != mustHash(t, first) || len(problems) != len(tc.want) {
				t.Errorf("log %v", line)
			}
			for i, want := range tc.want {
				if i < len(problems) && !strings.Contains(fmt.Sprint(problems[i]), want) {
					t.Errorf("problem %d is %q, want %q in it", i, problems[i], want)
				}
			}
			if a := r.get("GET", other, nil, ""); a.StatusCode != 403 {
				t.Errorf("what the old policy denies got %d", a.StatusCode)
			}
			if a := r.get("GET", project, nil, ""); a.StatusCode != 200 {
				t.Errorf("what the old policy allows got %d", a.StatusCode)
			} else {
				receive(t, got)
			}
			if failed := r.metric(`vcs_agent_policy_reloads_total{result="failed"}`); failed != float64(i+1) || r.metric("vcs_agent_policy_last_reload_successful") != 0 {
				t.Errorf("%v changes failed", failed)
			}
		})
	}
	send(t, changes, agent.PolicyChange{Options: first})
	r.lines("policy unchanged", 1)
	if ok := r.metric("vcs_agent_policy_last_reload_successful"); ok != 1 {
		t.Errorf("after settings that can be used again: %v", ok)
	}
	// No more changes is no reason to end.
	close(changes)
	if a := r.get("GET", project, nil, ""); a.StatusCode != 200 {
		t.Errorf("afterwards: %d", a.StatusCode)
	}
}

// Requests go on while policies change under them: each is answered whole, by one
// policy or the other.
func TestPolicyChangesUnderLoad(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		const senders, rounds = 4, 40
		var changes chan<- agent.PolicyChange
		arrived, release := make(chan struct{}), make(chan struct{})
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("statistics") != "" {
				close(arrived)
				<-release
				w.Header().Set("Location", "https://objects.example.com/x")
				w.WriteHeader(http.StatusFound)
				return
			}
			fmt.Fprint(w, "from the VCS")
		}, func(c *agent.Config) {
			c.Parallelism = senders + 1
			c.Policy.Rules = rulesOf(t, "redirects: [objects.example.com]")
			c.Logger = slog.New(slog.DiscardHandler) // too many lines to look through
			changes = follow(c)
		})
		ask := func(target string) (*http.Response, string) {
			resp, err := r.send(t.Context(), "GET", target, nil, nil)
			if err != nil {
				t.Errorf("%s: %v", target, err)
				return &http.Response{}, ""
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Errorf("%s: %v", target, err)
			}
			return resp, string(body)
		}
		// One is in flight all the time, and its policy, which lets redirects
		// name a host that the others don't, with it.
		held := make(chan *http.Response, 1)
		go func() {
			resp, _ := ask(project + "?statistics=true")
			held <- resp
		}()
		receive(t, arrived)

		stop := make(chan struct{})
		var wg sync.WaitGroup
		var served, denied atomic.Int64
		for range senders {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if resp, body := ask("/api/v4/user"); resp.StatusCode != 200 || body != "from the VCS" {
						t.Errorf("allowed by both policies: %d %s", resp.StatusCode, body)
						return
					}
					switch resp, body := ask(project); {
					case resp.StatusCode == 200 && body == "from the VCS":
						served.Add(1)
					case resp.StatusCode == 403 && resp.Header.Get(transport.ReasonHeader) == string(allow.ProjectNotAllowed):
						denied.Add(1)
					default:
						t.Errorf("allowed by one policy: %d %s", resp.StatusCode, body)
						return
					}
				}
			})
		}
		for i := range rounds {
			o := allow.Options{Vendor: "gitlab"}
			if i%2 == 0 {
				o.Projects = "other/repo"
			}
			send(t, changes, agent.PolicyChange{Options: o})
			if i%10 == 5 {
				send(t, changes, agent.PolicyChange{Err: errors.New("broken")})
			}
		}
		close(stop)
		wg.Wait()
		if served.Load() == 0 || denied.Load() == 0 {
			t.Errorf("%d served, %d denied: one of the policies decided on nothing", served.Load(), denied.Load())
		}
		close(release)
		if a := receive(t, held); a.StatusCode != http.StatusFound || a.Header.Get("Location") != "https://objects.example.com/x" {
			t.Errorf("the one in flight: %d %v", a.StatusCode, a.Header)
		}
	})
}

// A body is held against the policy that its request began with.
func TestPolicyChangesBeforeTheBody(t *testing.T) {
	var changes chan<- agent.PolicyChange
	vcs, got := recorder()
	r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) { c.Policy.Observe = true; changes = follow(c) })
	read, release := make(chan struct{}), make(chan struct{})
	body := io.MultiReader(readerFunc(func([]byte) (int, error) {
		close(read)
		<-release
		return 0, io.EOF
	}), strings.NewReader(`{"body":"x","other":1}`)) // which enforcing denies
	req, err := http.NewRequest("POST", notes, io.NopCloser(body))
	if err != nil {
		t.Fatal(err)
	}
	req.RequestURI, req.ContentLength = notes, -1
	req.Header.Set("Content-Type", "application/json")
	w, done := newRecorder(), make(chan struct{})
	go func() {
		defer close(done)
		r.Session(1).ServeHTTP(w, req)
	}()
	receive(t, read)
	send(t, changes, agent.PolicyChange{Options: allow.Options{Vendor: "gitlab"}})
	r.lines("policy changed", 1)
	close(release)
	receive(t, done)
	if w.status != 200 {
		t.Errorf("the request from before: %d %s", w.status, &w.body)
	}
	receive(t, got)
	if line := r.lines("served", 1)[0]; line["policy"] != "observe" || line["observed"] != string(allow.FieldNotAllowed) {
		t.Errorf("log %v", line)
	}
	if a := r.get("POST", notes, req.Header, `{"body":"x","other":1}`); a.problem.Reason != string(allow.FieldNotAllowed) {
		t.Errorf("a request from after: %d %s", a.StatusCode, a.body)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// What a policy that only observes lets through, beside what it doesn't.
func TestObserve(t *testing.T) {
	vcs, got := recorder()
	r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) {
		c.Policy.Observe = true
		c.Policy.Rules = rulesOf(t, `block: [{name: acme.hooks, path: "/api/v4/projects/*/hooks/**"}, {name: acme.hooks.all, path: "/api/v4/projects/*/hooks"}]`)
	})
	if line := r.lines("starting", 1)[0]; line["policy"] != "observe" {
		t.Errorf("log %v", line)
	}
	if line := r.log.wait(t, "policy observe: what no rule allows may reach the VCS; what is malformed, blocked, in a group that is off, or a push is denied all the same", 1)[0]; line["level"] != "WARN" {
		t.Errorf("log %v", line)
	}
	const tags = "/api/v4/projects/group%2Frepo/repository/tags"
	jsonBody := http.Header{"Content-Type": {"application/json"}}
	const whatever = "whatever" // package allow's to say
	served, denied := 0, 0
	for _, tc := range []struct {
		name, method, target, body string
		rule                       string // that allowed it
		observed, reason           allow.Reason
	}{
		{"a rule's call", "GET", project, "", projectRule, "", ""},
		{"a call without a rule", "GET", tags, "", "", allow.NoRule, ""},
		{"one with a query", "GET", tags + "?search=a%2Fb", "", "", allow.NoRule, ""},
		{"another method", "OPTIONS", project, "", "", allow.MethodNotAllowed, ""},
		{"a query key that the rule doesn't have", "GET", project + "?other=1", "", "", allow.QueryNotAllowed, ""},
		{"a field that the rule doesn't have", "POST", notes, `{"body":"x","other":1}`, "", allow.FieldNotAllowed, ""},

		{"a write that no rule has", "DELETE", "/api/v4/projects/group%2Frepo/merge_requests/1/notes/1", "", "", "", allow.PushNotAllowed},
		{"a blocked one", "GET", "/api/v4/projects/group%2Frepo/hooks", "", "", "", allow.Blocked},
		{"a malformed one", "GET", "/api/v4/../x", "", "", "", allow.AmbiguousPath},
		{"a write without a rule", "DELETE", "/api/v4/projects/group%2Frepo/merge_requests/1/notes/1", "", "", "", whatever},
		{"a push", "POST", "/group/repo.git/git-receive-pack", "", "", "", allow.PushNotAllowed},
		{"a group that is off", "GET", "/group/repo.git/info/refs?service=git-upload-pack", "", "", "", allow.GroupOff},
		{"sudo in the query", "GET", project + "?sudo=root", "", "", "", allow.QueryNotAllowed},
		{"sudo in the body", "POST", notes, `{"body":"x","sudo":"root"}`, "", "", allow.FieldNotAllowed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := r.get(tc.method, tc.target, jsonBody, tc.body)
			var line map[string]any
			if tc.reason == "" {
				if a.StatusCode != 200 {
					t.Fatalf("%d %s", a.StatusCode, a.body)
				}
				if s := receive(t, got); s.target != tc.target || s.body != tc.body {
					t.Errorf("the VCS saw %s %q", s.target, s.body)
				}
				served++
				line = r.lines("served", served)[served-1]
			} else {
				if a.StatusCode != 403 || tc.reason != whatever && a.problem.Reason != string(tc.reason) {
					t.Fatalf("%d %s", a.StatusCode, a.body)
				}
				denied++
				line = r.lines("denied", denied)[denied-1]
			}
			if line["policy"] != "observe" || line["name"] != tc.rule || a.Header.Get(transport.NameHeader) != tc.rule {
				t.Errorf("log %v, headers %v", line, a.Header)
			}
			observed, ok := line["observed"]
			if ok != (tc.observed != "") || ok && observed != string(tc.observed) {
				t.Errorf("observed is %v, want %q", observed, tc.observed)
			}
		})
	}
	for series, want := range map[string]float64{
		`vcs_agent_observed_total{reason="no_rule"}`: 2, `vcs_agent_observed_total{reason="query_not_allowed"}`: 1, `vcs_agent_observed_total{reason="field_not_allowed"}`: 1,
		`vcs_agent_requests_total{code="200",rule="observed"}`: 5, `vcs_agent_requests_total{code="200",rule="gitlab.project.get"}`: 1,
		"vcs_agent_policy_observe": 1, `vcs_agent_denied_total{reason="blocked"}`: 1,
	} {
		if got := r.metric(series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// A policy that begins to observe says so as loudly as one that starts like that.
func TestObserveAfterAChange(t *testing.T) {
	var changes chan<- agent.PolicyChange
	vcs, got := recorder()
	r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) { changes = follow(c) })
	const tags = "/api/v4/projects/group%2Frepo/repository/tags"
	if a := r.get("GET", tags, nil, ""); a.StatusCode != 403 {
		t.Errorf("before: %d", a.StatusCode)
	}
	send(t, changes, agent.PolicyChange{Options: allow.Options{Vendor: "gitlab", Observe: true}})
	r.lines("policy observe: what no rule allows may reach the VCS; what is malformed, blocked, in a group that is off, or a push is denied all the same", 1)
	if a := r.get("GET", tags, nil, ""); a.StatusCode != 200 || r.metric("vcs_agent_policy_observe") != 1 {
		t.Errorf("observing: %d", a.StatusCode)
	}
	receive(t, got)
	send(t, changes, agent.PolicyChange{Options: allow.Options{Vendor: "gitlab"}})
	r.lines("policy changed", 2)
	if a := r.get("GET", tags, nil, ""); a.StatusCode != 403 || r.metric("vcs_agent_policy_observe") != 0 {
		t.Errorf("after: %d", a.StatusCode)
	}
}
