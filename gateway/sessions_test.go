package gateway_test

import (
	"errors"
	"testing"
	"time"

	"vcsagent/gateway"
	"vcsagent/transport"
)

// A token's holder can't make the gateway keep sessions without end: one more than
// a pool may have is refused with a code and a wait, and joins once another has
// ended. Other pools have their own.
func TestSessionsOfAPoolAreBounded(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		f := start(t)
		token := f.TokenFor(f.pool, poolKey)
		o := options{mode: mode}
		first := f.join(t, o, answer("first"))
		empty := f.FillPool(f.pool.ID, gateway.MaxSessions-2)
		defer empty()
		last, err := f.tryJoin(t, token, o, answer("last"))
		if err != nil {
			t.Fatalf("session %d: %v", gateway.MaxSessions, err)
		}

		_, err = f.tryJoin(t, token, o, answer(""))
		refusal, ok := errors.AsType[*transport.Refusal](err)
		if !ok || refusal.Code != transport.RefusedLimit || refusal.RetryAfter != time.Minute ||
			refusal.Sentence != "the pool has 1024 sessions, as many as one may have" {
			t.Fatalf("session %d: %v", gateway.MaxSessions+1, err)
		}
		if n := len(f.AgentsOf(f.pool.ID)); n != 1024 {
			t.Errorf("the pool has %d sessions", n)
		}
		if line := f.log.await(t, "refused a connection to the agents' listener", "reason", refusal.Error()); line["carrier"] != string(mode) {
			t.Errorf("logged %v", line)
		}
		// The token may be wrong too: then that is what is said, however full the pool.
		wrong := token
		wrong.Key = "x"
		if _, err := f.tryJoin(t, wrong, o, answer("")); !isRefused(err, transport.RefusedUnauthorized) {
			t.Errorf("a wrong key at a full pool: %v", err)
		}
		other := f.TokenFor(f.addPool(t, "other", "the-others-key"), "the-others-key")
		if _, err := f.tryJoin(t, other, o, answer("")); err != nil {
			t.Errorf("another pool: %v", err)
		}
		// Those that are in are served.
		if resp, body := f.get(t, "/x"); resp.StatusCode != 200 {
			t.Errorf("a request to the full pool: %d %s", resp.StatusCode, body)
		}

		last.kill()
		f.awaitAgents(t, f.pool.ID, func(ids []string) bool { return len(ids) == gateway.MaxSessions-1 })
		if _, err := f.tryJoin(t, token, o, answer("")); err != nil {
			t.Errorf("after one has ended: %v", err)
		}
		if _, err := f.tryJoin(t, token, o, answer("")); !isRefused(err, transport.RefusedLimit) {
			t.Errorf("one more again: %v", err)
		}
		first.kill()
		f.awaitAgents(t, f.pool.ID, func(ids []string) bool { return len(ids) == gateway.MaxSessions-1 })
		if _, err := f.tryJoin(t, token, o, answer("")); err != nil {
			t.Errorf("after another has ended: %v", err)
		}
	})
}

func isRefused(err error, code string) bool {
	refusal, ok := errors.AsType[*transport.Refusal](err)
	return ok && refusal.Code == code
}

// TestSessionsLetInTogether: several may be let in while one seat is free; only
// one of them takes it.
func TestSessionsLetInTogether(t *testing.T) {
	f := start(t)
	f.join(t, options{}, answer("first"))
	empty := f.FillPool(f.pool.ID, gateway.MaxSessions-1)
	defer empty()
	if f.JoinPool(f.pool.ID, &transport.Session{}) {
		t.Error("a session joined a full pool")
	}
}
