// Package cli is what the commands share: settings with one name in three
// spellings, problems told all at once, exit codes, logging, signals and the
// version.
//
// A command declares its settings in groups, binds them to the cobra commands
// that take them, and loads them when it runs:
//
//	s := cli.NewSettings("VCS_GATEWAY_")
//	f := s.Group("Listeners")
//	f.StringVar(&cfg.AgentListen, "agent-listen", ":8443", "`HOST:PORT` for agents, UDP and TCP")
//	s.Bind(serve)
//	serve.RunE = func(cmd *cobra.Command, _ []string) error {
//		if err := errors.Join(s.Load(cmd), cfg.Validate()); err != nil {
//			return s.Invalid(err)
//		}
//		...
//	}
//	os.Exit(cli.Main(root, os.Args[1:]))
//
// The setting agent-listen is then the flag --agent-listen, the environment
// variable VCS_GATEWAY_AGENT_LISTEN and the YAML key agent-listen, and the
// first of flag, environment, file and default that has a value decides.
package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit codes of every command. A process that a second signal ends leaves 128
// plus the signal's number, as shells do.
const (
	ExitOK      = 0
	ExitFailure = 1 // it ran and failed
	ExitUsage   = 2 // the command line or a setting is wrong; nothing was started
)

// Main runs root with args (without the program's name), prints what went
// wrong on root's stderr and returns the exit code: [ExitUsage] for errors made
// by [Usage] or [Settings.Invalid] and for all that cobra itself refuses,
// [ExitFailure] for any other.
func Main(root *cobra.Command, args []string) int {
	root.SilenceErrors = true // printed below, once, all problems together
	root.SilenceUsage = true
	root.SetArgs(args)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	refuseAsUsage(root)

	ran, err := root.ExecuteC()
	if err == nil {
		return ExitOK
	}
	if e, ok := errors.AsType[*exitError](err); ok {
		return e.code
	}
	code := ExitFailure
	if _, ok := errors.AsType[*usageError](err); ok {
		code = ExitUsage
	}
	printProblems(root.ErrOrStderr(), root.Name(), ran.CommandPath(), code, err)
	return code
}

// Usage marks err as the user's to mend: [Main] exits with [ExitUsage]. It
// returns nil for nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return &usageError{err}
}

type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// Exit ends the program with a code and prints nothing: the command has said
// all there is to say.
func Exit(code int) error { return &exitError{code} }

type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// refuseAsUsage marks what cobra refuses before a command runs (arguments,
// flags) as usage errors, in cmd and all below it. A command with others below
// it takes no arguments: cobra would print the help of one that does nothing
// itself and exit with 0, whatever stands behind it.
func refuseAsUsage(cmd *cobra.Command) {
	if cmd.HasSubCommands() {
		cmd.Args = noArguments
		if !cmd.Runnable() {
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			cmd.DisableFlagsInUseLine = true
		}
	}
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return Usage(quoteShort(check(cmd, args), args)) }
	}
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return Usage(flagSentence(cmd, err)) })
	for _, sub := range cmd.Commands() {
		refuseAsUsage(sub)
	}
}

// noArguments is the argument check of commands with others below them.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := fmt.Sprintf("settings are given as flags, see %q", cmd.CommandPath()+" --help")
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	if near := nearest(args[0], names); near != "" {
		hint = fmt.Sprintf("did you mean %q?", cmd.CommandPath()+" "+near)
	}
	return fmt.Errorf("%q is not a command of %s: %s", shorten(args[0]), cmd.CommandPath(), hint)
}

// flagSentence says what is wrong with a flag's name, or with the value of one
// that is no setting: such a flag holds no secret. The wrong values of settings
// are told by [Settings.Load].
func flagSentence(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return invalidValue(e.GetFlag().Name, e.GetFlag().Value, e.GetValue(), errors.Unwrap(e))
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return fmt.Errorf("--%s needs a value", e.GetFlag().Name)
	}
	var given, name string
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name, given = e.GetSpecifiedName(), "--"+e.GetSpecifiedName()
		if short := e.GetSpecifiedShortnames(); short != "" {
			name, _, _ = strings.Cut(short, "=")
			given = "-" + name
		}
	} else if e, ok := errors.AsType[*pflag.InvalidSyntaxError](err); ok {
		given, _, _ = strings.Cut(e.GetSpecifiedFlag(), "=")
		name = strings.TrimLeft(given, "-")
	} else {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	hint := fmt.Sprintf("see %q", cmd.CommandPath()+" --help")
	if near := nearest(name, names); near != "" {
		hint = fmt.Sprintf("did you mean --%s?", near)
	}
	return fmt.Errorf("%s is not a flag of %s: %s", shorten(given), cmd.CommandPath(), hint)
}

// quoteShort shortens the arguments that err quotes: a token that was pasted
// without its flag must not end up in a terminal's log.
func quoteShort(err error, args []string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, a := range args {
		text = strings.ReplaceAll(text, a, shorten(a))
	}
	return errors.New(text)
}

// shorten keeps what is longer than any name of ours from being printed whole.
func shorten(s string) string {
	const longest = 40 // bytes; our longest flag has 34
	if len(s) > longest {
		return s[:8] + "…"
	}
	return s
}

// printProblems writes err to w: a sentence for one problem, a list for several.
// command is the one whose help tells more.
func printProblems(w io.Writer, program, command string, code int, err error) {
	problems := Problems(err)
	if len(problems) == 1 {
		fmt.Fprintf(w, "%s: %s\n", program, problems[0])
	} else {
		fmt.Fprintf(w, "%s: %d problems:\n", program, len(problems))
		for _, p := range problems {
			fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(p.Error(), "\n", "\n    "))
		}
	}
	if code == ExitUsage {
		fmt.Fprintf(w, "Run \"%s --help\" for all settings.\n", command)
	}
}

// Problems takes apart what [errors.Join] put together, however deep: one
// error for each problem, in order.
func Problems(err error) []error {
	switch e := err.(type) {
	case nil:
		return nil
	case *usageError:
		return Problems(e.err)
	case interface{ Unwrap() []error }:
		var all []error
		for _, sub := range e.Unwrap() {
			all = append(all, Problems(sub)...)
		}
		return all
	default:
		return []error{err}
	}
}
