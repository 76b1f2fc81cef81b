package e2e_test

import (
	"testing"

	"vcsagent/test/servers"
	"vcsagent/test/stack"
)

// A real Prometheus scrapes both programs; every metric that is promised is
// there, with what the traffic makes of it.
func TestPrometheus(t *testing.T) {
	t.Parallel()
	s := stack.New(t, stack.Options{})
	a := s.StartAgent(t, "--transport", "quic")
	for path, want := range map[string]int{
		"/api/v4/user":                                                200,
		"/api/v4/projects/platform%2Finfra":                           200,
		"/api/v4/projects/platform%2Finfra/hooks":                     403,
		"/api/v4/projects/platform%2Finfra/../../x":                   403,
		"/api/v4/projects/platform%2Fnone":                            404,
		"/api/v4/projects/platform%2Finfra/repository/archive.tar.gz": 200,
	} {
		if got := receive(t, "an answer", send(s.Request(t, "GET", path))); got.status != want {
			t.Errorf("%s: %d, want %d", path, got.status, want)
		}
	}
	refused := s.Request(t, "GET", "/api/v4/user")
	refused.Header.Del("VCS-Gateway-Key")
	receive(t, "an answer", send(refused))

	p := servers.Prometheus(t, map[string]string{"agent": a.Metrics, "gateway": s.Gateway.Metrics})
	for query, want := range map[string]float64{
		`sum(vcs_agent_stream_requests_total{stream=~"[1-4]"})`:                 6,
		`vcs_agent_requests_total{rule="gitlab.user.get",code="200"}`:           1,
		`vcs_agent_requests_total{rule="gitlab.project.get",code="404"}`:        1,
		`vcs_agent_requests_total{rule="none",code="403"}`:                      2,
		`vcs_agent_denied_total{reason="no_rule"}`:                              1,
		`vcs_agent_denied_total{reason="ambiguous_path"}`:                       1,
		`vcs_agent_request_duration_seconds_count`:                              6,
		`vcs_agent_in_flight_requests`:                                          0,
		`vcs_agent_connected{carrier="quic"}`:                                   1,
		`vcs_agent_connected{carrier="tcp"}`:                                    0,
		`vcs_agent_connects_total{carrier="quic",result="connected"}`:           1,
		`vcs_agent_rtt_seconds > bool 0`:                                        1,
		`vcs_agent_bytes_total{direction="in"}`:                                 0,
		`vcs_agent_bytes_total{direction="out"} > bool 500`:                     1,
		`vcs_agent_build_info`:                                                  1,
		`vcs_gateway_agents{pool="gitlab",carrier="quic"}`:                      1,
		`vcs_gateway_requests_total{pool="gitlab",code="200",outcome="served"}`: 3,
		`vcs_gateway_requests_total{pool="gitlab",code="404",outcome="served"}`: 1,
		`vcs_gateway_requests_total{pool="gitlab",code="403",outcome="denied"}`: 2,
		`vcs_gateway_requests_total{pool="",code="401",outcome="refused"}`:      1,
		`vcs_gateway_request_duration_seconds_count{pool="gitlab"}`:             6,
		`vcs_gateway_queue_length{pool="gitlab"}`:                               0,
		`vcs_gateway_build_info`:                                                1,
		`up{job="agent"}`:                                                       1,
		`up{job="gateway"}`:                                                     1,
		`process_resident_memory_bytes{job="agent"} < bool 67108864`:            1,
		`process_resident_memory_bytes{job="gateway"} < bool 67108864`:          1,
	} {
		samples := p.Await(t, query)
		if len(samples) != 1 || samples[0].Value != want {
			t.Errorf("%s gives %v, want %v", query, samples, want)
		}
	}
}
