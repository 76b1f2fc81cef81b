package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// Pool is a pool as it is now.
type Pool struct {
	ID             string    `json:"id"` // ULID
	Name           string    `json:"name"`
	Description    string    `json:"description"`
	Paused         bool      `json:"paused"`          // no request goes through
	Limits         Limits    `json:"limits"`          // of all its callers together
	MaxParallelism int       `json:"max_parallelism"` // caps what an agent asks for; 0 is no cap
	Networks       []string  `json:"networks"`        // where its agents may come from, as 10.0.0.0/8; none is anywhere
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"` // of the last change, but for its tokens
	Agents         int       `json:"agents"`     // sessions that are connected
	Streams        int       `json:"streams"`    // requests they can serve at a time, in all
	InFlight       int       `json:"in_flight"`  // requests they serve now
}

// PoolDetail is a pool with the sessions of its agents.
type PoolDetail struct {
	Pool
	Connections []control.Connection `json:"connections"` // oldest first
}

// NewPool is what a pool is made of. Only its name is needed.
type NewPool struct {
	Name           string    `json:"name"` // lower-case DNS label
	Description    string    `json:"description,omitempty"`
	Limits         Limits    `json:"limits,omitzero"`
	MaxParallelism int       `json:"max_parallelism,omitempty"`
	Networks       []string  `json:"networks,omitempty"`
	TokenExpires   time.Time `json:"token_expires,omitzero"` // when the first token does; zero is never
}

// CreatedPool is what making a pool answers.
type CreatedPool struct {
	Pool
	Token transport.Secret `json:"token"` // for the pool's agents, encoded; not shown again
}

// PoolChange says what to change of a pool; nil leaves a field alone.
type PoolChange struct {
	Description    *string       `json:"description,omitempty"`
	Paused         *bool         `json:"paused,omitempty"`
	Limits         *LimitsChange `json:"limits,omitempty"`
	MaxParallelism *int          `json:"max_parallelism,omitempty"`
	Networks       *[]string     `json:"networks,omitempty"` // all of them
}

// poolList is an object, so that pages can join it later.
type poolList struct {
	Pools []Pool `json:"pools"`
}

const networksKind = "a list of networks such as 10.0.0.0/8"

func (s *server) createPool(w http.ResponseWriter, r *request) (answer, error) {
	var n store.NewPool
	var networks []string
	var expires instant
	err := decode(w, r.Request, object{
		"name":            {&n.Name, "a text"},
		"description":     {&n.Description, "a text"},
		"limits":          {limitFields(&n.Limits), "an object"},
		"max_parallelism": {&n.MaxParallelism, wholeNumber},
		"networks":        {&networks, networksKind},
		"token_expires":   {&expires, instantKind},
	})
	if err != nil {
		return answer{}, err
	}
	if n.Networks, err = parseNetworks(networks); err != nil {
		return answer{}, err
	}
	n.TokenExpires = expires.at
	pool, token, err := s.control.CreatePool(r.Context(), r.actor(), n)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusCreated, location: prefix + "/pools/" + pool.Name, body: struct {
		Pool
		Token string `json:"token"` // in clear, in place of the Secret that masks itself
	}{poolOf(control.Pool{Pool: pool}), token.Encode()}}, nil
}

func (s *server) listPools(_ http.ResponseWriter, r *request) (answer, error) {
	pools, err := s.control.Pools(r.Context())
	if err != nil {
		return answer{}, err
	}
	list := poolList{Pools: []Pool{}} // not null when there are none
	for _, p := range pools {
		list.Pools = append(list.Pools, poolOf(p))
	}
	return ok(list)
}

func (s *server) showPool(_ http.ResponseWriter, r *request) (answer, error) {
	p, err := s.control.Pool(r.Context(), r.PathValue("pool"))
	if err != nil {
		return answer{}, err
	}
	return ok(PoolDetail{poolOf(p), listed(p.Connections)})
}

func (s *server) updatePool(w http.ResponseWriter, r *request) (answer, error) {
	body, err := read(w, r.Request) // before the lock: a client may be slow
	if err != nil {
		return answer{}, err
	}
	s.editing.Lock()
	defer s.editing.Unlock()
	name := r.PathValue("pool")
	p, err := s.control.Pool(r.Context(), name)
	if err != nil {
		return answer{}, err
	}
	var change store.PoolChange
	var networks *[]string
	limits := p.Limits // those that the body doesn't name stay
	err = object{
		"description":     {&change.Description, "a text"},
		"paused":          {&change.Paused, "true or false"},
		"limits":          {limitFields(&limits), "an object"},
		"max_parallelism": {&change.MaxParallelism, wholeNumber},
		"networks":        {&networks, networksKind},
	}.decode("", body)
	if err != nil {
		return answer{}, err
	}
	change.Limits = &limits
	if networks != nil {
		parsed, err := parseNetworks(*networks)
		if err != nil {
			return answer{}, err
		}
		change.Networks = &parsed
	}
	if _, err := s.control.UpdatePool(r.Context(), r.actor(), name, change); err != nil {
		return answer{}, err
	}
	if p, err = s.control.Pool(r.Context(), name); err != nil {
		return answer{}, err
	}
	return ok(poolOf(p))
}

func (s *server) deletePool(_ http.ResponseWriter, r *request) (answer, error) {
	if err := s.control.DeletePool(r.Context(), r.actor(), r.PathValue("pool")); err != nil {
		return answer{}, err
	}
	return noContent()
}

// parseNetworks reads networks as people write them. An address alone is the
// network that has no other.
func parseNetworks(texts []string) ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if err != nil && !strings.Contains(text, "/") {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(text); err == nil {
				network, err = addr.Prefix(addr.BitLen())
			}
		}
		if err != nil {
			return nil, &store.InvalidError{Field: "networks",
				Problem: fmt.Sprintf("%q is not a network: use the form 10.1.0.0/16, 2001:db8::/32, or one address", control.Shown(text))}
		}
		networks = append(networks, network)
	}
	return networks, nil
}

func poolOf(p control.Pool) Pool {
	networks := make([]string, 0, len(p.Networks))
	for _, n := range p.Networks {
		networks = append(networks, n.String())
	}
	return Pool{ID: p.ID, Name: p.Name, Description: p.Description, Paused: p.Paused, Limits: limitsOf(p.Limits),
		MaxParallelism: p.MaxParallelism, Networks: networks, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
		Agents: len(p.Connections), Streams: p.Streams(), InFlight: p.InFlight()}
}
