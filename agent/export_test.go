package agent

import "net/http"

// RetryWait is how long the agent waits after an attempt that ended with err.
var RetryWait = retryWait

// The bounds of RetryWait.
const (
	BackoffCap   = backoffCap
	RefusedWait  = refusedWait
	RetryAtMost  = maxRetryAfter
	HeaderBound  = vcsHeaderBytes
	DebugBodyMax = debugBody
)

// Through puts f around the way to the VCS.
func (a *Agent) Through(f func(next http.RoundTripper) http.RoundTripper) {
	a.handler.proxy.Transport = f(a.handler.proxy.Transport)
}

// Health serves the agent's /metrics, /livez and /readyz.
func (a *Agent) Health() http.Handler { return a.health }

// Session is the handler of one session with n streams.
func (a *Agent) Session(n int) http.Handler { return a.handler.session(n) }
