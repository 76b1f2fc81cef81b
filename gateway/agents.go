package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// grant is what let an agent in; it is its session's Grant.
type grant struct {
	pool     store.Pool
	tokenKey store.TokenKey
	changes  int64 // those that the router knew of before the store was asked
}

// authenticate decides on an agent by its pool, its key and where it comes from.
// What lets it in is a *grant.
func (g *Gateway) authenticate(ctx context.Context, h transport.Hello, remote string) (any, error) {
	if g.draining.Load() {
		return nil, &transport.Refusal{Code: transport.RefusedDraining, Sentence: "this gateway is shutting down"}
	}
	a := &grant{changes: g.router.changes.Load()}
	var err error
	a.pool, a.tokenKey, err = g.store.PoolByTokenKey(ctx, h.PoolID, store.HashOf(h.Key.Reveal()))
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrWrongKey), errors.Is(err, store.ErrExpired):
		// One sentence for all: which pools exist is nobody's business.
		return nil, &transport.Refusal{Code: transport.RefusedUnauthorized, Sentence: "the token is for a pool that doesn't exist (any more), or its key was replaced or has expired: get a new token from the gateway's operator"}
	case err != nil:
		return nil, err
	case !comesFrom(remote, a.pool.Networks):
		// What the networks are is for the operator alone.
		g.log.Warn("refused an agent: it comes from none of the pool's networks", "pool", a.pool.Name, "remote", remote, "networks", a.pool.Networks)
		return nil, &transport.Refusal{Code: transport.RefusedNetwork, Sentence: "this pool takes agents from other networks only: ask the gateway's operator"}
	}
	if p := g.router.find(a.pool.ID); p != nil && p.size() >= maxSessions {
		return nil, &transport.Refusal{Code: transport.RefusedLimit, RetryAfter: time.Minute,
			Sentence: fmt.Sprintf("the pool has %d sessions, as many as one may have", maxSessions)}
	}
	return a, nil
}

// comesFrom tells whether a peer's host:port is in one of the networks; none
// means anywhere. An address that can't be read is nowhere.
func comesFrom(remote string, networks []netip.Prefix) bool {
	if len(networks) == 0 {
		return true
	}
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return false
	}
	// A listener on IPv6 sees IPv4 as ::ffff:10.1.2.3, and no prefix contains an
	// address with a zone.
	addr := at.Addr().Unmap().WithZone("")
	return slices.ContainsFunc(networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// refused counts an agent that got no session.
func (g *Gateway) refused(c transport.Carrier, err error) {
	g.metrics.Refused.WithLabelValues(string(c)).Inc()
	if r, ok := errors.AsType[*transport.Refusal](err); ok {
		g.metrics.RefusedSessions.WithLabelValues(r.Code).Inc()
	}
}

// join hands a new session to its pool.
func (g *Gateway) join(s *transport.Session) {
	a := s.Grant.(*grant)
	p := g.router.pool(a.pool.ID, a.pool.Name)
	m, unproven, err := p.join(s, a)
	if err != nil {
		reason := transport.RefusedUnauthorized
		if errors.Is(err, errPoolFull) {
			reason = transport.RefusedLimit
		}
		g.turnAway(s, p, reason, err)
		return
	}
	if !unproven {
		g.joined(s, p, a)
	}
	g.router.following.Go(func() {
		if unproven {
			if !g.prove(p, m) {
				return
			}
			g.joined(s, p, a)
		}
		<-s.Done()
		g.log.Info("agent disconnected", "pool", p.name, "session", s.ID, "instance", s.Hello.Instance, "after", time.Since(s.Since).Seconds())
	})
}

// prove asks the store whether a session may be after all, which whoever made the
// change didn't see, and lets it have requests if so. The store's silence is a no:
// the agent dials again.
func (g *Gateway) prove(p *pool, m *member) bool {
	sessions, ok := g.checkRights(p)
	g.end(sessions)
	if !ok {
		g.turnAway(m.session, p, transport.RefusedUnavailable, errNotProven)
		return false
	}
	return p.prove(m)
}

var errNotProven = errors.New("something was changed while it joined, and the store could not tell whether it may still")

// turnAway closes a session that carried no request.
func (g *Gateway) turnAway(s *transport.Session, p *pool, reason string, why error) {
	g.log.Warn("closed an agent's session: "+why.Error(), "pool", p.name, "session", s.ID, "instance", s.Hello.Instance)
	g.metrics.RefusedSessions.WithLabelValues(reason).Inc()
	s.Close()
}

// joined tells of a session that may have requests.
func (g *Gateway) joined(s *transport.Session, p *pool, a *grant) {
	g.log.Info("agent connected", "pool", p.name, "session", s.ID, "instance", s.Hello.Instance, "carrier", s.Carrier, "remote", s.Remote,
		"version", s.Hello.Software, "vendor", s.Hello.Vendor, "parallelism", s.Hello.Parallelism, "token_key", a.tokenKey.ID, "tags", someTags(s.Hello.Tags))
	g.recorder.usedTokenKey(a.tokenKey.ID)
	g.newcomers.add(s)
}

// connections lists a pool's live sessions oldest first.
func (g *Gateway) connections(poolID string) []control.Connection {
	p := g.router.find(poolID)
	if p == nil {
		return nil
	}
	var out []control.Connection
	for _, m := range p.snapshot() {
		s := m.session
		path := s.Path()
		out = append(out, control.Connection{
			Pool: p.name, SessionID: s.ID, Instance: s.Hello.Instance, Version: s.Hello.Software, Vendor: s.Hello.Vendor,
			Carrier: s.Carrier, RemoteAddress: s.Remote, Since: s.Since, Parallelism: m.streams, InFlight: m.busy, Requests: m.served,
			RTT: path.RTT.Seconds(), Loss: path.Loss(), Draining: m.draining, TokenKeyID: m.tokenKey, Tags: s.Hello.Tags,
		})
	}
	slices.SortFunc(out, func(a, b control.Connection) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.SessionID, b.SessionID))
	})
	return out
}
