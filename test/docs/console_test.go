package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"vcsagent/allow"
	"vcsagent/test/servers"
)

// console is a block of commands, each behind "$ ", with what they print.
var console = regexp.MustCompile("(?s)```console\n(.*?)```\n")

// The page's commands print what the page shows. They run in its order, in a folder
// that has the page's rules.yaml. With -update what they print is written into the page.
func TestCommandsPrintWhatIsShown(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(exampleRules(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + filepath.Dir(servers.Binary(t, "vcs-agent")) + string(os.PathListSeparator) + os.Getenv("PATH")
	text := readPolicy(t)
	shown := 0
	want := console.ReplaceAllStringFunc(text, func(block string) string {
		var out strings.Builder
		for line := range strings.Lines(block) {
			command, is := strings.CutPrefix(line, "$ ")
			if !is {
				continue
			}
			shown++
			cmd := exec.CommandContext(t.Context(), "bash", "-c", command)
			cmd.Dir, cmd.Env = dir, append(withoutSettings(os.Environ()), path)
			printed, err := cmd.CombinedOutput() // a denial is an exit code
			if _, ended := err.(*exec.ExitError); err != nil && !ended {
				t.Fatal(err)
			}
			if out.Len() > 0 {
				out.WriteString("\n")
			}
			out.WriteString(line)
			for l := range strings.Lines(string(printed)) {
				out.WriteString(strings.TrimRight(l, " \n") + "\n")
			}
		}
		return "```console\n" + out.String() + "```\n"
	})
	if shown < 5 {
		t.Errorf("the page shows %d commands, want 5 or more", shown)
	}
	if *update {
		writePolicy(t, want)
		return
	}
	if text != want {
		t.Errorf("the commands in docs/policy.md print something else; %s", updateHint(text, want))
	}
}

// The page's rules are a policy, and do what the page says of them.
func TestExampleRulesWork(t *testing.T) {
	r, err := allow.ParseRules("rules.yaml", []byte(exampleRules(t)))
	if err != nil {
		t.Fatal(err)
	}
	without, with := policy(t, allow.Options{Vendor: "gitlab"}), policy(t, allow.Options{Vendor: "gitlab", Rules: r})
	for _, tt := range []struct {
		call         string
		before, then allow.Reason
	}{
		{"GET /a/b.git/info/refs?service=git-upload-pack", allow.GroupOff, ""},
		{"GET /a/b.git/info/refs?service=git-receive-pack", allow.PushNotAllowed, allow.PushNotAllowed},
		{"POST /api/v4/projects/a%2Fb/merge_requests/1/notes", "", allow.GroupOff},
		{"GET /api/v4/projects/a%2Fb/repository/tags?search=v1&page=2", allow.NoRule, ""},
		{"GET /api/v4/projects/a%2Fb/repository/tags?order=x", allow.NoRule, allow.QueryNotAllowed},
		{"POST /api/v4/projects/acme%2Fops/issues", allow.NoRule, ""},
		{"POST /api/v4/projects/acme%2Finfra/issues", allow.NoRule, allow.ProjectNotAllowed},
		{"DELETE /api/v4/projects/a%2Fb/environments/3", "", allow.Blocked},
		{"POST /api/v4/projects/a%2Fb/environments", "", ""},
		{"POST /api/v4/projects/acme%2Fprod-eu/deployments", "", ""},
		{"POST /api/v4/projects/acme%2Finfra/deployments", "", allow.ProjectNotAllowed},
	} {
		method, target, _ := strings.Cut(tt.call, " ")
		if got := without.Check(method, target).Reason; got != tt.before {
			t.Errorf("without the rules %s is %q, want %q", tt.call, got, tt.before)
		}
		if got := with.Check(method, target).Reason; got != tt.then {
			t.Errorf("with the rules %s is %q, want %q", tt.call, got, tt.then)
		}
	}
}

// exampleRules returns the rules file that the page shows.
func exampleRules(t *testing.T) string {
	t.Helper()
	_, rest, found := strings.Cut(readPolicy(t), "<!-- rules.yaml -->\n```yaml\n")
	text, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("docs/policy.md shows no rules.yaml")
	}
	return text
}

// withoutSettings leaves out what would change the agent's settings.
func withoutSettings(environ []string) []string {
	var env []string
	for _, v := range environ {
		if !strings.HasPrefix(v, "SPACELIFT_") {
			env = append(env, v)
		}
	}
	return env
}
