package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Outcomes of a request that the traffic's picture tells apart; whoever adds
// requests has more, which all count as failed.
const (
	OutcomeServed  = "served"  // the VCS answered
	OutcomeDenied  = "denied"  // the agent's allowlist said no
	OutcomeRefused = "refused" // the gateway said no
)

// Request is one that went through the gateway, or didn't. Strings are cut to
// the bounds here, in bytes; times and durations are kept to the microsecond.
type Request struct {
	Seq       int64     // given by the store; the cursor of [RequestFilter]
	ID        string    // X-Request-Id; 128; not unique
	At        time.Time // when it came; UTC
	PoolID    string    // 64; "" while no pool was known
	PoolName  string    // 64
	KeyID     string    // 64; "" while no key was known
	KeyName   string    // 64
	SessionID string    // 128
	Instance  string    // 256
	Stream    int       // 0: none
	Method    string    // 32
	Path      string    // 2048
	Name      string    // 256; of the call, as the agent told
	Purpose   string    // 512
	Project   string    // 512
	Outcome   string    // 32
	Code      string    // 64; of our own answer
	Reason    string    // 1024; of a denial
	Status    int       // HTTP
	Queued    time.Duration
	FirstByte time.Duration
	Total     time.Duration
	BytesIn   int64
	BytesOut  int64
}

// Bounds of a request's strings that are looked for too.
const (
	maxSession   = 128
	maxPath      = 2048
	maxRequestID = 128
	maxName      = 256
	maxProject   = 512
	maxOutcome   = 32
)

const requestColumns = "id, at, pool_id, pool_name, key_id, key_name, session_id, instance, stream, method, path, name, purpose, project, " +
	"outcome, code, reason, status, queued, first_byte, total, bytes_in, bytes_out"

const (
	// requestRows is how many requests one statement adds on a server, to which
	// each statement is a journey.
	requestRows = 100
	// requestRowsSQLite is how many one adds on SQLite, if there are as many.
	requestRowsSQLite = 16
)

// requestColumnCount is how many requestColumns there are.
var requestColumnCount = strings.Count(requestColumns, ",") + 1

func insertRequests(rows int) string {
	return "INSERT INTO requests (" + requestColumns + ") VALUES " + values(rows, requestColumnCount)
}

// insertRequestsSQLite is insertRequests without numbers for its parameters: to
// SQLite these are names, which are looked up among all that come before.
func insertRequestsSQLite(rows int) string {
	return numbers.ReplaceAllString(insertRequests(rows), "?")
}

var numbers = regexp.MustCompile(`\$\d+`)

// appendTo appends the values of requestColumns.
func (r *Request) appendTo(args []any) []any {
	return append(args, clip(r.ID, maxRequestID), micros(r.At), clip(r.PoolID, maxID), clip(r.PoolName, 64), clip(r.KeyID, maxID), clip(r.KeyName, 64),
		clip(r.SessionID, maxSession), clip(r.Instance, maxInstance), r.Stream, clip(r.Method, 32), clip(r.Path, maxPath),
		clip(r.Name, maxName), clip(r.Purpose, 512), clip(r.Project, maxProject), clip(r.Outcome, maxOutcome), clip(r.Code, 64), clip(r.Reason, 1024),
		r.Status, r.Queued.Microseconds(), r.FirstByte.Microseconds(), r.Total.Microseconds(), r.BytesIn, r.BytesOut)
}

// AddRequests adds requests to the log, all or none, and counts them for
// [Store.Traffic]. Their Seq is not looked at; when all are stored it is set, in
// the slice itself, to numbers that increase. On an error none is changed.
//
// After an error none is stored, so they may be added again, but for one case: a
// server that went away just when it was told to commit, and didn't answer for
// some seconds more, may have stored them.
func (s *Store) AddRequests(ctx context.Context, requests []Request) error {
	if len(requests) == 0 {
		return nil
	}
	var seqs []int64
	err := s.inTx(ctx, turnToLog, func(tx *sql.Tx) (err error) {
		if s.server {
			seqs, err = insertInChunks(ctx, tx, requests)
		} else {
			seqs, err = s.insertOnSQLite(ctx, tx, requests)
		}
		if err != nil {
			return err
		}
		return countTraffic(ctx, tx, requests)
	})
	if err != nil && s.server && len(seqs) == len(requests) && s.hasStored(ctx, seqs[0], requests[0]) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("store requests: %w", err)
	}
	for i, seq := range seqs {
		requests[i].Seq = seq
	}
	return nil
}

const (
	// askTimeout bounds how long a server is asked what became of a commit that
	// it didn't answer.
	askTimeout = 5 * time.Second
	askPoll    = 100 * time.Millisecond
)

// hasStored says whether a server has the first request of a batch under the
// number that it gave it, and with it the batch. It waits for the turn to log: a
// commit that isn't answered may still be under way, and has the turn.
func (s *Store) hasStored(ctx context.Context, seq int64, r Request) (found bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
	defer cancel()
	tick := time.NewTicker(askPoll)
	defer tick.Stop()
	for {
		err := s.inTx(ctx, turnToLog, func(tx *sql.Tx) error {
			// Not by the number alone, which a server that lost the batch gives
			// to another request.
			return tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM requests WHERE seq = $1 AND at = $2 AND id = $3 AND session_id = $4 AND path = $5)",
				seq, micros(r.At), clip(r.ID, maxRequestID), clip(r.SessionID, maxSession), clip(r.Path, maxPath)).Scan(&found)
		})
		if err == nil || found {
			return found
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
}

// insertOnSQLite adds requests, and tells their blocks.
func (s *Store) insertOnSQLite(ctx context.Context, tx *sql.Tx, requests []Request) (seqs []int64, err error) {
	seqs = make([]int64, 0, len(requests))
	args := make([]any, 0, requestRowsSQLite*requestColumnCount)
	some, one := tx.StmtContext(ctx, s.insertSome), tx.StmtContext(ctx, s.insertOne) // closed with the transaction
	for rest := requests; len(rest) > 0; {
		n, insert := requestRowsSQLite, some
		if len(rest) < n {
			n, insert = 1, one
		}
		args = args[:0]
		for i := range rest[:n] {
			args = rest[i].appendTo(args)
		}
		res, err := insert.ExecContext(ctx, args...)
		if err != nil {
			return nil, err
		}
		last, err := res.LastInsertId()
		if err != nil {
			return nil, err
		}
		for i := range n { // nobody else adds any, so they are without a gap
			seqs = append(seqs, last-int64(n-1-i))
		}
		rest = rest[n:]
	}
	return seqs, addToBlocks(ctx, tx, requests, seqs)
}

// insertInChunks adds requests on a server, whose rows come back in the order in
// which they were given.
func insertInChunks(ctx context.Context, tx *sql.Tx, requests []Request) (seqs []int64, err error) {
	for chunk := range slices.Chunk(requests, requestRows) {
		args := make([]any, 0, len(chunk)*requestColumnCount)
		for i := range chunk {
			args = chunk[i].appendTo(args)
		}
		// The connection keeps the statement prepared.
		rows, err := tx.QueryContext(ctx, insertRequests(len(chunk))+" RETURNING seq", args...)
		if err != nil {
			return nil, err
		}
		if seqs, err = appendSeqs(seqs, rows); err != nil {
			return nil, err
		}
	}
	// Who is given another's number would be shown another's request.
	if len(seqs) != len(requests) || !slices.IsSorted(seqs) {
		return nil, fmt.Errorf("the database gave %d requests %d numbers, or not in their order", len(requests), len(seqs))
	}
	return seqs, nil
}

// appendSeqs reads rows of one number each, and closes them.
func appendSeqs(seqs []int64, rows *sql.Rows) ([]int64, error) {
	defer rows.Close()
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return nil, err
		}
		seqs = append(seqs, seq)
	}
	return seqs, rows.Err()
}

// Requests returns requests, newest first: by the time they came, and those of
// one time by Seq. A filter by one field, or by a pool and another field, reads
// no rows but those it returns, or, on SQLite, those stored at about the same
// time; more fields at once may read more. A page whose Before was pruned is
// empty.
//
// With After they come oldest first, by Seq, so that whoever follows the log
// goes on with the last Seq as the next After. A request has a greater Seq than
// all that could be read before it, also with several gateways on one
// PostgreSQL, so none is left out; but of the requests after After only the
// newest MaxAfter are looked at, since any number of them may not match.
func (s *Store) Requests(ctx context.Context, f RequestFilter) ([]Request, error) {
	read := s.requestsOnSQLite
	switch {
	case f.After > 0:
		read = s.requestsAfter
	case s.server:
		read = s.requestsOnServer
	}
	requests, err := read(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	return requests, nil
}

func (s *Store) requestsOnServer(ctx context.Context, f RequestFilter) ([]Request, error) {
	after, found, err := timeOf(ctx, s.read, f.Before)
	if err != nil || !found {
		return nil, err
	}
	query, args := s.requestsQuery(f, after)
	return rowsOf(ctx, s.read, scanRequest, query, args...)
}

// timeOf is when a cursor's request came; 0 is no cursor. It isn't found when it
// was pruned, and the older ones before it.
func timeOf(ctx context.Context, q queryer, cursor int64) (at time.Time, found bool, err error) {
	if cursor <= 0 {
		return time.Time{}, true, nil
	}
	var stored int64
	err = q.QueryRowContext(ctx, "SELECT at FROM requests WHERE seq = $1", cursor).Scan(&stored)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, false, nil
	}
	return fromMicros(stored), err == nil, err
}

func (s *Store) requestsAfter(ctx context.Context, f RequestFilter) ([]Request, error) {
	var newest int64
	if err := s.read.QueryRowContext(ctx, "SELECT COALESCE(MAX(seq), 0) FROM requests").Scan(&newest); err != nil {
		return nil, err
	}
	f.After = max(f.After, newest-MaxAfter)
	query, args := s.requestsAfterQuery(f)
	return rowsOf(ctx, s.read, scanRequest, query, args...)
}

func scanRequest(row row) (Request, error) {
	var r Request
	var at, queued, first, total int64
	err := row.Scan(&r.Seq, &r.ID, &at, &r.PoolID, &r.PoolName, &r.KeyID, &r.KeyName, &r.SessionID, &r.Instance, &r.Stream, &r.Method, &r.Path,
		&r.Name, &r.Purpose, &r.Project, &r.Outcome, &r.Code, &r.Reason, &r.Status, &queued, &first, &total, &r.BytesIn, &r.BytesOut)
	r.At = fromMicros(at)
	r.Queued, r.FirstByte, r.Total = duration(queued), duration(first), duration(total)
	return r, err
}

func duration(micros int64) time.Duration { return time.Duration(micros) * time.Microsecond }
