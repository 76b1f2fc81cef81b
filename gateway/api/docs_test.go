package api_test

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vcsagent/gateway/api"
)

func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The page's tables have all paths and codes, and no others.
func TestThePagesTablesAreComplete(t *testing.T) {
	text := page(t)
	var shown, want []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z]+)` \\| `(/[^`]*)` \\|").FindAllStringSubmatch(text, -1) {
		shown = append(shown, m[1]+" "+m[2])
	}
	for _, r := range api.Routes() {
		want = append(want, r.Method+" "+r.Path)
	}
	if !slices.Equal(shown, want) {
		t.Errorf("docs/api.md has the paths\n%v, want\n%v", shown, want)
	}
	shown = nil
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| [45]").FindAllStringSubmatch(text, -1) {
		shown = append(shown, m[1])
	}
	if want := codes(t); !sameSet(shown, want) {
		t.Errorf("docs/api.md has the codes %v, want %v", shown, want)
	}
}

// What differs from run to run: ids, times and tokens.
var variable = []struct {
	is *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`"[0-9A-HJKMNP-TV-Z]{26}"`), "ID"},
	{regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"`), "TIME"},
	{regexp.MustCompile(`"token":"[^"]+"`), "TOKEN"},
}

// The page's commands print what it shows.
func TestThePagesTranscriptWorks(t *testing.T) {
	f := newFixture(t)
	if err := f.client(t, f.admin).DeletePool(t.Context(), "gitlab"); err != nil { // the page makes its own
		t.Fatal(err)
	}
	server := httptest.NewServer(f.handler)
	defer server.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "admin-key"), []byte(f.admin.Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(page(t), "```console\n")
	want, _, closed := strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("docs/api.md has no transcript")
	}
	var got strings.Builder
	for line := range strings.Lines(want) {
		command, is := strings.CutPrefix(line, "$ ")
		if !is {
			continue
		}
		got.WriteString(line)
		cmd := exec.CommandContext(t.Context(), "bash", "-c", command)
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "API=" + server.URL + "/api/v1"}
		printed, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", command, err)
		}
		got.Write(printed)
	}
	gotText := got.String()
	for _, v := range variable {
		gotText, want = v.is.ReplaceAllString(gotText, v.as), v.is.ReplaceAllString(want, v.as)
	}
	if gotText != want {
		t.Errorf("the commands in docs/api.md print\n%s, want\n%s", gotText, want)
	}
	if info, err := os.Stat(filepath.Join(dir, "auth")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
}
