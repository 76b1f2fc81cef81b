package store

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"
)

// Limits bound what callers may use, per key or per pool. A field that is zero
// leaves the matter to the gateway's settings.
type Limits struct {
	RequestsPerSecond float64       // on the average; at most MaxRequestsPerSecond
	Burst             int           // requests at once beyond the average; at most MaxRequests
	InFlight          int           // requests under way at a time; at most MaxRequests
	BodyBytes         int64         // of one request's body; at most MaxBodyBytes
	QueueLength       int           // requests that may wait for a stream; at most MaxRequests
	QueueWait         time.Duration // how long one may wait, to the microsecond; at most MaxQueueWait
}

// Bounds of limits: what is beyond them is a slip of the finger.
const (
	MaxRequestsPerSecond = 1_000_000
	MaxRequests          = 1_000_000
	MaxBodyBytes         = 1 << 40
	MaxQueueWait         = 10 * time.Minute
	// MaxParallelism is the most that an agent can ask for, so a higher cap on
	// it would be none.
	MaxParallelism = 256
	// MaxNetworks bounds a pool's list of networks, which is gone through when
	// an agent connects.
	MaxNetworks = 64
)

const limitColumns = "requests_per_second, burst, in_flight, body_bytes, queue_length, queue_wait"

// args are the values of limitColumns.
func (l Limits) args() []any {
	return []any{l.RequestsPerSecond, l.Burst, l.InFlight, l.BodyBytes, l.QueueLength, l.QueueWait.Microseconds()}
}

// dest is where to scan limitColumns; the returned function ends it.
func (l *Limits) dest() (dest []any, done func()) {
	var wait int64
	return []any{&l.RequestsPerSecond, &l.Burst, &l.InFlight, &l.BodyBytes, &l.QueueLength, &wait},
		func() { l.QueueWait = time.Duration(wait) * time.Microsecond }
}

func checkLimits(l Limits) error {
	if r := l.RequestsPerSecond; !(r == 0 || r >= 0.001 && r <= MaxRequestsPerSecond) || math.IsNaN(r) {
		return &InvalidError{"requests_per_second", fmt.Sprintf("%v requests per second are not allowed: "+
			"use 0.001 to %d, or 0 for the gateway's own limit", r, MaxRequestsPerSecond)}
	}
	for _, n := range []struct {
		field, what string
		value, max  int64
	}{
		{"burst", "a burst of %d requests", int64(l.Burst), MaxRequests},
		{"in_flight", "%d requests in flight", int64(l.InFlight), MaxRequests},
		{"body_bytes", "bodies of %d bytes", l.BodyBytes, MaxBodyBytes},
		{"queue_length", "a queue of %d requests", int64(l.QueueLength), MaxRequests},
	} {
		if n.value < 0 || n.value > n.max {
			return &InvalidError{n.field, fmt.Sprintf("the limit of "+n.what+" is not allowed: use 1 to %d, or 0 for the gateway's own limit",
				n.value, n.max)}
		}
	}
	if w := l.QueueWait; w < 0 || w > MaxQueueWait || w%time.Microsecond != 0 {
		return &InvalidError{"queue_wait", fmt.Sprintf("%v is no time to wait in the queue: "+
			"use up to %v in whole microseconds, or 0 for the gateway's own limit", w, MaxQueueWait)}
	}
	return nil
}

func checkParallelism(n int) error {
	if n < 0 || n > MaxParallelism {
		return &InvalidError{"max_parallelism", fmt.Sprintf("a parallelism of %d is not allowed: use 1 to %d, or 0 for no cap", n, MaxParallelism)}
	}
	return nil
}

func checkNetworks(networks []netip.Prefix) error {
	if len(networks) > MaxNetworks {
		return &InvalidError{"networks", fmt.Sprintf("there are %d networks: at most %d are allowed", len(networks), MaxNetworks)}
	}
	for _, n := range networks {
		switch {
		case !n.IsValid():
			return &InvalidError{"networks", "one of the networks is none: use the form 10.1.0.0/16 or 2001:db8::/32"}
		case n.Addr().Is4In6():
			return &InvalidError{"networks", fmt.Sprintf("the network %s is IPv4 written as IPv6: use the form 10.1.0.0/16", n)}
		case n != n.Masked():
			return &InvalidError{"networks", fmt.Sprintf("the network %s has bits set after its prefix: is %s meant, or the one address %s?",
				n, n.Masked(), netip.PrefixFrom(n.Addr(), n.Addr().BitLen()))}
		}
	}
	return nil
}

// formatNetworks is how networks are stored.
func formatNetworks(networks []netip.Prefix) string {
	words := make([]string, len(networks))
	for i, n := range networks {
		words[i] = n.String()
	}
	return strings.Join(words, " ")
}

// parseNetworks reads what formatNetworks wrote. One that can't be read fails,
// since without it the pool would be open to more.
func parseNetworks(s string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for word := range strings.FieldsSeq(s) {
		n, err := netip.ParsePrefix(word)
		if err != nil {
			return nil, fmt.Errorf("stored network: %w", err)
		}
		networks = append(networks, n)
	}
	return networks, nil
}
