package control

import (
	"context"
	"fmt"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// Keys returns all keys, expired ones too, ordered by name.
func (c *Control) Keys(ctx context.Context) ([]store.Key, error) { return c.Store.Keys(ctx) }

// Key returns the key of a name or an ID. The error wraps [store.ErrNotFound]
// when there is none.
func (c *Control) Key(ctx context.Context, nameOrID string) (store.Key, error) {
	keys, err := c.Store.Keys(ctx)
	if err != nil {
		return store.Key{}, err
	}
	for _, k := range keys {
		if k.Name == nameOrID || k.ID == nameOrID {
			return k, nil
		}
	}
	return store.Key{}, fmt.Errorf("key %q %w", Shown(nameOrID), store.ErrNotFound)
}

// CreateKey makes a key, with a secret of its own making in place of n's hash,
// and returns the secret: it is not to be had again. Errors are those of
// [store.Store.CreateKey].
func (c *Control) CreateKey(ctx context.Context, by store.Actor, n store.NewKey) (store.Key, transport.Secret, error) {
	secret := newSecret(keyPrefix)
	n.Hash = store.HashOf(secret.Reveal())
	k, err := c.Store.CreateKey(ctx, by, n)
	if err != nil {
		return store.Key{}, "", err
	}
	c.changed(by, "", "key created", "key", k.Name, "key_id", k.ID, "admin", k.Admin)
	return k, secret, nil
}

// UpdateKey changes the key of a name or an ID; what it may do changes with the
// next request. Errors are those of [store.Store.UpdateKey].
func (c *Control) UpdateKey(ctx context.Context, by store.Actor, nameOrID string, change store.KeyChange) (store.Key, error) {
	k, err := c.Key(ctx, nameOrID)
	if err != nil {
		return store.Key{}, err
	}
	k, err = c.Store.UpdateKey(ctx, by, k.ID, change)
	if err != nil {
		return store.Key{}, err
	}
	c.changed(by, "", "key changed", "key", k.Name, "key_id", k.ID)
	return k, nil
}

// DeleteKey removes the key of a name or an ID, and with an admin's key the
// browsers' sessions that were begun with it. Errors are those of
// [store.Store.DeleteKey].
func (c *Control) DeleteKey(ctx context.Context, by store.Actor, nameOrID string) error {
	k, err := c.Key(ctx, nameOrID)
	if err != nil {
		return err
	}
	if err := c.Store.DeleteKey(ctx, by, k.ID); err != nil {
		return err
	}
	c.changed(by, "", "key deleted", "key", k.Name, "key_id", k.ID)
	return nil
}
