package api

import (
	"net/http"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// Pool is a pool as it is now.
type Pool struct {
	ID          string    `json:"id"` // ULID
	Name        string    `json:"name"`
	Description string    `json:"description"`
	CreatedAt   time.Time `json:"created_at"`
	Agents      int       `json:"agents"`    // sessions that are connected
	Streams     int       `json:"streams"`   // requests they can serve at a time, in all
	InFlight    int       `json:"in_flight"` // requests they serve now
}

// PoolDetail is a pool with the sessions of its agents.
type PoolDetail struct {
	Pool
	Connections []control.Connection `json:"connections"`
}

// NewPool is what making a pool answers.
type NewPool struct {
	ID          string           `json:"id"` // ULID
	Name        string           `json:"name"`
	Description string           `json:"description"`
	CreatedAt   time.Time        `json:"created_at"`
	Token       transport.Secret `json:"token"` // for the pool's agents, encoded; not shown again
}

// poolList is an object, so that pages can join it later.
type poolList struct {
	Pools []Pool `json:"pools"`
}

func (s *server) createPool(w http.ResponseWriter, r *http.Request, by store.Key) (answer, error) {
	var name, description string
	err := decode(w, r, map[string]field{
		"name":        {&name, "a text"},
		"description": {&description, "a text"},
	})
	if err != nil {
		return answer{}, err
	}
	pool, token, err := s.control.CreatePool(r.Context(), actor(r, by), store.NewPool{Name: name, Description: description})
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, "/api/v1/pools/" + pool.Name, struct {
		NewPool
		Token string `json:"token"` // in clear, in place of the Secret that masks itself
	}{
		NewPool{ID: pool.ID, Name: pool.Name, Description: pool.Description, CreatedAt: pool.CreatedAt},
		token.Encode(),
	}}, nil
}

func (s *server) listPools(_ http.ResponseWriter, r *http.Request, _ store.Key) (answer, error) {
	pools, err := s.control.Pools(r.Context())
	if err != nil {
		return answer{}, err
	}
	list := poolList{Pools: []Pool{}} // not null when there are none
	for _, p := range pools {
		list.Pools = append(list.Pools, poolOf(p))
	}
	return answer{status: http.StatusOK, body: list}, nil
}

func (s *server) showPool(_ http.ResponseWriter, r *http.Request, _ store.Key) (answer, error) {
	p, err := s.control.Pool(r.Context(), r.PathValue("name"))
	if err != nil {
		return answer{}, err
	}
	connections := p.Connections
	if connections == nil {
		connections = []control.Connection{} // JSON would show null
	}
	return answer{status: http.StatusOK, body: PoolDetail{poolOf(p), connections}}, nil
}

func poolOf(p control.Pool) Pool {
	return Pool{ID: p.ID, Name: p.Name, Description: p.Description, CreatedAt: p.CreatedAt,
		Agents: len(p.Connections), Streams: p.Streams(), InFlight: p.InFlight()}
}
