package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// maxBodyBytes bounds a request's body: the longest description and the most
// pools a key can have take less.
const maxBodyBytes = 64 << 10

// field is one that a body may have.
type field struct {
	into any    // where it goes; what's absent or null leaves it alone
	kind string // what it must be, as in "must be …"
}

// decode reads a body: one JSON object with no fields but these.
func decode(w http.ResponseWriter, r *http.Request, fields map[string]field) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	if err != nil {
		return refuse(http.StatusBadRequest, codeBadBody, "The body could not be read to its end.")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil || object == nil {
		return refuse(http.StatusBadRequest, codeBadBody,
			"The body must be one JSON object with the fields "+names(fields)+".")
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		f, ok := fields[name]
		if !ok {
			return refuse(http.StatusBadRequest, codeUnknownField,
				fmt.Sprintf("The body has a field %q, which is not one of %s.", short(name), names(fields)))
		}
		if err := json.Unmarshal(object[name], f.into); err != nil {
			return refuse(http.StatusBadRequest, codeBadBody, fmt.Sprintf("The field %q must be %s.", name, f.kind))
		}
	}
	return nil
}

func names(fields map[string]field) string {
	return strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
}
