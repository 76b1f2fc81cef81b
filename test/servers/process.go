package servers

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

const (
	// stopTimeout is how long a process may take to end after SIGTERM before
	// it is killed.
	stopTimeout = 5 * time.Second
	// maxShownLog bounds how much of a log a failed test shows.
	maxShownLog = 64 << 10
)

// Process is a command that runs for the length of a test.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  string // file of what it wrote
	done chan struct{}
	end  syscall.Signal // what ends it when the test ends
}

// Start starts cmd in a namespace (nil: the test's own). What it writes to
// stdout and stderr is collected in [Process.Log], each of them unless cmd
// already says where it goes. When the test ends, the process gets SIGTERM and,
// if that takes longer than 5 s, it and its children are killed. They are killed
// too when the test's process dies.
func Start(t testing.TB, in *Namespace, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{name: filepath.Base(cmd.Path), cmd: cmd, done: make(chan struct{}), end: syscall.SIGTERM}
	log, err := os.Create(filepath.Join(t.TempDir(), p.name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	p.log = log.Name()
	if cmd.Stdout == nil {
		cmd.Stdout = log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = log
	}
	cmd.WaitDelay = stopTimeout
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setpgid = true // so that its children can be killed with it
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL

	started := make(chan error)
	go p.run(in, started)
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", cmd, err)
	}
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", p.name, tail(p.Log(), maxShownLog))
		}
	})
	return p
}

// run starts the command and stays until it has ended, on a thread of its own:
// the kernel counts the death of the thread that started a child as the
// parent's death. The thread is in another namespace, so it ends with run.
func (p *Process) run(in *Namespace, started chan<- error) {
	runtime.LockOSThread()
	err := in.enter()
	if err == nil {
		err = p.cmd.Start()
	}
	started <- err
	if err != nil {
		return
	}
	_ = p.cmd.Wait() // how it ended is in cmd.ProcessState
	close(p.done)
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended says whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process alone, not to its children. A process
// that has ended already is no error.
func (p *Process) Signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// ExitCode waits until the process has ended and returns its exit code, which
// is -1 if a signal ended it. It fails the test after timeout.
func (p *Process) ExitCode(t testing.TB, timeout time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(timeout):
		t.Fatalf("%s still runs after %v\n%s", p.name, timeout, tail(p.Log(), maxShownLog))
	}
	return p.cmd.ProcessState.ExitCode()
}

// Log returns what the process has written so far.
func (p *Process) Log() string { return readFile(p.log) }

func (p *Process) stop() {
	_ = p.Signal(p.end)
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
	}
	// The group lives on while one of its children does. Should it be empty,
	// its number is not reused so soon.
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL)
	<-p.done
}

// readFile returns a file's content, or what kept us from reading it: it is for
// logs, which people read.
func readFile(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
