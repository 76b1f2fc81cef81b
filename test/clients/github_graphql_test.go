package clients_test

import (
	"encoding/json"
	"reflect"
	"strings"
)

// sameGraphQL compares requests whose query the agent writes anew from the
// parsed document: only the space between its tokens may differ.
func sameGraphQL(got, want string) bool {
	g, errG := readGraphQL(got)
	w, errW := readGraphQL(want)
	return errG == nil && errW == nil && reflect.DeepEqual(g, w)
}

func readGraphQL(body string) (map[string]any, error) {
	var m map[string]any
	err := json.Unmarshal([]byte(body), &m)
	query, _ := m["query"].(string)
	for _, r := range []string{"query", " ", "\n", "\t", ","} {
		query = strings.ReplaceAll(query, r, "")
	}
	if m != nil {
		m["query"] = query
	}
	return m, err
}
