package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"vcsagent/cmd/internal/cli"
	"vcsagent/gateway"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

const envPrefix = "VCS_GATEWAY_"

const description = `vcs-gateway lets a backend call VCSs that only their own companies can reach.

Agents that run next to the VCSs connect to it; each belongs to a pool and joins
it with the pool's token. Callers send ordinary HTTP requests with a key, and the
gateway passes each down the connection of an agent of the pool that it names.`

const serveExample = `  vcs-gateway serve --data-dir /var/lib/vcs-gateway --public-address vcs-gateway.example.com:8443`

const spellings = `Every setting has one name in three spellings: the flag --data-dir is also the
environment variable VCS_GATEWAY_DATA_DIR and the key data-dir of the --config file.
The first of flag, variable, file and default that has a value decides.`

// newCommand returns the root command. run is the gateway itself, a seam for tests.
func newCommand(run func(context.Context, gateway.Config) error) *cobra.Command {
	root := &cobra.Command{Use: "vcs-gateway", Short: "Let a backend call private VCSs", Long: description}
	root.AddCommand(
		serveCommand(run), poolCommand(), keyCommand(), connectionsCommand(), requestsCommand(), checkCommand(), auditCommand(),
		overviewCommand(), resolveCommand(), cli.VersionCommand(),
	)
	return root
}

func serveCommand(run func(context.Context, gateway.Config) error) *cobra.Command {
	var cfg gateway.Config
	var databaseFile string
	var log cli.Log
	s := cli.NewSettings(envPrefix)

	f := s.Group("Listeners")
	f.StringVar(&cfg.AgentListen, "agent-listen", ":8443", "`HOST:PORT` for agents, on UDP and TCP")
	f.StringVar(&cfg.HTTPListen, "http-listen", ":8080", "`HOST:PORT` for callers")
	f.StringVar(&cfg.AdminListen, "admin-listen", "127.0.0.1:8081", "`HOST:PORT` for the pages and the API")
	f.StringVar(&cfg.MetricsListen, "metrics-listen", "127.0.0.1:9465", "`HOST:PORT` for /metrics, /livez and /readyz; empty for none")
	f.StringVar(&cfg.PublicAddress, "public-address", "", "`HOST:PORT` at which agents reach the gateway, for tokens; this machine's name if empty")

	f = s.Group("Data and certificates")
	f.StringVar(&cfg.DataDir, "data-dir", "", "`FOLDER` for the database, the gateway's own CA and the admin key; required")
	cli.SecretVar(f, &cfg.Database, "database", "`URL` of a PostgreSQL database, postgres://USER:PASSWORD@HOST:PORT/DATABASE; a SQLite file in the data folder if empty. Other users of the machine can see flags, so prefer the variable or a file")
	f.StringVar(&databaseFile, "database-file", "", "`FILE` that holds the URL, in place of --database")
	f.StringVar(&cfg.TLSCert, "tls-cert", "", "PEM `FILE` with the agents' listener's certificate; without it a CA of the gateway's own is made and pinned in tokens")
	f.StringVar(&cfg.TLSKey, "tls-key", "", "PEM `FILE` with its key")
	f.StringVar(&cfg.HTTPTLSCert, "http-tls-cert", "", "PEM `FILE` with the callers' listener's certificate; without it that is plain HTTP")
	f.StringVar(&cfg.HTTPTLSKey, "http-tls-key", "", "PEM `FILE` with its key")
	f.StringVar(&cfg.AdminTLSCert, "admin-tls-cert", "", "PEM `FILE` with the admin listener's certificate; without it that is plain HTTP")
	f.StringVar(&cfg.AdminTLSKey, "admin-tls-key", "", "PEM `FILE` with its key")
	f.StringVar(&cfg.PagesHost, "pages-host", "", "`NAME` under which a proxy with a certificate serves the pages, where the admin listener has none")

	f = s.Group("Requests")
	f.IntVar(&cfg.QueueLength, "queue-length", 100, "`NUMBER` of requests that may wait for a free stream, per pool")
	f.DurationVar(&cfg.QueueTimeout, "queue-timeout", 10*time.Second, "how long a request may wait for a free stream")
	f.DurationVar(&cfg.ShutdownGracePeriod, "shutdown-grace-period", 30*time.Second, "how long requests in flight may take to end after SIGTERM")

	f = s.Group("Log of requests")
	f.DurationVar(&cfg.RequestLogMaxAge, "request-log-max-age", 30*24*time.Hour, "how long requests stay in the database's log; 0 for any time")
	f.Int64Var(&cfg.RequestLogMaxRows, "request-log-max-rows", 1_000_000, "`NUMBER` of the newest requests that stay in it; 0 to have requests on stdout only")

	f = s.Group("Observability")
	s.AddLog(f, &log)

	f = s.Group("Configuration file")
	f.String("config", "", "YAML `FILE` with any of these settings but this one, by their names")
	s.Note(spellings)

	cmd := &cobra.Command{Use: "serve", Short: "Run the gateway", Example: serveExample, Args: cobra.NoArgs}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		told := s.Load(cmd)
		told = errors.Join(told, readDatabase(&cfg, databaseFile))
		logger, err := log.Logger(cmd.OutOrStdout())
		cfg.Version, cfg.Logger = cli.Version(), logger
		if err := errors.Join(told, cli.Except(errors.Join(err, cfg.Validate()), told)); err != nil {
			return s.Invalid(err)
		}
		s.WarnMisspelt(cmd, logger)
		ctx, stop := cli.Signals(cmd.Context())
		defer stop()
		err = blameFile(run(ctx, cfg), databaseFile)
		if cli.SettingName(err) != "" {
			return s.Invalid(err)
		}
		return err
	}
	s.Bind(cmd)
	return cmd
}

// readDatabase takes the database's URL from its file, if one is named.
func readDatabase(cfg *gateway.Config, file string) error {
	switch {
	case file == "":
		return nil
	case cfg.Database != "":
		return cli.NewSettingError("database-file", file, "--database is given too, and only one of them can count")
	}
	url, err := cli.ReadSecretFile(file)
	if err == nil && !store.IsPostgres(url) {
		err = errors.New("the file must hold a URL as postgres://USER:PASSWORD@HOST:PORT/DATABASE; a SQLite file needs only --data-dir")
	}
	if err != nil {
		return cli.NewSettingError("database-file", file, err.Error())
	}
	cfg.Database = transport.Secret(url)
	return nil
}

// blameFile blames the file that holds the database's URL for what is wrong with
// it, not --database, which wasn't given.
func blameFile(err error, file string) error {
	if e, ok := errors.AsType[*gateway.SettingError](err); ok && e.Setting == "database" && file != "" {
		return cli.NewSettingError("database-file", file, e.Problem)
	}
	return err
}
