package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// Pool is a pool with the sessions that its agents have now, oldest first.
type Pool struct {
	store.Pool
	Connections []Connection
}

// Streams is how many requests the pool's agents can serve at a time.
func (p Pool) Streams() int {
	n := 0
	for _, c := range p.Connections {
		n += c.Parallelism
	}
	return n
}

// InFlight is how many they serve now.
func (p Pool) InFlight() int {
	n := 0
	for _, c := range p.Connections {
		n += c.InFlight
	}
	return n
}

// Pools returns all pools, ordered by name.
func (c *Control) Pools(ctx context.Context) ([]Pool, error) {
	stored, err := c.Store.Pools(ctx)
	if err != nil {
		return nil, err
	}
	pools := make([]Pool, 0, len(stored))
	for _, p := range stored {
		pools = append(pools, Pool{p, c.connections(p.ID)})
	}
	return pools, nil
}

// Pool returns the pool of a name. The error wraps [store.ErrNotFound] when there
// is none.
func (c *Control) Pool(ctx context.Context, name string) (Pool, error) {
	p, err := c.Store.PoolByName(ctx, name)
	if err != nil {
		return Pool{}, err
	}
	return Pool{p, c.connections(p.ID)}, nil
}

func (c *Control) connections(poolID string) []Connection {
	if c.Live.Connections == nil {
		return nil
	}
	connections := c.Live.Connections(poolID)
	for i := range connections {
		connections[i].Tags = shownTags(connections[i].Tags)
	}
	return connections
}

// maxTagBytes bounds an agent's tags in listings: an agent may send eight times as
// many, and a pool may have a thousand agents.
const maxTagBytes = 4 << 10

// shownTags returns the first tags, by name, that are within the bound.
func shownTags(tags map[string]string) map[string]string {
	size := 0
	for name, value := range tags {
		size += len(name) + len(value)
	}
	if size <= maxTagBytes {
		return tags
	}
	shown, room := map[string]string{}, maxTagBytes
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if room -= len(name) + len(tags[name]); room < 0 {
			break
		}
		shown[name] = tags[name]
	}
	return shown
}

// CreatePool makes a pool, with a token key of its own making in place of n's,
// and returns the first token: it is not to be had again. Errors are those of
// [store.Store.CreatePool].
func (c *Control) CreatePool(ctx context.Context, by store.Actor, n store.NewPool) (store.Pool, transport.Token, error) {
	key := newSecret(tokenKeyPrefix)
	n.TokenKey = store.HashOf(key.Reveal())
	p, err := c.Store.CreatePool(ctx, by, n)
	if err != nil {
		return store.Pool{}, transport.Token{}, err
	}
	c.changed(by, p.ID, "pool created", "pool", p.Name, "pool_id", p.ID)
	return p, c.Token(p, key), nil
}

// UpdatePool changes the pool of a name. A pool that is paused refuses callers
// from then on; requests in flight end as they would. A new cap on the
// parallelism counts for sessions from their next request on; new networks
// close the sessions that come from elsewhere. Errors are those of
// [store.Store.UpdatePool].
func (c *Control) UpdatePool(ctx context.Context, by store.Actor, name string, change store.PoolChange) (store.Pool, error) {
	p, err := c.Store.PoolByName(ctx, name)
	if err != nil {
		return store.Pool{}, err
	}
	p, err = c.Store.UpdatePool(ctx, by, p.ID, change)
	if err != nil {
		return store.Pool{}, err
	}
	c.changed(by, p.ID, "pool changed", "pool", p.Name, "pool_id", p.ID, "paused", p.Paused)
	return p, nil
}

// DeletePool removes the pool of a name and ends its sessions: its token keys are
// worth nothing any more. The error wraps [store.ErrNotFound] when there is none.
func (c *Control) DeletePool(ctx context.Context, by store.Actor, name string) error {
	p, err := c.Store.PoolByName(ctx, name)
	if err != nil {
		return err
	}
	if err := c.Store.DeletePool(ctx, by, p.ID); err != nil {
		return err
	}
	c.changed(by, p.ID, "pool deleted", "pool", p.Name, "pool_id", p.ID)
	return nil
}

// TokenKeys returns the keys in a pool's tokens, oldest first.
func (c *Control) TokenKeys(ctx context.Context, pool string) ([]store.TokenKey, error) {
	p, err := c.Store.PoolByName(ctx, pool)
	if err != nil {
		return nil, err
	}
	return c.Store.TokenKeys(ctx, p.ID)
}

// RotateToken gives a pool another token, beside those that it has: agents that
// run with an older one go on until its key is revoked or expires. The new one
// expires at a time, never if that is zero. Errors are those of
// [store.Store.AddTokenKey], and [store.ErrNotFound] for the pool.
func (c *Control) RotateToken(ctx context.Context, by store.Actor, pool string, expires time.Time) (store.TokenKey, transport.Token, error) {
	p, err := c.Store.PoolByName(ctx, pool)
	if err != nil {
		return store.TokenKey{}, transport.Token{}, err
	}
	key := newSecret(tokenKeyPrefix)
	added, err := c.Store.AddTokenKey(ctx, by, p.ID, store.HashOf(key.Reveal()), expires)
	if err != nil {
		return store.TokenKey{}, transport.Token{}, err
	}
	c.changed(by, p.ID, "token key added", "pool", p.Name, "pool_id", p.ID, "token_key", added.ID)
	return added, c.Token(p, key), nil
}

// ReplaceToken is RotateToken, and gives all other token keys of the pool a last
// moment, before which its agents need the new token. Those that expire before
// that anyway are left alone, and all are if last is zero. The error is an
// [*store.InvalidError] for a last moment that has passed. When it fails there is
// no new token, but some of the others may have got their last moment.
func (c *Control) ReplaceToken(ctx context.Context, by store.Actor, pool string, expires, last time.Time) (store.TokenKey, transport.Token, error) {
	if !last.IsZero() && !last.After(time.Now()) {
		return store.TokenKey{}, transport.Token{}, &store.InvalidError{Field: "replaces_expire_at",
			Problem: fmt.Sprintf("the other tokens can't expire at %s, which has passed: give a time that is to come, or revoke them", last.UTC().Format(time.RFC3339))}
	}
	added, token, err := c.RotateToken(ctx, by, pool, expires)
	if err != nil || last.IsZero() {
		return added, token, err
	}
	if err := c.expireOthers(ctx, by, added, last); err != nil {
		// Nobody has the new token: it isn't to stay. With a context of its own,
		// since the caller's may be what failed.
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
		defer cancel()
		return store.TokenKey{}, transport.Token{}, errors.Join(err, c.RevokeToken(undo, by, pool, added.ID))
	}
	c.changed(by, added.PoolID, "older token keys expire", "pool", pool, "pool_id", added.PoolID, "at", last)
	return added, token, nil
}

// undoTime bounds how long it is tried to undo half of a change.
const undoTime = 5 * time.Second

// expireOthers gives all token keys of added's pool but added a last moment.
func (c *Control) expireOthers(ctx context.Context, by store.Actor, added store.TokenKey, last time.Time) error {
	keys, err := c.Store.TokenKeys(ctx, added.PoolID)
	if err != nil {
		return err
	}
	for _, k := range keys {
		if k.ID == added.ID || !k.ExpiresAt.IsZero() && !last.Before(k.ExpiresAt) {
			continue
		}
		err := c.Store.ExpireTokenKey(ctx, by, k.PoolID, k.ID, last)
		if err != nil && !errors.Is(err, store.ErrNotFound) { // revoked meanwhile
			return err
		}
	}
	return nil
}

// RevokeToken removes a pool's token key and ends the sessions that joined with
// it. Errors wrap [store.ErrNotFound].
func (c *Control) RevokeToken(ctx context.Context, by store.Actor, pool, tokenKeyID string) error {
	p, err := c.Store.PoolByName(ctx, pool)
	if err != nil {
		return err
	}
	if err := c.Store.RevokeTokenKey(ctx, by, p.ID, tokenKeyID); err != nil {
		return err
	}
	c.changed(by, p.ID, "token key revoked", "pool", p.Name, "pool_id", p.ID, "token_key", tokenKeyID)
	return nil
}

// checkTime bounds a check, the VCS's part included.
const checkTime = 30 * time.Second

// CheckPool asks an agent of the pool whether its VCS answers. The error is for a
// pool that there isn't ([store.ErrNotFound]) and a store that fails; what is
// wrong with the agent or VCS is in the result.
func (c *Control) CheckPool(ctx context.Context, name string) (Check, error) {
	p, err := c.Store.PoolByName(ctx, name)
	if err != nil {
		return Check{}, err
	}
	if c.Live.Check == nil {
		return Check{Code: "no_agent", Detail: "No agent of this pool is connected."}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	return c.Live.Check(ctx, p), nil
}
