package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// workload is what the callers do: each sends its next request when the answer
// to the one before has come whole.
type workload struct {
	name     string
	path     string
	bytes    int64 // of each answer, which is checked
	callers  int
	requests int           // of all callers together
	limit    time.Duration // after which no request is begun
}

// sample is one measurement.
type sample struct {
	requests    int
	elapsed     time.Duration
	p50, p99    time.Duration
	front, back time.Duration // CPU time
}

// measure warms the system up with a tenth of the workload and then measures it.
func (s *system) measure(ctx context.Context, w workload) (sample, error) {
	warm := w
	warm.requests = min(w.requests, max(w.requests/10, 2*w.callers))
	warm.limit = w.limit / 4
	if _, err := s.load(ctx, warm); err != nil {
		return sample{}, err
	}
	front, back, err := s.cpu()
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	took, err := s.load(ctx, w)
	elapsed := time.Since(began)
	if err != nil {
		return sample{}, err
	}
	frontAfter, backAfter, err := s.cpu()
	slices.Sort(took)
	return sample{
		requests: len(took), elapsed: elapsed, p50: quantile(took, 50), p99: quantile(took, 99),
		front: frontAfter - front, back: backAfter - back,
	}, err
}

func (s *system) cpu() (front, back time.Duration, err error) {
	if front, err = s.front.cpu(); err != nil {
		return 0, 0, err
	}
	back, err = s.back.cpu()
	return front, back, err
}

// load runs a workload and returns how long each request took. The first request
// that fails ends it.
func (s *system) load(ctx context.Context, w workload) ([]time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	until := time.Now().Add(w.limit)
	var begun atomic.Int64
	took := make([][]time.Duration, w.callers)
	var wg sync.WaitGroup
	for i := range w.callers {
		wg.Go(func() {
			// Every caller sends one at least, however short the limit is.
			for first := true; begun.Add(1) <= int64(w.requests) && (first || time.Now().Before(until)); first = false {
				t, err := s.call(ctx, w)
				if err != nil {
					cancel(fmt.Errorf("%s: %w", s.name, err))
					return
				}
				took[i] = append(took[i], t)
			}
		})
	}
	wg.Wait()
	all := slices.Concat(took...)
	s.sent += len(all)
	return all, context.Cause(ctx)
}

// call sends one request and reads the whole answer.
func (s *system) call(ctx context.Context, w workload) (time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+w.path, nil)
	if err != nil {
		return 0, err
	}
	r.Header = s.header
	began := time.Now()
	resp, err := s.callers.RoundTrip(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	took := time.Since(began)
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the answer to %s: %w", w.path, err)
	case resp.StatusCode != http.StatusOK || n != w.bytes:
		return 0, fmt.Errorf("%s was answered with %s and %d bytes, not 200 and %d", w.path, resp.Status, n, w.bytes)
	}
	return took, nil
}
