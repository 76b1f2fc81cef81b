package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// actionAgentJoin is the audit log's entry for an agent that joins a pool for the
// first time: a token in the wrong hands shows so.
const actionAgentJoin = "agent.join"

const (
	// maxNewcomers is how many agents that joined may wait until it is known
	// whether they were there before. The store may be slow, and agents come in
	// crowds when a gateway starts.
	maxNewcomers = 4096
	// newcomersLinger is how long a gateway that shuts down goes on with those.
	newcomersLinger = 2 * time.Second
	// maxTagsText bounds an agent's tags in the audit log, in bytes.
	maxTagsText = 1024
)

// newcomers finds out which agents are new to their pools, off the path on which
// agents join.
type newcomers struct {
	gateway *Gateway
	joined  chan *transport.Session
}

func newNewcomers(g *Gateway) *newcomers {
	return &newcomers{gateway: g, joined: make(chan *transport.Session, maxNewcomers)}
}

// add hands a session over; it doesn't block.
func (n *newcomers) add(s *transport.Session) {
	select {
	case n.joined <- s:
	default:
		n.gateway.log.Warn("did not look whether an agent is new to its pool: too many joined at once", "session", s.ID, "instance", s.Hello.Instance)
	}
}

// run looks at one session after another until ctx is done, and then at those that
// are left, but not for long.
func (n *newcomers) run(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case s := <-n.joined:
			each, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
			n.look(each, s)
			cancel()
		case <-ctx.Done():
		}
	}
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

// look tells the audit log, the log and the metrics of an agent that is new.
func (n *newcomers) look(ctx context.Context, s *transport.Session) {
	g, a := n.gateway, s.Grant.(*grant)
	first, err := g.store.SeeInstance(ctx, a.pool.ID, s.Hello.Instance, s.Since)
	if err == nil && first {
		g.metrics.NewInstances.WithLabelValues(a.pool.Name).Inc()
		g.log.Info("an agent that was not seen before joined the pool", "pool", a.pool.Name, "session", s.ID, "instance", s.Hello.Instance, "remote", s.Remote, "token_key", a.tokenKey.ID)
		err = g.store.AddAudit(ctx, store.Actor{Remote: s.Remote}, actionAgentJoin, store.Target{Kind: "pool", ID: a.pool.ID, Name: a.pool.Name}, map[string]string{
			"instance": s.Hello.Instance, "session": s.ID, "version": s.Hello.Software, "vendor": s.Hello.Vendor,
			"carrier": string(s.Carrier), "parallelism": strconv.Itoa(s.Hello.Parallelism), "token_key": a.tokenKey.ID, "tags": tagsText(s.Hello.Tags),
		})
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) { // the pool was deleted, and the session ends
		g.log.Error("could not note that an agent joined its pool", "pool", a.pool.Name, "session", s.ID, "instance", s.Hello.Instance, "error", err)
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
