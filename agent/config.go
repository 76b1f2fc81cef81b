package agent

import (
	"log/slog"
	"time"

	"vcsagent/transport"
)

// Config is everything the agent needs to know. Only cmd/vcs-agent fills it
// from flags, environment and file.
type Config struct {
	TargetBaseEndpoint string           // the VCS: scheme, host, optional port and context path; required
	Token              transport.Secret // the pool's token, encoded; required
	Vendor             string           // one of allow.Vendors(); required
	AllowedProjects    string           // regexp that a project must match whole; "" or ".*" means no restriction
	AllowGroups        []string         // groups of rules that are on; nil means allow.DefaultGroups
	Parallelism        int              // numbered streams, 1 to transport.MaxParallelism
	Transport          transport.Mode   // how to reach the gateway; "" means auto
	DebugPrintAll      bool             // log every request and response, secrets masked

	CACert        string // base64 of a PEM bundle that the VCS's certificate may chain to, beside the system's roots; "" adds none
	CACertFile    string // the same from a PEM file; "" adds none
	GatewayCAFile string // PEM roots for the gateway's certificate in place of the system's; "" uses the token's pin or the system's

	DisableResponseCompression bool // ask the VCS for identity encoding

	MetricsListen       string        // host:port of /metrics, /livez and /readyz; "" serves none
	VCSTimeout          time.Duration // to the VCS's response headers; more than 0
	ShutdownGracePeriod time.Duration // how long requests in flight may take to end after SIGTERM; 0 cuts them at once

	Metadata map[string]string // tags that tell this agent from others, at most transport.MaxTags

	Version string       // the software's version, for the hello and the build metric
	Logger  *slog.Logger // where lifecycle and request lines go; nil means slog.Default()

	// Report is called with panics and fatal errors for an error tracker;
	// nil reports nowhere. It must not block for long.
	Report func(err error)
}
