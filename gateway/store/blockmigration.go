package store

import (
	"context"
	"database/sql"

	"github.com/pressly/goose/v3"
)

// blocksMigration is SQLite's fourth migration: from indexes to blocks, which SQL
// can't fill.
func blocksMigration() *goose.Migration {
	return goose.NewGoMigration(4, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, blocksSchema); err != nil {
			return err
		}
		return fillBlocks(ctx, tx)
	}}, nil)
}

// blocksSchema leaves the index by ID, which finds few requests among all. The
// index of the blocks has all that is asked before a block is looked at.
const blocksSchema = `
CREATE TABLE blocks (
    block  INTEGER PRIMARY KEY, -- of the requests with seq >> 10 = block
    rows   INTEGER NOT NULL,    -- how many are stored
    min_at INTEGER NOT NULL,    -- none of them came before
    max_at INTEGER NOT NULL,    -- and none after
    bloom  BLOB    NOT NULL CHECK (length(bloom) > 0) -- which values they have
) STRICT;
CREATE INDEX blocks_by_time ON blocks (max_at, min_at, rows);

DROP INDEX requests_by_at;
DROP INDEX requests_by_key;
DROP INDEX requests_by_outcome;
DROP INDEX requests_by_name;
DROP INDEX requests_by_project;
DROP INDEX requests_by_pool;
DROP INDEX requests_by_pool_key;
DROP INDEX requests_by_pool_outcome;
DROP INDEX requests_by_pool_name;
DROP INDEX requests_by_pool_project;
`

// fillBlocks makes the blocks of the requests that are stored.
func fillBlocks(ctx context.Context, tx *sql.Tx) error {
	for next := int64(0); ; {
		var seq sql.NullInt64
		if err := tx.QueryRowContext(ctx, "SELECT MIN(seq) FROM requests WHERE seq >= ?", next).Scan(&seq); err != nil || !seq.Valid {
			return err
		}
		b := newBlock(blockOf(seq.Int64))
		first, last := seqsOf(b.number)
		requests, err := rowsOf(ctx, tx, scanForBlock, "SELECT at, pool_id, key_id, outcome, name, project FROM requests WHERE seq BETWEEN ? AND ?", first, last)
		if err != nil {
			return err
		}
		for _, r := range requests {
			b.add(&r)
		}
		if err := writeBlock(ctx, tx, b); err != nil {
			return err
		}
		next = last + 1
	}
}

// scanForBlock reads what a block looks at.
func scanForBlock(row row) (r Request, err error) {
	var at int64
	err = row.Scan(&at, &r.PoolID, &r.KeyID, &r.Outcome, &r.Name, &r.Project)
	r.At = fromMicros(at)
	return r, err
}
