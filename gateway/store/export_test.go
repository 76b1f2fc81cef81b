package store

import (
	"context"
	"database/sql"
	"time"
)

// RequestsQuery is the query that Requests runs, on a server, or on SQLite for
// an ID.
func RequestsQuery(server bool, f RequestFilter, after time.Time) (string, []any) {
	return (&Store{server: server}).requestsQuery(f, after)
}

// BlocksQuery and BlockQuery are the queries that Requests runs on SQLite.
func BlocksQuery(f RequestFilter, after time.Time) (string, []any) { return blocksQuery(f, after) }

// BlockQuery is run for each block that is read.
func BlockQuery(f RequestFilter, after time.Time) (string, []any) { return blockQuery(f, after) }

// BlocksRead is how many blocks a page is read from, on SQLite.
func (s *Store) BlocksRead(ctx context.Context, f RequestFilter) (requests []Request, read int, err error) {
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return nil, 0, err
	}
	defer tx.Rollback()
	after, _, err := timeOf(ctx, tx, f.Before)
	if err != nil {
		return nil, 0, err
	}
	return requestsInBlocks(ctx, tx, f, after)
}

// FillBlocks makes the blocks of requests that were added behind the store's
// back.
func FillBlocks(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := fillBlocks(ctx, tx); err != nil {
		return err
	}
	return tx.Commit()
}

// RequestsAfterQuery is the query that Requests runs with After.
func RequestsAfterQuery(server bool, f RequestFilter) (string, []any) {
	return (&Store{server: server}).requestsAfterQuery(f)
}

// PruneQuery is what PruneRequests runs by age on a server.
func PruneQuery() string { return pruneQuery(byTime + " < $1") }

// BlockRows is how many requests a block has on SQLite, and PruneRows the fewest
// that pruning removes in several transactions.
const (
	BlockRows = blockRows
	PruneRows = pruneBlocks*blockRows + pruneRows
)

// ReadSession are the settings with which a server plans queries.
var ReadSession = readSession
