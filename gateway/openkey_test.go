package gateway_test

import (
	"os"
	"path/filepath"
	"testing"

	"vcsagent/gateway/control"
)

func TestOpenAdminKeyIsToldOf(t *testing.T) {
	const warning = "others than its owner can use the admin key's file: run chmod 600 on it"
	dir := t.TempDir()
	path := filepath.Join(dir, control.AdminKeyFile)
	if log, _ := startedOn(t, dir, nil); len(log.lines(warning)) != 0 {
		t.Errorf("the file that a start made is told of:\n%s", log)
	}
	for _, tt := range []struct {
		mode os.FileMode
		told string // the mode in the log; "" wants no line
	}{
		{0o600, ""}, {0o400, ""}, {0o700, ""},
		{0o640, "0640"}, {0o604, "0604"}, {0o620, "0620"}, {0o602, "0602"}, {0o644, "0644"}, {0o666, "0666"},
	} {
		t.Run(tt.mode.String(), func(t *testing.T) {
			if err := os.Chmod(path, tt.mode); err != nil {
				t.Fatal(err)
			}
			log, _ := startedOn(t, dir, nil)
			lines := log.lines(warning)
			if tt.told == "" {
				if len(lines) != 0 {
					t.Errorf("logged %v", lines)
				}
				return
			}
			if len(lines) != 1 || lines[0]["level"] != "WARN" || lines[0]["file"] != path || lines[0]["mode"] != tt.told {
				t.Errorf("logged %v, want one warning with %s and %s", lines, path, tt.told)
			}
		})
	}
	// The operator may keep it elsewhere.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if log, _ := startedOn(t, dir, nil); len(log.lines(warning)) != 0 {
		t.Errorf("a file that isn't there is told of:\n%s", log)
	}
}
