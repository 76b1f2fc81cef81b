package e2e_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"vcsagent/test/stack"
)

// end ends an agent in good order and wants exit code 0.
func end(t *testing.T, agent *stack.Agent) {
	t.Helper()
	terminate(t, agent.Process)
	if code := agent.ExitCode(t, patience); code != 0 {
		t.Errorf("the agent's exit code is %d", code)
	}
}

func terminate(t *testing.T, p *stack.Process) {
	t.Helper()
	signal(t, p, syscall.SIGTERM)
}

func signal(t *testing.T, p *stack.Process, sig syscall.Signal) {
	t.Helper()
	if err := p.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// peakMiB is the most memory that a process has had resident, in MiB.
func peakMiB(t *testing.T, p *stack.Process) int {
	t.Helper()
	return procStatus(t, p, "VmHWM")
}

// residentMiB is the memory that a process has resident now, in MiB.
func residentMiB(t *testing.T, p *stack.Process) int {
	t.Helper()
	return procStatus(t, p, "VmRSS")
}

func procStatus(t *testing.T, p *stack.Process, field string) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Pid()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return kib / 1024
		}
	}
	t.Fatalf("no %s in /proc/%d/status", field, p.Pid())
	return 0
}

// metric reads one metric, named as it is printed, from a process's own page.
func metric(t *testing.T, metrics, name string) float64 {
	t.Helper()
	status, page := health(t, metrics, "/metrics")
	if status != 200 {
		t.Fatalf("/metrics answers %d: %s", status, page)
	}
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
