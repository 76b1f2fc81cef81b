package network_test

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"vcsagent/test/stack"
)

const (
	killed     = syscall.SIGKILL
	terminated = syscall.SIGTERM
)

// A gateway that was killed or stopped and comes back has its agents again by
// itself, within seconds, on the carrier they had.
func TestGatewayRestarts(t *testing.T) {
	for _, tc := range []struct {
		carrier string
		signal  syscall.Signal
		exit    int
	}{
		{"quic", killed, -1},
		{"quic", terminated, 0},
		{"tcp", killed, -1},
		{"tcp", terminated, 0},
	} {
		t.Run(tc.carrier+" "+tc.signal.String(), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, stack.Options{})
			a, first := s.start(t, nil, "--transport", tc.carrier)
			if err := s.Gateway.Signal(tc.signal); err != nil {
				t.Fatal(err)
			}
			if code := s.Gateway.ExitCode(t, 10*time.Second); code != tc.exit {
				t.Errorf("the gateway's exit code is %d, want %d", code, tc.exit)
			}
			s.Gateway.Restart(t)
			back := time.Now()
			again := a.AwaitLine(t, "another session", func(l stack.Line) bool {
				return l.String("msg") == connected && l.String("session") != first.String("session")
			})
			assertCarrier(t, again, tc.carrier)
			if took := logged(t, again).Sub(back); took > 10*time.Second {
				t.Errorf("connected %s after the gateway was back, want at most 10 s", took)
			} else {
				t.Logf("connected %s after the gateway was back", took)
			}
			s.AwaitSession(t, a)
			if got := s.status(t); got != http.StatusOK {
				t.Errorf("a call is answered with %d, want 200", got)
			}
			if n := metric(t, a, `vcs_agent_connected{carrier="`+tc.carrier+`"}`); n != 1 {
				t.Errorf("vcs_agent_connected is %v, want 1", n)
			}
		})
	}
}
