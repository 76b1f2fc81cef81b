// Package helm holds the checks of what deploy/ gives to operators: the Helm
// chart, the Dockerfile and the systemd unit. It's a module of its own so that
// Helm and the Kubernetes types stay out of the software's dependencies.
//
// The chart is rendered by the real helm command, which go.mod declares as a
// tool (go tool helm), and read back with Kubernetes' own types, unknown fields
// refused; the agent itself, built from this checkout, reads the rules that come
// out. No cluster, no Docker engine and no network is needed once the
// modules are in the cache.
package helm
