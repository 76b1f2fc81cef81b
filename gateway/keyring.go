package gateway

import (
	"context"
	"sync"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

const (
	// keyringTTL is how long a key or pool is believed without asking the store
	// again: what is revoked stops within it.
	keyringTTL = time.Second
	// keyringSize bounds each of the two tables.
	keyringSize = 4096
)

// keyring answers for callers' keys and pools, asking the store at most once a
// second for each: a lookup per request would cost more than the rest of it.
type keyring struct {
	store *store.Store
	keys  table[store.Hash, store.Key]
	pools table[string, store.Pool]
}

func newKeyring(s *store.Store) *keyring { return &keyring{store: s} }

// key returns the caller's key; store.ErrNotFound if there's none like it.
func (k *keyring) key(ctx context.Context, secret transport.Secret) (store.Key, error) {
	if secret == "" {
		return store.Key{}, store.ErrNotFound
	}
	hash := store.HashOf(secret.Reveal())
	return k.keys.get(hash, func() (store.Key, error) { return k.store.KeyByHash(ctx, hash) })
}

// pool returns a pool by name; store.ErrNotFound if there's none.
func (k *keyring) pool(ctx context.Context, name string) (store.Pool, error) {
	return k.pools.get(name, func() (store.Pool, error) { return k.store.PoolByName(ctx, name) })
}

// forget makes the next question about each key and pool go to the store.
func (k *keyring) forget() {
	k.keys.forget()
	k.pools.forget()
}

// table keeps what was found for keyringTTL. Misses aren't kept, so that
// guesses can't push out what's in use.
type table[K comparable, V any] struct {
	mu      sync.RWMutex
	entries map[K]entry[V]
	changes int // how often all was forgotten
}

type entry[V any] struct {
	value V
	until time.Time
}

func (t *table[K, V]) get(key K, load func() (V, error)) (V, error) {
	now := time.Now()
	t.mu.RLock()
	e, ok := t.entries[key]
	changes := t.changes
	t.mu.RUnlock()
	if ok && now.Before(e.until) {
		return e.value, nil
	}
	v, err := load()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changes != changes {
		return v, err // what was asked before a change may be what was before it
	}
	if err != nil {
		delete(t.entries, key)
		return v, err
	}
	if t.entries == nil || len(t.entries) >= keyringSize {
		t.entries = map[K]entry[V]{}
	}
	t.entries[key] = entry[V]{v, now.Add(keyringTTL)}
	return v, nil
}

func (t *table[K, V]) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = nil
	t.changes++
}
