package cli

import (
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// WarnMisspelt logs a warning for each environment variable that begins with
// the settings' prefix, is no setting of any command of cmd's program and is
// spelt nearly like one of s: a restriction that counts for nothing must not be
// lost in silence. Values are not logged, since they may be secrets.
//
// Names that are like none are passed over, and none is refused: the prefix is
// not ours alone. For a Service named vcs-gateway, Kubernetes gives every
// container of the namespace VCS_GATEWAY_SERVICE_HOST, VCS_GATEWAY_PORT and more.
func (s *Settings) WarnMisspelt(cmd *cobra.Command, log *slog.Logger) {
	known := programVariables(cmd.Root())
	for _, e := range slices.Sorted(slices.Values(os.Environ())) {
		name, value, _ := strings.Cut(e, "=")
		given, ours := strings.CutPrefix(name, s.prefix)
		if !ours || value == "" || known[name] {
			continue
		}
		if near := s.nearestVariable(given); near != "" {
			log.Warn("an environment variable is no setting and has no effect: is its name misspelt?", "variable", name, "did_you_mean", near)
		}
	}
}

// nearestVariable returns the variable of the setting whose name is near to
// given, a variable's name without the prefix; "" if none is.
func (s *Settings) nearestVariable(given string) string {
	var names []string
	variables := map[string]string{} // by what may be written in their place
	s.visit(func(f *pflag.Flag) {
		v := s.variable(f.Name)
		// An irregular setting may be looked for under its flag's name too.
		for _, name := range []string{f.Name, strings.ToLower(strings.TrimPrefix(v, s.prefix))} {
			names = append(names, name)
			variables[name] = v
		}
	})
	return variables[nearest(given, names)]
}

// programVariables returns the variables that any command of the program reads.
func programVariables(cmd *cobra.Command) map[string]bool {
	all := map[string]bool{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if c, ok := f.Value.(*collecting); ok {
			all[c.settings.variable(f.Name)] = true
		}
	})
	for _, sub := range cmd.Commands() {
		for v := range programVariables(sub) {
			all[v] = true
		}
	}
	return all
}
