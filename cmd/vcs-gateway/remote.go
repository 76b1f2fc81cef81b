package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"vcsagent/cmd/internal/cli"
	"vcsagent/gateway"
	"vcsagent/gateway/api"
	"vcsagent/gateway/control"
	"vcsagent/transport"
)

// remote is how a command finds the running gateway: by its data folder on the
// same machine, or by address and key.
type remote struct {
	settings *cli.Settings
	dataDir  string
	address  string
	apiKey   transport.Secret
}

const remoteNote = `The command talks to a running gateway's API. On the gateway's own machine --data-dir is
enough: the address and the admin key are in that folder. Elsewhere give --address, and the
admin key in VCS_GATEWAY_API_KEY.`

// newRemote returns one whose settings a command can add its own to.
func newRemote() *remote { return &remote{settings: cli.NewSettings(envPrefix)} }

// bind declares the settings on cmd, and do as what it does with the gateway.
func (r *remote) bind(cmd *cobra.Command, do func(*cobra.Command, *api.Client, []string) error) *cobra.Command {
	f := r.settings.Group("Which gateway")
	f.StringVar(&r.dataDir, "data-dir", "", "the gateway's data `FOLDER`, on the same machine")
	f.StringVar(&r.address, "address", "", "`URL` of the gateway's admin listener")
	cli.SecretVar(f, &r.apiKey, "api-key", "an admin `KEY`; other users of the machine can see flags, so prefer the variable")
	r.settings.Note(remoteNote)
	r.settings.Bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		client, err := r.client(cmd)
		if err != nil {
			return r.settings.Invalid(err)
		}
		return do(cmd, client, args)
	}
	return cmd
}

func (r *remote) client(cmd *cobra.Command) (*api.Client, error) {
	if err := r.settings.Load(cmd); err != nil {
		return nil, err
	}
	if r.dataDir == "" && (r.address == "" || r.apiKey == "") {
		return nil, errors.New("no gateway is named: give --data-dir on its own machine, or --address and the admin key in VCS_GATEWAY_API_KEY")
	}
	address, key := r.address, r.apiKey
	if address == "" {
		b, err := cli.ReadFile(filepath.Join(r.dataDir, gateway.AdminAddressFile), cli.MaxSecretFile)
		if err != nil {
			return nil, r.missing(gateway.AdminAddressFile, err)
		}
		address = strings.TrimSpace(string(b))
	}
	if key == "" {
		secret, err := cli.ReadSecretFile(filepath.Join(r.dataDir, control.AdminKeyFile))
		if err != nil {
			return nil, r.missing(control.AdminKeyFile, err)
		}
		key = transport.Secret(secret)
	}
	// The admin listener is called directly, proxies are for the world outside.
	client, err := api.NewClient(address, key, &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}})
	if err != nil {
		return nil, cli.NewSettingError("address", address, err.Error())
	}
	return client, nil
}

func (r *remote) missing(file string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return cli.NewSettingError("data-dir", r.dataDir, "no file "+file+" is in it: is this the folder of a gateway that has been started?")
	}
	return cli.NewSettingError("data-dir", r.dataDir, file+": "+err.Error())
}

func poolCommand() *cobra.Command {
	pool := &cobra.Command{Use: "pool", Short: "Make and list pools", Args: cobra.NoArgs}
	pool.AddCommand(poolCreateCommand(), poolListCommand())
	return pool
}

func poolCreateCommand() *cobra.Command {
	var description string
	r := newRemote()
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make a pool and print its token, once", Args: cobra.ExactArgs(1),
		Long: "Make a pool and print the token that its agents join it with. The token is printed\n" +
			"alone and only this once: TOKEN=$(vcs-gateway pool create gitlab) keeps it.",
	}
	r.settings.Group("The pool").StringVar(&description, "description", "", "what the pool is, for people")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		p, err := c.CreatePool(cmd.Context(), api.NewPool{Name: args[0], Description: description})
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), p.Token.Reveal())
		return nil
	})
}

func poolListCommand() *cobra.Command {
	r := newRemote()
	cmd := &cobra.Command{Use: "list", Short: "List the pools and how many agents each has", Args: cobra.NoArgs}
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		pools, err := c.Pools(cmd.Context())
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tAGENTS\tSTREAMS\tCREATED\tDESCRIPTION")
		for _, p := range pools {
			fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", p.Name, p.Agents, p.Streams, p.CreatedAt.Format(time.RFC3339), transport.Printable(p.Description))
		}
		return w.Flush()
	})
}

func keyCommand() *cobra.Command {
	key := &cobra.Command{Use: "key", Short: "Make keys for callers", Args: cobra.NoArgs}
	key.AddCommand(keyCreateCommand())
	return key
}

func keyCreateCommand() *cobra.Command {
	var pools []string
	r := newRemote()
	cmd := &cobra.Command{
		Use: "create NAME --pool POOL", Short: "Make a caller's key and print it, once", Args: cobra.ExactArgs(1),
		Long: "Make a key with which a caller may send requests to the pools named. The key is printed\nalone and only this once.",
	}
	r.settings.Group("The key").StringSliceVar(&pools, "pool", nil, "`POOL` that the key may call; give it again for more")
	return r.bind(cmd, func(cmd *cobra.Command, c *api.Client, args []string) error {
		if len(pools) == 0 {
			return cli.Usage(errors.New("--pool: no pool is named: a caller's key is for at least one"))
		}
		k, err := c.CreateKey(cmd.Context(), api.NewKey{Name: args[0], Pools: pools})
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), k.Secret.Reveal())
		return nil
	})
}
