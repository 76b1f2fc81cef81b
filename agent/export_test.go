package agent

import (
	"context"
	"net/http"
	"net/url"
)

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

// Relative is what becomes of a URL in the answer to a request for path at a
// VCS with this base endpoint.
func Relative(base, path, ref string) (string, bool) {
	b, err := url.Parse(base)
	if err != nil {
		panic(err)
	}
	r, err := url.Parse(ref)
	if err != nil {
		return "", false
	}
	return newHostMap(b, []string{"codeload."}, nil).relative(&url.URL{Scheme: b.Scheme, Host: b.Host, Path: path}, r)
}

// Lookups remembers projects' paths as the agent does.
type Lookups struct{ l *lookups }

// NewLookups returns one that remembers nothing yet.
func NewLookups() Lookups { return Lookups{newLookups()} }

// Find asks for a project's path, unless it is known for these credentials.
func (l Lookups) Find(ctx context.Context, id string, credentials http.Header, ask func() (string, error)) (string, bool, error) {
	return l.l.find(ctx, keyOf(id, credentials), ask)
}

// Len is how many are remembered.
func (l Lookups) Len() int { return l.l.cache.Len() }

// The bounds of lookups.
const (
	LookupTimeout   = lookupTimeout
	LookupBytes     = maxLookupBytes
	LookupCacheSize = lookupCacheSize
	LookupCacheTime = lookupCacheTime
)

// The bounds of checks.
const (
	CheckBytes  = maxCheckBytes
	CheckMemory = checkMemory
)
