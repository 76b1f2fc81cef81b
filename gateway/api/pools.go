package api

import (
	"net/http"
	"time"

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
	Connections []Agent `json:"connections"`
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
	key := newSecret(tokenKeyPrefix)
	pool, err := s.cfg.Store.CreatePool(r.Context(), actor(r, by), store.NewPool{Name: name, Description: description, TokenKey: store.HashOf(key.Reveal())})
	if err != nil {
		return answer{}, err
	}
	s.log.Info("pool created", "pool", pool.Name, "pool_id", pool.ID, "by", by.Name, "remote_address", r.RemoteAddr)
	return answer{http.StatusCreated, "/api/v1/pools/" + pool.Name, struct {
		NewPool
		Token string `json:"token"` // in clear, in place of the Secret that masks itself
	}{
		NewPool{ID: pool.ID, Name: pool.Name, Description: pool.Description, CreatedAt: pool.CreatedAt},
		s.cfg.Token(pool, key).Encode(),
	}}, nil
}

func (s *server) listPools(_ http.ResponseWriter, r *http.Request, _ store.Key) (answer, error) {
	pools, err := s.cfg.Store.Pools(r.Context())
	if err != nil {
		return answer{}, err
	}
	list := poolList{Pools: []Pool{}} // not null when there are none
	for _, p := range pools {
		list.Pools = append(list.Pools, withAgents(p, s.agents(p.ID)))
	}
	return answer{status: http.StatusOK, body: list}, nil
}

func (s *server) showPool(_ http.ResponseWriter, r *http.Request, _ store.Key) (answer, error) {
	p, err := s.cfg.Store.PoolByName(r.Context(), r.PathValue("name"))
	if err != nil {
		return answer{}, err
	}
	agents := s.agents(p.ID)
	return answer{status: http.StatusOK, body: PoolDetail{withAgents(p, agents), agents}}, nil
}

// agents returns a pool's sessions; not nil, which JSON would show as null.
func (s *server) agents(poolID string) []Agent {
	if s.cfg.Agents != nil {
		if agents := s.cfg.Agents(poolID); agents != nil {
			return agents
		}
	}
	return []Agent{}
}

func withAgents(p store.Pool, agents []Agent) Pool {
	pool := Pool{ID: p.ID, Name: p.Name, Description: p.Description, CreatedAt: p.CreatedAt, Agents: len(agents)}
	for _, a := range agents {
		pool.Streams += a.Parallelism
		pool.InFlight += a.InFlight
	}
	return pool
}
