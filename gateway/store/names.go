package store

import (
	"fmt"
	"regexp"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what a pool or key is made of.
const (
	// MaxDescriptionBytes bounds a pool's description.
	MaxDescriptionBytes = 1000
	// MaxKeyPools is the most pools one key may be limited to.
	MaxKeyPools = 256
	// maxID bounds an ID to look for: a ULID has 26.
	maxID = 64
)

var (
	// A DNS label, since a pool is the host NAME.private for forward-proxy callers.
	poolName = regexp.MustCompile(`\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\z`)
	// A key's name stands in logs and tables.
	keyName = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._-]{0,62}\z`)
)

// InvalidError says that a value can't be stored, and what could be. It is the
// caller's mistake.
type InvalidError struct {
	Field   string // what was wrong, as the API names it: "name", "pools", "queue_wait"
	Problem string // the rest of the sentence, with the value and what is allowed
}

// Error returns the sentence.
func (e *InvalidError) Error() string { return e.Problem }

func checkPool(p Pool) error {
	switch {
	case !poolName.MatchString(p.Name):
		return &InvalidError{"name", fmt.Sprintf("the pool name %s is not allowed: "+
			"use 1 to 63 of a-z, 0-9 and -, with a letter or digit first and last", quote(p.Name))}
	case len(p.Description) > MaxDescriptionBytes:
		return &InvalidError{"description", fmt.Sprintf("the description is %d bytes long: at most %d are allowed",
			len(p.Description), MaxDescriptionBytes)}
	case !isText(p.Description):
		return &InvalidError{"description", "the description contains control characters or is not UTF-8: " +
			"use printable text, with line breaks if need be"}
	}
	// The first that's wrong is told; errors.Join would hide its field.
	for _, err := range []error{checkLimits(p.Limits), checkParallelism(p.MaxParallelism), checkNetworks(p.Networks)} {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkKeyName(name string) error {
	if !keyName.MatchString(name) {
		return &InvalidError{"name", fmt.Sprintf("the key name %s is not allowed: "+
			"use 1 to 63 of A-Z, a-z, 0-9, '.', '_' and -, with a letter or digit first", quote(name))}
	}
	return nil
}

func checkKeyPools(admin bool, pools []string) error {
	switch {
	case len(pools) > MaxKeyPools:
		return &InvalidError{"pools", fmt.Sprintf("the key names %d pools: at most %d are allowed", len(pools), MaxKeyPools)}
	case len(pools) == 0 && !admin:
		return &InvalidError{"pools", "the key names no pool: name at least one that it may call"}
	}
	return nil
}

// checkExpiry returns the time as it is stored: zero, which is never, or after
// now, in microseconds.
func checkExpiry(t, now time.Time) (time.Time, error) {
	if t.IsZero() {
		return t, nil
	}
	t = t.UTC().Truncate(time.Microsecond)
	if !t.After(now) || t.Year() > 9999 { // the last year that JSON's times have
		return time.Time{}, &InvalidError{"expires", fmt.Sprintf("a key can't expire at %s: "+
			"give a time that is still to come, or none for a key that never does", t.Format(time.RFC3339))}
	}
	return t, nil
}

func isText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return false
		}
	}
	return true
}

// quote shows a caller's value in a sentence, on one line and not longer than
// is of use.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q… (%d bytes)", s[:most], len(s))
	}
	return fmt.Sprintf("%q", s)
}
