package servers_test

import (
	"os/exec"
	"strings"
	"testing"

	"vcsagent/test/servers"
)

func TestChromium(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), servers.Chromium(t), "--version").Output()
	if err != nil || !strings.HasPrefix(string(out), "Chromium ") {
		t.Errorf("it says %q, %v", out, err)
	}
}
