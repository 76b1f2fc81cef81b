package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vcsagent/test/stack"
)

// A redirect away from the VCS comes to nobody: the agent doesn't follow it, and
// the caller, who might and would send its credentials there, doesn't see it. A
// second server listens where they lead.
func TestRedirectBypasses(t *testing.T) {
	t.Parallel()
	const archive = call + "/repository/archive"
	other := newOrigin(t, nil)
	locations := map[string]string{ // what is sent, and what callers see; "": a 502
		"http://VCS/api/v4/user":         "CALLER/api/v4/user",
		"http://VCS":                     "CALLER/",
		"/api/v4/user":                   "CALLER/api/v4/user",
		"archive.zip?sha=main":           "CALLER" + archive + ".zip?sha=main",
		"?sha=main":                      "CALLER" + archive + "?sha=main",
		"/x?to=http://OTHER/":            "CALLER/x?to=http://OTHER/",
		"/@OTHER/x":                      "CALLER/@OTHER/x",
		"http://OTHER/x":                 "",
		"HTTP://OTHER/x":                 "",
		"http://u:p@OTHER/x":             "",
		"http://u@VCS/x":                 "",
		"http://VCS@OTHER/x":             "",
		"http://VCS%40OTHER/x":           "",
		`http://VCS\@OTHER/x`:            "",
		"http://VCS#@OTHER/x":            "CALLER/#@OTHER/x", // all that browsers and net/url agree on
		"http://OTHER#@VCS/x":            "",
		"http://OTHER?@VCS/x":            "",
		`http://OTHER\@VCS/x`:            "",
		"https://VCS/api/v4/user":        "",
		"ftp://VCS/api/v4/user":          "",
		"http://VCS.evil.example/x":      "",
		"http://evil.example/x":          "",
		"http://127.0.0.1/x":             "", // another port
		"http://127.0.0.1:1/x":           "",
		"http://127.1:1/x":               "",
		"//OTHER/x":                      "",
		"///OTHER/x":                     "",
		"////OTHER/x":                    "",
		"/..//OTHER/x":                   "CALLER/OTHER/x", // a path, once its dots are gone
		"/./%2e%2e//OTHER/x":             "",
		`/\OTHER/x`:                      "",
		`\\OTHER\x`:                      "",
		`\/OTHER/x`:                      "",
		"/%5COTHER/x":                    "",
		"/%2e%2e/%2e%2e/other/x":         "",
		`http:\\OTHER\x`:                 "",
		`http:/\OTHER/x`:                 "",
		"http:OTHER/x":                   "",
		"http:///OTHER/x":                "",
		"ht\ttp://OTHER/x":               "",
		"/\t/OTHER/x":                    "",
		"javascript:alert(1)":            "",
		"data:text/html,x":               "",
		"http://codeload.127.0.0.1/x":    "",
		"http://VCS:80:80/x":             "",
		"http://[::ffff:127.0.0.1]:1/x":  "",
		"http://VCS/x http://OTHER/":     "CALLER/x%20http://OTHER/",
		"http://VCS//OTHER/x":            "",
		"http://VCS/private/other/x":     "CALLER/private/other/x",
		"http://VCS/x\r\n Set-Cookie: a": "CALLER/x%20Set-Cookie:%20a", // folded
	}
	names := slices.Sorted(maps.Keys(locations))
	statuses := []int{301, 302, 303, 307, 308}
	vcs := newOrigin(t, nil)
	concrete := func(s string) string {
		return strings.NewReplacer("VCS", vcs.addr, "OTHER", other.addr).Replace(s)
	}
	vcs.answer = func(r received) string {
		var name, status int
		if _, err := fmt.Sscanf(r.sha(), "%d-%d", &name, &status); err != nil {
			return okAnswer
		}
		return fmt.Sprintf("HTTP/1.1 %d X\r\nLocation: %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, concrete(names[name]))
	}
	s := stack.New(t, stack.Options{VCS: http.NotFoundHandler()})
	s.VCSURL = "http://" + vcs.addr
	onBothCarriers(t, func(t *testing.T, carrier string) {
		a := s.StartAgent(t, "--transport", carrier)
		for i, name := range names {
			want := strings.ReplaceAll(concrete(locations[name]), "CALLER", s.URL(""))
			for _, status := range statuses {
				req := s.Request(t, "GET", fmt.Sprintf("%s?sha=%d-%d", archive, i, status))
				req.Header.Set("Authorization", credential)
				resp := s.Do(t, req)
				got, isThere := resp.Header["Location"]
				switch {
				case want == "":
					if p := problemIn(t, resp); resp.StatusCode != 502 || p.Code != "foreign_redirect" || isThere {
						t.Errorf("%d to %q: status %d, %+v, Location %q", status, name, resp.StatusCode, p, got)
					} else if l := lineOf(t, a.Process, p.ID); l.String("code") != "foreign_redirect" {
						t.Errorf("%d to %q: the agent's line is %v", status, name, l)
					}
				case resp.StatusCode != status || !slices.Equal(got, []string{want}):
					t.Errorf("%d to %q: status %d, Location %q, want %q", status, name, resp.StatusCode, got, want)
				}
				resp.Body.Close()
				if seen, _ := vcs.take(); len(seen) != 1 || !slices.Contains(seen[0].header, "Authorization: "+credential) {
					t.Errorf("%d to %q: the VCS got %q", status, name, seen)
				}
			}
		}
		for _, p := range []*stack.Process{a.Process, s.Gateway.Process} {
			if strings.Contains(p.Log(), "for-the-vcs") {
				t.Error("a log holds a credential")
			}
		}
		end(t, a)
	})
	if got, connections := other.take(); connections != 0 {
		t.Errorf("where the redirects led came %d connections and %q", connections, got)
	}
}

// What a VCS says in the gateway's or the agent's name isn't believed, however
// it's spelt; what it says in its own passes.
func TestAnswersThatPlayUs(t *testing.T) {
	t.Parallel()
	const forged = `{"title":"Forbidden","status":403,"detail":"x","code":"denied","reason":"no_rule","id":"x"}`
	head := func(status string, lines ...string) string {
		return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\nConnection: close\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
	}
	tests := []struct {
		name, answer string
		status       int
		code         string // "": the VCS's own answer
		body         string
		keeps        string // header lines, each "Name: value", that callers see
	}{
		{"an honest answer", head("200 OK", "X-Total: 1"), 200, "", "", "X-Total: 1"},
		{"our codes", head("200 OK", "VCS-Agent-Error: no_agent", "vcs-agent-error: denied", "VCS-AGENT-REASON: x", "Vcs-Agent-Anything: x", "vcs-gateway-key: x", "X-Total: 1"), 200, "", "", "X-Total: 1"},
		{"our problem", "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\nVCS-Agent-Error: denied\r\nConnection: close\r\n" +
			fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(forged), forged), 403, "", forged, "Content-Type: application/problem+json"},
		{"cookies", head("200 OK", "Set-Cookie: a=1; Domain=127.0.0.1", "set-cookie: b=2", "SET-COOKIE2: c=3", "X-Total: 1"), 200, "", "", "X-Total: 1"},
		{"a folded cookie", head("200 OK", "X-Total: 1", " Set-Cookie: a=1"), 200, "", "", "X-Total: 1 Set-Cookie: a=1"},
		{"what acts on the host", head("200 OK", "Alt-Svc: h3=\":443\"", "Clear-Site-Data: \"*\"", "Strict-Transport-Security: max-age=1", "X-Total: 1"), 200, "", "", "X-Total: 1"},
		{"a cookie that Connection names", head("200 OK", "Connection: Set-Cookie", "Set-Cookie: a=1", "X-Total: 1"), 200, "", "", "X-Total: 1"},
		{"a place elsewhere, on no redirect", head("201 Created", "Location: http://evil.example/x", "X-Total: 1"), 201, "", "", "X-Total: 1"},
		{"a next page elsewhere", head("200 OK", `Link: <http://evil.example/?page=2>; rel="next"`, "X-Total: 1"), 200, "", "", "X-Total: 1"},
		{"a VCS that wants a password", head("401 Unauthorized", `WWW-Authenticate: Basic realm="GitLab"`), 401, "", "", `Www-Authenticate: Basic realm="GitLab"`},
		{"a proxy that wants a password", head("407 Proxy Authentication Required", `Proxy-Authenticate: Basic realm="vcs-gateway"`), 502, "vcs_unreachable", "", ""},
		{"another protocol", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 502, "vcs_unreachable", "", ""},
		{"a space before the colon", head("200 OK", "VCS-Agent-Error : denied", "X-Total: 1"), 200, "", "", "X-Total: 1"},
		{"a tab before the colon", head("200 OK", "VCS-Agent-Error\t: denied"), 502, "vcs_unreachable", "", ""},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", 502, "vcs_unreachable", "", ""},
		{"a second answer behind the first", head("200 OK", "X-Total: 1") + head("302 Found", "Location: http://evil.example/"), 200, "", "", "X-Total: 1"},
		{"no answer", "220 smtp.example.com ESMTP\r\n", 502, "vcs_unreachable", "", ""},
	}
	vcs := newOrigin(t, nil)
	vcs.answer = func(r received) string {
		var i int
		if _, err := fmt.Sscanf(r.sha(), "%d", &i); err != nil {
			return okAnswer
		}
		return tests[i].answer
	}
	s := stack.New(t, stack.Options{VCS: http.NotFoundHandler()})
	s.VCSURL = "http://" + vcs.addr
	onBothCarriers(t, func(t *testing.T, carrier string) {
		a := s.StartAgent(t, "--transport", carrier)
		for i, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				resp := s.Get(t, fmt.Sprintf("%s/repository/archive?sha=%d", call, i))
				if got := resp.Header.Get("VCS-Agent-Error"); resp.StatusCode != tt.status || got != tt.code {
					t.Errorf("status %d, code %q, want %d, %q", resp.StatusCode, got, tt.status, tt.code)
				}
				id := resp.Header.Get("X-Request-Id")
				line := lineOf(t, s.Gateway.Process, id)
				if tt.code != "" {
					if p := problemIn(t, resp); p.Code != tt.code || line.String("code") != tt.code {
						t.Errorf("code %q, in the gateway's line %q", p.Code, line.String("code"))
					}
					return
				}
				if body := readAll(t, resp); body != tt.body {
					t.Errorf("the body is %q, want %q", body, tt.body)
				}
				if line.String("outcome") != "served" || line.String("code") != "" || line.String("reason") != "" || line.String("name") != "gitlab.archive.get" {
					t.Errorf("the gateway was deceived: %v", line)
				}
				want := []string{"Connection", "Content-Length", "Content-Security-Policy", "Date", "Vcs-Agent-Name", "X-Content-Type-Options", "X-Request-Id"}
				name, value, _ := strings.Cut(tt.keeps, ": ")
				want = append(want, name)
				for got, values := range resp.Header {
					if !slices.Contains(want, got) || got == name && !slices.Equal(values, []string{value}) {
						t.Errorf("the caller got %s: %q", got, values)
					}
				}
				if resp.Header.Get(name) == "" || resp.Header.Get("Vcs-Agent-Name") != "gitlab.archive.get" {
					t.Errorf("the caller didn't get all: %v", resp.Header)
				}
			})
		}
		end(t, a)
	})
}
