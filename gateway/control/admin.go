package control

import (
	"context"
	"fmt"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// NotAdminError says that a key is a caller's.
type NotAdminError struct{ Key store.Key }

// Error returns the sentence.
func (e *NotAdminError) Error() string {
	return fmt.Sprintf("the key %s is for calling pools: this needs an admin key", e.Key.Name)
}

// Admin finds the admin key that somebody showed. The error wraps
// [store.ErrNotFound] when there is no such key, [store.ErrExpired] when there
// was, and is a [*NotAdminError] for a caller's key.
func (c *Control) Admin(ctx context.Context, secret transport.Secret) (store.Key, error) {
	k, err := c.Store.KeyByHash(ctx, store.HashOf(secret.Reveal()))
	switch {
	case err != nil:
		return store.Key{}, err
	case !k.Admin:
		return store.Key{}, &NotAdminError{k}
	}
	return k, nil
}
