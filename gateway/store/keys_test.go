package store_test

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

func testCreateKey(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	ids := map[string]string{}
	for _, name := range []string{"one", "two"} {
		pool, err := st.CreatePool(t.Context(), admin, store.NewPool{Name: name, TokenKey: store.HashOf(name)})
		if err != nil {
			t.Fatal(err)
		}
		ids[name] = pool.ID
	}
	name63 := strings.Repeat("k", 63)
	tests := []struct {
		name  string
		admin bool
		pools []string
		want  []string // the names of its pools
		field string   // of the InvalidError
		err   error
	}{
		{name: "by-name", pools: []string{"one"}, want: []string{"one"}},
		{name: "unknown", pools: []string{"three"}, err: store.ErrNotFound},
		{name: "unknown-beside-known", pools: []string{"one", "three"}, err: store.ErrNotFound},
		{name: "by-id", pools: []string{ids["two"]}, want: []string{"two"}},
		{name: "by-id-lower", pools: []string{strings.ToLower(ids["two"])}, err: store.ErrNotFound},
		{name: "both-ways", pools: []string{"two", ids["one"], "two", ids["two"]}, want: []string{"one", "two"}},
		{name: "none", field: "pools"},
		{name: "admin", admin: true},
		{name: "admin-with-pool", admin: true, pools: []string{"one"}, want: []string{"one"}},
		{name: "too-many", pools: slices.Repeat([]string{"one"}, store.MaxKeyPools+1), field: "pools"},
		{name: "many", pools: slices.Repeat([]string{"one"}, store.MaxKeyPools), want: []string{"one"}},
		{name: "nul", pools: []string{"one\x00"}, err: store.ErrNotFound},
		{name: "Back.end_2", pools: []string{"one"}, want: []string{"one"}},
		{name: "Back end 2", pools: []string{"one"}, field: "name"},
		{name: ".backend", pools: []string{"one"}, field: "name"},
		{name: "", pools: []string{"one"}, field: "name"},
		{name: name63, pools: []string{"one"}, want: []string{"one"}},
		{name: name63 + "k", pools: []string{"one"}, field: "name"},
		{name: "by-name", pools: []string{"two"}, err: store.ErrExists},
	}
	for _, tt := range tests {
		secret := "secret of " + tt.name
		key, err := st.CreateKey(t.Context(), admin, store.NewKey{Name: tt.name, Admin: tt.admin, Pools: tt.pools, Hash: store.HashOf(secret)})
		var invalid *store.InvalidError
		switch {
		case tt.err != nil:
			if !errors.Is(err, tt.err) {
				t.Errorf("key %q: error %v, want %v", tt.name, err, tt.err)
			}
			continue
		case tt.field != "":
			if !errors.As(err, &invalid) || invalid.Field != tt.field {
				t.Errorf("key %q: error %v, want an InvalidError for %s", tt.name, err, tt.field)
			}
			continue
		case err != nil:
			t.Errorf("key %q: %v", tt.name, err)
			continue
		}
		var want []string
		for _, name := range tt.want {
			want = append(want, ids[name])
		}
		slices.Sort(want)
		read, err := st.KeyByHash(t.Context(), store.HashOf(secret))
		if err != nil {
			t.Errorf("key %q isn't found by its hash: %v", tt.name, err)
		}
		for _, k := range []store.Key{key, read} {
			if k.ID != key.ID || k.Name != tt.name || k.Admin != tt.admin || !slices.Equal(k.PoolIDs, want) || k.CreatedAt != key.CreatedAt {
				t.Errorf("key %q is %+v, want pools %v", tt.name, k, want)
			}
		}
	}

	// What was refused left nothing behind.
	keys, err := st.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, k := range keys {
		names = append(names, k.Name)
	}
	if want := []string{"Back.end_2", "admin", "admin-with-pool", "both-ways", "by-id", "by-name", name63, "many"}; !slices.Equal(names, want) {
		t.Errorf("keys are %v, want %v", names, want)
	}
}

func testKeyByHashOfAnUnknownKey(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	addKey(t, st, store.NewKey{Name: "admin", Admin: true})
	for _, secret := range []string{"", "secret of admi", "secret of admins", "Secret of admin"} {
		if k, err := st.KeyByHash(t.Context(), store.HashOf(secret)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("KeyByHash of %q = %+v, %v; want ErrNotFound", secret, k, err)
		}
	}
}

func testKeyByName(t *testing.T, b backend) {
	st, location := b.fresh(t)
	addPool(t, st, "two")
	addPool(t, st, "one")
	want := addKey(t, st, store.NewKey{Name: "backend", Pools: []string{"two", "one"}})
	addKey(t, st, store.NewKey{Name: "other", Admin: true})
	if k, err := st.KeyByName(t.Context(), "backend"); err != nil || !reflect.DeepEqual(k, want) || len(k.PoolIDs) != 2 {
		t.Errorf("it is %+v, %v; want %+v", k, err, want)
	}
	for _, name := range []string{"", "Backend", "backend ", "backend\x00", want.ID, strings.Repeat("k", 10_000)} {
		if k, err := st.KeyByName(t.Context(), name); !errors.Is(err, store.ErrNotFound) || len(err.Error()) > 200 {
			t.Errorf("%.30q is %+v, %.300v; want ErrNotFound", name, k, err)
		}
	}
	b.exec(t, location, "UPDATE keys SET expires_at = 1")
	if k, err := st.KeyByName(t.Context(), "backend"); err != nil || !k.Expired(time.Now()) {
		t.Errorf("one that has expired: %+v, %v", k, err)
	}
}

func testUpdateKey(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	one, two := addPool(t, st, "one"), addPool(t, st, "two")
	key := addKey(t, st, store.NewKey{Name: "backend", Pools: []string{"one"}, Limits: store.Limits{InFlight: 5}})
	other := addKey(t, st, store.NewKey{Name: "other", Pools: []string{"one"}})
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	want := key
	steps := []struct {
		change store.KeyChange
		detail map[string]string
		want   func(*store.Key)
	}{
		{store.KeyChange{Pools: &[]string{"two", one.ID, "two"}}, map[string]string{"pools": one.ID + " " + two.ID},
			func(k *store.Key) { k.PoolIDs = []string{one.ID, two.ID} }},
		{store.KeyChange{Pools: &[]string{"two", "one"}}, nil, func(*store.Key) {}},
		{store.KeyChange{Pools: &[]string{"two"}}, map[string]string{"pools": two.ID}, func(k *store.Key) { k.PoolIDs = []string{two.ID} }},
		{store.KeyChange{Expires: &expires}, map[string]string{"expires": expires.Format(time.RFC3339)}, func(k *store.Key) { k.ExpiresAt = expires }},
		{store.KeyChange{Limits: &store.Limits{RequestsPerSecond: 2.5}}, map[string]string{"requests_per_second": "2.5", "in_flight": "0"},
			func(k *store.Key) { k.Limits = store.Limits{RequestsPerSecond: 2.5} }},
		{store.KeyChange{Expires: &time.Time{}}, map[string]string{"expires": "never"}, func(k *store.Key) { k.ExpiresAt = time.Time{} }},
		{store.KeyChange{}, nil, func(*store.Key) {}},
	}
	for _, step := range steps {
		got, err := st.UpdateKey(t.Context(), admin, key.ID, step.change)
		if err != nil {
			t.Fatal(err)
		}
		step.want(&want)
		read, err := st.KeyByHash(t.Context(), store.HashOf("secret of backend"))
		if err != nil || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(read, want) {
			t.Errorf("%+v: answers %+v, stores %+v, %v; want %+v", step.change, got, read, err, want)
		}
		log, err := st.Audit(t.Context(), store.AuditFilter{Action: store.ActionKeyUpdate})
		if err != nil || step.detail != nil && (len(log) == 0 || !maps.Equal(log[0].Detail, step.detail)) {
			t.Errorf("%+v: the audit log has %+v, %v", step.change, log, err)
		}
	}

	for what, tt := range map[string]struct {
		id     string
		change store.KeyChange
		field  string
		err    error
	}{
		"no pool":       {key.ID, store.KeyChange{Pools: &[]string{}}, "pools", nil},
		"unknown pool":  {key.ID, store.KeyChange{Pools: &[]string{"three"}}, "", store.ErrNotFound},
		"has expired":   {key.ID, store.KeyChange{Expires: ptr(time.Now().Add(-time.Second))}, "expires", nil},
		"no limit":      {key.ID, store.KeyChange{Limits: &store.Limits{Burst: -1}}, "burst", nil},
		"name, not ID":  {"backend", store.KeyChange{}, "", store.ErrNotFound},
		"no such key":   {"01ARZ3NDEKTSV4RRFFQ69G5FAV", store.KeyChange{}, "", store.ErrNotFound},
		"pool, not key": {one.ID, store.KeyChange{}, "", store.ErrNotFound},
	} {
		_, err := st.UpdateKey(t.Context(), admin, tt.id, tt.change)
		var invalid *store.InvalidError
		if tt.err != nil && !errors.Is(err, tt.err) || tt.field != "" && (!errors.As(err, &invalid) || invalid.Field != tt.field) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for name, want := range map[string]store.Key{"backend": want, "other": other} {
		if got, err := st.KeyByHash(t.Context(), store.HashOf("secret of "+name)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("after what was refused, key %s is %+v, %v; want %+v", name, got, err, want)
		}
	}
}

func testKeysExpire(t *testing.T, b backend) {
	st, location := b.fresh(t)
	addPool(t, st, "one")
	for name, expires := range map[string]time.Time{"never": {}, "later": time.Now().Add(time.Hour), "gone": time.Now().Add(time.Hour)} {
		addKey(t, st, store.NewKey{Name: name, Pools: []string{"one"}, Expires: expires})
	}
	b.exec(t, location, "UPDATE keys SET expires_at = $1 WHERE name = 'gone'", time.Now().UnixMicro())
	for name, want := range map[string]error{"never": nil, "later": nil, "gone": store.ErrExpired} {
		if k, err := st.KeyByHash(t.Context(), store.HashOf("secret of "+name)); !errors.Is(err, want) || (err == nil) != (k.Name == name) {
			t.Errorf("key %s: %+v, %v; want %v", name, k, err, want)
		}
	}
	if _, err := st.CreateKey(t.Context(), admin, store.NewKey{Name: "x", Admin: true, Expires: time.Now()}); err == nil {
		t.Error("a key that has expired was made")
	}
	// It may be given more time.
	keys, err := st.Keys(t.Context())
	if err != nil || len(keys) != 3 || keys[0].Name != "gone" || !keys[0].Expired(time.Now()) || keys[1].Expired(time.Now()) {
		t.Fatalf("keys are %+v, %v", keys, err)
	}
	if _, err := st.UpdateKey(t.Context(), admin, keys[0].ID, store.KeyChange{Expires: ptr(time.Now().Add(time.Hour))}); err != nil {
		t.Fatal(err)
	}
	if _, err := st.KeyByHash(t.Context(), store.HashOf("secret of gone")); err != nil {
		t.Error(err)
	}
}

func testDeleteKey(t *testing.T, b backend) {
	st, location := b.fresh(t)
	addPool(t, st, "one")
	first := addKey(t, st, store.NewKey{Name: "first", Admin: true})
	caller := addKey(t, st, store.NewKey{Name: "caller", Pools: []string{"one"}})
	for _, id := range []string{"caller", "", "01ARZ3NDEKTSV4RRFFQ69G5FAV"} {
		if err := st.DeleteKey(t.Context(), admin, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("key %q: %v, want ErrNotFound", id, err)
		}
	}
	if err := st.DeleteKey(t.Context(), admin, caller.ID); err != nil {
		t.Error(err)
	}
	if _, err := st.KeyByHash(t.Context(), store.HashOf("secret of caller")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the deleted key: %v, want ErrNotFound", err)
	}
	addKey(t, st, store.NewKey{Name: "caller-2", Pools: []string{"one"}}) // no admin
	if err := st.DeleteKey(t.Context(), admin, first.ID); !errors.Is(err, store.ErrLastAdmin) {
		t.Errorf("the only admin key: %v, want ErrLastAdmin", err)
	}
	second := addKey(t, st, store.NewKey{Name: "second", Admin: true, Expires: time.Now().Add(time.Hour)})
	b.exec(t, location, "UPDATE keys SET expires_at = 1 WHERE name = 'second'")
	if err := st.DeleteKey(t.Context(), admin, first.ID); !errors.Is(err, store.ErrLastAdmin) {
		t.Errorf("the only admin key that hasn't expired: %v, want ErrLastAdmin", err)
	}
	b.exec(t, location, "UPDATE keys SET expires_at = 0 WHERE name = 'second'")
	if err := st.DeleteKey(t.Context(), admin, first.ID); err != nil {
		t.Errorf("one of two: %v", err)
	}
	addKey(t, st, store.NewKey{Name: "third", Admin: true})
	b.exec(t, location, "UPDATE keys SET expires_at = 1 WHERE name = 'second'")
	if err := st.DeleteKey(t.Context(), admin, second.ID); err != nil {
		t.Errorf("one that has expired: %v", err)
	}
}

// Of two admin keys that delete each other one stays.
func testOneAdminStays(t *testing.T, b backend) {
	st, location := b.fresh(t)
	stores := []*store.Store{st, open(t, location)}
	keys := []store.Key{addKey(t, st, store.NewKey{Name: "admin", Admin: true})}
	for round := range 25 {
		keys = append(keys, addKey(t, st, store.NewKey{Name: fmt.Sprint("admin-", round), Admin: true}))
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i, key := range keys {
			wg.Go(func() {
				<-start
				err := stores[i].DeleteKey(t.Context(), admin, key.ID)
				if err != nil && !errors.Is(err, store.ErrLastAdmin) {
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		var err error
		if keys, err = st.Keys(t.Context()); err != nil || len(keys) != 1 {
			t.Fatalf("%d keys are left, %v; want 1", len(keys), err)
		}
	}
}

func testTouch(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	pool := addPool(t, st, "one")
	key := addKey(t, st, store.NewKey{Name: "backend", Pools: []string{"one"}})
	unused := addKey(t, st, store.NewKey{Name: "unused", Pools: []string{"one"}})
	tokens, err := st.TokenKeys(t.Context(), pool.ID)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	for _, used := range []time.Time{at, at.Add(-time.Hour)} { // a batch that comes late
		err := st.Touch(t.Context(), map[string]time.Time{key.ID: used, "gone": used, "\x00": used}, map[string]time.Time{tokens[0].ID: used})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Touch(t.Context(), nil, nil); err != nil {
		t.Error(err)
	}
	keys, err := st.Keys(t.Context())
	if err != nil || !keys[0].LastUsedAt.Equal(at) || !keys[1].LastUsedAt.IsZero() || keys[1].ID != unused.ID {
		t.Errorf("keys are %+v, %v; want the first used at %v", keys, err, at)
	}
	if tokens, err = st.TokenKeys(t.Context(), pool.ID); err != nil || !tokens[0].LastUsedAt.Equal(at) {
		t.Errorf("token keys are %+v, %v; want one used at %v", tokens, err, at)
	}
}

// It runs for every request of a caller.
func BenchmarkKeyByHash(b *testing.B) {
	st, _ := sqliteBackend().fresh(b)
	addPool(b, st, "gitlab")
	addKey(b, st, store.NewKey{Name: "backend", Pools: []string{"gitlab"}})
	hash := store.HashOf("secret of backend")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := st.KeyByHash(b.Context(), hash); err != nil {
			b.Fatal(err)
		}
	}
}
