package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"vcsagent/gateway/store"
)

func testReopen(t *testing.T, b backend) {
	first, location := b.fresh(t)
	pool := addPool(t, first, "gitlab")
	key := addKey(t, first, store.NewKey{Name: "backend", Pools: []string{"gitlab"}})
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := open(t, location)
	if got, _, err := second.PoolByTokenKey(t.Context(), pool.ID, store.HashOf("token of gitlab")); err != nil || !reflect.DeepEqual(got, pool) {
		t.Errorf("pool after reopening = %+v, %v; want %+v", got, err, pool)
	}
	if got, err := second.KeyByHash(t.Context(), store.HashOf("secret of backend")); err != nil || !reflect.DeepEqual(got, key) {
		t.Errorf("key after reopening = %+v, %v; want %+v", got, err, key)
	}
}

// What a writer committed is on the disk before it returns: a second process
// sees it while the first is still open, from the log.
func testCommittedIsVisibleToASecondStore(t *testing.T, b backend) {
	first, location := b.fresh(t)
	second := open(t, location)
	addPool(t, first, "gitlab")
	if _, err := second.PoolByName(t.Context(), "gitlab"); err != nil {
		t.Error(err)
	}
	_, err := second.CreatePool(t.Context(), admin, store.NewPool{Name: "gitlab"})
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("second pool of the name: %v, want ErrExists", err)
	}
}

func testOpenRefusesANewerSchema(t *testing.T, b backend) {
	st, location := b.fresh(t)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	b.exec(t, location, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, TRUE)")

	_, err := store.Open(t.Context(), location)
	if err == nil {
		t.Fatal("opened a database with schema version 999")
	}
	for _, want := range []string{"version 999", "start the version that wrote it, or a newer one"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q doesn't say %q", err, want)
		}
	}
	b.exec(t, location, "DELETE FROM goose_db_version WHERE version_id = 999")
	open(t, location)
}

// What the first version of this software stored is there after an update.
func testOpenUpdatesTheFirstSchema(t *testing.T, b backend) {
	location := b.location(t)
	dialect, folder := goose.DialectSQLite3, "migrations/sqlite"
	if b.server != nil {
		dialect, folder = goose.DialectPostgres, "migrations/postgres"
	}
	p, err := goose.NewProvider(dialect, b.db(t, location), os.DirFS(folder), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	b.exec(t, location, "INSERT INTO pools (id, name, description, created_at) VALUES ('POOL', 'gitlab', 'the one', 1700000000000000)")
	b.exec(t, location, "INSERT INTO keys (id, name, admin, key_hash, created_at) VALUES ('KEY', 'backend', FALSE, $1, 5)", hash("secret"))
	b.exec(t, location, "INSERT INTO key_pools VALUES ('KEY', 'POOL')")
	for _, key := range []string{"one", "two"} {
		b.exec(t, location, "INSERT INTO pool_token_keys (pool_id, key_hash, created_at) VALUES ('POOL', $1, 7)", hash(key))
	}

	st := open(t, location)
	created := time.Unix(1_700_000_000, 0).UTC()
	want := store.Pool{ID: "POOL", Name: "gitlab", Description: "the one", CreatedAt: created, UpdatedAt: created}
	ids := map[string]bool{}
	for _, key := range []string{"one", "two"} {
		got, token, err := st.PoolByTokenKey(t.Context(), "POOL", store.HashOf(key))
		if err != nil || !reflect.DeepEqual(got, want) || len(token.ID) != 26 || !token.ExpiresAt.IsZero() {
			t.Errorf("by the key %s: %+v, %+v, %v", key, got, token, err)
		}
		ids[token.ID] = true
	}
	if len(ids) != 2 {
		t.Errorf("the token keys' IDs are %v", ids)
	}
	if k, err := st.KeyByHash(t.Context(), store.HashOf("secret")); err != nil || fmt.Sprint(k.PoolIDs) != "[POOL]" || k.Limits != (store.Limits{}) {
		t.Errorf("the key is %+v, %v", k, err)
	}
}

func hash(key string) []byte {
	h := store.HashOf(key)
	return h[:]
}

func testOpenAtTheSameTime(t *testing.T, b backend) {
	location := b.location(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			st, err := store.Open(t.Context(), location)
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

func testOpenStopsWithItsContext(t *testing.T, b backend) {
	ctx, cancel := context.WithCancel(t.Context())
	location := b.location(t)
	cancel()
	_, err := store.Open(ctx, location)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want context.Canceled", err)
	}
}

func testReadersAndWritersTogether(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	const writers, each = 4, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				name := fmt.Sprintf("pool-%d-%d", w, i)
				pool, err := st.CreatePool(t.Context(), admin, store.NewPool{Name: name, TokenKey: store.HashOf(name)})
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := st.CreateKey(t.Context(), admin, store.NewKey{Name: name, Pools: []string{pool.ID}, Hash: store.HashOf("key of " + name)}); err != nil {
					t.Error(err)
					return
				}
				if err := st.AddRequests(t.Context(), []store.Request{{PoolID: pool.ID, At: time.Now()}}); err != nil {
					t.Error(err)
				}
				if _, _, err := st.PoolByTokenKey(t.Context(), pool.ID, store.HashOf(name)); err != nil {
					t.Errorf("what was just written can't be read: %v", err)
				}
				if _, err := st.KeyByHash(t.Context(), store.HashOf("key of "+name)); err != nil {
					t.Errorf("what was just written can't be read: %v", err)
				}
				if r, err := st.Requests(t.Context(), store.RequestFilter{PoolID: pool.ID}); err != nil || len(r) != 1 {
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

// Two processes take turns on the database. CreateKey reads before it writes,
// which fails in SQLite when another has written in between, unless the
// transaction says at once that it's going to write.
func testTwoStoresWriteTogether(t *testing.T, b backend) {
	first, location := b.fresh(t)
	stores := []*store.Store{first, open(t, location)}
	addPool(t, first, "gitlab")
	var wg sync.WaitGroup
	for n, st := range stores {
		wg.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("key-%d-%d", n, i)
				if _, err := st.CreateKey(t.Context(), admin, store.NewKey{Name: name, Pools: []string{"gitlab"}, Hash: store.HashOf(name)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// Of many that want one name, one gets it.
func testOneNameManyWriters(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	results := make(chan error)
	const writers = 8
	for range writers {
		go func() {
			_, err := st.CreatePool(t.Context(), admin, store.NewPool{Name: "gitlab"})
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

func testTimesAreUTCAndKeptWhole(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	before := time.Now().Truncate(time.Microsecond)
	made := addPool(t, st, "gitlab")
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
