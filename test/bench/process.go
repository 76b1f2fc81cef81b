package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	startTimeout = 20 * time.Second     // for a process to say what it must
	stopTimeout  = 5 * time.Second      // from SIGTERM to SIGKILL
	awaitPeriod  = 5 * time.Millisecond // between looks at a process's log
	shownLog     = 2 << 10              // bytes of a log's end in an error
	cpuClock     = 2                    // CPUCLOCK_SCHED of the kernel's posix-timers.h
)

// process is one that the benchmark has started.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string        // file of all that it writes
	done chan struct{} // closed when it has ended
}

// start starts a program that writes to a file NAME.log in dir. It ends with
// [process.stop], or when this process dies.
func start(dir, name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(environment(), cmd.Env...)
	// Of a group of its own, so that Ctrl-C reaches this process alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go p.wait()
	return p, nil
}

// environment is this process's own, less settings of the programs, which would
// change what is measured.
func environment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "SPACELIFT_") && !strings.HasPrefix(v, "VCS_GATEWAY_") {
			env = append(env, v)
		}
	}
	return env
}

func (p *process) wait() {
	p.cmd.Wait() // how it ended is in cmd.ProcessState
	close(p.done)
}

// await returns the first line of the log with msg, waiting for it to be written.
func (p *process) await(ctx context.Context, msg string) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(awaitPeriod)
	defer tick.Stop()
	for {
		line, err := p.find(msg)
		if line != nil || err != nil {
			return line, err
		}
		select {
		case <-tick.C:
		case <-p.done:
			return nil, fmt.Errorf("%s has ended (%s); its log ends with:\n%s", p.name, p.cmd.ProcessState, p.tail())
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s to say %q: %w; its log ends with:\n%s", p.name, msg, ctx.Err(), p.tail())
		}
	}
}

func (p *process) find(msg string) (map[string]any, error) {
	var found map[string]any
	err := p.lines(func(line []byte) bool {
		var record map[string]any
		if json.Unmarshal(line, &record) == nil && record["msg"] == msg {
			found = record
		}
		return found == nil
	})
	return found, err
}

// count returns how many lines of the log have msg.
func (p *process) count(msg string) (int, error) {
	n, has := 0, []byte(`"msg":"`+msg+`"`)
	err := p.lines(func(line []byte) bool {
		if bytes.Contains(line, has) {
			n++
		}
		return true
	})
	return n, err
}

// lines gives each whole line of the log to yield until that returns false.
func (p *process) lines(yield func([]byte) bool) error {
	f, err := os.Open(p.log)
	if err != nil {
		return err
	}
	defer f.Close()
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		if err != nil || !yield(line) {
			return nil // at the end, or in a line that is still being written
		}
	}
}

func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-shownLog):])
}

// stop ends the process: SIGTERM, and SIGKILL if that isn't enough. It reports
// one that had ended before, or badly.
func (p *process) stop() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s had ended before it was told to (%s); its log ends with:\n%s", p.name, p.cmd.ProcessState, p.tail())
	default:
	}
	p.cmd.Process.Signal(syscall.SIGTERM) // fails only if it has just ended
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		p.cmd.Process.Kill()
		<-p.done
		return fmt.Errorf("%s was killed: it still ran %s after SIGTERM", p.name, stopTimeout)
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("%s ended badly (%s); its log ends with:\n%s", p.name, p.cmd.ProcessState, p.tail())
	}
	return nil
}

// cpu is the CPU time that the process has used so far, in user and kernel, its
// ended threads included. The kernel counts it in nanoseconds; /proc would tell
// it in steps of 10 ms.
func (p *process) cpu() (time.Duration, error) {
	// The clock of another process, as clock_getcpuclockid(3) makes it.
	clock := int32(^p.cmd.Process.Pid)<<3 | cpuClock
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("read the CPU time of %s: %w", p.name, err)
	}
	return time.Duration(t.Nano()), nil
}

// peakMemory is the most that the process had resident so far, in bytes.
func (p *process) peakMemory() (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("read the memory of %s: %w", p.name, err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("read the memory of " + p.name + ": the kernel tells no VmHWM")
}
