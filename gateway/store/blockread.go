package store

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"
	"time"
)

// requestsOnSQLite is Requests, but for After. What it reads is of one moment.
func (s *Store) requestsOnSQLite(ctx context.Context, f RequestFilter) (requests []Request, err error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback()
	after, found, err := timeOf(ctx, tx, f.Before)
	if err != nil || !found {
		return nil, err
	}
	if f.ID != "" {
		query, args := s.requestsQuery(f, after)
		return rowsOf(ctx, tx, scanRequest, query, args...)
	}
	requests, _, err = requestsInBlocks(ctx, tx, f, after)
	return requests, err
}

// requestsInBlocks reads a page from the blocks, and says how many of them it
// read. Before came at the time after.
func requestsInBlocks(ctx context.Context, tx *sql.Tx, f RequestFilter, after time.Time) (found []Request, read int, err error) {
	query, args := blockQuery(f, after)
	inBlock, err := tx.PrepareContext(ctx, query)
	if err != nil {
		return nil, 0, err
	}
	defer inBlock.Close()
	query, blocksArgs := blocksQuery(f, after)
	blocks, err := tx.QueryContext(ctx, query, blocksArgs...)
	if err != nil {
		return nil, 0, err
	}
	defer blocks.Close()
	hashes, limit := f.hashes(), page(f.Limit)
	var oldest int64 // of a full page
	for blocks.Next() {
		var number, maxAt int64
		var values sql.RawBytes
		if err := blocks.Scan(&number, &maxAt, &values); err != nil {
			return nil, read, err
		}
		if len(found) == limit && maxAt < oldest {
			break // what is here is older, and so is what is in the next ones
		}
		if !bloom(values).mayHave(hashes) {
			continue
		}
		read++
		args[0], args[1] = seqsOf(number)
		rows, err := inBlock.QueryContext(ctx, args...)
		if err != nil {
			return nil, read, err
		}
		more, err := scanAll(rows, scanRequest)
		if err != nil {
			return nil, read, err
		}
		found = append(found, more...)
		slices.SortFunc(found, func(a, b Request) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Seq, a.Seq)) })
		if len(found) >= limit {
			found = found[:limit]
			oldest = micros(found[limit-1].At)
			args[2] = oldest
		}
	}
	return found, read, blocks.Err()
}

// blocksQuery finds the blocks in which requests of a filter's times may be,
// those with the newest first.
func blocksQuery(f RequestFilter, after time.Time) (query string, args []any) {
	var where conditions
	if !f.From.IsZero() {
		where.add("max_at >= %s", micros(f.From))
	}
	if !f.To.IsZero() {
		where.add("min_at < %s", micros(f.To))
	}
	if f.Before > 0 {
		where.add("min_at <= %s", micros(after))
	}
	return "SELECT block, max_at, bloom FROM blocks INDEXED BY blocks_by_time" + where.String() + " ORDER BY max_at DESC", where.args
}

// blockQuery finds a filter's newest requests among those between two Seqs and
// not older than a time: the first three arguments.
func blockQuery(f RequestFilter, after time.Time) (query string, args []any) {
	where := conditions{words: []string{"seq BETWEEN $1 AND $2", "at >= $3"}, args: []any{int64(0), int64(0), int64(math.MinInt64)}}
	where.addFields(f)
	where.addTimes(f, "at")
	if f.Before > 0 {
		where.add("(at, seq) < (%s, %s)", micros(after), f.Before)
	}
	return "SELECT seq, " + requestColumns + " FROM requests NOT INDEXED" + where.String() +
		" ORDER BY at DESC, seq DESC LIMIT " + where.arg(page(f.Limit)), where.args
}
