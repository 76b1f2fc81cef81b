package control_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
)

func TestEnsureAdminKey(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, store.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	path := filepath.Join(dir, control.AdminKeyFile)

	ensure := func(want bool) {
		t.Helper()
		if created, err := control.EnsureAdminKey(t.Context(), st, dir); err != nil || created != want {
			t.Fatalf("EnsureAdminKey = %v, %v; want %v", created, err, want)
		}
	}
	// What is left of an earlier database, or of a start that was killed, is no
	// key of this one.
	if err := os.WriteFile(path, []byte("vcsgw_stale\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ensure(true)
	secret, err := control.ReadAdminKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(secret.Reveal(), "vcsgw_") || len(secret.Reveal()) != len("vcsgw_")+43 {
		t.Error("the key is not 32 bytes in base64url behind its prefix")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode: %v, %v; want 0600", info.Mode(), err)
	}
	key, err := st.KeyByHash(t.Context(), store.HashOf(secret.Reveal()))
	if err != nil || !key.Admin || len(key.PoolIDs) != 0 {
		t.Errorf("the key is %+v, %v", key, err)
	}

	ensure(false)
	if again, err := control.ReadAdminKey(dir); err != nil || again != secret {
		t.Errorf("a later start changed the file: %v", err)
	}
	if err := os.Remove(path); err != nil { // kept elsewhere by the operator
		t.Fatal(err)
	}
	ensure(false)
	if _, err := os.Stat(path); err == nil {
		t.Error("a later start made the file again")
	}
}

func TestEnsureAdminKeyStoresNothingItCantShow(t *testing.T) {
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, store.FileName))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := control.EnsureAdminKey(t.Context(), st, filepath.Join(dir, "missing")); err == nil {
		t.Error("no error for a folder that doesn't exist")
	}
	if keys, err := st.Keys(t.Context()); err != nil || len(keys) != 0 {
		t.Errorf("keys are %v, %v; want none", keys, err)
	}
}

func TestReadAdminKeyRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, control.AdminKeyFile)
	if _, err := control.ReadAdminKey(dir); err == nil || !strings.Contains(err.Error(), "there is no admin key "+path) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := control.ReadAdminKey(dir); err == nil || !strings.Contains(err.Error(), path+" is empty") {
		t.Errorf("empty file: %v", err)
	}
}
