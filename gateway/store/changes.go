package store

import (
	"maps"
	"strconv"
	"strings"
	"time"
)

// facts are a thing's fields as the audit log shows them.
type facts map[string]string

// changes are the facts that differ from those before.
func (f facts) changes(before facts) facts {
	changed := facts{}
	for name, value := range f {
		if before[name] != value {
			changed[name] = value
		}
	}
	return changed
}

func (l Limits) facts() facts {
	return facts{
		"requests_per_second": strconv.FormatFloat(l.RequestsPerSecond, 'g', -1, 64),
		"burst":               strconv.Itoa(l.Burst),
		"in_flight":           strconv.Itoa(l.InFlight),
		"body_bytes":          strconv.FormatInt(l.BodyBytes, 10),
		"queue_length":        strconv.Itoa(l.QueueLength),
		"queue_wait":          l.QueueWait.String(),
	}
}

func (p Pool) facts() facts {
	f := p.Limits.facts()
	maps.Copy(f, facts{
		"description":     p.Description,
		"paused":          strconv.FormatBool(p.Paused),
		"max_parallelism": strconv.Itoa(p.MaxParallelism),
		"networks":        formatNetworks(p.Networks),
	})
	return f
}

func (k Key) facts() facts {
	f := k.Limits.facts()
	maps.Copy(f, facts{
		"admin":   strconv.FormatBool(k.Admin),
		"pools":   strings.Join(k.PoolIDs, " "),
		"expires": expiry(k.ExpiresAt),
	})
	return f
}

func expiry(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}
