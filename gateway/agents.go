package gateway

import (
	"cmp"
	"slices"

	"vcsagent/gateway/api"
)

// agentsOf lists a pool's live sessions for the API, oldest first.
func (g *Gateway) agentsOf(poolID string) []api.Agent {
	p := g.router.find(poolID)
	if p == nil {
		return nil
	}
	var out []api.Agent
	for _, m := range p.snapshot() {
		s := m.session
		out = append(out, api.Agent{
			Pool: p.name, SessionID: s.ID, Instance: s.Hello.Instance, Version: s.Hello.Software, Vendor: s.Hello.Vendor,
			Carrier: s.Carrier, RemoteAddress: s.Remote, Since: s.Since, Parallelism: s.Hello.Parallelism, InFlight: m.busy, Tags: s.Hello.Tags,
		})
	}
	slices.SortFunc(out, func(a, b api.Agent) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.SessionID, b.SessionID))
	})
	return out
}
