package e2e_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vcsagent/test/samplevcs"
	"vcsagent/test/stack"
)

const call = "/api/v4/projects/platform%2Finfra"

// What callers may send and what they get else, as curl sends it: each way in
// stands beside the near-misses.
func TestCallers(t *testing.T) {
	vcs := record(nil)
	s := stack.New(t, stack.Options{VCS: vcs})
	s.Gateway.Command(t, "pool", "create", "other")
	otherKey := s.Gateway.Command(t, "key", "create", "elsewhere", "--pool", "other")
	bothKey := s.Gateway.Command(t, "key", "create", "both", "--pool", "other", "--pool", stack.Pool)
	agent := s.StartAgent(t, "--debug-print-all")

	gateway := "http://" + s.Gateway.HTTP
	proxy := func(user string, args ...string) []string {
		args = append(args, "-x", gateway)
		if user != "" {
			args = append(args, "--proxy-user", user)
		}
		return args
	}
	basic := "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("caller:"+s.Key))
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		code   string // "": the VCS answered
	}{
		{"path form", []string{"-H", "VCS-Gateway-Key: " + s.Key, s.URL(call)}, 200, ""},
		{"with a key for several pools", []string{"-H", "VCS-Gateway-Key: " + bothKey, s.URL(call)}, 200, ""},
		{"with a bearer for the proxy", []string{"-H", "Proxy-Authorization: Bearer " + s.Key, s.URL(call)}, 200, ""},
		{"without a key", []string{s.URL(call)}, 401, "unauthenticated"},
		{"with a wrong key", []string{"-H", "VCS-Gateway-Key: " + s.Key + "x", s.URL(call)}, 401, "unauthenticated"},
		{"with a key cut short", []string{"-H", "VCS-Gateway-Key: " + s.Key[:len(s.Key)-1], s.URL(call)}, 401, "unauthenticated"},
		{"with an empty key", []string{"-H", "VCS-Gateway-Key;", s.URL(call)}, 401, "unauthenticated"},
		{"with the agents' token", []string{"-H", "VCS-Gateway-Key: " + s.Token, s.URL(call)}, 401, "unauthenticated"},
		{"with the key as the VCS's", []string{"-H", "Authorization: Bearer " + s.Key, s.URL(call)}, 401, "unauthenticated"},
		{"with the key in the query", []string{s.URL(call + "?key=" + s.Key)}, 401, "unauthenticated"},
		{"with Basic, which is a proxy's", []string{"-H", basic, s.URL(call)}, 401, "unauthenticated"},
		{"with a wrong key before the right one", []string{"-H", "VCS-Gateway-Key: x", "-H", "Proxy-Authorization: Bearer " + s.Key, s.URL(call)}, 401, "unauthenticated"},
		{"with another pool's key", []string{"-H", "VCS-Gateway-Key: " + otherKey, s.URL(call)}, 403, "forbidden"},
		{"a pool without agents", []string{"-H", "VCS-Gateway-Key: " + otherKey, gateway + "/private/other" + call}, 503, "no_agent"},
		{"a pool that isn't there", []string{"-H", "VCS-Gateway-Key: " + s.Key, gateway + "/private/gitlabs" + call}, 403, "forbidden"},
		{"a pool that isn't there, without a key", []string{gateway + "/private/gitlabs" + call}, 401, "unauthenticated"},
		{"a pool in capitals", []string{"-H", "VCS-Gateway-Key: " + s.Key, gateway + "/private/GitLab" + call}, 404, "unknown_pool"},
		{"a pool's name encoded", []string{"-H", "VCS-Gateway-Key: " + s.Key, gateway + "/private/%67itlab" + call}, 404, "unknown_pool"},
		{"no pool", []string{"-H", "VCS-Gateway-Key: " + s.Key, gateway + "/private//api/v4/user"}, 404, "unknown_pool"},
		{"the root", []string{"-H", "VCS-Gateway-Key: " + s.Key, gateway + "/"}, 404, "not_found"},
		{"the VCS's path alone", []string{"-H", "VCS-Gateway-Key: " + s.Key, gateway + call}, 404, "not_found"},
		{"the API's path", []string{"-H", "Authorization: Bearer " + s.Key, gateway + "/api/v1/pools"}, 404, "not_found"},
		{"the session's path", []string{"-H", "VCS-Gateway-Key: " + s.Key, "-d", "{}", s.URL("/.well-known/vcs-agent/session")}, 403, "forbidden"},
		{"the session's path encoded", []string{"-H", "VCS-Gateway-Key: " + s.Key, "-d", "{}", s.URL("/%2ewell-known/vcs-agent%2fsession")}, 403, "forbidden"},

		{"proxy form", proxy("any:"+s.Key, "http://gitlab.private"+call), 200, ""},
		{"with no user", proxy(":"+s.Key, "http://gitlab.private"+call), 200, ""},
		{"in capitals", proxy("any:"+s.Key, "HTTP://GitLab.Private"+call), 200, ""},
		{"with the port", proxy("any:"+s.Key, "http://gitlab.private:80"+call), 200, ""},
		{"with a bearer", proxy("", "--proxy-header", "Proxy-Authorization: Bearer "+s.Key, "http://gitlab.private"+call), 200, ""},
		{"with the other header", proxy("", "-H", "VCS-Gateway-Key: "+s.Key, "http://gitlab.private"+call), 200, ""},
		{"without a password", proxy("", "http://gitlab.private"+call), 407, "unauthenticated"},
		{"with a wrong password", proxy("any:x"+s.Key, "http://gitlab.private"+call), 407, "unauthenticated"},
		{"with the key as the user", proxy(s.Key+":", "http://gitlab.private"+call), 407, "unauthenticated"},
		{"with the key for the VCS", proxy("", "-u", "any:"+s.Key, "http://gitlab.private"+call), 407, "unauthenticated"},
		{"with another pool's password", proxy("any:"+otherKey, "http://gitlab.private"+call), 403, "forbidden"},
		{"another pool", proxy("any:"+s.Key, "http://other.private"+call), 403, "forbidden"},
		{"an unknown pool", proxy("any:"+s.Key, "http://gitlabs.private"+call), 403, "forbidden"},
		{"another port", proxy("any:"+s.Key, "http://gitlab.private:8080"+call), 403, "forbidden"},
		{"another host", proxy("any:"+s.Key, "http://example.com/"), 403, "forbidden"},
		{"another host, without a password", proxy("", "http://example.com/"), 407, "unauthenticated"},
		{"a host that begins like a pool", proxy("any:"+s.Key, "http://gitlab.private.example.com"+call), 403, "forbidden"},
		{"a host below a pool", proxy("any:"+s.Key, "http://a.gitlab.private"+call), 403, "forbidden"},
		{"the suffix alone", proxy("any:"+s.Key, "http://private"+call), 403, "forbidden"},
		{"TLS, which is CONNECT", proxy("any:"+s.Key, "https://gitlab.private"+call), 403, "forbidden"},
		{"CONNECT", proxy("any:"+s.Key, "-p", "http://gitlab.private"+call), 403, "forbidden"},
		{"CONNECT without a password", proxy("", "-p", "http://gitlab.private"+call), 407, "unauthenticated"},
		{"FTP", proxy("any:"+s.Key, "ftp://gitlab.private"+call), 403, "forbidden"},
		{"the session through the proxy", proxy("any:"+s.Key, "-d", "{}", "http://gitlab.private/.well-known/vcs-agent/session"), 403, "forbidden"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			vcs.take()
			resp := curl(t, append([]string{"-H", "Private-Token: for-the-vcs"}, tt.args...)...)
			if resp.StatusCode != tt.status || resp.Header.Get("VCS-Agent-Error") != tt.code {
				t.Fatalf("status %d, code %q, want %d, %q: %s", resp.StatusCode, resp.Header.Get("VCS-Agent-Error"), tt.status, tt.code, readAll(t, resp))
			}
			if seen := vcs.take(); (tt.code == "") != (len(seen) == 1) {
				t.Fatalf("the VCS got %d requests", len(seen))
			} else if tt.code == "" && (seen[0].RequestURI != call || seen[0].Header.Get("Private-Token") != "for-the-vcs") {
				t.Errorf("the VCS got %s with %v", seen[0].RequestURI, seen[0].Header)
			}
			if resp.Header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("a browser may run the answer: %v", resp.Header)
			}
			if tt.code == "" {
				return
			}
			basicChallenge := resp.Header.Get("Proxy-Authenticate")
			if (tt.status == 407) != strings.HasPrefix(basicChallenge, "Basic ") {
				t.Errorf("the proxy's challenge is %q", basicChallenge)
			}
			challenge := resp.Header.Get("WWW-Authenticate")
			if (tt.status == 401) != (challenge != "") || strings.Contains(strings.ToLower(challenge), "basic") {
				t.Errorf("the challenge is %q", challenge)
			}
			if (tt.status == 503) != (resp.Header.Get("Retry-After") != "") {
				t.Errorf("Retry-After is %q", resp.Header.Get("Retry-After"))
			}
			if !strings.HasPrefix(tt.name, "CONNECT") && !strings.HasPrefix(tt.name, "TLS") { // curl shows no body of these
				problemIn(t, resp)
			}
		})
	}
	for name, log := range map[string]string{"agent": agent.Log(), "gateway": s.Gateway.Log()} {
		for _, secret := range []string{s.Key, otherKey, bothKey, s.Token, "for-the-vcs"} {
			if strings.Contains(log, secret) {
				t.Errorf("the %s's log holds %q", name, secret)
			}
		}
	}
}

// What curl doesn't send.
func TestCallersRawRequests(t *testing.T) {
	vcs := record(nil)
	s := stack.New(t, stack.Options{VCS: vcs})
	s.StartAgent(t)
	key := "VCS-Gateway-Key: " + s.Key + "\r\n"
	for _, tt := range []struct {
		name, request string
		status        int
		reaches       string // the VCS, as this target
	}{
		{"the target wins over Host", "GET http://gitlab.private/api/v4/user HTTP/1.1\r\nHost: other.private\r\n" + key + "\r\n", 200, "/api/v4/user"},
		{"Host doesn't win over the target", "GET http://other.private/api/v4/user HTTP/1.1\r\nHost: gitlab.private\r\n" + key + "\r\n", 403, ""},
		{"a path with a pool's Host", "GET /api/v4/user HTTP/1.1\r\nHost: gitlab.private\r\n" + key + "\r\n", 404, ""},
		{"a proxy's target with userinfo", "GET http://u:p@gitlab.private/api/v4/user HTTP/1.1\r\nHost: gitlab.private\r\n" + key + "\r\n", 403, ""},
		{"a proxy's target with https", "GET https://gitlab.private/api/v4/user HTTP/1.1\r\nHost: gitlab.private\r\n" + key + "\r\n", 403, ""},
		{"a proxy's target with the path form in it", "GET http://gitlab.private/private/gitlab/api/v4/user HTTP/1.1\r\nHost: gitlab.private\r\n" + key + "\r\n", 403, ""},
		{"CONNECT to a pool", "CONNECT gitlab.private:443 HTTP/1.1\r\nHost: gitlab.private:443\r\n" + key + "\r\n", 403, ""},
		{"HTTP/1.0", "GET /private/gitlab/api/v4/user HTTP/1.0\r\n" + key + "\r\n", 200, "/api/v4/user"},
		{"asterisk", "OPTIONS * HTTP/1.1\r\nHost: gitlab.private\r\n" + key + "\r\n", 404, ""},
		{"no Host", "GET /private/gitlab/api/v4/user HTTP/1.1\r\n" + key + "\r\n", 400, ""},
		{"a key twice, the wrong one first", "GET /private/gitlab/api/v4/user HTTP/1.1\r\nHost: x\r\nVCS-Gateway-Key: x\r\n" + key + "\r\n", 401, ""},
		{"an upgrade", "GET /private/gitlab/api/v4/user HTTP/1.1\r\nHost: x\r\n" + key + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200, "/api/v4/user"},
		{"chunked and a length", "POST /private/gitlab/api/v4/user HTTP/1.1\r\nHost: x\r\n" + key + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 403, ""},
		{"two lengths", "POST /private/gitlab/api/v4/user HTTP/1.1\r\nHost: x\r\n" + key + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400, ""},
		{"a dot segment out of the pool", "GET /private/gitlab/../other/api/v4/user HTTP/1.1\r\nHost: x\r\n" + key + "\r\n", 403, ""},
		{"a broken escape", "GET /private/gitlab/api/v4/%zz HTTP/1.1\r\nHost: x\r\n" + key + "\r\n", 400, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			vcs.take()
			resp := raw(t, s.Gateway.HTTP, tt.request)
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tt.status, readAll(t, resp))
			}
			seen := vcs.take()
			switch {
			case tt.reaches == "" && len(seen) != 0:
				t.Errorf("the VCS got %s", seen[0].RequestURI)
			case tt.reaches != "" && (len(seen) != 1 || seen[0].RequestURI != tt.reaches || seen[0].Header.Get("Upgrade") != ""):
				t.Errorf("the VCS got %v", seen)
			}
		})
	}
}

// Go's client, in both forms, with bodies and answers of every shape.
func TestGoClient(t *testing.T) {
	s := stack.New(t, stack.Options{})
	onBothCarriers(t, func(t *testing.T, carrier string) {
		agent := s.StartAgent(t, "--transport", carrier)
		proxied := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(s.ProxyURL()), DisableKeepAlives: true}}
		for form, do := range map[string]func(method, path string, body io.Reader) (*http.Response, error){
			"path form": func(method, path string, body io.Reader) (*http.Response, error) {
				req := s.Request(t, method, path)
				req.Body = io.NopCloser(body)
				req.Header.Set("Content-Type", "application/json")
				return direct.Do(req)
			},
			"proxy form": func(method, path string, body io.Reader) (*http.Response, error) {
				req, err := http.NewRequestWithContext(t.Context(), method, "http://gitlab.private"+path, body)
				if err != nil {
					return nil, err
				}
				req.Header.Set("Private-Token", samplevcs.Token)
				req.Header.Set("Content-Type", "application/json")
				return proxied.Do(req)
			},
		} {
			t.Run(form, func(t *testing.T) {
				for _, tt := range []struct {
					method, path, body string
					status             int
					answer             string // is part of the body
				}{
					{"GET", "/api/v4/user", "", 200, `"username"`},
					{"HEAD", "/api/v4/user", "", 200, ""},
					{"POST", call + "/merge_requests/1/notes", `{"body":"plan: 1 to add"}`, 201, "plan: 1 to add"},
					{"POST", call + "/merge_requests/1/notes", `{"body":"x","sudo":"root"}`, 403, "field_not_allowed"},
					{"GET", call + "/repository/files/.spacelift%2Fconfig.yml/raw?ref=main", "", 200, "stack_defaults"},
					{"GET", call + "/repository/files/README.md/raw?ref=main", "", 403, "denied"},
					{"GET", call + "/repository/commits/ffffffffffffffffffffffffffffffffffffffff", "", 404, "404"},
					{"DELETE", call, "", 403, "method_not_allowed"},
				} {
					var body io.Reader = http.NoBody
					if tt.body != "" {
						body = strings.NewReader(tt.body)
					}
					resp, err := do(tt.method, tt.path, body)
					if err != nil {
						t.Fatal(err)
					}
					got := readAll(t, resp)
					resp.Body.Close()
					if resp.StatusCode != tt.status || !strings.Contains(got, tt.answer) || tt.method == "HEAD" && (got != "" || resp.ContentLength <= 0) {
						t.Errorf("%s %s: status %d, length %d: %q", tt.method, tt.path, resp.StatusCode, resp.ContentLength, got)
					}
				}
			})
		}
		end(t, agent)
	})
}

// A key that is made while the gateway runs works at once.
func TestKeyMadeLater(t *testing.T) {
	s := stack.New(t, stack.Options{VCS: record(nil)})
	s.StartAgent(t)
	key := s.Gateway.Command(t, "key", "create", "later", "--pool", stack.Pool)
	proxy := (&url.URL{Scheme: "http", Host: s.Gateway.HTTP, User: url.UserPassword("x", key)}).String()
	if resp := curl(t, "-x", proxy, "http://gitlab.private/api/v4/user"); resp.StatusCode != 200 {
		t.Errorf("status %d: %s", resp.StatusCode, readAll(t, resp))
	}
	line := s.Gateway.Await(t, "request")
	if got := fmt.Sprint(line["key"], line["pool"], line["outcome"]); got != "latergitlabserved" {
		t.Errorf("the gateway's line: %v", line)
	}
}
