package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// On SQLite, requests are found by blocks: runs of blockRows Seqs, each with
// the times between which its requests came and a Bloom filter of the values
// that they have. A page is read from the newest blocks that may have some of
// it, and a block is read whole, by the primary key. An index for each filter,
// as PostgreSQL has, would cost each request several times what it costs now: it
// changes a page of each index, and those of different values are far apart.
const (
	blockShift = 10
	blockRows  = 1 << blockShift
	// bloomBytes makes a block just fit a page of SQLite's. If each request has
	// a project and a name of its own, and nothing else of its own, one in 40
	// of the blocks without a value is read in vain.
	bloomBytes = 4000
)

// blockOf is the block of a Seq.
func blockOf(seq int64) int64 { return seq >> blockShift }

// seqsOf are a block's first and last Seq.
func seqsOf(block int64) (first, last int64) {
	return block << blockShift, block<<blockShift + blockRows - 1
}

// block is what is known of a block's requests.
type block struct {
	number int64
	rows   int64 // exactly
	// Bounds, in microseconds: once requests have been removed there need not be
	// one of that time.
	minAt, maxAt int64
	// values has a value if one of the requests has it or had it; it may also
	// have one that none has.
	values bloom
}

// blockKind is a field by which blocks are found, as it is stored.
type blockKind byte

const (
	noKind blockKind = iota // in no block, or the pool
	keyKind
	outcomeKind
	nameKind
	projectKind
)

func newBlock(number int64) block { return block{number: number, values: make(bloom, bloomBytes)} }

// add adds a request, of which the time and the fields that have a kind are
// looked at.
func (b *block) add(r *Request) {
	at := micros(r.At)
	if b.rows == 0 {
		b.minAt, b.maxAt = at, at
	}
	b.rows++
	b.minAt, b.maxAt = min(b.minAt, at), max(b.maxAt, at)
	pool := clip(r.PoolID, maxID)
	if pool != "" { // else no filter asks for it
		b.values.add(valueHash(pool, noKind, ""))
	}
	for _, field := range requestFields {
		if field.kind == noKind {
			continue
		}
		value := clip(field.is(r), field.max)
		if value == "" {
			continue
		}
		b.values.add(valueHash("", field.kind, value))
		if pool != "" {
			b.values.add(valueHash(pool, field.kind, value))
		}
	}
}

// hashes are the values that a block has if one of its requests matches.
func (f *RequestFilter) hashes() (hashes []uint64) {
	pool := clip(f.PoolID, maxID)
	for _, field := range requestFields {
		if want := field.want(f); want != "" && field.kind != noKind {
			hashes = append(hashes, valueHash(pool, field.kind, clip(want, field.max)))
		}
	}
	if len(hashes) == 0 && pool != "" {
		hashes = append(hashes, valueHash(pool, noKind, ""))
	}
	return hashes
}

// addToBlocks tells the blocks of requests that are added, with increasing Seqs.
// That is in the transaction that adds them, which alone may write, and nothing
// of it is kept in memory: so a block knows all its requests, whoever added them.
func addToBlocks(ctx context.Context, tx *sql.Tx, requests []Request, seqs []int64) error {
	for len(seqs) > 0 {
		b, err := readBlock(ctx, tx, blockOf(seqs[0]))
		if err != nil {
			return fmt.Errorf("read block: %w", err)
		}
		n := 0
		for n < len(seqs) && blockOf(seqs[n]) == b.number {
			b.add(&requests[n])
			n++
		}
		if err := writeBlock(ctx, tx, b); err != nil {
			return err
		}
		requests, seqs = requests[n:], seqs[n:]
	}
	return nil
}

// readBlock returns a block, which is empty if there is none yet.
func readBlock(ctx context.Context, tx *sql.Tx, number int64) (block, error) {
	b := block{number: number}
	err := tx.QueryRowContext(ctx, "SELECT rows, min_at, max_at, bloom FROM blocks WHERE block = ?", number).Scan(&b.rows, &b.minAt, &b.maxAt, &b.values)
	if errors.Is(err, sql.ErrNoRows) {
		return newBlock(number), nil
	}
	return b, err
}

func writeBlock(ctx context.Context, tx *sql.Tx, b block) error {
	_, err := tx.ExecContext(ctx, "REPLACE INTO blocks (block, rows, min_at, max_at, bloom) VALUES (?, ?, ?, ?, ?)",
		b.number, b.rows, b.minAt, b.maxAt, []byte(b.values))
	if err != nil {
		return fmt.Errorf("write block: %w", err)
	}
	return nil
}
