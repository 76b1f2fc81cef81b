package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

const (
	// MaxBuckets bounds what one call of [Store.Traffic] returns.
	MaxBuckets = 2000
	// trafficAge is how long counts are kept: longer than requests need be,
	// since they are small.
	trafficAge = 90 * 24 * time.Hour
	// trafficRows is how many counts one statement adds.
	trafficRows = 100
)

// Bucket counts the requests that came within a span of time.
type Bucket struct {
	Start  time.Time // UTC
	Served int64     // the VCS answered
	Denied int64     // the agent's allowlist or the gateway said no
	Failed int64     // all else, also what the caller broke off
}

// Counts are for an overview.
type Counts struct {
	Pools, PausedPools int64
	Keys, AdminKeys    int64 // expired ones too
	Served             int64 // requests, as in a Bucket
	Denied             int64
	Failed             int64
}

// countTraffic adds requests to the counts of their minutes.
func countTraffic(ctx context.Context, tx *sql.Tx, requests []Request) error {
	type cell struct {
		pool   string
		minute int64
	}
	counts := map[cell]*Bucket{}
	count := func(c cell, outcome string) {
		b := counts[c]
		if b == nil {
			b = &Bucket{}
			counts[c] = b
		}
		switch outcome {
		case OutcomeServed:
			b.Served++
		case OutcomeDenied, OutcomeRefused:
			b.Denied++
		default:
			b.Failed++
		}
	}
	for _, r := range requests {
		minute := minuteOf(r.At)
		count(cell{"", minute}, r.Outcome)
		if r.PoolID != "" {
			count(cell{clip(r.PoolID, maxID), minute}, r.Outcome)
		}
	}
	cells := make([]cell, 0, len(counts))
	for c := range counts {
		cells = append(cells, c)
	}
	slices.SortFunc(cells, func(a, b cell) int { return cmp.Or(cmp.Compare(a.minute, b.minute), cmp.Compare(a.pool, b.pool)) })
	for chunk := range slices.Chunk(cells, trafficRows) {
		var args []any
		for _, c := range chunk {
			b := counts[c]
			args = append(args, c.pool, c.minute, b.Served, b.Denied, b.Failed)
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO traffic (pool_id, minute, served, denied, failed) VALUES "+values(len(chunk), 5)+`
			ON CONFLICT (pool_id, minute) DO UPDATE SET
			served = traffic.served + excluded.served, denied = traffic.denied + excluded.denied, failed = traffic.failed + excluded.failed`, args...)
		if err != nil {
			return err
		}
	}
	return nil
}

// Traffic counts the requests to a pool ("": all requests, those to no pool
// too) that came from one time to before another, to the minute, in buckets of
// a whole number of minutes. The first bucket starts at or before from, at a
// multiple of bucket since 1970; buckets without requests are there too. Counts
// go back 90 days.
//
// The error is an [*InvalidError] for a bucket that isn't allowed or more than
// MaxBuckets of them.
func (s *Store) Traffic(ctx context.Context, poolID string, from, to time.Time, bucket time.Duration) ([]Bucket, error) {
	if bucket < time.Minute || bucket%time.Minute != 0 {
		return nil, &InvalidError{"bucket", fmt.Sprintf("a bucket of %v is not allowed: use whole minutes, at least one", bucket)}
	}
	width := int64(bucket / time.Minute)
	first := minuteOf(from) / width * width
	last := minuteOf(to.Add(time.Minute - 1)) // the first minute that isn't wanted
	n := (last - first + width - 1) / width
	if n > MaxBuckets {
		return nil, &InvalidError{"bucket", fmt.Sprintf("from %s to %s there are %d buckets of %v: at most %d are allowed",
			from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339), n, bucket, MaxBuckets)}
	}
	if n <= 0 {
		return nil, nil
	}
	buckets := make([]Bucket, n)
	for i := range buckets {
		buckets[i].Start = time.Unix((first+int64(i)*width)*60, 0).UTC()
	}
	rows, err := s.read.QueryContext(ctx, `SELECT (minute - $2) / $4, CAST(SUM(served) AS BIGINT), CAST(SUM(denied) AS BIGINT), CAST(SUM(failed) AS BIGINT)
		FROM traffic WHERE pool_id = $1 AND minute >= $2 AND minute < $3 GROUP BY 1`, clip(poolID, maxID), first, last, width)
	if err != nil {
		return nil, fmt.Errorf("read traffic: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var i int64
		var b Bucket
		if err := rows.Scan(&i, &b.Served, &b.Denied, &b.Failed); err != nil {
			return nil, fmt.Errorf("read traffic: %w", err)
		}
		b.Start = buckets[i].Start
		buckets[i] = b
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read traffic: %w", err)
	}
	return buckets, nil
}

// Counts counts pools, keys, and the requests that came since a time, to the
// minute.
func (s *Store) Counts(ctx context.Context, since time.Time) (Counts, error) {
	var c Counts
	err := s.read.QueryRowContext(ctx, `SELECT
		(SELECT COUNT(*) FROM pools), (SELECT COUNT(*) FROM pools WHERE paused), (SELECT COUNT(*) FROM keys), (SELECT COUNT(*) FROM keys WHERE admin),
		CAST(COALESCE(SUM(served), 0) AS BIGINT), CAST(COALESCE(SUM(denied), 0) AS BIGINT), CAST(COALESCE(SUM(failed), 0) AS BIGINT)
		FROM traffic WHERE pool_id = '' AND minute >= $1`, minuteOf(since)).
		Scan(&c.Pools, &c.PausedPools, &c.Keys, &c.AdminKeys, &c.Served, &c.Denied, &c.Failed)
	if err != nil {
		return Counts{}, fmt.Errorf("count: %w", err)
	}
	return c, nil
}

// pruneTraffic removes old counts: after the first time, a few at a time.
func (s *Store) pruneTraffic(ctx context.Context) error {
	return s.inTx(ctx, turnToLog, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM traffic WHERE minute < $1", minuteOf(time.Now().Add(-trafficAge)))
		return err
	})
}

// minuteOf is a time's minute since 1970, in which Unix() of the zero time is
// far below.
func minuteOf(t time.Time) int64 { return t.Unix() / 60 }
