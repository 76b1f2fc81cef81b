package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

const (
	// keyringTTL is how long a key or pool is believed without asking the store
	// again: what is revoked stops within it.
	keyringTTL = time.Second
	// keyringGrace is how long a key or pool is believed while the store can't be
	// asked: callers needn't notice that it's restarted or slow.
	keyringGrace = 5 * time.Minute
	// lookupTime bounds a question to the store.
	lookupTime = 2 * time.Second
	// keyringSize bounds each of the two tables.
	keyringSize = 4096
)

// errStoreFailed says that the store could not tell.
var errStoreFailed = errors.New("the database could not be asked")

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
	key, err := k.keys.get(hash, func() (store.Key, error) {
		return ask(ctx, func(ctx context.Context) (store.Key, error) { return k.store.KeyByHash(ctx, hash) })
	})
	if err == nil && !key.ExpiresAt.IsZero() && !time.Now().Before(key.ExpiresAt) {
		return store.Key{}, store.ErrExpired // the store may not have been asked since
	}
	return key, err
}

// pool returns a pool by name; store.ErrNotFound if there's none.
func (k *keyring) pool(ctx context.Context, name string) (store.Pool, error) {
	return k.pools.get(name, func() (store.Pool, error) {
		return ask(ctx, func(ctx context.Context) (store.Pool, error) { return k.store.PoolByName(ctx, name) })
	})
}

// ask asks the store, though the caller may go away: what it answers is for others
// too. Its error is one of the store's sentinels or errStoreFailed.
func ask[V any](ctx context.Context, question func(context.Context) (V, error)) (V, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTime)
	defer cancel()
	v, err := question(ctx)
	if err != nil && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrExpired) {
		err = fmt.Errorf("%w: %w", errStoreFailed, err)
	}
	return v, err
}

// forget makes the next question about each key and pool go to the store.
func (k *keyring) forget() {
	k.keys.forget()
	k.pools.forget()
}

// table keeps what was found for keyringTTL, and for keyringGrace while nobody can
// tell whether it still holds. Misses aren't kept, so that guesses can't push out
// what's in use.
type table[K comparable, V any] struct {
	mu      sync.RWMutex
	entries map[K]*entry[V]
	changes int // how often all was forgotten
}

type entry[V any] struct {
	value  V
	until  time.Time
	grace  time.Time   // the end of it
	asking atomic.Bool // somebody asks whether it still holds
}

func (t *table[K, V]) get(key K, load func() (V, error)) (V, error) {
	now := time.Now()
	t.mu.RLock()
	e := t.entries[key]
	changes := t.changes
	t.mu.RUnlock()
	if e != nil && (now.Before(e.until) || now.Before(e.grace) && e.asking.Swap(true)) {
		return e.value, nil // one who waits for the store is enough
	}
	v, err := load()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changes != changes {
		return v, err // what was asked before a change may be what was before it
	}
	switch {
	case errors.Is(err, errStoreFailed) && e != nil && now.Before(e.grace):
		t.entries[key] = &entry[V]{value: e.value, until: time.Now().Add(keyringTTL), grace: e.grace}
		return e.value, nil
	case err != nil:
		delete(t.entries, key)
		return v, err
	}
	if t.entries == nil || len(t.entries) >= keyringSize {
		t.entries = map[K]*entry[V]{}
	}
	t.entries[key] = &entry[V]{value: v, until: now.Add(keyringTTL), grace: now.Add(keyringGrace)}
	return v, nil
}

func (t *table[K, V]) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries = nil
	t.changes++
}
