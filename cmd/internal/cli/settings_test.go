package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"vcsagent/cmd/internal/cli"
)

// program is a small command with a setting of each kind. It prints the values
// it ran with.
func program(t *testing.T) *cobra.Command {
	t.Helper()
	var v struct {
		name, key string
		count     int
		verbose   bool
		wait      time.Duration
		groups    []string
	}
	s := cli.NewSettings("PROG_")
	f := s.Group("Required")
	f.StringVar(&v.name, "name", "anonymous", "`NAME` to greet")
	cli.SecretVar(f, &v.key, "key", "`KEY` to the door")
	f = s.Group("Details")
	f.IntVar(&v.count, "count", 4, "how many")
	f.BoolVar(&v.verbose, "verbose", false, "say more")
	f.DurationVar(&v.wait, "wait-for", 30*time.Second, "how long")
	f.StringSliceVar(&v.groups, "groups", []string{"read"}, "`GROUPS` to join")
	f.String("config", "", "YAML `FILE`")
	s.Env("key", "PROG_DOOR_KEY")
	s.Complete("name", "ada", "grace")
	s.Note("That is all.")

	root := &cobra.Command{Use: "prog", Short: "Greet", Long: "prog greets."}
	greet := &cobra.Command{Use: "greet", Short: "Greet someone", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		err := s.Load(cmd)
		if v.count == 0 {
			err = errors.Join(err, cli.Except(cli.NewSettingError("count", "0", "it must be 1 or more"), err))
		}
		if v.name == "broken" {
			return errors.New("the run failed")
		}
		if err != nil {
			return s.Invalid(err)
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s %s %d %t %s %s", v.name, v.key, v.count, v.verbose, v.wait, strings.Join(v.groups, "+"))
		return nil
	}}
	s.Bind(greet)
	greet.Flags().Float64("pace", 1, "words a second") // no setting
	greet.Flags().Int64("bytes", 0, "how many at most")
	root.AddCommand(greet, cli.VersionCommand())
	return root
}

func runProgram(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	root := program(t)
	var out, errOut bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errOut)
	code = cli.Main(root, args)
	return code, out.String(), errOut.String()
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPrecedenceIsFlagEnvironmentFileDefault(t *testing.T) {
	const file = "name: file\nkey: 00123\ncount: 010\nverbose: true\nwait-for: 3s\ngroups: [a, \"b,c\"]\n"
	allEnv := map[string]string{"PROG_NAME": "env", "PROG_DOOR_KEY": "envkey", "PROG_COUNT": "2", "PROG_VERBOSE": "false", "PROG_WAIT_FOR": "2s", "PROG_GROUPS": "x,y"}
	for _, tc := range []struct {
		name string
		args []string
		env  map[string]string
		file string
		want string
	}{
		{"defaults", nil, nil, "", "anonymous  4 false 30s read"},
		{"the file over defaults, its values as written", nil, nil, file, "file 00123 8 true 3s a+b,c"},
		{"the environment over the file", nil, allEnv, file, "env envkey 2 false 2s x+y"},
		{"flags over the environment", []string{"--name=flag", "--key=k", "--count=1", "--verbose", "--wait-for=1s", "--groups=g,h"}, allEnv, file, "flag k 1 true 1s g+h"},
		{"an empty variable is no variable", nil, map[string]string{"PROG_NAME": "", "PROG_GROUPS": ""}, file, "file 00123 8 true 3s a+b,c"},
		{"an empty flag is a value", []string{"--name="}, allEnv, "", " envkey 2 false 2s x+y"},
		{"the irregular variable replaces the regular one", nil, map[string]string{"PROG_KEY": "no"}, "", "anonymous  4 false 30s read"},
		{"a list as one text in the file", nil, nil, "groups: a,b", "anonymous  4 false 30s a+b"},
		{"an empty list in the file", nil, nil, "groups: []", "anonymous  4 false 30s "},
		{"an empty text in the file", nil, nil, "name: \"\"", "  4 false 30s read"},
		{"a file of comments", nil, nil, "# nothing\n", "anonymous  4 false 30s read"},
		{"an alias", nil, nil, "name: &n ada\nkey: *n\n", "ada ada 4 false 30s read"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			args := append([]string{"greet"}, tc.args...)
			if tc.file != "" {
				args = append(args, "--config", writeFile(t, "prog.yaml", tc.file))
			}
			code, out, stderr := runProgram(t, args...)
			if code != cli.ExitOK || out != tc.want {
				t.Errorf("exit %d, got %q, want %q\n%s", code, out, tc.want, stderr)
			}
		})
	}
}

func TestConfigFileFromTheEnvironment(t *testing.T) {
	t.Setenv("PROG_CONFIG", writeFile(t, "prog.yaml", "name: file"))
	if _, out, stderr := runProgram(t, "greet"); out != "file  4 false 30s read" {
		t.Errorf("got %q %s", out, stderr)
	}
}

func TestEveryProblemIsToldAtOnceWithItsPlace(t *testing.T) {
	const hint = "Run \"prog greet --help\" for all settings.\n"
	for _, tc := range []struct {
		name string
		args []string
		env  map[string]string
		file string
		want string // stderr less the hint
	}{
		{"flag", []string{"--count=many"}, nil, "", "prog: --count is \"many\": it must be a whole number (from the command line)\n"},
		{"variable", nil, map[string]string{"PROG_VERBOSE": "yes"}, "", "prog: --verbose is \"yes\": it must be true or false (from PROG_VERBOSE)\n"},
		{"file", nil, nil, "\nwait-for: 60\n", "prog: --wait-for is \"60\": it must be a duration with a unit, such as 30s, 1m30s or 500ms (from prog.yaml, line 2)\n"},
		{"unknown key", nil, nil, "cuont: 1", "prog: prog.yaml, line 1: cuont is not a setting: did you mean count?\n"},
		{"unknown key like none", nil, nil, "zebra: 1", "prog: prog.yaml, line 1: zebra is not a setting\n"},
		{"a key's case counts", nil, nil, "Count: 1", "prog: prog.yaml, line 1: Count is not a setting: did you mean count?\n"},
		{"config is no key", nil, nil, "config: x", "prog: prog.yaml, line 1: config is not a setting\n"},
		{"twice", nil, nil, "count: 1\ncount: 2", "prog: prog.yaml, line 2: count is set again (first in line 1)\n"},
		{"no value", nil, nil, "name:\n", "prog: prog.yaml, line 1: name has no value: give it one, or take the line out\n"},
		{"a mapping", nil, nil, "name: {a: b}", "prog: prog.yaml, line 1: name takes a value or a list, not settings of its own\n"},
		{"a list for one value", nil, nil, "name: [a]", "prog: --name: it takes one value, not a list (from prog.yaml, line 1)\n"},
		{"a list of lists", nil, nil, "groups:\n- a\n- [b]\n", "prog: prog.yaml, line 1: groups must be a list of plain values, and line 3 is none\n"},
		{"only the check's problem", []string{"--count=0"}, nil, "", "prog: --count is \"0\": it must be 1 or more (from the command line)\n"},
		{"all", []string{"--count=x"}, map[string]string{"PROG_VERBOSE": "2"}, "wait-for: soon\nnmae: a\n",
			"prog: 4 problems:\n" +
				"  --count is \"x\": it must be a whole number (from the command line)\n" +
				"  prog.yaml, line 2: nmae is not a setting: did you mean name?\n" +
				"  --verbose is \"2\": it must be true or false (from PROG_VERBOSE)\n" +
				"  --wait-for is \"soon\": it must be a duration with a unit, such as 30s, 1m30s or 500ms (from prog.yaml, line 1)\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			args := append([]string{"greet"}, tc.args...)
			if tc.file != "" {
				args = append(args, "--config", writeFile(t, "prog.yaml", tc.file))
			}
			code, out, stderr := runProgram(t, args...)
			if code != cli.ExitUsage || out != "" || stderr != tc.want+hint {
				t.Errorf("exit %d, stdout %q, stderr\n%s\nwant\n%s", code, out, stderr, tc.want+hint)
			}
		})
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"not YAML", "name: [a\n", "it is not YAML: line 1: did not find expected ',' or ']'"},
		{"a list", "- name", `it must hold settings as "name: value" lines`},
		{"a word", "name", `it must hold settings as "name: value" lines`},
		{"two documents", "name: a\n---\nname: b\n", "it must hold one YAML document, and a second begins in line 2"},
		{"too large", "# " + strings.Repeat("x", cli.MaxConfigFile), "the file is larger than 1024 KiB"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := writeFile(t, "prog.yaml", tc.text)
			code, _, stderr := runProgram(t, "greet", "--config", path)
			want := fmt.Sprintf("prog: --config is %q: %s", path, tc.want)
			if code != cli.ExitUsage || !strings.HasPrefix(stderr, want) {
				t.Errorf("exit %d, got %q, want %q", code, stderr, want)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		code, _, stderr := runProgram(t, "greet", "--config", filepath.Join(t.TempDir(), "none.yaml"))
		if code != cli.ExitUsage || !strings.Contains(stderr, "the file cannot be read (no such file or directory)") {
			t.Errorf("exit %d, got %q", code, stderr)
		}
	})
}

func TestCommandLineMistakes(t *testing.T) {
	const secret = "eyJob3N0IjoiZ2F0ZXdheS5leGFtcGxlOjg0NDMiLCJwb29sX3VsaWQiOiIwMUgifQ"
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"greet", "--cuont=1"}, "prog: --cuont is not a flag of prog greet: did you mean --count?\n"},
		{[]string{"greet", "-key=" + secret}, "prog: -key is not a flag of prog greet: did you mean --key?\n"},
		{[]string{"greet", "---key=" + secret}, "prog: ---key is not a flag of prog greet: did you mean --key?\n"},
		{[]string{"greet", "--" + secret}, "prog: --eyJob3… is not a flag of prog greet: see \"prog greet --help\"\n"},
		{[]string{"greet", "--key"}, "prog: --key needs a value\n"},
		{[]string{"completion", "bsh"}, "prog: \"bsh\" is not a command of prog completion: did you mean \"prog completion bash\"?\n"},
		{[]string{"version", "now"}, "prog: unknown command \"now\" for \"prog version\"\n"},
		{[]string{"gret"}, "prog: \"gret\" is not a command of prog: did you mean \"prog greet\"?\n"},
		{[]string{secret}, "prog: \"eyJob3N0…\" is not a command of prog: settings are given as flags, see \"prog --help\"\n"},
		{[]string{"greet", "--count=" + secret}, "prog: --count is \"eyJob3N0…\": it must be a whole number (from the command line)\n"},
		{[]string{"greet", "--pace=fast"}, "prog: --pace is \"fast\": it must be a number, such as 50 or 0.5\n"},
		{[]string{"greet", "--bytes=1k"}, "prog: --bytes is \"1k\": it must be a whole number\n"},
		{[]string{"greet", "--bytes="}, "prog: --bytes: it is empty: it must be a whole number\n"},
	} {
		code, out, stderr := runProgram(t, tc.args...)
		command := "prog"
		if sub := tc.args[0]; sub == "greet" || sub == "completion" || sub == "version" {
			command += " " + sub
		}
		want := tc.want + "Run \"" + command + " --help\" for all settings.\n"
		if code != cli.ExitUsage || out != "" || stderr != want {
			t.Errorf("%q: exit %d, stdout %q, got %q, want %q", tc.args, code, out, stderr, want)
		}
	}
}

func TestFailureOfTheRunIsNoUsageError(t *testing.T) {
	code, _, stderr := runProgram(t, "greet", "--name=broken")
	if code != cli.ExitFailure || stderr != "prog: the run failed\n" {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestHelpGroupsSettingsAndHidesSecrets(t *testing.T) {
	_, out, _ := runProgram(t, "greet", "--key=opensesame", "--help")
	for _, want := range []string{"Usage:\n  prog greet [flags]\n", "\nRequired:\n", "--name NAME", "\nDetails:\n", "--groups GROUPS", "(default [read])", "\nThat is all.\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if strings.Contains(out, "opensesame") {
		t.Error("the help prints a secret")
	}
	if _, out, _ := runProgram(t, "version", "--help"); strings.Contains(out, "--count") {
		t.Errorf("another command's help has the settings:\n%s", out)
	}
}

func TestCompletionKnowsValues(t *testing.T) {
	_, out, _ := runProgram(t, "__complete", "greet", "--name", "")
	if !strings.HasPrefix(out, "ada\ngrace\n") {
		t.Errorf("got %q", out)
	}
}
