package main

import (
	"cmp"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"vcsagent/gateway/api"
)

// limitFlags are the limits of a pool or a key as flags. Only those that are given
// count; 0 is no limit; for the queue the pool's hold then, or
// the gateway's settings.
type limitFlags struct {
	perSecond               float64
	burst, inFlight, queued int
	bodyBytes               int64
	wait                    time.Duration
}

func (l *limitFlags) declare(f *pflag.FlagSet) {
	f.Float64Var(&l.perSecond, "requests-per-second", 0, "`NUMBER` of requests a second, on the average; 0, as below: no limit")
	f.IntVar(&l.burst, "burst", 0, "`NUMBER` of requests at once; 0: as many as in a second")
	f.IntVar(&l.inFlight, "in-flight", 0, "`NUMBER` of requests under way at a time")
	f.Int64Var(&l.bodyBytes, "body-bytes", 0, "`BYTES` of one request's body")
	f.IntVar(&l.queued, "queue-length", 0, "`NUMBER` of requests that may wait for a free stream; 0: no limit of its own")
	f.DurationVar(&l.wait, "queue-wait", 0, "how long one may wait; 0: no limit of its own")
}

// all returns the limits for what is new.
func (l *limitFlags) all() api.Limits {
	return api.Limits{
		RequestsPerSecond: l.perSecond, Burst: l.burst, InFlight: l.inFlight,
		BodyBytes: l.bodyBytes, QueueLength: l.queued, QueueWait: l.wait.Seconds(),
	}
}

// given returns the limits that are to change, nil if none is.
func (l *limitFlags) given(f *pflag.FlagSet) *api.LimitsChange {
	var c api.LimitsChange
	wait := l.wait.Seconds()
	any := false
	any = given(f, "requests-per-second", &c.RequestsPerSecond, &l.perSecond) || any
	any = given(f, "burst", &c.Burst, &l.burst) || any
	any = given(f, "in-flight", &c.InFlight, &l.inFlight) || any
	any = given(f, "body-bytes", &c.BodyBytes, &l.bodyBytes) || any
	any = given(f, "queue-length", &c.QueueLength, &l.queued) || any
	any = given(f, "queue-wait", &c.QueueWait, &wait) || any
	if !any {
		return nil
	}
	return &c
}

// given puts a flag's value into a change's field, if the flag was given.
func given[T any](f *pflag.FlagSet, flag string, field **T, value *T) bool {
	if !f.Changed(flag) {
		return false
	}
	*field = value
	return true
}

// limitPairs adds a row for each limit to a table of names and values. queue is
// what holds for the queue without limits of its own.
func limitPairs(t *table, l api.Limits, queue string) {
	bytes, wait := "", ""
	if l.BodyBytes != 0 {
		bytes = size(l.BodyBytes)
	}
	if l.QueueWait != 0 {
		wait = seconds(l.QueueWait)
	}
	const unlimited = "no limit"
	t.add("requests a second", cmp.Or(number(l.RequestsPerSecond), unlimited))
	t.add("burst", cmp.Or(number(l.Burst), "as many as a second"))
	t.add("in flight", cmp.Or(number(l.InFlight), unlimited))
	t.add("body", cmp.Or(bytes, unlimited))
	t.add("queue", cmp.Or(number(l.QueueLength), queue))
	t.add("wait in the queue", cmp.Or(wait, queue))
}

// list shows names in a cell.
func list(names []string) string { return strings.Join(names, ", ") }
