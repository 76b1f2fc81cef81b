package cli_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"vcsagent/cmd/internal/cli"
)

// What one command calls nearly its own is another's, and right.
func TestVariablesOfOtherCommandsAreNotMisspelt(t *testing.T) {
	declare := func(setting string) *cli.Settings {
		s := cli.NewSettings("PROG_")
		s.Group("All").String(setting, "", "")
		return s
	}
	var log bytes.Buffer
	root := &cobra.Command{Use: "prog"}
	greet, list := declare("greeting"), declare("greetings")
	greetCmd := &cobra.Command{Use: "greet", Run: func(cmd *cobra.Command, _ []string) {
		greet.WarnMisspelt(cmd, slog.New(slog.NewTextHandler(&log, nil)))
	}}
	listCmd := &cobra.Command{Use: "list", Run: func(*cobra.Command, []string) {}}
	greet.Bind(greetCmd)
	list.Bind(listCmd)
	group := &cobra.Command{Use: "group"}
	group.AddCommand(listCmd)
	root.AddCommand(greetCmd, group)

	t.Setenv("PROG_GREETINGS", "s3cret")
	t.Setenv("PROG_GREETNIG", "s3cret")
	t.Setenv("OTHER_GREETINGS", "s3cret")
	if code := cli.Main(root, []string{"greet"}); code != cli.ExitOK {
		t.Fatal("exit code", code)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "variable=PROG_GREETNIG did_you_mean=PROG_GREETING\n") || strings.Contains(got, "s3cret") {
		t.Errorf("logged:\n%s", got)
	}
}
