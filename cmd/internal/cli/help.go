package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpColumns is how wide help texts are at most, terminal or not: what is
// pasted into an issue should read as it did on the screen.
const helpColumns = 110

// usage prints how to call cmd and its settings by group; cobra prints the
// command's description above it.
func (s *Settings) usage(cmd *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Usage:\n  %s\n", cmd.UseLine())
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "  %s COMMAND\n\nCommands:\n", cmd.CommandPath())
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-*s  %s\n", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExample:\n%s\n", cmd.Example)
	}
	if s.bound(cmd) {
		s.describe(&b)
	} else if cmd.HasAvailableLocalFlags() {
		fmt.Fprintf(&b, "\nFlags:\n%s", cmd.LocalFlags().FlagUsagesWrapped(helpColumns))
	}
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

func (s *Settings) describe(b *strings.Builder) {
	for _, g := range s.groups {
		fmt.Fprintf(b, "\n%s:\n%s", g.title, g.flags.FlagUsagesWrapped(helpColumns))
	}
	for _, n := range s.notes {
		fmt.Fprintf(b, "\n%s\n", n)
	}
}

// bound reports whether cmd takes the settings; commands below one that does
// inherit its usage function, but not its flags.
func (s *Settings) bound(cmd *cobra.Command) bool {
	found := false
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if c, ok := f.Value.(*collecting); ok && c.settings == s {
			found = true
		}
	})
	return found
}
