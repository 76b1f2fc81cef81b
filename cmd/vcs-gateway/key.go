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

func keyCommand() *cobra.Command {
	key := &cobra.Command{Use: "key", Short: "Make, show, change and delete the keys of callers and admins", Args: cobra.NoArgs}
	key.AddCommand(keyCreateCommand(), keyListCommand(), keyShowCommand(), keyEditCommand(), keyDeleteCommand())
	return key
}

// keyFlags are what may change of a key.
type keyFlags struct {
	pools   []string
	expires when
	limits  limitFlags
}

func (k *keyFlags) declare(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringSliceVar(&k.pools, "pool", nil, "`POOL` that the key may call; give it again for more")
	f.Var(&k.expires, "expires", "when the key does; never if not given")
	k.limits.declare(f)
}

// change returns what the flags that were given change.
func (k *keyFlags) change(f *pflag.FlagSet) (c api.KeyChange, any bool) {
	k.pools = orEmpty(k.pools)
	any = given(f, "pool", &c.Pools, &k.pools)
	any = given(f, "expires", &c.Expires, &k.expires.at) || any
	c.Limits = k.limits.given(f)
	return c, any || c.Limits != nil
}

func keyCreateCommand() *cobra.Command {
	var k keyFlags
	var admin bool
	r := newRemote()
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a key and print it, once", Args: cobra.ExactArgs(1),
		Long: "Make a key with which a caller may send requests to the pools named, or, with --admin, one\n" +
			"that may do all that these commands do. The key is printed alone and only this once.",
		Example: "  vcs-gateway key create backend --pool gitlab --pool bitbucket --expires 90d",
	}
	k.declare(cmd.Flags())
	cmd.Flags().BoolVar(&admin, "admin", false, "the key is an admin's; it may call the pools named, if any")
	asJSON := jsonFlag(cmd, "one JSON object: what is known of the key, and the key")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		if len(k.pools) == 0 && !admin {
			return cli.Usage(errors.New("--pool: no pool is named: a caller's key is for at least one"))
		}
		made, err := c.CreateKey(cmd.Context(), api.NewKey{
			Name: args[0], Pools: k.pools, Admin: admin, Limits: k.limits.all(), Expires: k.expires.at,
		})
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(cmd.OutOrStdout(), struct {
				api.Key
				Secret string `json:"key"` // in clear: it is what was asked for
			}{made.Key, made.Secret.Reveal()})
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), made.Secret.Reveal())
		return written(err)
	})
}

func keyListCommand() *cobra.Command {
	r := newRemote()
	cmd := &cobra.Command{Use: "list", Short: "List the keys, what each may do and when it was used", Args: cobra.NoArgs}
	asJSON := jsonFlag(cmd, "one JSON array")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		keys, err := c.Keys(cmd.Context())
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(cmd.OutOrStdout(), orEmpty(keys))
		}
		now := time.Now()
		t := newTable("NAME", "ADMIN", "POOLS", "LAST USED", "EXPIRES", "CREATED")
		for _, k := range keys {
			t.add(k.Name, yesNo(k.Admin), list(k.Pools), ago(k.LastUsedAt, now), until(k.ExpiresAt, now), moment(k.CreatedAt))
		}
		return t.print(cmd.OutOrStdout())
	})
}

func keyShowCommand() *cobra.Command {
	r := newRemote()
	cmd := &cobra.Command{Use: "show NAME", Short: "Show a key, what it may do and its limits", Args: cobra.ExactArgs(1)}
	asJSON := jsonFlag(cmd, "one JSON object")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		k, err := c.Key(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return showKey(cmd.OutOrStdout(), k, *asJSON)
	})
}

func showKey(w io.Writer, k api.Key, asJSON bool) error {
	if asJSON {
		return printJSON(w, k)
	}
	now := time.Now()
	t := newPairs()
	t.add("name", k.Name)
	t.add("admin", yesNo(k.Admin))
	t.add("pools", list(k.Pools))
	limitPairs(t, k.Limits, "the pool's")
	t.add("last used", ago(k.LastUsedAt, now))
	t.add("expires", until(k.ExpiresAt, now))
	t.add("id", k.ID)
	t.add("created", moment(k.CreatedAt))
	return t.print(w)
}

func keyEditCommand() *cobra.Command {
	var k keyFlags
	r := newRemote()
	cmd := &cobra.Command{
		Use: "edit NAME", Short: "Change a key", Args: cobra.ExactArgs(1),
		Long:    "Change what the flags name, and nothing else: --pool names all pools that the key may call\nthen. It counts from the next request on.",
		Example: "  vcs-gateway key edit backend --expires never",
	}
	k.declare(cmd.Flags())
	asJSON := jsonFlag(cmd, "the key as it is then as one JSON object")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		change, any := k.change(cmd.Flags())
		if !any {
			return cli.Usage(errors.New("nothing is to change: give one flag at least, such as --expires"))
		}
		changed, err := c.UpdateKey(cmd.Context(), args[0], change)
		if err != nil {
			return err
		}
		return showKey(cmd.OutOrStdout(), changed, *asJSON)
	})
}

func keyDeleteCommand() *cobra.Command {
	var yes bool
	r := newRemote()
	cmd := &cobra.Command{
		Use: "delete NAME", Short: "Delete a key", Args: cobra.ExactArgs(1),
		Long: "Delete a key: it is worth nothing from the next request on. The last admin key that hasn't\n" +
			"expired can't be deleted. On a terminal the command asks for the key's name first.",
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "delete it without asking")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		k, err := c.Key(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		becomes := fmt.Sprintf("Whoever uses the key %s is refused from then on. It was last used: %s.", k.Name, ago(k.LastUsedAt, time.Now()))
		if err := confirm(cmd, yes, "key", k.Name, becomes); err != nil {
			return err
		}
		return c.DeleteKey(cmd.Context(), k.ID)
	})
}
