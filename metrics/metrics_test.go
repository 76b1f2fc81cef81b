package metrics_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"vcsagent/metrics"
)

// used returns the registries of an agent and a gateway that have counted something of everything.
func used(t *testing.T) map[string]*prometheus.Registry {
	t.Helper()
	agent := metrics.NewRegistry("vcs_agent", "1.2.3")
	a := metrics.NewAgent(agent)
	agent.MustRegister(metrics.RTTFunc(func() float64 { return .25 }))
	a.StreamRequests.WithLabelValues("1").Inc()
	a.Requests.WithLabelValues("gitlab.user.get", "200").Inc()
	a.Denied.WithLabelValues("no_rule").Inc()
	a.Observed.WithLabelValues("no_rule").Inc()
	a.VCSErrors.WithLabelValues("vcs_timeout").Inc()
	a.PolicyInfo.WithLabelValues("gitlab", "00ff").Set(1)
	a.Duration.Observe(.2)

	gateway := metrics.NewRegistry("vcs_gateway", "1.2.3")
	g := metrics.NewGateway(gateway)
	g.Agents.WithLabelValues("gitlab", "quic").Inc()
	g.Requests.WithLabelValues("gitlab", "200", "served").Inc()
	g.Duration.WithLabelValues("gitlab").Observe(.2)
	g.QueueLength.WithLabelValues("gitlab").Inc()
	g.Bytes.WithLabelValues(metrics.DirectionIn).Inc()
	g.Refused.WithLabelValues("tcp").Inc()
	g.RefusedSessions.WithLabelValues("network").Inc()
	g.NewInstances.WithLabelValues("gitlab").Inc()
	g.Limited.WithLabelValues("gitlab", "key", "rate").Inc()
	return map[string]*prometheus.Registry{"vcs_agent_": agent, "vcs_gateway_": gateway}
}

// The names and labels are a contract with dashboards and alerts.
func TestNames(t *testing.T) {
	want := map[string]string{
		"vcs_agent_stream_requests_total":    "stream",
		"vcs_agent_requests_total":           "code,rule",
		"vcs_agent_denied_total":             "reason",
		"vcs_agent_request_duration_seconds": "",
		"vcs_agent_in_flight_requests":       "",
		"vcs_agent_connected":                "carrier",
		"vcs_agent_connects_total":           "carrier,result",
		"vcs_agent_rtt_seconds":              "",
		"vcs_agent_bytes_total":              "direction",
		"vcs_agent_vcs_errors_total":         "code",
		"vcs_agent_build_info":               "goversion,version",
		"vcs_agent_observed_total":           "reason",
		"vcs_agent_project_lookups_total":    "result",

		"vcs_agent_policy_rules":                  "",
		"vcs_agent_policy_blocks":                 "",
		"vcs_agent_policy_info":                   "policy_sha256,vendor",
		"vcs_agent_policy_observe":                "",
		"vcs_agent_policy_reloads_total":          "result",
		"vcs_agent_policy_last_reload_successful": "",

		"vcs_gateway_agents":                    "carrier,pool",
		"vcs_gateway_requests_total":            "code,outcome,pool",
		"vcs_gateway_request_duration_seconds":  "pool",
		"vcs_gateway_queue_length":              "pool",
		"vcs_gateway_bytes_total":               "direction",
		"vcs_gateway_refused_connections_total": "carrier",
		"vcs_gateway_refused_sessions_total":    "reason",
		"vcs_gateway_new_instances_total":       "pool",
		"vcs_gateway_limited_requests_total":    "limit,pool,scope",
		"vcs_gateway_access_log_buffered":       "",
		"vcs_gateway_access_log_stored_total":   "",
		"vcs_gateway_access_log_dropped_total":  "reason",
		"vcs_gateway_build_info":                "goversion,version",
	}
	got := map[string]string{}
	for prefix, reg := range used(t) {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		runtime := 0
		for _, f := range families {
			name := f.GetName()
			if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
				runtime++
				continue
			}
			if !strings.HasPrefix(name, prefix) {
				t.Errorf("%s doesn't begin with %s", name, prefix)
			}
			var labels []string
			for _, l := range f.GetMetric()[0].GetLabel() {
				labels = append(labels, l.GetName())
			}
			slices.Sort(labels)
			got[name] = strings.Join(labels, ",")
		}
		if runtime < 20 {
			t.Errorf("%s: only %d metrics of Go and the process", prefix, runtime)
		}
		if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
			t.Errorf("%s: lint says %v, %v", prefix, problems, err)
		}
	}
	if !maps.Equal(got, want) {
		for name := range maps.Keys(want) {
			if g, ok := got[name]; !ok || g != want[name] {
				t.Errorf("%s{%s}: want labels %q, there: %t", name, g, want[name], ok)
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok {
				t.Errorf("%s isn't in the contract", name)
			}
		}
	}
}

// Series that alerts look for are there before anything has happened.
func TestSeriesBeforeAnything(t *testing.T) {
	reg := metrics.NewRegistry("vcs_agent", "1.2.3")
	metrics.NewAgent(reg)
	for name, want := range map[string]int{"vcs_agent_connected": 2, "vcs_agent_connects_total": 6, "vcs_agent_bytes_total": 2,
		"vcs_agent_project_lookups_total": 3, "vcs_agent_policy_reloads_total": 3, "vcs_agent_policy_observe": 1, "vcs_agent_policy_last_reload_successful": 1, "vcs_agent_in_flight_requests": 1, "vcs_agent_request_duration_seconds": 1} {
		if n, err := testutil.GatherAndCount(reg, name); err != nil || n != want {
			t.Errorf("%s: %d series, want %d, %v", name, n, want, err)
		}
	}
}

func TestHandler(t *testing.T) {
	var notReady error
	reg := used(t)["vcs_agent_"]
	h := metrics.Handler(reg, func() error { return notReady })
	call := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
		return w.Code, w.Body.String()
	}
	for _, tc := range []struct {
		method, path string
		notReady     error
		status       int
		body         string // in the body
	}{
		{"GET", "/livez", nil, 200, "ok"},
		{"GET", "/livez", errors.New("not connected"), 200, "ok"},
		{"HEAD", "/livez", nil, 200, ""},
		{"GET", "/readyz", nil, 200, "ok"},
		{"GET", "/readyz", errors.New("not connected"), 503, "not connected"},
		{"GET", "/metrics", errors.New("not connected"), 200, "\nvcs_agent_rtt_seconds 0.25\n"},
		{"GET", "/metrics", nil, 200, `vcs_agent_build_info{goversion="go`},
		{"GET", "/metrics", nil, 200, `,version="1.2.3"} 1`},
		{"POST", "/livez", nil, http.StatusMethodNotAllowed, ""},
		{"GET", "/", nil, 404, ""},
		{"GET", "/livez/", nil, 404, ""},
		{"GET", "/debug/pprof/", nil, 404, ""},
	} {
		notReady = tc.notReady
		if status, body := call(tc.method, tc.path); status != tc.status || !strings.Contains(body, tc.body) {
			t.Errorf("%s %s: %d %.200q, want %d %q", tc.method, tc.path, status, body, tc.status, tc.body)
		}
	}
}
