package agent_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vcsagent/agent"
	"vcsagent/transport"
)

// Redirects to the hosts that the policy names pass as they are, beside near-misses.
func TestRedirectHosts(t *testing.T) {
	const foreign = ""
	type row struct{ name, location, want string }
	same := func(name, location string) row { return row{name, location, location} }
	both := []row{
		same("a host that the policy names", "https://objects.example.com/a/b?X-Amz-Signature=s#f"),
		same("that host in capitals", "HTTPS://Objects.Example.COM/a"),
		same("that host with the default port", "https://objects.example.com:443/a"),
		same("that host alone", "https://objects.example.com"),
		same("escapes and odd paths stay", "https://objects.example.com//a/%2e%2e/b%2Fc?"),
		same("a host with a port", "https://cdn.example.com:8443/a"),
		same("a host with the default port, named with it", "https://tls.example.com/a"),

		{"that host on another port", "https://objects.example.com:8443/a", foreign},
		{"a port that is not the named one", "https://cdn.example.com/a", foreign},
		{"a host below it", "https://a.objects.example.com/a", foreign},
		{"the host above it", "https://example.com/a", foreign},
		{"a host that ends alike", "https://evil-objects.example.com/a", foreign},
		{"a host that begins alike", "https://objects.example.com.evil.example/a", foreign},
		{"a dot more", "https://objects.example.com./a", foreign},
		{"an escape in the host", "https://objects%2eexample.com/a", foreign},
		{"user and password", "https://u:p@objects.example.com/a", foreign},
		{"an empty user", "https://@objects.example.com/a", foreign},
		{"the host as a user", "https://objects.example.com@evil.example/a", foreign},
		{"the host as a user, with a backslash", `https://evil.example\@objects.example.com/a`, foreign},
		{"the host before a backslash", `https://objects.example.com\@evil.example/a`, foreign},
		{"the host before a tab", "https://objects.example.com\t.evil.example/a", foreign},
		{"no scheme", "//objects.example.com/a", foreign},
		{"another scheme", "ftp://objects.example.com/a", foreign},
		{"a script", "javascript://objects.example.com/%0aalert(1)", foreign},
		{"no slashes", "https:objects.example.com/a", foreign},
		{"one slash", "https:/objects.example.com/a", foreign},
		{"three slashes", "https:///objects.example.com/a", foreign},
		{"backslashes for slashes", `https:\\objects.example.com\a`, foreign},
		{"a space before it", " https://objects.example.com/a", foreign},
		{"a host in the query", "https://evil.example/?https://objects.example.com/", foreign},
		{"a host in the fragment", "https://evil.example/#@objects.example.com/", foreign},
	}
	for _, tc := range []struct {
		base string
		rows []row
	}{
		{"http://vcs.example", append(slices.Clone(both),
			same("without TLS, as the VCS itself", "http://objects.example.com/a"),
			same("without TLS, on the named port", "http://cdn.example.com:8443/a"),
			row{"without TLS, on TLS's port", "http://objects.example.com:443/a", foreign},
			row{"a port that is the other scheme's", "http://tls.example.com/a", foreign})},
		{"https://vcs.example", append(slices.Clone(both),
			row{"without TLS", "http://objects.example.com/a", foreign},
			row{"without TLS, on the named port", "http://cdn.example.com:8443/a", foreign},
			row{"the VCS itself without TLS", "http://vcs.example/a", foreign})},
	} {
		t.Run(tc.base, func(t *testing.T) {
			r := prepare(t, transport.ModeTCP, nil, func(c *agent.Config) {
				c.TargetBaseEndpoint = tc.base
				c.Policy.Rules = rulesOf(t, `redirects: [objects.example.com, "cdn.example.com:8443", "tls.example.com:443"]`)
			})
			r.run()
			r.session = receive(t, r.gateway.sessions)
			for _, row := range tc.rows {
				t.Run(row.name, func(t *testing.T) {
					for status, link := range map[int]string{http.StatusFound: "", http.StatusCreated: "<" + row.location + ">; rel=next"} {
						r.answers(func(req *http.Request) *http.Response {
							h := http.Header{"Location": {row.location}}
							if link != "" {
								h.Set("Link", link)
							}
							return &http.Response{StatusCode: status, Header: h}
						})
						got := r.get("GET", project, http.Header{"Private-Token": {"s3cret"}}, "")
						if status == http.StatusFound && row.want == foreign {
							mustBeForeign(t, got)
							continue
						}
						if l := got.Header.Get("Location"); got.StatusCode != status || l != row.want {
							t.Errorf("%d: %q became %d %q, want %q", status, row.location, got.StatusCode, l, row.want)
						}
						if l, ok := got.Header["Link"]; ok {
							t.Errorf("%d: links elsewhere pass: %q", status, l)
						}
					}
				})
			}
		})
	}
}

// answers puts f in the place of the way to the VCS.
func (r *rig) answers(f func(*http.Request) *http.Response) {
	r.Through(func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			resp := f(req)
			resp.Request, resp.ProtoMajor, resp.ProtoMinor = req, 1, 1
			if resp.Header == nil {
				resp.Header = http.Header{}
			}
			if resp.Body == nil {
				resp.Body = io.NopCloser(strings.NewReader(""))
			}
			return resp, nil
		})
	})
}
