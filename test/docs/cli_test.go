package docs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"vcsagent/test/servers"
	"vcsagent/test/stack"
)

const cliFile = "../../docs/cli.md"

// event is a place on the page where something happens that no command does.
var event = regexp.MustCompile(`(?m)^<!-- (agent|requests) -->$`)

// The page's commands print what the page shows, one after the other, against a
// gateway with an agent. What differs from run to run doesn't count. With -update
// what they print is written into the page, with secrets cut short.
func TestOperatorsCommandsPrintWhatIsShown(t *testing.T) {
	text := readFile(t, cliFile)
	s := stack.New(t, stack.Options{})
	s.Gateway.Command(t, "pool", "delete", stack.Pool, "--yes") // the page makes its own
	s.Gateway.Command(t, "key", "delete", "caller", "--yes")

	o := operator{stack: s, dir: t.TempDir()}
	shown := 0
	var printed strings.Builder
	rest := text
	for rest != "" {
		block, ev := console.FindStringIndex(rest), event.FindStringSubmatchIndex(rest)
		switch {
		case ev != nil && (block == nil || ev[0] < block[0]):
			printed.WriteString(rest[:ev[1]])
			o.happen(t, rest[ev[2]:ev[3]])
			rest = rest[ev[1]:]
		case block != nil:
			printed.WriteString(rest[:block[0]] + "```console\n")
			first := true
			for line := range strings.Lines(rest[block[0]:block[1]]) {
				command, is := strings.CutPrefix(line, "$ ")
				if !is {
					continue
				}
				shown++
				if !first {
					printed.WriteString("\n")
				}
				first = false
				printed.WriteString(line + o.run(t, strings.TrimSuffix(command, "\n")))
			}
			printed.WriteString("```\n")
			rest = rest[block[1]:]
		default:
			printed.WriteString(rest)
			rest = ""
		}
	}
	if shown < 20 {
		t.Errorf("the page shows %d commands, want 20 or more", shown)
	}
	want := printed.String()
	if *update {
		if err := os.WriteFile(cliFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if settled(text) != settled(want) {
		t.Errorf("the commands in docs/cli.md print something else; %s", updateHint(settled(text), settled(want)))
	}
}

// operator is who follows the page.
type operator struct {
	stack *stack.Stack
	dir   string
	agent *stack.Agent // nil before there is one
}

// run runs a command and returns what it printed, with secrets cut short. A token
// or a caller's key that it printed is used from then on.
func (o *operator) run(t *testing.T, command string) string {
	t.Helper()
	s := o.stack
	cmd := exec.CommandContext(t.Context(), "bash", "-c", command)
	cmd.Dir = o.dir
	cmd.Env = append(withoutSettings(os.Environ()), "VCS_GATEWAY_DATA_DIR="+s.Gateway.DataDir,
		"PATH="+filepath.Dir(servers.Binary(t, "vcs-gateway"))+string(os.PathListSeparator)+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput() // a refusal is an exit code
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatal(err)
	}
	text := string(out)
	first, _, _ := strings.Cut(text, "\n")
	switch {
	case strings.Contains(command, "pool create "+stack.Pool), strings.Contains(command, "rotate-token"):
		s.Token = first
	case strings.Contains(command, "key create backend"):
		s.Key = first
	}
	var lines strings.Builder
	for l := range strings.Lines(secret.ReplaceAllString(text, "$1…")) {
		lines.WriteString(strings.TrimRight(l, " \n") + "\n")
	}
	return lines.String()
}

// happen makes happen what the page tells of: an agent that runs with the newest
// token, in place of the one before, or requests.
func (o *operator) happen(t *testing.T, what string) {
	t.Helper()
	s := o.stack
	switch what {
	case "agent":
		if o.agent != nil {
			if err := o.agent.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			o.agent.ExitCode(t, 30*time.Second)
			s.Gateway.Await(t, "agent disconnected")
		}
		o.agent = s.LaunchAgent(t, stack.AgentOptions{Env: []string{"SPACELIFT_METADATA_zone=cellar"}})
		s.AwaitSession(t, o.agent)
	case "requests":
		for _, r := range []struct{ id, path string }{{"example-1", "/api/v4/projects/platform%2Finfra"}, {"example-2", "/api/v4/users"}} {
			req := s.Request(t, "GET", r.path)
			req.Header.Set("X-Request-Id", r.id)
			s.Do(t, req)
			awaitStored(t, s, r.id)
		}
	}
}

// awaitStored waits until a request is in the gateway's log, which is within a
// second.
func awaitStored(t *testing.T, s *stack.Stack, id string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for s.Gateway.Command(t, "requests", "--id", id) == "" {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("the request %s was not stored within 30 s", id)
		}
	}
}

// secret is a token or a key, and how it begins.
var secret = regexp.MustCompile(`(eyJ[A-Za-z0-9]{20}|vcsgw_)[A-Za-z0-9+/=_-]{8,}`)

// settled is a text without what differs from run to run: secrets, times, IDs,
// addresses, how long things took, and the columns' widths that follow from them.
func settled(text string) string {
	for _, r := range []struct{ pattern, by string }{
		{`eyJ[A-Za-z0-9]{20}…`, "TOKEN"},
		{`\b20[23]\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`, "TIME"},
		{`\b[0-9A-Z]{26}\b`, "ID"},
		{`\b127\.0\.0\.1:\d+`, "ADDRESS"},
		{`\b(\d+(\.\d+)? ?(µs|ms|s)( ago)?|now|never)\b`, "SPAN"},
		{`(?m)^stream +\d$`, "stream  N"},
		{`\b\d+\.\d%`, "LOSS"},
		{`\(linux/\w+\)`, "(PLATFORM)"},
		{` {2,}`, "  "},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.by)
	}
	return text
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
