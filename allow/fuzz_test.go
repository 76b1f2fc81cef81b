package allow_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"vcsagent/allow"
)

func quoteJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// FuzzCheck holds, for any method and target: no panic, the same answer twice,
// what is sent reads back as the very same request (by this package and by
// net/url) below the base endpoint, and a denial sends nothing.
func FuzzCheck(f *testing.F) {
	for _, target := range []string{
		"/api/v4/projects/g%2Fr/merge_requests?iids[]=1&state=opened",
		"/api/v4/projects/g%2Fs%2fr/repository/files/a%2F%2Espacelift%2Fconfig%2Eyml/raw?ref=x%2Fy",
		"/api/v3/repos/acme/infra/compare/main...feature/x",
		"/repos/acme/infra/compare/a...o:r:b%20c",
		"/repos/acme/infra/tarball/refs/heads/f%2Fx",
		"/acme/infra/legacy.tar.gz/a/b?token=a+b%2B",
		"/_codeload/acme/infra/legacy.tar.gz/a",
		"/users/dependabot%5bbot%5d",
		"/g/s/r.git/info/refs?service=git-upload-pack",
		"/scm/~jo/x.git/git-upload-pack",
		"/rest/api/latest/projects/K/repos/s/compare/commits?from=a&fromRepo=K%2Fs",
		"/projects/K/repos/s/raw/.spacelift/config.yml?at",
		"/DefaultCollection/My%20Project/_apis/git/repositories/stack/items?path=%2Fa&versionDescriptor.version=main&$format=zip",
		"/c/p/_git/r/info/refs?service=git-upload-pack",
		"/api/v1/repos/acme/infra/archive/feature/x.tar.gz",
		"@10.0.0.5/x", ".evil.example/x", ":8443/x", "//evil.example/x", "http://u:p@h/x", "*", "h:443",
		"/a/%2e%2e/b", `/a\..\b`, "/a/..;/b", "/a%00b", "/a\tb", "/%252e%252e/", "/a#b", "/a?b=%zz&c;d", "/\xff%ff",
	} {
		f.Add("GET", target)
		f.Add("POST", target)
	}
	var policies []*allow.Policy
	for _, vendor := range allow.Vendors() {
		policies = append(policies, everything(f, vendor, ""), everything(f, vendor, "acme/infra|g/.*|K/s"))
	}
	f.Fuzz(func(t *testing.T, method, target string) {
		for _, p := range policies {
			d := p.Check(method, target)
			if again := p.Check(method, target); !reflect.DeepEqual(again, d) {
				t.Fatalf("two answers: %+v, %+v", d, again)
			}
			if !d.Allowed {
				if d.Reason == "" || d.Detail == "" || d.Path != "" || d.RawQuery != "" || d.HostPrefix != "" || d.InspectBody {
					t.Fatalf("denial %+v", d)
				}
				continue
			}
			checkSent(t, p, method, target, d)
		}
	})
}

func checkSent(t *testing.T, p *allow.Policy, method, target string, d allow.Decision) {
	again := p.Check(method, sent(d))
	if !reflect.DeepEqual(again, d) {
		t.Fatalf("%s is sent as %s, which is %+v, not %+v", target, sent(d), again, d)
	}
	const base = "https://vcs.example:8443/base"
	u, err := url.Parse(base + sent(d))
	if err != nil {
		t.Fatalf("%s is sent as %s: %v", target, sent(d), err)
	}
	if u.Host != "vcs.example:8443" || u.User != nil || u.Fragment != "" || u.EscapedPath() != "/base"+d.Path || u.RawQuery != d.RawQuery {
		t.Fatalf("%s is sent as %s, which net/url reads as %#v", target, sent(d), u)
	}
	if clean := u.JoinPath(); clean.EscapedPath() != u.EscapedPath() && !strings.HasSuffix(d.Path, "/") {
		t.Fatalf("%s cleans to %s", u.EscapedPath(), clean.EscapedPath())
	}
	for s := range strings.SplitSeq(u.Path, "/") {
		if s == "." || s == ".." || strings.ContainsAny(s, "\\;\x00") || !utf8.ValidString(s) {
			t.Fatalf("%s decodes to %q", sent(d), u.Path)
		}
	}
	if method != "GET" && method != "HEAD" && strings.Contains(target, "receive-pack") {
		t.Fatalf("%s %s may push", method, target)
	}
	// The raw target, decoded once, is what is sent, decoded once: nothing was
	// matched that isn't there.
	rawPath, _, _ := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(rawPath)
	if err != nil || "/base"+decoded != u.Path {
		t.Fatalf("%q decodes to %q, but %q is sent", rawPath, decoded, u.Path)
	}
}

// FuzzCheckBody holds, for any body: no panic, and an allowed body, checked
// again, is allowed and comes out the same.
func FuzzCheckBody(f *testing.F) {
	for _, body := range []string{
		`{"body":"x","sudo":"y"}`, `{"body":"x"}`, `{"query":"query A($a:[Int!]=[1]){b(c:{d:\"e\"}) @f ...on G{h}}","variables":{"a":1}}`,
		`{"query":"{a(s:\"\"\"b\n c\"\"\")}"}`, "body=a+b&internal=%74rue", "--XX\r\nContent-Disposition: form-data; name=body\r\n\r\nx\r\n--XX--",
	} {
		f.Add(body)
	}
	gitlab, github := everything(f, "gitlab", ""), everything(f, "github_enterprise", "")
	note := gitlab.Check("POST", "/api/v4/projects/g%2Fr/merge_requests/1/notes")
	graphql := github.Check("POST", "/graphql")
	f.Fuzz(func(t *testing.T, body string) {
		for _, c := range []struct {
			p    *allow.Policy
			d    allow.Decision
			kind string
		}{
			{gitlab, note, jsonType}, {gitlab, note, formType}, {gitlab, note, "multipart/form-data; boundary=XX"}, {github, graphql, jsonType},
		} {
			header := http.Header{"Content-Type": {c.kind}}
			d, out := c.p.CheckBody(c.d, header, []byte(body))
			if !d.Allowed {
				continue
			}
			again, twice := c.p.CheckBody(c.d, header, out)
			if !reflect.DeepEqual(again, d) || string(twice) != string(out) {
				t.Fatalf("%s %q became %q, then %q (%+v)", c.kind, body, out, twice, again)
			}
		}
	})
}
