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

// helmCommand is the path of the helm that go.mod pins.
var helmCommand string

func TestMain(m *testing.M) {
	// -n builds the tool into Go's build cache, where the next run finds it,
	// and prints its path. A cold build takes minutes.
	out, err := exec.Command("go", "tool", "-n", "helm").Output()
	if err != nil {
		fmt.Fprintf(os.Stderr, "build helm: %v\n%s", err, stderrOf(err))
		os.Exit(1)
	}
	helmCommand = strings.TrimSpace(string(out))
	os.Exit(m.Run())
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
