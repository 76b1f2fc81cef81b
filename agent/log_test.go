package agent_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode"

	"vcsagent/agent"
	"vcsagent/transport"
)

// requestFields are in the line of every request, in this order.
var requestFields = []string{"time", "level", "msg", "id", "name", "purpose", "project", "method", "path", "raw_path", "status_code", "elapsed", "bytes_in", "bytes_out", "stream", "pool_id"}

func TestRequestLines(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, "0123456789")
		}, nil)
		r.get("POST", notes, http.Header{"Content-Type": {"application/json"}, "X-Request-Id": {"id-1"}}, `{"body":"hello"}`)
		r.get("GET", "/api/v4/projects/gr%6Fup%2Frepo?private_token=s3cret&x=1", http.Header{"X-Request-Id": {"id-2"}}, "")
		for _, tc := range []struct {
			msg   string
			want  map[string]any
			extra []string
		}{
			{"served", map[string]any{
				"level": "INFO", "id": "id-1", "name": "gitlab.note.create", "purpose": "Comment on a merge request.", "project": "group/repo", "method": "POST",
				"path": "/api/v4/projects/group/repo/merge_requests/1/notes", "raw_path": notes, "status_code": 201.0, "bytes_in": 16.0, "bytes_out": 10.0,
				"pool_id": "01J0000000000000000000000P",
			}, nil},
			{"denied", map[string]any{
				"level": "WARN", "id": "id-2", "name": "", "purpose": "", "project": "group/repo", "method": "GET",
				"path": "/api/v4/projects/group/repo", "raw_path": "/api/v4/projects/gr%6Fup%2Frepo?private_token=[masked]&x=1", "status_code": 403.0, "bytes_in": 0.0,
				"reason": "query_not_allowed", "nearest_rule": projectRule,
			}, []string{"reason", "detail", "nearest_rule"}},
		} {
			line := r.lines(tc.msg, 1)[0]
			for field, want := range tc.want {
				if line[field] != want {
					t.Errorf("%s: %s is %v, want %v", tc.msg, field, line[field], want)
				}
			}
			if s, ok := line["stream"].(float64); !ok || s < 1 || s > 4 {
				t.Errorf("stream %v", line["stream"])
			}
			if e, ok := line["elapsed"].(float64); !ok || e <= 0 || e > 30 {
				t.Errorf("elapsed %v", line["elapsed"])
			}
			fields := slices.Sorted(maps.Keys(line))
			if want := slices.Sorted(slices.Values(append(slices.Clone(requestFields), tc.extra...))); !slices.Equal(fields, want) {
				t.Errorf("%s: fields %v, want %v", tc.msg, fields, want)
			}
		}
		for line := range strings.Lines(r.log.String()) {
			if strings.Contains(line, `"msg":"served"`) && !inOrder(line, requestFields) {
				t.Errorf("another order: %s", line)
			}
		}
		if strings.Contains(r.log.String(), "s3cret") {
			t.Errorf("a secret is in the log:\n%s", r.log)
		}
	})
}

func inOrder(line string, fields []string) bool {
	at := 0
	for _, f := range fields {
		i := strings.Index(line[at:], `"`+f+`":`)
		if i < 0 {
			return false
		}
		at += i
	}
	return true
}

// Whatever a target holds, its request makes one line and reaches no terminal.
func TestLinesCannotBeForged(t *testing.T) {
	targets := []string{
		"/a\n{\"level\":\"INFO\",\"msg\":\"forged\"}", "/a\r\ntime=x level=INFO msg=forged", "/\x1b[2J\x1b]0;x\x07", "/a\x00b", `/a" msg="forged`, "/\xff\xfe",
		"/a%0A%7B%22msg%22%3A%22forged%22%7D", "/%1b%5B2J", "/%E2%80%A8x", "/%zz", "*", "", "http://u:s3cret@h/x", "/a?token=s3cret%0a&b=\n", "/" + strings.Repeat("a", 20_000),
	}
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			r := prepare(t, transport.ModeTCP, func(w http.ResponseWriter, r *http.Request) { t.Error("reached the VCS") }, func(c *agent.Config) {
				c.Logger = slog.New(handler(&out))
				c.DebugPrintAll = true
			})
			for _, target := range targets {
				out.Reset()
				req, _ := http.NewRequest("GET", "https://vcs-agent/", nil)
				req.RequestURI, req.Method = target, "GET"
				req.Header["X-Request-Id"] = []string{"id\n\x1b[2J\"}"} // no gateway sends such
				req.Body = http.NoBody
				w := newRecorder()
				r.Session(1).ServeHTTP(w, req)
				if w.status != 403 {
					t.Errorf("%q: status %d", target, w.status)
				}
				lines := slices.Collect(strings.Lines(out.String()))
				if len(lines) != 3 || strings.ContainsAny(out.String(), "\r\x1b\x07\x00") { // denied, and debug's two
					t.Errorf("%q: %d lines: %q", target, len(lines), &out)
				}
				for _, line := range lines {
					if name == "json" && !json.Valid([]byte(line)) {
						t.Errorf("%q: not JSON: %q", target, line)
					}
				}
				if strings.Contains(out.String(), "s3cret") {
					t.Errorf("%q: a secret is in %q", target, &out)
				}
				if len(target) > 10_000 && len(lines[0]) > 3*2100 {
					t.Errorf("a line of %d bytes", len(lines[0]))
				}
			}
		})
	}
}

// What a terminal would obey stays encoded in a line of JSON too.
func TestPathsArePrintable(t *testing.T) {
	for _, tc := range []struct{ name, target, path, rawPath string }{
		{"letters of any script", "/gr%C3%BC%C3%9Fe/日本", "/grüße/日本", "/gr%C3%BC%C3%9Fe/日本"},
		{"a space and quotes", "/a%20%22b", `/a "b`, "/a%20%22b"},
		{"C1 controls", "/a%C2%9B2J/\u009b2J", "/a%C2%9B2J/%C2%9B2J", "/a%C2%9B2J/%C2%9B2J"},
		{"delete", "/a%7F", "/a%7F", "/a%7F"},
		{"a line break", "/a%0Ab", "/a%0Ab", "/a%0Ab"},
		{"text turned around", "/%E2%80%AEtxt.exe", "/%E2%80%AEtxt.exe", "/%E2%80%AEtxt.exe"},
		{"a raw one", "/\u202etxt.exe", "/%E2%80%AEtxt.exe", "/%E2%80%AEtxt.exe"},
		{"no UTF-8", "/a\xff%FE", "/a%FF%FE", "/a%FF%FE"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := prepare(t, transport.ModeTCP, http.NotFound, nil)
			req, err := http.NewRequest("GET", "https://vcs-agent/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.RequestURI, req.Body = tc.target, http.NoBody
			r.Session(1).ServeHTTP(newRecorder(), req)
			if line := r.lines("denied", 1)[0]; line["path"] != tc.path || line["raw_path"] != tc.rawPath {
				t.Errorf("path %q, raw_path %q", line["path"], line["raw_path"])
			}
		})
	}
}

// A VCS that answers garbage can't fill the log with it.
func TestErrorsAreBounded(t *testing.T) {
	r := start(t, transport.ModeTCP, raw(strings.Repeat("\u009bx", 30_000)+"\r\n\r\n"), nil)
	r.get("GET", project, nil, "")
	e := r.lines("failed", 1)[0]["error"].(string)
	if len(e) > 3<<10 || strings.ContainsFunc(e, unicode.IsControl) || !strings.Contains(e, "malformed") {
		t.Errorf("logged %d bytes: %.200q", len(e), e)
	}
}

func TestDebugPrintAll(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Set-Cookie", "session=s3cret")
			h.Set("X-Token", "s3cret")
			h.Set("Etag", "shown")
			h.Set("Link", `</api/v4/user?private_token=s3cret>; rel="a", </api/v4/user?x=1&private_token=s3cret>; rel="b"`)
			switch r.URL.Path {
			case "/api/v4/user":
				io.WriteString(w, `{"name":"shown","feed_token":"s3cret","avatar_url":"https://h/x?token=s3cret"}`)
			case "/api/v4/projects":
				w.Write([]byte{0x1f, 0x8b, 0xff, 0x00, 's', '3', 'c', 'r', 'e', 't'})
			case "/api/v4":
				io.WriteString(w, strings.Repeat("é", agent.DebugBodyMax))
			default:
				b, _ := io.ReadAll(r.Body)
				w.Write(b)
			}
		}, func(c *agent.Config) { c.DebugPrintAll = true })
		secret := http.Header{"Authorization": {"Bearer s3cret"}, "Private-Token": {"s3cret"}, "Accept": {"shown"}}
		with := func(name, value string) http.Header { h := secret.Clone(); h.Set(name, value); return h }

		r.get("GET", "/api/v4/user", secret, "")
		r.get("POST", notes, with("Content-Type", "application/json"), `{"body":"see https://h/?private_token=s3cret"}`)
		r.get("POST", notes, with("Content-Type", "application/json"), `{"body":"x","private_token":"s3cret"}`) // denied
		r.get("GET", "/api/v4/projects?private_token=s3cret", secret, "")                                       // denied
		r.get("GET", "/api/v4/projects", secret, "")
		r.get("GET", "/api/v4", secret, "")

		requests, responses := r.lines("debug: request", 6), r.lines("debug: response", 6)
		if text := r.log.String(); strings.Contains(text, "s3cret") {
			for line := range strings.Lines(text) {
				if strings.Contains(line, "s3cret") {
					t.Errorf("a secret is in %s", line)
				}
			}
		}
		shown := fmt.Sprint(requests[0], responses[0])
		for _, want := range []string{"Authorization:[[masked]]", "Private-Token:[[masked]]", "Accept:[shown]", "X-Token:[[masked]]", "Etag:[shown]", `"name":"shown"`, `"feed_token":"[masked]"`, r.vcs.URL + "/api/v4/user", "200 OK"} {
			if !strings.Contains(shown, want) {
				t.Errorf("%s isn't in %s", want, shown)
			}
		}
		if body := requests[1]["body"]; body != `{"body":"see https://h/?private_token=[masked]"}` {
			t.Errorf("request body %s", body)
		}
		if body := responses[4]["body"]; body != "[binary: 10 bytes]" {
			t.Errorf("binary body %s", body)
		}
		if body := fmt.Sprint(responses[5]["body"]); len(body) > agent.DebugBodyMax+100 || !strings.HasSuffix(body, fmt.Sprintf("é… (%d bytes in all)", 2*agent.DebugBodyMax)) {
			t.Errorf("a long body ends with %s", body[max(0, len(body)-60):])
		}
		for i, line := range append(requests, responses...) {
			if line["id"] != "id-1" || line["level"] != "INFO" {
				t.Errorf("line %d: %v", i, line)
			}
		}
	})
}

// The bodies of calls that trade in tokens are left out whole, both ways.
func TestDebugPrintAllLeavesTokensOut(t *testing.T) {
	r := start(t, transport.ModeTCP, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(201)
		io.WriteString(w, `{"value":"s3cret"}`)
	}, func(c *agent.Config) { c.DebugPrintAll, c.Policy.Vendor = true, "github_enterprise" })
	body := `{"repositories":["s3cret"]}`
	a := r.get("POST", "/api/v3/app/installations/1/access_tokens", http.Header{"Content-Type": {"application/json"}}, body)
	if a.StatusCode != 201 || a.body != `{"value":"s3cret"}` {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if got := r.lines("debug: request", 1)[0]["body"]; got != fmt.Sprintf("[masked: %d bytes]", len(body)) {
		t.Errorf("request body %s", got)
	}
	if got := r.lines("debug: response", 1)[0]["body"]; got != "[masked: 18 bytes]" {
		t.Errorf("response body %s", got)
	}
	// A denial of such a call, too.
	r.get("POST", "/api/v3/app/installations/1/access_tokens", http.Header{"Content-Type": {"application/json"}}, `{"x":"s3cret"}`)
	if got := r.lines("debug: request", 2)[1]["body"]; got != "[masked: 14 bytes]" {
		t.Errorf("denied request's body %s", got)
	}
}
