package agent_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/agent"
	"vcsagent/transport"
)

// While nobody listens at the gateway's address the agent tries again, less and
// less often, and stops at once when it's told to in between.
func TestBackoffOverADay(t *testing.T) {
	addr := freePort(t)
	synctest.Test(t, func(t *testing.T) {
		log := &logBuffer{}
		cfg := validConfig()
		cfg.Token = transport.Secret(transport.Token{Host: addr, PoolID: "01J0000000000000000000000P", Key: "k"}.Encode())
		cfg.Transport, cfg.MetricsListen, cfg.Logger = transport.ModeTCP, "", slog.New(slog.NewJSONHandler(log, nil))
		a, err := agent.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		began := time.Now()
		if err := a.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(began); took != 24*time.Hour {
			t.Errorf("ran for %s", took)
		}
		attempts := log.wait(t, "not connected to the gateway", 1)
		var waited float64
		for i, line := range attempts {
			wait := line["retry_in"].(float64)
			waited += wait
			if bound := min(time.Second<<min(i, 10), agent.BackoffCap).Seconds(); wait > bound {
				t.Errorf("wait %d is %v s, over %v s", i, wait, bound)
			}
		}
		// 30 s on average: 2880 a day, and the deviation of their sum is far below a tenth.
		if n := len(attempts); n < 2600 || n > 3200 {
			t.Errorf("%d attempts", n)
		}
		if day := (24 * time.Hour).Seconds(); waited < day-1 || waited > day+agent.BackoffCap.Seconds() {
			t.Errorf("waited %v s of a day", waited)
		}
	})
}
