package transport_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"vcsagent/transport"
)

func TestProblem(t *testing.T) {
	for _, tc := range []struct {
		name       string
		problem    transport.Problem
		retryAfter string
		reason     string
		body       map[string]any
	}{
		{
			"the least", transport.Problem{Status: 502, Code: "vcs_unreachable", Detail: "The VCS could not be reached."}, "", "",
			map[string]any{"title": "Bad Gateway", "status": 502.0, "detail": "The VCS could not be reached.", "message": "The VCS could not be reached.", "code": "vcs_unreachable"},
		},
		{
			"a denial", transport.Problem{Status: 403, Code: "denied", Detail: "No \"rule\" <has> this path.", ID: "id-1", Reason: "no_rule", Nearest: "gitlab.user.get"}, "", "no_rule",
			map[string]any{"title": "Forbidden", "status": 403.0, "detail": "No \"rule\" <has> this path.", "message": "No \"rule\" <has> this path.", "code": "denied", "reason": "no_rule", "nearest_rule": "gitlab.user.get", "id": "id-1"},
		},
		{
			"one to retry", transport.Problem{Status: 503, Code: "busy", Detail: "D.", RetryAfter: 2 * time.Second}, "2", "",
			map[string]any{"title": "Service Unavailable", "status": 503.0, "detail": "D.", "message": "D.", "code": "busy"},
		},
		{
			"one to retry within a second", transport.Problem{Status: 503, Code: "busy", Detail: "D.", RetryAfter: 1100 * time.Millisecond}, "2", "",
			map[string]any{"title": "Service Unavailable", "status": 503.0, "detail": "D.", "message": "D.", "code": "busy"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "5") // left by an answer that was given up
				tc.problem.Write(w, r)
			}))
			defer srv.Close()
			defer http.DefaultClient.CloseIdleConnections()
			resp, err := http.Get(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			text := readAll(t, resp.Body)
			resp.Body.Close()
			var body map[string]any
			if err := json.Unmarshal([]byte(text), &body); err != nil || !reflect.DeepEqual(body, tc.body) {
				t.Errorf("body %s, %v", text, err)
			}
			h := resp.Header
			for name, want := range map[string]string{
				"Content-Type": "application/problem+json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
				transport.ErrorHeader: tc.problem.Code, transport.ReasonHeader: tc.reason, "Retry-After": tc.retryAfter,
			} {
				if h.Get(name) != want {
					t.Errorf("%s: %q, want %q", name, h.Get(name), want)
				}
			}
			if resp.StatusCode != tc.problem.Status {
				t.Errorf("status %d", resp.StatusCode)
			}

			head, err := http.Head(srv.URL)
			if err != nil {
				t.Fatal(err)
			}
			head.Body.Close()
			if head.ContentLength != int64(len(text)) || head.StatusCode != tc.problem.Status {
				t.Errorf("HEAD: status %d, length %d, of GET %d", head.StatusCode, head.ContentLength, len(text))
			}
		})
	}
}
