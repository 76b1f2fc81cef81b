package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"vcsagent/cmd/internal/cli"
)

// door is a set of settings with a section.
type door struct {
	name, key string
	count     int
	groups    []string
	rules     *cli.Section
}

func (d *door) declare() *cli.Settings {
	s := cli.NewSettings("DOOR_")
	f := s.Group("All")
	f.StringVar(&d.name, "name", "front", "`NAME`")
	cli.SecretVar(f, &d.key, "key", "`KEY`")
	f.IntVar(&d.count, "count", 1, "how many")
	f.StringSliceVar(&d.groups, "groups", []string{"read"}, "`GROUPS`")
	f.String("config", "", "`FILE`")
	d.rules = s.Section("rules")
	s.Complete("name", "front", "back")
	return s
}

// load runs a command that takes the named settings (nil: all) with args.
func (d *door) load(t *testing.T, names []string, args ...string) (*cli.Settings, error) {
	t.Helper()
	s := d.declare()
	cmd := &cobra.Command{Use: "door", SilenceErrors: true, SilenceUsage: true, RunE: func(cmd *cobra.Command, _ []string) error { return s.Load(cmd) }}
	s.BindOnly(names, cmd)
	cmd.SetArgs(args)
	return s, cmd.Execute()
}

func TestSectionKeepsNodeLinesAndFile(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		line       int // of the node; 0 for none
		err        string
	}{
		{"a mapping", "count: 2\nrules:\n  a:\n    - b\n", 3, ""},
		{"an alias", "groups: &g [a]\nrules: *g\n", 1, ""},
		{"none", "count: 2\n", 0, ""},
		{"no value", "count: 2\nrules:\n", 0, "door.yaml, line 2: rules has no value: give it one, or take the line out"},
		{"twice", "rules: {}\nrules: {}\n", 1, "door.yaml, line 2: rules is set again (first in line 1)"},
		{"misspelt", "rulez: {}\n", 0, "door.yaml, line 1: rulez is not a setting: did you mean rules?"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var d door
			_, err := d.load(t, nil, "--config", writeFile(t, "door.yaml", tc.text))
			if fmt.Sprint(err) != orNil(tc.err) {
				t.Errorf("got %v, want %s", err, tc.err)
			}
			if d.rules.Node == nil {
				if tc.line != 0 {
					t.Error("the section is empty")
				}
			} else if d.rules.Node.Line != tc.line || d.rules.File != "door.yaml" {
				t.Errorf("line %d of %s", d.rules.Node.Line, d.rules.File)
			}
		})
	}
}

func TestSectionIsNoFlagAndNoVariable(t *testing.T) {
	var d door
	t.Setenv("DOOR_RULES", "{}")
	if _, err := d.load(t, nil); err != nil || d.rules.Node != nil {
		t.Errorf("%v, %+v", err, d.rules)
	}
	if _, err := d.load(t, nil, "--rules", "{}"); err == nil {
		t.Error("--rules is a flag")
	}
}

// A command that takes some of the settings reads a file that has all, and what
// it doesn't take can't stop it.
func TestBindOnly(t *testing.T) {
	var d door
	t.Setenv("DOOR_COUNT", "many")
	if _, err := d.load(t, []string{"name", "config"}, "--config", writeFile(t, "door.yaml", "name: back\ngroups: [a]\nrules: {}\n")); err != nil {
		t.Fatal(err)
	}
	if d.name != "back" || d.count != 1 || !slices.Equal(d.groups, []string{"read"}) || d.rules.Node == nil {
		t.Errorf("got %+v", d)
	}
	if _, err := d.load(t, []string{"count"}, "--name=x"); err == nil {
		t.Error("a flag passed that the command doesn't take")
	}
}

func TestHelpShowsWhatTheCommandTakes(t *testing.T) {
	var d door
	s := d.declare()
	cmd := &cobra.Command{Use: "door", RunE: func(*cobra.Command, []string) error { return nil }}
	cmd.Flags().Bool("loud", false, "knock loudly")
	s.BindOnly([]string{"count"}, cmd)
	var out bytes.Buffer
	cmd.SetOut(&out)
	if code := cli.Main(cmd, []string{"--help"}); code != cli.ExitOK {
		t.Fatal("exit code", code)
	}
	got := out.String()
	for _, want := range []string{"Flags:\n", "--loud", "All:\n", "--count"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "--name") || strings.Contains(got, "--help") {
		t.Errorf("too much in\n%s", got)
	}
}

func TestLoadLikeReadsTheFileAgainAndKeepsTheCommandLine(t *testing.T) {
	path := writeFile(t, "door.yaml", "name: file\nkey: k1\ncount: 2\ngroups: [a]\n")
	t.Setenv("DOOR_COUNT", "3")
	var first, again door
	s, err := first.load(t, nil, "--config", path, "--groups=x", "--groups=y,z")
	if err != nil {
		t.Fatal(err)
	}
	if f := s.ConfigFile(); f.Path != path || !strings.HasPrefix(string(f.Text), "name: file") {
		t.Errorf("ConfigFile: %s %q", f.Path, f.Text)
	}
	if err := os.WriteFile(path, []byte("name: changed\nkey: k2\ncount: 9\ngroups: [b]\nrules: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s2 := again.declare()
	if err := s2.LoadLike(s); err != nil {
		t.Fatal(err)
	}
	if again.name != "changed" || again.key != "k2" || again.count != 3 || !slices.Equal(again.groups, []string{"x", "y", "z"}) || again.rules.Node == nil {
		t.Errorf("got %+v", again)
	}
	if first.name != "file" || first.rules.Node != nil {
		t.Errorf("the first were changed: %+v", first)
	}
	if got := s2.Differing(s); !slices.Equal(got, []string{"key", "name"}) {
		t.Errorf("differing: %v", got)
	}
	if got := s2.Differing(s2); got != nil {
		t.Errorf("differs from itself: %v", got)
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	s3 := new(door).declare()
	if err := s3.LoadLike(s); err == nil || !strings.Contains(err.Error(), "the file cannot be read") {
		t.Errorf("without the file: %v", err)
	}
	if f := s3.ConfigFile(); f.Path != path || f.Text != nil {
		t.Errorf("ConfigFile: %+v", f)
	}
}

func TestExitPrintsNothing(t *testing.T) {
	cmd := &cobra.Command{Use: "prog", RunE: func(*cobra.Command, []string) error { return cli.Exit(7) }}
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	if code := cli.Main(cmd, nil); code != 7 || out.Len() != 0 {
		t.Errorf("exit code %d, %q", code, out.String())
	}
}
