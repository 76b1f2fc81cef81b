package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vcsagent/gateway/api"
	"vcsagent/gateway/ca"
	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/gateway/web"
	"vcsagent/metrics"
	"vcsagent/transport"
)

const (
	// callerHeaderBytes bounds a caller's header section, below what the carriers take.
	callerHeaderBytes = transport.MaxHeaderBytes / 2
	headerTimeout     = 10 * time.Second // for a caller to send its header section
	idleTimeout       = 2 * time.Minute  // between requests on one of a caller's connections
)

// Gateway is a running gateway's parts, its listeners bound. Make it with [New].
type Gateway struct {
	cfg     Config
	log     *slog.Logger
	lock    io.Closer // the data folder is this process's while it's open
	store   *store.Store
	keyring *keyring // of the store
	id      string   // tells this gateway from others
	metrics *metrics.Gateway
	router  *router
	// recorder stores requests, and retention removes them again.
	recorder  *recorder
	retention *retention
	newcomers *newcomers // notes agents that weren't seen before

	agents *transport.Listener
	public string // the address in tokens
	pin    string // the own CA's SHA-256; "" with the operator's certificate

	servers  []*server // callers, admin, metrics: in the order in which they stop
	draining atomic.Bool
}

// New checks cfg, opens the store, makes or loads the CA and binds every
// listener. Errors about settings are [*SettingError]s; all addresses and
// certificates that are no use are told at once.
func New(ctx context.Context, cfg Config) (_ *Gateway, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, log: cfg.Logger, id: rand.Text()}
	if g.log == nil {
		g.log = slog.Default()
	}
	defer func() {
		if err != nil {
			g.closeAll()
		}
	}()
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, &SettingError{"data-dir", cfg.DataDir, err.Error()}
	}
	if g.lock, err = lockFolder(cfg.DataDir); err != nil {
		return nil, &SettingError{"data-dir", cfg.DataDir, err.Error()}
	}
	if g.store, err = openStore(ctx, cfg); err != nil {
		return nil, err
	}
	created, err := control.EnsureAdminKey(ctx, g.store, cfg.DataDir)
	if err != nil {
		return nil, &SettingError{"data-dir", cfg.DataDir, err.Error()}
	}
	if created {
		g.log.Info("made an admin key", "file", filepath.Join(cfg.DataDir, control.AdminKeyFile))
	}
	control.WarnOfOpenAdminKey(cfg.DataDir, g.log)
	reg := metrics.NewRegistry("vcs_gateway", cfg.Version)
	g.metrics = metrics.NewGateway(reg)
	g.keyring = newKeyring(g.store)
	g.newcomers = newNewcomers(g)
	g.router = newRouter(cfg.QueueLength, cfg.QueueTimeout, g.metrics)
	g.retention = newRetention(cfg, g.store, g.log)
	g.recorder = newRecorder(cfg, g.store, g.retention, g.log, g.metrics)
	if err := errors.Join(g.listenForAgents(), g.listenHTTP(reg)); err != nil {
		return nil, err
	}
	return g, nil
}

// listenForAgents binds the agents' listener with the operator's certificate or
// one under the gateway's own CA.
func (g *Gateway) listenForAgents() error {
	// Bound before the certificate is made, since the port may be part of what
	// the tokens say; GetConfigForClient fills it in.
	var config atomic.Pointer[tls.Config]
	var err error
	resetKey, err := g.resetKey()
	if err != nil {
		return err
	}
	g.agents, err = transport.Listen(g.cfg.AgentListen, transport.ListenConfig{
		TLS:       &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate(config.Load(), h) }, SessionTicketsDisabled: true},
		GatewayID: g.id, Software: g.cfg.Version, ResetKey: resetKey, Logger: g.log,
		Authenticate: g.authenticate,
		OnSession:    g.join,
		OnRefused:    g.refused,
	})
	if err != nil {
		return bindError("agent-listen", g.cfg.AgentListen, err)
	}
	if g.public, err = g.cfg.publicAddress(g.agents.Addr()); err != nil {
		return err
	}
	if g.cfg.TLSCert != "" {
		c, err := ca.LoadKeyPair(g.cfg.TLSCert, g.cfg.TLSKey, g.log)
		if err != nil {
			return &SettingError{"tls-cert", g.cfg.TLSCert, err.Error()}
		}
		config.Store(c)
		return nil
	}
	_, missing := os.Stat(filepath.Join(g.cfg.DataDir, ca.KeyFile))
	own, err := ca.LoadOrCreate(g.cfg.DataDir)
	if err != nil {
		return &SettingError{"data-dir", g.cfg.DataDir, err.Error()}
	}
	if missing != nil {
		pools, err := g.store.Pools(context.Background())
		if err != nil {
			return err
		}
		level, msg := slog.LevelInfo, "made a CA of the gateway's own; tokens pin it"
		if len(pools) > 0 {
			level, msg = slog.LevelWarn, "made a new CA, since there was none any more: agents whose tokens pin the old one can't connect"
		}
		g.log.Log(context.Background(), level, msg, "file", filepath.Join(g.cfg.DataDir, ca.CertFile), "sha256", own.SHA256())
	}
	host, _, err := net.SplitHostPort(g.public)
	if err != nil {
		return err
	}
	c, err := own.TLSConfig([]string{host})
	if err != nil {
		return &SettingError{"public-address", g.public, err.Error()}
	}
	g.pin = own.SHA256()
	config.Store(c)
	return nil
}

func certificate(c *tls.Config, h *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c == nil {
		return nil, errors.New("the gateway is still starting")
	}
	return c.GetCertificate(h)
}

// resetKey is kept over restarts, so that agents of a gateway that was killed
// learn at once that their session is gone.
func (g *Gateway) resetKey() ([sha256.Size]byte, error) {
	path := filepath.Join(g.cfg.DataDir, "reset-key")
	var key [sha256.Size]byte
	b, err := os.ReadFile(path)
	switch {
	case err == nil && len(b) == len(key):
		return [sha256.Size]byte(b), nil
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return key, &SettingError{"data-dir", g.cfg.DataDir, err.Error()}
	}
	rand.Read(key[:])
	if err := store.WriteFile(path, key[:], 0o600); err != nil {
		return key, &SettingError{"data-dir", g.cfg.DataDir, err.Error()}
	}
	return key, nil
}

// listenHTTP binds callers, admin and metrics.
func (g *Gateway) listenHTTP(reg *prometheus.Registry) error {
	g.servers = []*server{
		newServer("http", newCallers(g.keyring, g.router, g.recorder, g.log, g.metrics), g.log),
		newServer("admin", g.admin(), g.log),
		newServer("metrics", metrics.Handler(reg, g.ready), g.log),
	}
	// Only callers' bodies may take long.
	g.server("admin").ReadTimeout, g.server("metrics").ReadTimeout = headerTimeout, headerTimeout
	var problems []error
	for _, s := range []struct{ name, addr, cert, key string }{
		{"http", g.cfg.HTTPListen, g.cfg.HTTPTLSCert, g.cfg.HTTPTLSKey},
		{"admin", g.cfg.AdminListen, g.cfg.AdminTLSCert, g.cfg.AdminTLSKey},
		{"metrics", g.cfg.MetricsListen, "", ""},
	} {
		if s.addr == "" {
			continue
		}
		srv := g.server(s.name)
		if err := srv.listen(s.addr); err != nil {
			problems = append(problems, bindError(s.name+"-listen", s.addr, err))
		}
		if s.cert != "" {
			var err error
			if srv.TLSConfig, err = ca.LoadKeyPair(s.cert, s.key, g.log); err != nil {
				problems = append(problems, &SettingError{s.name + "-tls-cert", s.cert, err.Error()})
			}
		}
	}
	return errors.Join(problems...)
}

// bindError says why an address can't be listened on, without naming it twice.
func bindError(setting, addr string, err error) error {
	if oe, ok := errors.AsType[*net.OpError](err); ok {
		err = oe.Err
	}
	return &SettingError{setting, addr, err.Error()}
}

func (g *Gateway) server(name string) *server {
	for _, s := range g.servers {
		if s.name == name {
			return s
		}
	}
	panic("gateway: no server named " + name)
}

// Run serves until ctx is done; then it isn't ready any more, takes no new
// requests, lets those in flight end within the grace period and returns nil.
func (g *Gateway) Run(ctx context.Context) error {
	defer g.lock.Close()
	defer g.store.Close()
	failed := make(chan error, len(g.servers)+1)
	recording, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	var recorder sync.WaitGroup
	recorder.Go(func() { g.recorder.run(recording) })
	var wg sync.WaitGroup
	pruning, endPruning := context.WithCancel(ctx)
	defer endPruning()
	wg.Go(func() { g.retention.run(pruning) })
	agentsCtx, endAgents := context.WithCancel(context.Background())
	defer endAgents()
	wg.Go(func() { g.watch(agentsCtx) })
	wg.Go(func() { g.newcomers.run(agentsCtx) })
	wg.Go(func() {
		if err := g.agents.Serve(agentsCtx); err != nil {
			failed <- err
		}
	})
	for _, s := range g.servers {
		if s.listener == nil {
			continue
		}
		wg.Go(func() {
			if err := s.serve(); !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("serve %s: %w", s.name, err)
			}
		})
	}
	if err := g.writeAdminAddress(); err != nil {
		g.log.Warn("commands on this machine need --address: the admin listener's could not be written down", "error", err)
	}
	g.log.Info("serving", "version", g.cfg.Version, "agents", g.agents.Addr().String(), "public_address", g.public, "own_ca_sha256", g.pin,
		"http", g.Addr("http"), "admin", g.Addr("admin"), "metrics", g.Addr("metrics"), "data_dir", g.cfg.DataDir, "database", g.cfg.databaseKind(), "gateway", g.id)
	g.warnOfClearAdmin()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	// Whoever has the port next must not be given the admin key by a command.
	os.Remove(filepath.Join(g.cfg.DataDir, AdminAddressFile))
	endPruning()
	g.recorder.followers.close() // the admin listener's shutdown waits for those who read them
	g.drain()
	endAgents()
	g.server("metrics").Close() // last, so that probes and metrics tell of the drain
	wg.Wait()
	for _, s := range g.servers {
		s.conns.Wait() // they end soon: their connections and the agents' are closed
	}
	g.router.following.Wait()
	// Every request has ended: the last ones are stored, and then the store closed.
	g.recorder.close()
	stop := time.AfterFunc(flushTimeout, giveUp)
	recorder.Wait()
	stop.Stop()
	g.log.Info("stopped")
	return err
}

// drain lets requests in flight end, within the grace period.
func (g *Gateway) drain() {
	g.draining.Store(true)
	g.log.Info("shutting down: no new requests", "grace_period", g.cfg.ShutdownGracePeriod.Seconds())
	ctx, cancel := context.WithTimeout(context.Background(), g.cfg.ShutdownGracePeriod)
	defer cancel()
	for _, name := range []string{"http", "admin"} {
		s := g.server(name)
		if err := s.Shutdown(ctx); err != nil {
			g.log.Warn("the grace period is over: cutting what is in flight", "listener", name)
			s.Close()
		}
	}
	// Callers are done: the agents lose nothing by being told last.
	g.router.drainAll()
}

// AdminAddressFile is the file in the data folder that tells commands on the same
// machine where the admin listener is.
const AdminAddressFile = "admin-address"

func (g *Gateway) writeAdminAddress() error {
	addr := g.server("admin").listener.Addr().(*net.TCPAddr)
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http"
	if g.cfg.AdminTLSCert != "" {
		scheme = "https"
	}
	url := scheme + "://" + net.JoinHostPort(host, strconv.Itoa(addr.Port)) + "\n"
	return store.WriteFile(filepath.Join(g.cfg.DataDir, AdminAddressFile), []byte(url), 0o600)
}

// warnOfClearAdmin logs a warning when other machines can reach the admin listener
// without TLS: admin keys would go over the network in clear.
func (g *Gateway) warnOfClearAdmin() {
	addr := g.server("admin").listener.Addr().(*net.TCPAddr)
	if addr.IP.IsLoopback() || g.cfg.AdminTLSCert != "" {
		return
	}
	g.log.Warn("other machines can reach the admin listener without TLS: set --admin-tls-cert and --admin-tls-key, unless only a proxy with a certificate can", "address", addr.String())
}

// closeAll undoes a start that failed half-way.
func (g *Gateway) closeAll() {
	for _, s := range g.servers {
		if s.listener != nil {
			s.listener.Close()
		}
	}
	if g.agents != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		g.agents.Serve(ctx)
	}
	if g.store != nil {
		g.store.Close()
	}
	if g.lock != nil {
		g.lock.Close()
	}
}

// Addr is the address that a listener got: agents, http, admin or metrics.
func (g *Gateway) Addr(name string) string {
	if name == "agents" {
		return g.agents.Addr().String()
	}
	if s := g.server(name); s.listener != nil {
		return s.listener.Addr().String()
	}
	return ""
}

func (g *Gateway) ready() error {
	if g.draining.Load() {
		return errors.New("shutting down")
	}
	return nil
}

// admin serves the API under /api/ and the pages everywhere else.
func (g *Gateway) admin() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/api/", api.New(api.Config{Control: g.control(), Logger: g.log}))
	mux.Handle("/", web.New(web.Config{Control: g.control(), Host: g.cfg.PagesHost, Logger: g.log}))
	return g.logPanics(mux)
}

// logPanics tells of a fault of ours; net/http would at debug level, and cut the
// answer in the same way.
func (g *Gateway) logPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p != http.ErrAbortHandler {
				g.log.Error("panic while serving the admin listener", "path", control.Shown(r.URL.Path), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			}
			panic(http.ErrAbortHandler)
		}()
		next.ServeHTTP(w, r)
	})
}

// control is what admins can do with this gateway.
func (g *Gateway) control() *control.Control {
	return &control.Control{
		Store: g.store, Token: g.tokenFor, Version: g.cfg.Version, Logger: g.log,
		Live: control.Live{Connections: g.connections, Changed: g.changed, Check: g.check, Follow: g.recorder.followers.follow},
	}
}

func (g *Gateway) tokenFor(p store.Pool, key transport.Secret) transport.Token {
	return transport.Token{Host: g.public, PoolID: p.ID, Key: key, CASHA256: g.pin}
}
