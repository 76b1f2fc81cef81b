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

// Key is what a program shows to use the gateway.
type Key struct {
	ID        string    // ULID
	Name      string    // unique; A-Z a-z 0-9 . _ -, at most 63 bytes
	Admin     bool      // may use the admin API
	PoolIDs   []string  // the pools it may call, sorted; admin or not, none but these
	CreatedAt time.Time // UTC, to the microsecond
}

const selectKeys = `SELECT k.id, k.name, k.admin, k.created_at, kp.pool_id
	FROM keys k LEFT JOIN key_pools kp ON kp.key_id = k.id`

// CreateKey adds a key that hashes to key and may call the given pools, each a
// name or an ID. The error is an [*InvalidError] for a name that isn't allowed
// or a key of no use, wraps [ErrNotFound] for a pool that there isn't, and
// [ErrExists] when the name is taken.
func (s *Store) CreateKey(ctx context.Context, name string, admin bool, pools []string, key Hash) (Key, error) {
	if err := checkKey(name, admin, pools); err != nil {
		return Key{}, err
	}
	k := Key{ID: ulid.Make().String(), Name: name, Admin: admin, CreatedAt: now()}
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		var err error
		if k.PoolIDs, err = poolIDs(ctx, tx, pools); err != nil {
			return err
		}
		err = insertNew(ctx, tx, fmt.Sprintf("a key named %q", name),
			"INSERT INTO keys (id, name, admin, key_hash, created_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING",
			k.ID, k.Name, k.Admin, key[:], k.CreatedAt.UnixMicro())
		if err != nil {
			return err
		}
		for _, id := range k.PoolIDs {
			_, err := tx.ExecContext(ctx, "INSERT INTO key_pools (key_id, pool_id) VALUES ($1, $2)", k.ID, id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Key{}, failed("create key", err)
	}
	return k, nil
}

// poolIDs resolves names and IDs. Names are lower case and IDs upper case, so
// neither is taken for the other.
func poolIDs(ctx context.Context, tx *sql.Tx, pools []string) ([]string, error) {
	var ids []string
	for _, pool := range pools {
		var id string
		err := tx.QueryRowContext(ctx, "SELECT id FROM pools WHERE name = $1 OR id = $1", pool).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("pool %s %w", quote(pool), ErrNotFound)
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// KeyByHash finds the key that a caller showed. The error wraps [ErrNotFound]
// when there is none.
func (s *Store) KeyByHash(ctx context.Context, key Hash) (Key, error) {
	rows, err := s.keyByHash.QueryContext(ctx, key[:])
	if err != nil {
		return Key{}, fmt.Errorf("find key: %w", err)
	}
	keys, err := scanKeys(rows)
	if err != nil {
		return Key{}, fmt.Errorf("find key: %w", err)
	}
	if len(keys) == 0 {
		return Key{}, fmt.Errorf("the key %w", ErrNotFound)
	}
	return keys[0], nil
}

// Keys returns all keys, ordered by name.
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

// scanKeys reads rows of selectKeys, in which a key's rows follow one another,
// one for each of its pools, and closes them.
func scanKeys(rows *sql.Rows) ([]Key, error) {
	defer rows.Close()
	var keys []Key
	for rows.Next() {
		var k Key
		var created int64
		var pool sql.NullString
		if err := rows.Scan(&k.ID, &k.Name, &k.Admin, &created, &pool); err != nil {
			return nil, err
		}
		if len(keys) == 0 || keys[len(keys)-1].ID != k.ID {
			k.CreatedAt = time.UnixMicro(created).UTC()
			keys = append(keys, k)
		}
		if pool.Valid {
			last := &keys[len(keys)-1]
			last.PoolIDs = append(last.PoolIDs, pool.String)
		}
	}
	return keys, rows.Err()
}
