package store_test

import (
	"errors"
	"strings"
	"testing"

	"vcsagent/gateway/store"
)

func TestCreatePoolNames(t *testing.T) {
	label63 := strings.Repeat("a", 63)
	text1000 := strings.Repeat("é", 500)
	tests := []struct {
		name, description string
		field             string // of the InvalidError; "" if it's allowed
	}{
		{"a", "", ""},
		{"", "", "name"},
		{"git-lab2", "", ""},
		{"git_lab2", "", "name"},
		{"Git-lab2", "", "name"},
		{"git.lab2", "", "name"},
		{"git lab2", "", "name"},
		{"git-lab2\n", "", "name"},
		{"gıt-lab2", "", "name"},
		{"9", "", ""},
		{"-9", "", "name"},
		{"9-", "", "name"},
		{label63, "", ""},
		{label63 + "a", "", "name"},
		{"d1", text1000, ""},
		{"d2", text1000 + "a", "description"},
		{"d3", "two\nlines\tand a tab", ""},
		{"d4", "a carriage\rreturn", "description"},
		{"d5", "an escape \x1b[31m", "description"},
		{"d6", "not UTF-8 \xff", "description"},
	}
	st := open(t, t.TempDir())
	for _, tt := range tests {
		pool, err := st.CreatePool(t.Context(), tt.name, tt.description, store.HashOf(tt.name))
		var invalid *store.InvalidError
		switch {
		case tt.field == "" && err != nil:
			t.Errorf("pool %q, %q: %v", tt.name, tt.description, err)
		case tt.field == "":
			if pool.Name != tt.name || pool.Description != tt.description || len(pool.ID) != 26 {
				t.Errorf("pool %q, %q is %+v", tt.name, tt.description, pool)
			}
		case !errors.As(err, &invalid) || invalid.Field != tt.field:
			t.Errorf("pool %q, %q: error %v, want an InvalidError for %s", tt.name, tt.description, err, tt.field)
		}
	}
}

func TestInvalidNamesAreShownShort(t *testing.T) {
	st := open(t, t.TempDir())
	_, err := st.CreatePool(t.Context(), strings.Repeat("x\n", 10_000), "", store.HashOf("k"))
	if err == nil || len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") {
		t.Errorf("error of %d bytes, want a short one on one line", len(err.Error()))
	}
}

func TestPoolsAreListedByName(t *testing.T) {
	st := open(t, t.TempDir())
	for _, name := range []string{"b", "c", "a"} {
		if _, err := st.CreatePool(t.Context(), name, "the "+name, store.HashOf(name)); err != nil {
			t.Fatal(err)
		}
	}
	pools, err := st.Pools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range pools {
		got = append(got, p.Name+"="+p.Description)
	}
	if s := strings.Join(got, " "); s != "a=the a b=the b c=the c" {
		t.Errorf("pools = %s", s)
	}
}

func TestPoolByName(t *testing.T) {
	st := open(t, t.TempDir())
	made, err := st.CreatePool(t.Context(), "gitlab", "d", store.HashOf("k"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := st.PoolByName(t.Context(), "gitlab"); err != nil || got != made {
		t.Errorf("PoolByName(gitlab) = %+v, %v; want %+v", got, err, made)
	}
	for _, name := range []string{"gitla", "GITLAB", "", "gitlab ", made.ID} {
		if _, err := st.PoolByName(t.Context(), name); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("PoolByName(%q): %v, want ErrNotFound", name, err)
		}
	}
}

func TestPoolByTokenKey(t *testing.T) {
	dir := t.TempDir()
	st := open(t, dir)
	one, err := st.CreatePool(t.Context(), "one", "", store.HashOf("key of one"))
	if err != nil {
		t.Fatal(err)
	}
	two, err := st.CreatePool(t.Context(), "two", "", store.HashOf("key of two"))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := st.CreatePool(t.Context(), "bare", "", store.HashOf("gone"))
	if err != nil {
		t.Fatal(err)
	}
	path := dir + "/" + store.FileName
	// What rotating a token will do: two keys for one pool, none for another.
	exec(t, path, "INSERT INTO pool_token_keys SELECT '"+two.ID+"', key_hash, 0 FROM pool_token_keys WHERE pool_id = '"+bare.ID+"'")
	exec(t, path, "DELETE FROM pool_token_keys WHERE pool_id = '"+bare.ID+"'")

	tests := []struct {
		name, poolID, key string
		want              error
	}{
		{"right key", one.ID, "key of one", nil},
		{"another pool's key", one.ID, "key of two", store.ErrWrongKey},
		{"key cut short", one.ID, "key of on", store.ErrWrongKey},
		{"no key", one.ID, "", store.ErrWrongKey},
		{"first of two keys", two.ID, "key of two", nil},
		{"second of two keys", two.ID, "gone", nil},
		{"none of two keys", two.ID, "key of one", store.ErrWrongKey},
		{"pool without keys", bare.ID, "gone", store.ErrWrongKey},
		{"name in place of ID", "one", "key of one", store.ErrNotFound},
		{"unknown pool", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "key of one", store.ErrNotFound},
		{"no pool", "", "key of one", store.ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pool, err := st.PoolByTokenKey(t.Context(), tt.poolID, store.HashOf(tt.key))
			if !errors.Is(err, tt.want) {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
			if err == nil && pool.ID != tt.poolID || err != nil && pool != (store.Pool{}) {
				t.Errorf("pool = %+v", pool)
			}
		})
	}
}
