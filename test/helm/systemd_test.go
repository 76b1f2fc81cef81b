package helm_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/unit"
)

func TestSystemdUnit(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, o := range parseUnit(t, unitText(t)) {
		got[o.Section+"."+o.Name] = o.Value
	}

	for name, want := range map[string]string{
		"Service.ExecStart":             "/usr/local/bin/vcs-agent", // no settings, so no secret, in `ps`
		"Service.ExecReload":            "/bin/kill -HUP $MAINPID",
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

	const gracePeriod = 30 * time.Second // the agent's default
	if stop, err := time.ParseDuration(got["Service.TimeoutStopSec"]); err != nil || stop <= gracePeriod {
		t.Errorf("TimeoutStopSec is %q, want more than the agent's own %s", got["Service.TimeoutStopSec"], gracePeriod)
	}
}

// The secrets are files that LoadCredential makes, each under the name that the
// environment has: the token, and where its lines are switched on the VCS's
// credential too.
func TestSystemdCredentials(t *testing.T) {
	t.Parallel()
	text := unitText(t)
	token := map[string]string{"SPACELIFT_VCS_AGENT_TOKEN_FILE": "/etc/vcs-agent/token"}
	both := map[string]string{"SPACELIFT_VCS_AGENT_TOKEN_FILE": "/etc/vcs-agent/token", "SPACELIFT_VCS_AGENT_VCS_CREDENTIAL_FILE": "/etc/vcs-agent/vcs-credential"}
	switchedOn := regexp.MustCompile(`(?m)^#(\w+=)`).ReplaceAllString(text, "$1")
	for name, tt := range map[string]struct {
		text string
		want map[string]string
	}{"as it is": {text, token}, "with the options": {switchedOn, both}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sources := map[string]string{}
			variables := map[string]string{}
			for _, o := range parseUnit(t, tt.text) {
				switch o.Name {
				case "LoadCredential":
					credential, source, _ := strings.Cut(o.Value, ":")
					sources["%d/"+credential] = source
				case "Environment":
					variable, value, _ := strings.Cut(o.Value, "=")
					variables[variable] = value
				}
			}
			got := map[string]string{}
			for variable, value := range variables {
				got[variable] = sources[value]
			}
			if !maps.Equal(got, tt.want) || len(sources) != len(tt.want) {
				t.Errorf("the agent reads %v of %v, want %v", got, sources, tt.want)
			}
		})
	}
}

// The agent has every setting that the unit names, in its comments too.
func TestSystemdSettings(t *testing.T) {
	t.Parallel()
	settings, err := os.ReadFile("../../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`SPACELIFT_\w+`).FindAllString(unitText(t), -1)
	if len(names) < 5 {
		t.Errorf("the unit names %q only", names)
	}
	for _, name := range names {
		if !strings.Contains(string(settings), "`"+name+"`") {
			t.Errorf("the unit names %s, which docs/settings.md doesn't have", name)
		}
	}
}

func unitText(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deployDir, "systemd", "vcs-agent.service"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func parseUnit(t *testing.T, text string) []*unit.UnitOption {
	t.Helper()
	options, err := unit.DeserializeOptions(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return options
}
