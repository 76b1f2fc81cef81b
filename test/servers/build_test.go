package servers_test

import (
	"debug/buildinfo"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"vcsagent/test/servers"
)

func TestBinary(t *testing.T) {
	first := servers.Binary(t, "vcs-agent")
	before, err := os.Stat(first)
	if err != nil {
		t.Fatal(err)
	}
	second := servers.Binary(t, "vcs-agent")
	if after, err := os.Stat(second); err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("built twice: %s and %s (%v)", first, second, err)
	}

	info, err := buildinfo.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if info.Path != "vcsagent/cmd/vcs-agent" || settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" || settings["-race"] != "" {
		t.Errorf("it is %s, built with %v", info.Path, settings)
	}

	if said := failure(func(t testing.TB) { servers.Binary(t, "vcs-nothing") }, t); !strings.Contains(said, "./cmd/vcs-nothing") {
		t.Errorf("a program that isn't there: %q", said)
	}

	if err := servers.RemoveBinaries(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after RemoveBinaries, %s: %v", first, err)
	}
	if err := servers.RemoveBinaries(); err != nil {
		t.Errorf("with nothing to remove: %v", err)
	}
}
