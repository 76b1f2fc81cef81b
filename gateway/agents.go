package gateway

import (
	"cmp"
	"slices"

	"vcsagent/gateway/control"
)

// connections lists a pool's live sessions oldest first.
func (g *Gateway) connections(poolID string) []control.Connection {
	p := g.router.find(poolID)
	if p == nil {
		return nil
	}
	var out []control.Connection
	for _, m := range p.snapshot() {
		s := m.session
		out = append(out, control.Connection{
			Pool: p.name, SessionID: s.ID, Instance: s.Hello.Instance, Version: s.Hello.Software, Vendor: s.Hello.Vendor,
			Carrier: s.Carrier, RemoteAddress: s.Remote, Since: s.Since, Parallelism: s.Hello.Parallelism, InFlight: m.busy, Tags: s.Hello.Tags,
		})
	}
	slices.SortFunc(out, func(a, b control.Connection) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.SessionID, b.SessionID))
	})
	return out
}
