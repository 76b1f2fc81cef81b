package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/gateway"
)

// prunings are calls of PruneRequests.
type prunings struct {
	mu  sync.Mutex
	all []pruning
}

// add notes a call and returns how many there were before.
func (p *prunings) add(before time.Time, keep int64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, pruning{time.Now(), before, keep})
	return len(p.all) - 1
}

func (p *prunings) get() []pruning {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

// pruning is one call of PruneRequests.
type pruning struct {
	at, before time.Time
	keep       int64
}

// The log is pruned at the start, from time to time, and when it has grown by
// more than the margin.
func TestRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const keep = 20 * gateway.PruneMargin
		var made prunings
		log := newLogLines()
		r := gateway.NewRetention(time.Hour, keep, func(_ context.Context, before time.Time, keep int64) (int64, error) {
			n := made.add(before, keep)
			if n >= 3 {
				return 0, errors.New("no such host")
			}
			return int64(n), nil
		}, slog.New(slog.NewJSONHandler(log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		synctest.Wait()
		began := time.Now()
		if calls := made.get(); len(calls) != 1 || calls[0] != (pruning{began, began.Add(-time.Hour), keep}) {
			t.Fatalf("at the start: %+v", calls)
		}
		if log.String() != "" {
			t.Errorf("the log says %s", log)
		}
		time.Sleep(gateway.PruneEvery)
		synctest.Wait()
		if calls := made.get(); len(calls) != 2 || log.lines("removed old requests from the log of requests")[0]["requests"] != 1.0 {
			t.Fatalf("after a while: %+v\n%s", calls, log)
		}
		for range 4 {
			r.Stored(keep / 40)
			synctest.Wait()
		}
		if calls := made.get(); len(calls) != 2 {
			t.Fatalf("at the margin: %+v", calls)
		}
		r.Stored(1)
		synctest.Wait()
		if calls := made.get(); len(calls) != 3 {
			t.Fatalf("beyond the margin: %+v", calls)
		}
		r.Stored(keep / 10)
		synctest.Wait()
		if calls := made.get(); len(calls) != 3 {
			t.Fatalf("at the margin again: %+v", calls)
		}
		time.Sleep(gateway.PruneEvery)
		synctest.Wait()
		log.await(t, "could not remove old requests from the log of requests", "error", "no such host")
		cancel()
	})
}

// Nothing is too old or too many if the settings say so.
func TestRetentionWithoutBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made prunings
		r := gateway.NewRetention(0, 0, func(_ context.Context, before time.Time, keep int64) (int64, error) {
			made.add(before, keep)
			return 0, nil
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		go r.Run(ctx)
		r.Stored(100 * gateway.PruneMargin)
		synctest.Wait()
		if calls := made.get(); len(calls) != 1 || !calls[0].before.IsZero() || calls[0].keep != 0 {
			t.Errorf("%+v", calls)
		}
		cancel()
	})
}

// A shutdown ends a pruning that is under way, and that is no failure.
func TestRetentionEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLogLines()
		r := gateway.NewRetention(0, 0, func(ctx context.Context, _ time.Time, _ int64) (int64, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}, slog.New(slog.NewJSONHandler(log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.Run(ctx)
		}()
		synctest.Wait()
		began := time.Now()
		cancel()
		<-ended
		if took := time.Since(began); took != 0 || log.String() != "" {
			t.Errorf("it took %s; the log says %s", took, log)
		}
	})
}
