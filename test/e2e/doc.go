// Package e2e tests the whole path with real processes: vcs-gateway and
// vcs-agent as they are released, curl, git and Prometheus as callers, and a VCS
// behind the agent. Everything runs on loopback; the two carriers are covered
// side by side wherever they could differ.
//
// VCSAGENT_LONG=1 raises the sizes and adds the soak.
package e2e
