package main

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// when is a flag's point in time: a time, or a duration from now on or, for what
// lies in the past, up to now.
type when struct {
	at   time.Time // zero while not given, and for "never"
	past bool
}

var _ pflag.Value = (*when)(nil)

const (
	notATime     = "it must be a duration from now such as 90d or 12h, a time such as 2030-01-31T00:00:00Z, or never"
	notAPastTime = "it must be a duration up to now such as 1h or 7d, or a time such as 2030-01-31T00:00:00Z"
)

// Set reads a time, or a duration from now.
func (w *when) Set(text string) error {
	problem := notATime
	if w.past {
		problem = notAPastTime
	}
	if text == "never" && !w.past {
		w.at = time.Time{}
		return nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		w.at = at
		return nil
	}
	d, err := duration(text)
	if err != nil || d <= 0 {
		return errors.New(problem)
	}
	if w.past {
		d = -d
	}
	w.at = time.Now().Add(d)
	return nil
}

// Type is the value's name in a help text.
func (w *when) Type() string { return "DURATION|TIME" }

// String is the default in a help text: none.
func (w *when) String() string { return "" }

// duration reads Go's durations, and days, which people count keys' lives in.
func duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}
