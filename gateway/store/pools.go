package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/oklog/ulid/v2"
)

// Pool is one VCS on the customer's side, and the agents that reach it.
type Pool struct {
	ID             string         // ULID
	Name           string         // lower-case DNS label, 1 to 63 bytes; unique, never changes
	Description    string         // at most MaxDescriptionBytes of text
	Paused         bool           // no request is to go through
	Limits         Limits         // of all its callers together
	MaxParallelism int            // caps what an agent asks for, at most MaxParallelism; 0 is no cap
	Networks       []netip.Prefix // where its agents may come from, at most MaxNetworks; none is anywhere
	CreatedAt      time.Time      // UTC, to the microsecond
	UpdatedAt      time.Time      // of the last change, but for its token keys
}

// NewPool is what a pool is made of. Only Name and TokenKey are needed.
type NewPool struct {
	Name           string
	Description    string
	Limits         Limits
	MaxParallelism int
	Networks       []netip.Prefix
	TokenKey       Hash      // of the key in its first token
	TokenExpires   time.Time // when that key does; zero is never
}

// PoolChange says what to change of a pool; nil leaves a field alone.
type PoolChange struct {
	Description    *string
	Paused         *bool
	Limits         *Limits // all of them
	MaxParallelism *int
	Networks       *[]netip.Prefix // all of them
}

const poolColumns = "id, name, description, paused, max_parallelism, networks, created_at, updated_at, " + limitColumns

const selectPools = "SELECT " + poolColumns + " FROM pools"

// CreatePool adds a pool with its first token key. The error is an
// [*InvalidError] for a value that isn't allowed and wraps [ErrExists] when the
// name is taken.
func (s *Store) CreatePool(ctx context.Context, by Actor, n NewPool) (Pool, error) {
	created := now()
	p := Pool{ID: ulid.Make().String(), Name: n.Name, Description: n.Description, Limits: n.Limits, MaxParallelism: n.MaxParallelism,
		Networks: slices.Clone(n.Networks), CreatedAt: created, UpdatedAt: created}
	if err := checkPool(p); err != nil {
		return Pool{}, err
	}
	expires, err := checkExpiry(n.TokenExpires, created)
	if err != nil {
		return Pool{}, err
	}
	err = s.inTx(ctx, turnToChange, func(tx *sql.Tx) error {
		args := append([]any{p.ID, p.Name, p.Description, p.Paused, p.MaxParallelism, formatNetworks(p.Networks), micros(p.CreatedAt), micros(p.UpdatedAt)},
			p.Limits.args()...)
		err := insertNew(ctx, tx, fmt.Sprintf("a pool named %q", p.Name),
			"INSERT INTO pools ("+poolColumns+") VALUES "+values(1, len(args))+" ON CONFLICT (name) DO NOTHING", args...)
		if err != nil {
			return err
		}
		t := TokenKey{ID: ulid.Make().String(), PoolID: p.ID, CreatedAt: created, ExpiresAt: expires}
		if err := insertTokenKey(ctx, tx, t, n.TokenKey); err != nil {
			return err
		}
		detail := p.facts().changes(Pool{}.facts())
		detail["token_key"] = t.ID
		return audit(ctx, tx, by, ActionPoolCreate, p.target(), detail)
	})
	if err != nil {
		return Pool{}, failed("create pool", err)
	}
	return p, nil
}

// UpdatePool changes a pool and returns it. The error is an [*InvalidError] for
// a value that isn't allowed and wraps [ErrNotFound] when there is no such pool.
// A change that changes nothing is none: it has no entry in the audit log.
func (s *Store) UpdatePool(ctx context.Context, by Actor, id string, c PoolChange) (Pool, error) {
	var p Pool
	err := s.inTx(ctx, turnToChange, func(tx *sql.Tx) (err error) {
		if p, err = poolByID(ctx, tx, id); err != nil {
			return err
		}
		before := p.facts()
		apply(&p.Description, c.Description)
		apply(&p.Paused, c.Paused)
		apply(&p.Limits, c.Limits)
		apply(&p.MaxParallelism, c.MaxParallelism)
		apply(&p.Networks, c.Networks)
		if err := checkPool(p); err != nil {
			return err
		}
		p.Networks = slices.Clone(p.Networks)
		changed := p.facts().changes(before)
		if len(changed) == 0 {
			return nil
		}
		p.UpdatedAt = now()
		_, err = tx.ExecContext(ctx, `UPDATE pools SET description = $2, paused = $3, max_parallelism = $4, networks = $5, updated_at = $6,
			requests_per_second = $7, burst = $8, in_flight = $9, body_bytes = $10, queue_length = $11, queue_wait = $12 WHERE id = $1`,
			append([]any{p.ID, p.Description, p.Paused, p.MaxParallelism, formatNetworks(p.Networks), micros(p.UpdatedAt)}, p.Limits.args()...)...)
		if err != nil {
			return err
		}
		return audit(ctx, tx, by, ActionPoolUpdate, p.target(), changed)
	})
	if err != nil {
		return Pool{}, failed("update pool", err)
	}
	return p, nil
}

// apply changes a field when there is a change.
func apply[T any](field, change *T) {
	if change != nil {
		*field = *change
	}
}

// DeletePool removes a pool, its token keys, and its place in callers' keys,
// which stay. The logs keep their entries. The error wraps [ErrNotFound] when
// there is no such pool.
func (s *Store) DeletePool(ctx context.Context, by Actor, id string) error {
	err := s.inTx(ctx, turnToChange, func(tx *sql.Tx) error {
		p, err := poolByID(ctx, tx, id)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM pools WHERE id = $1", id); err != nil { // the rest follows it
			return err
		}
		return audit(ctx, tx, by, ActionPoolDelete, p.target(), nil)
	})
	if err != nil {
		return failed("delete pool", err)
	}
	return nil
}

// Pools returns all pools, ordered by name.
func (s *Store) Pools(ctx context.Context) ([]Pool, error) {
	pools, err := rowsOf(ctx, s.read, scanPool, selectPools+" ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("list pools: %w", err)
	}
	return pools, nil
}

// PoolByName finds a pool. The error wraps [ErrNotFound] when there is none of
// that name.
func (s *Store) PoolByName(ctx context.Context, name string) (Pool, error) {
	if !poolName.MatchString(name) { // nor could a database take every string
		return Pool{}, noPool(name)
	}
	p, err := scanPool(s.read.QueryRowContext(ctx, selectPools+" WHERE name = $1", name))
	if errors.Is(err, sql.ErrNoRows) {
		return Pool{}, noPool(name)
	}
	if err != nil {
		return Pool{}, fmt.Errorf("find pool: %w", err)
	}
	return p, nil
}

// PoolByID finds a pool. The error wraps [ErrNotFound] when there is none with
// that ID.
func (s *Store) PoolByID(ctx context.Context, id string) (Pool, error) {
	p, err := poolByID(ctx, s.read, id)
	if err != nil {
		return Pool{}, failed("find pool", err)
	}
	return p, nil
}

// poolByID finds the pool that a transaction is about, or a reader.
func poolByID(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, id string) (Pool, error) {
	p, err := scanPool(db.QueryRowContext(ctx, selectPools+" WHERE id = $1", clip(id, maxID)))
	if errors.Is(err, sql.ErrNoRows) {
		return Pool{}, noPool(id)
	}
	return p, err
}

func noPool(nameOrID string) error { return fmt.Errorf("pool %s %w", quote(nameOrID), ErrNotFound) }

func (p Pool) target() Target { return Target{Kind: "pool", ID: p.ID, Name: p.Name} }

// scanPool reads poolColumns.
func scanPool(r row) (Pool, error) {
	var p Pool
	var networks string
	var created, updated int64
	limits, done := p.Limits.dest()
	dest := append([]any{&p.ID, &p.Name, &p.Description, &p.Paused, &p.MaxParallelism, &networks, &created, &updated}, limits...)
	if err := r.Scan(dest...); err != nil {
		return Pool{}, err
	}
	done()
	p.CreatedAt, p.UpdatedAt = fromMicros(created), fromMicros(updated)
	var err error
	p.Networks, err = parseNetworks(networks)
	return p, err
}
