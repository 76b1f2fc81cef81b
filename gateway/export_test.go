package gateway

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/metrics"
	"vcsagent/transport"
)

// What the tests see of the package's inside.

// Store is where g keeps pools and keys.
func (g *Gateway) Store() *store.Store { return g.store }

// TokenFor is the token of a pool's agents.
func (g *Gateway) TokenFor(p store.Pool, key transport.Secret) transport.Token {
	return g.tokenFor(p, key)
}

// AgentsOf lists a pool's live sessions.
func (g *Gateway) AgentsOf(poolID string) []control.Connection { return g.connections(poolID) }

// Control is what admins can do with g.
func (g *Gateway) Control() *control.Control { return g.control() }

// Changes is how often g was told of a change, or saw one.
func (g *Gateway) Changes() int64 { return g.router.changes.Load() }

// LivePools is how many pools have a live side.
func (g *Gateway) LivePools() int { return len(g.router.all()) }

// ComesFrom is comesFrom.
func ComesFrom(remote string, networks ...netip.Prefix) bool { return comesFrom(remote, networks) }

// CheckWithin checks a pool within a time.
func (g *Gateway) CheckWithin(ctx context.Context, p store.Pool, d time.Duration) control.Check {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return g.check(ctx, p)
}

// TagsText is tagsText.
func TagsText(tags map[string]string) string { return tagsText(tags) }

// Metrics is what g counts.
func (g *Gateway) Metrics() *metrics.Gateway { return g.metrics }

// Route is where a request is to go.
type Route struct {
	Proxy                bool // addressed as to a forward proxy
	Pool, Target, Origin string
}

// RouteOf is routeOf; the status and the code are a refusal's.
func RouteOf(r *http.Request) (rt Route, status int, code string) {
	got, problem := routeOf(r)
	rt = Route{got.form == proxyForm, got.pool, got.target, got.origin}
	if problem != nil {
		status, code = problem.Status, problem.Code
	}
	return rt, status, code
}

// CallerKey is callerKey.
func CallerKey(r *http.Request, proxy bool) string {
	f := pathForm
	if proxy {
		f = proxyForm
	}
	return callerKey(r, f).Reveal()
}

// AbsoluteLinks is absoluteLinks.
func AbsoluteLinks(v, origin string) string { return absoluteLinks(v, origin) }

// Queue is a pool whose sessions are no connections, for tests in which time is
// simulated: none of them drains or ends.
type Queue struct{ p *pool }

// NewQueue makes a pool with the bounds of a gateway's configuration.
func NewQueue(length int, wait time.Duration, m *metrics.Gateway) *Queue {
	return &Queue{newRouter(length, wait, m).pool("id", "gitlab")}
}

// Join adds a session with the given number of streams.
func (q *Queue) Join(parallelism int) *Member {
	s := &transport.Session{Hello: transport.Hello{Parallelism: parallelism}}
	q.p.mu.Lock()
	defer q.p.mu.Unlock()
	m := q.p.add(s)
	q.p.handOut()
	return m
}

// TurnAway tells those who wait that the last session has gone.
func (q *Queue) TurnAway() {
	q.p.mu.Lock()
	defer q.p.mu.Unlock()
	clear(q.p.members)
	q.p.turnAway()
}

// Acquire takes a stream.
func (q *Queue) Acquire(ctx context.Context) (*Member, error) {
	return q.p.acquire(ctx, queueing{length: q.p.router.queueLength, wait: q.p.router.queueWait})
}

// Waiting is how many wait for one.
func (q *Queue) Waiting() int {
	q.p.mu.Lock()
	defer q.p.mu.Unlock()
	return q.p.waiters.Len()
}

// Member is a session of a pool.
type Member = member

// Release gives a stream back.
func (m *member) Release() { m.release() }

// Busy is how many streams are taken.
func (m *member) Busy() int {
	m.pool.mu.Lock()
	defer m.pool.mu.Unlock()
	return m.busy
}

// What Acquire says no with.
var (
	ErrNoAgent = errNoAgent
	ErrBusy    = errBusy
)

// Table is what keys and pools are remembered in.
type Table = table[string, string]

// Get looks a key up, with load where it isn't remembered.
func (t *table[K, V]) Get(key K, load func() (V, error)) (V, error) { return t.get(key, load) }

// Forget is what a change does.
func (t *table[K, V]) Forget() { t.forget() }

// Len is how many are remembered.
func (t *table[K, V]) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.entries)
}

// Bounds of a table.
const (
	KeyringTTL  = keyringTTL
	KeyringSize = keyringSize
)

// Draining is how many of a pool's sessions drain.
func (g *Gateway) Draining(poolID string) int {
	n := 0
	for _, m := range g.router.find(poolID).snapshot() {
		if m.draining {
			n++
		}
	}
	return n
}

// SetTransport makes callers' requests go through rt; call it before Run.
func (g *Gateway) SetTransport(rt http.RoundTripper) {
	h := newCallers(g.keyring, g.router, g.recorder, g.log, g.metrics)
	h.proxy.Transport = rt
	g.server("http").Handler = arrived(h)
}

// SetMaxConns lowers what a listener keeps; call it before Run.
func (g *Gateway) SetMaxConns(listener string, n int64) { g.server(listener).maxConns = n }

// SetStandstill shortens the waits for callers that stand still; call it before any test runs.
func SetStandstill(d time.Duration) { bodyIdle, answerIdle = d, d }

// InFlight is how many requests agents have.
func (g *Gateway) InFlight() int { return len(g.router.flights.some(time.Time{}, false)) }

// Limits is what counts the use of keys and pools.
type Limits = limits

// NewLimits makes one.
func NewLimits() *Limits { return newLimits() }

// Enter counts a call in until leave is called, or says whose limit is in its
// way, which one, and when to try again.
func (l *limits) Enter(k store.Key, p store.Pool) (leave func(), of, limit string, retry time.Duration) {
	in, over := l.enter(&k, &p)
	if over != nil {
		return nil, string(over.scope), over.limit, over.retry
	}
	return func() { l.leave(in) }, "", "", 0
}

// Remembered is how many keys and pools are remembered.
func (l *limits) Remembered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.keys.of) + len(l.pools.of)
}

// Bounds of what is remembered.
const (
	MaxLimiters   = maxLimiters
	LimitersSweep = limitersSweep
)

// EnterAndLeave counts a call in and out.
func (l *limits) EnterAndLeave(k *store.Key, p *store.Pool) {
	in, _ := l.enter(k, p)
	l.leave(in)
}

// Lock holds l until unlock is called.
func (l *limits) Lock() (unlock func()) {
	l.mu.Lock()
	return l.mu.Unlock
}
