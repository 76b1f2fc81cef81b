package main_test

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// jsonIs wants a value in a file of one JSON value: jsonis FILE PATH WANT. The
// path has names and indices with dots between them; WANT is a string as it is, or
// any other value as JSON. What ends with * is how a string begins.
func jsonIs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: jsonis FILE PATH WANT")
	}
	got, want := jsonAt(ts, args[0], args[1]), args[2]
	if prefix, ok := strings.CutSuffix(want, "*"); ok && strings.HasPrefix(got, prefix) {
		return
	}
	if got != want {
		ts.Fatalf("%s is %s, want %s", args[1], got, want)
	}
}

// jsonGet sets a variable to a value in a file, which isn't shown: jsonget
// VARIABLE FILE PATH.
func jsonGet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: jsonget VARIABLE FILE PATH")
	}
	ts.Setenv(args[0], jsonAt(ts, args[1], args[2]))
}

func jsonAt(ts *testscript.TestScript, file, path string) string {
	var value any
	if err := json.Unmarshal([]byte(ts.ReadFile(file)), &value); err != nil {
		ts.Fatalf("%s is not one JSON value: %v", file, err)
	}
	for name := range strings.SplitSeq(path, ".") {
		there := false
		switch in := value.(type) {
		case map[string]any:
			value, there = in[name]
		case []any:
			if i, err := strconv.Atoi(name); err == nil && i < len(in) {
				value, there = in[i], true
			}
		}
		if !there {
			ts.Fatalf("there is no %s in %s", path, file)
		}
	}
	if text, ok := value.(string); ok {
		return text
	}
	text, err := json.Marshal(value)
	ts.Check(err)
	return string(text)
}
