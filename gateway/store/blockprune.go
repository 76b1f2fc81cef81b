package store

import (
	"context"
	"database/sql"
	"slices"
)

// pruneBlocks is how many blocks one transaction removes: tens of milliseconds
// for which other writers wait.
const pruneBlocks = 2

// pruneBlocksBefore removes the requests that came before a time. It looks at
// no others but those in a block with one that did.
func (s *Store) pruneBlocksBefore(ctx context.Context, before int64) (removed int64, err error) {
	numbers, err := rowsOf(ctx, s.read, func(row row) (number int64, err error) { return number, row.Scan(&number) },
		"SELECT block FROM blocks INDEXED BY blocks_by_time WHERE min_at < ? ORDER BY max_at", before)
	if err != nil {
		return 0, err
	}
	for some := range slices.Chunk(numbers, pruneBlocks) {
		var n int64
		err := s.inTx(ctx, turnToLog, func(tx *sql.Tx) error {
			for _, number := range some {
				first, last := seqsOf(number)
				gone, err := execCount(ctx, tx, "DELETE FROM requests WHERE seq BETWEEN ? AND ? AND at < ?", first, last, before)
				if err != nil {
					return err
				}
				if err := shrinkBlock(ctx, tx, number, gone, before); err != nil {
					return err
				}
				n += gone
			}
			return nil
		})
		if err != nil {
			return removed, err
		}
		removed += n
	}
	return removed, nil
}

// pruneBlocksBeyond removes the requests with the lowest Seqs, beyond the number
// to keep.
func (s *Store) pruneBlocksBeyond(ctx context.Context, keep int64) (removed int64, err error) {
	excess, err := excessRows(ctx, s.read, keep) // mostly none, and no writer need wait
	for err == nil && excess > 0 {
		var n int64
		err = s.inTx(ctx, turnToLog, func(tx *sql.Tx) (err error) {
			n, excess, err = pruneLowest(ctx, tx, keep)
			return err
		})
		if err == nil {
			removed += n
		}
	}
	return removed, err
}

// pruneLowest removes the lowest blocks or what of them is beyond the number to
// keep, and returns how many requests that were and how many are still to go.
func pruneLowest(ctx context.Context, tx *sql.Tx, keep int64) (removed, excess int64, err error) {
	excess, err = excessRows(ctx, tx, keep)
	for range pruneBlocks {
		if err != nil || excess <= 0 {
			break
		}
		var number, rows, n int64
		if err := tx.QueryRowContext(ctx, "SELECT block, rows FROM blocks ORDER BY block LIMIT 1").Scan(&number, &rows); err != nil {
			return 0, 0, err
		}
		first, last := seqsOf(number)
		gone := min(rows, excess)
		if gone == rows {
			n, err = execCount(ctx, tx, "DELETE FROM requests WHERE seq BETWEEN ? AND ?", first, last)
		} else {
			n, err = execCount(ctx, tx, "DELETE FROM requests WHERE seq IN (SELECT seq FROM requests WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?)", first, last, gone)
		}
		if err == nil {
			err = shrinkBlock(ctx, tx, number, gone, 0)
		}
		removed, excess = removed+n, excess-gone
	}
	return removed, excess, err
}

// excessRows is how many requests are stored beyond the number to keep.
func excessRows(ctx context.Context, q queryer, keep int64) (excess int64, err error) {
	err = q.QueryRowContext(ctx, "SELECT COALESCE(SUM(rows), 0) - ? FROM blocks INDEXED BY blocks_by_time", keep).Scan(&excess)
	return excess, err
}

// shrinkBlock tells a block how many of its requests have been removed, and that
// none is left that came before a time. Their values stay, until all are gone.
func shrinkBlock(ctx context.Context, tx *sql.Tx, number, removed, before int64) error {
	_, err := tx.ExecContext(ctx, "UPDATE blocks SET rows = rows - ?, min_at = MAX(min_at, ?) WHERE block = ?", removed, before, number)
	if err == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM blocks WHERE block = ? AND rows <= 0", number)
	}
	return err
}
