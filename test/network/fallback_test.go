package network_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"vcsagent/test/servers"
	"vcsagent/test/stack"
)

// The promise: under auto an agent whose UDP goes nowhere is connected
// within 3 s of its start. Not parallel, for the time's sake.
func TestAuto(t *testing.T) {
	for _, tc := range []struct {
		name    string
		drop    bool
		carrier string
		within  time.Duration
		why     string
	}{
		{"UDP works", false, "quic", time.Second, "QUIC was up after"},
		{"UDP is dropped", true, "tcp", 3 * time.Second, "UDP to 198.18.0.2:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSite(t, stack.Options{})
			servers.Binary(t, "vcs-agent") // built outside the measured time
			if tc.drop {
				s.outside.Drop(t, "udp", 0)
			}
			began := time.Now()
			a, line := s.start(t, nil, withGit)
			assertCarrier(t, line, tc.carrier)
			assertSays(t, "why", line.String("why"), tc.why)
			if took := logged(t, line).Sub(began); took > tc.within {
				t.Errorf("connected %s after its start, want at most %s", took, tc.within)
			} else {
				t.Logf("connected after %s", took)
			}
			if line.String("proxy") != "" {
				t.Errorf("a proxy is named: %v", line)
			}
			if status, body := a.Ask(t, "/readyz"); status != http.StatusOK {
				t.Errorf("/readyz is %d: %s", status, body)
			}
			s.assertServes(t)
		})
	}
}

// UDP that dies in mid-session, in one direction or both, is noticed, and TCP
// takes over: at most 20 s without service.
func TestUDPLostInMidSession(t *testing.T) {
	t.Parallel()
	const bound = 20 * time.Second
	type lost struct {
		*site
		agent *stack.Agent
		at    time.Time
	}
	names := []string{"both ways", "from the agent", "to the agent"}
	sites := map[string]*lost{}
	for _, name := range names { // all at once: it is waiting that takes the time
		l := &lost{site: newSite(t, stack.Options{})}
		var line stack.Line
		l.agent, line = l.start(t, nil)
		assertCarrier(t, line, "quic")
		if got := l.status(t); got != http.StatusOK {
			t.Fatalf("before anything is lost, a call is answered with %d", got)
		}
		sites[name] = l
	}
	for name, l := range sites {
		l.at = time.Now()
		if name != "to the agent" {
			l.outside.Drop(t, "udp", 0)
		}
		if name != "from the agent" {
			l.inside.Drop(t, "udp", 0)
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := sites[name]
			line := l.agent.AwaitLine(t, "the carrier tcp", func(l stack.Line) bool {
				return l.String("msg") == connected && l.String("carrier") == "tcp"
			})
			t.Logf("on TCP after %s", logged(t, line).Sub(l.at))
			await(t, l.at.Add(bound), "a call is answered again", func() bool { return l.status(t) == http.StatusOK })
			t.Logf("calls answered after %s at the most", time.Since(l.at))
			if took := logged(t, line).Sub(l.at); took > bound {
				t.Errorf("on TCP after %s, want at most %s", took, bound)
			}
			// Nothing is sent to the dead session any more.
			await(t, l.at.Add(bound), "the gateway has given the QUIC session up", func() bool {
				_, metrics := l.askGateway(t, "/metrics")
				return strings.Contains(metrics, `vcs_gateway_agents{carrier="quic",pool="gitlab"} 0`)
			})
			assertSays(t, "the end of the session", l.agent.Await(t, notConnected).String("error"), "no answer came from the gateway for", "UDP seems to get lost")
			for series, want := range map[string]float64{
				`vcs_agent_connected{carrier="quic"}`:                         0,
				`vcs_agent_connected{carrier="tcp"}`:                          1,
				`vcs_agent_connects_total{carrier="quic",result="connected"}`: 1,
				`vcs_agent_connects_total{carrier="tcp",result="connected"}`:  1,
			} {
				if got := metric(t, l.agent, series); got != want {
					t.Errorf("%s is %v, want %v", series, got, want)
				}
			}
		})
	}
}

// With one carrier alone there's no way round: the agent lives on, says that it
// isn't connected and why, and tries again, but not hot.
func TestOneCarrierAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, stack.Options{})
	s.outside.Drop(t, "udp", 0)
	before := datagrams(t, s.inside)
	_, line := s.start(t, nil, "--transport", "tcp")
	assertCarrier(t, line, "tcp")
	assertSays(t, "why", line.String("why"), "the transport is set to tcp")
	if sent := datagrams(t, s.inside) - before; sent != 0 {
		t.Errorf("with --transport tcp %d datagrams were sent", sent)
	}

	a := s.launch(t, nil, "--transport", "quic")
	failed := a.Await(t, notConnected)
	assertSays(t, "the error", failed.String("error"), "quic: ", "UDP to "+s.Gateway.Agents)
	if sent := datagrams(t, s.inside) - before; sent == 0 {
		t.Error("with --transport quic no datagram was counted: the counter is of no use")
	}
	for path, want := range map[string]int{"/livez": http.StatusOK, "/readyz": http.StatusServiceUnavailable} {
		if status, body := a.Ask(t, path); status != want {
			t.Errorf("%s is %d, want %d: %s", path, status, want, body)
		}
	}
	if n := metric(t, a, `vcs_agent_connects_total{carrier="quic",result="failed"}`); n != 1 {
		t.Errorf("%v attempts were counted, want 1", n)
	}
	for _, l := range a.Lines() {
		if l.String("msg") == connected {
			t.Errorf("it is connected: %v", l)
		}
	}
}

// A gateway that refuses connections costs no time to find out about, so it's
// the backoff alone that keeps the agent from trying hot.
func TestBackoff(t *testing.T) {
	t.Parallel()
	s := newSite(t, stack.Options{})
	if err := s.Gateway.Signal(killed); err != nil {
		t.Fatal(err)
	}
	s.Gateway.ExitCode(t, 10*time.Second)
	a := s.launch(t, nil, "--transport", "tcp")
	const attempts = 4
	var failures []stack.Line
	await(t, time.Now().Add(30*time.Second), "the fourth attempt", func() bool {
		failures = failures[:0]
		for _, l := range a.Lines() {
			if l.String("msg") == notConnected {
				failures = append(failures, l)
			}
		}
		return len(failures) >= attempts
	})
	bound := time.Second
	for i, l := range failures[:attempts-1] {
		assertSays(t, "the error", l.String("error"), "tcp: ", s.Gateway.Agents, "connection refused")
		retry := time.Duration(l.Number("retry_in") * float64(time.Second))
		if retry > bound {
			t.Errorf("attempt %d is followed by %s, want at most %s", i+1, retry, bound)
		}
		// The line tells the wait rounded to a millisecond, which may be up.
		if waited := logged(t, failures[i+1]).Sub(logged(t, l)); waited < retry-time.Millisecond/2 {
			t.Errorf("attempt %d came after %s, and %s was announced", i+2, waited, retry)
		}
		bound *= 2
	}
	// The waits are random from 0 up to 1, 2 and 4 s: not even their sum has a
	// bound, but it is below this less than once in 100000 times.
	if total := logged(t, failures[attempts-1]).Sub(logged(t, failures[0])); total < 50*time.Millisecond {
		t.Errorf("%d attempts came within %s", attempts, total)
	}
	if n := metric(t, a, `vcs_agent_connects_total{carrier="tcp",result="failed"}`); n < attempts || n > attempts+1 {
		t.Errorf("%v attempts were counted, want %d or one more", n, attempts)
	}
}
