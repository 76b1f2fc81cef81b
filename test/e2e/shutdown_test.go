package e2e_test

import (
	"context"
	"net/http"
	"syscall"
	"testing"

	"vcsagent/test/stack"
)

// slowVCS answers /api/v4/user when it's told to, and everything else at once.
type slowVCS struct {
	arrived chan context.Context // a slow request is here
	answer  chan struct{}        // closed: answer all of them
}

func newSlowVCS() *slowVCS {
	return &slowVCS{arrived: make(chan context.Context, 16), answer: make(chan struct{})}
}

func (v *slowVCS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/api/v4/user" {
		v.arrived <- r.Context()
		select {
		case <-v.answer:
		case <-r.Context().Done():
			return
		}
	}
	w.Write([]byte(`{"slow":true}`))
}

func TestAgentDrains(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, carrier string) {
		t.Parallel()
		vcs := newSlowVCS()
		s := stack.New(t, stack.Options{VCS: vcs})
		old := s.StartAgent(t, "--transport", carrier)
		slow := send(s.Request(t, "GET", "/api/v4/user"))
		receive(t, "the slow request", vcs.arrived)

		terminate(t, old.Process)
		eventually(t, "not ready", func() bool { status, _ := health(t, old.Metrics, "/readyz"); return status == 503 })
		if status, _ := health(t, old.Metrics, "/livez"); status != 200 {
			t.Errorf("/livez of a draining agent answers %d", status)
		}
		// Nothing new goes to it: alone it leaves the pool without an agent.
		eventually(t, "no new requests", func() bool { return (<-send(s.Request(t, "GET", "/api/v4/projects"))).status == 503 })
		// With another agent the pool goes on.
		s.StartAgent(t, "--transport", carrier)
		if got := receive(t, "an answer", send(s.Request(t, "GET", "/api/v4/projects"))); got.status != 200 {
			t.Errorf("beside a draining agent: %d %v", got.status, got.err)
		}
		close(vcs.answer)
		if got := receive(t, "the slow answer", slow); got.status != 200 || got.body != `{"slow":true}` || got.err != nil {
			t.Errorf("the request in flight got %d %q, %v", got.status, got.body, got.err)
		}
		if code := old.ExitCode(t, patience); code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
}

func TestAgentsGracePeriodEnds(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, carrier string) {
		t.Parallel()
		vcs := newSlowVCS()
		s := stack.New(t, stack.Options{VCS: vcs})
		a := s.StartAgent(t, "--transport", carrier, "--shutdown-grace-period", "300ms")
		slow := send(s.Request(t, "GET", "/api/v4/user"))
		atVCS := receive(t, "the slow request", vcs.arrived)
		terminate(t, a.Process)
		if code := a.ExitCode(t, patience); code != 0 {
			t.Errorf("exit code %d", code)
		}
		if got := receive(t, "an answer", slow); got.status == 200 {
			t.Errorf("the cut request got %d %q", got.status, got.body)
		}
		receive(t, "the VCS's request cancelled", atVCS.Done())
		a.Await(t, "the grace period is over: cutting the requests in flight")
	})
}

// A second signal ends at once, with a request in flight.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	vcs := newSlowVCS()
	s := stack.New(t, stack.Options{VCS: vcs})
	a := s.StartAgent(t)
	send(s.Request(t, "GET", "/api/v4/user"))
	receive(t, "the slow request", vcs.arrived)
	terminate(t, a.Process)
	a.Await(t, "shutting down: no new requests")
	terminate(t, a.Process)
	if code := a.ExitCode(t, patience); code != 128+int(syscall.SIGTERM) {
		t.Errorf("the agent's exit code is %d", code)
	}

	s.StartAgent(t)
	send(s.Request(t, "GET", "/api/v4/user"))
	receive(t, "the slow request", vcs.arrived)
	signal(t, s.Gateway.Process, syscall.SIGINT)
	s.Gateway.Await(t, "shutting down: no new requests")
	signal(t, s.Gateway.Process, syscall.SIGINT)
	if code := s.Gateway.ExitCode(t, patience); code != 128+int(syscall.SIGINT) {
		t.Errorf("the gateway's exit code is %d", code)
	}
}

func TestGatewayDrains(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, carrier string) {
		t.Parallel()
		vcs := newSlowVCS()
		s := stack.New(t, stack.Options{VCS: vcs})
		a := s.StartAgent(t, "--transport", carrier)
		slow := send(s.Request(t, "GET", "/api/v4/user"))
		receive(t, "the slow request", vcs.arrived)

		terminate(t, s.Gateway.Process)
		eventually(t, "not ready", func() bool { status, _ := health(t, s.Gateway.Metrics, "/readyz"); return status == 503 })
		eventually(t, "no new requests", func() bool { return (<-send(s.Request(t, "GET", "/api/v4/projects"))).err != nil })
		close(vcs.answer)
		if got := receive(t, "the slow answer", slow); got.status != 200 || got.body != `{"slow":true}` || got.err != nil {
			t.Errorf("the request in flight got %d %q, %v", got.status, got.body, got.err)
		}
		if code := s.Gateway.ExitCode(t, patience); code != 0 {
			t.Errorf("exit code %d", code)
		}
		eventually(t, "the agent knows", func() bool { status, _ := health(t, a.Metrics, "/readyz"); return status == 503 })

		s.Gateway.Restart(t)
		eventually(t, "the agent is back", func() bool { status, _ := health(t, a.Metrics, "/readyz"); return status == 200 })
		if got := receive(t, "an answer", send(s.Request(t, "GET", "/api/v4/projects"))); got.status != 200 {
			t.Errorf("after the restart: %d %v", got.status, got.err)
		}
	})
}

func TestGatewaysGracePeriodEnds(t *testing.T) {
	t.Parallel()
	vcs := newSlowVCS()
	s := stack.New(t, stack.Options{VCS: vcs, GatewayArgs: []string{"--shutdown-grace-period", "300ms"}})
	s.StartAgent(t)
	slow := send(s.Request(t, "GET", "/api/v4/user"))
	atVCS := receive(t, "the slow request", vcs.arrived)
	terminate(t, s.Gateway.Process)
	if code := s.Gateway.ExitCode(t, patience); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := receive(t, "an answer", slow); got.err == nil {
		t.Errorf("the cut request got %d %q", got.status, got.body)
	}
	receive(t, "the VCS's request cancelled", atVCS.Done())
}
