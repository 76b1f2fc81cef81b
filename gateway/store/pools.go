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

// Pool is one VCS on the customer's side, and the agents that reach it.
type Pool struct {
	ID          string    // ULID
	Name        string    // lower-case DNS label, 1 to 63 bytes; unique, never changes
	Description string    // at most MaxDescriptionBytes of text
	CreatedAt   time.Time // UTC, to the microsecond
}

const selectPools = "SELECT id, name, description, created_at FROM pools"

// CreatePool adds a pool whose token carries the key that hashes to tokenKey.
// The error is an [*InvalidError] for a name or description that isn't allowed
// and wraps [ErrExists] when the name is taken.
func (s *Store) CreatePool(ctx context.Context, name, description string, tokenKey Hash) (Pool, error) {
	if err := checkPool(name, description); err != nil {
		return Pool{}, err
	}
	p := Pool{ID: ulid.Make().String(), Name: name, Description: description, CreatedAt: now()}
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		err := insertNew(ctx, tx, fmt.Sprintf("a pool named %q", name),
			"INSERT INTO pools (id, name, description, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO NOTHING",
			p.ID, p.Name, p.Description, p.CreatedAt.UnixMicro())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO pool_token_keys (pool_id, key_hash, created_at) VALUES ($1, $2, $3)",
			p.ID, tokenKey[:], p.CreatedAt.UnixMicro())
		return err
	})
	if err != nil {
		return Pool{}, failed("create pool", err)
	}
	return p, nil
}

// Pools returns all pools, ordered by name.
func (s *Store) Pools(ctx context.Context) ([]Pool, error) {
	rows, err := s.read.QueryContext(ctx, selectPools+" ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list pools: %w", err)
	}
	defer rows.Close()
	var pools []Pool
	for rows.Next() {
		p, err := scanPool(rows)
		if err != nil {
			return nil, fmt.Errorf("list pools: %w", err)
		}
		pools = append(pools, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list pools: %w", err)
	}
	return pools, nil
}

// PoolByName finds a pool. The error wraps [ErrNotFound] when there is none of
// that name.
func (s *Store) PoolByName(ctx context.Context, name string) (Pool, error) {
	p, err := scanPool(s.read.QueryRowContext(ctx, selectPools+" WHERE name = $1", name))
	if errors.Is(err, sql.ErrNoRows) {
		return Pool{}, fmt.Errorf("pool %s %w", quote(name), ErrNotFound)
	}
	if err != nil {
		return Pool{}, fmt.Errorf("find pool: %w", err)
	}
	return p, nil
}

// PoolByTokenKey finds the pool that an agent claims to belong to and checks
// the key it brought. The error wraps [ErrNotFound] when there is no such pool
// and is [ErrWrongKey] when the key is none of the pool's.
//
// How long it takes tells nothing about how much of a key was right.
func (s *Store) PoolByTokenKey(ctx context.Context, poolID string, key Hash) (Pool, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT p.id, p.name, p.description, p.created_at, t.key_hash
		FROM pools p LEFT JOIN pool_token_keys t ON t.pool_id = p.id WHERE p.id = $1`, poolID)
	if err != nil {
		return Pool{}, fmt.Errorf("check token key: %w", err)
	}
	defer rows.Close()
	var pool Pool
	match := 0
	for rows.Next() {
		var hash []byte
		if pool, err = scanPool(rows, &hash); err != nil {
			return Pool{}, fmt.Errorf("check token key: %w", err)
		}
		match |= subtle.ConstantTimeCompare(hash, key[:])
	}
	if err := rows.Err(); err != nil {
		return Pool{}, fmt.Errorf("check token key: %w", err)
	}
	switch {
	case pool.ID == "":
		return Pool{}, fmt.Errorf("pool %s %w", quote(poolID), ErrNotFound)
	case match != 1:
		return Pool{}, ErrWrongKey
	}
	return pool, nil
}

// row is *sql.Row or *sql.Rows.
type row interface{ Scan(dest ...any) error }

// scanPool reads the columns of selectPools, and those after it into more.
func scanPool(r row, more ...any) (Pool, error) {
	var p Pool
	var created int64
	err := r.Scan(append([]any{&p.ID, &p.Name, &p.Description, &created}, more...)...)
	if err != nil {
		return Pool{}, err
	}
	p.CreatedAt = time.UnixMicro(created).UTC()
	return p, nil
}

// insertNew runs an INSERT … ON CONFLICT DO NOTHING. The error wraps ErrExists
// when there was a conflict; what names the thing.
func insertNew(ctx context.Context, tx *sql.Tx, what, query string, args ...any) error {
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("%s %w", what, ErrExists)
	}
	return nil
}
