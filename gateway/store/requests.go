package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

// Bounds of a request's strings that are filters too.
const (
	maxRequestID = 128
	maxName      = 256
	maxProject   = 512
	maxOutcome   = 32
)

// RequestFilter selects requests. Fields that are zero select all.
type RequestFilter struct {
	PoolID  string
	KeyID   string
	Outcome string
	Name    string
	Project string
	ID      string
	From    time.Time // came at this time or later
	To      time.Time // came before this time
	Before  int64     // older than the request with this Seq, for the next page
	Limit   int       // 0 or more than MaxPage: MaxPage
}

const requestColumns = "id, at, pool_id, pool_name, key_id, key_name, session_id, instance, stream, method, path, name, purpose, project, " +
	"outcome, code, reason, status, queued, first_byte, total, bytes_in, bytes_out"

// requestRows is how many requests one statement adds on a server, to which each
// statement is a journey. On SQLite it is one: a parameter there is found by
// going through all that come before it.
const requestRows = 100

// requestColumnCount is how many requestColumns there are.
var requestColumnCount = strings.Count(requestColumns, ",") + 1

func insertRequests(rows int) string {
	return "INSERT INTO requests (" + requestColumns + ") VALUES " + values(rows, requestColumnCount)
}

// args are the values of requestColumns.
func (r Request) args() []any {
	return []any{clip(r.ID, maxRequestID), micros(r.At), clip(r.PoolID, maxID), clip(r.PoolName, 64), clip(r.KeyID, maxID), clip(r.KeyName, 64),
		clip(r.SessionID, 128), clip(r.Instance, maxInstance), r.Stream, clip(r.Method, 32), clip(r.Path, 2048),
		clip(r.Name, maxName), clip(r.Purpose, 512), clip(r.Project, maxProject), clip(r.Outcome, maxOutcome), clip(r.Code, 64), clip(r.Reason, 1024),
		r.Status, r.Queued.Microseconds(), r.FirstByte.Microseconds(), r.Total.Microseconds(), r.BytesIn, r.BytesOut}
}

// AddRequests adds requests to the log, all or none, and counts them for
// [Store.Traffic]. Their Seq is not looked at.
func (s *Store) AddRequests(ctx context.Context, requests []Request) error {
	if len(requests) == 0 {
		return nil
	}
	err := s.inTx(ctx, turnToLog, func(tx *sql.Tx) error {
		rows := requestRows
		insert := func(args []any) error { // the connection keeps it prepared
			_, err := tx.ExecContext(ctx, insertRequests(len(args)/requestColumnCount), args...)
			return err
		}
		if !s.server {
			one, err := tx.PrepareContext(ctx, insertRequests(1)) // closed with the transaction
			if err != nil {
				return err
			}
			rows = 1
			insert = func(args []any) error {
				_, err := one.ExecContext(ctx, args...)
				return err
			}
		}
		for chunk := range slices.Chunk(requests, rows) {
			args := make([]any, 0, rows*requestColumnCount)
			for _, r := range chunk {
				args = append(args, r.args()...)
			}
			if err := insert(args); err != nil {
				return err
			}
		}
		return countTraffic(ctx, tx, requests)
	})
	if err != nil {
		return fmt.Errorf("store requests: %w", err)
	}
	return nil
}

// Requests returns requests, newest first: by the time they came, and those of
// one time by Seq. A filter by one field, or by a pool and another field, reads
// no rows but those it returns; more fields at once may read more.
func (s *Store) Requests(ctx context.Context, f RequestFilter) ([]Request, error) {
	var after time.Time
	if f.Before > 0 {
		var at int64
		err := s.read.QueryRowContext(ctx, "SELECT at FROM requests WHERE seq = $1", f.Before).Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil // pruned, and the older ones before it
		}
		if err != nil {
			return nil, fmt.Errorf("read requests: %w", err)
		}
		after = fromMicros(at)
	}
	query, args := s.requestsQuery(f, after)
	requests, err := rowsOf(ctx, s.read, scanRequest, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read requests: %w", err)
	}
	return requests, nil
}

// requestsQuery makes the query for a filter, of which Before came at the time
// after.
func (s *Store) requestsQuery(f RequestFilter, after time.Time) (query string, args []any) {
	var where conditions
	for _, is := range []struct {
		column, value string
		max           int
	}{
		{"pool_id", f.PoolID, maxID}, {"key_id", f.KeyID, maxID}, {"outcome", f.Outcome, maxOutcome},
		{"name", f.Name, maxName}, {"project", f.Project, maxProject}, {"id", f.ID, maxRequestID},
	} {
		if is.value != "" {
			where.add(is.column+" = %s", clip(is.value, is.max))
		}
	}
	at := "at"
	switch {
	case !s.server:
	case len(where.words) == 0:
		at = s.byTime()
	case f.PoolID == "" || f.ID != "":
		at = "(at + 0)"
	}
	if !f.From.IsZero() {
		where.add(at+" >= %s", micros(f.From))
	}
	if !f.To.IsZero() {
		where.add(at+" < %s", micros(f.To))
	}
	if f.Before > 0 {
		where.add("("+at+", seq) < (%s, %s)", micros(after), f.Before)
	}
	from := " FROM requests"
	if !s.server {
		// PostgreSQL knows how many rows a value has. SQLite guesses, and
		// prefers a span of time to a second column.
		from += " INDEXED BY " + requestIndex(f)
	}
	query = "SELECT seq, " + requestColumns + from + where.String() +
		" ORDER BY " + at + " DESC, seq DESC LIMIT " + where.arg(page(f.Limit))
	return query, where.args
}

// byTime is what the index by time alone sorts by. The migration says why there
// are several.
func (s *Store) byTime() string {
	if s.server {
		return "(at - 0)"
	}
	return "at"
}

// requestIndex is the index that begins with a filter's columns, or with those
// that leave the fewest rows if it has more than an index.
func requestIndex(f RequestFilter) string {
	if f.ID != "" {
		return "requests_by_id"
	}
	index := "requests_by"
	if f.PoolID != "" {
		index += "_pool"
	}
	switch {
	case f.Project != "":
		index += "_project"
	case f.Name != "":
		index += "_name"
	case f.KeyID != "":
		index += "_key"
	case f.Outcome != "":
		index += "_outcome"
	case f.PoolID == "":
		index += "_at"
	}
	return index
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

// pruneRows is how many requests one transaction removes: tens of milliseconds
// for which other writers wait.
const pruneRows = 500

// PruneRequests removes the requests that came before a time (zero: of any
// time) and those beyond the newest keepRows (0: any number), and returns how
// many it removed. It does so in small steps between which other writers get
// their turn. It removes old counts of the traffic as well.
func (s *Store) PruneRequests(ctx context.Context, before time.Time, keepRows int64) (removed int64, err error) {
	if !before.IsZero() {
		removed, err = s.pruneWhere(ctx, s.byTime()+" < $1", micros(before))
	}
	if err == nil && keepRows > 0 {
		var at, seq int64
		err = s.read.QueryRowContext(ctx, "SELECT at, seq FROM requests ORDER BY "+s.byTime()+" DESC, seq DESC LIMIT 1 OFFSET $1", keepRows).Scan(&at, &seq)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			err = nil
		case err == nil:
			var n int64
			n, err = s.pruneWhere(ctx, "("+s.byTime()+", seq) <= ($1, $2)", at, seq)
			removed += n
		}
	}
	if err == nil {
		err = s.pruneTraffic(ctx)
	}
	if err != nil {
		return removed, fmt.Errorf("remove old requests: %w", err)
	}
	return removed, nil
}

// pruneWhere removes what matches, oldest first, so that a page's cursor is gone
// only when all that is older is.
func (s *Store) pruneWhere(ctx context.Context, where string, args ...any) (removed int64, err error) {
	query := s.pruneQuery(where)
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

func (s *Store) pruneQuery(where string) string {
	return fmt.Sprintf("DELETE FROM requests WHERE seq IN (SELECT seq FROM requests WHERE %s ORDER BY %s, seq LIMIT %d)", where, s.byTime(), pruneRows)
}
