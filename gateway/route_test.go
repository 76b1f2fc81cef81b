package gateway_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"vcsagent/gateway"
)

// read parses a request as the server does; nil if it refuses it itself.
func read(t *testing.T, request string) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
	if err != nil {
		return nil
	}
	return r
}

// Each target that goes somewhere stands beside near-misses.
func TestRouteOf(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	for _, tt := range []struct {
		line   string // the request's first line without the version
		pool   string // "": refused
		target string // or, of a refusal, its code
		origin string
	}{
		// Path form.
		{"GET /private/gitlab/api/v4/user", "gitlab", "/api/v4/user", "http://gw.example:8080/private/gitlab"},
		{"GET /private/gitlab", "gitlab", "/", "http://gw.example:8080/private/gitlab"},
		{"GET /private/gitlab/", "gitlab", "/", "http://gw.example:8080/private/gitlab"},
		{"GET /private/gitlab?a=b", "gitlab", "/?a=b", "http://gw.example:8080/private/gitlab"},
		{"GET /private/gitlab/x?a=/private/other&b=%zz", "gitlab", "/x?a=/private/other&b=%zz", "http://gw.example:8080/private/gitlab"},
		{"GET /private/gitlab/a%2Fb%20c;d", "gitlab", "/a%2Fb%20c;d", "http://gw.example:8080/private/gitlab"},
		{"GET /private/gitlab//a//b", "gitlab", "//a//b", "http://gw.example:8080/private/gitlab"},
		{"GET /private/gitlab/../other/x", "gitlab", "/../other/x", "http://gw.example:8080/private/gitlab"},
		{"GET /private/gitlab/./x#y", "gitlab", "/./x#y", "http://gw.example:8080/private/gitlab"},
		{"DELETE /private/a-1/x", "a-1", "/x", "http://gw.example:8080/private/a-1"},
		{"GET /private/" + label63 + "/x", label63, "/x", "http://gw.example:8080/private/" + label63},
		{"GET /private/" + label63 + "a/x", "", "unknown_pool", ""},
		{"GET /private/GitLab/x", "", "unknown_pool", ""},
		{"GET /private/git_lab/x", "", "unknown_pool", ""},
		{"GET /private/git.lab/x", "", "unknown_pool", ""},
		{"GET /private/-gitlab/x", "", "unknown_pool", ""},
		{"GET /private/gitlab-/x", "", "unknown_pool", ""},
		{"GET /private/%67itlab/x", "", "unknown_pool", ""},
		{"GET /private/gitlab%2Fx", "", "unknown_pool", ""},
		{"GET /private/gitlab;x/y", "", "unknown_pool", ""},
		{"GET /private/gitlab:80/y", "", "unknown_pool", ""},
		{"GET /private/u@gitlab/y", "", "unknown_pool", ""},
		{"GET /private/g\u0131tlab/y", "", "unknown_pool", ""},
		{"GET /private//x", "", "unknown_pool", ""},
		{"GET /private/?x", "", "unknown_pool", ""},
		{"GET /private/", "", "unknown_pool", ""},
		{"GET /private", "", "not_found", ""},
		{"GET /Private/gitlab/x", "", "not_found", ""},
		{"GET //private/gitlab/x", "", "not_found", ""},
		{"GET /./private/gitlab/x", "", "not_found", ""},
		{"GET /%70rivate/gitlab/x", "", "not_found", ""},
		{"GET /privates/gitlab/x", "", "not_found", ""},
		{"GET /api/v4/user", "", "not_found", ""},
		{"GET /.well-known/vcs-agent/session", "", "not_found", ""},
		{"GET /", "", "not_found", ""},
		{"OPTIONS *", "", "not_found", ""},

		// As a forward proxy.
		{"GET http://gitlab.private/api/v4/user?a=%zz", "gitlab", "/api/v4/user?a=%zz", "http://gitlab.private"},
		{"GET http://gitlab.private:80/x", "gitlab", "/x", "http://gitlab.private:80"},
		{"GET HTTP://GitLab.PRIVATE/X", "gitlab", "/X", "http://gitlab.private"},
		{"GET http://gitlab.private", "gitlab", "/", "http://gitlab.private"},
		{"GET http://gitlab.private?a=b", "gitlab", "/?a=b", "http://gitlab.private"},
		{"GET http://gitlab.private//a", "gitlab", "//a", "http://gitlab.private"},
		{"GET http://gitlab.private/private/other/x", "gitlab", "/private/other/x", "http://gitlab.private"},
		{"GET http://gitlab.private/http://other.private/", "gitlab", "/http://other.private/", "http://gitlab.private"},
		{"GET http://gitlab.private/x@other.private/", "gitlab", "/x@other.private/", "http://gitlab.private"},
		{"GET http://" + label63 + ".private/", label63, "/", "http://" + label63 + ".private"},
		{"GET http://" + label63 + "a.private/", "", "forbidden", ""},
		{"GET https://gitlab.private/x", "", "forbidden", ""},
		{"GET ftp://gitlab.private/x", "", "forbidden", ""},
		{"GET http:gitlab.private/x", "", "forbidden", ""},
		{"GET http:/gitlab.private/x", "", "forbidden", ""},
		{"GET private://gitlab/x", "", "forbidden", ""},
		{"GET http://gitlab.private:8080/x", "", "forbidden", ""},
		{"GET http://gitlab.private:443/x", "", "forbidden", ""},
		{"GET http://gitlab.private:080/x", "", "forbidden", ""},
		{"GET http://gitlab.private:/x", "", "forbidden", ""},
		{"GET http://gitlab.private./x", "", "forbidden", ""},
		{"GET http://gitlab.private.example/x", "", "forbidden", ""},
		{"GET http://a.gitlab.private/x", "", "forbidden", ""},
		{"GET http://gitlab-private/x", "", "forbidden", ""},
		{"GET http://gitlab/x", "", "forbidden", ""},
		{"GET http://.private/x", "", "forbidden", ""},
		{"GET http://private/x", "", "forbidden", ""},
		{"GET http://gw.example:8080/private/gitlab/x", "", "forbidden", ""},
		{"GET http://127.0.0.1/x", "", "forbidden", ""},
		{"GET http://u@gitlab.private/x", "", "forbidden", ""},
		{"GET http://u:p@gitlab.private/x", "", "forbidden", ""},
		{"GET http://:@gitlab.private/x", "", "forbidden", ""},
		{"GET http://gitlab.private@evil.example/x", "", "forbidden", ""},
		{"GET http://evil.example?@gitlab.private/x", "", "forbidden", ""},
		{"GET http://evil.example#.private/x", "", "forbidden", ""},
		{"GET http://g%69tlab.private/x", "", "forbidden", ""},
		{"CONNECT gitlab.private:80", "", "forbidden", ""},
		{"CONNECT gitlab.private:443", "", "forbidden", ""},
		{"CONNECT /private/gitlab/x", "", "forbidden", ""},

		// The session exchange is nobody's to reach, however it's written.
		{"POST /private/gitlab/.well-known/vcs-agent/session", "", "forbidden", ""},
		{"GET /private/gitlab/.well-known/vcs-agent/", "", "forbidden", ""},
		{"GET /private/gitlab/.well-known/vcs-agent", "", "forbidden", ""},
		{"GET /private/gitlab/.well-known/vcs-agent?x", "", "forbidden", ""},
		{"GET http://gitlab.private/.well-known/vcs-agent/session", "", "forbidden", ""},
		{"GET /private/gitlab/.WELL-Known/VCS-Agent/session", "", "forbidden", ""},
		{"GET /private/gitlab/%2ewell-known/vcs-agent/session", "", "forbidden", ""},
		{"GET /private/gitlab/.well-known%2Fvcs-agent%2fsession", "", "forbidden", ""},
		{"GET /private/gitlab/.well%2Dknown/vcs%2dagent/session", "", "forbidden", ""},
		{"GET /private/gitlab/%252ewell-known/vcs-agent/session", "", "forbidden", ""},
		{"GET /private/gitlab/%25252ewell-known/vcs-agent/session", "", "forbidden", ""},
		{"GET /private/gitlab/.%77ell-known/vcs-agent/session", "", "forbidden", ""},
		{"GET /private/gitlab/.well-known/%56cs-agent/session", "", "forbidden", ""},
		{"GET /private/gitlab//.well-known/vcs-agent/session", "", "forbidden", ""},
		{"GET /private/gitlab/.well-known//vcs-agent/session", "", "forbidden", ""},
		{"GET /private/gitlab/./.well-known/vcs-agent/session", "", "forbidden", ""},
		{"GET /private/gitlab/x/../.well-known/vcs-agent/session", "", "forbidden", ""},
		{"GET /private/gitlab/x/%2e%2e/.well-known/vcs-agent/session", "", "forbidden", ""},
		{`GET /private/gitlab/x/..%5C.well-known%5cvcs-agent/session`, "", "forbidden", ""},
		{"GET http://gitlab.private//.well-known/vcs-agent/session", "", "forbidden", ""},
		{"GET /private/gitlab/.well-known/openid-configuration", "gitlab", "/.well-known/openid-configuration", "http://gw.example:8080/private/gitlab"},
		{"GET /private/gitlab/x/.well-known/vcs-agent/session", "gitlab", "/x/.well-known/vcs-agent/session", "http://gw.example:8080/private/gitlab"},
		{"GET /private/gitlab/x?/.well-known/vcs-agent/session", "gitlab", "/x?/.well-known/vcs-agent/session", "http://gw.example:8080/private/gitlab"},
		{"GET /private/gitlab/x?a=b/../.well-known/vcs-agent/", "gitlab", "/x?a=b/../.well-known/vcs-agent/", "http://gw.example:8080/private/gitlab"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			r := read(t, tt.line+" HTTP/1.1\r\nHost: gw.example:8080\r\n\r\n")
			if r == nil {
				if tt.pool != "" {
					t.Fatal("net/http refuses it")
				}
				return // answered with 400 below us
			}
			rt, status, code := gateway.RouteOf(r)
			if tt.pool == "" {
				if code != tt.target || status != map[string]int{"forbidden": 403, "not_found": 404, "unknown_pool": 404}[code] {
					t.Errorf("refused with %d %q (%+v), want %q", status, code, rt, tt.target)
				}
				return
			}
			want := gateway.Route{Proxy: strings.Contains(tt.line, " http://") || strings.Contains(tt.line, " HTTP://"), Pool: tt.pool, Target: tt.target, Origin: tt.origin}
			if status != 0 || rt != want {
				t.Errorf("%+v, refused with %d %q, want %+v", rt, status, code, want)
			}
		})
	}
}

// URLs in answers begin as the caller's did.
func TestOriginIsTheCallers(t *testing.T) {
	for _, tt := range []struct {
		name, request string
		tls           bool
		origin        string
	}{
		{"path form", "GET /private/gitlab/x HTTP/1.1\r\nHost: gw.example\r\n\r\n", false, "http://gw.example/private/gitlab"},
		{"path form over TLS", "GET /private/gitlab/x HTTP/1.1\r\nHost: gw.example\r\n\r\n", true, "https://gw.example/private/gitlab"},
		{"without a Host, as HTTP/1.0 may", "GET /private/gitlab/x HTTP/1.0\r\n\r\n", false, "/private/gitlab"},
		{"proxy form", "GET http://gitlab.private/x HTTP/1.1\r\nHost: other.example\r\n\r\n", false, "http://gitlab.private"},
		{"proxy form over TLS to the proxy", "GET http://gitlab.private/x HTTP/1.1\r\nHost: gitlab.private\r\n\r\n", true, "http://gitlab.private"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := read(t, tt.request)
			if tt.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if rt, status, _ := gateway.RouteOf(r); status != 0 || rt.Origin != tt.origin {
				t.Errorf("origin is %q (status %d), want %q", rt.Origin, status, tt.origin)
			}
		})
	}
}

func TestCallerKey(t *testing.T) {
	basic := func(userinfo string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(userinfo)) }
	for _, tt := range []struct {
		name           string
		header, second string // VCS-Gateway-Key, Proxy-Authorization
		path, proxy    string // the key found in either form
	}{
		{"the header", "k", "", "k", "k"},
		{"the header before the other", "k", "Bearer other", "k", "k"},
		{"a bearer", "", "Bearer k", "k", "k"},
		{"a bearer in any case", "", "bEARER k", "k", "k"},
		{"a bearer with blanks", "", "Bearer   k  ", "k", "k"},
		{"a bearer without a key", "", "Bearer", "", ""},
		{"a key alone", "", "k", "", ""},
		{"another scheme", "", "Digest k", "", ""},
		{"a scheme that begins so", "", "Bearers k", "", ""},
		{"basic", "", basic("u:k"), "", "k"},
		{"basic in any case", "", "bAsIc " + basic("u:k")[6:], "", "k"},
		{"basic without a user", "", basic(":k"), "", "k"},
		{"basic with a colon in the key", "", basic("u:k:l"), "", "k:l"},
		{"basic with the key as the user", "", basic("k:"), "", ""},
		{"basic without a colon", "", basic("k"), "", ""},
		{"basic that isn't base64", "", "Basic u:k", "", ""},
		{"basic cut short", "", basic("user:key")[:12], "", ""},
		{"nothing", "", "", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &http.Request{Header: http.Header{}}
			r.Header.Set("Authorization", "Bearer for-the-vcs")
			if tt.header != "" {
				r.Header.Set("VCS-Gateway-Key", tt.header)
			}
			if tt.second != "" {
				r.Header.Set("Proxy-Authorization", tt.second)
			}
			if got := gateway.CallerKey(r, false); got != tt.path {
				t.Errorf("path form: %q, want %q", got, tt.path)
			}
			if got := gateway.CallerKey(r, true); got != tt.proxy {
				t.Errorf("proxy form: %q, want %q", got, tt.proxy)
			}
		})
	}
}
