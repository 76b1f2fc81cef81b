package gateway

import "vcsagent/transport"

// MaxSessions is how many sessions a pool may have.
const MaxSessions = maxSessions

// FillPool gives a pool n sessions without a connection, which carry nothing,
// and returns what takes them away again; call that before the gateway stops.
// The pool must have had a session.
func (g *Gateway) FillPool(poolID string, n int) (clear func()) {
	p := g.router.find(poolID)
	p.mu.Lock()
	defer p.mu.Unlock()
	added := make([]*transport.Session, n)
	for i := range added {
		added[i] = &transport.Session{}
		p.members[added[i]] = &member{session: added[i], pool: p, draining: true}
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, s := range added {
			delete(p.members, s)
		}
	}
}

// JoinPool is what a session does that was let in; it reports whether it may stay.
func (g *Gateway) JoinPool(poolID string, s *transport.Session) bool {
	_, _, err := g.router.find(poolID).join(s, &grant{})
	return err == nil
}
