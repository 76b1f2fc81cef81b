package store

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxPage bounds how many entries of a log one call returns; it is also what a
// limit of 0 means.
const MaxPage = 1000

// page is the number of entries to read.
func page(limit int) int {
	if limit <= 0 || limit > MaxPage {
		return MaxPage
	}
	return limit
}

// conditions is a WHERE clause and its arguments.
type conditions struct {
	words []string
	args  []any
}

// add adds a condition in which each %s stands for one of args.
func (c *conditions) add(condition string, args ...any) {
	places := make([]any, len(args))
	for i, a := range args {
		places[i] = c.arg(a)
	}
	c.words = append(c.words, fmt.Sprintf(condition, places...))
}

// arg adds an argument and returns its placeholder.
func (c *conditions) arg(a any) string {
	c.args = append(c.args, a)
	return fmt.Sprintf("$%d", len(c.args))
}

func (c *conditions) String() string {
	if len(c.words) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.words, " AND ")
}

// values is the VALUES list of an INSERT of rows with as many columns:
// "($1, $2), ($3, $4)".
func values(rows, columns int) string {
	var b strings.Builder
	for i := range rows * columns {
		switch {
		case i == 0:
			b.WriteByte('(')
		case i%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	b.WriteByte(')')
	return b.String()
}

// clip makes a string from outside fit for a column: at most max bytes of UTF-8
// without NUL, which PostgreSQL has no room for.
func clip(s string, max int) string {
	if len(s) <= max && strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) {
		return s
	}
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", "\uFFFD"), "\uFFFD")
	if len(s) <= max {
		return s
	}
	for !utf8.RuneStart(s[max]) { // in the middle of a rune
		max--
	}
	return s[:max]
}
