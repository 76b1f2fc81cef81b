package agent_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vcsagent/agent"
	"vcsagent/transport"
)

// A call goes below the base endpoint's context path, or to the host that its
// rule fixes, which has none; the Host header says the same.
func TestWhereCallsGo(t *testing.T) {
	sent := make(chan *http.Request, 1)
	for _, tc := range []struct{ name, base, target, want string }{
		{"no context path", "http://vcs.example", "/api/v3/users/u", "http://vcs.example/api/v3/users/u"},
		{"a slash", "http://vcs.example/", "/api/v3/users/u", "http://vcs.example/api/v3/users/u"},
		{"a port", "https://vcs.example:8443", "/api/v3/users/u", "https://vcs.example:8443/api/v3/users/u"},
		{"a context path", "http://vcs.example/ghe", "/api/v3/users/u", "http://vcs.example/ghe/api/v3/users/u"},
		{"a context path with a slash", "http://vcs.example/a/b/", "/api/v3/users/u", "http://vcs.example/a/b/api/v3/users/u"},
		{"escapes stay", "http://vcs.example/ghe", "/api/v3/repos/o/r/tarball/a%25b/%23c", "http://vcs.example/ghe/api/v3/repos/o/r/tarball/a%25b/%23c"},
		{"a rule's host", "https://vcs.example:8443/ghe", "/o/r/legacy.tar.gz/refs/heads/main?token=t%2Bt", "https://codeload.vcs.example:8443/o/r/legacy.tar.gz/refs/heads/main?token=t%2Bt"},
		{"the same call without isolation", "https://vcs.example:8443/ghe", "/codeload/o/r/legacy.tar.gz/main", "https://vcs.example:8443/ghe/codeload/o/r/legacy.tar.gz/main"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := prepare(t, transport.ModeTCP, nil, func(c *agent.Config) {
				c.Policy.Vendor = "github_enterprise"
				c.TargetBaseEndpoint = tc.base
			})
			r.Through(func(http.RoundTripper) http.RoundTripper {
				return roundTripper(func(req *http.Request) (*http.Response, error) {
					sent <- req
					return &http.Response{StatusCode: 200, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("ok")), Request: req}, nil
				})
			})
			req, err := http.NewRequest("GET", "http://vcs-agent/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.RequestURI, req.Host, req.Body = tc.target, "evil.example", http.NoBody
			w := newRecorder()
			r.Session(1).ServeHTTP(w, req)
			if w.status != 200 {
				t.Fatalf("answered %d %s", w.status, &w.body)
			}
			out := <-sent
			if out.URL.String() != tc.want || out.Host != "" {
				t.Errorf("went to %s, Host %q, want %s", out.URL, out.Host, tc.want)
			}
		})
	}
}

// Whatever a VCS puts in Location, what becomes of it leads nowhere but to a
// path, with any client.
func FuzzRelative(f *testing.F) {
	for _, s := range []string{
		"", "/ghe/x", "http://vcs.example/ghe/a%2Fb?c#d", "//evil.example", `/ghe/\evil.example`, "/ghe//x", "/ghe/%2e%2E/x", "x/../..//y", "?a", "#a", "http:x", "http:///ghe",
		"http://codeload.vcs.example//evil.example/x", "/ghe/%2F/evil.example", "http://vcs.example/ghe/;/..;/x", "/ghe/%09/x", "/ghe/%0d%0aX: y", "/ghe?\u2028",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, location string) {
		got, ok := agent.Relative("http://vcs.example/ghe/", "/ghe/api/v3/repos/o/r/tarball/main", location)
		if !ok {
			if got != "" {
				t.Errorf("%q is foreign and yet became %q", location, got)
			}
			return
		}
		if got[0] != '/' || strings.HasPrefix(got, "//") || strings.HasPrefix(got, `/\`) {
			t.Fatalf("%q became %q", location, got)
		}
		for _, c := range []byte(got) {
			if c < ' ' || c == 0x7f {
				t.Fatalf("%q became %q, with a control character", location, got)
			}
		}
		u, err := url.Parse(got)
		if err != nil || u.Host != "" || u.Scheme != "" || u.User != nil || u.Opaque != "" {
			t.Fatalf("%q became %q, read as %+v, %v", location, got, u, err)
		}
		// Below a pool's path at the gateway it stays there, dots encoded or not.
		const pool = "/private/pool"
		lower := strings.NewReplacer("%2e", ".", "%2E", ".", "%5c", "/", "%5C", "/").Replace(u.EscapedPath())
		there := (&url.URL{Scheme: "http", Host: "gateway.example", Path: "/"}).ResolveReference(&url.URL{Path: pool + lower})
		if there.Host != "gateway.example" || !strings.HasPrefix(there.Path, pool+"/") {
			t.Fatalf("%q became %q, which leads to %s", location, got, there)
		}
	})
}
