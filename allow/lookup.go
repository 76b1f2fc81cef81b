package allow

import (
	"encoding/json"
	"errors"
	"strings"
)

// LookupPath returns the escaped path, below the base endpoint, of the GET whose
// answer tells the path of a project by its number, as [Decision.Lookup] has
// it. It is "" if the vendor has no such call.
func (p *Policy) LookupPath(id string) string {
	if p.lookup == nil || !isDigits(id) || len(id) > maxIDDigits {
		return ""
	}
	return strings.ReplaceAll(p.lookup.Path, "{id}", id)
}

// LookupName returns the project's path from the body that such a GET answered.
func (p *Policy) LookupName(body []byte) (string, error) {
	var fields map[string]json.RawMessage
	var name string
	if p.lookup == nil || json.Unmarshal(body, &fields) != nil || json.Unmarshal(orNull(fields[p.lookup.Field]), &name) != nil {
		return "", errors.New("the VCS's answer is not a project")
	}
	if !isNames(name) || !strings.Contains(name, "/") {
		return "", errors.New("the VCS's answer has no project path in it")
	}
	return name, nil
}
