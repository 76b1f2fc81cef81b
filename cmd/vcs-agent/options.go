package main

import (
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"vcsagent/agent"
	"vcsagent/cmd/internal/cli"
	"vcsagent/transport"
)

// options are the settings as flags, environment and file give them, before
// they become an [agent.Config].
type options struct {
	agent      agent.Config
	token      transport.Secret
	tokenFile  string
	fromFile   bool // the token is what tokenFile holds
	policy     policyOptions
	credential credentialOptions
	log        cli.Log
	bugsnag    bugsnagOptions
}

// declare returns the settings, which fill o.
func (o *options) declare() *cli.Settings {
	s := cli.NewSettings("SPACELIFT_VCS_AGENT_")
	s.Env("token", "SPACELIFT_VCS_AGENT_POOL_TOKEN")

	f := s.Group("Required")
	f.StringVar(&o.agent.TargetBaseEndpoint, "target-base-endpoint", "", "base `URL` of the VCS, such as http://169.254.0.10:7990")
	o.policy.declareVendor(f)
	cli.SecretVar(f, &o.token, "token", "the pool's `TOKEN`; other users of the machine can see flags, so prefer the variable or a file")
	f.StringVar(&o.tokenFile, "token-file", "", "`FILE` that holds the token, in place of --token")

	f = s.Group("Connection to the gateway")
	f.StringVar((*string)(&o.agent.Transport), "transport", string(transport.ModeAuto), "`MODE`: quic, tcp, or auto: QUIC, and TCP where UDP doesn't get through or a proxy is set")
	f.IntVar(&o.agent.Parallelism, "parallelism", 4, "`NUMBER` of streams, each of which handles one request at a time")
	f.StringVar(&o.agent.GatewayCAFile, "gateway-ca-file", "", "PEM `FILE` of the roots that the gateway's certificate must chain to, in place of the system's")
	f.DurationVar(&o.agent.ShutdownGracePeriod, "shutdown-grace-period", 30*time.Second, "how long requests in flight may take to end after SIGTERM")

	f = s.Group("Policy")
	o.policy.declare(s, f)

	f = s.Group("Calls to the VCS")
	o.credential.declare(f)
	f.StringVar(&o.agent.CACert, "ca-cert", "", "base64 of a PEM `BUNDLE` of roots to trust for the VCS beside the system's")
	f.StringVar(&o.agent.CACertFile, "ca-cert-file", "", "PEM `FILE` of roots to trust for the VCS beside the system's")
	f.BoolVar(&o.agent.DisableResponseCompression, "http-disable-response-compression", false, "ask the VCS for answers without compression")
	f.DurationVar(&o.agent.VCSTimeout, "vcs-timeout", 60*time.Second, "how long the VCS may take to begin an answer")

	f = s.Group("Observability")
	f.StringVar(&o.agent.MetricsListen, "metrics-listen", "127.0.0.1:9464", "`HOST:PORT` for /metrics, /livez and /readyz; empty for none")
	s.AddLog(f, &o.log)
	f.BoolVar(&o.agent.DebugPrintAll, "debug-print-all", false, "log all requests and responses, secrets masked")
	o.bugsnag.declare(f)

	f = s.Group("Configuration file")
	f.String("config", "", "YAML `FILE` with any of these settings but this one, by their names")

	s.Complete("transport", string(transport.ModeAuto), string(transport.ModeQUIC), string(transport.ModeTCP))
	return s
}

// config loads the settings for cmd and returns the agent's configuration, or
// every problem of every source at once.
func (o *options) config(cmd *cobra.Command, s *cli.Settings) (agent.Config, error) {
	told := errors.Join(s.Load(cmd), o.readToken(), o.readCredential())
	var err error
	o.agent.Policy, err = o.policy.options(o.agent.Credential != nil)
	told = errors.Join(told, err)
	logger, err := o.log.Logger(cmd.OutOrStdout())
	env := os.Environ()

	o.agent.Version = cli.Version()
	o.agent.Logger = logger
	o.agent.Metadata = metadata(env)
	if transportDebug(env) {
		// The format has been checked with the logger above.
		o.agent.TransportLogger, _ = cli.Log{Level: "debug", Format: o.log.Format}.Logger(cmd.OutOrStdout())
	}

	rest := errors.Join(
		o.validate(),
		checkBundle("ca-cert-file", o.agent.CACertFile),
		checkBundle("gateway-ca-file", o.agent.GatewayCAFile),
		err,
		o.bugsnag.validate(),
		checkProxies(env),
	)
	return o.agent, errors.Join(told, cli.Except(rest, told))
}

// readToken takes the token from its file, if one is named.
func (o *options) readToken() error {
	o.agent.Token = o.token
	if o.tokenFile == "" {
		return nil
	}
	if o.token != "" {
		return cli.NewSettingError("token-file", o.tokenFile, "--token is given too, and only one of them can count")
	}
	o.fromFile = true
	token, err := cli.ReadSecretFile(o.tokenFile)
	if err != nil {
		return cli.NewSettingError("token-file", o.tokenFile, err.Error())
	}
	o.agent.Token = transport.Secret(token)
	return nil
}

// readCredential gives the agent the VCS's credential, if it's to have one.
func (o *options) readCredential() error {
	if !o.credential.given() {
		return nil
	}
	o.agent.Credential = new(agent.Credential)
	if err := o.credential.load(); err != nil {
		return err
	}
	if err := o.agent.Credential.Set(o.credential.read); err != nil {
		return o.credential.bad(err)
	}
	return nil
}

// validate blames the token's file, not --token, for a bad token from there, and
// the credential's in the same way.
func (o *options) validate() error {
	var all []error
	for _, p := range cli.Problems(o.agent.Validate()) {
		if e, ok := p.(*agent.SettingError); ok && e.Setting == "token" && o.fromFile {
			p = cli.NewSettingError("token-file", o.tokenFile, e.Problem)
		} else if ok && e.Setting == "vcs-credential" && o.credential.given() {
			p = o.credential.bad(errors.New(e.Problem))
		}
		all = append(all, p)
	}
	return errors.Join(all...)
}

// checkBundle reads a PEM file only to tell what is wrong with it together with
// all else; the agent reads it again.
func checkBundle(setting, path string) error {
	if path == "" {
		return nil
	}
	bundle, err := cli.ReadFile(path, cli.MaxBundleFile)
	if err == nil {
		_, err = agent.ParseCABundle(bundle)
	}
	if err != nil {
		return cli.NewSettingError(setting, path, err.Error())
	}
	return nil
}

// secrets returns what must not appear in any report or message.
func (o *options) secrets() []string {
	all := []string{o.agent.Token.Reveal(), o.agent.CACert, o.bugsnag.key.Reveal()}
	if t, err := transport.ParseToken(o.agent.Token.Reveal()); err == nil {
		all = append(all, t.Key.Reveal())
	}
	all = append(all, credentialSecrets(o.credential.read)...)
	return append(all, proxyPasswords(os.Environ())...)
}
