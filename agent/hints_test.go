package agent_test

import (
	"encoding/base64"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"vcsagent/agent"
	"vcsagent/transport"
)

// Failures that have one likely cause are logged with what to do; others are not,
// and a caller learns of neither.
func TestHints(t *testing.T) {
	const (
		hintCA     = "; a CA of the company's own is trusted with --ca-cert-file"
		hintScheme = "; is the VCS served by http and not https?"
	)
	selfSigned := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "served") }))
	selfSigned.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	selfSigned.StartTLS()
	t.Cleanup(selfSigned.Close)
	trusted := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: selfSigned.Certificate().Raw}))
	_, port, err := net.SplitHostPort(selfSigned.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	plain := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "served") }

	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		for _, tc := range []struct {
			name   string
			change func(*agent.Config) // of one whose VCS is plain, at its http URL
			error  string              // in the log; "" wants an answer
			hint   string
		}{
			{"a CA of the company's own", func(c *agent.Config) { c.TargetBaseEndpoint = selfSigned.URL }, "signed by unknown authority", hintCA},
			{"one that is trusted", func(c *agent.Config) { c.TargetBaseEndpoint, c.CACert = selfSigned.URL, trusted }, "", ""},
			{"one that is trusted, for another name", func(c *agent.Config) {
				c.TargetBaseEndpoint, c.CACert = "https://localhost:"+port, trusted
			}, "not localhost", ""},
			{"http called https", func(c *agent.Config) {
				c.TargetBaseEndpoint = strings.Replace(c.TargetBaseEndpoint, "http", "https", 1)
			}, "first record does not look like a TLS handshake", hintScheme},
			{"http called http", func(*agent.Config) {}, "", ""},
			{"a VCS that hangs up", func(c *agent.Config) { c.TargetBaseEndpoint = "https://" + hangsUp(t) }, "EOF", ""},
			{"nobody there", func(c *agent.Config) { c.TargetBaseEndpoint = "https://" + freePort(t) }, "connection refused", ""},
		} {
			t.Run(tc.name, func(t *testing.T) {
				r := start(t, mode, plain, tc.change)
				a := r.get("GET", project, nil, "")
				if tc.error == "" {
					if a.StatusCode != 200 || a.body != "served" {
						t.Errorf("%d %s\n%s", a.StatusCode, a.body, r.log)
					}
					return
				}
				line := r.lines("failed", 1)[0]
				logged, _ := line["error"].(string)
				if !strings.Contains(logged, tc.error) || !strings.HasSuffix(logged, tc.hint) {
					t.Errorf("logged %q, want one with %q and %q at its end", logged, tc.error, tc.hint)
				}
				for _, hint := range []string{hintCA, hintScheme} {
					if hint != tc.hint && strings.Contains(logged, hint) {
						t.Errorf("logged %q with a hint that leads astray", logged)
					}
				}
				// All that the caller gets is the same for each.
				if a.StatusCode != 502 || a.problem.Code != "vcs_unreachable" || a.problem.Detail != "The VCS could not be reached; the agent's log says why." {
					t.Errorf("answered %d %s", a.StatusCode, a.body)
				}
				for _, internal := range []string{"127.0.0.1", "localhost", "tls", "x509", "certificate", "--ca-cert-file", "EOF", "refused"} {
					if strings.Contains(a.body, internal) {
						t.Errorf("the caller is told of %q: %s", internal, a.body)
					}
				}
			})
		}
	})
}

// hangsUp is the address of a server that closes every connection once it has
// read something.
func hangsUp(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 1<<14)) // else the close could reset what was sent
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); receive(t, ended) })
	return l.Addr().String()
}
