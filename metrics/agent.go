package metrics

import "github.com/prometheus/client_golang/prometheus"

// Agent is the agent's metrics.
type Agent struct {
	StreamRequests *prometheus.CounterVec // stream: the number of a stream, from 1
	Requests       *prometheus.CounterVec // rule: its name or "none"; code: the HTTP status
	Denied         *prometheus.CounterVec // reason: see package allow
	Duration       prometheus.Observer    // seconds, whole request
	InFlight       prometheus.Gauge       // requests now
	Connected      *prometheus.GaugeVec   // carrier: 1 while a session runs on it
	Connects       *prometheus.CounterVec // carrier; result: connected, failed, refused
	Bytes          *prometheus.CounterVec // direction
	VCSErrors      *prometheus.CounterVec // code: vcs_unreachable, vcs_timeout, foreign_redirect
}

// NewAgent makes the agent's metrics and registers them.
func NewAgent(reg prometheus.Registerer) *Agent {
	duration := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "vcs_agent_request_duration_seconds", Help: "Time from a request's arrival at the agent to the end of its answer.", Buckets: durationBuckets,
	})
	m := &Agent{
		StreamRequests: counter("vcs_agent_stream_requests_total", "Requests by the stream that handled them.", "stream"),
		Requests:       counter("vcs_agent_requests_total", "Requests by the rule that allowed them (none: denied) and the status answered.", "rule", "code"),
		Denied:         counter("vcs_agent_denied_total", "Requests that the allowlist denied, by reason.", "reason"),
		Duration:       duration,
		InFlight:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "vcs_agent_in_flight_requests", Help: "Requests being handled now."}),
		Connected:      gauge("vcs_agent_connected", "1 while a session with the gateway runs on the carrier.", "carrier"),
		Connects:       counter("vcs_agent_connects_total", "Attempts to start a session, by carrier and result (connected, failed, refused).", "carrier", "result"),
		Bytes:          counter("vcs_agent_bytes_total", "Bytes of bodies, in: towards the VCS, out: towards the caller.", "direction"),
		VCSErrors:      counter("vcs_agent_vcs_errors_total", "Requests that the VCS didn't answer usably, by the code answered in its place.", "code"),
	}
	reg.MustRegister(m.StreamRequests, m.Requests, m.Denied, duration, m.InFlight, m.Connected, m.Connects, m.Bytes, m.VCSErrors)
	for _, carrier := range []string{"quic", "tcp"} {
		m.Connected.WithLabelValues(carrier)
		for _, result := range []string{"connected", "failed", "refused"} {
			m.Connects.WithLabelValues(carrier, result)
		}
	}
	for _, d := range []string{DirectionIn, DirectionOut} {
		m.Bytes.WithLabelValues(d)
	}
	return m
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

// RTTFunc is vcs_agent_rtt_seconds, asked for at each scrape.
func RTTFunc(seconds func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "vcs_agent_rtt_seconds", Help: "Last round trip to the gateway through the session, 0 while not connected."}, seconds)
}
