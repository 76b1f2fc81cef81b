package api

import (
	"net/http"
	"time"

	"vcsagent/gateway/store"
)

// Request is one that went through the gateway, or didn't.
type Request struct {
	Seq       int64     `json:"seq"` // its number in the log; 0 if it couldn't be stored
	ID        string    `json:"id"`  // X-Request-Id; not unique
	Time      time.Time `json:"time"`
	PoolID    string    `json:"pool_id"` // "" while no pool was known
	Pool      string    `json:"pool"`    // the name it had
	KeyID     string    `json:"key_id"`  // "" while no key was known
	Key       string    `json:"key"`     // the name it had
	Session   string    `json:"session"` // the agent's, "" if no agent got it
	Instance  string    `json:"instance"`
	Stream    int       `json:"stream"` // of the session, from 1; 0 is none
	Method    string    `json:"method"`
	Path      string    `json:"path"`    // with secrets in it masked
	Name      string    `json:"name"`    // of the call, as the agent told
	Purpose   string    `json:"purpose"` // what the call is for
	Project   string    `json:"project"`
	Outcome   string    `json:"outcome"` // served, denied, refused, vcs_error, no_agent, …
	Code      string    `json:"code"`    // of the gateway's or the agent's own answer
	Reason    string    `json:"reason"`  // of a denial
	Status    int       `json:"status"`  // HTTP
	Queued    float64   `json:"queued"`  // seconds that it waited for a stream
	FirstByte float64   `json:"first_byte"`
	Elapsed   float64   `json:"elapsed"`   // seconds to the answer's end
	BytesIn   int64     `json:"bytes_in"`  // of the request's body
	BytesOut  int64     `json:"bytes_out"` // of the answer's
}

// RequestFilter selects requests. Fields that are zero select all.
type RequestFilter struct {
	Pool    string // a name or an ID, also of a pool that was deleted
	Key     string // as Pool
	Outcome string
	Name    string // of the call
	Project string
	ID      string
	From    time.Time // came at this time or later
	To      time.Time // came before this time
	Before  string    // a page's Next, for the page after it
	Limit   int       // 0 is 100; at most 1000
}

// RequestPage is a part of the log of requests, newest first.
type RequestPage struct {
	Requests []Request `json:"requests"`
	Next     string    `json:"next,omitempty"` // for RequestFilter.Before; "" at the end
}

func (s *server) listRequests(_ http.ResponseWriter, r *request) (answer, error) {
	f, err := s.requestFilter(r)
	if err != nil {
		return answer{}, err
	}
	f.Before, f.Limit = r.query.before(), r.query.limit()
	if r.query.refused != nil {
		return answer{}, r.query.refused
	}
	page, err := s.control.Requests(r.Context(), f)
	if err != nil {
		return answer{}, err
	}
	list := RequestPage{Requests: []Request{}}
	for _, stored := range page {
		list.Requests = append(list.Requests, requestOf(stored))
	}
	if len(page) == f.Limit { // is there more?
		f.Before, f.Limit = page[len(page)-1].Seq, 1
		more, err := s.control.Requests(r.Context(), f)
		if err != nil {
			return answer{}, err
		}
		if len(more) > 0 {
			list.Next = cursorAfter(f.Before)
		}
	}
	return ok(list)
}

// requestFilter reads what selects requests, but for the page.
func (s *server) requestFilter(r *request) (store.RequestFilter, error) {
	q := r.query
	f := store.RequestFilter{Outcome: q.text("outcome"), Name: q.text("name"), Project: q.text("project"), ID: q.text("id"),
		From: q.time("from", time.Time{}), To: q.time("to", time.Time{})}
	if q.refused != nil {
		return f, q.refused
	}
	var err error
	if f.PoolID, err = s.pool(r); err != nil {
		return f, err
	}
	if key := q.text("key"); key != "" {
		if f.KeyID, err = s.control.KeyID(r.Context(), key); err != nil {
			return f, missing(err, http.StatusUnprocessableEntity, codeUnknownKey)
		}
	}
	return f, nil
}

// pool is the ID of the pool that the query names, "" if it names none.
func (s *server) pool(r *request) (string, error) {
	name := r.query.text("pool")
	if name == "" {
		return "", nil
	}
	id, err := s.control.PoolID(r.Context(), name)
	return id, missing(err, http.StatusUnprocessableEntity, codeUnknownPool)
}

// requestOf is a request as it is stored, to the microsecond, also when it comes
// to a follower directly.
func requestOf(r store.Request) Request {
	seconds := func(d time.Duration) float64 { return d.Truncate(time.Microsecond).Seconds() }
	return Request{Seq: r.Seq, ID: r.ID, Time: r.At.UTC().Truncate(time.Microsecond), PoolID: r.PoolID, Pool: r.PoolName, KeyID: r.KeyID, Key: r.KeyName,
		Session: r.SessionID, Instance: r.Instance, Stream: r.Stream, Method: r.Method, Path: r.Path, Name: r.Name, Purpose: r.Purpose,
		Project: r.Project, Outcome: r.Outcome, Code: r.Code, Reason: r.Reason, Status: r.Status,
		Queued: seconds(r.Queued), FirstByte: seconds(r.FirstByte), Elapsed: seconds(r.Total), BytesIn: r.BytesIn, BytesOut: r.BytesOut}
}
