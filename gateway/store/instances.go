package store

import (
	"context"
	"database/sql"
	"maps"
	"time"
)

const (
	// MaxInstances is how many agents' instances a pool remembers; the ones not
	// seen for longest go.
	MaxInstances = 1000
	// MaxNewInstances is how many a pool remembers of those that it saw first in
	// this hour of the clock, UTC: ever new ones push out each other, and not soon
	// the agents that it has known for long.
	MaxNewInstances = 250
	// MaxJoins is how many of a pool's new instances the audit log gets an entry
	// for within an hour of the clock, UTC. One more says that there are others:
	// who has a pool's token could fill the log with them.
	MaxJoins = 20
	// maxInstance bounds an instance's ID; what is longer is cut.
	maxInstance = 256
)

// SeeInstance notes that an agent joined a pool and says whether it was the
// first time. If so, the audit log has an entry for it, with the actor and the
// detail given, but for what is beyond MaxJoins. The error wraps [ErrNotFound]
// when there is no such pool.
func (s *Store) SeeInstance(ctx context.Context, by Actor, poolID, instance string, at time.Time, detail map[string]string) (first bool, err error) {
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
		if err := auditJoin(ctx, tx, by, p, detail); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO instances (pool_id, instance, first_seen, last_seen) VALUES ($1, $2, $3, $3)", p.ID, instance, micros(at))
		if err != nil {
			return err
		}
		return forgetInstances(ctx, tx, p.ID, instance)
	})
	if err != nil {
		return false, failed("note an agent's instance", err)
	}
	return first, nil
}

// forgetInstances removes what a pool remembers too many of, and not the instance
// that it has just seen.
func forgetInstances(ctx context.Context, tx *sql.Tx, poolID, instance string) error {
	for _, b := range []struct {
		since time.Time // they were first seen
		most  int
	}{{now().Truncate(time.Hour), MaxNewInstances}, {time.Time{}, MaxInstances}} {
		var n int
		err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM instances WHERE pool_id = $1 AND first_seen >= $2", poolID, micros(b.since)).Scan(&n)
		if err == nil && n > b.most {
			_, err = tx.ExecContext(ctx, `DELETE FROM instances WHERE pool_id = $1 AND instance IN (
				SELECT instance FROM instances WHERE pool_id = $1 AND instance <> $2 AND first_seen >= $3 ORDER BY last_seen LIMIT $4)`,
				poolID, instance, micros(b.since), n-b.most)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// auditJoin writes the entry for an instance that is new to a pool, unless there
// are enough of this hour.
func auditJoin(ctx context.Context, tx *sql.Tx, by Actor, p Pool, detail facts) error {
	hour := now().Truncate(time.Hour)
	var n int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT at FROM audit WHERE target_id = $1 AND action = $2 ORDER BY id DESC LIMIT $3) AS newest WHERE at >= $4",
		p.ID, ActionAgentJoin, MaxJoins+1, micros(hour)).Scan(&n)
	switch {
	case err != nil:
		return err
	case n > MaxJoins:
		return nil
	case n == MaxJoins:
		said := facts{}
		maps.Copy(said, detail)
		said["others"] = "in the gateway's log only, until " + hour.Add(time.Hour).Format(time.RFC3339)
		detail = said
	}
	return audit(ctx, tx, by, ActionAgentJoin, p.target(), detail)
}
