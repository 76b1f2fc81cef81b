package gateway

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vcsagent/metrics"
	"vcsagent/transport"
)

var (
	// errNoAgent: no agent of the pool is connected.
	errNoAgent = errors.New("no agent of this pool is connected")
	// errBusy: every stream is taken and the queue is full, or the wait was too long.
	errBusy = errors.New("every stream of this pool's agents is busy")
	// errQueueFull and errKeyQueueFull are errBusy without a wait: as many requests
	// of the pool, or of the key, wait already as may.
	errQueueFull    = fmt.Errorf("%w, and the queue is full", errBusy)
	errKeyQueueFull = fmt.Errorf("%w, and the key has as many requests in the queue as it may", errBusy)
)

// router holds the live sessions of every pool. Only pools that have or had a
// session since the start are in it, so it is bounded by the pools that exist.
type router struct {
	queueLength int           // requests that may wait per pool, unless its limits say otherwise
	queueWait   time.Duration // how long each may, likewise
	metrics     *metrics.Gateway

	changes atomic.Int64 // of pools and keys, that this gateway was told of
	flights flights

	mu    sync.Mutex
	pools map[string]*pool // by the pool's id

	following sync.WaitGroup // one goroutine per live session
}

func newRouter(queueLength int, queueWait time.Duration, m *metrics.Gateway) *router {
	return &router{queueLength: queueLength, queueWait: queueWait, metrics: m, pools: map[string]*pool{}}
}

// pool returns the live side of a pool, making it if there's none.
func (rt *router) pool(id, name string) *pool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	p := rt.pools[id]
	if p == nil {
		p = &pool{
			router: rt, id: id, name: name, members: map[*transport.Session]*member{}, waiters: list.New(),
			queued: rt.metrics.QueueLength.WithLabelValues(name),
		}
		rt.pools[id] = p
	}
	return p
}

// remove takes out the live side of a pool that was deleted.
func (rt *router) remove(p *pool) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.pools[p.id] == p {
		delete(rt.pools, p.id)
	}
}

// all returns the live sides of all pools.
func (rt *router) all() []*pool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return slices.Collect(maps.Values(rt.pools))
}

// find returns the live side of a pool, or nil if it never had a session.
func (rt *router) find(id string) *pool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.pools[id]
}

// pool is the live side of a pool: its sessions and the requests that wait.
type pool struct {
	router   *router
	id, name string
	queued   prometheus.Gauge
	checking sync.Mutex // held while the pool is compared with the store

	mu      sync.Mutex
	members map[*transport.Session]*member
	waiters *list.List // of chan *member, first come first served
	cap     int        // of a session's streams; 0: what it offered
	gone    bool       // the pool was deleted: no session joins any more
}

// member is a session with the number of its streams that are taken.
type member struct {
	session  *transport.Session
	pool     *pool
	tokenKey string    // the ID of the pool's key that it joined with
	expires  time.Time // when that does, zero is never; guarded by pool.mu, as the rest
	streams  int       // that it may use: what it offered, or the pool's cap
	busy     int       // of these
	served   int64     // requests that have ended
	lastUsed time.Time // breaks ties between equally busy sessions
	ending   bool      // it has no right to be any more, and is being closed
	unproven bool      // something was changed since it was let in: the store must be asked again
	draining bool
	drained  chan struct{} // has a value once the last request of a draining session has ended
}

// expired says that the key that the session joined with is of no use any more,
// or "". pool.mu is held.
func (m *member) expired(now time.Time) string {
	if m.expires.IsZero() || now.Before(m.expires) {
		return ""
	}
	return "its token's key has expired"
}

// free tells whether the session may be given another request. One that has
// ended may not have been taken out yet.
func (m *member) free() bool {
	select {
	case <-m.session.Done():
		return false
	default:
		return !m.draining && !m.ending && !m.unproven && m.busy < m.streams
	}
}

// maxSessions bounds a pool's live sessions, and so what the holder of one token
// can make a gateway keep.
const maxSessions = 1024

// size is the number of live sessions.
func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.members)
}

// Why a session may not join after all; several may have been let in at once.
var (
	errPoolFull = fmt.Errorf("the pool has %d sessions, as many as one may have", maxSessions)
	errPoolGone = errors.New("the pool was deleted")
	errTooLate  = errors.New("its token's key has expired")
)

// join adds a session until it ends; it returns at once. A session is unproven if
// anything was changed since it was let in, which is when the agent wants: it gets
// no requests until prove. Errors: errPoolFull, errPoolGone, errTooLate.
func (p *pool) join(s *transport.Session, a *grant) (m *member, unproven bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone:
		return nil, false, errPoolGone
	case a.tokenKey.Expired(time.Now()):
		return nil, false, errTooLate
	case len(p.members) >= maxSessions:
		return nil, false, errPoolFull
	}
	m = p.add(s)
	m.tokenKey, m.expires = a.tokenKey.ID, a.tokenKey.ExpiresAt
	if m.unproven = p.router.changes.Load() != a.changes; !m.unproven {
		p.cap = a.pool.MaxParallelism
		m.streams = p.capped(s.Hello.Parallelism)
	}
	gauge := p.router.metrics.Agents.WithLabelValues(p.name, string(s.Carrier))
	gauge.Inc()
	p.handOut()
	p.router.following.Go(func() { p.follow(m, gauge) })
	return m, m.unproven, nil
}

// prove lets a session have requests once the store was asked after it joined,
// unless that, or another look at the pool, found something against it.
func (p *pool) prove(m *member) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.ending {
		return false
	}
	m.unproven = false
	p.handOut()
	return true
}

// add makes a session a member. p.mu is held.
func (p *pool) add(s *transport.Session) *member {
	m := &member{session: s, pool: p, streams: p.capped(s.Hello.Parallelism), drained: make(chan struct{}, 1)}
	p.members[s] = m
	return m
}

// capped is how many streams a session may use that offers so many. p.mu is held.
func (p *pool) capped(offered int) int {
	if p.cap > 0 {
		return min(p.cap, offered)
	}
	return offered
}

// obey takes on what the store says of the pool and returns the sessions that
// have no right to be any more, which get no more requests.
func (p *pool) obey(r rights, now time.Time) []ended {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cap = r.pool.MaxParallelism
	sessions := p.sift(func(m *member) string {
		m.streams = p.capped(m.session.Hello.Parallelism)
		return r.deny(m, now)
	})
	if r.gone {
		p.gone = true
		p.settle()
	}
	p.handOut() // the cap may have been raised
	return sessions
}

// sift takes requests off the sessions of which deny says why they must end, and
// returns them. p.mu is held.
func (p *pool) sift(deny func(*member) string) []ended {
	var sessions []ended
	for _, m := range p.members {
		if m.ending {
			continue
		}
		if why := deny(m); why != "" {
			m.ending = true
			sessions = append(sessions, ended{m, why})
		}
	}
	return sessions
}

// settle tells those who wait when the last session has gone, and with it the
// live side of a pool that was deleted. p.mu is held.
func (p *pool) settle() {
	if len(p.members) > 0 {
		return
	}
	p.turnAway()
	if p.gone {
		p.router.remove(p)
	}
}

// follow watches a session to its end. It alone speaks to the agent, since one
// that takes nothing in keeps whoever does waiting until its session is closed.
func (p *pool) follow(m *member, gauge prometheus.Gauge) {
	draining := m.session.Draining()
	for {
		select {
		case <-draining:
			draining = nil
			p.mu.Lock()
			m.draining = true
			if m.busy == 0 {
				m.drained <- struct{}{}
			}
			p.mu.Unlock()
		case <-m.drained:
			m.session.Drained()
		case <-m.session.Done():
			p.mu.Lock()
			delete(p.members, m.session)
			gauge.Dec()
			p.settle()
			p.mu.Unlock()
			return
		}
	}
}

// queueing is how a request may wait for a stream.
type queueing struct {
	length    int           // of the pool's queue
	wait      time.Duration // at most
	limits    *limits       // counts the requests of the key that wait
	key       *limiter      // nil: not counted
	keyLength int           // how many of them may; 0 is any number
}

// acquire takes a stream of the least busy session, waiting for one in the pool's
// queue. The caller gives it back with release. Errors: errNoAgent, errBusy, one
// that wraps it, or ctx's.
func (p *pool) acquire(ctx context.Context, q queueing) (*member, error) {
	p.mu.Lock()
	if len(p.members) == 0 {
		p.mu.Unlock()
		return nil, errNoAgent
	}
	if p.waiters.Len() == 0 {
		if m := p.leastBusy(); m != nil {
			p.take(m)
			p.mu.Unlock()
			return m, nil
		}
	}
	if p.waiters.Len() >= q.length {
		p.mu.Unlock()
		return nil, errQueueFull
	}
	if !q.limits.wait(q.key, q.keyLength) {
		p.mu.Unlock()
		return nil, errKeyQueueFull
	}
	defer q.limits.waited(q.key, q.keyLength)
	turn := make(chan *member, 1)
	place := p.waiters.PushBack(turn)
	p.queued.Inc()
	p.mu.Unlock()

	patience := time.NewTimer(q.wait)
	defer patience.Stop()
	var err error
	select {
	case m := <-turn:
		if m == nil {
			return nil, errNoAgent
		}
		return m, nil
	case <-patience.C:
		err = errBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.mu.Lock()
	select {
	case m := <-turn: // it came in the last moment: left the queue already
		p.mu.Unlock()
		if m != nil {
			m.release()
		}
	default:
		p.waiters.Remove(place)
		p.queued.Dec()
		p.mu.Unlock()
	}
	return nil, err
}

// release gives a stream back, to the first that waits if there's one.
func (m *member) release() {
	p := m.pool
	p.mu.Lock()
	m.busy--
	m.served++
	if m.draining && m.busy == 0 {
		m.drained <- struct{}{} // once: a draining session gets nothing new
	}
	p.handOut()
	p.mu.Unlock()
}

// handOut serves waiters while streams are free. p.mu is held.
func (p *pool) handOut() {
	for p.waiters.Len() > 0 {
		m := p.leastBusy()
		if m == nil {
			return
		}
		p.take(m)
		p.pop() <- m
	}
}

// turnAway tells every waiter that the last agent has gone. p.mu is held.
func (p *pool) turnAway() {
	for p.waiters.Len() > 0 {
		p.pop() <- nil
	}
}

func (p *pool) pop() chan *member {
	p.queued.Dec()
	return p.waiters.Remove(p.waiters.Front()).(chan *member)
}

func (p *pool) take(m *member) {
	m.busy++
	m.lastUsed = time.Now()
}

// leastBusy returns the session with the smallest share of its streams taken,
// among equals the one that rested longest, or nil if none is free. p.mu is held.
func (p *pool) leastBusy() *member {
	var best *member
	for _, m := range p.members {
		if !m.free() {
			continue
		}
		if best == nil || m.busier(best) < 0 {
			best = m
		}
	}
	return best
}

// busier compares the shares of two sessions' streams that are taken, and of
// equals which rested less. pool.mu is held.
func (m *member) busier(than *member) int {
	// Compared as fractions: busy/streams.
	return cmp.Or(cmp.Compare(m.busy*than.streams, than.busy*m.streams), m.lastUsed.Compare(than.lastUsed))
}

// drainPatience is how long a shutdown waits for its agents to be told of it.
const drainPatience = time.Second

// drainAll asks every agent to dial anew. An agent that takes no lines holds up
// neither the others nor the shutdown: its own goroutine waits for it, until the
// session is closed.
func (rt *router) drainAll() {
	var told sync.WaitGroup
	for _, s := range rt.sessions() {
		told.Add(1)
		rt.following.Go(func() {
			defer told.Done()
			s.Drain()
		})
	}
	rt.await(&told, drainPatience)
}

// await waits for a group whose members are of rt.following, but not for long.
func (rt *router) await(group *sync.WaitGroup, patience time.Duration) {
	all := make(chan struct{})
	rt.following.Go(func() {
		group.Wait()
		close(all)
	})
	select {
	case <-all:
	case <-time.After(patience):
	}
}

// expire returns the sessions whose token's key has expired; they get no more
// requests.
func (rt *router) expire(now time.Time) []ended {
	var sessions []ended
	for _, p := range rt.all() {
		p.mu.Lock()
		sessions = append(sessions, p.sift(func(m *member) string { return m.expired(now) })...)
		p.mu.Unlock()
	}
	return sessions
}

// sessions lists the live sessions of every pool.
func (rt *router) sessions() []*transport.Session {
	var all []*transport.Session
	for _, p := range rt.all() {
		for _, m := range p.snapshot() {
			all = append(all, m.session)
		}
	}
	return all
}

// snapshot copies the pool's members as they are at one moment.
func (p *pool) snapshot() []member {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]member, 0, len(p.members))
	for _, m := range p.members {
		out = append(out, *m)
	}
	return out
}
