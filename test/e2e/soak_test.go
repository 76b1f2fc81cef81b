package e2e_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vcsagent/test/stack"
)

// A mix of everything, again and again, leaves nothing behind: goroutines, file
// descriptors and memory are back where they were, and the numbers add up.
func TestSoak(t *testing.T) {
	const callers = 16
	requests := 400
	if long {
		requests = 20_000
	}
	s := stack.New(t, stack.Options{VCS: http.HandlerFunc(answerAll)})
	onBothCarriers(t, func(t *testing.T, carrier string) {
		a := s.StartAgent(t, "--transport", carrier, "--allow-groups", withGit)
		// Pools of buffers and connections fill before the count.
		mixed(t, s, callers, requests/4)
		idle := func() bool {
			return metric(t, a.Metrics, "vcs_agent_in_flight_requests") == 0 && metric(t, s.Gateway.Metrics, `vcs_gateway_queue_length{pool="gitlab"}`) == 0
		}
		eventually(t, "all requests have ended", idle)
		type level struct{ goroutines, files, memory float64 }
		measure := func(p *stack.Process, metrics string) level {
			return level{metric(t, metrics, "go_goroutines"), metric(t, metrics, "process_open_fds"), float64(residentMiB(t, p))}
		}
		sides := []struct {
			name, metrics string
			process       *stack.Process
			before        level
		}{{"agent", a.Metrics, a.Process, level{}}, {"gateway", s.Gateway.Metrics, s.Gateway.Process, level{}}}
		for i := range sides {
			sides[i].before = measure(sides[i].process, sides[i].metrics)
		}
		mixed(t, s, callers, requests)
		eventually(t, "all requests have ended", idle)
		for _, side := range sides {
			var now level
			// The agent keeps a connection per stream to the VCS; a scrape has a few of its own.
			eventually(t, "the "+side.name+"'s goroutines and files are back", func() bool {
				now = measure(side.process, side.metrics)
				return now.goroutines <= side.before.goroutines+16 && now.files <= side.before.files+8
			})
			if now.memory > side.before.memory+16 {
				t.Errorf("the %s has %v MiB resident, %v before", side.name, now.memory, side.before.memory)
			}
			t.Logf("%s: %+v, before %+v", side.name, now, side.before)
			small(t, s, a)
		}
		if n := len(linesWith(a.Process, "connected to the gateway")); n != 1 {
			t.Errorf("the agent connected %d times", n)
		}
		end(t, a)
		eventually(t, "the gateway has no session", func() bool {
			return metric(t, s.Gateway.Metrics, fmt.Sprintf(`vcs_gateway_agents{carrier=%q,pool="gitlab"}`, carrier)) == 0
		})
	})
}

// answerAll is a VCS for every request of mixed.
func answerAll(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			fmt.Fprint(w, n)
		}
		return
	}
	size, err := strconv.Atoi(r.URL.Query().Get("sha"))
	switch {
	case err != nil:
		io.WriteString(w, "{}")
	case size < 0: // breaks off
		w.Write(block[:-size])
		panic(http.ErrAbortHandler)
	default:
		io.Copy(w, blocks(int64(size)))
	}
}

// mixed sends n requests of every kind, some callers at a time.
func mixed(t *testing.T, s *stack.Stack, callers, n int) {
	t.Helper()
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 && !t.Failed() {
				if err := one(t, s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// one sends one request and checks what it got.
func one(t *testing.T, s *stack.Stack) error {
	size := rand.IntN(512 << 10)
	switch rand.IntN(6) {
	case 0: // a small call
		return expect(<-send(s.Request(t, "GET", call)), 200, 2)
	case 1: // a denied one, with a body that isn't read
		req := s.Request(t, "POST", call+"/hooks")
		req.Body = io.NopCloser(blocks(int64(size)))
		got := <-send(req)
		if got.err != nil { // the connection may end under the body that is still being sent
			return nil
		}
		return expect(got, 403, -1)
	case 2: // a download
		return expect(<-send(s.Request(t, "GET", fmt.Sprintf("%s?sha=%d", archivePath, size))), 200, size)
	case 3: // an upload
		req := s.Request(t, "POST", uploadPath)
		req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		req.Body = io.NopCloser(blocks(int64(size)))
		got := <-send(req)
		if got.body != strconv.Itoa(size) {
			return fmt.Errorf("%d bytes up: %d %v, the VCS got %.80q", size, got.status, got.err, got.body)
		}
		return nil
	case 4: // one that the VCS breaks off
		got := <-send(s.Request(t, "GET", fmt.Sprintf("%s?sha=-%d", archivePath, size+1)))
		if got.err == nil && got.status == 200 {
			return fmt.Errorf("a cut answer looks whole, with %d bytes", len(got.body))
		}
		return nil
	default: // one that the caller breaks off
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(10))*time.Millisecond)
		defer cancel()
		<-send(s.Request(t, "GET", fmt.Sprintf("%s?sha=%d", archivePath, 64<<20)).WithContext(ctx))
		return nil
	}
}

func expect(got answer, status, size int) error {
	if got.err != nil || got.status != status || size >= 0 && len(got.body) != size {
		return fmt.Errorf("%d with %d bytes and %v, want %d with %d: %.200q", got.status, len(got.body), got.err, status, size, got.body)
	}
	return nil
}
