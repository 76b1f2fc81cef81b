package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"vcsagent/test/stack"
)

// TestPolicyChangesWhileRequestsRun swaps the rules under a steady flow of
// requests: none fails, the connection stays, a broken file changes nothing, and
// each file counts soon after it is written or at once on SIGHUP.
func TestPolicyChangesWhileRequestsRun(t *testing.T) {
	onBothCarriers(t, func(t *testing.T, carrier string) {
		vcs := record(nil)
		s := stack.New(t, stack.Options{VCS: vcs})
		rules := filepath.Join(t.TempDir(), "rules.yaml")
		write := func(text string) {
			t.Helper()
			// As editors and Kubernetes do: another file takes its place.
			if err := os.WriteFile(rules+".new", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(rules+".new", rules); err != nil {
				t.Fatal(err)
			}
		}
		const tags = "allow: [{name: acme.tags.list, purpose: List a project's tags., methods: [GET], path: '/api/v4/projects/{project}/repository/tags'}]\n"
		write(tags)
		agent := s.StartAgent(t, "--transport", carrier, "--rules-file", rules)

		var running, asked, failed atomic.Int64
		running.Store(1)
		var flow sync.WaitGroup
		steady := s.Request(t, "GET", "/api/v4/projects/g%2Fr/merge_requests/5")
		for range 4 {
			flow.Go(func() {
				client := &http.Client{Transport: &http.Transport{}}
				defer client.CloseIdleConnections()
				for running.Load() == 1 {
					resp, err := client.Do(steady.Clone(t.Context()))
					if err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
					if err != nil || resp.StatusCode != http.StatusOK {
						failed.Add(1)
					}
					asked.Add(1)
				}
			})
		}
		defer func() { running.Store(0); flow.Wait() }()
		status := func(path string) int { return s.Get(t, path).StatusCode }
		const path = "/api/v4/projects/g%2Fr/repository/tags"

		if got := status(path); got != http.StatusOK {
			t.Fatalf("the customer's rule: %d", got)
		}
		write("block: [{name: acme.no-tags, path: '/**/tags'}]\n" + tags)
		eventually(t, "the block counts", func() bool { return status(path) == http.StatusForbidden })
		resp := s.Get(t, path)
		if p := problemIn(t, resp); p.Reason != "blocked" || p.Nearest != "acme.no-tags" {
			t.Errorf("the block answers %+v", p)
		}

		write("block: [{name: acme.no-tags, paths: '/**/tags'}]\n" + tags)
		broken := agent.Await(t, "policy not changed: the one before stays in force")
		if text := fmt.Sprint(broken["problems"]); broken.String("level") != "error" || !strings.Contains(text, "rules.yaml, line 1") || !strings.Contains(text, "acme.no-tags") {
			t.Errorf("a broken file is told as %v", broken)
		}
		if got := status(path); got != http.StatusForbidden {
			t.Errorf("under a broken file the block is gone: %d", got)
		}
		if _, metrics := agent.Ask(t, "/metrics"); !strings.Contains(metrics, "vcs_agent_policy_last_reload_successful 0") {
			t.Error("no metric tells the broken file")
		}

		write(tags)
		if err := agent.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the file without a block counts", func() bool { return status(path) == http.StatusOK })
		before := asked.Load()
		eventually(t, "requests go on", func() bool { return asked.Load() > before+20 })
		if failed.Load() > 0 {
			t.Errorf("%d of %d requests failed while the policy changed", failed.Load(), asked.Load())
		}
		for _, l := range agent.Lines() {
			if msg := l.String("msg"); msg == "not connected to the gateway" {
				t.Errorf("the connection was dropped: %v", l)
			}
		}
	})
}

// TestOwnCredentialThroughTheWholePath: the VCS gets the agent's credential and
// nothing of the caller's, the new one soon after it was rotated, and no log or
// metric has either.
func TestOwnCredentialThroughTheWholePath(t *testing.T) {
	vcs := record(nil)
	s := stack.New(t, stack.Options{VCS: vcs})
	file := filepath.Join(t.TempDir(), "credential")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("Private-Token: glpat-agents-first\n")
	agent := s.StartAgent(t, "--vcs-credential-file", file, "--debug-print-all", "--allowed-projects", "acme/.*")
	ask := func() *http.Request {
		t.Helper()
		req := s.Request(t, "GET", "/api/v4/projects/acme%2Finfra")
		req.Header.Set("Private-Token", "glpat-callers")
		req.Header.Set("Authorization", "Bearer callers-bearer")
		req.Header.Set("Job-Token", "callers-job-token")
		if resp := s.Do(t, req); resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d", resp.StatusCode)
		}
		seen := vcs.take()
		return seen[len(seen)-1]
	}
	got := ask()
	if got.Header.Get("Private-Token") != "glpat-agents-first" || len(got.Header["Private-Token"]) != 1 || got.Header.Get("Authorization") != "" || got.Header.Get("Job-Token") != "" {
		t.Errorf("the VCS got %v", got.Header)
	}
	write("Private-Token: glpat-agents-second\n")
	eventually(t, "the rotated credential is sent", func() bool { return ask().Header.Get("Private-Token") == "glpat-agents-second" })
	write("not a header")
	agent.Await(t, "VCS credential not changed: the one before stays in use")
	if got := ask().Header.Get("Private-Token"); got != "glpat-agents-second" {
		t.Errorf("after a broken file the VCS got %q", got)
	}
	_, metrics := agent.Ask(t, "/metrics")
	for _, text := range []string{metrics, fmt.Sprint(agent.Lines()), fmt.Sprint(s.Gateway.Lines())} {
		for _, secret := range []string{"glpat-", "callers-bearer", "callers-job-token"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in a log or a metric", secret)
			}
		}
	}
}
