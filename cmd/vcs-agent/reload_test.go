package main_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spf13/cobra"

	"vcsagent/agent"
	"vcsagent/allow"
	vcsagent "vcsagent/cmd/vcs-agent"
)

// bench is a reloader in a bubble of its own time, with the files it watches.
type bench struct {
	t       *testing.T
	dir     string
	changes <-chan agent.PolicyChange
	hangups chan os.Signal
	log     *bytes.Buffer // read after rest
}

// watching runs test with a reloader for args, in which DIR is the files' folder.
func watching(t *testing.T, files map[string]string, args string, test func(*bench)) {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), log: new(bytes.Buffer)}
	for name, text := range files {
		b.write(name, text)
	}
	t.Setenv("SPACELIFT_VCS_AGENT_POOL_TOKEN", token)
	synctest.Test(t, func(t *testing.T) {
		cmd := new(cobra.Command)
		cmd.SetOut(b.log)
		all := append([]string{"--target-base-endpoint=http://h"}, strings.Fields(strings.ReplaceAll(args, "DIR", b.dir))...)
		watch, changes, err := vcsagent.Reloader(cmd, all)
		if err != nil {
			t.Fatal(err)
		}
		b.t, b.changes, b.hangups = t, changes, make(chan os.Signal, 1)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); watch(ctx, b.hangups) }()
		defer func() { cancel(); <-ended }() // when the test fails too, or the bubble's time would go on for ever
		test(b)
	})
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

func (b *bench) write(name, text string) {
	b.t.Helper()
	if err := os.WriteFile(b.path(name), []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) remove(name string) {
	b.t.Helper()
	if err := os.Remove(b.path(name)); err != nil {
		b.t.Fatal(err)
	}
}

// rest lets time go by and then everything come to rest.
func (b *bench) rest(d time.Duration) { time.Sleep(d); synctest.Wait() }

// change returns the change that has come, or fails.
func (b *bench) change() agent.PolicyChange {
	b.t.Helper()
	select {
	case c := <-b.changes:
		synctest.Wait()
		return c
	default:
		b.t.Fatalf("no change came; log:\n%s", b.log)
		return agent.PolicyChange{}
	}
}

func (b *bench) noChange() {
	b.t.Helper()
	select {
	case c := <-b.changes:
		b.t.Fatalf("a change came: %+v", c)
	default:
	}
}

// settled is how long it takes at most until a change that stands still counts.
const settled = vcsagent.LookInterval + vcsagent.SettleInterval

const (
	noRules   = "{}\n"
	someRules = "block:\n  - {name: acme.none, path: /api/v4/user}\n"
)

// blocked tells whether a change's policy has the block of someRules.
func blocked(t *testing.T, c agent.PolicyChange) bool {
	t.Helper()
	if c.Err != nil {
		t.Fatal(c.Err)
	}
	p, err := allow.New(c.Options)
	if err != nil {
		t.Fatal(err)
	}
	return p.Check("GET", "/api/v4/user").Reason == allow.Blocked
}

func TestAChangedRulesFileCountsOnceItStandsStill(t *testing.T) {
	watching(t, map[string]string{"rules.yaml": noRules}, "--vendor=gitlab --rules-file=DIR/rules.yaml", func(b *bench) {
		b.rest(10 * vcsagent.LookInterval)
		b.noChange()

		b.write("rules.yaml", someRules)
		b.rest(settled)
		if !blocked(t, b.change()) {
			t.Error("the block doesn't count")
		}
		b.rest(10 * vcsagent.LookInterval)
		b.noChange()

		// A file that is half written at each of two looks.
		b.write("rules.yaml", "block:\n")
		b.rest(vcsagent.LookInterval)
		b.write("rules.yaml", someRules+"# more")
		b.rest(vcsagent.SettleInterval)
		b.noChange()
		b.rest(settled)
		if !blocked(t, b.change()) {
			t.Error("the block is gone")
		}
	})
}

func TestAFileThatIsGoneForAMomentIsNotMissed(t *testing.T) {
	watching(t, map[string]string{"rules.yaml": someRules}, "--vendor=gitlab --rules-file=DIR/rules.yaml", func(b *bench) {
		b.remove("rules.yaml")
		b.rest(vcsagent.LookInterval)
		b.write("rules.yaml", someRules)
		b.rest(10 * vcsagent.LookInterval)
		b.noChange()

		// Empty for good is as bad as gone: what was blocked stays blocked.
		for _, text := range []string{"", " \n"} {
			b.write("rules.yaml", text)
			b.rest(settled)
			if c := b.change(); c.Err == nil || !strings.Contains(c.Err.Error(), "the file is empty") || !strings.Contains(c.Err.Error(), "(from the command line)") {
				t.Errorf("%q: %v", text, c.Err)
			}
		}

		b.remove("rules.yaml")
		b.rest(settled)
		if c := b.change(); c.Err == nil || !strings.Contains(c.Err.Error(), "the file cannot be read") {
			t.Errorf("gone: %v", c.Err)
		}
		b.rest(10 * vcsagent.LookInterval)
		b.noChange() // told once

		b.write("rules.yaml", someRules)
		b.rest(settled)
		if !blocked(t, b.change()) {
			t.Error("back, but not the same")
		}
	})
}

// A ConfigMap's files are links to a folder of which there is always a whole one.
func TestAFileBehindLinksIsFollowed(t *testing.T) {
	dir := t.TempDir()
	volume := func(name, text string) string {
		folder := filepath.Join(dir, name)
		if err := errors.Join(os.Mkdir(folder, 0o700), os.WriteFile(filepath.Join(folder, "rules.yaml"), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		return folder
	}
	point := func(to string) {
		next := filepath.Join(dir, "next")
		if err := errors.Join(os.Symlink(to, next), os.Rename(next, filepath.Join(dir, "data"))); err != nil {
			t.Fatal(err)
		}
	}
	point(volume("1", noRules))
	if err := os.Symlink(filepath.Join("data", "rules.yaml"), filepath.Join(dir, "rules.yaml")); err != nil {
		t.Fatal(err)
	}
	watching(t, nil, "--vendor=gitlab --rules-file="+filepath.Join(dir, "rules.yaml"), func(b *bench) {
		point(volume("2", someRules))
		b.rest(settled)
		if !blocked(t, b.change()) {
			t.Error("the block doesn't count")
		}
	})
}

func TestAHangupReadsAtOnceWhateverTheFilesAre(t *testing.T) {
	watching(t, map[string]string{"rules.yaml": noRules}, "--vendor=gitlab --rules-file=DIR/rules.yaml", func(b *bench) {
		for _, tc := range []struct {
			text string
			err  string
		}{
			{someRules, ""},
			{someRules, ""},
			{"block: [{name: acme.none}]", `rules.yaml, line 1: block "acme.none"`},
			{noRules, ""},
		} {
			b.write("rules.yaml", tc.text)
			b.hangups <- syscall.SIGHUP
			b.rest(0)
			c := b.change()
			if tc.err == "" {
				if got, want := blocked(t, c), tc.text == someRules; got != want {
					t.Errorf("%q: blocked is %t", tc.text, got)
				}
			} else if c.Err == nil || !strings.Contains(c.Err.Error(), tc.err) {
				t.Errorf("%q: %v", tc.text, c.Err)
			}
		}
		b.rest(10 * vcsagent.LookInterval)
		b.noChange() // what a hangup has read isn't read again
	})
}

func TestTheConfigFileIsReadAgain(t *testing.T) {
	const base = "vendor: gitlab\nparallelism: 3\nallowed-projects: acme/.*\n"
	watching(t, map[string]string{"agent.yaml": base, "rules.yaml": noRules}, "--config=DIR/agent.yaml --allow-groups=read,git", func(b *bench) {
		step := func(text string) agent.PolicyChange {
			b.write("agent.yaml", text)
			b.rest(settled)
			return b.change()
		}
		// The command line still wins over the file.
		c := step("vendor: gitlab\nparallelism: 9\nallowed-projects: other/.*\nallow-groups: [status]\npolicy: observe\nrules:\n  block: [{name: acme.none, path: /api/v4/user}]\n")
		if !blocked(t, c) || c.Options.Projects != "other/.*" || !c.Options.Observe || strings.Join(c.Options.Groups, ",") != "read,git" || c.Options.Credential {
			t.Errorf("got %+v", c.Options)
		}
		if got := b.log.String(); strings.Count(got, `"settings":["parallelism"]`) != 1 {
			t.Errorf("which settings need a restart isn't told once:\n%s", got)
		}

		// Everything that is wrong, with its place.
		c = step("vendor: gitlab\nallowed-projects: (\npolicy: off\nrules:\n  block: [{}]\n")
		for _, want := range []string{"--allowed-projects is \"(\"", "(from agent.yaml, line 2)", "--policy is \"off\"", "agent.yaml, line 5: block"} {
			if c.Err == nil || !strings.Contains(c.Err.Error(), want) {
				t.Errorf("no %s in %v", want, c.Err)
			}
		}
		c = step("vendor: gitlab\nallowed-project: x\n")
		if c.Err == nil || !strings.Contains(c.Err.Error(), "agent.yaml, line 2: allowed-project is not a setting") {
			t.Errorf("got %v", c.Err)
		}

		// It may name another file of rules, which is then watched in turn.
		c = step(base + "rules-file: " + b.path("rules.yaml") + "\n")
		if blocked(t, c) {
			t.Error("the inline rules still count")
		}
		b.write("rules.yaml", someRules)
		b.rest(settled)
		if !blocked(t, b.change()) {
			t.Error("the new file isn't watched")
		}
		if got := b.log.String(); strings.Count(got, "count only after a restart") != 1 {
			t.Errorf("told too often:\n%s", got)
		}
	})
}

func TestTheCredentialIsReadAgain(t *testing.T) {
	const args = "--vendor=gitlab --vcs-credential-file=DIR/credential --rules-file=DIR/rules.yaml"
	watching(t, map[string]string{"credential": "Private-Token: hidden-1\n", "rules.yaml": noRules}, args, func(b *bench) {
		for _, tc := range []struct{ text, log string }{
			{"Private-Token: hidden-2\n", `"msg":"VCS credential changed","setting":"vcs-credential-file"`},
			{"Private-Token: hidden-2", ""}, // the same to the VCS
			{"hidden-3 and nothing else", `"level":"error","msg":"VCS credential not changed: the one before stays in use","problem":"--vcs-credential-file is `},
			{"", `not changed`},
			{"Host: hidden-4", `not changed`},
			{"Authorization: Bearer hidden-5", `"msg":"VCS credential changed"`},
			{"Private-Tokn: hidden-6", `"level":"warn","msg":"VCS credential changed, to a header in which this vendor takes no credentials; is it misspelt?","setting":"vcs-credential-file","header":"Private-Tokn"`},
		} {
			b.log.Reset()
			b.write("credential", tc.text)
			b.rest(settled)
			b.noChange()
			b.rest(10 * vcsagent.LookInterval)
			if got := b.log.String(); !strings.Contains(got, tc.log) || strings.Count(got, "\n") != min(1, len(tc.log)) || strings.Contains(got, "hidden") {
				t.Errorf("%q: logged\n%s", tc.text, got)
			}
		}
		b.write("rules.yaml", someRules)
		b.rest(settled)
		if c := b.change(); !blocked(t, c) || !c.Options.Credential {
			t.Errorf("got %+v", c.Options)
		}
	})
}

func TestACredentialComesAndGoesOnlyWithARestart(t *testing.T) {
	const base = "vendor: gitlab\n"
	const with = base + "vcs-credential: 'Private-Token: hidden-1'\n"
	for _, tc := range []struct {
		name, from, to string
		own            bool
	}{
		{"comes", base, with, false},
		{"goes", with, base, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			watching(t, map[string]string{"agent.yaml": tc.from}, "--config=DIR/agent.yaml", func(b *bench) {
				b.write("agent.yaml", tc.to)
				b.rest(settled)
				if c := b.change(); c.Err != nil || c.Options.Credential != tc.own {
					t.Errorf("got %+v", c)
				}
				if got := b.log.String(); !strings.Contains(got, `"settings":["vcs-credential"]`) || strings.Contains(got, "hidden") {
					t.Errorf("logged\n%s", got)
				}
			})
		})
	}
	t.Run("changes", func(t *testing.T) {
		watching(t, map[string]string{"agent.yaml": with}, "--config=DIR/agent.yaml", func(b *bench) {
			b.write("agent.yaml", strings.ReplaceAll(with, "hidden-1", "hidden-2"))
			b.rest(settled)
			if c := b.change(); c.Err != nil || !c.Options.Credential {
				t.Errorf("got %+v", c)
			}
			if got := b.log.String(); !strings.Contains(got, `"msg":"VCS credential changed","setting":"vcs-credential"`) || strings.Contains(got, "restart") || strings.Contains(got, "hidden") {
				t.Errorf("logged\n%s", got)
			}
		})
	})
}

// A pipe blocks whoever opens it without a writer, and has nothing a second time.
func TestWhatIsNoFileIsReadOnce(t *testing.T) {
	watching(t, map[string]string{"rules.yaml": someRules}, "--vendor=gitlab --rules-file=DIR/rules.yaml", func(b *bench) {
		b.remove("rules.yaml")
		if err := syscall.Mkfifo(b.path("rules.yaml"), 0o600); err != nil {
			t.Fatal(err)
		}
		b.rest(10 * vcsagent.LookInterval)
		b.noChange()
		b.hangups <- syscall.SIGHUP
		b.rest(0)
		if c := b.change(); c.Err == nil || !strings.Contains(c.Err.Error(), "it is no regular file, so it can't be read again") {
			t.Errorf("got %v", c.Err)
		}
	})
}
