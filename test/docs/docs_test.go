// Package docs_test keeps the documentation true: what README says to paste
// works, every metric is listed, and docs/policy.md tells the policy as it is.
package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"vcsagent/metrics"
	"vcsagent/test/servers"
)

func TestMain(m *testing.M) { servers.Main(m) }

// The transcript runs in a network namespace of its own, where its fixed ports
// are free, and in a copy of nothing: it uses the checkout, as a reader would.
func TestTranscriptWorks(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "<!-- transcript -->\n```sh\n")
	script, _, closed := strings.Cut(rest, "\n```\n")
	if !found || !closed {
		t.Fatal("README.md has no transcript")
	}
	// Pasted into an interactive shell, in a folder for its logs; jobs are ended by name there.
	dir := t.TempDir()
	script = strings.NewReplacer(
		"> vcs.log", "> "+dir+"/vcs.log", "> gateway.log", "> "+dir+"/gateway.log", "> agent.log", "> "+dir+"/agent.log",
		" agent.log", " "+dir+"/agent.log", " gateway.log", " "+dir+"/gateway.log",
	).Replace(script)
	ns, _ := servers.Wire(t)
	out := servers.Run(t, ns, "timeout", "300", "bash", "-c", "set -m; cd "+root+"; "+script+"\nwait; true")
	for _, want := range []string{
		`"username"`,                      // the allowed call's answer
		`"reason":"no_rule"`,              // the denied call's
		`"name":"gitlab.git.upload_pack"`, // the clone in the agent's log
		`"outcome":"denied"`,              // the gateway's log
		`gitlab  1       4`,               // the list of pools
		`GitLab answers: HTTP 401`,        // the check
		`GET /api/v4/users`,               // the stored requests
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in what the transcript printed:\n%s", want, out)
		}
	}
}

func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	agent, gateway := metrics.NewRegistry("vcs_agent", "v"), metrics.NewRegistry("vcs_gateway", "v")
	metrics.NewAgent(agent)
	agent.MustRegister(metrics.RTTFunc(func() float64 { return 0 }))
	metrics.NewGateway(gateway)

	name := regexp.MustCompile(`fqName: "(vcs_[a-z_]+)"`)
	registered := map[string]bool{}
	for _, reg := range []*prometheus.Registry{agent, gateway} {
		descs := make(chan *prometheus.Desc, 256)
		reg.Describe(descs)
		close(descs)
		for d := range descs {
			if m := name.FindStringSubmatch(d.String()); m != nil {
				registered[m[1]] = true
			}
		}
	}
	for n := range registered {
		if !strings.Contains(string(text), "| `"+n+"` |") {
			t.Errorf("docs/metrics.md lacks %s", n)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(vcs_[a-z_]+)`").FindAllStringSubmatch(string(text), -1) {
		if !registered[m[1]] {
			t.Errorf("docs/metrics.md has %s, which isn't registered", m[1])
		}
	}
}
