package main_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"vcsagent/agent"
	"vcsagent/cmd/internal/cli"
	vcsagent "vcsagent/cmd/vcs-agent"
)

// TestMain makes two programs of the test binary: vcs-agent itself, and
// fake-agent, the same command around an agent that does what FAKE says.
func TestMain(m *testing.M) {
	os.Setenv("GORACE", noRaceSleep)
	testscript.Main(m, map[string]func(){
		"vcs-agent":  vcsagent.Main,
		"fake-agent": func() { os.Exit(cli.Main(vcsagent.NewCommand(fakeAgent), os.Args[1:])) },
	})
}

// fakeAgent ends as FAKE says; without it, it prints the configuration it got.
func fakeAgent(ctx context.Context, cfg agent.Config) error {
	switch os.Getenv("FAKE") {
	case "fail": // as a library might, quoting what it was given
		return &url.Error{Op: "Get", URL: "https://u:pw@gitlab.example.com/api?private_token=glpat", Err: fmt.Errorf("proxy and token %s refused", cfg.Token.Reveal())}
	case "panic":
		panic("lost it over " + cfg.Token.Reveal())
	case "report": // what happens in one request ends that request alone
		cfg.Report(errors.New("a request panicked"))
		return nil
	case "flood":
		for range 40 {
			cfg.Report(errors.New("a request panicked again"))
		}
		fmt.Println("running")
		return nil
	case "quote": // after a change, as a library might
		fmt.Println("running")
		<-cfg.PolicyChanges
		b, err := os.ReadFile(os.Getenv("QUOTE"))
		return errors.Join(err, errors.New("refused: "+string(b)))
	case "setting":
		return fmt.Errorf("listen: %w", &agent.SettingError{Setting: "metrics-listen", Value: cfg.MetricsListen, Problem: "the port is taken"})
	case "drain":
		fmt.Println("running")
		<-ctx.Done()
		fmt.Println("draining")
		return nil
	case "stuck":
		fmt.Println("running")
		<-ctx.Done()
		fmt.Println("draining")
		select {}
	}
	cfg.Logger.Debug("a debug line")
	cfg.Logger.Info("an info line")
	fmt.Printf("target=%s token=%s secret=%d vendor=%s projects=%s groups=%q parallelism=%d transport=%s\n",
		cfg.TargetBaseEndpoint, cfg.Token, len(cfg.Token.Reveal()), cfg.Policy.Vendor, cfg.Policy.Projects, cfg.Policy.Groups, cfg.Parallelism, cfg.Transport)
	fmt.Printf("rules=%t observe=%t own_credential=%t credential=%s\n", cfg.Policy.Rules != nil, cfg.Policy.Observe, cfg.Policy.Credential, cfg.Credential)
	fmt.Printf("print_all=%t transport_debug=%t ca=%d ca_file=%s gateway_ca_file=%s identity=%t metrics=%s vcs_timeout=%s grace=%s metadata=%q version=%s\n",
		cfg.DebugPrintAll, cfg.TransportLogger != nil, len(cfg.CACert), cfg.CACertFile, cfg.GatewayCAFile, cfg.DisableResponseCompression,
		cfg.MetricsListen, cfg.VCSTimeout, cfg.ShutdownGracePeriod, cfg.Metadata, cfg.Version)
	return nil
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		Setup:              setup,
		Cmds:               map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "verdicts": verdicts},
		RequireUniqueNames: true,
	})
}

// noRaceSleep keeps the race detector from holding each process for a second at
// its end.
const noRaceSleep = "atexit_sleep_ms=0"

func setup(e *testscript.Env) error {
	e.Setenv("TOKEN", token)
	e.Setenv("GORACE", noRaceSleep)
	return nil
}

// exits runs a program and wants an exit code: exits CODE PROGRAM [ARGS...].
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if err != nil || neg {
		ts.Fatalf("usage: exits CODE PROGRAM [ARGS...]")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// verdicts compares the JSON lines on standard output with a file, one line
// each: what is always there, "-" for "", the error and the id. verdicts FILE.
func verdicts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: verdicts FILE")
	}
	var got strings.Builder
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		var v struct {
			Verdict, Rule, Group, Project, Reason *string
			Error                                 string
			ID                                    json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Verdict == nil || v.Rule == nil || v.Group == nil || v.Project == nil || v.Reason == nil {
			ts.Fatalf("%v: not all there is in %s", err, line)
		}
		fmt.Fprint(&got, *v.Verdict, " ", cmp.Or(*v.Rule, "-"), " ", cmp.Or(*v.Group, "-"), " ", cmp.Or(*v.Project, "-"), " ", cmp.Or(*v.Reason, "-"))
		if v.Error != "" {
			fmt.Fprint(&got, ": ", v.Error)
		}
		if v.ID != nil {
			fmt.Fprintf(&got, " id=%s", v.ID)
		}
		got.WriteString("\n")
	}
	if want := ts.ReadFile(args[0]); got.String() != want {
		ts.Fatalf("got\n%s\nwant\n%s", got.String(), want)
	}
}

// token is a pool's token with the key "s3cret-key".
const token = "eyJob3N0IjoiMTI3LjAuMC4xOjEiLCJwb29sX3VsaWQiOiIwMUowMDAwMDAwMDAwMDAwMDAwMDAwMDAwUCIsImtleSI6InMzY3JldC1rZXkifQ=="
