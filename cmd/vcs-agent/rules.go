package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"vcsagent/allow"
	"vcsagent/cmd/internal/cli"
)

const rulesDescription = `Show and try the policy: which calls the agent lets through, and why not.

The policy is put together from the agent's own settings, so with the same flags,
variables and --config file these commands tell what the agent does. They need no
token and no VCS, and connect to nothing.`

// rulesCommand returns the command "rules" with those below it. They share the
// settings with the agent and take those that make up the policy.
func (c *command) rulesCommand() *cobra.Command {
	rules := &cobra.Command{Use: "rules", Short: "Show and try the policy", Long: rulesDescription}
	list, test := c.rulesListCommand(), c.rulesTestCommand()
	c.settings.BindOnly(policySettings, list, test)
	rules.AddCommand(list, test)
	return rules
}

// rulesOptions loads the settings that make up the policy. Without needVendor
// the vendor may be missing.
func (c *command) rulesOptions(cmd *cobra.Command, needVendor bool) (allow.Options, error) {
	told := c.settings.Load(cmd)
	o, err := c.options.policy.options(c.options.credential.given())
	told = errors.Join(told, err)
	rest := checkPolicy(o)
	if !needVendor && o.Vendor == "" {
		rest = cli.Except(rest, cli.NewSettingError("vendor", "", ""))
	}
	if err := c.settings.Invalid(errors.Join(told, cli.Except(rest, told))); err != nil {
		return allow.Options{}, err
	}
	// A variable that counts for nothing explains a policy that isn't the one meant.
	if log, err := (cli.Log{Level: "warn", Format: "text"}).Logger(cmd.ErrOrStderr()); err == nil {
		c.settings.WarnMisspelt(cmd, log)
	}
	return o, nil
}

// rulesPolicy is rulesOptions, compiled.
func (c *command) rulesPolicy(cmd *cobra.Command) (*allow.Policy, error) {
	o, err := c.rulesOptions(cmd, true)
	if err != nil {
		return nil, err
	}
	p, err := allow.New(o)
	return p, cli.Usage(err)
}

// written makes a failure to print an error of the command's.
func written(err error) error {
	if err != nil {
		return fmt.Errorf("the output can't be written: %w", err)
	}
	return nil
}
