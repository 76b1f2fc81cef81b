package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"vcsagent/test/samplevcs"
	"vcsagent/test/servers"
	"vcsagent/test/stack"
)

// An agent's line for a request says what the operator asks of it.
func TestAgentsLines(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.Options{})
	a := s.StartAgent(t)
	get := func(id, path string) {
		req := s.Request(t, "GET", path)
		req.Header.Set("X-Request-Id", id)
		receive(t, "an answer", send(req))
	}
	get("one", "/api/v4/projects/platform%2Finfra")
	get("two", "/api/v4/projects/platform%2Finfra/hooks")

	served := lineOf(t, a.Process, "one")
	for field, want := range map[string]any{
		"level": "info", "msg": "served", "name": "gitlab.project.get", "project": "platform/infra", "method": "GET",
		"path": "/api/v4/projects/platform/infra", "raw_path": "/api/v4/projects/platform%2Finfra",
		"status_code": 200.0, "bytes_in": 0.0,
	} {
		if served[field] != want {
			t.Errorf("served: %s is %v, want %v", field, served[field], want)
		}
	}
	for _, field := range []string{"time", "purpose", "pool_id"} {
		if served.String(field) == "" {
			t.Errorf("served: no %s", field)
		}
	}
	if served.Number("elapsed") <= 0 || served.Number("bytes_out") <= 0 || served.Number("stream") < 1 || served.Number("stream") > 4 {
		t.Errorf("served: elapsed, bytes_out or stream: %v", served)
	}
	denied := lineOf(t, a.Process, "two")
	if denied.String("msg") != "denied" || denied.String("reason") != "no_rule" || denied.Number("status_code") != 403 || denied.String("detail") == "" {
		t.Errorf("denied: %v", denied)
	}
	// The gateway's line has the same id and what the agent said of the call.
	at := lineOf(t, s.Gateway.Process, "one")
	if at.String("pool") != stack.Pool || at.String("key") != "caller" || at.String("name") != "gitlab.project.get" || at.String("project") != "platform/infra" ||
		at.String("outcome") != "served" || at.String("purpose") != served.String("purpose") {
		t.Errorf("the gateway's line: %v", at)
	}
}

// Whatever callers and a VCS send, a log line stays one line, and no secret is in it.
func TestLogsHoldNoSecretsAndNoForgedLines(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			const vcsSecret, bodySecret, querySecret = "glpat-header-secret", "body-secret", "query-secret"
			s := stack.New(t, stack.Options{
				GatewayArgs: []string{"--log-level", "debug"},
				VCS: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Set-Cookie", "session="+vcsSecret)
					w.Header().Set("X-Next", "x\t{\"msg\":\"forged\"}")
					w.Write([]byte(`{"token":"` + bodySecret + `","name":"line\nbreak"}` + "\n" + `{"msg":"forged"}` + "\n"))
				})})
			cmd := exec.Command(servers.Binary(t, "vcs-agent"), "--target-base-endpoint", s.VCSURL, "--vendor", "gitlab", "--metrics-listen", "127.0.0.1:0",
				"--debug-print-all", "--log-level", "debug", "--log-format", format)
			cmd.Env = []string{"SPACELIFT_VCS_AGENT_POOL_TOKEN=" + s.Token}
			a := servers.Start(t, nil, cmd)
			s.Gateway.Await(t, "agent connected")
			for _, path := range []string{
				"/api/v4/user",
				"/api/v4/user?private_token=" + querySecret,
				"/api/v4/projects/a%0A%7B%22msg%22:%22forged%22%7D",
				"/api/v4/projects/%1B%5B31mred",
				"/api/v4/projects/a%0Atime=now%20level=info%20msg=forged",
				"/%22%20msg=forged%20x=%22",
			} {
				req := s.Request(t, "GET", path)
				req.Header.Set("Private-Token", vcsSecret)
				req.Header.Set("Authorization", "Bearer "+vcsSecret)
				req.Header.Set("User-Agent", "agent\x09{\"msg\":\"forged\"}")
				receive(t, "an answer", send(req))
			}
			post := s.Request(t, "POST", "/api/v4/projects/platform%2Finfra/statuses/0123456789012345678901234567890123456789")
			post.Header.Set("Private-Token", vcsSecret)
			post.Header.Set("Content-Type", "application/json")
			post.Body = readCloser(`{"state":"success","description":"x","token":"` + bodySecret + `"}`)
			receive(t, "an answer", send(post))
			eventually(t, "all requests are logged", func() bool { return strings.Count(a.Log(), "raw_path") >= 7 })

			for who, log := range map[string]string{"agent": a.Log(), "gateway": s.Gateway.Log()} {
				for _, secret := range []string{vcsSecret, bodySecret, querySecret, s.Key, s.Token, samplevcs.Token} {
					if strings.Contains(log, secret) {
						t.Errorf("the %s's log holds %q:\n%s", who, secret, lineWith(log, secret))
					}
				}
				for line := range strings.Lines(log) {
					if why := forged(line, who == "agent" && format == "text"); why != "" {
						t.Errorf("the %s's log has %s: %s", who, why, line)
					}
				}
			}
		})
	}
}

var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// forged says what is wrong with a line of a log, if anything is.
func forged(line string, text bool) string {
	if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), unicode.IsControl) {
		return "a control character"
	}
	if text {
		// What stands outside quotes is ours.
		if bare := quoted.ReplaceAllString(line, `""`); !strings.HasPrefix(bare, "time=20") || strings.Contains(bare, " msg=forged") {
			return "a forged line or field"
		}
		return ""
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["time"] == nil || fields["msg"] == "forged" {
		return "a forged line"
	}
	return ""
}

func lineWith(log, text string) string {
	for line := range strings.Lines(log) {
		if strings.Contains(line, text) {
			return line
		}
	}
	return ""
}

func readCloser(s string) io.ReadCloser { return io.NopCloser(strings.NewReader(s)) }
