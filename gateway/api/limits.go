package api

import "vcsagent/gateway/store"

// Limits bound what callers may use, per key or per pool. A field that is 0
// leaves the matter to the gateway's settings.
type Limits struct {
	RequestsPerSecond float64 `json:"requests_per_second"` // on the average
	Burst             int     `json:"burst"`               // requests at once beyond the average
	InFlight          int     `json:"in_flight"`           // requests under way at a time
	BodyBytes         int64   `json:"body_bytes"`          // of one request's body
	QueueLength       int     `json:"queue_length"`        // requests that may wait for a stream
	QueueWait         float64 `json:"queue_wait"`          // seconds that one may wait
}

// LimitsChange says what to change of limits; nil leaves a field alone.
type LimitsChange struct {
	RequestsPerSecond *float64 `json:"requests_per_second,omitempty"`
	Burst             *int     `json:"burst,omitempty"`
	InFlight          *int     `json:"in_flight,omitempty"`
	BodyBytes         *int64   `json:"body_bytes,omitempty"`
	QueueLength       *int     `json:"queue_length,omitempty"`
	QueueWait         *float64 `json:"queue_wait,omitempty"` // seconds
}

func limitsOf(l store.Limits) Limits {
	return Limits{l.RequestsPerSecond, l.Burst, l.InFlight, l.BodyBytes, l.QueueLength, l.QueueWait.Seconds()}
}

// limitFields are the fields of a body's limits; those that are absent leave l
// as it is.
func limitFields(l *store.Limits) object {
	return object{
		"requests_per_second": {&l.RequestsPerSecond, "a number"},
		"burst":               {&l.Burst, wholeNumber},
		"in_flight":           {&l.InFlight, wholeNumber},
		"body_bytes":          {&l.BodyBytes, wholeNumber},
		"queue_length":        {&l.QueueLength, wholeNumber},
		"queue_wait":          {(*seconds)(&l.QueueWait), "a number of seconds from 0 to 600"},
	}
}

const wholeNumber = "a whole number"
