package privateurl_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"vcsagent/cmd/internal/privateurl"
)

// environ maps bitbucket below a path, and gitlab to a host.
var environ = []string{
	"PATH=/bin",
	"SPACELIFT_PRIVATEVCS_MAPPING_NAME_0=bitbucket", "SPACELIFT_PRIVATEVCS_MAPPING_BASE_ENDPOINT_0=https://git.example.com:8443/bitbucket/",
	"SPACELIFT_PRIVATEVCS_MAPPING_NAME_17=gitlab", "SPACELIFT_PRIVATEVCS_MAPPING_BASE_ENDPOINT_17=http://192.168.2.2",
}

func resolver(t testing.TB, environ []string) privateurl.Resolver {
	t.Helper()
	m, err := privateurl.FromEnviron(environ)
	if err != nil {
		t.Fatal(err)
	}
	return privateurl.Resolver{Mappings: m, Gateway: "https://gateway.example.com/vcs/"}
}

func TestResolve(t *testing.T) {
	r := resolver(t, environ)
	const through, direct, host = "https://gateway.example.com/vcs/private/github", "https://git.example.com:8443/bitbucket", "http://192.168.2.2"
	for _, tt := range []struct{ url, want string }{
		// Through the gateway, which sees every byte.
		{"private://github/acme/infra.git", through + "/acme/infra.git"},
		{"private://github", through},
		{"private://github/", through + "/"},
		{"private://github?a=b", through + "?a=b"},
		{"PRIVATE://github/x", through + "/x"},
		{"private://github/a%2Fb/...;..;/./c%zz?q=%20&&/../x", through + "/a%2Fb/...;..;/./c%zz?q=%20&&/../x"},
		{`private://github/a\b`, through + `/a\b`},
		{"private://github//evil.example.com/x", through + "//evil.example.com/x"},
		{"private://github/@evil.example.com:80/x", through + "/@evil.example.com:80/x"},
		{"private://bitbucket2/x", "https://gateway.example.com/vcs/private/bitbucket2/x"},
		{"private://itbucket/x", "https://gateway.example.com/vcs/private/itbucket/x"},
		// Straight to the VCS.
		{"private://bitbucket/scm/acme/infra.git", direct + "/scm/acme/infra.git"},
		{"private://bitbucket", direct},
		{"private://bitbucket/", direct + "/"},
		{"private://bitbucket?a=../b", direct + "?a=../b"},
		{"private://bitbucket/a%2Fb/...;..;/..c/d..?x=/../y", direct + "/a%2Fb/...;..;/..c/d..?x=/../y"},
		{"private://bitbucket//x", direct + "//x"},
		{"private://bitbucket/./x", direct + "/./x"},
		{"private://bitbucket/a%zz%2", direct + "/a%zz%2"},
		{"private://gitlab/x", host + "/x"},
		{"private://gitlab//evil.example.com/x", host + "//evil.example.com/x"},
		{"private://gitlab/@evil.example.com", host + "/@evil.example.com"},
		{"private://gitlab/:80/x", host + "/:80/x"},
	} {
		got, err := r.Resolve(tt.url)
		if err != nil || got.URL != tt.want {
			t.Errorf("%s is %q, %v; want %s", tt.url, got.URL, err, tt.want)
		}
		if want := !strings.HasPrefix(tt.want, "https://gateway"); got.Direct != want || !strings.HasPrefix(strings.ToLower(tt.url), "private://"+got.Pool) {
			t.Errorf("%s: direct is %v, want %v; the pool is %q", tt.url, got.Direct, want, got.Pool)
		}
	}
}

// Each is next to a URL that TestResolve lets through.
func TestResolveRefuses(t *testing.T) {
	r := resolver(t, environ)
	const name, fragment, encode, leave = "is no pool's name", "has a fragment", "percent-encoded", "would lead out of the pool"
	for _, tt := range []struct{ url, want string }{
		{"", "no private URL"},
		{"private:", "no private URL"},
		{"private:/github/x", "no private URL"},
		{"private:\\\\github/x", "no private URL"},
		{"https://github/x", "no private URL"},
		{" private://github/x", "no private URL"},
		{"private://", name},
		{"private:///x", name},
		{"private://GitHub/x", name},
		{"private://git_hub/x", name},
		{"private://git.hub/x", name},
		{"private://-github/x", name},
		{"private://github-/x", name},
		{"private://git%68ub/x", name},
		{"private://github%2Fx/x", name},
		{"private://github;x/x", name},
		{"private://github\n/x", name},
		{"private://gıthub/x", name},
		{"private://[::1]/x", "has a port"},
		{"private://" + strings.Repeat("a", 64) + "/x", name},
		{"private://user@github/x", "no user and no password"},
		{"private://user:secret@github/x", "no user and no password"},
		{"private://@github/x", "no user and no password"},
		{"private://github:80/x", "has a port"},
		{"private://github:/x", "has a port"},
		{"private://github/x#", fragment},
		{"private://github/x#y", fragment},
		{"private://github#y", fragment},
		{"private://github?a=b#y", fragment},
		{`private://github\x`, "backslash"},
		{"private://github/a b", encode},
		{"private://github/a?b=c d", encode},
		{"private://github/a\nb", encode},
		{"private://github/a\tb", encode},
		{"private://github/a\x7fb", encode},
		{"private://github/größe", encode},
		{"private://github/" + strings.Repeat("a", privateurl.MaxBytes), "bytes long"},

		{"private://bitbucket/..", leave},
		{"private://bitbucket/../admin", leave},
		{"private://bitbucket/a/../../admin", leave},
		{"private://bitbucket/a/../b", leave},
		{"private://bitbucket/a/..", leave},
		{"private://bitbucket/%2e%2e/admin", leave},
		{"private://bitbucket/.%2E/admin", leave},
		{"private://bitbucket/%252e%252e/admin", leave},
		{"private://bitbucket/%25252e%25252e/admin", leave},
		{"private://bitbucket/%zz/%2e%2e/admin", leave},
		{"private://bitbucket/a%2F..%2Fadmin", leave},
		{"private://bitbucket/a%2F%2e%2e", leave},
		{`private://bitbucket/..\admin`, leave},
		{"private://bitbucket/..%5cadmin", leave},
		{"private://bitbucket/..;x/admin", leave},
		{"private://bitbucket/..%3Bx/admin", leave},
		{"private://bitbucket/..%20/admin", leave},
		{"private://bitbucket/%EF%BC%8E%EF%BC%8E/admin", leave},
		{"private://bitbucket/%EF%BC%8E./admin", leave},
		{"private://bitbucket/..%EF%BC%8Fadmin", leave},
		{"private://bitbucket/../x?..", leave},
		{"private://gitlab/../x", leave},
		// Through the gateway too: a client that resolves them first asks for another
		// pool, or for what is beside the gateway.
		{"private://github/../other/x", leave},
		{"private://github/../../admin-app/x", leave},
		{"private://github/a%2Fb/%2e%2E/x", leave},
		{"private://github/..;x/y", leave},
	} {
		got, err := r.Resolve(tt.url)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60q: %+v, %v; want an error with %q", tt.url, got, err, tt.want)
			continue
		}
		if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 400 {
			t.Errorf("%.60q: the error is %q", tt.url, err)
		}
	}
}

func TestErrorsShowNoSecrets(t *testing.T) {
	r := resolver(t, environ)
	for _, raw := range []string{
		"https://user:hidden@git.example.com/x", "ftp://hidden@git.example.com", "private://user:hidden@gitlab/x",
		"private://gitlab/x y?private_token=hidden", "private://gitlab:80/x?private_token=hidden", "private://gitlab/../x?private_token=hidden",
	} {
		if _, err := r.Resolve(raw); err == nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: the error is %v", raw, err)
		}
	}
}

func TestResolveWithoutAGateway(t *testing.T) {
	r := resolver(t, environ)
	r.Gateway = ""
	if got, err := r.Resolve("private://gitlab/x"); err != nil || got.URL != "http://192.168.2.2/x" {
		t.Errorf("mapped: %+v, %v", got, err)
	}
	if _, err := r.Resolve("private://github/x"); !errors.Is(err, privateurl.ErrNoGateway) || !strings.Contains(err.Error(), `the pool "github" has no mapping`) {
		t.Errorf("not mapped: %v", err)
	}
	r.Gateway = "gateway.example.com"
	if _, err := r.Resolve("private://github/x"); err == nil || !strings.Contains(err.Error(), "the gateway's URL is no use") {
		t.Errorf("bad gateway: %v", err)
	}
}

func TestFromEnviron(t *testing.T) {
	const name, endpoint = "SPACELIFT_PRIVATEVCS_MAPPING_NAME_", "SPACELIFT_PRIVATEVCS_MAPPING_BASE_ENDPOINT_"
	for _, tt := range []struct {
		title   string
		environ []string
		problem []string // what each problem says; none if all is well
	}{
		{"none", nil, nil},
		{"one", []string{name + "0=a", endpoint + "0=http://h"}, nil},
		{"a gap", []string{name + "7=a", endpoint + "7=http://h", name + "1000000000000000000000=b", endpoint + "1000000000000000000000=http://h"}, nil},
		{"one name twice, one endpoint", []string{name + "0=a", endpoint + "0=http://h", name + "1=a", endpoint + "1=http://h/"}, nil},
		{"another's pool", []string{name + "0=bitbucket_pool", endpoint + "0=http://h"}, nil},
		{"an endpoint with =", []string{name + "0=a", endpoint + "0=http://h/x=y"}, nil},
		{"both empty", []string{name + "0=", endpoint + "0="}, nil},

		{"no endpoint", []string{name + "3=a"}, []string{name + "3 is set and " + endpoint + "3 is missing"}},
		{"no name", []string{endpoint + "3=http://h"}, []string{endpoint + "3 is set and " + name + "3 is missing"}},
		{"an empty endpoint", []string{name + "3=a", endpoint + "3="}, []string{endpoint + "3 is missing"}},
		{"two spellings of a number", []string{name + "00=a", endpoint + "0=http://h"}, []string{name + "0 is missing", endpoint + "00 is missing"}},
		{"no number", []string{name + "=a", endpoint + "=http://h"}, []string{name + " has no effect", endpoint + " has no effect"}},
		{"not a number", []string{name + "a=a", name + "1a=b", name + "-1=c"}, []string{name + "a has no effect", name + "1a has no effect", name + "-1 has no effect"}},
		{"one name, two endpoints", []string{name + "0=a", endpoint + "0=http://h", name + "9=a", endpoint + "9=http://i", name + "10=b", endpoint + "10=http://h"},
			[]string{name + "0 and " + name + `9 both name "a", with different base endpoints, http://h and http://i`}},
		{"one name, another scheme", []string{name + "0=a", endpoint + "0=http://h", name + "1=a", endpoint + "1=https://h"}, []string{"both name"}},
		{"all at once", []string{name + "0=a", name + "1=b", endpoint + "1=x"}, []string{endpoint + "0 is missing", endpoint + "1: it is \"x\""}},
	} {
		_, err := privateurl.FromEnviron(tt.environ)
		if (err == nil) != (len(tt.problem) == 0) {
			t.Errorf("%s: %v", tt.title, err)
			continue
		}
		for _, want := range tt.problem {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want %q", tt.title, err, want)
			}
		}
		if err != nil && strings.Count(err.Error(), "\n")+1 != len(tt.problem) {
			t.Errorf("%s: %d problems wanted: %v", tt.title, len(tt.problem), err)
		}
	}
}

func TestCheckEndpoint(t *testing.T) {
	for endpoint, want := range map[string]string{ // "" is refused
		"http://192.168.2.2":               "http://192.168.2.2",
		"https://internal.example.com/":    "https://internal.example.com",
		"https://git.example.com/bb//":     "https://git.example.com/bb",
		"https://git.example.com:8443/a/b": "https://git.example.com:8443/a/b",
		"HTTPS://Git.Example.com/a%20b":    "HTTPS://Git.Example.com/a%20b",
		"http://[::1]:7990":                "http://[::1]:7990",

		"":                              "",
		"192.168.2.2":                   "",
		"192.168.2.2:80":                "",
		"git.example.com/x":             "",
		"ssh://git.example.com":         "",
		"private://gitlab":              "",
		"http:git.example.com":          "",
		"http:///x":                     "",
		"http://":                       "",
		"http://:80":                    "",
		"http://h:x":                    "",
		"http://user@h":                 "",
		"http://user:hidden@h":          "",
		"http://user:hidden@h:x":        "",
		"http://@h":                     "",
		"http://h?x":                    "",
		"http://h?":                     "",
		"http://h/#":                    "",
		"http://h/x#y":                  "",
		"http://h/a b":                  "",
		"http://h/a\n":                  "",
		" http://h":                     "",
		`http://h\x`:                    "",
		"http://h/a/../b":               "",
		"http://h/%2e%2e":               "",
		"http://h/a%2F%252e%252e":       "",
		"http://größe.example.com":      "",
		"http://user:hidden@ h\x00evil": "",
	} {
		got, err := privateurl.CheckEndpoint(endpoint)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", endpoint, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: the error is %v", endpoint, err)
		}
	}
}

// A name in other letters would send requests through the gateway that were meant
// for the VCS, or the other way round.
func TestMappingsNamesAreExact(t *testing.T) {
	for name, want := range map[string]string{
		"gitlab": "http://h/x", "GitLab": "", " gitlab": "", "gitlab ": "",
		"gitlab2": "https://gateway.example.com/vcs/private/gitlab/x", "git": "https://gateway.example.com/vcs/private/gitlab/x",
	} {
		r := resolver(t, []string{"SPACELIFT_PRIVATEVCS_MAPPING_NAME_0=" + name, "SPACELIFT_PRIVATEVCS_MAPPING_BASE_ENDPOINT_0=http://h"})
		got, err := r.Resolve("private://gitlab/x")
		if got.URL != want || (err == nil) != (want != "") {
			t.Errorf("with %q mapped: %q, %v; want %q", name, got.URL, err, want)
		}
	}
}

// Whatever is asked for, the host and the path's beginning are those that were
// set, and the rest is as it came.
func FuzzResolve(f *testing.F) {
	for _, seed := range []string{
		"private://github/a/b?c=d", "private://gitlab/a/%2e%2e/b", "private://bitbucket/..;/x", "private://u:p@gitlab/x", "private://gitlab:1/x#f",
		"private://bitbucket/%25%32%65%2e/x", `private://bitbucket\..\x`, "private://bitbucket/\u202e", "private://bitbucket//[::1]/",
	} {
		f.Add(seed)
	}
	r := resolver(f, environ)
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := r.Resolve(raw)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("%q: the error has control characters: %q", raw, err)
			}
			return
		}
		base := "https://gateway.example.com/vcs/private/" + got.Pool
		switch {
		case got.Pool == "bitbucket" && got.Direct:
			base = "https://git.example.com:8443/bitbucket"
		case got.Pool == "gitlab" && got.Direct:
			base = "http://192.168.2.2"
		case got.Direct:
			t.Fatalf("%q goes directly to %s", raw, got.URL)
		}
		if !strings.EqualFold("private://"+got.Pool, raw[:len("private://")+len(got.Pool)]) || got.URL != base+raw[len("private://")+len(got.Pool):] {
			t.Errorf("%q is %q", raw, got.URL)
		}
		for _, c := range []byte(got.URL) {
			if c <= ' ' || c > '~' {
				t.Errorf("%q is %q, with the byte %#x", raw, got.URL, c)
			}
		}
		u, err := url.Parse(got.URL)
		if err != nil {
			return // a broken escape, which is for whoever gets it to refuse
		}
		if want, _ := url.Parse(base); u.Scheme != want.Scheme || u.Host != want.Host || u.User != nil || u.Fragment != "" {
			t.Errorf("%q leads to %q", raw, got.URL)
		}
		if clean := u.JoinPath("x").Path; got.Pool == "bitbucket" && !strings.HasPrefix(clean, "/bitbucket/") {
			t.Errorf("%q is %s, which leaves the base endpoint's path as %s", raw, got.URL, clean)
		}
	})
}
