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
	want   func(*RequestFilter) string
	is     func(*Request) string
}{
	{"pool_id", maxID, func(f *RequestFilter) string { return f.PoolID }, func(r *Request) string { return r.PoolID }},
	{"key_id", maxID, func(f *RequestFilter) string { return f.KeyID }, func(r *Request) string { return r.KeyID }},
	{"outcome", maxOutcome, func(f *RequestFilter) string { return f.Outcome }, func(r *Request) string { return r.Outcome }},
	{"name", maxName, func(f *RequestFilter) string { return f.Name }, func(r *Request) string { return r.Name }},
	{"project", maxProject, func(f *RequestFilter) string { return f.Project }, func(r *Request) string { return r.Project }},
	{"id", maxRequestID, func(f *RequestFilter) string { return f.ID }, func(r *Request) string { return r.ID }},
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
// after.
func (s *Store) requestsQuery(f RequestFilter, after time.Time) (query string, args []any) {
	var where conditions
	where.addFields(f)
	at := "at"
	switch {
	case !s.server:
	case len(where.words) == 0:
		at = s.byTime()
	case f.PoolID == "" || f.ID != "":
		at = "(at + 0)"
	}
	where.addTimes(f, at)
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
