package gateway_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vcsagent/gateway"
	"vcsagent/metrics"
)

func newQueue(length int, wait time.Duration) (*gateway.Queue, *prometheus.Registry) {
	reg := prometheus.NewRegistry()
	return gateway.NewQueue(length, wait, metrics.NewGateway(reg)), reg
}

// queueLength is what the metric says.
func queueLength(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "vcs_gateway_queue_length" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("no metric tells the queue's length")
	return 0
}

// take acquires a stream that must be free.
func take(t *testing.T, q *gateway.Queue) *gateway.Member {
	t.Helper()
	m, err := q.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// outcome is what a wait for a stream ended with.
type outcome struct {
	who    int
	member *gateway.Member
	err    error
	after  time.Duration
}

// wait acquires in the background and reports on ch.
func wait(ctx context.Context, q *gateway.Queue, who int, ch chan<- outcome) {
	began := time.Now()
	m, err := q.Acquire(ctx)
	ch <- outcome{who, m, err, time.Since(began)}
}

func TestLeastBusySessionFirst(t *testing.T) {
	for _, tt := range []struct {
		name        string
		parallelism []int
		want        []int // how many of the first streams each session gives
		of          int
	}{
		{"equals take turns", []int{4, 4}, []int{2, 2}, 4},
		{"all of them", []int{4, 4, 4}, []int{4, 4, 4}, 12},
		{"a share, not a number", []int{2, 8}, []int{1, 4}, 5},
		{"full ones are left out", []int{1, 3}, []int{1, 3}, 4},
		{"one", []int{3}, []int{2}, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, _ := newQueue(0, time.Second)
				var members []*gateway.Member
				for _, p := range tt.parallelism {
					members = append(members, q.Join(p))
				}
				for range tt.of {
					take(t, q)
					time.Sleep(time.Millisecond) // simulated: no two begin at the same time
				}
				for i, m := range members {
					if m.Busy() != tt.want[i] {
						t.Errorf("session %d has %d streams taken, want %d", i, m.Busy(), tt.want[i])
					}
				}
			})
		})
	}
}

// Among sessions that are equally busy, the one that rested longest is next.
func TestTiesGoRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(0, time.Second)
		for range 3 {
			q.Join(4)
		}
		seen := map[*gateway.Member]int{}
		for i := range 9 {
			m := take(t, q)
			if seen[m] != i/3 {
				t.Fatalf("call %d goes to a session that had %d", i, seen[m])
			}
			seen[m]++
			time.Sleep(time.Millisecond)
			m.Release()
		}
	})
}

func TestQueueIsFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, reg := newQueue(100, 10*time.Second)
		q.Join(1)
		held := take(t, q)
		ch := make(chan outcome)
		for i := range 5 {
			go wait(t.Context(), q, i, ch)
			synctest.Wait()
		}
		if n := queueLength(t, reg); n != 5 || q.Waiting() != 5 {
			t.Errorf("the queue is %v long, %d wait", n, q.Waiting())
		}
		for i := range 5 {
			held.Release()
			got := <-ch
			if got.err != nil || got.who != i {
				t.Fatalf("turn %d: caller %d, %v", i, got.who, got.err)
			}
			held = got.member
		}
		held.Release()
		if n := queueLength(t, reg); n != 0 || held.Busy() != 0 {
			t.Errorf("the queue is %v long, %d streams taken", n, held.Busy())
		}
	})
}

// A stream that becomes free while others wait isn't for who comes just then.
func TestNoneOvertakesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(2, 10*time.Second)
		q.Join(1)
		held := take(t, q)
		first, second := make(chan outcome, 1), make(chan outcome, 1)
		go wait(t.Context(), q, 0, first)
		synctest.Wait()
		held.Release()
		go wait(t.Context(), q, 1, second)
		synctest.Wait()
		if got := <-first; got.err != nil {
			t.Fatal(got.err)
		} else {
			got.member.Release()
		}
		if got := <-second; got.err != nil {
			t.Fatal(got.err)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	for _, length := range []int{0, 1, 100} {
		t.Run(strconv.Itoa(length), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, reg := newQueue(length, 10*time.Second)
				q.Join(1)
				take(t, q)
				ch := make(chan outcome, length)
				for i := range length {
					go wait(t.Context(), q, i, ch)
				}
				synctest.Wait()
				began := time.Now()
				if _, err := q.Acquire(t.Context()); !errors.Is(err, gateway.ErrBusy) || time.Since(began) != 0 {
					t.Errorf("one more: %v after %s", err, time.Since(began))
				}
				if q.Waiting() != length {
					t.Errorf("%d wait, want %d", q.Waiting(), length)
				}
				for range length {
					if got := <-ch; !errors.Is(got.err, gateway.ErrBusy) || got.after != 10*time.Second {
						t.Errorf("%v after %s, want busy after 10s", got.err, got.after)
					}
				}
				if n := queueLength(t, reg); n != 0 || q.Waiting() != 0 {
					t.Errorf("the queue is %v long in the end, %d wait", n, q.Waiting())
				}
			})
		})
	}
}

// Up to the last moment a stream is handed over; after it, it's kept.
func TestPatienceEndsOnce(t *testing.T) {
	for _, tt := range []struct {
		name    string
		release time.Duration
		err     error
	}{
		{"just in time", 10*time.Second - 1, nil},
		{"just too late", 10*time.Second + 1, gateway.ErrBusy},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, _ := newQueue(1, 10*time.Second)
				q.Join(1)
				held := take(t, q)
				ch := make(chan outcome, 1)
				go wait(t.Context(), q, 0, ch)
				time.Sleep(tt.release)
				held.Release()
				got := <-ch
				if !errors.Is(got.err, tt.err) {
					t.Errorf("%v, want %v", got.err, tt.err)
				}
				want := 0
				if tt.err == nil {
					want = 1
				}
				if held.Busy() != want {
					t.Errorf("%d streams are taken, want %d", held.Busy(), want)
				}
			})
		})
	}
}

// Streams freed in the very moment in which those who wait give up are not lost.
func TestNoStreamIsLostInTheLastMoment(t *testing.T) {
	for range 200 {
		synctest.Test(t, func(t *testing.T) {
			q, _ := newQueue(8, time.Second)
			m := q.Join(2)
			a, b := take(t, q), take(t, q)
			ch := make(chan outcome, 4)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			for i := range 2 {
				go wait(t.Context(), q, i, ch)
				go wait(ctx, q, i, ch)
			}
			go func() { time.Sleep(time.Second); a.Release() }()
			go func() { time.Sleep(time.Second); b.Release() }()
			held := 0
			for range 4 {
				if got := <-ch; got.err == nil {
					held++
				}
			}
			synctest.Wait()
			if m.Busy() != held || q.Waiting() != 0 {
				t.Fatalf("%d streams are taken by %d, %d wait", m.Busy(), held, q.Waiting())
			}
		})
	}
}

func TestLeavingTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, reg := newQueue(3, 10*time.Second)
		q.Join(1)
		held := take(t, q)
		ch := make(chan outcome, 3)
		ctx, cancel := context.WithCancel(t.Context())
		go wait(t.Context(), q, 0, ch)
		synctest.Wait()
		go wait(ctx, q, 1, ch)
		synctest.Wait()
		go wait(t.Context(), q, 2, ch)
		synctest.Wait()
		cancel()
		if got := <-ch; got.who != 1 || !errors.Is(got.err, context.Canceled) {
			t.Fatalf("caller %d: %v", got.who, got.err)
		}
		if n := queueLength(t, reg); n != 2 || q.Waiting() != 2 {
			t.Errorf("the queue is %v long, %d wait", n, q.Waiting())
		}
		for _, who := range []int{0, 2} {
			held.Release()
			got := <-ch
			if got.who != who || got.err != nil {
				t.Fatalf("caller %d: %v, want caller %d", got.who, got.err, who)
			}
			held = got.member
		}
	})
}

func TestNoAgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, reg := newQueue(3, 10*time.Second)
		if _, err := q.Acquire(t.Context()); !errors.Is(err, gateway.ErrNoAgent) {
			t.Errorf("before any: %v", err)
		}
		q.Join(1)
		take(t, q)
		ch := make(chan outcome, 3)
		for i := range 3 {
			go wait(t.Context(), q, i, ch)
		}
		time.Sleep(time.Second)
		q.TurnAway()
		for range 3 {
			if got := <-ch; !errors.Is(got.err, gateway.ErrNoAgent) || got.after != time.Second {
				t.Errorf("%v after %s, want no agent at once", got.err, got.after)
			}
		}
		if n := queueLength(t, reg); n != 0 {
			t.Errorf("the queue is %v long", n)
		}
	})
}

// An agent that joins serves those who wait at once, as many as it can.
func TestJoiningServesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _ := newQueue(8, 10*time.Second)
		q.Join(1)
		take(t, q)
		ch := make(chan outcome, 8)
		for i := range 5 {
			go wait(t.Context(), q, i, ch)
			synctest.Wait()
		}
		m := q.Join(3)
		synctest.Wait()
		if m.Busy() != 3 || q.Waiting() != 2 || len(ch) != 3 {
			t.Errorf("%d streams taken, %d wait, %d were served", m.Busy(), q.Waiting(), len(ch))
		}
	})
}

// Whatever comes together, no session is over its parallelism, none is under
// nothing, and every stream is free in the end.
func TestSchedulerUnderStress(t *testing.T) {
	q, reg := newQueue(16, 2*time.Millisecond)
	var members []*gateway.Member
	var mu sync.Mutex
	inFlight := map[*gateway.Member]int{}
	limit := map[*gateway.Member]int{}
	add := func(parallelism int) {
		mu.Lock()
		defer mu.Unlock()
		// Counted in the same moment in which the scheduler may hand it out.
		s := q.Join(parallelism)
		members = append(members, s)
		limit[s] = parallelism
	}
	add(1)
	add(4)
	var callers sync.WaitGroup
	for who := range 32 {
		callers.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(who)))
			for range 400 {
				ctx, cancel := context.WithCancel(context.Background())
				if rng.IntN(4) == 0 {
					time.AfterFunc(time.Duration(rng.IntN(1000))*time.Microsecond, cancel)
				}
				got, err := q.Acquire(ctx)
				if err == nil {
					mu.Lock()
					inFlight[got]++
					if n := inFlight[got]; n > limit[got] {
						t.Errorf("%d in flight on a session of %d", n, limit[got])
					}
					mu.Unlock()
					if rng.IntN(2) == 0 {
						<-time.After(time.Duration(rng.IntN(300)) * time.Microsecond)
					}
					mu.Lock()
					inFlight[got]--
					mu.Unlock()
					got.Release()
				} else if !errors.Is(err, gateway.ErrBusy) && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	add(2)
	callers.Wait()
	for _, s := range members {
		if s.Busy() != 0 {
			t.Errorf("%d streams are still taken", s.Busy())
		}
	}
	if n := queueLength(t, reg); n != 0 || q.Waiting() != 0 {
		t.Errorf("the queue is %v long, %d wait", n, q.Waiting())
	}
}
