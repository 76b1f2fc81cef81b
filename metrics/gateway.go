package metrics

import "github.com/prometheus/client_golang/prometheus"

// Gateway is the gateway's metrics.
type Gateway struct {
	Agents      *prometheus.GaugeVec     // pool, carrier: live sessions
	Requests    *prometheus.CounterVec   // pool ("" if none was found), code, outcome
	Duration    *prometheus.HistogramVec // pool: seconds, whole request
	QueueLength *prometheus.GaugeVec     // pool: requests that wait for a stream
	Bytes       *prometheus.CounterVec   // direction
	Refused     *prometheus.CounterVec   // carrier: connections to the agents' listener that got no session

	RefusedSessions *prometheus.CounterVec // reason: agents that the gateway said no to
	NewInstances    *prometheus.CounterVec // pool: agents that joined for the first time
	Limited         *prometheus.CounterVec // pool, scope (key, pool), limit (rate, in_flight, body, queue)
	LogBuffered     prometheus.Gauge       // requests that wait to be stored in the log
	LogStored       prometheus.Counter     // requests stored in the log
	LogDropped      *prometheus.CounterVec // reason: requests that weren't
}

// Reasons of LogDropped.
const (
	DroppedFull    = "full"    // too many wait to be stored
	DroppedFailed  = "failed"  // the database didn't take it, however often tried
	DroppedRefused = "refused" // the gateway refused more than it stores of those
)

// NewGateway makes the gateway's metrics and registers them.
func NewGateway(reg prometheus.Registerer) *Gateway {
	m := &Gateway{
		Agents:   gauge("vcs_gateway_agents", "Live sessions of agents.", "pool", "carrier"),
		Requests: counter("vcs_gateway_requests_total", "Callers' requests by pool, status and outcome.", "pool", "code", "outcome"),
		Duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "vcs_gateway_request_duration_seconds", Help: "Time from a request's arrival at the gateway to the end of its answer.", Buckets: durationBuckets,
		}, []string{"pool"}),
		QueueLength: gauge("vcs_gateway_queue_length", "Requests that wait for a free stream.", "pool"),
		Bytes:       counter("vcs_gateway_bytes_total", "Bytes of bodies, in: towards the VCS, out: towards the caller.", "direction"),
		Refused:     counter("vcs_gateway_refused_connections_total", "Connections to the agents' listener that got no session.", "carrier"),

		RefusedSessions: counter("vcs_gateway_refused_sessions_total", "Agents that the gateway refused, by reason.", "reason"),
		NewInstances:    counter("vcs_gateway_new_instances_total", "Agents that joined the pool for the first time.", "pool"),
		Limited:         counter("vcs_gateway_limited_requests_total", "Requests refused by a limit of a key or a pool.", "pool", "scope", "limit"),
	}
	m.LogBuffered = prometheus.NewGauge(prometheus.GaugeOpts{Name: "vcs_gateway_access_log_buffered", Help: "Requests that wait to be stored in the log of requests."})
	m.LogStored = prometheus.NewCounter(prometheus.CounterOpts{Name: "vcs_gateway_access_log_stored_total", Help: "Requests stored in the log of requests."})
	m.LogDropped = counter("vcs_gateway_access_log_dropped_total", "Requests that were not stored in the log of requests.", "reason")
	for _, reason := range []string{DroppedFull, DroppedFailed, DroppedRefused} {
		m.LogDropped.WithLabelValues(reason) // there from the start, so that an alert sees the first
	}
	reg.MustRegister(m.Agents, m.Requests, m.Duration, m.QueueLength, m.Bytes, m.Refused, m.RefusedSessions, m.NewInstances, m.Limited, m.LogBuffered, m.LogStored, m.LogDropped)
	return m
}

// DropPool takes a pool that was deleted out of the metrics.
func (m *Gateway) DropPool(name string) {
	of := prometheus.Labels{"pool": name}
	for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{m.Agents, m.Requests, m.Duration, m.QueueLength, m.NewInstances, m.Limited} {
		v.DeletePartialMatch(of)
	}
}
