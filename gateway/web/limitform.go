package web

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
)

// limitForm is limits as somebody types them; "" leaves the matter to the
// gateway's settings.
type limitForm struct {
	RequestsPerSecond, Burst, InFlight, BodySize, QueueLength, QueueWait string
}

func limitFormOf(l store.Limits) limitForm {
	whole := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	f := limitForm{Burst: whole(l.Burst), InFlight: whole(l.InFlight), QueueLength: whole(l.QueueLength)}
	if l.RequestsPerSecond != 0 {
		f.RequestsPerSecond = strconv.FormatFloat(l.RequestsPerSecond, 'f', -1, 64)
	}
	if l.BodyBytes != 0 {
		f.BodySize = exactSize(l.BodyBytes)
	}
	if l.QueueWait != 0 {
		f.QueueWait = l.QueueWait.String()
	}
	return f
}

// readLimits reads the limits of a form that was sent. What is no number at all
// is told in problems; what is no allowed one, by the store.
func readLimits(form url.Values, problems problems) (limitForm, store.Limits) {
	get := func(name string) string { return strings.TrimSpace(form.Get(name)) }
	f := limitForm{get("requests_per_second"), get("burst"), get("in_flight"), get("body_bytes"), get("queue_length"), get("queue_wait")}
	var l store.Limits
	if f.RequestsPerSecond != "" {
		n, err := strconv.ParseFloat(f.RequestsPerSecond, 64)
		if err != nil {
			problems["requests_per_second"] = fmt.Sprintf("%q is no number: write it as 20 or 0.5.", control.Shown(f.RequestsPerSecond))
		}
		l.RequestsPerSecond = n
	}
	for _, field := range []struct {
		name, typed string
		value       *int
	}{{"burst", f.Burst, &l.Burst}, {"in_flight", f.InFlight, &l.InFlight}, {"queue_length", f.QueueLength, &l.QueueLength}} {
		*field.value = wholeNumber(field.name, field.typed, problems)
	}
	if f.BodySize != "" {
		n, ok := parseSize(f.BodySize)
		if !ok {
			problems["body_bytes"] = fmt.Sprintf("%q is no size: write it as 10 MiB, or in bytes.", control.Shown(f.BodySize))
		}
		l.BodyBytes = n
	}
	if f.QueueWait != "" {
		d, err := time.ParseDuration(strings.ReplaceAll(f.QueueWait, " ", ""))
		if err != nil {
			problems["queue_wait"] = fmt.Sprintf("%q is no time: write it as 10s or 1m30s.", control.Shown(f.QueueWait))
		}
		l.QueueWait = d
	}
	return f, l
}

func wholeNumber(name, typed string, problems problems) int {
	if typed == "" {
		return 0
	}
	n, err := strconv.Atoi(typed)
	if err != nil {
		problems[name] = fmt.Sprintf("%q is no whole number.", control.Shown(typed))
	}
	return n
}
