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
	if own := s.otherFlags(cmd); own.HasAvailableFlags() {
		fmt.Fprintf(&b, "\nFlags:\n%s", own.FlagUsagesWrapped(helpColumns))
	}
	if s.bound(cmd) {
		s.describe(&b, cmd)
	}
	_, err := io.WriteString(cmd.OutOrStdout(), b.String())
	return err
}

// otherFlags returns the flags that are no settings. For a command that has
// settings, --help is none worth telling.
func (s *Settings) otherFlags(cmd *cobra.Command) *pflag.FlagSet {
	own := pflag.NewFlagSet("own", pflag.ContinueOnError)
	own.SortFlags = false
	bound := s.bound(cmd)
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, ok := f.Value.(*collecting); !ok && !(bound && f.Name == "help") {
			own.AddFlag(f)
		}
	})
	return own
}

// describe writes the settings that cmd takes, by group.
func (s *Settings) describe(b *strings.Builder, cmd *cobra.Command) {
	for _, g := range s.groups {
		taken := pflag.NewFlagSet(g.title, pflag.ContinueOnError)
		taken.SortFlags = false
		g.flags.VisitAll(func(f *pflag.Flag) {
			if cmd.Flags().Lookup(f.Name) != nil {
				taken.AddFlag(f)
			}
		})
		if taken.HasFlags() {
			fmt.Fprintf(b, "\n%s:\n%s", g.title, taken.FlagUsagesWrapped(helpColumns))
		}
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
