// Command vcs-gateway is the end of the tunnel that a backend talks to: agents
// connect to it, callers send it requests. Its other commands talk to a running
// gateway's API.
package main

import (
	"context"
	"os"

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
