package cli

import (
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// ConfigFile is the configuration file as [Settings.Load] read it.
type ConfigFile struct {
	Path string // "" if none was named
	Text []byte // nil if it could not be read
}

// ConfigFile returns the file that the last Load read.
func (s *Settings) ConfigFile() ConfigFile { return s.config }

// LoadLike loads freshly declared settings as first, which declares the same,
// was loaded: from the same command line, and from the environment and the file
// as they are now.
func (s *Settings) LoadLike(first *Settings) error {
	cmd := new(cobra.Command)
	s.addFlags(cmd, nil)
	for name, texts := range first.given {
		for _, text := range texts {
			// A wrong value is kept for Load.
			_ = cmd.Flags().Set(name, text)
		}
	}
	return s.Load(cmd)
}

// Differing returns the names of the settings whose values differ from those of
// other, which declares the same, secrets included and sections not.
func (s *Settings) Differing(other *Settings) []string {
	values := map[string]string{}
	other.visit(func(f *pflag.Flag) { values[f.Name] = valueOf(f) })
	var names []string
	s.visit(func(f *pflag.Flag) {
		if valueOf(f) != values[f.Name] {
			names = append(names, f.Name)
		}
	})
	slices.Sort(names)
	return names
}

func valueOf(f *pflag.Flag) string {
	if hidden, ok := f.Value.(interface{ reveal() string }); ok {
		return hidden.reveal()
	}
	return f.Value.String()
}
