package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
)

// Hash is a key's SHA-256: all that is stored of it.
type Hash = [sha256.Size]byte

// HashOf hashes a key the one way that all keys here are hashed.
func HashOf(key string) Hash { return sha256.Sum256([]byte(key)) }

// Key is what a program shows to use the gateway. Its secret is not here.
type Key struct {
	ID         string    // ULID
	Name       string    // unique; A-Z a-z 0-9 . _ -, at most 63 bytes
	Admin      bool      // may use the admin API
	PoolIDs    []string  // the pools it may call, sorted; admin or not, none but these
	Limits     Limits    // of its calls
	CreatedAt  time.Time // UTC, to the microsecond
	LastUsedAt time.Time // as [Store.Touch] was told; zero is never
	ExpiresAt  time.Time // zero is never
}

// Expired says whether the key is of no use any more at t.
func (k Key) Expired(t time.Time) bool { return expired(k.ExpiresAt, t) }

// NewKey is what a key is made of.
type NewKey struct {
	Name    string
	Admin   bool
	Pools   []string  // names or IDs of those that it may call; an admin's key may have none
	Limits  Limits    // of its calls
	Expires time.Time // zero is never
	Hash    Hash      // of the secret
}

// KeyChange says what to change of a key; nil leaves a field alone.
type KeyChange struct {
	Pools   *[]string  // all that it may call, each a name or an ID
	Limits  *Limits    // all of them
	Expires *time.Time // zero is never
}

const selectKeys = `SELECT k.id, k.name, k.admin, k.created_at, k.last_used_at, k.expires_at, kp.pool_id, ` + limitColumns + `
	FROM keys k LEFT JOIN key_pools kp ON kp.key_id = k.id`

// CreateKey adds a key. The error is an [*InvalidError] for a value that isn't
// allowed or a key of no use, wraps [ErrNotFound] for a pool that there isn't,
// and [ErrExists] when the name is taken.
func (s *Store) CreateKey(ctx context.Context, by Actor, n NewKey) (Key, error) {
	k := Key{ID: ulid.Make().String(), Name: n.Name, Admin: n.Admin, Limits: n.Limits, CreatedAt: now()}
	for _, err := range []error{checkKeyName(n.Name), checkKeyPools(n.Admin, n.Pools), checkLimits(n.Limits)} {
		if err != nil {
			return Key{}, err
		}
	}
	var err error
	if k.ExpiresAt, err = checkExpiry(n.Expires, k.CreatedAt); err != nil {
		return Key{}, err
	}
	err = s.inTx(ctx, turnToChange, func(tx *sql.Tx) error {
		var err error
		if k.PoolIDs, err = poolIDs(ctx, tx, n.Pools); err != nil {
			return err
		}
		args := append([]any{k.ID, k.Name, k.Admin, n.Hash[:], micros(k.CreatedAt), micros(k.ExpiresAt)}, k.Limits.args()...)
		err = insertNew(ctx, tx, fmt.Sprintf("a key named %q", k.Name),
			"INSERT INTO keys (id, name, admin, key_hash, created_at, expires_at, "+limitColumns+") VALUES "+values(1, len(args))+
				" ON CONFLICT (name) DO NOTHING", args...)
		if err != nil {
			return err
		}
		if err := insertKeyPools(ctx, tx, k); err != nil {
			return err
		}
		return audit(ctx, tx, by, ActionKeyCreate, k.target(), k.facts().changes(Key{}.facts()))
	})
	if err != nil {
		return Key{}, failed("create key", err)
	}
	return k, nil
}

// UpdateKey changes a key and returns it. The error is an [*InvalidError] for a
// value that isn't allowed and wraps [ErrNotFound] when there is no such key, or
// no such pool. A change that changes nothing is none: it has no entry in the
// audit log.
func (s *Store) UpdateKey(ctx context.Context, by Actor, id string, c KeyChange) (Key, error) {
	var k Key
	err := s.inTx(ctx, turnToChange, func(tx *sql.Tx) (err error) {
		if k, err = keyByID(ctx, tx, id); err != nil {
			return err
		}
		before := k.facts()
		if c.Pools != nil {
			if err := checkKeyPools(k.Admin, *c.Pools); err != nil {
				return err
			}
			if k.PoolIDs, err = poolIDs(ctx, tx, *c.Pools); err != nil {
				return err
			}
		}
		if c.Expires != nil && !c.Expires.Equal(k.ExpiresAt) {
			if k.ExpiresAt, err = checkExpiry(*c.Expires, now()); err != nil {
				return err
			}
		}
		apply(&k.Limits, c.Limits)
		if err := checkLimits(k.Limits); err != nil {
			return err
		}
		changed := k.facts().changes(before)
		if len(changed) == 0 {
			return nil
		}
		_, err = tx.ExecContext(ctx, `UPDATE keys SET expires_at = $2,
			requests_per_second = $3, burst = $4, in_flight = $5, body_bytes = $6, queue_length = $7, queue_wait = $8 WHERE id = $1`,
			append([]any{k.ID, micros(k.ExpiresAt)}, k.Limits.args()...)...)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM key_pools WHERE key_id = $1", k.ID); err != nil {
			return err
		}
		if err := insertKeyPools(ctx, tx, k); err != nil {
			return err
		}
		return audit(ctx, tx, by, ActionKeyUpdate, k.target(), changed)
	})
	if err != nil {
		return Key{}, failed("update key", err)
	}
	return k, nil
}

// DeleteKey removes a key, which is of no use from then on. The error wraps
// [ErrNotFound] when there is no such key and [ErrLastAdmin] when no other key
// could use the admin API.
func (s *Store) DeleteKey(ctx context.Context, by Actor, id string) error {
	err := s.inTx(ctx, turnToChange, func(tx *sql.Tx) error {
		k, err := keyByID(ctx, tx, id)
		if err != nil {
			return err
		}
		at := now()
		if k.Admin && !k.Expired(at) {
			var others int
			err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM keys WHERE admin AND id <> $1 AND (expires_at = 0 OR expires_at > $2)",
				k.ID, micros(at)).Scan(&others)
			if err != nil {
				return err
			}
			if others == 0 {
				return fmt.Errorf("key %q %w", k.Name, ErrLastAdmin)
			}
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM keys WHERE id = $1", k.ID); err != nil {
			return err
		}
		return audit(ctx, tx, by, ActionKeyDelete, k.target(), nil)
	})
	if err != nil {
		return failed("delete key", err)
	}
	return nil
}

func insertKeyPools(ctx context.Context, tx *sql.Tx, k Key) error {
	for _, id := range k.PoolIDs {
		if _, err := tx.ExecContext(ctx, "INSERT INTO key_pools (key_id, pool_id) VALUES ($1, $2)", k.ID, id); err != nil {
			return err
		}
	}
	return nil
}

// poolIDs resolves names and IDs. Names are lower case and IDs upper case, so
// neither is taken for the other.
func poolIDs(ctx context.Context, tx *sql.Tx, pools []string) ([]string, error) {
	var ids []string
	for _, pool := range pools {
		var id string
		err := tx.QueryRowContext(ctx, "SELECT id FROM pools WHERE name = $1 OR id = $1", clip(pool, maxID)).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, noPool(pool)
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// keyByID finds the key that a transaction is about.
func keyByID(ctx context.Context, tx *sql.Tx, id string) (Key, error) {
	return oneKey(ctx, tx, "k.id", id)
}

// KeyByName finds a key, expired or not. The error wraps [ErrNotFound] when
// there is none of that name.
func (s *Store) KeyByName(ctx context.Context, name string) (Key, error) {
	k, err := oneKey(ctx, s.read, "k.name", name)
	if err != nil {
		return Key{}, failed("find key", err)
	}
	return k, nil
}

// oneKey finds the key that has a name or ID in a column.
func oneKey(ctx context.Context, db interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}, column, nameOrID string) (Key, error) {
	rows, err := db.QueryContext(ctx, selectKeys+" WHERE "+column+" = $1 ORDER BY kp.pool_id", clip(nameOrID, maxID))
	if err != nil {
		return Key{}, err
	}
	keys, err := scanKeys(rows)
	if err == nil && len(keys) == 0 {
		err = fmt.Errorf("key %s %w", quote(nameOrID), ErrNotFound)
	}
	if err != nil {
		return Key{}, err
	}
	return keys[0], nil
}

// KeyByHash finds the key that a caller showed. The error wraps [ErrNotFound]
// when there is none and [ErrExpired] when there was.
func (s *Store) KeyByHash(ctx context.Context, key Hash) (Key, error) {
	rows, err := s.keyByHash.QueryContext(ctx, key[:])
	if err != nil {
		return Key{}, fmt.Errorf("find key: %w", err)
	}
	keys, err := scanKeys(rows)
	switch {
	case err != nil:
		return Key{}, fmt.Errorf("find key: %w", err)
	case len(keys) == 0:
		return Key{}, fmt.Errorf("the key %w", ErrNotFound)
	case keys[0].Expired(now()):
		return Key{}, fmt.Errorf("key %q %w", keys[0].Name, ErrExpired)
	}
	return keys[0], nil
}

// Keys returns all keys, expired ones too, ordered by name.
func (s *Store) Keys(ctx context.Context) ([]Key, error) {
	rows, err := s.read.QueryContext(ctx, selectKeys+" ORDER BY k.name, kp.pool_id")
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	keys, err := scanKeys(rows)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return keys, nil
}

func (k Key) target() Target { return Target{Kind: "key", ID: k.ID, Name: k.Name} }

// scanKeys reads rows of selectKeys, in which a key's rows follow one another,
// one for each of its pools, and closes them.
func scanKeys(rows *sql.Rows) ([]Key, error) {
	defer rows.Close()
	var keys []Key
	for rows.Next() {
		var k Key
		var created, used, expires int64
		var pool sql.NullString
		limits, done := k.Limits.dest()
		if err := rows.Scan(append([]any{&k.ID, &k.Name, &k.Admin, &created, &used, &expires, &pool}, limits...)...); err != nil {
			return nil, err
		}
		done()
		if len(keys) == 0 || keys[len(keys)-1].ID != k.ID {
			k.CreatedAt, k.LastUsedAt, k.ExpiresAt = fromMicros(created), fromMicros(used), fromMicros(expires)
			keys = append(keys, k)
		}
		if pool.Valid {
			last := &keys[len(keys)-1]
			last.PoolIDs = append(last.PoolIDs, pool.String)
		}
	}
	return keys, rows.Err()
}
