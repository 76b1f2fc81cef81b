package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"vcsagent/agent"
)

// What the tests use of this package.
var (
	Main       = main
	NewCommand = newCommand
)

// Times of looking at files.
const (
	LookInterval   = lookInterval
	SettleInterval = settleInterval
)

// Reloader returns what watches the files of an agent that is started with args,
// and what the agent gets from it. Its log goes to cmd's standard output.
func Reloader(cmd *cobra.Command, args []string) (watch func(context.Context, <-chan os.Signal), changes <-chan agent.PolicyChange, err error) {
	var o options
	s := o.declare()
	s.Bind(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		return nil, nil, err
	}
	if _, err := o.config(cmd, s); err != nil {
		return nil, nil, err
	}
	c := make(chan agent.PolicyChange)
	return newReloader(&o, s, c, newScrubber()).watch, c, nil
}
