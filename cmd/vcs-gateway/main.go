// Command vcs-gateway is the end of the tunnel that a backend talks to: agents
// connect to it, callers send it requests. Its other commands talk to a running
// gateway's API.
package main

import (
	"context"
	"os"

	// Public roots for where the system has none, as in an image from scratch;
	// a system's own take precedence.
	_ "golang.org/x/crypto/x509roots/fallback"

	"vcsagent/cmd/internal/cli"
	"vcsagent/gateway"
)

func main() {
	os.Exit(cli.Main(newCommand(runGateway), os.Args[1:]))
}

func runGateway(ctx context.Context, cfg gateway.Config) error {
	g, err := gateway.New(ctx, cfg)
	if err != nil {
		return err
	}
	return g.Run(ctx)
}
