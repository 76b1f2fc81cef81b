package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

// open opens the store in dir and closes it with the test.
func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), filepath.Join(dir, store.FileName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func TestOpenMakesPrivateFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by open")
	st := open(t, dir)
	if _, err := st.CreatePool(t.Context(), "gitlab", "", store.HashOf("k")); err != nil {
		t.Fatal(err)
	}
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
	st := open(t, dir)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, store.FileName)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if got := mode(t, path); got != 0o600 {
		t.Errorf("file has mode %04o, want 0600", got)
	}
}

func TestOpenWithSpecialCharactersInThePath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a?mode=memory&b#c%41 d")
	open(t, dir)
	if _, err := os.Stat(filepath.Join(dir, store.FileName)); err != nil {
		t.Errorf("the database isn't where it was asked to be: %v", err)
	}
}

func TestReopen(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	pool, err := first.CreatePool(t.Context(), "gitlab", "the one", store.HashOf("token key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := first.CreateKey(t.Context(), "backend", false, []string{"gitlab"}, store.HashOf("caller key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := open(t, dir)
	if got, err := second.PoolByTokenKey(t.Context(), pool.ID, store.HashOf("token key")); err != nil || got != pool {
		t.Errorf("pool after reopening = %+v, %v; want %+v", got, err, pool)
	}
	got, err := second.KeyByHash(t.Context(), store.HashOf("caller key"))
	if err != nil || fmt.Sprint(got) != fmt.Sprint(key) {
		t.Errorf("key after reopening = %+v, %v; want %+v", got, err, key)
	}
}

// What a writer committed is on the disk before it returns: a second process
// sees it while the first is still open, from the log.
func TestCommittedIsVisibleToASecondStore(t *testing.T) {
	dir := t.TempDir()
	first, second := open(t, dir), open(t, dir)
	if _, err := first.CreatePool(t.Context(), "gitlab", "", store.HashOf("k")); err != nil {
		t.Fatal(err)
	}
	if _, err := second.PoolByName(t.Context(), "gitlab"); err != nil {
		t.Error(err)
	}
	_, err := second.CreatePool(t.Context(), "gitlab", "", store.HashOf("k2"))
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("second pool of the name: %v, want ErrExists", err)
	}
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	dir := t.TempDir()
	st := open(t, dir)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, store.FileName)
	exec(t, path, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")

	_, err := store.Open(t.Context(), path)
	if err == nil {
		t.Fatal("opened a database with schema version 999")
	}
	for _, want := range []string{path, "version 999", "start the version that wrote it, or a newer one"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q doesn't say %q", err, want)
		}
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

func TestOpenAtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), store.FileName)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			st, err := store.Open(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			if err := st.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestOpenStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := store.Open(ctx, filepath.Join(t.TempDir(), store.FileName))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}

func TestReadersAndWritersTogether(t *testing.T) {
	st := open(t, t.TempDir())
	const writers, each = 4, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("pool-%d-%d", w, i)
				pool, err := st.CreatePool(t.Context(), name, "", store.HashOf(name))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := st.CreateKey(t.Context(), name, false, []string{pool.ID}, store.HashOf("key of "+name)); err != nil {
					t.Error(err)
					return
				}
				if _, err := st.PoolByTokenKey(t.Context(), pool.ID, store.HashOf(name)); err != nil {
					t.Errorf("what was just written can't be read: %v", err)
				}
				if _, err := st.KeyByHash(t.Context(), store.HashOf("key of "+name)); err != nil {
					t.Errorf("what was just written can't be read: %v", err)
				}
				if _, err := st.Pools(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	pools, err := st.Pools(t.Context())
	if err != nil || len(pools) != writers*each {
		t.Errorf("%d pools, %v; want %d", len(pools), err, writers*each)
	}
	keys, err := st.Keys(t.Context())
	if err != nil || len(keys) != writers*each {
		t.Errorf("%d keys, %v; want %d", len(keys), err, writers*each)
	}
}

// Two processes take turns on the file. CreateKey reads before it writes, which
// fails in SQLite when another has written in between, unless the transaction
// says at once that it's going to write.
func TestTwoStoresWriteTogether(t *testing.T) {
	dir := t.TempDir()
	stores := []*store.Store{open(t, dir), open(t, dir)}
	if _, err := stores[0].CreatePool(t.Context(), "gitlab", "", store.HashOf("k")); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for n, st := range stores {
		wg.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("key-%d-%d", n, i)
				if _, err := st.CreateKey(t.Context(), name, false, []string{"gitlab"}, store.HashOf(name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// Of many that want one name, one gets it.
func TestOneNameManyWriters(t *testing.T) {
	st := open(t, t.TempDir())
	results := make(chan error)
	const writers = 8
	for i := range writers {
		go func() {
			_, err := st.CreatePool(t.Context(), "gitlab", "", store.HashOf(fmt.Sprint(i)))
			results <- err
		}()
	}
	created := 0
	for range writers {
		switch err := <-results; {
		case err == nil:
			created++
		case !errors.Is(err, store.ErrExists):
			t.Error(err)
		}
	}
	if created != 1 {
		t.Errorf("%d writers created the pool, want 1", created)
	}
}

func TestTimesAreUTCAndKeptWhole(t *testing.T) {
	st := open(t, t.TempDir())
	before := time.Now().Truncate(time.Microsecond)
	made, err := st.CreatePool(t.Context(), "gitlab", "", store.HashOf("k"))
	if err != nil {
		t.Fatal(err)
	}
	read, err := st.PoolByName(t.Context(), "gitlab")
	if err != nil {
		t.Fatal(err)
	}
	if read.CreatedAt != made.CreatedAt {
		t.Errorf("read %v, wrote %v", read.CreatedAt, made.CreatedAt)
	}
	if read.CreatedAt.Location() != time.UTC || read.CreatedAt.Before(before) || read.CreatedAt.After(time.Now()) {
		t.Errorf("created at %v, want now in UTC", read.CreatedAt)
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

// exec changes the database behind the store's back.
func exec(t *testing.T, path, query string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatal(err)
	}
}
