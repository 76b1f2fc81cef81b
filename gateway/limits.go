package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"vcsagent/gateway/store"
)

// scope is whose limit it is, for the metric and for sentences.
type scope string

const (
	ofKey  scope = "key"
	ofPool scope = "pool"
)

// The limits of the metric.
const (
	limitRate     = "rate"
	limitInFlight = "in_flight"
	limitBody     = "body"
	limitQueue    = "queue"
)

const (
	// inFlightRetryAfter is what a request over the number in flight is told:
	// when one of the others ends nobody knows.
	inFlightRetryAfter = time.Second
	// maxLimiters bounds the keys, and separately the pools, whose use is remembered.
	maxLimiters = 1 << 16
	// limitersSweep is how many there are before those at rest are first looked for.
	limitersSweep = 1 << 10
)

// limits keeps what keys and pools with limits of their own use of them. Those
// without any never come here. The counts are this gateway's alone: with several
// gateways each lets the same through.
type limits struct {
	mu          sync.Mutex
	keys, pools limiters
}

func newLimits() *limits { return &limits{} }

// limiters are one kind's, by ID.
type limiters struct {
	of    map[string]*limiter
	sweep int // the number at which those at rest are looked for
}

// limiter is what one key or pool uses. limits.mu guards it.
type limiter struct {
	rate    *rate.Limiter // nil: as many as come
	calls   int           // under way
	waiting int           // of these, for a stream
}

// counted are the limiters that a call counts in, nil where there's no limit.
type counted struct{ key, pool *limiter }

// overLimit is a limit that is in a request's way.
type overLimit struct {
	scope scope
	limit string // as the metric has it
	what  string // what it allows, the end of a sentence
	retry time.Duration
}

// enter counts a call in, or says which limit is in its way; then nothing is used
// up. What was counted must be given back with leave.
func (l *limits) enter(k *store.Key, p *store.Pool) (counted, *overLimit) {
	if k.Limits == (store.Limits{}) && p.Limits == (store.Limits{}) {
		return counted{}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now() // within the lock, so that the rates see no time twice
	in := counted{l.keys.get(now, k.ID, &k.Limits), l.pools.get(now, p.ID, &p.Limits)}
	for _, s := range []struct {
		scope
		*limiter
		most int
	}{{ofKey, in.key, k.Limits.InFlight}, {ofPool, in.pool, p.Limits.InFlight}} {
		if s.most > 0 && s.calls >= s.most {
			return counted{}, &overLimit{s.scope, limitInFlight, plural(s.most, "request") + " in flight", inFlightRetryAfter}
		}
	}
	if over := cmp.Or(in.key.over(now, ofKey), in.pool.over(now, ofPool)); over != nil {
		return counted{}, over
	}
	in.key.count(now)
	in.pool.count(now)
	return in, nil
}

// leave gives back what enter counted.
func (l *limits) leave(in counted) {
	if in == (counted{}) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, of := range []*limiter{in.key, in.pool} {
		if of != nil {
			of.calls--
		}
	}
}

// wait counts a call of a key as one that waits for a stream, unless as many do
// already as may; 0 is any number. Undo it with waited.
func (l *limits) wait(key *limiter, most int) bool {
	if key == nil || most == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if key.waiting >= most {
		return false
	}
	key.waiting++
	return true
}

func (l *limits) waited(key *limiter, most int) {
	if key == nil || most == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key.waiting--
}

// get returns the limiter of an ID, with its rate as the limits are now; nil
// without limits.
func (ls *limiters) get(now time.Time, id string, is *store.Limits) *limiter {
	if *is == (store.Limits{}) {
		return nil
	}
	l := ls.of[id]
	if l == nil {
		ls.makeRoom(now)
		l = &limiter{}
		ls.of[id] = l
	}
	limit, burst := rate.Limit(is.RequestsPerSecond), burstOf(is)
	switch {
	case limit == 0:
		l.rate = nil
	case l.rate == nil:
		l.rate = rate.NewLimiter(limit, burst)
	case l.rate.Limit() != limit || l.rate.Burst() != burst:
		// What was used up stays so.
		l.rate.SetLimitAt(now, limit)
		l.rate.SetBurstAt(now, burst)
	}
	return l
}

// makeRoom drops limiters at rest, which are as good as new ones, when there are
// many. If that leaves too many it drops others that nobody holds: better that
// their keys may send too much for once than that they take memory without end.
func (ls *limiters) makeRoom(now time.Time) {
	if ls.of == nil {
		ls.of, ls.sweep = map[string]*limiter{}, limitersSweep
	}
	if len(ls.of) < ls.sweep {
		return
	}
	for id, l := range ls.of {
		if l.atRest(now) {
			delete(ls.of, id)
		}
	}
	if len(ls.of) >= maxLimiters {
		for id, l := range ls.of {
			if l.calls == 0 {
				delete(ls.of, id)
			}
		}
	}
	ls.sweep = min(max(2*len(ls.of), limitersSweep), maxLimiters)
}

func (l *limiter) atRest(now time.Time) bool {
	return l.calls == 0 && (l.rate == nil || l.rate.TokensAt(now) >= float64(l.rate.Burst()))
}

// over says when the rate lets another request through, if not now.
func (l *limiter) over(now time.Time, s scope) *overLimit {
	if l == nil || l.rate == nil {
		return nil
	}
	tokens := l.rate.TokensAt(now)
	if tokens >= 1 {
		return nil
	}
	perSecond := float64(l.rate.Limit())
	what := fmt.Sprintf("%s requests per second with bursts of %d", strconv.FormatFloat(perSecond, 'g', -1, 64), l.rate.Burst())
	return &overLimit{s, limitRate, what, time.Duration((1 - tokens) / perSecond * float64(time.Second))}
}

// count counts a call in.
func (l *limiter) count(now time.Time) {
	if l == nil {
		return
	}
	l.calls++
	if l.rate != nil {
		l.rate.AllowN(now, 1)
	}
}

// burstOf is how many requests may come at once; as many as in a second unless
// the limits say otherwise.
func burstOf(l *store.Limits) int {
	if l.Burst > 0 {
		return l.Burst
	}
	return max(1, int(math.Ceil(l.RequestsPerSecond)))
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// limited is the answer to a request that is over a limit.
func (h *callers) limited(c *call, over *overLimit) *refusal {
	h.countLimited(c, over.scope, over.limit)
	return &refusal{Status: http.StatusTooManyRequests, Code: codeRateLimited, RetryAfter: max(over.retry, time.Second),
		Detail: fmt.Sprintf("The limit of the %s is %s.", over.scope.name(c), over.what)}
}

func (h *callers) countLimited(c *call, s scope, limit string) {
	h.metrics.Limited.WithLabelValues(c.pool.Name, string(s), limit).Inc()
}

// name names a call's key or pool in sentences for whoever has the key.
func (s scope) name(c *call) string {
	if s == ofKey {
		return "key " + c.key.Name
	}
	return "pool " + c.pool.Name
}

// tighter returns the smaller of a key's and a pool's limit that isn't zero, and
// whose it is.
func tighter[T int64 | time.Duration](key, pool T) (T, scope) {
	if key > 0 && (pool == 0 || key <= pool) {
		return key, ofKey
	}
	return pool, ofPool
}

// bodyTooLarge is the answer to a body over the limit.
func (c *call) bodyTooLarge() *refusal {
	return refuse(http.StatusRequestEntityTooLarge, codeBodyTooLarge,
		fmt.Sprintf("The request's body is larger than the limit of the %s, %d bytes.", c.bodyLimitOf.name(c), c.bodyIn.most))
}

// queueing is how a call may wait for a stream: as the pool's and its key's
// limits say, else as the gateway's settings do.
func (h *callers) queueing(c *call) queueing {
	q := queueing{length: h.router.queueLength, wait: h.router.queueWait, limits: h.limits, key: c.counted.key, keyLength: c.key.Limits.QueueLength}
	if n := c.pool.Limits.QueueLength; n > 0 {
		q.length = n
	}
	if w := c.pool.Limits.QueueWait; w > 0 {
		q.wait = w
	}
	if w := c.key.Limits.QueueWait; w > 0 {
		q.wait = min(q.wait, w)
	}
	return q
}

// busy is the answer when no stream became free, with the limit that was in the way if one was.
func (h *callers) busy(c *call, q queueing, err error) *refusal {
	p := &refusal{Status: http.StatusServiceUnavailable, Code: codeBusy, RetryAfter: busyRetryAfter,
		Detail: "Every stream of this pool's agents is busy, and the wait was too long or the queue full."}
	var s scope
	switch key, pool := &c.key.Limits, &c.pool.Limits; {
	case errors.Is(err, errKeyQueueFull):
		s = ofKey
		p.Detail = fmt.Sprintf("Every stream of this pool's agents is busy, and the limit of the %s is %s waiting.", s.name(c), plural(key.QueueLength, "request"))
	case errors.Is(err, errQueueFull) && pool.QueueLength > 0:
		s = ofPool
		p.Detail = fmt.Sprintf("Every stream of this pool's agents is busy, and the limit of the %s is %s waiting.", s.name(c), plural(pool.QueueLength, "request"))
	case errors.Is(err, errQueueFull):
		return p
	case key.QueueWait > 0 && q.wait == key.QueueWait:
		s = ofKey
		p.Detail = fmt.Sprintf("Every stream of this pool's agents is busy, and the limit of the %s is a wait of %s.", s.name(c), q.wait)
	case pool.QueueWait > 0:
		s = ofPool
		p.Detail = fmt.Sprintf("Every stream of this pool's agents is busy, and the limit of the %s is a wait of %s.", s.name(c), q.wait)
	default:
		return p
	}
	h.countLimited(c, s, limitQueue)
	return p
}
