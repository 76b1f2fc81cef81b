package helm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/unit"
)

func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join(deployDir, "systemd", "vcs-agent.service"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	options, err := unit.DeserializeOptions(f)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, o := range options {
		got[o.Section+"."+o.Name] = o.Value
	}

	for name, want := range map[string]string{
		"Service.ExecStart":             "/usr/local/bin/vcs-agent", // no settings, so no secret, in `ps`
		"Service.EnvironmentFile":       "/etc/vcs-agent/vcs-agent.env",
		"Service.Environment":           "SPACELIFT_VCS_AGENT_TOKEN_FILE=%d/token",
		"Service.Restart":               "always",
		"Unit.StartLimitIntervalSec":    "0",
		"Service.DynamicUser":           "yes",
		"Service.NoNewPrivileges":       "yes",
		"Service.CapabilityBoundingSet": "",
		"Service.ProtectSystem":         "strict",
		"Install.WantedBy":              "multi-user.target",
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %q, want %q", name, value, want)
		}
	}

	// %d/token of the environment is what LoadCredential names.
	if name, _, _ := strings.Cut(got["Service.LoadCredential"], ":"); name != "token" {
		t.Errorf("LoadCredential makes %q, want token", name)
	}
	const gracePeriod = 30 * time.Second // the agent's default
	if stop, err := time.ParseDuration(got["Service.TimeoutStopSec"]); err != nil || stop <= gracePeriod {
		t.Errorf("TimeoutStopSec is %q, want more than the agent's own %s", got["Service.TimeoutStopSec"], gracePeriod)
	}
}
