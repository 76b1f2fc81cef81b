package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vcsagent/allow"
)

const policyFile = "../../docs/policy.md"

func policy(t *testing.T, o allow.Options) *allow.Policy {
	t.Helper()
	p, err := allow.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func rules(t *testing.T, text string) *allow.Rules {
	t.Helper()
	r, err := allow.ParseRules("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// section returns the page's text from a heading to the next one.
func section(t *testing.T, heading string) string {
	t.Helper()
	_, rest, found := strings.Cut(readPolicy(t), "\n"+heading+"\n")
	if !found {
		t.Fatalf("docs/policy.md has no heading %q", heading)
	}
	if i := strings.Index(rest, "\n#"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// table returns the rows of the first table below a heading, without its head.
func table(t *testing.T, heading string) [][]string {
	t.Helper()
	var rows [][]string
	for line := range strings.Lines(section(t, heading)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if rows != nil {
				break
			}
			continue
		}
		cells := strings.Split(strings.ReplaceAll(strings.Trim(line, "|"), `\|`, "\x00"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], "\x00", "|"))
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatalf("docs/policy.md, %q: there is no table", heading)
	}
	return rows[2:]
}

func trimCode(cell string) string { return strings.Trim(cell, "`") }

func sameSet(t *testing.T, what string, documented, want []string) {
	t.Helper()
	d, w := slices.Sorted(slices.Values(documented)), slices.Sorted(slices.Values(want))
	if len(w) == 0 || !slices.Equal(d, w) {
		t.Errorf("docs/policy.md has the %s\n%q\nwant\n%q", what, d, w)
	}
}

// parseGo reads a file of package allow.
func parseGo(t *testing.T, file string) *ast.File {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("../../allow", file), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// listOf returns the elements of a list that a variable of package allow begins as.
func listOf(t *testing.T, file, variable string) []ast.Node {
	t.Helper()
	var elements []ast.Node
	ast.Inspect(parseGo(t, file), func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == variable && len(v.Values) == 1 {
			for _, e := range v.Values[0].(*ast.CompositeLit).Elts {
				elements = append(elements, e)
			}
		}
		return true
	})
	if elements == nil {
		t.Fatalf("allow/%s has no list %s", file, variable)
	}
	return elements
}

// literals returns the texts in a piece of code, in their order.
func literals(n ast.Node) []string {
	var texts []string
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				texts = append(texts, text)
			}
		}
		return true
	})
	return texts
}

func readPolicy(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(policyFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writePolicy(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(policyFile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
