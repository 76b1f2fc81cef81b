package store

import "time"

// RequestsQuery is the query that Requests runs, on a server or on SQLite.
func RequestsQuery(server bool, f RequestFilter, after time.Time) (string, []any) {
	return (&Store{server: server}).requestsQuery(f, after)
}

// RequestsAfterQuery is the query that Requests runs with After.
func RequestsAfterQuery(server bool, f RequestFilter) (string, []any) {
	return (&Store{server: server}).requestsAfterQuery(f)
}

// PruneQuery is what PruneRequests runs by age.
func PruneQuery(server bool) string {
	s := &Store{server: server}
	return s.pruneQuery(s.byTime() + " < $1")
}

// PruneRows is how many requests one transaction removes.
const PruneRows = pruneRows

// ReadSession are the settings with which a server plans queries.
var ReadSession = readSession
