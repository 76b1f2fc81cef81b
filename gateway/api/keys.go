package api

import (
	"net/http"
	"slices"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// Key is a key without what it is.
type Key struct {
	ID         string    `json:"id"` // ULID
	Name       string    `json:"name"`
	Admin      bool      `json:"admin"`  // may use this API
	Pools      []string  `json:"pools"`  // the names of the pools it may call, sorted
	Limits     Limits    `json:"limits"` // of its calls
	CreatedAt  time.Time `json:"created_at"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"` // zero is never
	ExpiresAt  time.Time `json:"expires_at,omitzero"`   // zero is never
}

// NewKey is what a key is made of.
type NewKey struct {
	Name    string    `json:"name"`
	Pools   []string  `json:"pools,omitempty"` // that it may call; an admin's may have none
	Admin   bool      `json:"admin,omitempty"`
	Limits  Limits    `json:"limits,omitzero"`
	Expires time.Time `json:"expires_at,omitzero"` // zero is never
}

// CreatedKey is what making a key answers.
type CreatedKey struct {
	Key
	Secret transport.Secret `json:"key"` // the key itself; not shown again
}

// KeyChange says what to change of a key; nil leaves a field alone.
type KeyChange struct {
	Pools   *[]string     // all that it may call
	Limits  *LimitsChange // those that it names
	Expires *time.Time    // zero is never
}

// keyList is an object, so that pages can join it later.
type keyList struct {
	Keys []Key `json:"keys"`
}

const poolsKind = "a list of pools' names"

func (s *server) createKey(w http.ResponseWriter, r *request) (answer, error) {
	var n store.NewKey
	var expires instant
	err := decode(w, r.Request, object{
		"name":       {&n.Name, "a text"},
		"pools":      {&n.Pools, poolsKind},
		"admin":      {&n.Admin, "true or false"},
		"limits":     {limitFields(&n.Limits), "an object"},
		"expires_at": {&expires, instantKind},
	})
	if err != nil {
		return answer{}, err
	}
	n.Expires = expires.at
	// Before the key is made: nothing may fail between that and showing it.
	poolNames, err := s.poolNames(r)
	if err != nil {
		return answer{}, err
	}
	key, secret, err := s.control.CreateKey(r.Context(), r.actor(), n)
	if err != nil {
		return answer{}, missing(err, http.StatusUnprocessableEntity, codeUnknownPool)
	}
	return answer{status: http.StatusCreated, location: prefix + "/keys/" + key.Name, body: struct {
		Key
		Secret string `json:"key"` // in clear
	}{keyOf(key, poolNames), secret.Reveal()}}, nil
}

func (s *server) listKeys(_ http.ResponseWriter, r *request) (answer, error) {
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
		list.Keys = append(list.Keys, keyOf(k, poolNames))
	}
	return ok(list)
}

func (s *server) showKey(_ http.ResponseWriter, r *request) (answer, error) {
	k, err := s.control.Key(r.Context(), r.PathValue("key"))
	if err != nil {
		return answer{}, missing(err, http.StatusNotFound, codeUnknownKey)
	}
	return s.key(r, k)
}

func (s *server) updateKey(w http.ResponseWriter, r *request) (answer, error) {
	body, err := read(w, r.Request) // before the lock: a client may be slow
	if err != nil {
		return answer{}, err
	}
	s.editing.Lock()
	defer s.editing.Unlock()
	k, err := s.control.Key(r.Context(), r.PathValue("key"))
	if err != nil {
		return answer{}, missing(err, http.StatusNotFound, codeUnknownKey)
	}
	var change store.KeyChange
	var expires instant
	limits := k.Limits // those that the body doesn't name stay
	err = object{
		"pools":      {&change.Pools, poolsKind},
		"limits":     {limitFields(&limits), "an object"},
		"expires_at": {&expires, instantKind},
	}.decode("", body)
	if err != nil {
		return answer{}, err
	}
	change.Limits, change.Expires = &limits, expires.change()
	if k, err = s.control.UpdateKey(r.Context(), r.actor(), k.ID, change); err != nil {
		return answer{}, missing(err, http.StatusUnprocessableEntity, codeUnknownPool)
	}
	return s.key(r, k)
}

func (s *server) deleteKey(_ http.ResponseWriter, r *request) (answer, error) {
	if err := s.control.DeleteKey(r.Context(), r.actor(), r.PathValue("key")); err != nil {
		return answer{}, missing(err, http.StatusNotFound, codeUnknownKey)
	}
	return noContent()
}

// key answers a key with the names of its pools.
func (s *server) key(r *request, k store.Key) (answer, error) {
	poolNames, err := s.poolNames(r)
	if err != nil {
		return answer{}, err
	}
	return ok(keyOf(k, poolNames))
}

// poolNames maps the pools' IDs to their names.
func (s *server) poolNames(r *request) (map[string]string, error) {
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

func keyOf(k store.Key, poolNames map[string]string) Key {
	key := Key{ID: k.ID, Name: k.Name, Admin: k.Admin, Pools: []string{}, Limits: limitsOf(k.Limits),
		CreatedAt: k.CreatedAt, LastUsedAt: k.LastUsedAt, ExpiresAt: k.ExpiresAt}
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
