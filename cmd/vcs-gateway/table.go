package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"vcsagent/transport"
)

// table collects rows of cells to print below each other in columns. Cells may
// be anyone's words: what a terminal would obey is escaped when they're printed.
type table struct{ rows [][]string }

// newTable returns a table with a head.
func newTable(head ...string) *table { return &table{[][]string{head}} }

// newPairs returns a table without a head, for names and values.
func newPairs() *table { return &table{} }

// add adds a row. An empty cell shows as a dash.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = transport.Printable(orDash(c))
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return written(tw.Flush())
}

// written makes a failure to print an error of the command's.
func written(err error) error {
	if err != nil {
		return fmt.Errorf("the output can't be written: %w", err)
	}
	return nil
}

// line makes one line of a text with several, for a table.
func line(text string) string { return strings.Join(strings.Fields(text), " ") }

// ago says how long before now a time was, "never" for none.
func ago(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case !t.Before(now): // the machines' clocks differ
		return "now"
	}
	return span(now.Sub(t)) + " ago"
}

// until says how long after now a time is, "never" for none.
func until(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case !t.After(now):
		return "expired " + ago(t, now)
	}
	return "in " + span(t.Sub(now))
}

// span rounds a time that went by, or will, to what people say of it.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		most time.Duration
		unit time.Duration
		name string
	}{{time.Minute, time.Second, "s"}, {time.Hour, time.Minute, "m"}, {2 * day, time.Hour, "h"}} {
		if n := d.Round(unit.unit); n < unit.most {
			return fmt.Sprintf("%d%s", n/unit.unit, unit.name)
		}
	}
	return fmt.Sprintf("%dd", d.Round(day)/day)
}

// exact is a time to the millisecond, for logs, and with "" for none.
func exact(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// moment is a time to the second.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// seconds shows a number of seconds as people would write it.
func seconds(s float64) string {
	switch d := time.Duration(s * float64(time.Second)); {
	case d <= 0:
		return "0"
	case d < time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	default:
		return d.Round(10 * time.Millisecond).String()
	}
}

// size shows a number of bytes.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	x, units := float64(n)/unit, "KMGT"
	for x >= unit && len(units) > 1 {
		x, units = x/unit, units[1:]
	}
	return fmt.Sprintf("%.1f %ciB", x, units[0])
}

// number shows a number, and zero as "".
func number[T int | int64 | float64](n T) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(n), 'f', -1, 64)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
