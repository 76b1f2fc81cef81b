package main_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcsagent/cmd/internal/cli"
	"vcsagent/cmd/internal/docstest"
	vcsagent "vcsagent/cmd/vcs-agent"
)

func TestSettingsAreDocumented(t *testing.T) {
	docstest.Settings(t, vcsagent.NewCommand(nil), "SPACELIFT_VCS_AGENT_", "## vcs-agent",
		map[string]string{"token": "SPACELIFT_VCS_AGENT_POOL_TOKEN"})
}

// shown returns what stands in docs/settings.md between two lines.
func shown(t *testing.T, from, to string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, begins := strings.Cut(string(text), from+"\n")
	part, _, ends := strings.Cut(rest, to+"\n")
	if !begins || !ends {
		t.Fatalf("docs/settings.md has nothing from %q to %q", from, to)
	}
	return part
}

func TestTheDocumentedCorpusIsAnsweredAsShown(t *testing.T) {
	const command = "$ vcs-agent rules test --vendor gitlab --json < calls.jsonl"
	root := vcsagent.NewCommand(nil)
	var out bytes.Buffer
	root.SetIn(strings.NewReader(shown(t, "$ cat calls.jsonl", command)))
	root.SetOut(&out)
	root.SetErr(&out)
	code := cli.Main(root, strings.Fields(command)[2:7])
	if want := shown(t, command, "```"); code != cli.ExitUsage || out.String() != want {
		t.Errorf("exit code %d, got\n%s\nwant\n%s", code, out.String(), want)
	}
}

func TestTheDocumentedFileIsGood(t *testing.T) {
	config := filepath.Join(t.TempDir(), "agent.yaml")
	if err := os.WriteFile(config, []byte(shown(t, "```yaml", "```")), 0o600); err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]int{
		"/api/v4/projects/acme%2Finfra/repository/tags":      cli.ExitOK,
		"/api/v4/projects/other%2Finfra/repository/tags":     cli.ExitFailure,
		"/api/v4/projects/acme%2Fsecret-a/merge_requests":    cli.ExitFailure,
		"/api/v4/projects/acme%2Fa/merge_requests":           cli.ExitOK,
		"/api/v4/projects/acme%2Finfra/repository/tags/x%2F": cli.ExitFailure,
	} {
		root := vcsagent.NewCommand(nil)
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetErr(&out)
		if code := cli.Main(root, []string{"rules", "test", "--config", config, "GET", target}); code != want {
			t.Errorf("%s: exit code %d, want %d\n%s", target, code, want, out.String())
		}
	}
}
