package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vcsagent/cmd/internal/cli"
	"vcsagent/gateway/api"
)

func poolCommand() *cobra.Command {
	pool := &cobra.Command{Use: "pool", Short: "Make, show, change and delete pools and their tokens", Args: cobra.NoArgs}
	pool.AddCommand(
		poolCreateCommand(), poolListCommand(), poolShowCommand(), poolEditCommand(),
		poolPauseCommand(), poolResumeCommand(), poolDeleteCommand(),
		tokenListCommand(), tokenRotateCommand(), tokenRevokeCommand(),
	)
	return pool
}

// poolFlags are what a pool is made of, but for its name.
type poolFlags struct {
	description    string
	maxParallelism int
	networks       []string
	limits         limitFlags
}

func (p *poolFlags) declare(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&p.description, "description", "", "what the pool is, for people")
	f.IntVar(&p.maxParallelism, "max-parallelism", 0, "`NUMBER` of streams that an agent may have at most; 0 for no cap")
	f.StringSliceVar(&p.networks, "networks", nil, "`NETWORKS` that agents may come from, such as 10.1.0.0/16; empty for anywhere")
	p.limits.declare(f)
}

// change returns what the flags that were given change.
func (p *poolFlags) change(f *pflag.FlagSet) (c api.PoolChange, any bool) {
	any = given(f, "description", &c.Description, &p.description)
	any = given(f, "max-parallelism", &c.MaxParallelism, &p.maxParallelism) || any
	p.networks = orEmpty(p.networks)
	any = given(f, "networks", &c.Networks, &p.networks) || any
	c.Limits = p.limits.given(f)
	return c, any || c.Limits != nil
}

func poolCreateCommand() *cobra.Command {
	var p poolFlags
	var expires when
	r := newRemote()
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a pool and print its token, once", Args: cobra.ExactArgs(1),
		Long: "Make a pool and print the token that its agents join it with. The token is printed\n" +
			"alone and only this once: TOKEN=$(vcs-gateway pool create gitlab) keeps it.",
		Example: `  vcs-gateway pool create gitlab --description "GitLab in the basement" --networks 203.0.113.0/24`,
	}
	p.declare(cmd.Flags())
	cmd.Flags().Var(&expires, "token-expires", "when the token does; never if not given")
	asJSON := jsonFlag(cmd, "one JSON object: the pool, with its token")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		created, err := c.CreatePool(cmd.Context(), api.NewPool{
			Name: args[0], Description: p.description, Limits: p.limits.all(),
			MaxParallelism: p.maxParallelism, Networks: p.networks, TokenExpires: expires.at,
		})
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(cmd.OutOrStdout(), struct {
				api.Pool
				Token string `json:"token"` // in clear: it is what was asked for
			}{created.Pool, created.Token.Reveal()})
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), created.Token.Reveal())
		return written(err)
	})
}

func poolListCommand() *cobra.Command {
	r := newRemote()
	cmd := &cobra.Command{Use: "list", Short: "List the pools and how many agents each has", Args: cobra.NoArgs}
	asJSON := jsonFlag(cmd, "one JSON array")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		pools, err := c.Pools(cmd.Context())
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(cmd.OutOrStdout(), orEmpty(pools))
		}
		t := newTable("NAME", "AGENTS", "STREAMS", "STATE", "CREATED", "DESCRIPTION")
		for _, p := range pools {
			t.add(p.Name, fmt.Sprint(p.Agents), fmt.Sprint(p.Streams), poolState(p), moment(p.CreatedAt), line(p.Description))
		}
		return t.print(cmd.OutOrStdout())
	})
}

// poolState says in a word or two whether requests get through.
func poolState(p api.Pool) string {
	switch {
	case p.Paused:
		return "paused"
	case p.Agents == 0:
		return "no agent"
	}
	return "ready"
}

func poolShowCommand() *cobra.Command {
	r := newRemote()
	cmd := &cobra.Command{Use: "show NAME", Short: "Show a pool, its limits and its agents", Args: cobra.ExactArgs(1)}
	asJSON := jsonFlag(cmd, "one JSON object")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		p, err := c.Pool(cmd.Context(), args[0])
		switch {
		case err != nil:
			return err
		case *asJSON:
			p.Connections = orEmpty(p.Connections)
			return printJSON(cmd.OutOrStdout(), p)
		}
		out := cmd.OutOrStdout()
		if err := poolPairs(out, p.Pool); err != nil || len(p.Connections) == 0 {
			return err
		}
		fmt.Fprintln(out)
		return connectionTable(out, p.Connections, time.Now())
	})
}

func poolPairs(w io.Writer, p api.Pool) error {
	t := newPairs()
	t.add("name", p.Name)
	t.add("description", line(p.Description))
	t.add("state", poolState(p))
	t.add("agents", agentCount(p.Agents, p.InFlight, p.Streams))
	limit := "no cap"
	if p.MaxParallelism != 0 {
		limit = fmt.Sprintf("%d streams an agent", p.MaxParallelism)
	}
	t.add("parallelism", limit)
	networks := list(p.Networks)
	if networks == "" {
		networks = "anywhere"
	}
	t.add("agents from", networks)
	limitPairs(t, p.Limits, "the gateway's setting")
	t.add("id", p.ID)
	t.add("created", moment(p.CreatedAt))
	t.add("changed", moment(p.UpdatedAt))
	return t.print(w)
}

// agentCount says how many agents there are and how busy they are.
func agentCount(agents, busy, streams int) string {
	if agents == 0 {
		return "none"
	}
	return fmt.Sprintf("%d, with %d of %d streams busy", agents, busy, streams)
}

func poolEditCommand() *cobra.Command {
	var p poolFlags
	r := newRemote()
	cmd := &cobra.Command{
		Use: "edit NAME", Short: "Change a pool", Args: cobra.ExactArgs(1),
		Long:    "Change what the flags name, and nothing else. It counts from the next request on.",
		Example: `  vcs-gateway pool edit gitlab --requests-per-second 50 --burst 100`,
	}
	p.declare(cmd.Flags())
	asJSON := jsonFlag(cmd, "the pool as it is then as one JSON object")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		change, any := p.change(cmd.Flags())
		if !any {
			return cli.Usage(errors.New("nothing is to change: give one flag at least, such as --description"))
		}
		return updatePool(cmd, c, args[0], change, *asJSON)
	})
}

func poolPauseCommand() *cobra.Command {
	return pausing("pause NAME", "Let no more requests through to a pool",
		"Refuse requests for the pool from now on. Those in flight end as they would, and its\nagents stay connected.", true)
}

func poolResumeCommand() *cobra.Command {
	return pausing("resume NAME", "Let requests through to a paused pool again", "", false)
}

func pausing(use, short, long string, paused bool) *cobra.Command {
	r := newRemote()
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: cobra.ExactArgs(1)}
	asJSON := jsonFlag(cmd, "the pool as it is then as one JSON object")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		return updatePool(cmd, c, args[0], api.PoolChange{Paused: &paused}, *asJSON)
	})
}

// updatePool changes a pool and shows what became of it.
func updatePool(cmd *cobra.Command, c *api.Client, name string, change api.PoolChange, asJSON bool) error {
	p, err := c.UpdatePool(cmd.Context(), name, change)
	switch {
	case err != nil:
		return err
	case asJSON:
		return printJSON(cmd.OutOrStdout(), p)
	}
	return poolPairs(cmd.OutOrStdout(), p)
}

func poolDeleteCommand() *cobra.Command {
	var yes bool
	r := newRemote()
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Delete a pool and end its agents' sessions", Args: cobra.ExactArgs(1),
		Long: "Delete a pool. Its tokens are worth nothing any more, its agents' sessions end at once with\n" +
			"the requests on them, and callers' keys lose it. The logs keep their entries. On a terminal\n" +
			"the command asks for the pool's name first.",
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "delete it without asking")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		p, err := c.Pool(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		becomes := fmt.Sprintf("The pool %s has %d agents connected, with %d requests in flight: they end at once.", p.Name, p.Agents, p.InFlight)
		if err := confirm(cmd, yes, "pool", p.Name, becomes); err != nil {
			return err
		}
		return c.DeletePool(cmd.Context(), p.Name)
	})
}
