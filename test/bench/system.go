package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// What processes say when they are ready, as parts of log lines.
const (
	servingMessage   = "serving"                  // the gateway's, and ours
	connectedMessage = "connected to the gateway" // the agent's
	servedMessage    = "served"                   // the agent's, once for each request
	addressKey       = "http"                     // of the serving line: the callers' listener
)

const pool = "bench"

// system is one way from the callers to the origin: two processes.
type system struct {
	name    string
	url     string      // what a call's path is put behind
	header  http.Header // what every call carries
	front   *process    // the callers' side: the gateway
	back    *process    // the origin's side: the agent
	logged  bool        // the back logs one line per request
	sent    int         // requests so far
	callers *http.Transport
}

// lab starts systems, and stops them all.
type lab struct {
	dir       string // for logs and data, removed at the end
	self      string // this program
	processes []*process
	origin    string // its URL
}

func newLab(ctx context.Context, bulk int64) (_ *lab, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "vcs-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, self: self}
	defer func() {
		if err != nil {
			l.stop()
		}
	}()
	_, l.origin, err = l.serving(ctx, "origin", exec.Command(self, roleOrigin, strconv.FormatInt(bulk, 10)))
	return l, err
}

// stop ends every process, the first started last, and removes all files. It
// returns the first thing that went wrong.
func (l *lab) stop() error {
	var first error
	for len(l.processes) > 0 {
		last := len(l.processes) - 1
		if err := l.processes[last].stop(); err != nil && first == nil {
			first = err
		}
		l.processes = l.processes[:last]
	}
	if err := os.RemoveAll(l.dir); err != nil && first == nil {
		first = err
	}
	return first
}

func (l *lab) start(name string, cmd *exec.Cmd) (*process, error) {
	p, err := start(l.dir, name, cmd)
	if err == nil {
		l.processes = append(l.processes, p)
	}
	return p, err
}

// serving starts a process that serves HTTP and returns its URL too.
func (l *lab) serving(ctx context.Context, name string, cmd *exec.Cmd) (*process, string, error) {
	p, err := l.start(name, cmd)
	if err != nil {
		return nil, "", err
	}
	line, err := p.await(ctx, servingMessage)
	return p, fmt.Sprint("http://", line[addressKey]), err
}

// chain starts two plain proxies.
func (l *lab) chain(ctx context.Context) (*system, error) {
	back, inner, err := l.serving(ctx, "chain-back", exec.Command(l.self, roleHop, l.origin))
	if err != nil {
		return nil, err
	}
	front, outer, err := l.serving(ctx, "chain-front", exec.Command(l.self, roleHop, inner))
	return newSystem(chainName, outer, front, back), err
}

// tunnel starts a gateway, with more flags, and an agent from the programs in bin.
func (l *lab) tunnel(ctx context.Context, name, bin, carrier string, flags ...string) (*system, error) {
	data := filepath.Join(l.dir, name)
	program := filepath.Join(bin, "vcs-gateway")
	front, url, err := l.serving(ctx, name+"-gateway", exec.Command(program, append([]string{"serve", "--data-dir", data,
		"--agent-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"}, flags...)...))
	if err != nil {
		return nil, err
	}
	token, err := output(ctx, program, "pool", "create", pool, "--data-dir", data)
	if err != nil {
		return nil, err
	}
	key, err := output(ctx, program, "key", "create", "bench", "--pool", pool, "--data-dir", data)
	if err != nil {
		return nil, err
	}
	agent := exec.Command(filepath.Join(bin, "vcs-agent"), "--target-base-endpoint", l.origin, "--vendor", "gitlab",
		"--transport", carrier, "--parallelism", strconv.Itoa(maxCallers), "--metrics-listen", "127.0.0.1:0")
	agent.Env = []string{"SPACELIFT_VCS_AGENT_POOL_TOKEN=" + token}
	back, err := l.start(name+"-agent", agent)
	if err != nil {
		return nil, err
	}
	line, err := back.await(ctx, connectedMessage)
	if err != nil {
		return nil, err
	}
	if line["carrier"] != carrier {
		return nil, fmt.Errorf("the agent was told to use %s and uses %v", carrier, line["carrier"])
	}
	s := newSystem(name, url+"/private/"+pool, front, back)
	s.header.Set("VCS-Gateway-Key", key)
	s.logged = true
	return s, nil
}

func newSystem(name, url string, front, back *process) *system {
	return &system{
		name: name, url: url, front: front, back: back,
		header:  http.Header{"Accept": {"application/json"}, "Private-Token": {"glpat-benchmark"}, "User-Agent": {"bench"}},
		callers: &http.Transport{MaxIdleConnsPerHost: 2 * maxCallers, DisableCompression: true},
	}
}

// checkLog makes sure that what was measured was also logged.
func (s *system) checkLog() error {
	if !s.logged {
		return nil
	}
	n, err := s.back.count(servedMessage)
	if err == nil && n != s.sent {
		err = fmt.Errorf("%s logged %d requests of %d", s.back.name, n, s.sent)
	}
	return err
}

// output runs a command and returns the line that it prints.
func output(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = environment()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// build builds the programs into dir as they are released.
func build(ctx context.Context, dir string) error {
	gomod, err := output(ctx, "go", "env", "GOMOD")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/", "./cmd/vcs-agent", "./cmd/vcs-gateway")
	cmd.Dir = filepath.Dir(gomod)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}
