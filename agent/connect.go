package agent

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"time"

	"vcsagent/transport"
)

const (
	backoffBase = time.Second      // the first wait is random within it
	backoffCap  = time.Minute      // no wait's bound grows past it
	stableAfter = 30 * time.Second // a session that lived so long resets the backoff

	// refusedWait is the least wait after a refusal that only a person can lift,
	// such as a revoked token: retrying it hot helps nobody.
	refusedWait = 30 * time.Second
	// maxRetryAfter bounds what a gateway may ask for: a wrong number there must
	// not keep the agent away for good.
	maxRetryAfter = 10 * time.Minute
)

// keepConnected runs one session after another until ctx is done and the last
// one has drained.
func (a *Agent) keepConnected(ctx context.Context) {
	dialer := &transport.Dialer{
		Mode: a.cfg.Transport, TLS: a.tls, Proxy: proxyForGateway(), Parallelism: a.cfg.Parallelism, Logger: a.cfg.TransportLogger,
		OnFailed: func(c transport.Carrier, _ error) { a.metrics.Connects.WithLabelValues(string(c), "failed").Inc() },
	}
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		err := a.connectOnce(ctx, dialer)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > stableAfter {
			failures = 0
		}
		wait := retryWait(err, failures)
		failures++
		a.log.Warn("not connected to the gateway", "error", err, "retry_in", wait.Round(time.Millisecond).Seconds())
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// retryWait is how long to wait after err: exponential with full jitter, longer
// after a refusal.
func retryWait(err error, failures int) time.Duration {
	bound := min(backoffBase<<min(failures, 10), backoffCap)
	wait := rand.N(bound)
	var r *transport.Refusal
	if errors.As(err, &r) {
		switch {
		case r.RetryAfter > 0:
			wait += min(r.RetryAfter, maxRetryAfter)
		case r.Code != transport.RefusedDraining:
			wait += refusedWait
		}
	}
	return wait
}

// connectOnce dials and serves one session; it returns why that ended.
func (a *Agent) connectOnce(ctx context.Context, dialer *transport.Dialer) error {
	link, err := dialer.Dial(ctx, a.token.Host)
	if err != nil {
		return err
	}
	carrier := string(link.Carrier)
	// The session outlives ctx by the drain.
	sessionCtx, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	drained := make(chan struct{})
	drain := make(chan struct{})
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		a.drain(drain, drained, cut)
	})
	connected := false
	err = link.Serve(sessionCtx, transport.Server{
		Hello:   a.hello(),
		Handler: a.handler.session(a.cfg.Parallelism),
		Drain:   drain,
		OnWelcome: func(w transport.Welcome) {
			connected = true
			a.metrics.Connects.WithLabelValues(carrier, "connected").Inc()
			a.metrics.Connected.WithLabelValues(carrier).Set(1)
			a.link.Store(link)
			a.log.Info("connected to the gateway", "carrier", carrier, "why", link.Why, "proxy", link.Proxy, "remote", link.Remote,
				"gateway", w.GatewayID, "gateway_version", w.Software, "session", w.SessionID)
		},
		OnDrain: func() { a.log.Info("the gateway is draining and will end the session") },
	})
	a.link.Store(nil)
	a.metrics.Connected.WithLabelValues(carrier).Set(0)
	close(drained)
	if !stop() {
		<-told // it logs, and must not outlive Run
	}
	var refusal *transport.Refusal
	switch {
	case connected:
	case errors.As(err, &refusal):
		a.metrics.Connects.WithLabelValues(carrier, "refused").Inc()
	default:
		a.metrics.Connects.WithLabelValues(carrier, "failed").Inc()
	}
	return err
}

// drain runs when the agent is to stop while a session is up.
func (a *Agent) drain(drain chan<- struct{}, drained <-chan struct{}, cut func()) {
	a.draining.Store(true)
	a.log.Info("shutting down: no new requests", "in_flight", a.handler.inFlight.Load(), "grace_period", a.cfg.ShutdownGracePeriod.Seconds())
	close(drain)
	grace := time.NewTimer(a.cfg.ShutdownGracePeriod)
	defer grace.Stop()
	select {
	case <-drained:
	case <-grace.C:
		a.log.Warn("the grace period is over: cutting the requests in flight", "in_flight", a.handler.inFlight.Load())
		cut()
	}
}

func (a *Agent) hello() transport.Hello {
	return transport.Hello{
		PoolID: a.token.PoolID, Key: a.token.Key, Instance: a.instance, Vendor: a.cfg.Policy.Vendor,
		Software: a.cfg.Version + " (" + runtime.GOOS + "/" + runtime.GOARCH + ")", Parallelism: a.cfg.Parallelism, Tags: a.cfg.Metadata,
		Features: []string{transport.FeatureCheck},
	}
}
