package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"vcsagent/gateway/store"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	for _, tt := range []struct {
		data string
		perm os.FileMode
	}{{"first", 0o644}, {"second", 0o600}} {
		if err := store.WriteFile(path, []byte(tt.data), tt.perm); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil || string(data) != tt.data {
			t.Errorf("file holds %q, %v; want %q", data, err, tt.data)
		}
		if got := mode(t, path); got != tt.perm {
			t.Errorf("file has mode %04o, want %04o", got, tt.perm)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v, %v; want the file alone", entries, err)
	}
}

func TestWriteFileThatFailsLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if err := os.Mkdir(path, 0o700); err != nil { // a folder can't be replaced by a file
		t.Fatal(err)
	}
	if err := store.WriteFile(path, []byte("x"), 0o600); err == nil {
		t.Error("no error")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("folder holds %v, %v; want what it held", entries, err)
	}
}
