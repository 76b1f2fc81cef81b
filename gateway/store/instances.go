package store

import (
	"context"
	"database/sql"
	"time"
)

const (
	// MaxInstances is how many agents' instances a pool remembers; the ones not
	// seen for longest go.
	MaxInstances = 1000
	// maxInstance bounds an instance's ID; what is longer is cut.
	maxInstance = 256
)

// SeeInstance notes that an agent joined a pool and says whether it was the
// first time. The error wraps [ErrNotFound] when there is no such pool.
func (s *Store) SeeInstance(ctx context.Context, poolID, instance string, at time.Time) (first bool, err error) {
	err = s.inTx(ctx, turnToChange, func(tx *sql.Tx) error {
		p, err := poolByID(ctx, tx, poolID)
		if err != nil {
			return err
		}
		instance = clip(instance, maxInstance)
		seen, err := execOne(ctx, tx, "UPDATE instances SET last_seen = $3 WHERE pool_id = $1 AND instance = $2", p.ID, instance, micros(at))
		if err != nil || seen {
			return err
		}
		first = true
		_, err = tx.ExecContext(ctx, "INSERT INTO instances (pool_id, instance, first_seen, last_seen) VALUES ($1, $2, $3, $3)", p.ID, instance, micros(at))
		if err != nil {
			return err
		}
		var n int
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM instances WHERE pool_id = $1", p.ID).Scan(&n); err != nil || n <= MaxInstances {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM instances WHERE pool_id = $1 AND instance IN (
			SELECT instance FROM instances WHERE pool_id = $1 AND instance <> $2 ORDER BY last_seen LIMIT $3)`, p.ID, instance, n-MaxInstances)
		return err
	})
	if err != nil {
		return false, failed("note an agent's instance", err)
	}
	return first, nil
}
