package store

import "time"

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
	// After is for following the log: only requests with a greater Seq, oldest
	// first by Seq. Before is not looked at then.
	After int64
	Limit int // 0 or more than MaxPage: MaxPage
}

// MaxAfter bounds the requests that are looked at for [RequestFilter.After]: when
// none of them matches it takes some 70 ms.
const MaxAfter = 50_000

// requestFields are the fields that a filter compares: for the query and for
// [RequestFilter.Matches] alike.
var requestFields = []struct {
	column string
	max    int
	kind   blockKind // noKind: a block isn't found by it alone
	want   func(*RequestFilter) string
	is     func(*Request) string
}{
	{"pool_id", maxID, noKind, func(f *RequestFilter) string { return f.PoolID }, func(r *Request) string { return r.PoolID }},
	{"key_id", maxID, keyKind, func(f *RequestFilter) string { return f.KeyID }, func(r *Request) string { return r.KeyID }},
	{"outcome", maxOutcome, outcomeKind, func(f *RequestFilter) string { return f.Outcome }, func(r *Request) string { return r.Outcome }},
	{"name", maxName, nameKind, func(f *RequestFilter) string { return f.Name }, func(r *Request) string { return r.Name }},
	{"project", maxProject, projectKind, func(f *RequestFilter) string { return f.Project }, func(r *Request) string { return r.Project }},
	{"id", maxRequestID, noKind, func(f *RequestFilter) string { return f.ID }, func(r *Request) string { return r.ID }},
}

// Matches says whether a filter selects a request, stored or not, by its fields
// and time. Before, After and Limit are not looked at.
func (f RequestFilter) Matches(r Request) bool {
	for _, field := range requestFields {
		if want := field.want(&f); want != "" && clip(want, field.max) != clip(field.is(&r), field.max) {
			return false
		}
	}
	return (f.From.IsZero() || micros(r.At) >= micros(f.From)) && (f.To.IsZero() || micros(r.At) < micros(f.To))
}

// requestsAfterQuery goes up from After by the primary key and by no other
// index: one for the filter's fields would first find all that ever matched.
func (s *Store) requestsAfterQuery(f RequestFilter) (query string, args []any) {
	var where conditions
	after := "seq > " + where.arg(f.After)
	from := " FROM requests NOT INDEXED" // SQLite's words for it
	if s.server {
		// OFFSET 0 keeps the planner from taking the outer conditions in.
		from = " FROM (SELECT * FROM requests WHERE " + after + " ORDER BY seq OFFSET 0) AS requests"
	} else {
		where.words = append(where.words, after)
	}
	where.addFields(f)
	where.addTimes(f, "at")
	return "SELECT seq, " + requestColumns + from + where.String() + " ORDER BY seq LIMIT " + where.arg(page(f.Limit)), where.args
}

// requestsQuery makes the query for a filter, of which Before came at the time
// after. On SQLite the filter has an ID.
func (s *Store) requestsQuery(f RequestFilter, after time.Time) (query string, args []any) {
	var where conditions
	where.addFields(f)
	from, at := " FROM requests INDEXED BY requests_by_id", "at"
	if s.server {
		from = " FROM requests"
		switch {
		case len(where.words) == 0:
			at = byTime
		case f.PoolID == "" || f.ID != "":
			at = "(at + 0)"
		}
	}
	where.addTimes(f, at)
	if f.Before > 0 {
		where.add("("+at+", seq) < (%s, %s)", micros(after), f.Before)
	}
	query = "SELECT seq, " + requestColumns + from + where.String() +
		" ORDER BY " + at + " DESC, seq DESC LIMIT " + where.arg(page(f.Limit))
	return query, where.args
}

// addFields adds what a filter says of columns.
func (c *conditions) addFields(f RequestFilter) {
	for _, field := range requestFields {
		if want := field.want(&f); want != "" {
			c.add(field.column+" = %s", clip(want, field.max))
		}
	}
}

// addTimes adds a filter's times; at is the expression to compare.
func (c *conditions) addTimes(f RequestFilter, at string) {
	if !f.From.IsZero() {
		c.add(at+" >= %s", micros(f.From))
	}
	if !f.To.IsZero() {
		c.add(at+" < %s", micros(f.To))
	}
}

// byTime is what a server's index by time alone sorts by. The migration says why
// there are several.
const byTime = "(at - 0)"
