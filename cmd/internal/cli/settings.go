package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Settings are a command's settings: each is a flag, an environment variable
// and a YAML key of one name. Declare them with [Settings.Group], then Bind
// them, then Load them when the command runs.
//
// Environment variables that are set but empty count as not set.
type Settings struct {
	prefix      string
	groups      []group
	irregular   map[string]string   // flag → environment variable
	completions map[string][]string // flag → values a shell may offer
	notes       []string

	sections map[string]*Section

	given    map[string][]string // flag → values on the command line, for LoadLike
	badFlags []error             // wrong values on the command line, kept until Load
	sources  map[string]string   // where each setting that has one got its value, for error messages
	config   ConfigFile
}

type group struct {
	title string
	flags *pflag.FlagSet
}

// NewSettings returns settings whose environment variables begin with prefix,
// such as VCS_GATEWAY_.
func NewSettings(prefix string) *Settings {
	return &Settings{
		prefix:      prefix,
		irregular:   map[string]string{},
		completions: map[string][]string{},
		sections:    map[string]*Section{},
		given:       map[string][]string{},
		sources:     map[string]string{},
	}
}

// Group starts a group of settings under a title of the help text and returns
// the flag set to declare them in. The setting named config, a YAML file, is
// declared as a string flag like any other; Load then reads that file.
func (s *Settings) Group(title string) *pflag.FlagSet {
	fs := pflag.NewFlagSet(title, pflag.ContinueOnError)
	fs.SortFlags = false
	s.groups = append(s.groups, group{title, fs})
	return fs
}

// SecretVar declares a secret in fs: a string setting that no help text and no
// error prints.
func SecretVar[T ~string](fs *pflag.FlagSet, p *T, name, usage string) {
	fs.Var(secret[T]{p}, name, usage)
}

type secret[T ~string] struct{ p *T }

func (v secret[T]) Set(s string) error { *v.p = T(s); return nil }
func (v secret[T]) Type() string       { return "string" }
func (v secret[T]) String() string     { return "" }
func (v secret[T]) reveal() string     { return string(*v.p) }

// Env gives a flag an environment variable other than the prefix and its name.
func (s *Settings) Env(flag, variable string) { s.irregular[flag] = variable }

// Complete tells shells which values a flag may have.
func (s *Settings) Complete(flag string, values ...string) { s.completions[flag] = values }

// Note adds a paragraph to the end of the help text.
func (s *Settings) Note(text string) { s.notes = append(s.notes, text) }

// Bind gives the settings to commands as local flags; all of them share the
// variables. It panics on a flag that is declared twice or a completion without
// its flag, which are mistakes of the program.
func (s *Settings) Bind(cmds ...*cobra.Command) {
	s.BindOnly(nil, cmds...)
}

// BindOnly is [Settings.Bind] for commands that take some of the settings, by
// their names; nil means all. Such a command reads a configuration file that has
// the others too, and leaves them alone.
func (s *Settings) BindOnly(names []string, cmds ...*cobra.Command) {
	for _, cmd := range cmds {
		s.addFlags(cmd, names)
		for flag, values := range s.completions {
			if cmd.Flags().Lookup(flag) == nil && names != nil {
				continue
			}
			if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
				panic("cli: " + err.Error())
			}
		}
		cmd.SetUsageFunc(s.usage)
	}
}

func (s *Settings) addFlags(cmd *cobra.Command, names []string) {
	cmd.Flags().SortFlags = false
	s.visit(func(f *pflag.Flag) {
		if names != nil && !slices.Contains(names, f.Name) {
			return
		}
		bound := *f
		bound.Value = &collecting{f.Value, f.Name, s}
		cmd.Flags().AddFlag(&bound)
	})
}

// Load fills the settings that the command line left open from the environment,
// then from the file that the setting config names. It returns every problem
// at once, those of the command line included; settings with a problem keep
// their default.
func (s *Settings) Load(cmd *cobra.Command) error {
	problems := s.badFlags
	v := viper.New()
	s.visit(func(f *pflag.Flag) {
		// BindEnv fails only without a name.
		_ = v.BindEnv(f.Name, s.variable(f.Name))
	})
	lines, err := s.loadFile(cmd, v)
	problems = append(problems, err)

	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		bound, ok := f.Value.(*collecting)
		if !ok {
			return // cobra's own
		}
		switch {
		case f.Changed:
			s.sources[f.Name] = "the command line"
			return
		case os.Getenv(s.variable(f.Name)) != "":
			s.sources[f.Name] = s.variable(f.Name)
		case lines[f.Name] != "":
			s.sources[f.Name] = lines[f.Name]
		default:
			return
		}
		if err := setAny(bound.Value, v.Get(f.Name)); err != nil {
			problems = append(problems, invalidValue(f.Name, bound.Value, v.Get(f.Name), err))
		}
	})
	return errors.Join(problems...)
}

// loadFile gives v the values of the file that config names, if any, and
// returns each key's place in it.
func (s *Settings) loadFile(cmd *cobra.Command, v *viper.Viper) (lines map[string]string, err error) {
	f := cmd.Flags().Lookup("config")
	if f == nil {
		return nil, nil
	}
	path := f.Value.String()
	if !f.Changed {
		path = v.GetString("config")
	}
	if path == "" {
		return nil, nil
	}
	text, err := ReadFile(path, MaxConfigFile)
	s.config = ConfigFile{path, text}
	if err != nil {
		return nil, NewSettingError("config", path, err.Error())
	}
	entries, err := parseYAML(path, text, s.keys(), s.sections)
	values, lines := map[string]any{}, map[string]string{}
	for _, e := range entries {
		values[e.key], lines[e.key] = e.value, e.place
	}
	return lines, errors.Join(err, v.MergeConfigMap(values))
}

// keys returns the names a configuration file may have.
func (s *Settings) keys() []string {
	var names []string
	s.visit(func(f *pflag.Flag) {
		if f.Name != "config" {
			names = append(names, f.Name)
		}
	})
	return names
}

// variable returns the environment variable of a setting, "" if s has none of
// that name.
func (s *Settings) variable(name string) string {
	if v := s.irregular[name]; v != "" {
		return v
	}
	for _, g := range s.groups {
		if g.flags.Lookup(name) != nil {
			return s.prefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		}
	}
	return ""
}

func (s *Settings) visit(do func(*pflag.Flag)) {
	for _, g := range s.groups {
		g.flags.VisitAll(do)
	}
}

// collecting keeps a flag's wrong value for Load instead of failing, so that it
// is told together with all other problems.
type collecting struct {
	pflag.Value
	name     string
	settings *Settings
}

func (c *collecting) Set(text string) error {
	c.settings.given[c.name] = append(c.settings.given[c.name], text)
	if err := c.Value.Set(text); err != nil {
		c.settings.badFlags = append(c.settings.badFlags, invalidValue(c.name, c.Value, text, err))
	}
	return nil
}

// setAny gives v what viper holds: the text of one value, or the texts of a list.
func setAny(v pflag.Value, value any) error {
	list, ok := value.([]string)
	if !ok {
		return v.Set(fmt.Sprint(value))
	}
	slice, ok := v.(pflag.SliceValue)
	if !ok {
		return errors.New("it takes one value, not a list")
	}
	return slice.Replace(list)
}

// invalidValue says what a value of v's type looks like.
func invalidValue(name string, v pflag.Value, given any, err error) error {
	allowed := err.Error()
	switch v.Type() {
	case "int", "int64":
		allowed = "it must be a whole number"
	case "float64":
		allowed = "it must be a number, such as 50 or 0.5"
	case "bool":
		allowed = "it must be true or false"
	case "duration":
		allowed = "it must be a duration with a unit, such as 30s, 1m30s or 500ms"
	case "stringSlice":
		allowed = "it must be a list with commas between its parts"
	}
	if _, ok := given.([]string); ok {
		return NewSettingError(name, "", err.Error())
	}
	text := fmt.Sprint(given)
	if text == "" {
		return NewSettingError(name, "", "it is empty: "+allowed)
	}
	return NewSettingError(name, shorten(text), allowed)
}
