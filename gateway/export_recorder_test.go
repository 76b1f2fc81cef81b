package gateway

import (
	"context"
	"log/slog"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/metrics"
)

// What the tests see of the log of requests.

// Bounds of the recorder.
const (
	BufferSize     = bufferSize
	BatchSize      = batchSize
	BatchWait      = batchWait
	AttemptTimeout = attemptTimeout
	GiveUpAfter    = giveUpAfter
	ComplainEvery  = complainEvery
	FlushTimeout   = flushTimeout
	TouchEvery     = touchEvery
	MaxFollowers   = maxFollowers
	FollowerBuffer = followerBuffer
	PruneEvery     = pruneEvery
	PruneMargin    = pruneMargin

	RefusedPerSecond = refusedPerSecond
	RefusedBurst     = refusedBurst
	MaxPath          = maxPath
)

// RecorderStore is what a recorder writes to.
type RecorderStore struct {
	Add   func(context.Context, []store.Request) error // nil: nothing is stored
	Touch func(ctx context.Context, keys, tokenKeys map[string]time.Time) error
}

// Recorder is a gateway's without the gateway.
type Recorder struct{ *recorder }

// NewRecorder makes one that must be run.
func NewRecorder(s RecorderStore, log *slog.Logger, m *metrics.Gateway) Recorder {
	rec := newRecorder(Config{}, nil, nil, log, m)
	rec.add, rec.touch = s.Add, s.Touch
	return Recorder{rec}
}

// Record takes a request that has ended.
func (r Recorder) Record(q store.Request) { r.record(&q) }

// Run stores requests until Close.
func (r Recorder) Run(ctx context.Context) { r.run(ctx) }

// Close says that no more requests come.
func (r Recorder) Close() { r.close() }

// UsedTokenKey notes that a token key was used.
func (r Recorder) UsedTokenKey(id string) { r.usedTokenKey(id) }

// Follow returns the requests from now on.
func (r Recorder) Follow(ctx context.Context) <-chan store.Request { return r.followers.follow(ctx) }

// CloseFollowers ends what all get.
func (r Recorder) CloseFollowers() { r.followers.close() }

// Follow returns the gateway's requests from now on.
func (g *Gateway) Follow(ctx context.Context) <-chan store.Request {
	return g.control().Live.Follow(ctx)
}

// UsedTokenKey notes that a token key was used.
func (g *Gateway) UsedTokenKey(id string) { g.recorder.usedTokenKey(id) }

// Retention is a gateway's without the gateway.
type Retention struct{ *retention }

// NewRetention makes one that must be run.
func NewRetention(maxAge time.Duration, maxRows int64, prune func(context.Context, time.Time, int64) (int64, error), log *slog.Logger) Retention {
	r := newRetention(Config{RequestLogMaxAge: maxAge, RequestLogMaxRows: maxRows}, nil, log)
	r.prune = prune
	return Retention{r}
}

// Run prunes until ctx is done.
func (r Retention) Run(ctx context.Context) { r.run(ctx) }

// Stored notes that requests were added.
func (r Retention) Stored(n int) { r.stored(n) }

// How keys and pools are believed while the store can't be asked.
const (
	KeyringGrace = keyringGrace
	LookupTime   = lookupTime
)

// ErrStoreFailed says that the store could not tell.
var ErrStoreFailed = errStoreFailed
