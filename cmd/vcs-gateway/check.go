package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"vcsagent/gateway/api"
	"vcsagent/gateway/control"
	"vcsagent/transport"
)

func checkCommand() *cobra.Command {
	r := newRemote()
	cmd := &cobra.Command{
		Use: "check POOL", Short: "See whether a pool's VCS answers", Args: cobra.ExactArgs(1),
		Long: "Ask an agent of the pool whether its VCS answers. The exit code is 0 only if an agent is\n" +
			"connected and the VCS answered it well; else it is 1, and a sentence on stderr says what is wrong.",
	}
	asJSON := jsonFlag(cmd, "one JSON object")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		check, err := c.CheckPool(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		show := checkPairs
		if *asJSON {
			show = func(w io.Writer, check control.Check) error { return printJSON(w, check) }
		}
		if err := show(cmd.OutOrStdout(), check); err != nil {
			return err
		}
		if !check.Agent || !check.Reachable || check.Code != "" {
			return errors.New(transport.Printable(check.Detail))
		}
		return nil
	})
}

func checkPairs(w io.Writer, check control.Check) error {
	t := newPairs()
	if check.Agent {
		t.add("agent", fmt.Sprintf("%s, %s away", check.Instance, seconds(check.RTT)))
	} else {
		t.add("agent", "none answered")
	}
	vcs := check.Vendor
	if check.Version != "" {
		vcs += " " + check.Version
	}
	if check.Status != 0 {
		vcs += fmt.Sprintf(", answered %d after %s", check.Status, seconds(check.Elapsed))
	}
	t.add("VCS", vcs)
	if check.Code == "" {
		t.add("result", check.Detail)
	}
	return t.print(w)
}
