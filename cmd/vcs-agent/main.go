// Command vcs-agent runs next to a private VCS, dials out to a gateway and
// answers the requests that come down the connection, as far as its allowlist
// lets them through.
package main

import (
	"context"
	"os"

	// Public roots for where the system has none, as in an image from scratch;
	// a system's own take precedence.
	_ "golang.org/x/crypto/x509roots/fallback"

	"vcsagent/agent"
	"vcsagent/cmd/internal/cli"
)

func main() {
	os.Exit(cli.Main(newCommand(runAgent), os.Args[1:]))
}

func runAgent(ctx context.Context, cfg agent.Config) error {
	a, err := agent.New(cfg)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}
