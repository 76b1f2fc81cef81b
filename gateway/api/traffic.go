package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"vcsagent/gateway/store"
)

const (
	// trafficSpan is what is counted when the request names no time.
	trafficSpan = 24 * time.Hour
	// trafficBucket is the span of a count when the request names none.
	trafficBucket = time.Hour
)

// Bucket counts the requests that came within a span of time.
type Bucket struct {
	Start  time.Time `json:"start"`
	Served int64     `json:"served"` // the VCS answered
	Denied int64     `json:"denied"` // the agent's allowlist or the gateway said no
	Failed int64     `json:"failed"` // all else, also what the caller broke off
}

// Traffic counts requests in buckets of time, oldest first.
type Traffic struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Bucket  float64   `json:"bucket"` // seconds
	Buckets []Bucket  `json:"buckets"`
}

// TrafficFilter selects what to count. Fields that are zero select all pools, the
// last 24 hours, and buckets of an hour.
type TrafficFilter struct {
	Pool     string // a name or an ID, also of a pool that was deleted
	From, To time.Time
	Bucket   time.Duration // whole minutes
}

func (s *server) showTraffic(_ http.ResponseWriter, r *request) (answer, error) {
	q := r.query
	to := q.time("to", time.Now())
	from := q.time("from", to.Add(-trafficSpan))
	bucket := q.duration("bucket", trafficBucket)
	switch {
	case q.refused != nil:
		return answer{}, q.refused
	case !from.Before(to):
		return answer{}, &store.InvalidError{Field: "from", Problem: fmt.Sprintf("from %s is not before to %s",
			from.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))}
	}
	pool, err := s.pool(r)
	if err != nil {
		return answer{}, err
	}
	counted, err := s.control.Traffic(r.Context(), pool, from, to, bucket)
	if err != nil {
		return answer{}, err
	}
	t := Traffic{From: from.UTC(), To: to.UTC(), Bucket: bucket.Seconds(), Buckets: []Bucket{}}
	for _, b := range counted {
		t.Buckets = append(t.Buckets, Bucket(b))
	}
	return ok(t)
}

// duration is a parameter's number of seconds, or otherwise.
func (q *query) duration(name string, otherwise time.Duration) time.Duration {
	text := q.text(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseFloat(text, 64)
	d, fits := durationOf(n)
	if err != nil || !fits {
		q.refuse(name, text, "a number of seconds")
	}
	return d
}
