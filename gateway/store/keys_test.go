package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"vcsagent/gateway/store"
)

func TestCreateKey(t *testing.T) {
	st := open(t, t.TempDir())
	ids := map[string]string{}
	for _, name := range []string{"one", "two"} {
		pool, err := st.CreatePool(t.Context(), name, "", store.HashOf(name))
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
		key, err := st.CreateKey(t.Context(), tt.name, tt.admin, tt.pools, store.HashOf(secret))
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

func TestKeyByHashOfAnUnknownKey(t *testing.T) {
	st := open(t, t.TempDir())
	if _, err := st.CreateKey(t.Context(), "admin", true, nil, store.HashOf("secret")); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"", "secre", "secrets", "Secret"} {
		if k, err := st.KeyByHash(t.Context(), store.HashOf(secret)); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("KeyByHash of %q = %+v, %v; want ErrNotFound", secret, k, err)
		}
	}
}

// It runs for every request of a caller.
func BenchmarkKeyByHash(b *testing.B) {
	st, err := store.Open(b.Context(), b.TempDir()+"/"+store.FileName)
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	if _, err := st.CreatePool(b.Context(), "gitlab", "", store.HashOf("token")); err != nil {
		b.Fatal(err)
	}
	hash := store.HashOf("secret")
	if _, err := st.CreateKey(b.Context(), "backend", false, []string{"gitlab"}, hash); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := st.KeyByHash(b.Context(), hash); err != nil {
			b.Fatal(err)
		}
	}
}
