package store

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
)

// MaxTokenKeys is how many keys a pool may have at a time. Two are enough to
// replace one while agents go on; each join compares all.
const MaxTokenKeys = 16

// TokenKey is a key that a pool's agents show to join it. Its secret is in a
// token, once, and not here.
type TokenKey struct {
	ID         string // ULID
	PoolID     string
	CreatedAt  time.Time // UTC, to the microsecond
	LastUsedAt time.Time // as [Store.Touch] was told; zero is never
	ExpiresAt  time.Time // zero is never
}

// Expired says whether the key is of no use any more at t.
func (k TokenKey) Expired(t time.Time) bool { return expired(k.ExpiresAt, t) }

func expired(at, t time.Time) bool { return !at.IsZero() && !t.Before(at) }

const tokenKeyColumns = "t.id, t.pool_id, t.created_at, t.last_used_at, t.expires_at"

// AddTokenKey adds a key to a pool, beside those that it has. The error is an
// [*InvalidError] for a time to expire that has passed or one key too many, and
// wraps [ErrNotFound] when there is no such pool or [ErrExists] when the key is
// one of the pool's.
func (s *Store) AddTokenKey(ctx context.Context, by Actor, poolID string, key Hash, expires time.Time) (TokenKey, error) {
	t := TokenKey{ID: ulid.Make().String(), PoolID: poolID, CreatedAt: now()}
	var err error
	if t.ExpiresAt, err = checkExpiry(expires, t.CreatedAt); err != nil {
		return TokenKey{}, err
	}
	err = s.inTx(ctx, turnToChange, func(tx *sql.Tx) error {
		p, err := poolByID(ctx, tx, poolID)
		if err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM token_keys WHERE pool_id = $1", p.ID).Scan(&n); err != nil {
			return err
		}
		if n >= MaxTokenKeys {
			return &InvalidError{"token_keys", fmt.Sprintf("the pool has %d token keys, as many as one may have: revoke one that is not in use", n)}
		}
		if err := insertTokenKey(ctx, tx, t, key); err != nil {
			return err
		}
		return audit(ctx, tx, by, ActionTokenAdd, p.target(), facts{"token_key": t.ID, "expires": expiry(t.ExpiresAt)})
	})
	if err != nil {
		return TokenKey{}, failed("add token key", err)
	}
	return t, nil
}

func insertTokenKey(ctx context.Context, tx *sql.Tx, t TokenKey, key Hash) error {
	return insertNew(ctx, tx, "the pool's token key",
		"INSERT INTO token_keys (id, pool_id, key_hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (pool_id, key_hash) DO NOTHING",
		t.ID, t.PoolID, key[:], micros(t.CreatedAt), micros(t.ExpiresAt))
}

// RevokeTokenKey removes a pool's key. It may be the last one: then no agent can
// join until the pool has another. The error wraps [ErrNotFound] when there is
// no such pool, or it has no such key.
func (s *Store) RevokeTokenKey(ctx context.Context, by Actor, poolID, keyID string) error {
	err := s.inTx(ctx, turnToChange, func(tx *sql.Tx) error {
		p, err := poolByID(ctx, tx, poolID)
		if err != nil {
			return err
		}
		revoked, err := execOne(ctx, tx, "DELETE FROM token_keys WHERE pool_id = $1 AND id = $2", p.ID, clip(keyID, maxID))
		if err != nil {
			return err
		}
		if !revoked {
			return noTokenKey(keyID, p)
		}
		return audit(ctx, tx, by, ActionTokenRevoke, p.target(), facts{"token_key": keyID})
	})
	if err != nil {
		return failed("revoke token key", err)
	}
	return nil
}

// ExpireTokenKey gives a pool's key a last moment, before which the agents that
// use it need their new token. It only ever comes earlier: the error is an
// [*InvalidError] for a time that has passed or isn't before the one the key
// has, and wraps [ErrNotFound] when there is no such pool, or it has no such key.
func (s *Store) ExpireTokenKey(ctx context.Context, by Actor, poolID, keyID string, at time.Time) error {
	err := s.inTx(ctx, turnToChange, func(tx *sql.Tx) error {
		p, err := poolByID(ctx, tx, poolID)
		if err != nil {
			return err
		}
		k, err := scanTokenKey(tx.QueryRowContext(ctx, "SELECT "+tokenKeyColumns+" FROM token_keys t WHERE t.pool_id = $1 AND t.id = $2", p.ID, clip(keyID, maxID)))
		if errors.Is(err, sql.ErrNoRows) {
			return noTokenKey(keyID, p)
		}
		if err != nil {
			return err
		}
		if at.IsZero() {
			return &InvalidError{"expires", "there is no time at which the token key is to expire: give one that is still to come"}
		}
		expires, err := checkExpiry(at, now())
		if err != nil {
			return err
		}
		if !k.ExpiresAt.IsZero() && !expires.Before(k.ExpiresAt) {
			return &InvalidError{"expires", fmt.Sprintf("the token key expires at %s already and can't be given until %s: give an earlier time, or add a new key",
				expiry(k.ExpiresAt), expiry(expires))}
		}
		if _, err := tx.ExecContext(ctx, "UPDATE token_keys SET expires_at = $2 WHERE id = $1", k.ID, micros(expires)); err != nil {
			return err
		}
		return audit(ctx, tx, by, ActionTokenExpire, p.target(), facts{"token_key": k.ID, "expires": expiry(expires)})
	})
	if err != nil {
		return failed("expire token key", err)
	}
	return nil
}

func noTokenKey(id string, p Pool) error {
	return fmt.Errorf("token key %s of pool %q %w", quote(id), p.Name, ErrNotFound)
}

// TokenKeys returns a pool's keys, oldest first. The error wraps [ErrNotFound]
// when there is no such pool.
func (s *Store) TokenKeys(ctx context.Context, poolID string) ([]TokenKey, error) {
	keys, err := rowsOf(ctx, s.read, scanTokenKey, "SELECT "+tokenKeyColumns+` FROM token_keys t
		WHERE t.pool_id = $1 ORDER BY t.created_at, t.id`, clip(poolID, maxID))
	if err != nil {
		return nil, fmt.Errorf("list token keys: %w", err)
	}
	if len(keys) > 0 {
		return keys, nil
	}
	var name string
	err = s.read.QueryRowContext(ctx, "SELECT name FROM pools WHERE id = $1", clip(poolID, maxID)).Scan(&name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, noPool(poolID)
	case err != nil:
		return nil, fmt.Errorf("list token keys: %w", err)
	}
	return nil, nil
}

func scanTokenKey(r row) (TokenKey, error) {
	var t TokenKey
	var created, used, expires int64
	err := r.Scan(&t.ID, &t.PoolID, &created, &used, &expires)
	t.CreatedAt, t.LastUsedAt, t.ExpiresAt = fromMicros(created), fromMicros(used), fromMicros(expires)
	return t, err
}

// PoolByTokenKey finds the pool that an agent claims to belong to and checks
// the key it brought. The error wraps [ErrNotFound] when there is no such pool,
// is [ErrWrongKey] when the key is none of the pool's, and wraps [ErrExpired]
// when it was one.
//
// How long it takes tells nothing about how much of a key was right.
func (s *Store) PoolByTokenKey(ctx context.Context, poolID string, key Hash) (Pool, TokenKey, error) {
	p, err := poolByID(ctx, s.read, poolID)
	if err != nil {
		return Pool{}, TokenKey{}, failed("check token key", err)
	}
	type hashed struct {
		TokenKey
		hash []byte
	}
	keys, err := rowsOf(ctx, s.read, func(r row) (hashed, error) {
		var h hashed
		var err error
		h.TokenKey, err = scanTokenKey(also{r, &h.hash})
		return h, err
	}, "SELECT "+tokenKeyColumns+", t.key_hash FROM token_keys t WHERE t.pool_id = $1", p.ID)
	if err != nil {
		return Pool{}, TokenKey{}, fmt.Errorf("check token key: %w", err)
	}
	match := -1
	for i, k := range keys {
		match = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(k.hash, key[:]), i, match)
	}
	switch {
	case match < 0:
		return Pool{}, TokenKey{}, ErrWrongKey
	case keys[match].Expired(now()):
		return Pool{}, TokenKey{}, fmt.Errorf("token key %s of pool %q %w", keys[match].ID, p.Name, ErrExpired)
	}
	return p, keys[match].TokenKey, nil
}

// also is a row with one more column than whoever scans it knows of.
type also struct {
	row
	last any
}

func (a also) Scan(dest ...any) error { return a.row.Scan(append(dest, a.last)...) }
