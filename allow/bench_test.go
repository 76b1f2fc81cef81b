package allow_test

import (
	"fmt"
	"strings"
	"testing"

	"vcsagent/allow"
)

func BenchmarkCheck(b *testing.B) {
	for name, c := range map[string]struct{ vendor, projects, method, target string }{
		"project":  {"gitlab", "", "GET", "/api/v4/projects/group%2Fsub%2Frepo"},
		"commit":   {"gitlab", "", "GET", "/api/v4/projects/group%2Fsub%2Frepo/repository/commits/0123456789abcdef0123456789abcdef01234567"},
		"query":    {"gitlab", "", "GET", "/api/v4/projects/group%2Fsub%2Frepo/merge_requests?state=opened&source_branch=feature%2Fx&per_page=100"},
		"pattern":  {"gitlab", "group/.*", "GET", "/api/v4/projects/group%2Fsub%2Frepo/merge_requests/5"},
		"git":      {"gitlab", "", "GET", "/group/sub/repo.git/info/refs?service=git-upload-pack"},
		"codeload": {"github_enterprise", "", "GET", "/acme/infra/legacy.tar.gz/refs/heads/main?token=abc"},
		"denied":   {"gitlab", "", "GET", "/api/v4/projects/group%2Fsub%2Frepo/hooks"},
	} {
		p := everything(b, c.vendor, c.projects)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Check(c.method, c.target)
			}
		})
	}
}

// BenchmarkRules shows that a decision doesn't cost more with more rules.
func BenchmarkRules(b *testing.B) {
	for _, n := range []int{20, 500} {
		p, err := allow.NewFromYAML(manyRules(n))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !p.Check("GET", "/api/v4/projects/group%2Frepo/thing7/abc").Allowed {
					b.Fatal("denied")
				}
			}
		})
	}
}

func manyRules(n int) string {
	var s strings.Builder
	s.WriteString("vendor: test\nrules:\n")
	for i := range n {
		fmt.Fprintf(&s, "  - {name: r%d, purpose: Do %d., group: read, methods: [GET], path: '/api/v4/projects/{project}/thing%d/{sha}'}\n", i, i, i)
	}
	return s.String()
}

// TestCheckAllocations bounds what a decision allocates: the decoded project,
// the path and the query.
func TestCheckAllocations(t *testing.T) {
	p := everything(t, "gitlab", "")
	got := testing.AllocsPerRun(100, func() {
		p.Check("GET", "/api/v4/projects/group%2Frepo/merge_requests?state=opened&per_page=100")
	})
	if got > 5 {
		t.Errorf("a decision allocates %v times", got)
	}
}
