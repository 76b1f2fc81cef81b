package agent_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"vcsagent/agent"
	"vcsagent/allow"
	"vcsagent/transport"
)

// seen is a request as the VCS got it.
type seen struct {
	method, target, host, body string
	length                     int64
	header, trailer            http.Header
}

// recorder is a VCS that tells what it got.
func recorder() (http.HandlerFunc, chan seen) {
	ch := make(chan seen, 16)
	return func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		ch <- seen{r.Method, r.RequestURI, r.Host, string(b), r.ContentLength, r.Header, r.Trailer}
		io.WriteString(w, "from the VCS")
	}, ch
}

func TestAllowedCalls(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		vcs, got := recorder()
		r := start(t, mode, vcs, nil)
		for _, tc := range []struct{ name, method, target, contentType, body, wantTarget, wantBody string }{
			{"as it is", "GET", project + "?statistics=true", "", "", project + "?statistics=true", ""},
			{"in one canonical form", "GET", "/api/v4/projects/gr%6fup%2frepo", "", "", project, ""},
			{"a body", "POST", notes, "application/json", `{"body":"hello"}`, notes, `{"body":"hello"}`},
			{"a form, written anew", "POST", notes, "application/x-www-form-urlencoded", "body=a+b%41", notes, "body=a+bA"},
			{"no body where one may be", "POST", "/api/v4/projects/group%2Frepo/environments/1/stop", "", "", "/api/v4/projects/group%2Frepo/environments/1/stop", ""},
		} {
			h := http.Header{}
			if tc.contentType != "" {
				h.Set("Content-Type", tc.contentType)
			}
			a := r.get(tc.method, tc.target, h, tc.body)
			if a.StatusCode != 200 || a.body != "from the VCS" || a.Header.Get(transport.ErrorHeader) != "" {
				t.Fatalf("%s: %d %s", tc.name, a.StatusCode, a.body)
			}
			s := receive(t, got)
			if s.method != tc.method || s.target != tc.wantTarget || s.body != tc.wantBody || s.length != int64(len(tc.wantBody)) || "http://"+s.host != r.vcs.URL {
				t.Errorf("%s: the VCS saw %+v", tc.name, s)
			}
			if tc.contentType != "" && s.header.Get("Content-Type") != tc.contentType {
				t.Errorf("%s: Content-Type %q", tc.name, s.header.Get("Content-Type"))
			}
		}
	})
}

func TestRequestHeaders(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		vcs, got := recorder()
		r := start(t, mode, vcs, nil)
		r.get("GET", project, http.Header{
			"Authorization": {"Bearer callers"}, "Private-Token": {"callers"}, "Accept": {"a/b", "c/d"}, "X-Request-Id": {"id-7"}, "Traceparent": {"00-1-2-01"},
			"Cookie": {"a=b"}, "X-Forwarded-For": {"1.2.3.4"}, "X-Http-Method-Override": {"DELETE"}, "Sudo": {"root"}, "Vcs-Gateway-Key": {"k"}, "Vcs-Agent-Name": {"n"},
			"Proxy-Authorization": {"Basic x"}, "Accept-Encoding": {"gzip, br"}, "User-Agent": {"caller/1"},
		}, "")
		want := http.Header{
			"Authorization": {"Bearer callers"}, "Private-Token": {"callers"}, "Accept": {"a/b", "c/d"}, "X-Request-Id": {"id-7"}, "Traceparent": {"00-1-2-01"},
			"Accept-Encoding": {"gzip, br"}, "User-Agent": {"caller/1"},
		}
		if s := receive(t, got); !reflect.DeepEqual(s.header, want) {
			t.Errorf("the VCS saw %v", s.header)
		}
		// Nothing is made up where the caller says nothing.
		r.get("GET", project, nil, "")
		if s := receive(t, got); !reflect.DeepEqual(s.header, http.Header{"X-Request-Id": {"id-1"}}) {
			t.Errorf("the VCS saw %v", s.header)
		}
	})
}

func TestIdentityIsAskedFor(t *testing.T) {
	vcs, got := recorder()
	r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) { c.DisableResponseCompression = true })
	r.get("GET", project, http.Header{"Accept-Encoding": {"gzip"}}, "")
	if s := receive(t, got); !reflect.DeepEqual(s.header["Accept-Encoding"], []string{"identity"}) {
		t.Errorf("Accept-Encoding %q", s.header["Accept-Encoding"])
	}
}

func TestDenials(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) {
			t.Errorf("reached the VCS: %s %s", r.Method, r.RequestURI)
		}, func(c *agent.Config) { c.Policy.Projects = "group/repo" })
		jsonBody := http.Header{"Content-Type": {"application/json"}}
		for _, tc := range []struct {
			name, method, target string
			header               http.Header
			body                 string
			status               int
			reason               allow.Reason
			nearest              string // "" doesn't matter
		}{
			{"no rule", "GET", "/api/v4/nothing", nil, "", 403, allow.NoRule, ""},
			{"another method", "DELETE", project, nil, "", 403, allow.MethodNotAllowed, ""},
			{"a query key that isn't the rule's", "GET", project + "?sudo=1", nil, "", 403, allow.QueryNotAllowed, projectRule},
			{"another project", "GET", "/api/v4/projects/group%2Fother", nil, "", 403, allow.ProjectNotAllowed, projectRule},
			{"a path that can be read in two ways", "GET", "/api/v4/../user", nil, "", 403, allow.AmbiguousPath, ""},
			{"the session exchange", "GET", "/.well-known/vcs-agent/session/x", nil, "", 403, allow.NoRule, ""},
			{"a push", "POST", "/group/repo.git/git-receive-pack", nil, "", 403, allow.PushNotAllowed, ""},
			{"a group that is off", "GET", "/group/repo.git/info/refs?service=git-upload-pack", nil, "", 403, allow.GroupOff, "gitlab.git.refs"},
			{"a body where none may be", "GET", project, jsonBody, `{"a":1}`, 403, allow.BodyNotAllowed, projectRule},
			{"a field that isn't the rule's", "POST", notes, jsonBody, `{"body":"x","sudo":"root"}`, 403, allow.FieldNotAllowed, "gitlab.note.create"},
			{"a body that isn't what it says", "POST", notes, jsonBody, `{"body":`, 403, allow.BadBody, "gitlab.note.create"},
			{"a body over the bound", "POST", notes, jsonBody, `{"body":"` + strings.Repeat("x", allow.MaxBodyBytes) + `"}`, 413, allow.BodyTooLarge, "gitlab.note.create"},
		} {
			t.Run(tc.name, func(t *testing.T) {
				a := r.get(tc.method, tc.target, tc.header, tc.body)
				p := a.problem
				if a.StatusCode != tc.status || p.Status != tc.status || p.Code != "denied" || p.Reason != string(tc.reason) || p.ID != "id-1" || p.Title != http.StatusText(tc.status) {
					t.Errorf("%d %s", a.StatusCode, a.body)
				}
				if !strings.HasSuffix(p.Detail, ".") || p.Detail[0] < 'A' || p.Detail[0] > 'Z' {
					t.Errorf("the detail is no sentence: %q", p.Detail)
				}
				h := a.Header
				if h.Get(transport.ErrorHeader) != "denied" || h.Get(transport.ReasonHeader) != string(tc.reason) || h.Get(transport.NameHeader) != "" || h.Get(transport.PurposeHeader) != "" || h.Get(transport.StreamHeader) == "" {
					t.Errorf("headers %v", h)
				}
				if tc.nearest != "" && p.Nearest != tc.nearest {
					t.Errorf("the nearest rule is %q, want %q", p.Nearest, tc.nearest)
				}
			})
		}
		head := r.get("HEAD", "/api/v4/nothing", nil, "")
		if head.StatusCode != 403 || head.body != "" || head.Header.Get(transport.ErrorHeader) != "denied" || head.ContentLength <= 0 {
			t.Errorf("HEAD: %d %v, length %d", head.StatusCode, head.Header, head.ContentLength)
		}
	})
}

// The largest body that a rule inspects goes through; it stands beside the denial above.
func TestLargestInspectedBody(t *testing.T) {
	vcs, got := recorder()
	r := start(t, transport.ModeQUIC, vcs, nil)
	body := `{"body":""}`
	body = `{"body":"` + strings.Repeat("x", allow.MaxBodyBytes-len(body)) + `"}`
	if a := r.get("POST", notes, http.Header{"Content-Type": {"application/json"}}, body); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if s := receive(t, got); s.body != body {
		t.Errorf("the VCS got %d bytes of %d", len(s.body), len(body))
	}
}

// The caller's side of a body that is inspected may break off: that is said as it
// is and nothing is sent.
func TestBodyThatBreaksOff(t *testing.T) {
	r := start(t, transport.ModeTCP, func(w http.ResponseWriter, r *http.Request) { t.Error("reached the VCS") }, nil)
	broken := io.MultiReader(strings.NewReader(`{"body":`), errorReader{})
	req, _ := http.NewRequest("POST", notes, io.NopCloser(broken))
	req.RequestURI, req.ContentLength = notes, -1
	req.Header.Set("Content-Type", "application/json")
	w := newRecorder()
	r.Session(1).ServeHTTP(w, req)
	if w.status != http.StatusBadRequest || w.Header().Get(transport.ErrorHeader) != "body_unreadable" {
		t.Errorf("%d %v %s", w.status, w.Header(), &w.body)
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errors.New("broke off") }

type responseRecorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func newRecorder() *responseRecorder { return &responseRecorder{header: http.Header{}} }

func (w *responseRecorder) Header() http.Header         { return w.header }
func (w *responseRecorder) WriteHeader(status int)      { w.status = status }
func (w *responseRecorder) Write(p []byte) (int, error) { return w.body.Write(p) }

func TestHEAD(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != "HEAD" {
				t.Errorf("the VCS saw %s", r.Method)
			}
			w.Header().Set("Content-Length", "1234")
		}, nil)
		if a := r.get("HEAD", project, nil, ""); a.StatusCode != 200 || a.ContentLength != 1234 || a.body != "" {
			t.Errorf("%d, length %d, body %q", a.StatusCode, a.ContentLength, a.body)
		}
	})
}

func TestVCSErrors(t *testing.T) {
	silent := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	hijack := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(c, text)
			c.Close()
		}
	}
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		for _, tc := range []struct {
			name   string
			vcs    http.HandlerFunc
			change func(*agent.Config)
			status int
			code   string
		}{
			{"nobody listens", nil, func(c *agent.Config) { c.TargetBaseEndpoint = "http://" + freePort(t) }, 502, "vcs_unreachable"},
			{"no such host", nil, func(c *agent.Config) { c.TargetBaseEndpoint = "http://vcs.invalid" }, 502, "vcs_unreachable"},
			{"speaks no TLS", nil, func(c *agent.Config) {
				c.TargetBaseEndpoint = strings.Replace(c.TargetBaseEndpoint, "http", "https", 1)
			}, 502, "vcs_unreachable"},
			{"hangs up", hijack(""), nil, 502, "vcs_unreachable"},
			{"answers garbage", hijack("SSH-2.0-x\r\n"), nil, 502, "vcs_unreachable"},
			{"switches protocols unasked", hijack("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"), nil, 502, "vcs_unreachable"},
			{"headers over the bound", hijack("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", agent.HeaderBound+5000) + "\r\n\r\n"), nil, 502, "vcs_unreachable"},
			{"headers over the bound as the tunnel counts", hijack("HTTP/1.1 200 OK\r\n" + strings.Repeat("A:\r\n", agent.HeaderBound/6) + "Content-Length: 0\r\n\r\n"), nil, 502, "vcs_unreachable"},
			{"is silent", silent, func(c *agent.Config) { c.VCSTimeout = 50 * time.Millisecond }, 504, "vcs_timeout"},
		} {
			t.Run(tc.name, func(t *testing.T) {
				r := start(t, mode, tc.vcs, tc.change)
				a := r.get("GET", project, http.Header{"X-Request-Id": {"id-2"}}, "")
				if a.StatusCode != tc.status || a.problem.Code != tc.code || a.Header.Get(transport.ErrorHeader) != tc.code || a.problem.ID != "id-2" {
					t.Errorf("%d %s", a.StatusCode, a.body)
				}
				if h := a.Header; h.Get(transport.NameHeader) != projectRule || h.Get(transport.StreamHeader) == "" || h.Get(transport.ReasonHeader) != "" {
					t.Errorf("headers %v", h)
				}
				line := r.lines("failed", 1)[0]
				if line["code"] != tc.code || line["error"] == nil || line["level"] != "WARN" {
					t.Errorf("log %v", line)
				}
				if strings.Contains(a.body, "dial") || strings.Contains(a.body, "127.0.0.1") {
					t.Errorf("the answer holds what belongs in the log: %s", a.body)
				}
				// The session lives on.
				if a := r.get("GET", "/nothing", nil, ""); a.problem.Code != "denied" {
					t.Errorf("afterwards: %d %s", a.StatusCode, a.body)
				}
			})
		}
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A caller that goes away cancels the call all the way to the VCS.
func TestCallerGoesAway(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		arrived, ended := make(chan struct{}, 1), make(chan struct{}, 1)
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-r.Context().Done()
			ended <- struct{}{}
		}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan struct{})
		go func() {
			defer close(done)
			if resp, err := r.send(ctx, "GET", project, nil, nil); err == nil {
				resp.Body.Close()
				t.Error("answered")
			}
		}()
		receive(t, arrived)
		cancel()
		receive(t, ended)
		receive(t, done)
		if line := r.lines("cancelled", 1)[0]; line["status_code"] != 499.0 || line["level"] != "INFO" {
			t.Errorf("log %v", line)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A panic ends its own request and no other; it's logged and reported.
func TestPanicEndsOneRequest(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		reported := make(chan error, 4)
		arrived, release := make(chan struct{}), make(chan struct{})
		r := prepare(t, mode, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("statistics") != "" {
				close(arrived)
				<-release
			}
			io.WriteString(w, "from the VCS")
		}, func(c *agent.Config) { c.Report = func(err error) { reported <- err } })
		r.Through(func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(req *http.Request) (*http.Response, error) {
				switch req.URL.Path {
				case "/api/v4/user":
					panic("a fault of the agent's")
				case "/api/v4/projects":
					resp, err := next.RoundTrip(req)
					if err == nil {
						resp.Body = panicking{resp.Body}
					}
					return resp, err
				}
				return next.RoundTrip(req)
			})
		})
		r.run()
		r.session = receive(t, r.gateway.sessions)

		other := make(chan answer, 1)
		go func() { other <- r.get("GET", project+"?statistics=true", nil, "") }()
		receive(t, arrived)

		a := r.get("GET", "/api/v4/user", nil, "")
		if a.StatusCode != 500 || a.problem.Code != "internal" || a.Header.Get(transport.ErrorHeader) != "internal" || strings.Contains(a.body, "fault of the agent's") {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		if err := receive(t, reported); !strings.Contains(err.Error(), "a fault of the agent's") {
			t.Errorf("reported %v", err)
		}
		line := r.lines("panic while serving a request", 1)[0]
		if line["level"] != "ERROR" || line["panic"] != "a fault of the agent's" || line["id"] != "id-1" || !strings.Contains(fmt.Sprint(line["stack"]), "handler_test.go") {
			t.Errorf("log %v", line)
		}
		if line := r.lines("failed", 1)[0]; line["status_code"] != 500.0 || line["code"] != "internal" {
			t.Errorf("log %v", line)
		}

		// In the middle of an answer it can only be cut.
		resp, err := r.send(t.Context(), "GET", "/api/v4/projects", nil, nil)
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err == nil {
			t.Error("an answer that a panic ended looks whole")
		}
		receive(t, reported)

		close(release)
		if a := receive(t, other); a.StatusCode != 200 || a.body != "from the VCS" {
			t.Errorf("the request beside it: %d %s", a.StatusCode, a.body)
		}
		// Every stream is free again.
		for range 5 {
			if a := r.get("GET", project, nil, ""); a.StatusCode != 200 {
				t.Errorf("afterwards: %d", a.StatusCode)
			}
		}
	})
}

type panicking struct{ io.ReadCloser }

func (panicking) Read([]byte) (int, error) { panic("within the body") }

// Each session's streams are numbered from 1, and each serves one request at a time.
func TestStreams(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		const n = 3
		arrived, release := make(chan struct{}, 10), make(chan struct{})
		var once sync.Once
		free := func() { once.Do(func() { close(release) }) }
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-release
		}, func(c *agent.Config) { c.Parallelism = n })
		defer free()
		streams := make(chan string, 10)
		var wg sync.WaitGroup
		defer wg.Wait()
		for range n + 1 { // one more than the gateway may
			wg.Go(func() { streams <- r.get("GET", project, nil, "").Header.Get(transport.StreamHeader) })
		}
		for range n {
			receive(t, arrived)
		}
		if r.metric(`vcs_agent_in_flight_requests`) != n {
			t.Errorf("%v in flight, want %d", r.metric(`vcs_agent_in_flight_requests`), n)
		}
		select {
		case <-arrived:
			t.Error("more requests than streams reached the VCS")
		default:
		}
		free()
		got := map[string]int{}
		for range n + 1 {
			got[receive(t, streams)]++
		}
		if got["1"] == 0 || got["2"] == 0 || got["3"] == 0 || len(got) != 3 {
			t.Errorf("streams %v", got)
		}
		r.lines("served", n+1)
		var sum float64
		for s, count := range got {
			v := r.metric(`vcs_agent_stream_requests_total{stream="` + s + `"}`)
			if v != float64(count) {
				t.Errorf("stream %s served %d, the metric says %v", s, count, v)
			}
			sum += v
		}
		if r.metric(`vcs_agent_in_flight_requests`) != 0 {
			t.Error("some are in flight at the end")
		}
	})
}
