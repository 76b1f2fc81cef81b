package store_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcsagent/gateway/store"
)

func TestOpenMakesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by open")
	st := open(t, filepath.Join(dir, store.FileName))
	addPool(t, st, "gitlab")
	if got := mode(t, dir); got != 0o700 {
		t.Errorf("folder has mode %04o, want 0700", got)
	}
	// The log and its index hold the same data as the file.
	for _, name := range []string{"gateway.db", "gateway.db-wal", "gateway.db-shm"} {
		if got := mode(t, filepath.Join(dir, name)); got != 0o600 {
			t.Errorf("%s has mode %04o, want 0600", name, got)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 3 {
		t.Errorf("folder holds %v, want the database's three files alone", entries)
	}
}

func TestOpenTightensAWideFile(t *testing.T) {
	dir := t.TempDir()
	st := open(t, filepath.Join(dir, store.FileName))
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, store.FileName)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, filepath.Join(dir, store.FileName))
	if got := mode(t, path); got != 0o600 {
		t.Errorf("file has mode %04o, want 0600", got)
	}
}

func TestOpenWithSpecialCharactersInThePath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a?mode=memory&b#c%41 d")
	open(t, filepath.Join(dir, store.FileName))
	if _, err := os.Stat(filepath.Join(dir, store.FileName)); err != nil {
		t.Errorf("the database isn't where it was asked to be: %v", err)
	}
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), store.FileName)
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "not a database") {
		t.Errorf("error = %v, want one that names %s and says it's not a database", err, path)
	}
}

func mode(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}
