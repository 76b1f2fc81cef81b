package api

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// Key is a key without what it is.
type Key struct {
	ID        string    `json:"id"` // ULID
	Name      string    `json:"name"`
	Admin     bool      `json:"admin"` // may use this API
	Pools     []string  `json:"pools"` // the names of the pools it may call, sorted
	CreatedAt time.Time `json:"created_at"`
}

// NewKey is what making a key answers.
type NewKey struct {
	Key
	Secret transport.Secret `json:"key"` // the key itself; not shown again
}

// keyList is an object, so that pages can join it later.
type keyList struct {
	Keys []Key `json:"keys"`
}

func (s *server) createKey(w http.ResponseWriter, r *http.Request, by store.Key) (answer, error) {
	var name string
	var admin bool
	var pools []string
	err := decode(w, r, map[string]field{
		"name":  {&name, "a text"},
		"pools": {&pools, "a list of pools' names"},
		"admin": {&admin, "true or false"},
	})
	if err != nil {
		return answer{}, err
	}
	// Before the key is made: nothing may fail between that and showing it.
	poolNames, err := s.poolNames(r)
	if err != nil {
		return answer{}, err
	}
	key, secret, err := s.control.CreateKey(r.Context(), actor(r, by), store.NewKey{Name: name, Admin: admin, Pools: pools})
	if errors.Is(err, store.ErrNotFound) { // the path was found: it's the body that is wrong
		return answer{}, refuse(http.StatusUnprocessableEntity, codeUnknownPool, sentence(err))
	}
	if err != nil {
		return answer{}, err
	}
	return answer{http.StatusCreated, "", struct {
		Key
		Secret string `json:"key"` // in clear
	}{shown(key, poolNames), secret.Reveal()}}, nil
}

func (s *server) listKeys(_ http.ResponseWriter, r *http.Request, _ store.Key) (answer, error) {
	keys, err := s.control.Keys(r.Context())
	if err != nil {
		return answer{}, err
	}
	poolNames, err := s.poolNames(r)
	if err != nil {
		return answer{}, err
	}
	list := keyList{Keys: []Key{}}
	for _, k := range keys {
		list.Keys = append(list.Keys, shown(k, poolNames))
	}
	return answer{status: http.StatusOK, body: list}, nil
}

// poolNames maps the pools' IDs to their names.
func (s *server) poolNames(r *http.Request) (map[string]string, error) {
	pools, err := s.control.Pools(r.Context())
	if err != nil {
		return nil, err
	}
	byID := make(map[string]string, len(pools))
	for _, p := range pools {
		byID[p.ID] = p.Name
	}
	return byID, nil
}

func shown(k store.Key, poolNames map[string]string) Key {
	key := Key{ID: k.ID, Name: k.Name, Admin: k.Admin, Pools: []string{}, CreatedAt: k.CreatedAt}
	for _, id := range k.PoolIDs {
		name, ok := poolNames[id]
		if !ok { // made after the names were read
			name = id
		}
		key.Pools = append(key.Pools, name)
	}
	slices.Sort(key.Pools)
	return key
}
