// Command demo shows the whole path on one machine: it starts a gateway, makes a
// pool, starts a sample VCS (or uses the one that TARGET names) and an agent, and
// sends real requests. Everything it makes is in a temporary folder.
//
//	make demo                                      until Ctrl-C
//	make demo ONCE=1                               exits after the calls
//	make demo TARGET=https://gitlab.example VENDOR=gitlab
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"vcsagent/test/samplevcs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

const (
	pool = "demo"
	// startTimeout bounds the start of each part.
	startTimeout = 20 * time.Second
)

// demo is what is running, and the environment that the shown commands run in.
type demo struct {
	dir string
	bin string
	env []string
}

func run(ctx context.Context) error {
	bin, err := filepath.Abs("bin")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "vcs-agent-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := &demo{dir: dir, bin: bin, env: append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "NO_PROXY=127.0.0.1", "GIT_TERMINAL_PROMPT=0")}

	title("A gateway, with its data in a temporary folder")
	gateway, err := d.start("vcs-gateway", nil, "serve", "--data-dir", filepath.Join(dir, "gateway"),
		"--agent-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer gateway.stop()
	up, err := gateway.await(ctx, "serving")
	if err != nil {
		return err
	}
	fmt.Printf("agents %s, callers %s, admin %s\n", up["agents"], up["http"], up["admin"])
	d.set("VCS_GATEWAY_DATA_DIR", filepath.Join(dir, "gateway"))
	d.set("GATEWAY", up["http"])

	title("A pool and a caller's key")
	if err := d.capture(ctx, "TOKEN", `vcs-gateway pool create `+pool+` --description "the demo's VCS"`); err != nil {
		return err
	}
	if err := d.capture(ctx, "KEY", `vcs-gateway key create backend --pool `+pool); err != nil {
		return err
	}

	target, vendor := os.Getenv("TARGET"), os.Getenv("VENDOR")
	sample := target == ""
	if sample {
		title("A sample VCS: a bare repository behind git http-backend, and a GitLab-shaped API")
		stop, url, err := serveSample(dir)
		if err != nil {
			return err
		}
		defer stop()
		target, vendor = url, "gitlab"
		d.set("VCS_TOKEN", samplevcs.Token)
		fmt.Println(target)
	}

	title("An agent beside it, with the pool's token")
	agent, err := d.start("vcs-agent", []string{"SPACELIFT_VCS_AGENT_POOL_TOKEN=" + d.get("TOKEN"), "SPACELIFT_METADATA_host=demo"},
		"--target-base-endpoint", target, "--vendor", vendor, "--metrics-listen", "127.0.0.1:0",
		"--allow-groups", "read,archive,status,comment,app,git")
	if err != nil {
		return err
	}
	defer agent.stop()
	health, err := agent.await(ctx, "serving metrics and health")
	if err != nil {
		return err
	}
	connected, err := agent.await(ctx, "connected to the gateway")
	if err != nil {
		return err
	}
	d.set("AGENT_METRICS", health["address"])
	fmt.Printf("connected over %s (%s)\n", connected["carrier"], connected["why"])

	if sample {
		err = d.calls(ctx)
	} else {
		err = d.callsTo(ctx, vendor)
	}
	if err != nil {
		return err
	}

	title("What the agent logged: what each call was for")
	if err := agent.printCalls(); err != nil {
		return err
	}
	title("What its metrics counted")
	if err := d.show(ctx, `curl -s $AGENT_METRICS/metrics | grep -E '^vcs_agent_(requests|denied|stream_requests)_total|^vcs_agent_connected'`); err != nil {
		return err
	}
	title("Try it yourself")
	fmt.Printf("export GATEWAY=%s KEY=%s VCS_TOKEN=%s\n", d.get("GATEWAY"), d.get("KEY"), d.get("VCS_TOKEN"))
	fmt.Printf("callers        http://%s/private/%s/   (or http://%s.private/ with that as the proxy)\n", d.get("GATEWAY"), pool, pool)
	fmt.Printf("admin API      http://%s/api/v1/pools\n", up["admin"])
	fmt.Printf("agent metrics  http://%s/metrics\n", d.get("AGENT_METRICS"))
	fmt.Printf("gateway metrics http://%s/metrics\n", up["metrics"])
	fmt.Printf("logs           %s, %s\n", gateway.log, agent.log)
	if os.Getenv("ONCE") != "" {
		return nil
	}
	fmt.Printf("\nThe pages: http://%s, with the key in %s\nRunning until Ctrl-C.\n", up["admin"], filepath.Join(dir, "gateway", "admin-key"))
	select {
	case <-ctx.Done():
		return nil
	case <-gateway.ended:
		return errors.New("the gateway ended by itself")
	case <-agent.ended:
		return errors.New("the agent ended by itself")
	}
}

// calls shows the sample VCS called through the gateway, and fails if an answer
// isn't the expected one.
func (d *demo) calls(ctx context.Context) error {
	for _, c := range []struct{ title, command string }{
		{"An allowed call is answered", `curl -sS --fail -H "VCS-Gateway-Key: $KEY" -H "Private-Token: $VCS_TOKEN" http://$GATEWAY/private/demo/api/v4/projects/platform%2Finfra; echo`},
		{"A call that no rule names is refused, with the reason", `curl -sS -w '%{stderr}%{http_code}\n' -H "VCS-Gateway-Key: $KEY" -H "Private-Token: $VCS_TOKEN" http://$GATEWAY/private/demo/api/v4/projects/platform%2Finfra/hooks | grep no_rule`},
		{"So is one that hides where it goes", `curl -sS --path-as-is -H "VCS-Gateway-Key: $KEY" -H "Private-Token: $VCS_TOKEN" http://$GATEWAY/private/demo/api/v4/projects/platform%2Finfra/%2e%2e/%2e%2e/admin | grep ambiguous_path`},
		{"An archive is streamed", `curl -sS --fail -H "VCS-Gateway-Key: $KEY" -H "Private-Token: $VCS_TOKEN" http://$GATEWAY/private/demo/api/v4/projects/platform%2Finfra/repository/archive.tar.gz | tar tz | sed -n 1,5p`},
		{"A repository is cloned, with the gateway as git's proxy", `git -c http.proxy=http://backend:$KEY@$GATEWAY clone -q http://git:$VCS_TOKEN@demo.private/platform/infra.git $DEMO_DIR/clone && git -C $DEMO_DIR/clone log --oneline`},
		{"A push is refused", `! git -C $DEMO_DIR/clone -c http.proxy=http://backend:$KEY@$GATEWAY push -q origin HEAD:refs/heads/pushed 2>&1`},
	} {
		title(c.title)
		d.set("DEMO_DIR", d.dir)
		if err := d.show(ctx, c.command); err != nil {
			return err
		}
	}
	return nil
}

// callsTo shows what can be shown of any VCS: one call that is allowed and one
// that isn't. VCS_TOKEN, if set, is sent as the credential.
func (d *demo) callsTo(ctx context.Context, vendor string) error {
	allowed := map[string]string{
		"gitlab": "/api/v4/projects", "github_enterprise": "/api/v3/app", "bitbucket_datacenter": "/rest/api/latest/repos",
	}[vendor]
	credential := `-H "Authorization: Bearer $VCS_TOKEN"`
	if os.Getenv("VCS_TOKEN") == "" {
		credential = ""
	}
	title("An allowed call is passed on")
	if err := d.show(ctx, `curl -sS -i -H "VCS-Gateway-Key: $KEY" `+credential+` http://$GATEWAY/private/demo`+allowed+` | head -c 2000; echo`); err != nil {
		return err
	}
	title("A call that no rule names is refused, with the reason")
	return d.show(ctx, `curl -sS -H "VCS-Gateway-Key: $KEY" http://$GATEWAY/private/demo/admin`)
}

func title(s string) { fmt.Printf("\n\x1b[1m== %s\x1b[0m\n", s) }

func (d *demo) set(name, value string) { d.env = append(d.env, name+"="+value) }

func (d *demo) get(name string) string {
	value := ""
	for _, e := range d.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// show prints a command and runs it; its exit code counts.
func (d *demo) show(ctx context.Context, command string) error {
	fmt.Println("$ " + command)
	cmd := d.shell(ctx, command)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	return nil
}

// capture runs a command and keeps what it prints in a variable.
func (d *demo) capture(ctx context.Context, name, command string) error {
	fmt.Printf("$ %s=$(%s)\n", name, command)
	cmd := d.shell(ctx, command)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	d.set(name, strings.TrimSpace(string(out)))
	return nil
}

func (d *demo) shell(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", command)
	cmd.Env = d.env
	return cmd
}

func serveSample(dir string) (stop func(), url string, err error) {
	vcs, err := samplevcs.New(filepath.Join(dir, "vcs"))
	if err != nil {
		return nil, "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	srv := &http.Server{Handler: vcs}
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(l)
	}()
	return func() { srv.Close(); <-done }, "http://" + l.Addr().String(), nil
}

// process is one of the two programs, logging to a file.
type process struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

func (d *demo) start(program string, env []string, args ...string) (*process, error) {
	p := &process{log: filepath.Join(d.dir, program+".log"), ended: make(chan struct{})}
	f, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p.cmd = exec.Command(filepath.Join(d.bin, program), args...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = append(d.env, env...), f, f
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demo, which ends them in order
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s (make build makes it): %w", program, err)
	}
	go func() {
		defer close(p.ended)
		p.cmd.Wait()
	}()
	return p, nil
}

func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(startTimeout):
		p.cmd.Process.Kill()
		<-p.ended
	}
}

// await waits for a log line with the message and returns its text fields.
func (p *process) await(ctx context.Context, msg string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		found, err := p.find(msg)
		if found != nil || err != nil {
			return found, err
		}
		select {
		case <-tick.C:
		case <-p.ended:
			return nil, p.gaveUp("it ended")
		case <-ctx.Done():
			return nil, p.gaveUp(fmt.Sprintf("no %q within %s", msg, startTimeout))
		}
	}
}

func (p *process) gaveUp(why string) error {
	log, _ := os.ReadFile(p.log)
	return fmt.Errorf("%s: %s; it logged:\n%s", filepath.Base(p.cmd.Path), why, log)
}

func (p *process) find(msg string) (map[string]string, error) {
	var found map[string]string
	err := p.lines(func(raw string, fields map[string]any) {
		if fields["msg"] != msg {
			return
		}
		found = map[string]string{}
		for k, v := range fields {
			if s, ok := v.(string); ok {
				found[k] = s
			}
		}
	})
	return found, err
}

// printCalls prints the lines of the log that are about calls.
func (p *process) printCalls() error {
	return p.lines(func(raw string, fields map[string]any) {
		if _, ok := fields["raw_path"]; ok {
			fmt.Println(raw)
		}
	})
}

func (p *process) lines(f func(raw string, fields map[string]any)) error {
	file, err := os.Open(p.log)
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReader(file)
	for {
		raw, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return nil // an unfinished line is for the next time
		}
		if err != nil {
			return err
		}
		var fields map[string]any
		if json.Unmarshal([]byte(raw), &fields) == nil {
			f(strings.TrimSuffix(raw, "\n"), fields)
		}
	}
}
