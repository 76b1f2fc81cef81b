package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vcsagent/test/stack"
)

// turnstile is a VCS that holds every request until it is told to answer, and
// counts those it holds, by the first segment of their path.
type turnstile struct {
	mu   sync.Mutex
	now  map[string]int
	most map[string]int
	seen int

	let chan struct{} // one value lets one request through; closed: all
}

func newTurnstile() *turnstile {
	return &turnstile{now: map[string]int{}, most: map[string]int{}, let: make(chan struct{})}
}

// ServeHTTP implements http.Handler.
func (ts *turnstile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body) // else net/http doesn't notice that the client went away
	by := strings.Split(r.URL.Path, "/")[1]
	ts.count(by, 1)
	defer ts.count(by, -1)
	select {
	case <-ts.let:
		io.WriteString(w, by)
	case <-r.Context().Done():
	}
}

func (ts *turnstile) count(by string, n int) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.now[by] += n
	ts.most[by] = max(ts.most[by], ts.now[by])
	if n > 0 {
		ts.seen++
	}
}

// holds says how many requests it holds.
func (ts *turnstile) holds(by string) int {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.now[by]
}

func (ts *turnstile) heldAtMost(by string) int {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.most[by]
}

// startAgentAs starts an agent whose requests the turnstile counts under name.
func startAgentAs(t *testing.T, s *stack.Stack, name string, args ...string) *stack.Agent {
	t.Helper()
	return s.StartAgent(t, append([]string{"--target-base-endpoint", s.VCSURL + "/" + name}, args...)...)
}

// Twenty callers at once, two streams: two requests at the VCS, the others wait
// their turn and all are answered.
func TestParallelism(t *testing.T) {
	ts := newTurnstile()
	s := stack.New(t, stack.Options{VCS: ts})
	onBothCarriers(t, func(t *testing.T, carrier string) {
		agent := startAgentAs(t, s, carrier, "--transport", carrier, "--parallelism", "2")
		const callers = 20
		var answers []<-chan answer
		for range callers {
			answers = append(answers, send(s.Request(t, "GET", call)))
		}
		eventually(t, "two requests at the VCS, the others in the queue", func() bool {
			return ts.holds(carrier) == 2 && metric(t, s.Gateway.Metrics, `vcs_gateway_queue_length{pool="gitlab"}`) == callers-2
		})
		for range callers {
			ts.let <- struct{}{}
		}
		for _, c := range answers {
			if a := receive(t, "an answer", c); a.err != nil || a.status != 200 {
				t.Errorf("%+v", a)
			}
		}
		if most := ts.heldAtMost(carrier); most != 2 {
			t.Errorf("the VCS had %d requests at once, want 2", most)
		}
		streams := map[float64]int{}
		for _, l := range linesWith(agent.Process, "served") {
			streams[l.Number("stream")]++
		}
		if len(streams) != 2 || streams[1]+streams[2] != callers {
			t.Errorf("requests by stream: %v, want %d on 1 and 2", streams, callers)
		}
		end(t, agent)
	})
}

// The queue is bounded in length and in time, and a caller that leaves makes room.
func TestQueue(t *testing.T) {
	ts := newTurnstile()
	s := stack.New(t, stack.Options{VCS: ts, GatewayArgs: []string{"--queue-length", "2", "--queue-timeout", "500ms"}})
	startAgentAs(t, s, "vcs", "--parallelism", "1")
	first := send(s.Request(t, "GET", call))
	eventually(t, "the only stream is taken", func() bool { return ts.holds("vcs") == 1 })
	queue := func() float64 { return metric(t, s.Gateway.Metrics, `vcs_gateway_queue_length{pool="gitlab"}`) }

	began := time.Now()
	waiting := []<-chan answer{send(s.Request(t, "GET", call)), send(s.Request(t, "GET", call))}
	busy := func(what string, a answer) {
		t.Helper()
		if a.err != nil || a.status != 503 || a.header.Get("VCS-Agent-Error") != "busy" || !strings.Contains(a.body, `"code":"busy"`) {
			t.Errorf("%s: %+v", what, a)
		}
		if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 1 {
			t.Errorf("%s: Retry-After is %q", what, a.header.Get("Retry-After"))
		}
	}
	for i, c := range waiting {
		busy(fmt.Sprintf("the one that waited as number %d", i+1), receive(t, "an answer", c))
	}
	if waited := time.Since(began); waited < 500*time.Millisecond || waited > 10*time.Second {
		t.Errorf("they waited %s, want 500ms", waited)
	}
	eventually(t, "the queue is empty", func() bool { return queue() == 0 })
	ts.let <- struct{}{}
	if a := receive(t, "the answer", first); a.status != 200 {
		t.Errorf("the one in flight: %+v", a)
	}
}

func TestFullQueue(t *testing.T) {
	ts := newTurnstile()
	s := stack.New(t, stack.Options{VCS: ts, GatewayArgs: []string{"--queue-length", "2", "--queue-timeout", "30s"}})
	startAgentAs(t, s, "vcs", "--parallelism", "1")
	first := send(s.Request(t, "GET", call))
	eventually(t, "the only stream is taken", func() bool { return ts.holds("vcs") == 1 })
	waiting := []<-chan answer{send(s.Request(t, "GET", call)), send(s.Request(t, "GET", call))}
	eventually(t, "two wait", func() bool {
		return metric(t, s.Gateway.Metrics, `vcs_gateway_queue_length{pool="gitlab"}`) == 2
	})
	began := time.Now()
	resp := s.Get(t, call)
	if p := problemIn(t, resp); resp.StatusCode != 503 || p.Code != "busy" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the third: %d, %+v, %v", resp.StatusCode, p, resp.Header)
	}
	if waited := time.Since(began); waited > 10*time.Second {
		t.Errorf("the third was refused after %s", waited)
	}
	close(ts.let)
	for _, c := range append(waiting, first) {
		if a := receive(t, "an answer", c); a.status != 200 {
			t.Errorf("one that waited: %+v", a)
		}
	}
}

// Agents of a pool share the load: each request goes to the one that is least
// busy for its size.
func TestLeastBusyFirst(t *testing.T) {
	for _, tt := range []struct {
		name                   string
		one, other             string // parallelism
		requests               int
		wantOnOne, wantOnOther int
	}{
		{"equal", "4", "4", 6, 3, 3},
		{"full", "4", "4", 8, 4, 4},
		{"one three times as large", "6", "2", 8, 6, 2},
		{"one three times as large, half full", "6", "2", 4, 3, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ts := newTurnstile()
			s := stack.New(t, stack.Options{VCS: ts})
			startAgentAs(t, s, "one", "--parallelism", tt.one, "--transport", "quic")
			startAgentAs(t, s, "other", "--parallelism", tt.other, "--transport", "tcp")
			var answers []<-chan answer
			for i := range tt.requests {
				answers = append(answers, send(s.Request(t, "GET", call)))
				eventually(t, "it is at the VCS", func() bool { return ts.holds("one")+ts.holds("other") == i+1 })
			}
			if one, other := ts.holds("one"), ts.holds("other"); one != tt.wantOnOne || other != tt.wantOnOther {
				t.Errorf("%d and %d requests, want %d and %d", one, other, tt.wantOnOne, tt.wantOnOther)
			}
			close(ts.let)
			for _, c := range answers {
				if a := receive(t, "an answer", c); a.status != 200 {
					t.Errorf("%+v", a)
				}
			}
		})
	}
}

// An agent that is killed takes its own requests with it and no others: its
// caller is told, the next request goes to another agent, and with no agent left
// callers are told that.
func TestAgentKilled(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, carrier string) {
		t.Parallel()
		ts := newTurnstile()
		s := stack.New(t, stack.Options{VCS: ts})
		victim := startAgentAs(t, s, "victim", "--transport", carrier)
		lost := send(s.Request(t, "GET", call))
		eventually(t, "the request is at the VCS", func() bool { return ts.holds("victim") == 1 })
		other := startAgentAs(t, s, "other", "--transport", carrier)
		signal(t, victim.Process, syscall.SIGKILL)
		next := send(s.Request(t, "GET", call))
		eventually(t, "the next is at the VCS", func() bool { return ts.holds("other") == 1 })

		a := receive(t, "the killed agent's caller hears of it", lost)
		if a.err != nil || a.status != 502 || a.header.Get("VCS-Agent-Error") != "agent_lost" {
			t.Errorf("its caller got %+v", a)
		}
		eventually(t, "the VCS's side of it has ended", func() bool { return ts.holds("victim") == 0 })
		ts.let <- struct{}{}
		if a := receive(t, "the other answer", next); a.status != 200 || a.body != "other" {
			t.Errorf("the next got %+v", a)
		}

		end(t, other)
		resp := s.Get(t, call)
		if p := problemIn(t, resp); resp.StatusCode != 503 || p.Code != "no_agent" || resp.Header.Get("Retry-After") == "" {
			t.Errorf("with no agent left: %d, %+v, %v", resp.StatusCode, p, resp.Header)
		}
	})
}

// An answer that has begun when its agent is killed is seen as cut.
func TestAgentKilledWhileAnswering(t *testing.T) {
	for _, length := range []string{"", "1000000"} {
		onBothCarriers(t, func(t *testing.T, carrier string) {
			t.Parallel()
			s := stack.New(t, stack.Options{VCS: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if length != "" {
					w.Header().Set("Content-Length", length)
				}
				io.WriteString(w, "the beginning")
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			})})
			agent := s.StartAgent(t, "--transport", carrier)
			resp := s.Get(t, call+"/repository/archive")
			if _, err := io.ReadFull(resp.Body, make([]byte, len("the beginning"))); err != nil {
				t.Fatal(err)
			}
			signal(t, agent.Process, syscall.SIGKILL)
			if rest, err := io.ReadAll(resp.Body); err == nil {
				t.Errorf("the answer looks whole, with %d bytes more", len(rest))
			}
			line := s.Gateway.Await(t, "request")
			if line.String("outcome") != "cut" {
				t.Errorf("the gateway says %v", line)
			}
		})
	}
}
