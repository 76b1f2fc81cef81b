package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile("(?m)^#+ (.*)$")
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
)

// Links between the documents lead to files and headings that exist.
func TestLinksLeadSomewhere(t *testing.T) {
	files := []string{
		"../../README.md", "../../deploy/helm/vcs-agent/README.md",
		"../../docs/api.md", "../../docs/api.md", "../../docs/cli.md", "../../docs/metrics.md", "../../docs/policy.md", "../../docs/security.md", "../../docs/settings.md",
	}
	seen := 0
	for _, file := range files {
		for _, m := range link.FindAllStringSubmatch(prose(t, file), -1) {
			path, anchor, anchored := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			seen++
			to := file
			if path != "" {
				to = filepath.Join(filepath.Dir(file), path)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			} else if anchored && !slices.Contains(anchors(prose(t, to)), anchor) {
				t.Errorf("%s links to %s, and there is no such heading", file, m[1])
			}
		}
	}
	if seen < 30 {
		t.Errorf("the documents have %d links between them, want 30 or more", seen)
	}
}

// prose returns a document without its blocks of code.
func prose(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return fenced.ReplaceAllString(string(text), "")
}

// anchors returns the names that a document's headings are linked by.
func anchors(text string) []string {
	var names []string
	for _, m := range heading.FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		names = append(names, strings.ReplaceAll(name, " ", "-"))
	}
	return names
}
