package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"vcsagent/gateway/control"
)

// stamp is a time in full.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" }

// machineTime is a time as the script reads it.
func machineTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// clock is a time in a log: without its date when that is today's.
func clock(t time.Time) string {
	now, t := time.Now().UTC(), t.UTC()
	if t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("Jan 2, 15:04:05")
}

// ago is how long ago a time was, or how long it is until then, in one unit.
// The script says the same as time goes on.
func ago(t time.Time) string {
	d := time.Since(t)
	if d < 0 {
		return "in " + oneUnit(-d)
	}
	if d < 5*time.Second {
		return "just now"
	}
	return oneUnit(d) + " ago"
}

func oneUnit(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < day:
		return fmt.Sprintf("%d h", int(d.Hours()))
	case d < 2*day:
		return "1 day"
	}
	return fmt.Sprintf("%d days", int(d/day))
}

// duration is a span with three digits at most.
func duration(d time.Duration) string {
	switch s := d.Seconds(); {
	case s >= 100:
		return d.Round(time.Second).String()
	case s >= 1:
		return digits(s) + " s"
	default:
		return digits(s*1000) + " ms"
	}
}

// seconds is the same for a number of seconds.
func seconds(s float64) string { return duration(time.Duration(s * float64(time.Second))) }

// percent is a share from 0 to 1.
func percent(share float64) string {
	switch p := share * 100; {
	case p == 0:
		return "0 %"
	case p < 0.1:
		return "< 0.1 %"
	default:
		return digits(p) + " %"
	}
}

// digits is a number with two digits after the point at most, and three in all
// where that is fewer.
func digits(f float64) string {
	places := 2
	switch {
	case f >= 99.95 || f == 0:
		places = 0
	case f >= 9.995:
		places = 1
	}
	s := strconv.FormatFloat(f, 'f', places, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// size is a number of bytes.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1023.5 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return digits(f) + " " + units[i:i+1] + "iB"
}

// parseSize reads what size writes: 10 MiB, 512KiB or a number of bytes.
func parseSize(s string) (int64, bool) {
	s = strings.TrimSpace(s)
	unit := int64(1)
	for i, name := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if number, found := strings.CutSuffix(s, name); found {
			s, unit = strings.TrimSpace(number), 1<<(10*(i+1))
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f*float64(unit) < math.MaxInt64/2) { // NaN too
		return 0, false
	}
	return int64(f * float64(unit)), true
}

// exactSize writes a size so that parseSize reads the same.
func exactSize(n int64) string {
	for i, name := range []string{" TiB", " GiB", " MiB", " KiB"} {
		if unit := int64(1) << (10 * (4 - i)); n >= unit && n%unit == 0 {
			return strconv.FormatInt(n/unit, 10) + name
		}
	}
	return strconv.FormatInt(n, 10)
}

// number is an int or int64 with its thousands apart.
func number(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:] // a narrow space that isn't broken at
	}
	return s
}

// count is a number of things: "1 agent", "2 agents".
func count(n any, thing string) string {
	if s := number(n); s != "1" {
		return s + " " + thing + "s"
	}
	return "1 " + thing
}

func wholeSeconds(d time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(d.Seconds())), 10)
}

// date is a day in a form's field, in UTC; "" for the zero time.
func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.DateOnly)
}

// endOfDay reads a form's field of a day, at the end of which something expires.
func endOfDay(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is no day: write it as 2006-01-02", control.Shown(s))
	}
	return t.Add(24*time.Hour - time.Second), nil
}
