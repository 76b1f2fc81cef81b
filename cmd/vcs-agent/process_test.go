package main_test

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a program that runs beside the test, with its standard output.
type process struct {
	*exec.Cmd
	lines  *bufio.Scanner
	seen   strings.Builder // lines that were read
	stderr *bytes.Buffer
}

// start runs a program of TestMain's with a valid configuration and env. It's
// killed when the test ends.
func start(t *testing.T, env []string, program string, args ...string) *process {
	t.Helper()
	const longest = time.Minute // a process that hangs fails its test alone
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	p := &process{Cmd: exec.CommandContext(ctx, program, args...), stderr: new(bytes.Buffer)}
	p.Env = append(os.Environ(), "SPACELIFT_VCS_AGENT_POOL_TOKEN="+token,
		"SPACELIFT_VCS_AGENT_TARGET_BASE_ENDPOINT=http://127.0.0.1:1", "SPACELIFT_VCS_AGENT_VENDOR=gitlab", "SPACELIFT_VCS_AGENT_METRICS_LISTEN=127.0.0.1:0")
	p.Env = append(p.Env, env...)
	p.Stderr = p.stderr
	stdout, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.lines = bufio.NewScanner(stdout)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = p.Wait() // fails where the test has waited already
	})
	return p
}

// until reads lines of standard output up to one that holds text, and returns
// that.
func (p *process) until(t *testing.T, text string) string {
	t.Helper()
	for p.next() {
		if strings.Contains(p.lines.Text(), text) {
			return p.lines.Text()
		}
	}
	t.Fatalf("no line with %q; stderr:\n%s", text, p.stderr)
	return ""
}

func (p *process) next() bool {
	if !p.lines.Scan() {
		return false
	}
	p.seen.WriteString(p.lines.Text() + "\n")
	return true
}

func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// exit waits for the end and returns the exit code, -1 if a signal's default
// effect was the end.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	for p.next() {
	}
	if err := p.Wait(); err != nil && p.ProcessState == nil {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode()
}

func TestSignals(t *testing.T) {
	for _, tc := range []struct {
		name    string
		fake    string
		signals []syscall.Signal
		exit    int
	}{
		{"SIGTERM drains", "drain", []syscall.Signal{syscall.SIGTERM}, 0},
		{"SIGINT drains", "drain", []syscall.Signal{syscall.SIGINT}, 0},
		{"a second SIGTERM ends at once", "stuck", []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}, 143},
		{"a second SIGINT ends at once", "stuck", []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, 130},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := start(t, []string{"FAKE=" + tc.fake}, "fake-agent")
			for i, sig := range tc.signals {
				p.until(t, []string{"running", "draining"}[i])
				p.signal(t, sig)
			}
			if got := p.exit(t); got != tc.exit {
				t.Errorf("exit code %d, want %d; stderr:\n%s", got, tc.exit, p.stderr)
			}
		})
	}
}

func TestAgentStartsAndDrains(t *testing.T) {
	p := start(t, nil, "vcs-agent")
	p.until(t, `"msg":"starting"`)
	p.signal(t, syscall.SIGTERM)
	if got := p.exit(t); got != 0 {
		t.Errorf("exit code %d; stderr:\n%s", got, p.stderr)
	}
}

func TestTakenPortIsToldAsASetting(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	p := start(t, nil, "vcs-agent", "--metrics-listen", addr)
	code := p.exit(t)
	if want := `vcs-agent: --metrics-listen is "` + addr + `": `; code != 2 || !strings.HasPrefix(p.stderr.String(), want) || !strings.Contains(p.stderr.String(), "in use") {
		t.Errorf("exit code %d, stderr %q, want %q", code, p.stderr, want)
	}
}
