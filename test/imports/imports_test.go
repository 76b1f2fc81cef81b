// Package imports holds the test that imports go one way only.
package imports_test

import (
	"os/exec"
	"strings"
	"testing"
)

// allowed names, for each of our packages, the ones of ours that it may import.
// A package below a listed one counts as that one. What isn't a key may import
// anything (the commands and the tests).
var allowed = map[string][]string{
	"vcsagent/allow":           {},
	"vcsagent/transport":       {},
	"vcsagent/metrics":         {},
	"vcsagent/agent":           {"vcsagent/allow", "vcsagent/metrics", "vcsagent/transport"},
	"vcsagent/gateway/store":   {},
	"vcsagent/gateway/ca":      {"vcsagent/gateway/store"},
	"vcsagent/gateway/control": {"vcsagent/gateway/store", "vcsagent/transport"},
	"vcsagent/gateway/api":     {"vcsagent/gateway/control", "vcsagent/gateway/store", "vcsagent/transport"},
	"vcsagent/gateway/web":     {"vcsagent/gateway/control", "vcsagent/gateway/store", "vcsagent/transport"},
	"vcsagent/gateway":         {"vcsagent/gateway/api", "vcsagent/gateway/ca", "vcsagent/gateway/control", "vcsagent/gateway/store", "vcsagent/gateway/web", "vcsagent/metrics", "vcsagent/transport"},
}

// The product imports nothing from below vcsagent/test either.
func TestImportsGoOneWay(t *testing.T) {
	cmd := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "vcsagent/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg, imports := fields[0], fields[1:]
		may, listed := allowed[pkg]
		if listed {
			seen++
		}
		for _, i := range imports {
			if !strings.HasPrefix(i, "vcsagent/") {
				continue
			}
			if listed && !contains(may, i) {
				t.Errorf("%s imports %s", pkg, i)
			}
			if strings.HasPrefix(i, "vcsagent/test/") && !strings.HasPrefix(pkg, "vcsagent/test/") {
				t.Errorf("%s, a part of the product, imports %s", pkg, i)
			}
		}
	}
	if seen != len(allowed) {
		t.Errorf("%d of the %d packages with a rule exist: mend the rules", seen, len(allowed))
	}
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
