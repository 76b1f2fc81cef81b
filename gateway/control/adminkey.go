package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// AdminKeyFile is the name of the first admin key's file in the data folder.
const AdminKeyFile = "admin-key"

// firstAdmin is the first admin key's name, unless an expired key has it.
const firstAdmin = "admin"

// EnsureAdminKey makes an admin key when the store has none that is still of
// use: it writes it to
// [AdminKeyFile] in dir (mode 0600, replacing what is left of an earlier
// database) and stores its hash. created says that it did. When the store has an
// admin key the file is left alone, and may have been moved elsewhere.
func EnsureAdminKey(ctx context.Context, st *store.Store, dir string) (created bool, err error) {
	keys, err := st.Keys(ctx)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(keys, func(k store.Key) bool { return k.Admin && !k.Expired(time.Now()) }) {
		return false, nil
	}
	name := firstAdmin
	for n := 2; slices.ContainsFunc(keys, func(k store.Key) bool { return k.Name == name }); n++ {
		name = fmt.Sprintf("%s-%d", firstAdmin, n)
	}
	secret := newSecret(keyPrefix)
	// The file first: should the process be killed in between, the next start
	// makes another key. The other way round nobody would have the key.
	path := filepath.Join(dir, AdminKeyFile)
	if err := store.WriteFile(path, []byte(secret.Reveal()+"\n"), 0o600); err != nil {
		return false, fmt.Errorf("write the admin key: %w", err)
	}
	if _, err := st.CreateKey(ctx, store.Actor{}, store.NewKey{Name: name, Admin: true, Hash: store.HashOf(secret.Reveal())}); err != nil {
		return false, fmt.Errorf("store the admin key: %w", err)
	}
	return true, nil
}

// openToOthers are the permissions that the admin key's file should not have.
const openToOthers fs.FileMode = 0o077

// WarnOfOpenAdminKey logs a warning when others than its owner may use
// [AdminKeyFile] in dir: whoever reads it can make keys for every pool. A file
// that isn't there was moved elsewhere, and is no matter of the gateway's.
func WarnOfOpenAdminKey(dir string, log *slog.Logger) {
	path := filepath.Join(dir, AdminKeyFile)
	info, err := os.Stat(path)
	if err != nil {
		return
	}
	if perm := info.Mode().Perm(); perm&openToOthers != 0 {
		log.Warn("others than its owner can use the admin key's file: run chmod 600 on it", "file", path, "mode", fmt.Sprintf("%04o", perm))
	}
}

// ReadAdminKey returns the key that [EnsureAdminKey] left in dir. It fails with
// a sentence when there is none or it can't be read.
func ReadAdminKey(dir string) (transport.Secret, error) {
	path := filepath.Join(dir, AdminKeyFile)
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no admin key %s: a gateway makes it when it first starts on this data folder", path)
	case err != nil:
		return "", fmt.Errorf("read the admin key: %w", err)
	}
	key := transport.Secret(strings.TrimSpace(string(data)))
	if key == "" {
		return "", fmt.Errorf("the admin key's file %s is empty", path)
	}
	return key, nil
}
