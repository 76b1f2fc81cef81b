package servers_test

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"vcsagent/test/servers"
)

func TestProcess(t *testing.T) {
	p := servers.Start(t, nil, exec.Command("sh", "-c", "echo out; echo err >&2; read line; exit 3"))
	if code := p.ExitCode(t, 10*time.Second); code != 3 {
		t.Errorf("exit code %d, want 3", code)
	}
	if got := p.Log(); got != "out\nerr\n" {
		t.Errorf("log %q, want both streams", got)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("a signal to a process that has ended: %v", err)
	}
}

// Whatever a test started is gone when the test is, children included.
func TestProcessEndsWithItsTest(t *testing.T) {
	a, _ := servers.Wire(t)
	for name, in := range map[string]*servers.Namespace{"here": nil, "in a namespace": a} {
		var p *servers.Process
		var stdout strings.Builder
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", "trap '' TERM; sleep 1000 & echo $!; exec >&-; wait")
			pipe, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			p = servers.Start(t, in, cmd)
			buf := make([]byte, 32)
			n, err := pipe.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			stdout.Write(buf[:n])
			if p.Ended() {
				t.Fatalf("ended early:\n%s", p.Log())
			}
			if err := p.Signal(syscall.SIGKILL); err != nil { // the child is left behind
				t.Fatal(err)
			}
		})
		if !p.Ended() {
			t.Errorf("%s: the process still runs", name)
		}
		child := strings.TrimSpace(stdout.String())
		await(t, name+": the child ends", func() bool {
			stat, err := os.ReadFile("/proc/" + child + "/stat")
			return err != nil || strings.Contains(string(stat), ") Z ") // dead, and nobody's child
		})
	}
}

func TestAddressInUse(t *testing.T) {
	first := servers.Squid(t, servers.SquidOptions{})
	// An address that the test chose is not swapped for another one.
	failed := failure(func(t testing.TB) { servers.Squid(t, servers.SquidOptions{Addr: first.Addr}) }, t)
	if !strings.Contains(failed, first.Addr+": bind: address already in use") {
		t.Errorf("squid on a taken address says %q", failed)
	}
}

// failure runs f and returns what it said to t.Fatal.
func failure(f func(testing.TB), t *testing.T) string {
	probe := &fatal{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(probe)
	}()
	<-done
	return probe.said
}
