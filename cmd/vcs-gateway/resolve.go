package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"vcsagent/cmd/internal/cli"
	"vcsagent/cmd/internal/privateurl"
)

const resolveLong = `Print the URL that stands for private://POOL/path on this machine, alone on stdout.

A worker that can reach a pool's VCS itself has it mapped, by two variables with a
number behind them:

  SPACELIFT_PRIVATEVCS_MAPPING_NAME_0=gitlab
  SPACELIFT_PRIVATEVCS_MAPPING_BASE_ENDPOINT_0=https://gitlab.internal

The URL then leads straight there. For any other pool it leads through the gateway,
which wants a key that may call the pool. Path and query stay as they are, byte for
byte. A path with ".." in any encoding is refused for a mapped pool.

The command connects to nothing and needs no admin key.`

const resolveExample = `  vcs-gateway resolve private://gitlab/acme/infra.git --url https://gateway.example.com`

func resolveCommand() *cobra.Command {
	var gateway string
	s := cli.NewSettings(envPrefix)
	s.Group("The gateway").StringVar(&gateway, "url", "", "`URL` of the callers' listener, as callers reach it; for pools without a mapping")
	cmd := &cobra.Command{
		Use: "resolve private://POOL/path", Short: "Print the URL for a private:// one",
		Long: resolveLong, Example: resolveExample, Args: cobra.ExactArgs(1),
	}
	asJSON := jsonFlag(cmd, "one JSON object: the pool, the URL, and whether it leads straight to the VCS")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		err := s.Load(cmd)
		mappings, mapErr := privateurl.FromEnviron(os.Environ())
		if gateway != "" {
			if _, bad := privateurl.CheckEndpoint(gateway); bad != nil {
				err = errors.Join(err, cli.NewSettingError("url", "", bad.Error()))
			}
		}
		if err := errors.Join(err, mapErr); err != nil {
			return s.Invalid(err)
		}
		to, err := privateurl.Resolver{Mappings: mappings, Gateway: gateway}.Resolve(args[0])
		switch {
		case errors.Is(err, privateurl.ErrNoGateway):
			return cli.Usage(fmt.Errorf("%w: give the callers' listener's URL as --url or in VCS_GATEWAY_URL", err))
		case err != nil:
			return cli.Usage(err)
		case *asJSON:
			return printJSON(cmd.OutOrStdout(), resolved{to.Pool, to.URL, to.Direct})
		}
		fmt.Fprintln(cmd.OutOrStdout(), to.URL)
		return nil
	}
	s.Bind(cmd)
	return cmd
}

// resolved is what resolve prints as JSON.
type resolved struct {
	Pool   string `json:"pool"`
	URL    string `json:"url"`
	Direct bool   `json:"direct"` // to the VCS, past the gateway
}
