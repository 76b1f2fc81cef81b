package gateway_test

import (
	"bufio"
	"encoding/base64"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vcsagent/gateway"
)

// A request's line holds exactly these fields, with what the agent said of it.
func TestAccessLog(t *testing.T) {
	f := start(t)
	f.addPool(t, "other", "k")
	rec := &recorder{}
	a := f.join(t, options{instance: "i-1"}, rec.ServeHTTP)
	session := f.AgentsOf(f.pool.ID)[0].SessionID
	defer a.kill()
	always := []string{"time", "level", "msg", "id", "pool", "key", "method", "path", "name", "purpose", "project", "outcome", "status_code", "queued", "first_byte", "elapsed", "bytes_in", "bytes_out"}
	agents := []string{"session", "instance", "stream"}
	told := map[string]string{"Vcs-Agent-Name": "rule-1", "Vcs-Agent-Purpose": "to test", "Vcs-Agent-Project": "group%2Fa%0Ab", "Vcs-Agent-Stream": "1"}
	for _, tt := range []struct {
		name   string
		change func(*http.Request)
		answer map[string]string // headers of the agent's
		status int               // the agent's; 0: 200
		fields []string          // beside those that are always there
		want   map[string]any
	}{
		{"served", nil, told, 0, agents, map[string]any{
			"level": "INFO", "pool": "gitlab", "key": "backend", "method": "POST", "path": "/x?private_token=[masked]&page=2", "name": "rule-1", "purpose": "to test",
			"project": "group/a\nb", "stream": "1", "outcome": "served", "status_code": 200.0, "bytes_in": 4.0, "bytes_out": 6.0, "session": session, "instance": "i-1",
		}},
		{"the VCS's own error", nil, told, 500, agents, map[string]any{"level": "INFO", "outcome": "served", "status_code": 500.0}},
		{"denied", nil, map[string]string{"Vcs-Agent-Error": "denied", "Vcs-Agent-Reason": "no_rule", "Vcs-Agent-Stream": "1"}, 403, append([]string{"code", "reason"}, agents...), map[string]any{
			"level": "WARN", "outcome": "denied", "status_code": 403.0, "code": "denied", "reason": "no_rule", "name": "", "project": "",
		}},
		{"no answer of the VCS", nil, map[string]string{"Vcs-Agent-Error": "vcs_timeout"}, 504, append([]string{"code"}, agents...), map[string]any{
			"level": "WARN", "outcome": "vcs_error", "status_code": 504.0, "code": "vcs_timeout",
		}},
		{"a project that is no encoding", nil, map[string]string{"Vcs-Agent-Project": "%zz"}, 0, agents, map[string]any{"project": "", "outcome": "served"}},
		{"no key", func(r *http.Request) { r.Header.Del(gateway.KeyHeader) }, nil, 0, []string{"code", "remote"}, map[string]any{
			"level": "WARN", "outcome": "refused", "status_code": 401.0, "code": "unauthenticated", "pool": "", "key": "", "path": "/private/gitlab/x?private_token=[masked]&page=2",
		}},
		{"another pool", func(r *http.Request) { r.URL.Path = "/private/other/x" }, nil, 0, []string{"code", "remote"}, map[string]any{
			"outcome": "refused", "status_code": 403.0, "code": "forbidden", "pool": "", "key": "backend", "path": "/private/other/x?private_token=[masked]&page=2",
		}},
		{"no pool", func(r *http.Request) { r.URL.Path = "/private/none/x" }, nil, 0, []string{"code", "remote"}, map[string]any{
			"outcome": "refused", "status_code": 403.0, "code": "forbidden", "pool": "", "key": "backend", "path": "/private/none/x?private_token=[masked]&page=2",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rec.next(func(w http.ResponseWriter, r *http.Request) {
				for name, value := range tt.answer {
					w.Header().Set(name, value)
				}
				if tt.status != 0 {
					w.WriteHeader(tt.status)
				}
				io.WriteString(w, "answer")
			})
			id := "log-" + strings.ReplaceAll(tt.name, " ", "-")
			r := f.request(t, "POST", "/x?private_token=hush-hush&page=2", strings.NewReader("body"))
			r.Header.Set("X-Request-Id", id)
			r.Header.Set("Private-Token", "hush-hush-too")
			if tt.change != nil {
				tt.change(r)
			}
			resp, _ := send(t, r)
			line := f.log.await(t, "request", "id", id)
			fields := slices.Sorted(slices.Values(append(tt.fields, always...)))
			if got := slices.Sorted(maps.Keys(line)); !slices.Equal(got, fields) {
				t.Errorf("the fields are %v, want %v", got, fields)
			}
			for name, want := range tt.want {
				if line[name] != want {
					t.Errorf("%s is %#v, want %#v", name, line[name], want)
				}
			}
			if line["status_code"] != float64(resp.StatusCode) {
				t.Errorf("the caller got %d, the log says %v", resp.StatusCode, line["status_code"])
			}
			// Of what the agent said callers see the name and an error's code only.
			for name := range resp.Header {
				if strings.HasPrefix(name, "Vcs-Agent-") && name != "Vcs-Agent-Name" && name != "Vcs-Agent-Error" {
					t.Errorf("the caller got %s", name)
				}
			}
		})
	}
	if strings.Contains(f.log.String(), "hush-hush") || strings.Contains(f.log.String(), callerKey) {
		t.Error("a secret is in the log")
	}
}

// Credentials in what is no target of ours stay out of the log too, and no
// target can forge a line.
func TestAccessLogOfOddTargets(t *testing.T) {
	f := start(t)
	basic := base64.StdEncoding.EncodeToString([]byte("u:" + callerKey))
	for i, tt := range []struct{ line, path string }{
		{"GET http://u:hush@gitlab.private/x", "http://[masked]@gitlab.private/x"},
		{"GET HTTP://u:hush@gitlab.private/x", "HTTP://[masked]@gitlab.private/x"},
		{"CONNECT u:hush@gitlab.private:443", "[masked]@gitlab.private:443"},
		{"CONNECT gitlab.private:443", "gitlab.private:443"},
		{"GET http:u:hush@gitlab.private/x", "[masked]@gitlab.private/x"},
		{"GET mailto:u:hush@gitlab.private", "[masked]@gitlab.private"},
		{"GET http://gitlab.private.evil/x?token=hush", "http://gitlab.private.evil/x?token=[masked]"},
		{"GET /private/none/a@b", "/private/none/a@b"},
		{"GET /private/none/%0a%1b[31m\"\\", "/private/none/%0a%1b[31m\"\\"},
		{"OPTIONS *", "*"},
	} {
		t.Run(tt.line, func(t *testing.T) {
			id := "odd-" + string(rune('a'+i))
			conn := f.raw(t, tt.line+" HTTP/1.1\r\nHost: gw\r\nX-Request-Id: "+id+"\r\nProxy-Authorization: Basic "+basic+"\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode < 400 {
				t.Fatal(resp, err)
			}
			if resp.Header.Get("Vcs-Agent-Error") == "" {
				t.Fatalf("net/http answered: %v", resp)
			}
			if line := f.log.await(t, "request", "id", id); line["path"] != tt.path {
				t.Errorf("the path is %q, want %q", line["path"], tt.path)
			}
		})
	}
	if strings.Contains(f.log.String(), "hush") || strings.Contains(f.log.String(), callerKey) || strings.Contains(f.log.String(), basic) {
		t.Errorf("a secret is in the log:\n%s", f.log)
	}
}

// What callers and agents send doesn't make a line long, however long it is.
func TestAccessLogLinesAreBounded(t *testing.T) {
	f := start(t)
	long := strings.Repeat("x", 20_000)
	f.join(t, options{}, func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range []string{"Name", "Purpose", "Project", "Stream", "Error", "Reason"} {
			w.Header().Set("Vcs-Agent-"+name, long)
		}
		w.WriteHeader(403)
	})
	for name, r := range map[string]*http.Request{
		"to the agent":  f.request(t, "GET", "/"+long, nil),
		"odd bytes":     f.request(t, "GET", "/", nil),
		"a long method": f.request(t, strings.Repeat("M", 20_000), "/"+long, nil),
		"no key":        f.request(t, strings.Repeat("M", 20_000), "/"+long, nil),
	} {
		t.Run(name, func(t *testing.T) {
			switch name {
			case "odd bytes":
				r.URL.Opaque = "/private/gitlab/" + strings.Repeat("\xff", 20_000)
			case "no key":
				r.Header.Del(gateway.KeyHeader)
			}
			id := strings.ReplaceAll(name, " ", "-")
			r.Header.Set("X-Request-Id", id)
			send(t, r)
			line := f.log.await(t, "request", "id", id)
			size := 0
			for field, v := range line {
				if s, ok := v.(string); ok {
					size += len(s)
					if len(s) > gateway.MaxPath {
						t.Errorf("%s has %d bytes", field, len(s))
					}
				}
			}
			if size > 6000 {
				t.Errorf("the line has %d bytes", size)
			}
			if path := line["path"].(string); len(path) < gateway.MaxPath-4 || !strings.HasSuffix(path, "…") {
				t.Errorf("the path of %d bytes ends with %q", len(path), path[len(path)-10:])
			}
			if method := line["method"].(string); len(method) > 32 {
				t.Errorf("the method has %d bytes", len(method))
			}
		})
	}
}
