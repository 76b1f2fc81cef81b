package api

import (
	"net/http"
	"time"
)

// Overview counts what there is.
type Overview struct {
	Pools       int64         `json:"pools"`
	PausedPools int64         `json:"paused_pools"`
	SilentPools int           `json:"silent_pools"` // that aren't paused and have no agent on this gateway
	Keys        int64         `json:"keys"`         // expired ones too
	AdminKeys   int64         `json:"admin_keys"`   // of these
	Agents      int           `json:"agents"`       // sessions on this gateway
	Streams     int           `json:"streams"`      // requests that they can serve at a time
	InFlight    int           `json:"in_flight"`    // requests that they serve now
	Since       time.Time     `json:"since"`        // which requests are counted
	Requests    RequestCounts `json:"requests"`
}

// RequestCounts counts requests, as in a [Bucket].
type RequestCounts struct {
	Served int64 `json:"served"`
	Denied int64 `json:"denied"`
	Failed int64 `json:"failed"`
}

// overviewSpan is what is counted when the request names no time.
const overviewSpan = 24 * time.Hour

func (s *server) showOverview(_ http.ResponseWriter, r *request) (answer, error) {
	since := r.query.time("since", time.Now().Add(-overviewSpan))
	if r.query.refused != nil {
		return answer{}, r.query.refused
	}
	o, err := s.control.Overview(r.Context(), since)
	if err != nil {
		return answer{}, err
	}
	return ok(Overview{Pools: o.Pools, PausedPools: o.PausedPools, SilentPools: o.Silent, Keys: o.Keys, AdminKeys: o.AdminKeys,
		Agents: o.Agents, Streams: o.Streams, InFlight: o.InFlight, Since: since.UTC(), Requests: RequestCounts{o.Served, o.Denied, o.Failed}})
}
