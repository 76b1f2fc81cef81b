package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"vcsagent/agent"
	"vcsagent/cmd/internal/cli"
)

const description = `vcs-agent lets a service reach a VCS that the internet can't.

It runs next to the VCS, dials out to the service's gateway and keeps one
connection open. Requests come down that connection; each is checked against an
allowlist, passed on to the VCS, answered, and logged with what it was for.`

const example = `  vcs-agent --target-base-endpoint https://gitlab.example.com --vendor gitlab --token-file /run/secrets/token`

const spellings = `Every setting has one name in three spellings: the flag --allowed-projects is also
the environment variable SPACELIFT_VCS_AGENT_ALLOWED_PROJECTS and the key
allowed-projects of the --config file. The one exception is --token, whose variable
is SPACELIFT_VCS_AGENT_POOL_TOKEN. The first of flag, variable, file and default
that has a value decides.

The environment is also read for HTTPS_PROXY, HTTP_PROXY and NO_PROXY (http://,
https://, socks5:// and socks5h:// proxies, with user:password if need be), and
each SPACELIFT_METADATA_name is sent to the gateway as the tag "name".`

// command is the program with its settings. run is the agent itself, a seam for
// tests.
type command struct {
	run      func(context.Context, agent.Config) error
	settings *cli.Settings
	options  options
}

// newCommand returns the root command, which runs the agent, with the
// subcommands run and serve, which do the same, rules and version.
func newCommand(run func(context.Context, agent.Config) error) *cobra.Command {
	c := &command{run: run}
	c.settings = c.options.declare()
	c.settings.Note(spellings)

	root := &cobra.Command{Use: "vcs-agent", Short: "Let a service reach a private VCS", Long: description, Example: example, RunE: c.execute}
	runCmd := &cobra.Command{Use: "run", Short: "Run the agent (the same as no command)", Args: cobra.NoArgs, RunE: c.execute}
	serveCmd := &cobra.Command{Use: "serve", Short: "Run the agent (the same as no command)", Args: cobra.NoArgs, RunE: c.execute}
	c.settings.Bind(root, runCmd, serveCmd)
	root.AddCommand(runCmd, serveCmd, c.rulesCommand(), cli.VersionCommand())
	return root
}

// execute runs the agent until it fails or a signal ends it.
func (c *command) execute(cmd *cobra.Command, _ []string) error {
	// From now on SIGHUP doesn't end the process, whatever it's busy with. One that
	// comes before the agent runs waits.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)

	cfg, err := c.options.config(cmd, c.settings)
	if err != nil {
		return c.settings.Invalid(err)
	}
	c.settings.WarnMisspelt(cmd, cfg.Logger)
	scrub := newScrubber(c.options.secrets()...)
	rep := newReporter(c.options.bugsnag, scrub, cfg.Logger)
	defer rep.close()
	cfg.Report = rep.report

	changes := make(chan agent.PolicyChange)
	cfg.PolicyChanges = changes
	reload := newReloader(&c.options, c.settings, changes, scrub)

	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := cli.Signals(cmd.Context())
	defer stop()
	wg.Go(func() { reload.watch(ctx, hangups) })
	err = c.guard(ctx, cfg, scrub)
	if _, ok := errors.AsType[*agent.SettingError](err); ok {
		return c.settings.Invalid(err)
	}
	if err != nil {
		return errors.New(scrub.text(err.Error()))
	}
	return nil
}

// guard runs the agent and reports its end, unless that was asked for or a
// setting's fault. A panic becomes an error, with the stack in the log: the
// process then exits with 1, not with the 2 that the runtime would give it.
func (c *command) guard(ctx context.Context, cfg agent.Config, scrub *scrubber) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
			cfg.Report(err)
			cfg.Logger.Error("the agent panicked", "error", scrub.text(err.Error()), "stack", string(debug.Stack()))
		}
	}()
	err = c.run(ctx, cfg)
	if _, ok := errors.AsType[*agent.SettingError](err); !ok && err != nil {
		cfg.Report(err)
	}
	return err
}
