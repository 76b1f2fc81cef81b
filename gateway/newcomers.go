package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

const (
	// maxNewcomers is how many agents that joined may wait until it is known
	// whether they were there before, and maxNewcomersOfPool how many of one pool.
	// The store may be slow, and agents come in crowds when a gateway starts; but a
	// pool whose agents join again and again must leave room for others'.
	maxNewcomers       = 4096
	maxNewcomersOfPool = 256
	// missedEvery is how often the log says that agents weren't looked at.
	missedEvery = time.Minute
	// newcomersLinger is how long a gateway that shuts down goes on with those.
	newcomersLinger = 2 * time.Second
	// maxTagsText bounds an agent's tags in the audit log and the log, in bytes.
	maxTagsText = 1024
)

// newcomers finds out which agents are new to their pools, off the path on which
// agents join.
type newcomers struct {
	gateway *Gateway
	joined  chan *transport.Session

	mu      sync.Mutex
	waiting map[string]int // in joined, by pool ID
	missed  map[string]int // not looked at since last told, by the pool's name
}

func newNewcomers(g *Gateway) *newcomers {
	return &newcomers{gateway: g, joined: make(chan *transport.Session, maxNewcomers), waiting: map[string]int{}, missed: map[string]int{}}
}

// add hands a session over; it doesn't block.
func (n *newcomers) add(s *transport.Session) {
	pool := &s.Grant.(*grant).pool
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting[pool.ID] < maxNewcomersOfPool {
		select {
		case n.joined <- s:
			n.waiting[pool.ID]++
			return
		default:
		}
	}
	n.missed[pool.Name]++
}

// run looks at one session after another until ctx is done, and then at those that
// are left, but not for long.
func (n *newcomers) run(ctx context.Context) {
	tick := time.NewTicker(missedEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case s := <-n.joined:
			each, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
			n.look(each, s)
			cancel()
		case <-tick.C:
			n.tellMissed()
		case <-ctx.Done():
		}
	}
	defer n.tellMissed()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), newcomersLinger)
	defer cancel()
	for last.Err() == nil {
		select {
		case s := <-n.joined:
			n.look(last, s)
		default:
			return
		}
	}
}

// tellMissed says how many agents were not looked at.
func (n *newcomers) tellMissed() {
	n.mu.Lock()
	missed := n.missed
	n.missed = map[string]int{}
	n.mu.Unlock()
	for _, pool := range slices.Sorted(maps.Keys(missed)) {
		n.gateway.log.Warn("did not look whether agents are new to their pool: too many joined at once", "pool", pool, "agents", missed[pool])
	}
}

// look tells the audit log, the log and the metrics of an agent that is new.
func (n *newcomers) look(ctx context.Context, s *transport.Session) {
	g, a := n.gateway, s.Grant.(*grant)
	n.mu.Lock()
	if n.waiting[a.pool.ID]--; n.waiting[a.pool.ID] == 0 {
		delete(n.waiting, a.pool.ID)
	}
	n.mu.Unlock()
	first, err := g.store.SeeInstance(ctx, store.Actor{Remote: s.Remote}, a.pool.ID, s.Hello.Instance, s.Since, map[string]string{
		"instance": s.Hello.Instance, "session": s.ID, "version": s.Hello.Software, "vendor": s.Hello.Vendor,
		"carrier": string(s.Carrier), "parallelism": strconv.Itoa(s.Hello.Parallelism), "token_key": a.tokenKey.ID, "tags": tagsText(s.Hello.Tags),
	})
	switch {
	case errors.Is(err, store.ErrNotFound): // the pool was deleted, and the session ends
	case err != nil:
		g.log.Error("could not note that an agent joined its pool", "pool", a.pool.Name, "session", s.ID, "instance", s.Hello.Instance, "error", err)
	case first:
		g.metrics.NewInstances.WithLabelValues(a.pool.Name).Inc()
		g.log.Info("an agent that was not seen before joined the pool", "pool", a.pool.Name, "session", s.ID, "instance", s.Hello.Instance, "remote", s.Remote, "token_key", a.tokenKey.ID)
	}
}

// tagsText writes an agent's tags on one line, in the order of their names.
func tagsText(tags map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s=%s", transport.Printable(name), transport.Printable(tags[name]))
		if b.Len() > maxTagsText {
			return strings.ToValidUTF8(b.String()[:maxTagsText], "") + "…"
		}
	}
	return b.String()
}

// someTags are an agent's tags for a line of the log: the first by their names,
// and how many more there are.
func someTags(tags map[string]string) map[string]string {
	some, size := map[string]string{}, 0
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if size += len(name) + len(tags[name]); size > maxTagsText {
			some["…"] = fmt.Sprintf("%d more", len(tags)-len(some))
			break
		}
		some[name] = tags[name]
	}
	return some
}
