package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"vcsagent/gateway/api"
	"vcsagent/gateway/control"
)

func connectionsCommand() *cobra.Command {
	r := newRemote()
	cmd := &cobra.Command{
		Use: "connections [POOL]", Short: "List the agents that are connected", Args: cobra.MaximumNArgs(1),
		Long: "List the agents that are connected to this gateway, of one pool or of all: what each is,\n" +
			"where it comes from, how many of its streams serve a request, and how good its line is.",
	}
	asJSON := jsonFlag(cmd, "one JSON array")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		pool := ""
		if len(args) > 0 {
			pool = args[0]
		}
		connections, err := c.Connections(cmd.Context(), pool)
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(cmd.OutOrStdout(), orEmpty(connections))
		case len(connections) == 0:
			fmt.Fprintln(cmd.ErrOrStderr(), "No agent is connected. An agent joins a pool when it runs with the pool's token.")
			return nil
		}
		return connectionTable(cmd.OutOrStdout(), connections, time.Now())
	})
}

func connectionTable(w io.Writer, connections []control.Connection, now time.Time) error {
	t := newTable("POOL", "AGENT", "CONNECTED", "CARRIER", "ADDRESS", "STREAMS", "REQUESTS", "RTT", "LOSS", "VENDOR", "VERSION", "TAGS")
	for _, c := range connections {
		streams := fmt.Sprintf("%d/%d", c.InFlight, c.Parallelism)
		if c.Draining {
			streams += " draining"
		}
		rtt := "" // not known yet
		if c.RTT > 0 {
			rtt = seconds(c.RTT)
		}
		t.add(c.Pool, c.Instance, ago(c.Since, now), string(c.Carrier), c.RemoteAddress, streams, fmt.Sprint(c.Requests),
			rtt, fmt.Sprintf("%.1f%%", 100*c.Loss), c.Vendor, c.Version, pairs(c.Tags))
	}
	return t.print(w)
}
