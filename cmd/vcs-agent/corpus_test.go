package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"vcsagent/cmd/internal/cli"
	vcsagent "vcsagent/cmd/vcs-agent"
)

// answer runs a corpus through "rules test" and returns the exit code and the
// answers' lines.
func answer(in io.Reader) (int, []string) {
	root := vcsagent.NewCommand(nil)
	var out bytes.Buffer
	root.SetIn(in)
	root.SetOut(&out)
	root.SetErr(io.Discard)
	code := cli.Main(root, []string{"rules", "test", "--json", "--vendor", "gitlab"})
	return code, strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// Whoever writes a line and waits gets the answer to it.
func TestACorpusIsAnsweredWhenItPauses(t *testing.T) {
	in, feed := io.Pipe()
	answers, out := io.Pipe()
	root := vcsagent.NewCommand(nil)
	root.SetIn(in)
	root.SetOut(out)
	ended := make(chan int)
	go func() { ended <- cli.Main(root, []string{"rules", "test", "--json", "--vendor", "gitlab"}) }()
	lines := bufio.NewScanner(answers)
	const call = `{"method":"GET","target":"/api/v4/user"}` + "\n"
	for _, text := range []string{call, call + call[:10], call[10:]} { // the second pauses within a line
		if _, err := io.WriteString(feed, text); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || !strings.HasPrefix(lines.Text(), `{"verdict":"allow"`) {
			t.Fatalf("answered %q", lines.Text())
		}
	}
	feed.Close()
	if code := <-ended; code != cli.ExitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestLongLines(t *testing.T) {
	const user = `{"method":"GET","target":"/api/v4/user"}`
	const note = `{"method":"POST","target":"/api/v4/projects/a%2Fb/merge_requests/1/notes","headers":{"Content-Type":"application/json"},"body":`
	ofBytes := func(n int) string { // a note whose line, break included, is so long
		return note + `"` + strings.Repeat("x", n-len(note)-len("\"\"}\n")) + `"}`
	}
	for _, tc := range []struct {
		name, line, want string
		code             int
	}{
		{"longer than a buffer", ofBytes(200 << 10), `"reason":"bad_body"`, cli.ExitOK}, // no JSON, but a body that was inspected
		{"a body too large to inspect", ofBytes(2 << 20), `"reason":"body_too_large"`, cli.ExitOK},
		{"the longest", ofBytes(4 << 20), `"reason":"body_too_large"`, cli.ExitOK},
		{"a byte more", ofBytes(4<<20 + 1), `"error":"the line is longer than 4 MiB"`, cli.ExitUsage},
		{"far more", ofBytes(9 << 20), `"error":"the line is longer than 4 MiB"`, cli.ExitUsage},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, got := answer(strings.NewReader(tc.line + "\n" + user))
			if code != tc.code || len(got) != 2 || !strings.Contains(got[0], tc.want) || !strings.HasPrefix(got[1], `{"verdict":"allow"`) {
				t.Errorf("exit code %d, %.300q", code, got)
			}
		})
	}
}

// More policies than are kept at a time are compiled anew, not mixed up.
func TestEachLineHasItsOwnPolicy(t *testing.T) {
	var in strings.Builder
	const policies = 200
	for range 2 {
		for i := range policies {
			fmt.Fprintf(&in, `{"method":"GET","target":"/api/v4/projects/g%%2Fr7","allowed_projects":"g/r%d"}`+"\n", i)
		}
	}
	code, got := answer(strings.NewReader(in.String()))
	if code != cli.ExitOK || len(got) != 2*policies {
		t.Fatalf("exit code %d, %d answers", code, len(got))
	}
	for i, line := range got {
		if allowed := strings.HasPrefix(line, `{"verdict":"allow"`); allowed != (i%policies == 7) {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
}
