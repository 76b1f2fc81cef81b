package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"vcsagent/gateway/control"
)

// maxBodyBytes bounds a request's body: the longest description and the most
// pools a key can have take less.
const maxBodyBytes = 64 << 10

// field is one that a body may have.
type field struct {
	into any    // where it goes, or an object; what's absent leaves it alone, and null too but for an instant
	kind string // what it must be, as in "must be …"
}

// object is the fields that a body, or an object in one, may have.
type object map[string]field

// decode reads a body: one JSON object with no fields but these.
func decode(w http.ResponseWriter, r *http.Request, fields object) error {
	data, err := read(w, r)
	if err != nil {
		return err
	}
	return fields.decode("", data)
}

// decodeOptional is decode for a path whose fields may all be left out, and the
// body with them.
func decodeOptional(w http.ResponseWriter, r *http.Request, fields object) error {
	data, err := read(w, r)
	if err != nil || len(data) == 0 {
		return err
	}
	return fields.decode("", data)
}

func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, err
	}
	if err != nil {
		return nil, refuse(http.StatusBadRequest, codeBadBody, "The body could not be read to its end.")
	}
	return data, nil
}

// decode reads an object, of which within is the path in the body ("": all of
// it).
func (o object) decode(within string, data []byte) error {
	what := "body"
	if within != "" {
		what = fmt.Sprintf("field %q", within)
		within += "."
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(data, &values); err != nil || values == nil {
		if len(o) == 0 {
			return refuse(http.StatusBadRequest, codeBadBody, "The "+what+" must be empty, or one JSON object without fields.")
		}
		return refuse(http.StatusBadRequest, codeBadBody, fmt.Sprintf("The %s must be one JSON object with the fields %s.", what, names(o)))
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		f, ok := o[name]
		switch {
		case !ok && len(o) == 0:
			return refuse(http.StatusBadRequest, codeUnknownField, fmt.Sprintf("The %s has a field %q: none is allowed.", what, control.Shown(name)))
		case !ok:
			return refuse(http.StatusBadRequest, codeUnknownField,
				fmt.Sprintf("The %s has a field %q, which is not one of %s.", what, control.Shown(name), names(o)))
		}
		value := values[name]
		if string(value) == "null" {
			if _, never := f.into.(*instant); !never {
				continue
			}
		}
		if inner, is := f.into.(object); is {
			if err := inner.decode(within+name, value); err != nil {
				return err
			}
			continue
		}
		if err := json.Unmarshal(value, f.into); err != nil {
			return refuse(http.StatusBadRequest, codeBadBody, fmt.Sprintf("The field %q must be %s.", within+name, f.kind))
		}
	}
	return nil
}

func names(o object) string { return strings.Join(slices.Sorted(maps.Keys(o)), ", ") }

// instant is a time in a body, for which null says never.
type instant struct {
	given bool
	at    time.Time // zero is never
}

// instantKind says what an instant must be.
const instantKind = "a time such as 2030-01-31T12:00:00Z, or null for never"

// UnmarshalJSON reads RFC 3339 or null.
func (i *instant) UnmarshalJSON(data []byte) error {
	*i = instant{given: true}
	if string(data) == "null" {
		return nil
	}
	if err := json.Unmarshal(data, &i.at); err != nil {
		return err
	}
	if i.at.IsZero() { // would be never
		return errors.New("no time that is to come")
	}
	return nil
}

// change is the time as the store's changes have it: nil when none was given.
func (i instant) change() *time.Time {
	if !i.given {
		return nil
	}
	return &i.at
}

// seconds is a duration as bodies have it.
type seconds time.Duration

// UnmarshalJSON reads a number of seconds, to the microsecond.
func (s *seconds) UnmarshalJSON(data []byte) error {
	var n float64
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	d, ok := durationOf(n)
	if !ok {
		return errors.New("out of range")
	}
	*s = seconds(d)
	return nil
}

// durationOf is a number of seconds rounded to the microsecond, which is as fine
// as the store keeps it.
func durationOf(n float64) (time.Duration, bool) {
	const most = 1e9 // seconds: a lifetime, and far from overflow
	if !(n >= 0 && n <= most) {
		return 0, false
	}
	return time.Duration(math.Round(n*1e6)) * time.Microsecond, true
}
