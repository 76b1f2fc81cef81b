package metrics

import "github.com/prometheus/client_golang/prometheus"

// Agent is the agent's metrics.
type Agent struct {
	StreamRequests *prometheus.CounterVec // stream: the number of a stream, from 1
	Requests       *prometheus.CounterVec // rule: its name, "none" or "observed"; code: the HTTP status
	Denied         *prometheus.CounterVec // reason: see package allow
	Observed       *prometheus.CounterVec // reason: why enforce would have denied
	Duration       prometheus.Observer    // seconds, whole request
	InFlight       prometheus.Gauge       // requests now
	Connected      *prometheus.GaugeVec   // carrier: 1 while a session runs on it
	Connects       *prometheus.CounterVec // carrier; result: connected, failed, refused
	Bytes          *prometheus.CounterVec // direction
	VCSErrors      *prometheus.CounterVec // code: vcs_unreachable, vcs_timeout, foreign_redirect
	ProjectLookups *prometheus.CounterVec // result: one of the Lookup constants

	PolicyRules                prometheus.Gauge       // active rules
	PolicyBlocks               prometheus.Gauge       // block rules of the customer's
	PolicyInfo                 *prometheus.GaugeVec   // vendor, policy_sha256: 1 for the policy in force; reset it at a change
	PolicyObserve              prometheus.Gauge       // 1 while the policy only observes
	PolicyReloads              *prometheus.CounterVec // result: one of the Reload constants
	PolicyLastReloadSuccessful prometheus.Gauge       // 0 after a change that couldn't be used, else 1
}

// The rule label of requests without a rule that allowed them.
const (
	RuleNone     = "none"     // denied
	RuleObserved = "observed" // let through by a policy that only observes
)

// Results of a lookup of a project's path by its number.
const (
	LookupHit    = "hit"    // it was known
	LookupFound  = "found"  // the VCS told it
	LookupFailed = "failed" // the VCS didn't
)

// Results of a change of the policy's settings.
const (
	ReloadChanged   = "changed"   // another policy is in force
	ReloadUnchanged = "unchanged" // the settings come to the same policy
	ReloadFailed    = "failed"    // they couldn't be used; the policy stays
)

// NewAgent makes the agent's metrics and registers them.
func NewAgent(reg prometheus.Registerer) *Agent {
	duration := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "vcs_agent_request_duration_seconds", Help: "Time from a request's arrival at the agent to the end of its answer.", Buckets: durationBuckets,
	})
	m := &Agent{
		StreamRequests: counter("vcs_agent_stream_requests_total", "Requests by the stream that handled them.", "stream"),
		Requests:       counter("vcs_agent_requests_total", "Requests by the rule that allowed them (none: denied; observed: let through by observing alone) and the status answered.", "rule", "code"),
		Denied:         counter("vcs_agent_denied_total", "Requests that the allowlist denied, by reason.", "reason"),
		Observed:       counter("vcs_agent_observed_total", "Requests that only --policy observe let through, by the reason why enforce would have denied them.", "reason"),
		Duration:       duration,
		InFlight:       prometheus.NewGauge(prometheus.GaugeOpts{Name: "vcs_agent_in_flight_requests", Help: "Requests being handled now."}),
		Connected:      gauge("vcs_agent_connected", "1 while a session with the gateway runs on the carrier.", "carrier"),
		Connects:       counter("vcs_agent_connects_total", "Attempts to start a session, by carrier and result (connected, failed, refused).", "carrier", "result"),
		Bytes:          counter("vcs_agent_bytes_total", "Bytes of bodies, in: towards the VCS, out: towards the caller.", "direction"),
		VCSErrors:      counter("vcs_agent_vcs_errors_total", "Requests that the VCS didn't answer usably, by the code answered in its place.", "code"),
		ProjectLookups: counter("vcs_agent_project_lookups_total", "Projects given by their numbers whose paths had to be known, by result (hit, found, failed).", "result"),

		PolicyRules:                prometheus.NewGauge(prometheus.GaugeOpts{Name: "vcs_agent_policy_rules", Help: "Rules of the policy that are active."}),
		PolicyBlocks:               prometheus.NewGauge(prometheus.GaugeOpts{Name: "vcs_agent_policy_blocks", Help: "Block rules of the policy."}),
		PolicyInfo:                 gauge("vcs_agent_policy_info", "Always 1; the labels tell the policy in force.", "vendor", "policy_sha256"),
		PolicyObserve:              prometheus.NewGauge(prometheus.GaugeOpts{Name: "vcs_agent_policy_observe", Help: "1 while the policy observes: calls that no rule allows reach the VCS."}),
		PolicyReloads:              counter("vcs_agent_policy_reloads_total", "Times that the policy's settings were read anew, by result (changed, unchanged, failed).", "result"),
		PolicyLastReloadSuccessful: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vcs_agent_policy_last_reload_successful", Help: "1 unless the policy's settings, last read anew, couldn't be used."}),
	}
	reg.MustRegister(m.StreamRequests, m.Requests, m.Denied, m.Observed, duration, m.InFlight, m.Connected, m.Connects, m.Bytes, m.VCSErrors, m.ProjectLookups,
		m.PolicyRules, m.PolicyBlocks, m.PolicyInfo, m.PolicyObserve, m.PolicyReloads, m.PolicyLastReloadSuccessful)
	m.PolicyLastReloadSuccessful.Set(1)
	for _, carrier := range []string{"quic", "tcp"} {
		m.Connected.WithLabelValues(carrier)
		for _, result := range []string{"connected", "failed", "refused"} {
			m.Connects.WithLabelValues(carrier, result)
		}
	}
	for _, d := range []string{DirectionIn, DirectionOut} {
		m.Bytes.WithLabelValues(d)
	}
	for _, result := range []string{LookupHit, LookupFound, LookupFailed} {
		m.ProjectLookups.WithLabelValues(result)
	}
	for _, result := range []string{ReloadChanged, ReloadUnchanged, ReloadFailed} {
		m.PolicyReloads.WithLabelValues(result)
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
