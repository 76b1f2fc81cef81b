package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func rewrite(t *testing.T, path, text string) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// The agent itself, as it runs: on SIGHUP, and when a file changes.
func TestTheRunningAgentChangesItsPolicy(t *testing.T) {
	dir := t.TempDir()
	rules, credential := filepath.Join(dir, "rules.yaml"), filepath.Join(dir, "credential")
	rewrite(t, rules, noRules)
	rewrite(t, credential, "Private-Token: hidden-1")
	p := start(t, nil, "vcs-agent", "--rules-file", rules, "--vcs-credential-file", credential)
	p.until(t, `"msg":"starting"`)

	rewrite(t, rules, someRules)
	p.signal(t, syscall.SIGHUP)
	p.until(t, `"msg":"policy changed"`)
	p.signal(t, syscall.SIGHUP)
	p.until(t, `"msg":"policy unchanged"`)

	rewrite(t, rules, "block:\n  - {name: acme.none}\n")
	p.signal(t, syscall.SIGHUP)
	if line := p.until(t, `"msg":"policy not changed`); !strings.Contains(line, `rules.yaml, line 2: block \"acme.none\"`) || !strings.Contains(line, `"level":"error"`) {
		t.Errorf("logged %s", line)
	}

	rewrite(t, rules, noRules) // and no signal
	p.until(t, `"msg":"policy changed"`)
	rewrite(t, credential, "Private-Token: hidden-2")
	p.until(t, `"msg":"VCS credential changed"`)

	p.signal(t, syscall.SIGTERM)
	if got := p.exit(t); got != 0 {
		t.Errorf("exit code %d; stderr:\n%s", got, p.stderr)
	}
	if all := p.seen.String() + p.stderr.String(); strings.Contains(all, "hidden") {
		t.Errorf("the credential was printed:\n%s", all)
	}
}

// The token comes from a pipe, so that the agent is known to be starting.
func TestAHangupDuringTheStartWaits(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "token")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, []string{"SPACELIFT_VCS_AGENT_POOL_TOKEN="}, "vcs-agent", "--token-file", pipe)
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0) // returns when the agent reads
	if err != nil {
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGHUP)
	if _, err := w.WriteString(token); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p.until(t, `"msg":"policy unchanged"`)
	p.signal(t, syscall.SIGTERM)
	if got := p.exit(t); got != 0 {
		t.Errorf("exit code %d; stderr:\n%s", got, p.stderr)
	}
}

func TestAHangupWhileDrainingIsNothing(t *testing.T) {
	p := start(t, []string{"FAKE=stuck"}, "fake-agent")
	p.until(t, "running")
	p.signal(t, syscall.SIGTERM)
	p.until(t, "draining")
	p.signal(t, syscall.SIGHUP)
	p.signal(t, syscall.SIGTERM)
	if got := p.exit(t); got != 143 {
		t.Errorf("exit code %d, want 143; stderr:\n%s", got, p.stderr)
	}
}

// An error that quotes a credential which came by rotation tells it no more than
// one that quotes the first.
func TestARotatedCredentialIsScrubbed(t *testing.T) {
	credential := filepath.Join(t.TempDir(), "credential")
	rewrite(t, credential, "Private-Token: hidden-1")
	p := start(t, []string{"FAKE=quote", "QUOTE=" + credential}, "fake-agent", "--vcs-credential-file", credential)
	p.until(t, "running")
	rewrite(t, credential, "Private-Token: hidden-2")
	p.signal(t, syscall.SIGHUP)
	code := p.exit(t)
	if got := p.stderr.String(); code != 1 || !strings.Contains(got, "refused: [masked]") || strings.Contains(got, "hidden") {
		t.Errorf("exit code %d, stderr %q", code, got)
	}
}
