package gateway

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"vcsagent/gateway/store"
)

const (
	// pruneEvery is how often old requests are removed from the log.
	pruneEvery = 5 * time.Minute
	// pruneMargin is how many requests more than wanted the log may hold at the
	// least before it's pruned out of turn; a tenth of what's wanted if that is more.
	pruneMargin = 10_000
)

// retention removes requests from the store's log that are too old or too many.
type retention struct {
	maxAge  time.Duration // 0: any
	maxRows int64         // 0: any number
	prune   func(ctx context.Context, before time.Time, keepRows int64) (int64, error)
	log     *slog.Logger

	added atomic.Int64  // requests stored since the log was last pruned
	due   chan struct{} // has a value when they are more than the margin
}

func newRetention(cfg Config, s *store.Store, log *slog.Logger) *retention {
	return &retention{maxAge: cfg.RequestLogMaxAge, maxRows: cfg.RequestLogMaxRows, prune: s.PruneRequests, log: log, due: make(chan struct{}, 1)}
}

// stored notes that requests were added to the log.
func (r *retention) stored(n int) {
	if r.added.Add(int64(n)) > max(r.maxRows/10, pruneMargin) && r.maxRows > 0 {
		signal(r.due)
	}
}

// run prunes the log now and from time to time, until ctx is done.
func (r *retention) run(ctx context.Context) {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		r.once(ctx)
		select {
		case <-tick.C:
		case <-r.due:
		case <-ctx.Done():
			return
		}
	}
}

func (r *retention) once(ctx context.Context) {
	var before time.Time
	if r.maxAge > 0 {
		before = time.Now().Add(-r.maxAge)
	}
	r.added.Store(0)
	began := time.Now()
	removed, err := r.prune(ctx, before, r.maxRows)
	if removed > 0 {
		r.log.Info("removed old requests from the log of requests", "requests", removed, "took", time.Since(began).Seconds())
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("could not remove old requests from the log of requests", "error", err)
	}
}
