package main_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	bench "vcsagent/test/bench"
	"vcsagent/test/servers"
)

// asProgram makes the test's binary behave as the benchmark, which starts more
// of itself; its arguments alone tell what it is then.
const asProgram = "BENCH_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(bench.Run(os.Args[1:], os.Stdout, os.Stderr))
	}
	servers.Main(m)
}

// command is the benchmark in its smallest form, with its files in dir.
func command(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "TMPDIR="+dir)
	return cmd
}

// binaries is the folder of the gateway and the agent.
func binaries(t *testing.T) string {
	t.Helper()
	servers.Binary(t, "vcs-gateway")
	return filepath.Dir(servers.Binary(t, "vcs-agent"))
}

func TestReport(t *testing.T) {
	dir, bin := t.TempDir(), binaries(t)
	cmd := command(t, dir, "-bin", bin+","+bin, "-rounds", "1", "-bulk", "1", "-limit", "20ms")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	for _, want := range []string{
		`loopback, medians of 1 rounds\n`,
		`(?m)^ +callers +system +req/s +p50 ms +p99 ms +gateway +agent +both +x chain$`,
		`(?m)^ +64 +chain +\d+ +[\d.]+ +[\d.]+ +[1-9]\d* +[1-9]\d* +[1-9]\d* +1\.00$`,
		`(?m)^ +1 +quic-1 +\d+ +[\d.]+ +[\d.]+ +[1-9]\d* +[1-9]\d* +[1-9]\d* +[\d.]+$`,
		`(?m)^ +64 +tcp-2 +\d+ +[\d.]+ +[\d.]+ +[1-9]\d* +[1-9]\d* +[1-9]\d* +[\d.]+$`,
		`(?m)^ +quic-2 +[1-9]\d* +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+$`, // bulk
		`(?m)^ +tcp-1 +[1-9][\d.]+ +[1-9][\d.]+$`,                  // memory
		`(?m)^aim for quic-1 at 64 callers: at most 1\.5 times`,
		`(?m)^aim for tcp-2 at 64 callers: at most 1\.3 times`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("the report has nothing like %s", want)
		}
	}
	if t.Failed() {
		t.Logf("it is:\n%s", out)
	}
	wantEmpty(t, dir)
}

func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	cmd := command(t, dir, "-bin", binaries(t), "-rounds", "1000", "-bulk", "1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() }) // fails if it has ended, as it should
	stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	head := make([]byte, len("measuring"))
	if _, err := io.ReadFull(stderr, head); err != nil || string(head) != "measuring" {
		t.Fatalf("it began with %q (%v)", head, err)
	}
	children := childrenOf(t, cmd.Process.Pid)
	if len(children) != 7 { // origin, two proxies, twice gateway and agent
		t.Errorf("it runs %d processes", len(children))
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(stderr)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(string(rest), "bench: interrupt") {
		t.Errorf("exit code %d, want 1; it wrote:\n%s", code, rest)
	}
	for _, pid := range children {
		if _, err := os.Stat("/proc/" + pid); err == nil {
			t.Errorf("process %s was left behind", pid)
		}
	}
	wantEmpty(t, dir)
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-rounds", "-1"}, "-rounds is -1: it must be 1 or more"},
		{[]string{"-bulk", "4097"}, "-bulk is 4097: it must be from 1 to 4096 MiB"},
		{[]string{"-limit", "-1s"}, "-limit is -1s: it must be more than 0"},
		{[]string{"-quick", "now"}, `["now"] is not understood`},
		{[]string{"-fast"}, "flag provided but not defined: -fast"},
	} {
		var stderr strings.Builder
		if code := bench.Run(c.args, io.Discard, &stderr); code != 2 || !strings.Contains(stderr.String(), c.want) {
			t.Errorf("%q: exit code %d, want 2 and %q; it wrote:\n%s", c.args, code, c.want, stderr.String())
		}
	}
	var stderr strings.Builder
	if code := bench.Run([]string{"-h"}, io.Discard, &stderr); code != 0 || !strings.Contains(stderr.String(), "-quick") {
		t.Errorf("-h: exit code %d, and it wrote:\n%s", code, stderr.String())
	}
}

func TestNoBinaries(t *testing.T) {
	dir := t.TempDir()
	out, err := command(t, dir, "-bin", dir+"/none").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "none/vcs-gateway: no such file or directory") {
		t.Errorf("%v:\n%s", err, out)
	}
	wantEmpty(t, dir)
}

// wantEmpty fails the test if the benchmark left files.
func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		t.Errorf("%s was left behind", f.Name())
	}
}

func childrenOf(t *testing.T, pid int) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that has just ended has none
		}
		all = append(all, strings.Fields(string(b))...)
	}
	return all
}
