package agent_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"vcsagent/transport"
)

// metric scrapes the agent for one series; -1 if it isn't there.
func (r *rig) metric(series string) float64 {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.Health().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				r.t.Fatal(err)
			}
			return v
		}
	}
	return -1
}

func (r *rig) probe(path string) (int, string) {
	w := httptest.NewRecorder()
	r.Health().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestMetrics(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/v4/user" {
				w.Header().Set("Location", "https://elsewhere.example/")
				w.WriteHeader(302)
				return
			}
			w.WriteHeader(201)
			w.Write(make([]byte, 1000))
		}, nil)
		r.get("POST", notes, http.Header{"Content-Type": {"application/json"}}, `{"body":"hello"}`)
		r.get("GET", "/nothing", nil, "")
		r.get("GET", "/nothing", nil, "")
		r.get("GET", "/api/v4/user", nil, "")
		r.lines("served", 1)
		r.lines("denied", 2)
		failed := r.lines("failed", 1)[0]
		other := transport.QUIC
		if r.session.Carrier == transport.QUIC {
			other = transport.TCP
		}
		for series, want := range map[string]float64{
			`vcs_agent_requests_total{code="201",rule="gitlab.note.create"}`:                           1,
			`vcs_agent_requests_total{code="403",rule="none"}`:                                         2,
			`vcs_agent_requests_total{code="502",rule="gitlab.user.get"}`:                              1,
			`vcs_agent_denied_total{reason="no_rule"}`:                                                 2,
			`vcs_agent_vcs_errors_total{code="foreign_redirect"}`:                                      1,
			`vcs_agent_request_duration_seconds_count`:                                                 4,
			`vcs_agent_in_flight_requests`:                                                             0,
			`vcs_agent_connected{carrier="` + string(r.session.Carrier) + `"}`:                         1,
			`vcs_agent_connected{carrier="` + string(other) + `"}`:                                     0,
			`vcs_agent_connects_total{carrier="` + string(r.session.Carrier) + `",result="connected"}`: 1,
			`vcs_agent_connects_total{carrier="` + string(r.session.Carrier) + `",result="failed"}`:    0,
			`vcs_agent_bytes_total{direction="in"}`:                                                    16,
		} {
			if got := r.metric(series); got != want {
				t.Errorf("%s is %v, want %v", series, got, want)
			}
		}
		if out := r.metric(`vcs_agent_bytes_total{direction="out"}`); out < 1000+2*100 || out > 3000 {
			t.Errorf("bytes out: %v", out)
		}
		if failed["name"] != "gitlab.user.get" {
			t.Errorf("log %v", failed)
		}
	})
}
