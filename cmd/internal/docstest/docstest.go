// Package docstest holds what the commands' tests share to keep docs/settings.md true.
package docstest

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Settings checks that the table below a heading of docs/settings.md has a row
// for each flag of cmd, with its environment variable (PREFIX_FLAG, or the
// irregular one) and its default, and no other row. It is run in a folder two
// levels below the repository's root.
func Settings(t *testing.T, cmd *cobra.Command, prefix, heading string, irregular map[string]string) {
	t.Helper()
	rows := table(t, heading)
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" {
			return
		}
		row, ok := rows["`--"+f.Name+"`"]
		if !ok {
			t.Errorf("docs/settings.md, %q: no row for --%s", heading, f.Name)
			return
		}
		delete(rows, "`--"+f.Name+"`")
		env := irregular[f.Name]
		if env == "" {
			env = prefix + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		}
		if row[0] != "`"+env+"`" {
			t.Errorf("docs/settings.md: --%s has the variable %s, want `%s`", f.Name, row[0], env)
		}
		want := strings.Trim(f.DefValue, "[]")
		if want != "" {
			want = "`" + want + "`"
		}
		if row[1] != want && (want != "" || row[1] != "required") {
			t.Errorf("docs/settings.md: --%s has the default %q, want %q", f.Name, row[1], want)
		}
	})
	for flag := range rows {
		t.Errorf("docs/settings.md, %q: there is no flag %s", heading, flag)
	}
}

// table returns the rows of the first table below a heading, by their first cell.
func table(t *testing.T, heading string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
	if !found {
		t.Fatalf("docs/settings.md has no heading %q", heading)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if len(rows) > 0 {
				break
			}
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if strings.HasPrefix(cells[0], "`--") {
			rows[cells[0]] = cells[1:]
		}
	}
	return rows
}
