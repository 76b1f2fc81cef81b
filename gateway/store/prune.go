package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// pruneRows is how many requests one transaction removes on a server: tens of
// milliseconds for which other writers wait.
const pruneRows = 500

// PruneRequests removes the requests that came before a time (zero: of any
// time) and those beyond the newest keepRows (0: any number), and returns how
// many it removed. It does so in small steps between which other writers get
// their turn. It removes old counts of the traffic as well.
//
// The newest are those that came last, or, on SQLite, those that were added
// last: with the greatest Seq.
func (s *Store) PruneRequests(ctx context.Context, before time.Time, keepRows int64) (removed int64, err error) {
	pruneBefore, pruneBeyond := s.pruneBlocksBefore, s.pruneBlocksBeyond
	if s.server {
		pruneBefore, pruneBeyond = s.pruneBefore, s.pruneBeyond
	}
	if !before.IsZero() {
		removed, err = pruneBefore(ctx, micros(before))
	}
	if err == nil && keepRows > 0 {
		var n int64
		n, err = pruneBeyond(ctx, keepRows)
		removed += n
	}
	if err == nil {
		err = s.pruneTraffic(ctx)
	}
	if err != nil {
		return removed, fmt.Errorf("remove old requests: %w", err)
	}
	return removed, nil
}

// pruneBefore removes the requests that came before a time, on a server.
func (s *Store) pruneBefore(ctx context.Context, before int64) (removed int64, err error) {
	return s.pruneWhere(ctx, byTime+" < $1", before)
}

// pruneBeyond removes the requests beyond the newest, on a server.
func (s *Store) pruneBeyond(ctx context.Context, keep int64) (removed int64, err error) {
	var at, seq int64
	err = s.read.QueryRowContext(ctx, "SELECT at, seq FROM requests ORDER BY "+byTime+" DESC, seq DESC LIMIT 1 OFFSET $1", keep).Scan(&at, &seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return s.pruneWhere(ctx, "("+byTime+", seq) <= ($1, $2)", at, seq)
}

// pruneWhere removes what matches, oldest first, so that a page's cursor is gone
// only when all that is older is.
func (s *Store) pruneWhere(ctx context.Context, where string, args ...any) (removed int64, err error) {
	query := pruneQuery(where)
	for {
		var n int64
		err := s.inTx(ctx, turnToLog, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, query, args...)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		if err != nil {
			return removed, err
		}
		removed += n
		if n < pruneRows {
			return removed, nil
		}
	}
}

func pruneQuery(where string) string {
	return fmt.Sprintf("DELETE FROM requests WHERE seq IN (SELECT seq FROM requests WHERE %s ORDER BY %s, seq LIMIT %d)", where, byTime, pruneRows)
}
