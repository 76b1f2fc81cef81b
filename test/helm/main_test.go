package helm_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const (
	deployDir = "../../deploy"
	chartDir  = deployDir + "/helm/vcs-agent"
)

// helmCommand is the path of the helm that go.mod pins, agentCommand that of the
// agent which this checkout's sources build.
var helmCommand, agentCommand string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	// -n builds the tool into Go's build cache, where the next run finds it,
	// and prints its path. A cold build takes minutes.
	out, err := exec.Command("go", "tool", "-n", "helm").Output()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build helm: %v\n%s", err, stderrOf(err))
		return 1
	}
	helmCommand = strings.TrimSpace(string(out))

	dir, err := os.MkdirTemp("", "vcs-agent-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	agentCommand = filepath.Join(dir, "vcs-agent")
	if out, err := exec.Command("go", "build", "-C", "../..", "-o", agentCommand, "./cmd/vcs-agent").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build vcs-agent: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// helm runs the helm command away from the user's own configuration and any
// cluster.
func helm(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), helmCommand, args...)
	cmd.Env = []string{
		"HOME=" + home,
		"HELM_CACHE_HOME=" + filepath.Join(home, "cache"),
		"HELM_CONFIG_HOME=" + filepath.Join(home, "config"),
		"HELM_DATA_HOME=" + filepath.Join(home, "data"),
		"KUBECONFIG=" + os.DevNull,
	}
	return output(cmd)
}

// agent runs the vcs-agent command, without any setting of the tests' own environment.
func agent(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), agentCommand, args...)
	cmd.Env = []string{}
	return output(cmd)
}

func output(cmd *exec.Cmd) (stdout, stderr string, err error) {
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

func stderrOf(err error) []byte {
	if e, ok := err.(*exec.ExitError); ok {
		return e.Stderr
	}
	return nil
}
