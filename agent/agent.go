package agent

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpproxy"

	"vcsagent/allow"
	"vcsagent/metrics"
	"vcsagent/transport"
)

// Agent serves one pool's requests to one VCS. Make it with [New].
type Agent struct {
	cfg      Config
	log      *slog.Logger
	token    transport.Token
	tls      *tls.Config // verifies the gateway
	handler  *handler
	metrics  *metrics.Agent
	health   http.Handler
	instance string // tells this process from the pool's other agents

	link     atomic.Pointer[transport.Link] // the session's link, nil while not connected
	draining atomic.Bool
}

// New checks cfg (see [Config.Validate]), reads the files it names and compiles
// the policy. It opens no connection.
func New(cfg Config) (*Agent, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, log: cfg.Logger, instance: rand.Text()}
	if a.log == nil {
		a.log = slog.Default()
	}
	if a.cfg.TransportLogger == nil {
		a.cfg.TransportLogger = a.log
	}
	var err error
	if a.token, err = transport.ParseToken(cfg.Token.Reveal()); err != nil {
		return nil, err // Validate has read it already
	}
	policy, err := allow.New(cfg.Policy)
	if err != nil {
		return nil, err
	}
	var gatewayCA []byte
	if cfg.GatewayCAFile != "" {
		if gatewayCA, err = os.ReadFile(cfg.GatewayCAFile); err == nil {
			_, err = ParseCABundle(gatewayCA)
		}
		if err != nil {
			return nil, &SettingError{"gateway-ca-file", cfg.GatewayCAFile, err.Error()}
		}
	}
	if a.tls, err = transport.ClientTLS(a.token, gatewayCA); err != nil {
		return nil, err
	}
	upstream, err := newUpstream(cfg)
	if err != nil {
		return nil, err
	}
	reg := metrics.NewRegistry("vcs_agent", cfg.Version)
	a.metrics = metrics.NewAgent(reg)
	reg.MustRegister(metrics.RTTFunc(a.rtt))
	a.showPolicy(policy)
	a.health = metrics.Handler(reg, a.ready)
	base, err := url.Parse(cfg.TargetBaseEndpoint)
	if err != nil {
		return nil, err // Validate has parsed it already
	}
	a.handler = newHandler(handlerConfig{
		base: base, poolID: a.token.PoolID, policy: policy, credential: cfg.Credential, upstream: upstream,
		identity: cfg.DisableResponseCompression, debug: cfg.DebugPrintAll,
		log: a.log, metrics: a.metrics, report: cfg.Report,
	})
	return a, nil
}

// Run serves until ctx is done, then asks the gateway for nothing new, lets the
// requests in flight end within the grace period, and returns nil. It returns a
// [*SettingError] if the metrics address can't be bound.
func (a *Agent) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	stopHealth, err := a.serveHealth(&wg)
	if err != nil {
		return err
	}
	// Last, so that probes and metrics tell of the drain too.
	defer stopHealth()

	policy := a.handler.rules.Load().policy
	a.log.LogAttrs(ctx, slog.LevelInfo, "starting", append([]slog.Attr{
		slog.String("version", a.cfg.Version), slog.String("target", a.cfg.TargetBaseEndpoint), slog.String("gateway", a.token.Host), slog.String("pool_id", a.token.PoolID),
		slog.String("instance", a.instance), slog.Int("parallelism", a.cfg.Parallelism), slog.Bool("own_credential", a.cfg.Credential != nil),
	}, policyAttrs(policy, a.cfg.Policy)...)...)
	a.warnOfObserving(policy)
	if name := a.cfg.Credential.Unusual(a.cfg.Policy.Vendor); name != "" {
		a.log.Warn("the VCS credential's header is not one in which this vendor takes credentials; is it misspelt?", "header", name, "usual", allow.CredentialHeaders(a.cfg.Policy.Vendor))
	}
	if a.token.CASHA256 != "" && a.cfg.GatewayCAFile != "" {
		a.log.Warn("the token pins the gateway's CA, so gateway-ca-file is not used", "gateway_ca_file", a.cfg.GatewayCAFile)
	}
	var following sync.WaitGroup
	following.Go(func() { a.followPolicy(ctx) })
	a.keepConnected(ctx)
	following.Wait() // it logs
	a.handler.upstream.CloseIdleConnections()
	a.log.Info("stopped")
	return nil
}

// ready is why the agent isn't ready, or nil while it is connected.
func (a *Agent) ready() error {
	switch {
	case a.draining.Load():
		return errors.New("shutting down")
	case a.link.Load() == nil:
		return errors.New("not connected to the gateway")
	}
	return nil
}

func (a *Agent) rtt() float64 {
	if l := a.link.Load(); l != nil {
		return l.RTT().Seconds()
	}
	return 0
}

// serveHealth binds the metrics address, unless it's empty, and serves until the
// returned func is called.
func (a *Agent) serveHealth(wg *sync.WaitGroup) (stop func(), err error) {
	if a.cfg.MetricsListen == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", a.cfg.MetricsListen)
	if err != nil {
		if oe, ok := errors.AsType[*net.OpError](err); ok {
			err = oe.Err // the address is told already
		}
		return nil, &SettingError{"metrics-listen", a.cfg.MetricsListen, err.Error()}
	}
	srv := &http.Server{
		Handler: a.health, ReadTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	wg.Go(func() { srv.Serve(l) })
	a.log.Info("serving metrics and health", "address", l.Addr().String())
	return func() { srv.Close() }, nil
}

// proxyForGateway reads HTTPS_PROXY and NO_PROXY, in either case of letters.
func proxyForGateway() func(*url.URL) (*url.URL, error) {
	return httpproxy.FromEnvironment().ProxyFunc()
}
