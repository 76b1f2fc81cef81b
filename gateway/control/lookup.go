package control

import (
	"context"
	"errors"
	"fmt"

	"vcsagent/gateway/store"
)

// PoolID returns the ID of the pool of a name or an ID, for looking into the
// logs: also of a pool that was deleted, while the audit log tells of it. Of
// several that had a name it is the one that has it now, or had it last. The
// error wraps [store.ErrNotFound] when there was none.
func (c *Control) PoolID(ctx context.Context, nameOrID string) (string, error) {
	p, err := c.Store.PoolByName(ctx, nameOrID)
	if errors.Is(err, store.ErrNotFound) {
		p, err = c.Store.PoolByID(ctx, nameOrID)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return p.ID, err
	}
	return c.deleted(ctx, store.ActionPoolDelete, "pool", nameOrID)
}

// KeyID is as PoolID for callers' and admins' keys.
func (c *Control) KeyID(ctx context.Context, nameOrID string) (string, error) {
	k, err := c.Key(ctx, nameOrID)
	if !errors.Is(err, store.ErrNotFound) {
		return k.ID, err
	}
	return c.deleted(ctx, store.ActionKeyDelete, "key", nameOrID)
}

// deleted finds in the audit log what was deleted last of a name or an ID.
func (c *Control) deleted(ctx context.Context, action, kind, nameOrID string) (string, error) {
	entries, err := c.Store.Audit(ctx, store.AuditFilter{Action: action, Target: nameOrID, Limit: 1})
	switch {
	case err != nil:
		return "", err
	case len(entries) == 0:
		return "", fmt.Errorf("%s %q %w", kind, Shown(nameOrID), store.ErrNotFound)
	}
	return entries[0].Target.ID, nil
}
