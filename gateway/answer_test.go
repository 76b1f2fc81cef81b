package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vcsagent/transport"
)

// What an agent says can't pass for what only the gateway knows, in the answer, the
// log or the metrics.
func TestAgentsCannotSpeakForTheGateway(t *testing.T) {
	f := start(t)
	f.join(t, options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(transport.ErrorHeader, r.URL.Query().Get("code"))
		w.WriteHeader(503)
	})
	fault := "agent_fault"
	for _, tt := range []struct{ code, want string }{
		{"vcs_timeout", ""}, {"internal", ""}, {"body_unreadable", ""}, {"a_newer_agents_2", ""}, {strings.Repeat("a", 64), ""},
		{strings.Repeat("a", 65), fault}, {"<b>x", fault}, {"Busy", fault}, {"a b", fault}, {"a-b", fault}, {"\xff", fault},
		{"no_agent", fault}, {"busy", fault}, {"agent_lost", fault}, {"pool_paused", fault}, {"rate_limited", fault}, {"unauthenticated", fault},
		{"forbidden", fault}, {"unknown_pool", fault}, {"not_found", fault}, {"header_too_large", fault}, {"body_too_large", fault},
	} {
		t.Run(tt.code, func(t *testing.T) {
			want := tt.want
			if want == "" {
				want = tt.code
			}
			resp, _ := f.get(t, "/?code="+url.QueryEscape(tt.code))
			if got := resp.Header.Get(transport.ErrorHeader); got != want || resp.StatusCode != 503 {
				t.Errorf("status %d, code %q, want %q", resp.StatusCode, got, want)
			}
			line := f.log.await(t, "request", "id", resp.Header.Get("X-Request-Id"))
			if line["outcome"] != "vcs_error" || line["code"] != want {
				t.Errorf("%v", line)
			}
		})
	}
	if !f.counted(t, `vcs_gateway_requests_total{code="503",outcome="vcs_error",pool="gitlab"} 22`) {
		t.Error("they are counted as something else")
	}
}

// roundTrip is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (rt roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return rt(r) }

// A status that no final answer has is the agent's fault.
func TestAgentsStatusIsAStatus(t *testing.T) {
	f := create(t)
	f.SetTransport(roundTrip(func(r *http.Request) (*http.Response, error) {
		var status int
		fmt.Sscanf(r.URL.Opaque, "//vcs-agent/%d", &status)
		return &http.Response{StatusCode: status, ProtoMajor: 2, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("body")), Request: r}, nil
	}))
	f.run(t)
	f.join(t, options{}, http.NotFound)
	for status, good := range map[int]bool{
		-1: false, 0: false, 42: false, 99: false, 100: false, 101: false, 199: false, 600: false, 999: false, 1000: false,
		200: true, 299: true, 400: true, 599: true,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			resp, body := f.get(t, fmt.Sprintf("/%d", status))
			if good {
				if resp.StatusCode != status {
					t.Errorf("status %d", resp.StatusCode)
				}
				return
			}
			p := problemIn(t, resp, body)
			if p.Status != 502 || p.Code != "agent_fault" || p.Detail != fmt.Sprintf("The agent answered with status %d, which is none; the VCS may have seen the request.", status) {
				t.Errorf("%+v", p)
			}
			if line := f.log.await(t, "request", "id", p.ID); line["outcome"] != "vcs_error" || line["status_code"] != 502.0 {
				t.Errorf("%v", line)
			}
		})
	}
}
