package servers_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vcsagent/test/servers"
)

func TestPrometheus(t *testing.T) {
	registry := prometheus.NewRegistry()
	counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "calls_total", Help: "Calls."}, []string{"code"})
	registry.MustRegister(counter)
	counter.WithLabelValues("200").Add(41)
	var broken atomic.Bool
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			http.Error(w, "broken", http.StatusInternalServerError)
			return
		}
		metrics.ServeHTTP(w, r)
	}))
	defer target.Close()

	addr := strings.TrimPrefix(target.URL, "http://")
	p := servers.Prometheus(t, map[string]string{"agent": addr, "other": addr})
	got := p.Query(t, `calls_total{job="agent"}`)
	if len(got) != 1 || got[0].Value != 41 || got[0].Labels["code"] != "200" || got[0].Labels["instance"] != addr {
		t.Errorf("calls_total is %+v, want one sample: 41, code 200, instance %s", got, addr)
	}
	if got := p.Query(t, `calls_total{job="nobody"}`); len(got) != 0 {
		t.Errorf("a job that isn't there has %+v", got)
	}
	if got := p.Query(t, `1 + 1`); len(got) != 1 || got[0].Value != 2 {
		t.Errorf("1 + 1 gives %+v", got)
	}
	counter.WithLabelValues("200").Inc()
	p.Await(t, `sum(calls_total) == 84`)
	broken.Store(true)
	p.Await(t, `up{job="agent"} == 0`)

	if said := failure(func(t testing.TB) { p.Query(t, "calls_total{") }, t); !strings.Contains(said, "parse error") {
		t.Errorf("a query that doesn't parse says %q", said)
	}
	if said := failure(func(t testing.TB) { p.Query(t, "calls_total[1m]") }, t); !strings.Contains(said, "matrix") {
		t.Errorf("a query for a range says %q", said)
	}
}
