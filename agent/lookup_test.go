package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/agent"
	"vcsagent/allow"
	"vcsagent/transport"
)

// numbered is a call that gives its project by a number.
const numbered = "/api/v4/projects/42/repository/branches"

// gitlab is a VCS with projects 42, group/repo, and 43, other/repo, which only
// the token "sees" sees. It tells what it is asked.
func gitlab() (http.HandlerFunc, chan seen) {
	ch := make(chan seen, 64)
	return func(w http.ResponseWriter, r *http.Request) {
		ch <- seen{method: r.Method, target: r.RequestURI, header: r.Header}
		path, ok := map[string]string{"/api/v4/projects/42": "group/repo", "/api/v4/projects/43": "other/repo"}[r.URL.Path]
		switch {
		case !strings.Contains(r.Header.Get("Private-Token")+r.Header.Get("Authorization"), "sees"):
			w.WriteHeader(http.StatusNotFound)
		case ok:
			fmt.Fprintf(w, `{"id":1,"path_with_namespace":%q}`, path)
		default:
			io.WriteString(w, "from the VCS")
		}
	}, ch
}

func restricted(c *agent.Config) { c.Policy.Projects = "group/repo" }

func TestLookup(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		vcs, got := gitlab()
		r := start(t, mode, vcs, restricted)
		sees := http.Header{
			"Private-Token": {"sees"}, "Authorization": {"Bearer too"}, "User-Agent": {"caller/1"}, "Accept": {"text/x"}, "If-None-Match": {"*"}, "Range": {"bytes=0-1"},
			"Accept-Encoding": {"gzip"}, "Traceparent": {"00-1-2-01"}, "Cookie": {"a=b"}, "Sudo": {"root"},
		}
		a := r.get("GET", numbered, sees, "")
		if a.StatusCode != 200 || a.body != "from the VCS" || a.Header.Get(transport.ProjectHeader) != "group%2Frepo" {
			t.Fatalf("%d %s, headers %v", a.StatusCode, a.body, a.Header)
		}
		want := http.Header{"Private-Token": {"sees"}, "Authorization": {"Bearer too"}, "User-Agent": {"caller/1"}, "Accept": {"application/json"}, "X-Request-Id": {"id-1"}}
		if s := receive(t, got); s.method != "GET" || s.target != "/api/v4/projects/42" || !reflect.DeepEqual(s.header, want) {
			t.Errorf("the VCS was asked %+v", s)
		}
		if s := receive(t, got); s.target != numbered {
			t.Errorf("the call itself went to %s", s.target)
		}
		if line := r.lines("served", 1)[0]; line["project"] != "group/repo" || line["name"] != "gitlab.branches.list" {
			t.Errorf("log %v", line)
		}

		// It is remembered.
		r.get("GET", numbered, sees, "")
		if s := receive(t, got); s.target != numbered {
			t.Errorf("the VCS was asked again: %s", s.target)
		}

		// A project that isn't allowed stays so under its number.
		a = r.get("GET", "/api/v4/projects/43/repository/branches", sees, "")
		if a.StatusCode != 403 || a.problem.Reason != string(allow.ProjectNotAllowed) {
			t.Errorf("another project: %d %s", a.StatusCode, a.body)
		}
		if s := receive(t, got); s.target != "/api/v4/projects/43" {
			t.Errorf("the VCS saw %s", s.target)
		}

		// What one credential has learned isn't told to another.
		for range 2 {
			a = r.get("GET", numbered, http.Header{"Private-Token": {"doesn't"}}, "")
			if a.StatusCode != 403 || a.problem.Reason != string(allow.ProjectUnknown) {
				t.Errorf("another credential: %d %s", a.StatusCode, a.body)
			}
			if s := receive(t, got); s.target != "/api/v4/projects/42" || s.header.Get("Private-Token") != "doesn't" {
				t.Errorf("the VCS was asked %+v", s)
			}
		}
		for result, want := range map[string]float64{"hit": 1, "found": 2, "failed": 2} {
			if n := r.metric(`vcs_agent_project_lookups_total{result="` + result + `"}`); n != want {
				t.Errorf("%s: %v, want %v", result, n, want)
			}
		}
		if len(got) > 0 {
			t.Errorf("and more: %+v", receive(t, got))
		}
	})
}

// Every project that a request gives by its number is asked for, and nothing
// unless the answer matters.
func TestWhatIsLookedUp(t *testing.T) {
	vcs, got := gitlab()
	r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) {
		restricted(c)
		c.Policy.Rules = rulesOf(t, `
allow:
  - name: acme.many
    purpose: Compare many projects.
    group: read
    methods: [GET]
    path: /api/v4/projects/{project}/many
    query: [a, b, c, d]
    names_projects: {a: id, b: id, c: id, d: id}
`)
	})
	sees := http.Header{"Private-Token": {"sees"}, "Content-Type": {"application/json"}}
	const compare = "/api/v4/projects/42/repository/compare?from=a&to=b"
	for _, tc := range []struct {
		name, target string
		asked        []string // before the call itself, if that was allowed
		status       int
	}{
		{"a path", "/api/v4/projects/group%2Frepo/repository/branches", nil, 200},
		{"two numbers", compare + "&from_project_id=42", []string{"/api/v4/projects/42"}, 200},
		{"another project in the query", compare + "&from_project_id=43", []string{"/api/v4/projects/43"}, 403},
		{"three numbers, one of them not known yet", "/api/v4/projects/42/many?a=42&b=43&c=44", []string{"/api/v4/projects/44"}, 403},
		{"more numbers than are asked for", "/api/v4/projects/42/many?a=45&b=46&c=47&d=48", nil, 403},
		{"a number and what no rule allows", numbered + "?sudo=1", nil, 403},
		{"a number where no rule is", "/api/v4/projects/42/hooks", nil, 403},
		{"a group that is off", "/42.git/info/refs?service=git-upload-pack", nil, 403},
		{"a number longer than any", "/api/v4/projects/1234567890123456789012/repository/branches", nil, 403},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if a := r.get("GET", tc.target, sees, ""); a.StatusCode != tc.status {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			want := tc.asked
			if tc.status == 200 {
				want = append(want, tc.target)
			}
			var asked []string
			for range len(got) {
				asked = append(asked, receive(t, got).target)
			}
			if !reflect.DeepEqual(asked, want) {
				t.Errorf("the VCS saw %q, want %q", asked, want)
			}
		})
	}
}

// The agent's own credential asks, where there is one.
func TestLookupWithOwnCredential(t *testing.T) {
	vcs, got := gitlab()
	r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) { restricted(c); own(t, c, "Private-Token: sees") })
	if a := r.get("GET", numbered, http.Header{"Private-Token": {"callers"}, "Authorization": {"Bearer callers"}}, ""); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for range 2 {
		if s := receive(t, got); s.header.Get("Private-Token") != "sees" || s.header.Get("Authorization") != "" {
			t.Errorf("the VCS was asked %+v", s)
		}
	}
	// A caller's credential is no way around what is remembered: it doesn't count.
	r.get("GET", numbered, http.Header{"Private-Token": {"another"}}, "")
	if s := receive(t, got); s.target != numbered {
		t.Errorf("the VCS was asked again: %s", s.target)
	}
}

// A project that can't be known stays denied, and is asked for anew by the next
// request.
func TestFailedLookups(t *testing.T) {
	project := func(name string) string { return `{"path_with_namespace":"` + name + `"}` }
	answer := func(status int, body string) func(*http.Request) (*http.Response, error) {
		return func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Header: http.Header{"Location": {"/api/v4/projects/1"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
		}
	}
	for _, tc := range []struct {
		name   string
		answer func(*http.Request) (*http.Response, error)
		told   string // to the caller, behind "asked for project 42, the VCS "; "" if it is found
	}{
		{"found", answer(200, project("group/repo")), ""},
		{"found in the largest answer", answer(200, project("group/repo")+strings.Repeat(" ", agent.LookupBytes-len(project("group/repo")))), ""},

		{"not found", answer(404, project("group/repo")), "answered with status 404"},
		{"not allowed", answer(401, project("group/repo")), "answered with status 401"},
		{"another status of success", answer(206, project("group/repo")), "answered with status 206"},
		{"a redirect", answer(301, project("group/repo")), "answered with status 301"},
		{"a fault", answer(500, "s3cret"), "answered with status 500"},
		{"no JSON", answer(200, "<html>s3cret"), "answered with something that names no project"},
		{"no project", answer(200, `{"message":"s3cret"}`), "answered with something that names no project"},
		{"a name that is none", answer(200, project(`../s3cret`)), "answered with something that names no project"},
		{"too much", answer(200, project("group/repo")+strings.Repeat(" ", agent.LookupBytes)), "answered with more than 1048576 bytes"},
		{"a body that breaks off", func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(io.MultiReader(strings.NewReader(project("group/repo")), errorReader{}))}, nil
		}, "broke its answer off"},
		{"nobody there", func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }, "could not be reached"},
		{"silence", func(req *http.Request) (*http.Response, error) {
			deadline, ok := req.Context().Deadline()
			if left := time.Until(deadline); !ok || left > agent.LookupTimeout || left < agent.LookupTimeout/2 {
				t.Errorf("it may take %v", left)
			}
			return nil, context.DeadlineExceeded
		}, "did not answer in time"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := prepare(t, transport.ModeTCP, nil, restricted)
			asked := 0
			now := tc.answer
			r.Through(func(http.RoundTripper) http.RoundTripper {
				return roundTripper(func(req *http.Request) (*http.Response, error) {
					if req.URL.Path == "/api/v4/projects/42" {
						asked++
						return now(req)
					}
					return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("ok")), Request: req}, nil
				})
			})
			r.run()
			r.session = receive(t, r.gateway.sessions)
			a := r.get("GET", numbered, nil, "")
			if tc.told == "" {
				if a.StatusCode != 200 || a.body != "ok" {
					t.Errorf("%d %s", a.StatusCode, a.body)
				}
				return
			}
			if a.StatusCode != 403 || a.problem.Reason != string(allow.ProjectUnknown) || !strings.HasSuffix(a.problem.Detail, "; asked for project 42, the VCS "+tc.told+".") {
				t.Errorf("%d %s", a.StatusCode, a.body)
			}
			line := r.lines("denied", 1)[0]
			if line["reason"] != string(allow.ProjectUnknown) || line["error"] == nil || !strings.HasSuffix(fmt.Sprint(line["detail"]), tc.told) {
				t.Errorf("log %v", line)
			}
			if strings.Contains(a.body+r.log.String(), "s3cret") {
				t.Errorf("what the VCS said is told: %s\n%s", a.body, r.log)
			}
			now = answer(200, project("group/repo"))
			if a := r.get("GET", numbered, nil, ""); a.StatusCode != 200 || asked != 2 {
				t.Errorf("once the VCS answers: %d %s, asked %d times", a.StatusCode, a.body, asked)
			}
		})
	}
}

// Of an answer that doesn't end no more is read than may be.
func TestEndlessLookup(t *testing.T) {
	r := prepare(t, transport.ModeTCP, nil, restricted)
	read := 0
	r.answers(func(*http.Request) *http.Response {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(readerFunc(func(p []byte) (int, error) {
			read += len(p)
			if read > 2*agent.LookupBytes {
				return 0, errors.New("read on and on")
			}
			clear(p)
			return len(p), nil
		}))}
	})
	r.run()
	r.session = receive(t, r.gateway.sessions)
	a := r.get("GET", numbered, nil, "")
	if a.problem.Reason != string(allow.ProjectUnknown) || !strings.Contains(a.problem.Detail, "more than 1048576 bytes") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// A caller that goes away while the VCS is asked ends the question.
func TestCallerGoesAwayDuringLookup(t *testing.T) {
	arrived, ended := make(chan struct{}), make(chan error, 1)
	r := prepare(t, transport.ModeQUIC, nil, restricted)
	r.Through(func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			close(arrived)
			<-req.Context().Done()
			ended <- req.Context().Err()
			return nil, req.Context().Err()
		})
	})
	r.run()
	r.session = receive(t, r.gateway.sessions)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if resp, err := r.send(ctx, "GET", numbered, nil, nil); err == nil {
			resp.Body.Close()
			t.Error("answered")
		}
	}()
	receive(t, arrived)
	cancel()
	if err := receive(t, ended); !errors.Is(err, context.Canceled) {
		t.Errorf("the question ended with %v", err)
	}
	receive(t, done)
	if line := r.lines("cancelled", 1)[0]; line["status_code"] != 499.0 {
		t.Errorf("log %v", line)
	}
}

// Requests that come together ask once, each within its own time.
func TestLookupsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := agent.NewLookups()
		release := make(chan struct{})
		asked := 0
		find := func(ctx context.Context) (string, bool, error) {
			return l.Find(ctx, "42", nil, func() (string, error) {
				asked++
				<-release
				return "group/repo", nil
			})
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if path, _, err := find(t.Context()); path != "group/repo" || err != nil {
					t.Errorf("%q, %v", path, err)
				}
			})
		}
		synctest.Wait()
		// One that waits doesn't wait past its own end.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, _, err := find(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		close(release)
		wg.Wait()
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		// Nor does one number, or credential, stand for another.
		for i, credentials := range []http.Header{{"A": {"b"}}, {"A": {"b", ""}}, {"A": {"b"}, "B": nil}, {"Ab": {""}}, {"A": {"bB"}}} {
			if _, hit, _ := l.Find(t.Context(), "42", credentials, func() (string, error) { return "x/y", nil }); hit {
				t.Errorf("credentials %d are taken for others", i)
			}
		}
		if _, hit, _ := l.Find(t.Context(), "4", http.Header{"2": nil}, func() (string, error) { return "x/y", nil }); hit {
			t.Error("a number is taken for another")
		}
	})
}

// A request that goes away, or panics, while it asks leaves the question to those
// who wait for it.
func TestLookupIsAbandoned(t *testing.T) {
	for name, end := range map[string]func(cancel func()) (string, error){
		"gone":     func(cancel func()) (string, error) { cancel(); return "", context.Canceled },
		"panicked": func(func()) (string, error) { panic("a fault") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := agent.NewLookups()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				release := make(chan struct{})
				var wg sync.WaitGroup
				wg.Go(func() {
					defer func() { recover() }()
					l.Find(ctx, "42", nil, func() (string, error) { <-release; return end(cancel) })
				})
				synctest.Wait()
				for range 3 {
					wg.Go(func() {
						if path, _, err := l.Find(t.Context(), "42", nil, func() (string, error) { return "group/repo", nil }); path != "group/repo" || err != nil {
							t.Errorf("%q, %v", path, err)
						}
					})
				}
				synctest.Wait()
				close(release)
				wg.Wait()
			})
		})
	}
}

// What is remembered has an end and a bound.
func TestLookupsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := agent.NewLookups()
		find := func(id, path string, err error) (string, bool, error) {
			return l.Find(t.Context(), id, nil, func() (string, error) { return path, err })
		}
		find("42", "group/old", nil)
		time.Sleep(agent.LookupCacheTime - time.Second)
		if path, hit, _ := find("42", "group/new", nil); path != "group/old" || !hit {
			t.Errorf("within its time: %q, hit: %t", path, hit)
		}
		time.Sleep(time.Second)
		if path, hit, _ := find("42", "group/new", nil); path != "group/new" || hit {
			t.Errorf("after its time: %q, hit: %t", path, hit)
		}
		find("43", "", errors.New("no such project"))
		if path, hit, err := find("43", "group/repo", nil); path != "group/repo" || hit || err != nil {
			t.Errorf("after a failure: %q, hit: %t, %v", path, hit, err)
		}
		for i := range 3 * agent.LookupCacheSize {
			find(strconv.Itoa(i), "group/repo", nil)
		}
		if n := l.Len(); n != agent.LookupCacheSize {
			t.Errorf("%d are remembered", n)
		}
	})
}
