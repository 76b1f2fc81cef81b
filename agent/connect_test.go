package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vcsagent/agent"
	"vcsagent/transport"
)

func TestRetryWait(t *testing.T) {
	lost := errors.New("the session broke")
	refused := func(code string, after time.Duration) error {
		return fmt.Errorf("serve: %w", &transport.Refusal{Code: code, RetryAfter: after})
	}
	for _, tc := range []struct {
		name        string
		err         error
		failures    int
		least, most time.Duration // least is included, most isn't
	}{
		{"first", lost, 0, 0, time.Second},
		{"second", lost, 1, 0, 2 * time.Second},
		{"fifth", lost, 4, 0, 16 * time.Second},
		{"capped", lost, 6, 0, agent.BackoffCap},
		{"long after", lost, 1 << 40, 0, agent.BackoffCap},
		{"no error", nil, 0, 0, time.Second},
		{"refused for good", refused(transport.RefusedUnauthorized, 0), 0, agent.RefusedWait, agent.RefusedWait + time.Second},
		{"refused for good, again", refused(transport.RefusedVersion, 0), 9, agent.RefusedWait, agent.RefusedWait + agent.BackoffCap},
		{"gateway drains", refused(transport.RefusedDraining, 0), 0, 0, time.Second},
		{"gateway says when", refused(transport.RefusedUnavailable, 5*time.Second), 0, 5 * time.Second, 6 * time.Second},
		{"gateway drains and says when", refused(transport.RefusedDraining, 5*time.Second), 0, 5 * time.Second, 6 * time.Second},
		{"gateway says never", refused(transport.RefusedLimit, 1<<62), 0, agent.RetryAtMost, agent.RetryAtMost + time.Second},
		{"gateway says a time in the past", refused(transport.RefusedLimit, -time.Hour), 0, agent.RefusedWait, agent.RefusedWait + time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			low, high := time.Duration(1<<62), time.Duration(0)
			for range 2000 {
				w := agent.RetryWait(tc.err, tc.failures)
				low, high = min(low, w), max(high, w)
			}
			if low < tc.least || high >= tc.most {
				t.Errorf("from %s to %s, want %s to %s", low, high, tc.least, tc.most)
			}
			// Full jitter: the whole range is used.
			if spread := tc.most - tc.least; low > tc.least+spread/10 || high < tc.most-spread/10 {
				t.Errorf("only from %s to %s of %s to %s", low, high, tc.least, tc.most)
			}
		})
	}
}

func TestHello(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		heard := make(chan transport.Hello, 1)
		r := prepare(t, mode, http.NotFound, func(c *agent.Config) { c.Parallelism = 7 })
		r.gateway.stop()
		r.gateway = startGatewayAt(t, r.gateway.addr, func(_ context.Context, h transport.Hello) error { heard <- h; return nil })
		r.run()
		h := receive(t, heard)
		if h.PoolID != "01J0000000000000000000000P" || h.Key != "the-pools-s3cret-key" || h.Vendor != "gitlab" || h.Parallelism != 7 || h.Instance == "" ||
			!strings.HasPrefix(h.Software, "1.2.3 (") || len(h.Tags) != 1 || h.Tags["zone"] != "a" {
			t.Errorf("hello %+v", h)
		}
		receive(t, r.gateway.sessions)
		line := r.lines("connected to the gateway", 1)[0]
		if line["carrier"] != string(mode) || line["gateway"] != "gw-1" || line["gateway_version"] != "9.9.9" || line["why"] == "" || line["remote"] != r.gateway.addr || line["proxy"] != "" {
			t.Errorf("log %v", line)
		}
		if line := r.lines("starting", 1)[0]; line["vendor"] != "gitlab" || line["rules"].(float64) < 10 || len(line["policy_sha256"].(string)) != 64 || line["gateway"] != r.gateway.addr {
			t.Errorf("log %v", line)
		}
		r.stop()
		r.gateway.stop()
		receive(t, r.stopped)
		if text := r.log.String(); strings.Contains(text, "s3cret") || strings.Contains(text, r.gateway.token().Encode()) {
			t.Errorf("the key is in the log:\n%s", text)
		}
	})
}

// slowVCS answers a call's start at once and its rest when it's told to.
func slowVCS() (vcs http.HandlerFunc, arrived <-chan struct{}, release chan<- struct{}) {
	in, out := make(chan struct{}, 8), make(chan struct{}, 8)
	return func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun, ")
		http.NewResponseController(w).Flush()
		in <- struct{}{}
		select {
		case <-out:
			io.WriteString(w, "ended")
		case <-r.Context().Done():
		}
	}, in, out
}

// On SIGTERM the agent isn't ready at once, asks for nothing new, and lets what
// is in flight end.
func TestDrain(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		vcs, arrived, release := slowVCS()
		r := start(t, mode, vcs, nil)
		if code, text := r.probe("/readyz"); code != 200 || text != "ok" {
			t.Errorf("/readyz while connected: %d %s", code, text)
		}
		inFlight := make(chan answer, 1)
		go func() { inFlight <- r.get("GET", project, nil, "") }()
		receive(t, arrived)

		r.stop()
		receive(t, r.session.Draining())
		if code, text := r.probe("/readyz"); code != 503 || text != "shutting down" {
			t.Errorf("/readyz while draining: %d %s", code, text)
		}
		if code, _ := r.probe("/livez"); code != 200 {
			t.Errorf("/livez while draining: %d", code)
		}
		select {
		case err := <-r.stopped:
			t.Fatalf("stopped with a request in flight: %v", err)
		default:
		}
		release <- struct{}{}
		if a := receive(t, inFlight); a.body != "begun, ended" {
			t.Errorf("the request in flight got %q", a.body)
		}
		r.session.Drained() // as the gateway says once its last request has ended
		if err := receive(t, r.stopped); err != nil {
			t.Errorf("Run: %v", err)
		}
		receive(t, r.session.Done())
		r.lines("shutting down: no new requests", 1)
		r.lines("served", 1)
		if text := r.log.String(); strings.Contains(text, "the grace period is over") || strings.Contains(text, "not connected") || !strings.HasSuffix(strings.TrimSpace(text), `"msg":"stopped"}`) {
			t.Errorf("log:\n%s", text)
		}
		if r.metric(`vcs_agent_connected{carrier="`+string(mode)+`"}`) != 0 {
			t.Error("still counted as connected")
		}
	})
}

func TestGracePeriodEnds(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		for _, grace := range []time.Duration{0, 50 * time.Millisecond} {
			vcs, arrived, _ := slowVCS()
			r := start(t, mode, vcs, func(c *agent.Config) { c.ShutdownGracePeriod = grace })
			result := make(chan error, 1)
			go func() {
				resp, err := r.send(t.Context(), "GET", project, nil, nil)
				if err == nil {
					_, err = io.ReadAll(resp.Body)
					resp.Body.Close()
				}
				result <- err
			}()
			receive(t, arrived)
			r.stop()
			if err := receive(t, r.stopped); err != nil {
				t.Errorf("grace %s: Run: %v", grace, err)
			}
			if err := receive(t, result); err == nil {
				t.Errorf("grace %s: a cut answer looks whole", grace)
			}
			if line := r.lines("the grace period is over: cutting the requests in flight", 1)[0]; line["in_flight"] != 1.0 {
				t.Errorf("log %v", line)
			}
			if line := r.lines("cancelled", 1)[0]; line["name"] != projectRule {
				t.Errorf("log %v", line)
			}
		}
	})
}

func TestStopWhileNotConnected(t *testing.T) {
	r := prepare(t, transport.ModeTCP, http.NotFound, nil)
	r.gateway.stop()
	r.run()
	r.lines("not connected to the gateway", 1)
	if code, text := r.probe("/readyz"); code != 503 || text != "not connected to the gateway" {
		t.Errorf("/readyz: %d %s", code, text)
	}
	if code, _ := r.probe("/livez"); code != 200 {
		t.Errorf("/livez: %d", code)
	}
	if n := r.metric(`vcs_agent_connects_total{carrier="tcp",result="failed"}`); n < 1 {
		t.Errorf("%v failed attempts", n)
	}
	r.stop()
	if err := receive(t, r.stopped); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// A session that ends is followed by another.
func TestReconnects(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") }, nil)
		first := r.session
		first.Close()
		r.lines("not connected to the gateway", 1)
		r.session = receive(t, r.gateway.sessions)
		if a := r.get("GET", project, nil, ""); a.body != "ok" {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		if first.Hello.Instance != r.session.Hello.Instance {
			t.Error("the instance's id changed")
		}
		r.lines("connected to the gateway", 2)
		if n := r.metric(`vcs_agent_connects_total{carrier="` + string(mode) + `",result="connected"}`); n != 2 {
			t.Errorf("%v connects", n)
		}
		if code, _ := r.probe("/readyz"); code != 200 {
			t.Errorf("/readyz: %d", code)
		}
	})
}

func TestRefusedTokenIsNotRetriedHot(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		r := prepare(t, mode, http.NotFound, nil)
		r.gateway.stop()
		r.gateway = startGatewayAt(t, r.gateway.addr, func(context.Context, transport.Hello) error {
			return &transport.Refusal{Code: transport.RefusedUnauthorized, Sentence: "the pool is gone"}
		})
		r.run()
		line := r.lines("not connected to the gateway", 1)[0]
		if line["retry_in"].(float64) < agent.RefusedWait.Seconds() || !strings.Contains(fmt.Sprint(line["error"]), "the pool is gone") {
			t.Errorf("log %v", line)
		}
		if n := r.metric(`vcs_agent_connects_total{carrier="` + string(mode) + `",result="refused"}`); n != 1 {
			t.Errorf("%v refused attempts", n)
		}
		if n := r.metric(`vcs_agent_connects_total{carrier="` + string(mode) + `",result="failed"}`); n != 0 {
			t.Errorf("%v failed attempts", n)
		}
	})
}

func TestMetricsListener(t *testing.T) {
	r := start(t, transport.ModeTCP, http.NotFound, func(c *agent.Config) { c.MetricsListen = "127.0.0.1:0" })
	addr := r.lines("serving metrics and health", 1)[0]["address"].(string)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]int{"/livez": 200, "/readyz": 200, "/metrics": 200, "/": 404, "/debug/pprof/": 404} {
		resp, err := client.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	r.stop()
	r.gateway.stop()
	receive(t, r.stopped)
	if _, err := client.Get("http://" + addr + "/livez"); err == nil {
		t.Error("the listener is there after Run")
	}
}

func TestStartsThatFail(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		change func(*agent.Config)
		want   string
	}{
		{"a value that can't be", func(c *agent.Config) { c.Parallelism = 0 }, `--parallelism is "0"`},
		{"no gateway-ca-file", func(c *agent.Config) { c.GatewayCAFile = "/nowhere/ca.pem" }, `--gateway-ca-file is "/nowhere/ca.pem"`},
		{"an empty gateway-ca-file", func(c *agent.Config) { c.GatewayCAFile = empty }, `--gateway-ca-file is "` + empty + `": no PEM certificate is in it`},
		{"no ca-cert-file", func(c *agent.Config) { c.CACertFile = "/nowhere/ca.pem" }, `--ca-cert-file is "/nowhere/ca.pem"`},
		{"an empty ca-cert-file", func(c *agent.Config) { c.CACertFile = empty }, `--ca-cert-file is "` + empty + `": no PEM certificate is in it`},
		{"a taken port", func(c *agent.Config) { c.MetricsListen = taken.Addr().String() }, `--metrics-listen is "` + taken.Addr().String() + `"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := validConfig()
			cfg.MetricsListen = ""
			tc.change(&cfg)
			a, err := agent.New(cfg)
			if err == nil {
				err = a.Run(t.Context())
			}
			var setting *agent.SettingError
			if err == nil || !errors.As(err, &setting) || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}

// A file of roots that a pin makes useless is told of.
func TestUnusedCAFileIsToldOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, newCertPEM(t), 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, transport.ModeTCP, http.NotFound, func(c *agent.Config) { c.GatewayCAFile = file })
	if line := r.lines("the token pins the gateway's CA, so gateway-ca-file is not used", 1)[0]; line["level"] != "WARN" {
		t.Errorf("log %v", line)
	}
}
