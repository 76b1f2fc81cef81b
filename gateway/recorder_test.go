package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"vcsagent/gateway"
	"vcsagent/gateway/store"
	"vcsagent/metrics"
)

// rows is a store that keeps requests in memory and works as a test says.
type rows struct {
	mu      sync.Mutex
	err     error // what the next attempts fail with
	block   bool  // they take until their time is over
	batches []int
	stored  []store.Request
	times   []time.Time // of each attempt
	touched []map[string]time.Time
}

func (r *rows) Add(ctx context.Context, batch []store.Request) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = append(r.times, time.Now())
	if r.block {
		r.mu.Unlock()
		<-ctx.Done()
		r.mu.Lock()
		return ctx.Err()
	}
	if r.err != nil {
		return r.err
	}
	r.batches = append(r.batches, len(batch))
	for i := range batch {
		batch[i].Seq = int64(len(r.stored) + 1)
		r.stored = append(r.stored, batch[i])
	}
	return nil
}

func (r *rows) Touch(_ context.Context, keys, tokenKeys map[string]time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	all := maps.Clone(keys)
	if all == nil {
		all = map[string]time.Time{}
	}
	for id, at := range tokenKeys {
		all["token "+id] = at
	}
	r.touched = append(r.touched, all)
	return nil
}

func (r *rows) set(err error, block bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.block = err, block
}

func (r *rows) ids() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var ids []string
	for _, q := range r.stored {
		ids = append(ids, q.ID)
	}
	return ids
}

// uses are the batches of uses so far.
func (r *rows) uses() []map[string]time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.touched)
}

// attempts is how often requests were to be stored.
func (r *rows) attempts() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.times)
}

// recording is a recorder that runs.
type recording struct {
	gateway.Recorder
	*rows
	metrics *metrics.Gateway
	log     *logLines
	next    int // the number of the next request
	ended   chan struct{}
	giveUp  func()
}

func record(s *rows, stores bool) *recording {
	r := &recording{rows: s, metrics: metrics.NewGateway(prometheus.NewRegistry()), log: newLogLines(), ended: make(chan struct{})}
	rs := gateway.RecorderStore{Touch: s.Touch}
	if stores {
		rs.Add = s.Add
	}
	r.Recorder = gateway.NewRecorder(rs, slog.New(slog.NewJSONHandler(r.log, nil)), r.metrics)
	ctx, cancel := context.WithCancel(context.Background())
	r.giveUp = cancel
	go func() {
		defer close(r.ended)
		r.Run(ctx)
	}()
	return r
}

// requests records n requests, whose IDs are consecutive numbers.
func (r *recording) requests(n int) {
	for range n {
		r.Record(store.Request{ID: strconv.Itoa(r.next), At: time.Now(), KeyID: "key"})
		r.next++
	}
}

// end closes the recorder and gives up when the time for it is over.
func (r *recording) end() {
	r.Close()
	stop := time.AfterFunc(gateway.FlushTimeout, r.giveUp)
	<-r.ended
	stop.Stop()
	r.giveUp()
}

func (r *recording) dropped(reason string) int {
	return int(testutil.ToFloat64(r.metrics.LogDropped.WithLabelValues(reason)))
}

// numbers are the IDs of the first n requests.
func numbers(n int) []string {
	var all []string
	for i := range n {
		all = append(all, strconv.Itoa(i))
	}
	return all
}

// Requests are stored together, in the order in which they ended, after a moment
// at the latest.
func TestRecorderStoresInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &rows{}
		r := record(s, true)
		r.requests(1)
		time.Sleep(gateway.BatchWait)
		synctest.Wait()
		if got := s.ids(); len(got) != 1 {
			t.Errorf("stored after the wait: %v", got)
		}
		r.requests(gateway.BatchSize)
		synctest.Wait() // at once
		if got := s.ids(); len(got) != 1+gateway.BatchSize {
			t.Errorf("%d are stored of a full batch", len(got))
		}
		r.requests(2*gateway.BatchSize + 1)
		time.Sleep(gateway.BatchWait)
		synctest.Wait()
		for _, n := range s.batches {
			if n > gateway.BatchSize {
				t.Errorf("a batch of %d", n)
			}
		}
		r.requests(7)
		r.end()
		if got := s.ids(); !slices.Equal(got, numbers(r.next)) {
			t.Errorf("stored: %v", got)
		}
		if n := testutil.ToFloat64(r.metrics.LogStored); int(n) != r.next {
			t.Errorf("%v are counted, want %d", n, r.next)
		}
		if n := testutil.ToFloat64(r.metrics.LogBuffered); n != 0 {
			t.Errorf("%v wait", n)
		}
		if text := r.log.String(); text != "" {
			t.Errorf("the log says %s", text)
		}
	})
}

// A database that hangs holds up nobody; what passes the buffer is lost, counted
// and told, and the rest stored once it works again.
func TestRecorderWithADatabaseThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const more = 100
		s := &rows{block: true}
		r := record(s, true)
		began := time.Now()
		r.requests(gateway.BufferSize + more)
		if took := time.Since(began); took != 0 {
			t.Errorf("whoever serves requests waited %s", took)
		}
		if n := r.dropped(metrics.DroppedFull); n != more {
			t.Errorf("%d dropped, want %d", n, more)
		}
		time.Sleep(gateway.AttemptTimeout)
		synctest.Wait()
		line := r.log.await(t, "requests could not be stored in the log of requests", "level", "WARN")
		if line["requests"] != float64(more) || line["waiting"] != float64(gateway.BufferSize) || line["error"] == nil {
			t.Errorf("the log says %v", line)
		}
		if n := testutil.ToFloat64(r.metrics.LogBuffered); n != gateway.BufferSize {
			t.Errorf("%v wait", n)
		}
		s.set(nil, false)
		time.Sleep(2 * gateway.AttemptTimeout)
		synctest.Wait()
		if got := s.ids(); !slices.Equal(got, numbers(gateway.BufferSize)) {
			t.Errorf("%d stored: %v", len(got), got)
		}
		if line := r.log.await(t, "requests are stored in the log of requests again", "level", "INFO"); line["lost"] != 0.0 {
			t.Errorf("the log says %v", line)
		}
		r.requests(1) // there is room again
		r.end()
		if got := s.ids(); len(got) != gateway.BufferSize+1 || r.dropped(metrics.DroppedFailed) != 0 {
			t.Errorf("%d stored, %d failed", len(got), r.dropped(metrics.DroppedFailed))
		}
	})
}

// A database that is down for less than the patience costs nothing.
func TestRecorderTriesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &rows{err: errors.New("no such host")}
		r := record(s, true)
		r.requests(3)
		time.Sleep(gateway.GiveUpAfter - 10*time.Second)
		synctest.Wait()
		if n := s.attempts(); n < 10 || n > 40 {
			t.Errorf("%d attempts", n)
		}
		lines := r.log.lines("requests wait to be stored in the log of requests: the database doesn't take them")
		if n := len(lines); n < 4 || n > 6 {
			t.Errorf("%d lines in 50 s", n)
		}
		if first := lines[0]; first["error"] != "no such host" || first["requests"] != 0.0 || first["waiting"] != 3.0 {
			t.Errorf("the log says %v", first)
		}
		s.set(nil, false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := s.ids(); !slices.Equal(got, numbers(3)) {
			t.Errorf("stored: %v", got)
		}
		r.log.await(t, "requests are stored in the log of requests again", "lost", 0.0)
		r.end()
		if n := r.dropped(metrics.DroppedFailed) + r.dropped(metrics.DroppedFull); n != 0 {
			t.Errorf("%d dropped", n)
		}
	})
}

// One that is down for longer costs the batch, not those behind it.
func TestRecorderGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &rows{err: errors.New("no such host")}
		r := record(s, true)
		r.requests(gateway.BatchSize)
		time.Sleep(time.Second)
		r.requests(5)
		time.Sleep(gateway.GiveUpAfter + time.Second)
		synctest.Wait()
		if n := r.dropped(metrics.DroppedFailed); n != gateway.BatchSize {
			t.Errorf("%d dropped", n)
		}
		s.set(nil, false)
		time.Sleep(10 * time.Second)
		r.end()
		if got := s.ids(); !slices.Equal(got, numbers(gateway.BatchSize + 5)[gateway.BatchSize:]) {
			t.Errorf("stored: %v", got)
		}
		told := 0.0
		for _, msg := range []string{"requests could not be stored in the log of requests", "requests are stored in the log of requests again"} {
			for _, line := range r.log.lines(msg) {
				for _, field := range []string{"requests", "lost"} {
					if n, ok := line[field].(float64); ok {
						told += n
					}
				}
			}
		}
		if told != gateway.BatchSize {
			t.Errorf("the log tells of %v lost requests:\n%s", told, r.log)
		}
	})
}

// A shutdown stores what is left if the database is well, and else says in time
// how many are lost.
func TestRecorderAtTheEnd(t *testing.T) {
	for _, block := range []bool{true, false} {
		t.Run(fmt.Sprint("hangs: ", block), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &rows{err: errors.New("no such host"), block: block}
				r := record(s, true)
				r.requests(3*gateway.BatchSize + 1)
				synctest.Wait()
				began := time.Now()
				r.end()
				if took := time.Since(began); took > gateway.FlushTimeout {
					t.Errorf("it took %s", took)
				}
				if n := r.dropped(metrics.DroppedFailed); n != r.next {
					t.Errorf("%d dropped, want %d", n, r.next)
				}
				told := 0.0
				for _, line := range r.log.lines("requests could not be stored in the log of requests") {
					told += line["requests"].(float64)
				}
				if told != float64(r.next) {
					t.Errorf("the log tells of %v:\n%s", told, r.log)
				}
			})
		})
	}
}

// A log that stores nothing has followers and notes uses all the same.
func TestRecorderThatStoresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &rows{}
		r := record(s, false)
		follower := r.Follow(t.Context())
		r.requests(1)
		if q := <-follower; q.ID != "0" || q.Seq != 0 {
			t.Errorf("followed: %+v", q)
		}
		r.end()
		if len(s.stored) != 0 || len(s.touched) != 1 {
			t.Errorf("stored %v, touched %v", s.stored, s.touched)
		}
	})
}

// What others send is cut before it waits, and is text.
func TestRecorderBoundsTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &rows{}
		r := record(s, true)
		for _, text := range []string{strings.Repeat("x", 100_000), strings.Repeat("\x80", 100_000), strings.Repeat("é", 50_000), "a" + strings.Repeat("é", 50_000), "a" + strings.Repeat("😀", 25_000), "a\xff", "é", ""} {
			r.Record(store.Request{Method: text, Instance: text, Name: text, Purpose: text, Project: text, Code: text, Reason: text})
		}
		r.end()
		for _, q := range s.stored {
			for _, text := range []string{q.Method, q.Instance, q.Name, q.Purpose, q.Project, q.Code, q.Reason} {
				if len(text) > 1024 || !utf8.ValidString(text) {
					t.Errorf("%d bytes: %.20q", len(text), text)
				}
			}
		}
		for i, want := range map[int]string{0: strings.Repeat("x", 32), 1: "\uFFFD", 2: strings.Repeat("é", 16), 3: "a" + strings.Repeat("é", 15), 4: "a" + strings.Repeat("😀", 7), 5: "a\uFFFD", 6: "é", 7: ""} {
			if got := s.stored[i].Method; got != want {
				t.Errorf("%d: %q, want %q", i, got, want)
			}
		}
	})
}

// Requests that the gateway refuses, which anybody can send, don't push others
// out of the log; each key's are bounded by themselves.
func TestRecorderBoundsRefusedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &rows{}
		r := record(s, true)
		follower := r.Follow(t.Context())
		send := func(keyID, session, outcome string, n int) {
			for range n {
				r.Record(store.Request{KeyID: keyID, SessionID: session, Outcome: outcome})
			}
		}
		count := func(keyID string) (n int) {
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, q := range s.stored {
				if q.KeyID == keyID && q.SessionID == "" && q.Outcome == store.OutcomeRefused {
					n++
				}
			}
			return n
		}
		const sent = 500
		send("", "", store.OutcomeRefused, sent)
		send("a", "", store.OutcomeRefused, sent)
		send("", "", "no_agent", sent)
		send("", "session", store.OutcomeRefused, sent) // as a body that turns out too large
		time.Sleep(gateway.BatchWait)
		if none, a := count(""), count("a"); none != gateway.RefusedBurst || a != gateway.RefusedBurst {
			t.Errorf("stored at once: %d without a key, %d of a; want %d", none, a, gateway.RefusedBurst)
		}
		if n := len(s.ids()); n != 2*gateway.RefusedBurst+2*sent {
			t.Errorf("%d are stored in all", n)
		}
		if n := r.dropped(metrics.DroppedRefused); n != 2*(sent-gateway.RefusedBurst) {
			t.Errorf("%d are counted as not stored", n)
		}
		time.Sleep(2*time.Second - gateway.BatchWait)
		send("", "", store.OutcomeRefused, sent)
		send("b", "", store.OutcomeRefused, 1)
		time.Sleep(gateway.BatchWait)
		if none, b := count(""), count("b"); none != gateway.RefusedBurst+2*gateway.RefusedPerSecond || b != 1 {
			t.Errorf("stored 2 s later: %d without a key, %d of b", none, b)
		}
		r.CloseFollowers()
		if followed, stored := drain(follower), len(s.ids()); followed != stored {
			t.Errorf("%d are followed, %d stored", followed, stored)
		}
		r.end()
	})
}

// The store learns of uses now and then, at the end, and later if it couldn't.
func TestRecorderNotesUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &rows{}
		r := record(s, true)
		began := time.Now()
		r.requests(3)
		r.Record(store.Request{}) // without a key
		time.Sleep(time.Second)
		r.requests(1)
		r.UsedTokenKey("t")
		time.Sleep(gateway.TouchEvery - time.Second - 1)
		synctest.Wait()
		if touched := s.uses(); len(touched) != 0 {
			t.Errorf("too early: %v", touched)
		}
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		at := began.Add(time.Second)
		if touched := s.uses(); len(touched) != 1 || !maps.Equal(touched[0], map[string]time.Time{"key": at, "token t": at}) {
			t.Errorf("touched: %v", touched)
		}
		time.Sleep(3 * gateway.TouchEvery)
		synctest.Wait()
		if touched := s.uses(); len(touched) != 1 {
			t.Errorf("unused keys are touched: %v", touched)
		}
		s.set(errors.New("no such host"), false)
		r.UsedTokenKey("u")
		used := time.Now()
		time.Sleep(3 * gateway.TouchEvery)
		synctest.Wait()
		if n := len(r.log.lines("could not store when keys were last used")); n != 1 {
			t.Errorf("%d lines", n)
		}
		s.set(nil, false)
		r.requests(1)
		r.end()
		if touched := s.uses(); len(touched) != 2 || !touched[1]["token u"].Equal(used) || touched[1]["key"].IsZero() {
			t.Errorf("touched: %v", touched)
		}
	})
}

// What a request pays to be recorded.
func BenchmarkRecord(b *testing.B) {
	m := metrics.NewGateway(prometheus.NewRegistry())
	rec := gateway.NewRecorder(gateway.RecorderStore{
		Add:   func(context.Context, []store.Request) error { return nil },
		Touch: func(context.Context, map[string]time.Time, map[string]time.Time) error { return nil },
	}, slog.New(slog.DiscardHandler), m)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		rec.Run(b.Context())
	}()
	r := store.Request{
		ID: "01M85TKG4JZVB37CDBZAWGE0N2", At: time.Now(), PoolID: "01M85TKG4JZVB37CDBZAWGE0N2", PoolName: "gitlab", KeyID: "01M85TKG4SCFA364A08B1KWBCN", KeyName: "backend",
		SessionID: "ROAC5ERF5LLSUWTTPWDEFDTWMZ", Instance: "agent-1", Stream: 3, Method: "GET", Path: "/api/v4/projects/1", Name: "gitlab.project.get", Purpose: "to test",
		Project: "group/a", Outcome: store.OutcomeServed, Status: 200,
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			rec.Record(r)
		}
	})
	b.StopTimer()
	rec.Close()
	<-ended
}
