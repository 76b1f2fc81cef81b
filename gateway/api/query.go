package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
)

// query is a request's query, of parameters that its path knows. Its methods
// remember the first value that can't be read, for [query.err].
type query struct {
	values  url.Values
	refused error
}

// queryOf reads a request's query, which may have no parameters but those
// allowed, each once and with a value: a filter that is misspelt, or that a script
// has no value for, must not select everything.
func queryOf(r *http.Request, allowed []string) (*query, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, codeBadQuery, "The query after the path's ? could not be read: encode & ; % and + in values.")
	}
	for name, given := range values {
		switch {
		case slices.Contains(allowed, name) && len(given) == 1 && given[0] == "":
			return nil, refuse(http.StatusUnprocessableEntity, codeInvalid, fmt.Sprintf("The parameter %q is empty: give it a value or leave it out.", name))
		case slices.Contains(allowed, name) && len(given) == 1:
		case slices.Contains(allowed, name):
			return nil, refuse(http.StatusBadRequest, codeBadQuery, fmt.Sprintf("The parameter %q is there %d times: give it once.", name, len(given)))
		case len(allowed) == 0:
			return nil, refuse(http.StatusBadRequest, codeUnknownParameter,
				fmt.Sprintf("The query has a parameter %q: this path takes none.", control.Shown(name)))
		default:
			return nil, refuse(http.StatusBadRequest, codeUnknownParameter,
				fmt.Sprintf("The query has a parameter %q, which is not one of %s.", control.Shown(name), strings.Join(allowed, ", ")))
		}
	}
	return &query{values: values}, nil
}

// text is a parameter's value, "" when it is absent.
func (q *query) text(name string) string { return q.values.Get(name) }

// time is a parameter's time, or otherwise.
func (q *query) time(name string, otherwise time.Time) time.Time {
	text := q.text(name)
	if text == "" {
		return otherwise
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.IsZero() {
		q.refuse(name, text, "a time such as 2030-01-31T12:00:00Z, with a + encoded as %2B")
	}
	return t
}

// limit is how many entries a page is to have.
func (q *query) limit() int {
	text := q.text("limit")
	if text == "" {
		return defaultPage
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > store.MaxPage {
		q.refuse("limit", text, fmt.Sprintf("a whole number from 1 to %d", store.MaxPage))
	}
	return n
}

// before is a page's cursor, 0 when there is none.
func (q *query) before() int64 {
	text := q.text("before")
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 {
		q.refuse("before", text, "what the page before has as its next")
	}
	return n
}

func (q *query) refuse(name, value, kind string) {
	if q.refused == nil {
		q.refused = refuse(http.StatusUnprocessableEntity, codeInvalid, fmt.Sprintf("The parameter %s=%q must be %s.", name, control.Shown(value), kind))
	}
}

// defaultPage is how many entries a page has when the request names no limit.
const defaultPage = 100

// cursorAfter is the cursor for what is older than the entry of a number.
func cursorAfter(n int64) string { return strconv.FormatInt(n, 10) }
