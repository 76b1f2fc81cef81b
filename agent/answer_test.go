package agent_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"vcsagent/agent"
	"vcsagent/transport"
)

// tarball is a call of the GitHub rules whose answer is a redirect in real life.
const tarball = "/api/v3/repos/o/r/tarball/main"

// program is a VCS whose next answers a test chooses.
type program struct {
	now atomic.Pointer[http.HandlerFunc]
}

func (p *program) set(f http.HandlerFunc)                       { p.now.Store(&f) }
func (p *program) serve(w http.ResponseWriter, r *http.Request) { (*p.now.Load())(w, r) }

// raw is a VCS that answers with these bytes and then hangs up.
func raw(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		io.WriteString(conn, answer)
	}
}

func TestLocation(t *testing.T) {
	var vcs program
	r := start(t, transport.ModeTCP, vcs.serve, func(c *agent.Config) {
		c.Policy.Vendor = "github_enterprise"
		c.TargetBaseEndpoint += "/ghe/"
	})
	authority := strings.TrimPrefix(r.vcs.URL, "http://")
	host, port, _ := strings.Cut(authority, ":")
	base := "http://" + authority + "/ghe"
	const foreign = ""
	for _, tc := range []struct{ name, location, want string }{
		{"absolute", base + "/api/v3/user", "/api/v3/user"},
		{"absolute with capitals", "HTTP://" + authority + "/ghe/x", "/x"},
		{"the base itself", base, "/"},
		{"the base with a slash", base + "/", "/"},
		{"the base with a query", base + "?a=b", "/?a=b"},
		{"query, fragment and escapes", base + "/a%2Fb/c?d=%2F&d=e#f%20g", "/a%2Fb/c?d=%2F&d=e#f%20g"},
		{"an empty query", base + "/x?", "/x?"},
		{"below the context path", "/ghe/x", "/x"},
		{"beside the context path", "/x", foreign},
		{"with the context path as a mere prefix", "/ghex/y", foreign},
		{"out of the context path", "/ghe/../x", foreign},
		{"out of the context path, encoded", "/ghe/%2e%2e/x", foreign},
		{"out of the context path, half encoded", "/ghe/a/.%2E/%2e./x", foreign},
		{"a single encoded dot", "/ghe/%2E/x", foreign},
		{"out of the context path with backslashes", `/ghe/..\x`, foreign},
		{"dots in a name", "/ghe/..x/x..", "/..x/x.."},
		{"relative", "other", "/api/v3/repos/o/r/tarball/other"},
		{"relative and up", "../../x", "/api/v3/repos/o/x"},
		{"relative query", "?ref=x", tarball + "?ref=x"},
		{"relative with a colon", "./a:b", "/api/v3/repos/o/r/tarball/a:b"},

		{"another host", "http://evil.example/ghe/x", foreign},
		{"a host that begins alike", "http://" + host + ".evil.example:" + port + "/ghe/x", foreign},
		{"a host with a dot more", "http://" + host + ".:" + port + "/ghe/x", foreign},
		{"the host's default port", "http://" + host + "/ghe/x", foreign},
		{"another port", "http://" + host + ":1/ghe/x", foreign},
		{"another scheme", "https://" + authority + "/ghe/x", foreign},
		{"a scheme that isn't HTTP", "javascript:alert(1)", foreign},
		{"without scheme", "//" + authority + "/ghe/x", "/x"},
		{"without scheme, elsewhere", "//evil.example/ghe/x", foreign},
		{"three slashes", "///evil.example/ghe/x", foreign},
		{"four slashes", "////evil.example/ghe/x", foreign},
		{"two slashes behind the context path", "/ghe//evil.example/x", foreign},
		{"an absolute one with two slashes", base + "//evil.example/x", foreign},
		{"scheme without slashes", "http:evil.example", foreign},
		{"scheme with one slash", "http:/ghe/x", foreign},
		{"scheme with three slashes", "http:///ghe/x", foreign},
		{"scheme with backslashes", `http:\\evil.example\ghe`, foreign},
		{"two backslashes behind the context path", `/ghe/\\evil.example`, foreign},
		{"a slash and a backslash", `/\evil.example/ghe`, foreign},
		{"backslashes", `\\evil.example\x`, foreign},
		{"a backslash in a query", `/ghe/x?a=\`, `/x?a=\`},
		{"userinfo", "http://u:p@" + authority + "/ghe/x", foreign},
		{"the host as userinfo", "http://" + authority + "@evil.example/ghe/x", foreign},
		{"no URL", "http://[", foreign},
		{"a tab", "/ghe/\tx", foreign},

		{"a host that a rule names", "http://codeload." + authority + "/o/r/legacy.tar.gz/main?token=t", "/o/r/legacy.tar.gz/main?token=t"},
		{"that host on another port", "http://codeload." + host + ":1/o/r/legacy.tar.gz/main", foreign},
		{"that host's name elsewhere", "http://codeload.evil.example/o/r/legacy.tar.gz/main", foreign},
		{"that host twice", "http://codeload.codeload." + authority + "/o", foreign},
		{"a host that no rule names", "http://media." + authority + "/o", foreign},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vcs.set(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Location"] = []string{tc.location}
				w.WriteHeader(http.StatusFound)
			})
			got := r.get("GET", tarball, nil, "")
			if tc.want == foreign {
				mustBeForeign(t, got)
				return
			}
			if l := got.Header["Location"]; got.StatusCode != http.StatusFound || !slices.Equal(l, []string{tc.want}) {
				t.Errorf("%q became %d %q, want %q", tc.location, got.StatusCode, l, tc.want)
			}
		})
		t.Run(tc.name+", not a redirect", func(t *testing.T) {
			vcs.set(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Location"] = []string{tc.location}
				w.WriteHeader(http.StatusAccepted)
			})
			got := r.get("GET", tarball, nil, "")
			if l := got.Header.Get("Location"); got.StatusCode != http.StatusAccepted || l != tc.want {
				t.Errorf("%q became %d %q, want %q", tc.location, got.StatusCode, l, tc.want)
			}
		})
	}

	t.Run("several", func(t *testing.T) {
		vcs.set(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Location"] = []string{base + "/x", base + "/y"}
			w.WriteHeader(http.StatusMovedPermanently)
		})
		mustBeForeign(t, r.get("GET", tarball, nil, ""))
	})
}

func mustBeForeign(t *testing.T, got answer) {
	t.Helper()
	if got.StatusCode != http.StatusBadGateway || got.Header.Get(transport.ErrorHeader) != "foreign_redirect" {
		t.Errorf("got %d %q, want the foreign redirect refused", got.StatusCode, got.Header.Values(transport.ErrorHeader))
	}
	if l, ok := got.Header["Location"]; ok || strings.Contains(got.body, "evil") {
		t.Errorf("the answer tells Location %q and the body %s", l, got.body)
	}
}

func TestForeignRedirectIsLoggedAndCounted(t *testing.T) {
	r := start(t, transport.ModeTCP, http.RedirectHandler("https://evil.example/login?token=s3cret", http.StatusFound).ServeHTTP, nil)
	mustBeForeign(t, r.get("GET", project, nil, ""))
	rec := r.lines("failed", 1)[0]
	if rec["code"] != "foreign_redirect" || !strings.Contains(fmt.Sprint(rec["error"]), "evil.example") || strings.Contains(fmt.Sprint(rec), "s3cret") {
		t.Errorf("logged %v", rec)
	}
	if n := r.metric(`vcs_agent_vcs_errors_total{code="foreign_redirect"}`); n != 1 {
		t.Errorf("counted %v", n)
	}
}

func TestLink(t *testing.T) {
	var vcs program
	r := start(t, transport.ModeTCP, vcs.serve, func(c *agent.Config) { c.TargetBaseEndpoint += "/gitlab" })
	authority := strings.TrimPrefix(r.vcs.URL, "http://")
	base := "http://" + authority + "/gitlab"
	for _, tc := range []struct {
		name  string
		links []string
		want  []string
	}{
		{"one", []string{"<" + base + `/api/v4/user?page=2>; rel="next"`}, []string{`</api/v4/user?page=2>; rel="next"`}},
		{"several", []string{"<" + base + `/a>; rel="next", <` + base + `/b>; rel="last"`}, []string{`</a>; rel="next", </b>; rel="last"`}},
		{"several headers", []string{"<" + base + "/a>", "<" + base + "/b>"}, []string{"</a>", "</b>"}},
		{"relative", []string{`<?page=2>; rel=next`}, []string{`</api/v4/user?page=2>; rel=next`}},
		{"without parameters", []string{"<" + base + "/a>"}, []string{"</a>"}},
		{"commas and angles in quotes", []string{"<" + base + `/a>; title="x, \", y"; rel=next, <` + base + "/b>"}, []string{`</a>; title="x, \", y"; rel=next, </b>`}},
		{"a comma in the URL", []string{"<" + base + "/a,b?c=d,e>, <" + base + "/f>"}, []string{"</a,b?c=d,e>, </f>"}},
		{"commas without a link", []string{", <" + base + "/a>,,"}, []string{"</a>"}},

		{"foreign", []string{`<https://evil.example/a>; rel="next"`}, nil},
		{"foreign without scheme", []string{`<//evil.example/a>; rel="next"`}, nil},
		{"foreign among ours", []string{"<" + base + `/a>; rel=prev, <https://evil.example/>; rel=next, <` + base + "/b>; rel=last"}, []string{"</a>; rel=prev, </b>; rel=last"}},
		{"foreign header among ours", []string{"<https://evil.example/>; rel=next", "<" + base + "/b>; rel=last"}, []string{"</b>; rel=last"}},
		{"outside the context path", []string{"<http://" + authority + "/other>; rel=next"}, nil},
		{"userinfo", []string{"<http://u:p@" + authority + "/gitlab/a>; rel=next"}, nil},
		{"not closed", []string{"<" + base + "/a"}, nil},
		{"no angle", []string{base + "/a; rel=next"}, nil},
		{"no URL", []string{"<http://[>; rel=next"}, nil},
		// Clients look for <…>; rel="next" with a regular expression.
		{"foreign behind a parameter", []string{"<" + base + `/a>; x=<https://evil.example/>; rel="next"`}, nil},
		{"foreign in a quoted parameter", []string{"<" + base + `/a>; title="<https://evil.example/>; rel=next"`}, nil},
		{"foreign in quotes that stay open", []string{"<" + base + `/a>; title="x, <https://evil.example/>; rel="next"`}, nil},
		{"foreign in the URL", []string{"<" + base + `/a?<https://evil.example/>; rel="next"`}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vcs.set(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Link"] = tc.links
				io.WriteString(w, "ok")
			})
			got := r.get("GET", "/api/v4/user", nil, "")
			if links := got.Header["Link"]; got.body != "ok" || !slices.Equal(links, tc.want) {
				t.Errorf("%q\nbecame %q\nwant   %q", tc.links, links, tc.want)
			}
		})
	}
}

// forged is what a VCS may send and no caller may get.
const forged = "VCS-Agent-Error: forged\r\nvcs-agent-name: forged\r\nVcs-AGENT-anything: forged\r\nVCS-Gateway-Key: forged\r\n" +
	"Set-Cookie: forged=1\r\nset-cookie2: forged=2\r\nAlt-Svc: h3=\"forged:443\"\r\nStrict-Transport-Security: max-age=1; forged\r\nClear-Site-Data: \"forged\"\r\n"

func TestAnswerHeaders(t *testing.T) {
	vcs := raw("HTTP/1.1 200 OK\r\n" + forged +
		"Connection: X-Hop\r\nX-Hop: forged\r\nKeep-Alive: forged\r\nProxy-Authenticate: forged\r\n" +
		"X-Twice: one\r\nX-Twice: two\r\nX-Twice: one\r\nETag: \"e\"\r\nVary: Accept\r\nX-Vcs-Agent-Error: kept\r\n" +
		"Content-Type: text/x-own\r\nContent-Length: 2\r\n\r\nok")
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		got := start(t, mode, vcs, nil).get("GET", "/api/v4/projects/g%2Fs%2Fp", nil, "")
		mustHoldNothingForged(t, "header", got.Header)
		for name, want := range map[string][]string{
			"X-Twice": {"one", "two", "one"}, "Etag": {`"e"`}, "Vary": {"Accept"}, "X-Vcs-Agent-Error": {"kept"}, "Content-Type": {"text/x-own"}, "Content-Length": {"2"},
			transport.NameHeader:    {"gitlab.project.get"},
			transport.PurposeHeader: {"Read a project's settings."},
			transport.ProjectHeader: {"g%2Fs%2Fp"},
			transport.StreamHeader:  {"1"},
		} {
			if v := got.Header.Values(name); !slices.Equal(v, want) {
				t.Errorf("%s is %q, want %q", name, v, want)
			}
		}
		if got.body != "ok" {
			t.Errorf("the body is %q", got.body)
		}
	})
}

// Nothing tells the caller a type that the VCS didn't.
func TestAnswerWithoutType(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		got := start(t, mode, raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"), nil).get("GET", project, nil, "")
		if ct, ok := got.Header["Content-Type"]; ok || got.body != "<html>" {
			t.Errorf("Content-Type %q, body %q", ct, got.body)
		}
	})
}

func mustHoldNothingForged(t *testing.T, where string, h http.Header) {
	t.Helper()
	for name, values := range h {
		if strings.Contains(strings.Join(values, " "), "forged") {
			t.Errorf("the %s holds %s: %q", where, name, values)
		}
	}
}

func TestTrailers(t *testing.T) {
	for name, announced := range map[string]string{
		"announced":     "Trailer: X-Sum, VCS-Agent-Error, Vcs-Agent-Name, Set-Cookie, X-Late\r\n",
		"half of them":  "Trailer: X-Sum, VCS-Agent-Error\r\n",
		"not announced": "",
	} {
		t.Run(name, func(t *testing.T) {
			vcs := raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + announced + "\r\n2\r\nok\r\n0\r\n" + forged + "X-Sum: 1\r\nX-Sum: 2\r\nX-Late: 3\r\n\r\n")
			bothCarriers(t, func(t *testing.T, mode transport.Mode) {
				got := start(t, mode, vcs, nil).get("GET", project, nil, "")
				mustHoldNothingForged(t, "header", got.Header)
				want := http.Header{"X-Sum": {"1", "2"}, "X-Late": {"3"}}
				if got.body != "ok" || !reflect.DeepEqual(got.Trailer, want) {
					t.Errorf("the body is %q, the trailers %q, want %q", got.body, got.Trailer, want)
				}
			})
		})
	}
}

func TestInformationalAnswers(t *testing.T) {
	vcs := raw("HTTP/1.1 103 Early Hints\r\nLink: <https://evil.example/forged>; rel=preload\r\nX-Early: forged\r\n" + forged + "\r\n" +
		"HTTP/1.1 102 Processing\r\n" + forged + "\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Final: 1\r\n\r\nok")
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		var mu sync.Mutex
		var codes []int
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				mu.Lock()
				defer mu.Unlock()
				codes = append(codes, code)
				mustHoldNothingForged(t, "informational answer", http.Header(header))
				return nil
			},
		})
		resp, err := start(t, mode, vcs, nil).send(ctx, "GET", project, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK || string(body) != "ok" || err != nil || resp.Header.Get("X-Final") != "1" {
			t.Errorf("in the end came %d %q, %v", resp.StatusCode, body, err)
		}
		mustHoldNothingForged(t, "header", resp.Header)
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(codes, []int{103, 102}) {
			t.Errorf("informational answers %v, want 103 and 102", codes)
		}
	})
}

// A VCS can't make the agent speak another protocol, nor hold a connection by trying.
func TestSwitchingProtocols(t *testing.T) {
	for name, upgrade := range map[string]string{"to a protocol": "Upgrade: forged\r\nConnection: Upgrade\r\n", "to nothing": ""} {
		t.Run(name, func(t *testing.T) {
			hungUp := make(chan struct{})
			r := start(t, transport.ModeTCP, func(w http.ResponseWriter, r *http.Request) {
				conn, _, err := http.NewResponseController(w).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n"+upgrade+forged+"\r\nhello")
				io.Copy(io.Discard, conn) // until the agent lets go
				close(hungUp)
			}, nil)
			got := r.get("GET", project, nil, "")
			if got.StatusCode != http.StatusBadGateway || got.problem.Code != "vcs_unreachable" {
				t.Errorf("got %d %s", got.StatusCode, got.body)
			}
			mustHoldNothingForged(t, "header", got.Header)
			receive(t, hungUp)
		})
	}
}

// What a VCS cuts off must not look whole to the caller.
func TestCutAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"with a length":    "Content-Length: 100\r\n\r\nhalf",
		"chunked":          "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"within a chunk":   "Transfer-Encoding: chunked\r\n\r\n64\r\nhalf",
		"within a trailer": "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX-Sum: ",
		"by garbage":       "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			bothCarriers(t, func(t *testing.T, mode transport.Mode) {
				r := start(t, mode, raw("HTTP/1.1 200 OK\r\n"+answer), nil)
				resp, err := r.send(t.Context(), "GET", project, nil, nil)
				if err == nil {
					var body []byte
					body, err = io.ReadAll(resp.Body)
					resp.Body.Close()
					if err == nil {
						t.Errorf("the cut answer looks whole: %d %q", resp.StatusCode, body)
					}
				}
				if line := r.lines("cut", 1)[0]; line["level"] != "WARN" || line["status_code"] != 200.0 || line["bytes_out"] != 4.0 {
					t.Errorf("logged %v", line)
				}
				// The session lives on.
				if a := r.get("GET", "/nothing", nil, ""); a.problem.Code != "denied" {
					t.Errorf("the next request got %d %s", a.StatusCode, a.body)
				}
			})
		})
	}
}

// An answer without a length ends with its connection (RFC 9112, section 6.3).
func TestAnswerThatEndsWithItsConnection(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		if got := start(t, mode, raw("HTTP/1.0 200 OK\r\n\r\nwhole"), nil).get("GET", project, nil, ""); got.StatusCode != http.StatusOK || got.body != "whole" {
			t.Errorf("got %d %q", got.StatusCode, got.body)
		}
	})
}
