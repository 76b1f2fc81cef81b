// Package metrics holds the Prometheus collectors of the agent and of the
// gateway, and serves them beside the health endpoints.
//
//	reg := metrics.NewRegistry("vcs_agent", version)
//	m := metrics.NewAgent(reg)
//	m.Denied.WithLabelValues("no_rule").Inc()
//	http.Serve(listener, metrics.Handler(reg, ready))
//
// Every label's values are bounded: rules, reasons, codes, carriers and stream
// numbers come from our own tables; pools are those that exist; of the policy's hashes
// only the one in force is there. Nothing a caller
// or a VCS sends becomes a label.
package metrics
