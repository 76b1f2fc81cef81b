package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"vcsagent/gateway/api"
)

func overviewCommand() *cobra.Command {
	since := when{past: true}
	r := newRemote()
	cmd := &cobra.Command{
		Use: "overview", Aliases: []string{"status"}, Short: "Count pools, agents, keys and requests", Args: cobra.NoArgs,
		Long: "Count the pools, the agents on this gateway, the keys, and the requests of the last 24 hours.",
	}
	cmd.Flags().Var(&since, "since", "count the requests since then, to the minute")
	asJSON := jsonFlag(cmd, "one JSON object")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		o, err := c.Overview(cmd.Context(), since.at)
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(cmd.OutOrStdout(), o)
		}
		t := newPairs()
		t.add("pools", fmt.Sprintf("%d, %d paused, %d without an agent", o.Pools, o.PausedPools, o.SilentPools))
		t.add("agents", agentCount(o.Agents, o.InFlight, o.Streams))
		t.add("keys", fmt.Sprintf("%d, %d of them admins'", o.Keys, o.AdminKeys))
		t.add("requests", fmt.Sprintf("%d served, %d denied, %d failed since %s", o.Requests.Served, o.Requests.Denied, o.Requests.Failed, moment(o.Since)))
		return t.print(cmd.OutOrStdout())
	})
}
