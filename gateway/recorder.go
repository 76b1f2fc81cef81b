package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"vcsagent/gateway/store"
	"vcsagent/metrics"
)

const (
	// bufferSize is how many requests may wait to be stored; with their texts
	// they take some 8 MB. Those that end while it's full aren't stored.
	bufferSize = 8192
	// batchSize is how many requests are stored at a time, at most.
	batchSize = 1000
	// batchWait is how long a batch's first request waits for others.
	batchWait = 200 * time.Millisecond
	// attemptTimeout bounds one attempt to store a batch.
	attemptTimeout = 5 * time.Second
	// giveUpAfter is how long a batch is tried again: longer than a database
	// takes to be restarted or replaced by its standby.
	giveUpAfter = time.Minute
	// The pause between two attempts doubles from the first to the longest.
	firstPause, longestPause = 100 * time.Millisecond, 2 * time.Second
	// complainEvery is how often the log says that requests aren't stored.
	complainEvery = 10 * time.Second
	// flushTimeout bounds what the shutdown waits for the last batches.
	flushTimeout = 5 * time.Second
)

// recorder brings requests that have ended to the store's log and to those who
// follow it. Whoever serves a request only leaves it in a buffer: a database that
// is slow or down costs entries of the log, never a request.
type recorder struct {
	// add stores a batch and fills in each Seq; nil stores none.
	add       func(context.Context, []store.Request) error
	touch     func(ctx context.Context, keys, tokenKeys map[string]time.Time) error
	log       *slog.Logger
	metrics   *metrics.Gateway
	followers followers
	uses      uses
	refusals  refusals
	closing   chan struct{} // closed when no more requests come
	arrived   chan struct{} // has a value when the buffer isn't empty any more
	filled    chan struct{} // has a value when it has come to a batch

	mu     sync.Mutex
	buffer []store.Request
	held   int // in buffer, and taken out of it and not yet stored
	full   int // not stored because of bufferSize, since last told

	trouble trouble // the writer's alone
}

func newRecorder(cfg Config, s *store.Store, old *retention, log *slog.Logger, m *metrics.Gateway) *recorder {
	rec := &recorder{
		touch: s.Touch, log: log, metrics: m, closing: make(chan struct{}),
		arrived: make(chan struct{}, 1), filled: make(chan struct{}, 1),
	}
	if cfg.RequestLogMaxRows > 0 {
		rec.add = func(ctx context.Context, batch []store.Request) error {
			err := s.AddRequests(ctx, batch)
			if err == nil {
				old.stored(len(batch))
			}
			return err
		}
	}
	return rec
}

// record takes a request that has ended. It doesn't wait. The request's texts are
// cut in place.
func (rec *recorder) record(r *store.Request) {
	boundTexts(r)
	if refusedAlone(r) && !rec.refusals.store(r.KeyID) {
		rec.metrics.LogDropped.WithLabelValues(metrics.DroppedRefused).Inc()
		return
	}
	rec.mu.Lock()
	if rec.held >= bufferSize {
		rec.full++
		rec.mu.Unlock()
		rec.metrics.LogDropped.WithLabelValues(metrics.DroppedFull).Inc()
		return
	}
	rec.held++
	rec.buffer = append(rec.buffer, *r)
	n := len(rec.buffer)
	rec.mu.Unlock()
	rec.metrics.LogBuffered.Inc()
	switch n {
	case 1:
		signal(rec.arrived)
	case batchSize:
		signal(rec.filled)
	}
}

// boundTexts cuts what callers and agents sent, which may be as long as a header
// section, to what the store takes.
func boundTexts(r *store.Request) {
	r.Method, r.Path, r.Instance = bounded(r.Method, 32), boundedPath(r.Path), bounded(r.Instance, 256)
	r.Name, r.Purpose, r.Project = bounded(r.Name, 256), bounded(r.Purpose, 512), bounded(r.Project, 512)
	r.Code, r.Reason = bounded(r.Code, 64), bounded(r.Reason, 1024)
}

// maxPath bounds a path in the log, in bytes.
const maxPath = 2048

// boundedPath cuts a path and shows that it did.
func boundedPath(path string) string {
	const mark = "…"
	if len(path) <= maxPath {
		return bounded(path, maxPath)
	}
	return bounded(strings.TrimSuffix(path, mark), maxPath-len(mark)) + mark
}

// bounded cuts a text that isn't ours to a number of bytes. What's left of a long
// one is a copy, since a part would keep the whole in memory.
func bounded(s string, limit int) string {
	if len(s) > limit {
		s = strings.Clone(s[:limit])
		for range utf8.UTFMax - 1 { // a rune that was cut
			if r, size := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || size != 1 {
				break
			}
			s = s[:len(s)-1]
		}
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default: // it has one
	}
}

// close says that no more requests come: run stores the last ones and returns.
func (rec *recorder) close() { close(rec.closing) }

// run stores requests until [recorder.close] and then what is left. When ctx is
// done it gives up at once.
func (rec *recorder) run(ctx context.Context) {
	written := make(chan struct{})
	var both sync.WaitGroup
	both.Go(func() {
		defer close(written)
		rec.write(ctx)
	})
	both.Go(func() { rec.touchUntil(ctx, written) })
	both.Wait()
}

// write is the goroutine that stores requests.
func (rec *recorder) write(ctx context.Context) {
	var taken []store.Request
	for closed := false; !closed; {
		closed = rec.await()
		taken = rec.take(taken)
		for batch := range slices.Chunk(taken, batchSize) {
			rec.uses.ofRequests(batch)
			if rec.add != nil {
				rec.writeBatch(ctx, batch)
			}
			rec.followers.publish(batch)
			rec.mu.Lock()
			rec.held -= len(batch)
			rec.mu.Unlock()
			rec.metrics.LogBuffered.Sub(float64(len(batch)))
		}
	}
	rec.sayLost()
}

// await waits for a batch, or for what came within batchWait. It reports whether
// the recorder was closed.
func (rec *recorder) await() (closed bool) {
	select {
	case <-rec.arrived:
	case <-rec.closing:
		return true
	}
	enough := time.NewTimer(batchWait)
	defer enough.Stop()
	select {
	case <-rec.filled:
	case <-enough.C:
	case <-rec.closing:
		return true
	}
	return false
}

// take empties the buffer, which goes on in the memory of what was taken before.
func (rec *recorder) take(before []store.Request) []store.Request {
	clear(before) // the texts
	rec.mu.Lock()
	defer rec.mu.Unlock()
	taken := rec.buffer
	rec.buffer = before[:0]
	select {
	case <-rec.filled: // by what is taken now
	default:
	}
	return taken
}

// writeBatch stores a batch, or gives it up when it was tried for too long.
func (rec *recorder) writeBatch(ctx context.Context, batch []store.Request) {
	began := time.Now()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		attempt, cancel := context.WithTimeout(ctx, attemptTimeout)
		err := rec.add(attempt, batch)
		cancel()
		if err == nil {
			rec.metrics.LogStored.Add(float64(len(batch)))
			rec.report(nil, 0)
			return
		}
		if ctx.Err() != nil || time.Since(began) >= giveUpAfter {
			rec.metrics.LogDropped.WithLabelValues(metrics.DroppedFailed).Add(float64(len(batch)))
			rec.report(err, len(batch))
			return
		}
		rec.report(err, 0)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// trouble is what the log says of requests that can't be stored.
type trouble struct {
	told bool      // and not yet that it's over
	at   time.Time // when it was last told
	lost int       // requests not stored, since last told
	err  error     // the last attempt's
}

// What the log says of it: "requests" were lost, "waiting" are still to be stored.
const (
	notStored    = "requests could not be stored in the log of requests"
	notYetStored = "requests wait to be stored in the log of requests: the database doesn't take them"
	storedAgain  = "requests are stored in the log of requests again"
)

// report tells of an attempt's trouble, and of its end, without filling the log.
// It gets the attempt's error and the number of requests that were given up.
func (rec *recorder) report(err error, lost int) {
	rec.mu.Lock()
	full := rec.full
	rec.full = 0
	waiting := rec.held
	rec.mu.Unlock()
	t := &rec.trouble
	t.lost += lost + full
	if t.err = err; err == nil && full > 0 {
		t.err = fmt.Errorf("the database doesn't keep up: more than %d requests would wait", bufferSize)
	}
	switch {
	case (t.err != nil || t.lost > 0) && time.Since(t.at) >= complainEvery:
		msg, args := notStored, []any{"requests", t.lost, "waiting", waiting}
		if t.lost == 0 {
			msg = notYetStored
		}
		if t.err != nil {
			args = append(args, "error", t.err)
		}
		rec.log.Warn(msg, args...)
		*t = trouble{told: true, at: time.Now()}
	case t.told && t.err == nil && waiting <= batchSize:
		rec.log.Info(storedAgain, "lost", t.lost)
		t.told, t.lost = false, 0
	}
}

// sayLost says at the end what wasn't told yet.
func (rec *recorder) sayLost() {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	if t := &rec.trouble; t.lost+rec.full > 0 {
		if t.err == nil {
			t.err = errors.New("the gateway stopped")
		}
		rec.log.Warn(notStored, "requests", t.lost+rec.full, "waiting", 0, "error", t.err)
	}
}
