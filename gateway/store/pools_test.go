package store_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

func testCreatePoolNames(t *testing.T, b backend) {
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
	st, _ := b.fresh(t)
	for _, tt := range tests {
		pool, err := st.CreatePool(t.Context(), admin, store.NewPool{Name: tt.name, Description: tt.description, TokenKey: store.HashOf(tt.name)})
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

func testInvalidNamesAreShownShort(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	_, err := st.CreatePool(t.Context(), admin, store.NewPool{Name: strings.Repeat("x\n", 10_000)})
	if err == nil || len(err.Error()) > 500 || strings.Contains(err.Error(), "\n") {
		t.Errorf("error of %d bytes, want a short one on one line", len(err.Error()))
	}
}

func testPoolsAreListedByName(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	for _, name := range []string{"b", "c", "a"} {
		if _, err := st.CreatePool(t.Context(), admin, store.NewPool{Name: name, Description: "the " + name}); err != nil {
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

func testPoolByName(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	made := addPool(t, st, "gitlab")
	if got, err := st.PoolByName(t.Context(), "gitlab"); err != nil || !reflect.DeepEqual(got, made) {
		t.Errorf("PoolByName(gitlab) = %+v, %v; want %+v", got, err, made)
	}
	for _, name := range []string{"gitla", "GITLAB", "", "gitlab ", "gitlab\x00", "\xff", made.ID} {
		if _, err := st.PoolByName(t.Context(), name); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("PoolByName(%q): %v, want ErrNotFound", name, err)
		}
	}
}

func testPoolByID(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	want := addPool(t, st, "gitlab")
	addPool(t, st, "other")
	if p, err := st.PoolByID(t.Context(), want.ID); err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("it is %+v, %v; want %+v", p, err, want)
	}
	for _, id := range []string{"", "gitlab", strings.ToLower(want.ID), want.ID + "\x00", strings.Repeat("0", 10_000)} {
		if p, err := st.PoolByID(t.Context(), id); !errors.Is(err, store.ErrNotFound) || len(err.Error()) > 200 {
			t.Errorf("%.30q is %+v, %.300v; want ErrNotFound", id, p, err)
		}
	}
}

func testPoolByTokenKey(t *testing.T, b backend) {
	st, location := b.fresh(t)
	one, two, bare, late := addPool(t, st, "one"), addPool(t, st, "two"), addPool(t, st, "bare"), addPool(t, st, "late")
	if _, err := st.AddTokenKey(t.Context(), admin, two.ID, store.HashOf("second"), time.Time{}); err != nil {
		t.Fatal(err)
	}
	keys, err := st.TokenKeys(t.Context(), bare.ID)
	if err != nil || len(keys) != 1 {
		t.Fatalf("the pool's keys: %+v, %v", keys, err)
	}
	if err := st.RevokeTokenKey(t.Context(), admin, bare.ID, keys[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := st.AddTokenKey(t.Context(), admin, late.ID, store.HashOf("good"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	b.exec(t, location, "UPDATE token_keys SET expires_at = 1 WHERE pool_id = $1 AND key_hash = $2", late.ID, hash("token of late"))

	tests := []struct {
		name, poolID, key string
		want              error
	}{
		{"right key", one.ID, "token of one", nil},
		{"another pool's key", one.ID, "token of two", store.ErrWrongKey},
		{"key cut short", one.ID, "token of on", store.ErrWrongKey},
		{"no key", one.ID, "", store.ErrWrongKey},
		{"first of two keys", two.ID, "token of two", nil},
		{"second of two keys", two.ID, "second", nil},
		{"none of two keys", two.ID, "token of one", store.ErrWrongKey},
		{"pool without keys", bare.ID, "token of bare", store.ErrWrongKey},
		{"key that will expire", late.ID, "good", nil},
		{"key that has expired", late.ID, "token of late", store.ErrExpired},
		{"another pool's expired key", one.ID, "token of late", store.ErrWrongKey},
		{"name in place of ID", "one", "token of one", store.ErrNotFound},
		{"unknown pool", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "token of one", store.ErrNotFound},
		{"no pool", "", "token of one", store.ErrNotFound},
		{"no text", "\x00\xff", "token of one", store.ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			pool, key, err := st.PoolByTokenKey(t.Context(), tt.poolID, store.HashOf(tt.key))
			if !errors.Is(err, tt.want) {
				t.Fatalf("error = %v, want %v", err, tt.want)
			}
			if err == nil && (pool.ID != tt.poolID || key.PoolID != tt.poolID || key.ID == "") || err != nil && (pool.ID != "" || key.ID != "") {
				t.Errorf("pool = %+v, key = %+v", pool, key)
			}
		})
	}
}

func testPoolLimits(t *testing.T, b backend) {
	prefix := netip.MustParsePrefix
	tests := []struct {
		what  string
		new   store.NewPool
		field string // of the InvalidError; "" if it's allowed
	}{
		{"all at their most", store.NewPool{Limits: store.Limits{RequestsPerSecond: 1e6, Burst: 1e6, InFlight: 1e6, BodyBytes: 1 << 40,
			QueueLength: 1e6, QueueWait: 10 * time.Minute}, MaxParallelism: 256}, ""},
		{"a rate below one", store.NewPool{Limits: store.Limits{RequestsPerSecond: 0.125}}, ""},
		{"a rate next to none", store.NewPool{Limits: store.Limits{RequestsPerSecond: 0.0001}}, "requests_per_second"},
		{"a rate too high", store.NewPool{Limits: store.Limits{RequestsPerSecond: 1e6 + 1}}, "requests_per_second"},
		{"no number", store.NewPool{Limits: store.Limits{RequestsPerSecond: math.NaN()}}, "requests_per_second"},
		{"below nothing", store.NewPool{Limits: store.Limits{RequestsPerSecond: -1}}, "requests_per_second"},
		{"burst", store.NewPool{Limits: store.Limits{Burst: 1e6 + 1}}, "burst"},
		{"in flight", store.NewPool{Limits: store.Limits{InFlight: -1}}, "in_flight"},
		{"body", store.NewPool{Limits: store.Limits{BodyBytes: 1<<40 + 1}}, "body_bytes"},
		{"queue", store.NewPool{Limits: store.Limits{QueueLength: -1}}, "queue_length"},
		{"a long wait", store.NewPool{Limits: store.Limits{QueueWait: 10*time.Minute + time.Microsecond}}, "queue_wait"},
		{"a wait that can't be kept", store.NewPool{Limits: store.Limits{QueueWait: time.Nanosecond}}, "queue_wait"},
		{"parallelism", store.NewPool{MaxParallelism: 257}, "max_parallelism"},
		{"networks", store.NewPool{Networks: []netip.Prefix{prefix("10.1.0.0/16"), prefix("2001:db8::/32"), prefix("192.0.2.7/32")}}, ""},
		{"every network", store.NewPool{Networks: []netip.Prefix{prefix("0.0.0.0/0"), prefix("::/0")}}, ""},
		{"a network with a host", store.NewPool{Networks: []netip.Prefix{prefix("10.1.2.3/16")}}, "networks"},
		{"IPv4 as IPv6", store.NewPool{Networks: []netip.Prefix{prefix("::ffff:10.1.0.0/112")}}, "networks"},
		{"no network", store.NewPool{Networks: []netip.Prefix{{}}}, "networks"},
		{"many networks", store.NewPool{Networks: slices.Repeat([]netip.Prefix{prefix("10.1.0.0/16")}, 64)}, ""},
		{"too many networks", store.NewPool{Networks: slices.Repeat([]netip.Prefix{prefix("10.1.0.0/16")}, 65)}, "networks"},
		{"a token that expires", store.NewPool{TokenExpires: time.Now().Add(time.Hour)}, ""},
		{"a token that has", store.NewPool{TokenExpires: time.Now().Add(-time.Second)}, "expires"},
	}
	st, _ := b.fresh(t)
	for i, tt := range tests {
		tt.new.Name = fmt.Sprint("p", i)
		pool, err := st.CreatePool(t.Context(), admin, tt.new)
		var invalid *store.InvalidError
		switch {
		case tt.field != "":
			if !errors.As(err, &invalid) || invalid.Field != tt.field {
				t.Errorf("%s: error %v, want an InvalidError for %s", tt.what, err, tt.field)
			}
			continue
		case err != nil:
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		read, err := st.PoolByName(t.Context(), pool.Name)
		if err != nil || !reflect.DeepEqual(read, pool) {
			t.Errorf("%s: read %+v, %v; made %+v", tt.what, read, err, pool)
		}
		if read.Limits != tt.new.Limits || read.MaxParallelism != tt.new.MaxParallelism || !slices.Equal(read.Networks, tt.new.Networks) {
			t.Errorf("%s: is %+v", tt.what, read)
		}
	}
}

func testUpdatePool(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	made, other := addPool(t, st, "gitlab"), addPool(t, st, "other")
	networks := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	steps := []struct {
		change store.PoolChange
		detail map[string]string
		want   func(*store.Pool)
	}{
		{store.PoolChange{Description: ptr("new")}, map[string]string{"description": "new"}, func(p *store.Pool) { p.Description = "new" }},
		{store.PoolChange{Paused: ptr(true)}, map[string]string{"paused": "true"}, func(p *store.Pool) { p.Paused = true }},
		{store.PoolChange{Paused: ptr(true), Description: ptr("new")}, nil, func(*store.Pool) {}}, // as it is
		{store.PoolChange{}, nil, func(*store.Pool) {}},
		{store.PoolChange{Limits: &store.Limits{Burst: 7, QueueWait: time.Second}, MaxParallelism: ptr(3), Networks: &networks},
			map[string]string{"burst": "7", "queue_wait": "1s", "max_parallelism": "3", "networks": "10.0.0.0/8"}, func(p *store.Pool) {
				p.Limits, p.MaxParallelism, p.Networks = store.Limits{Burst: 7, QueueWait: time.Second}, 3, networks
			}},
		{store.PoolChange{Paused: ptr(false), Networks: &[]netip.Prefix{}}, map[string]string{"paused": "false", "networks": ""},
			func(p *store.Pool) { p.Paused, p.Networks = false, nil }},
	}
	want := made
	for _, step := range steps {
		before, err := st.Audit(t.Context(), store.AuditFilter{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := st.UpdatePool(t.Context(), admin, made.ID, step.change)
		if err != nil {
			t.Fatal(err)
		}
		if changed := !got.UpdatedAt.Equal(want.UpdatedAt); changed != (step.detail != nil) {
			t.Errorf("%+v: UpdatedAt moved is %v", step.change, changed)
		}
		step.want(&want)
		want.UpdatedAt = got.UpdatedAt
		read, err := st.PoolByName(t.Context(), "gitlab")
		if len(got.Networks) == 0 {
			got.Networks = nil
		}
		if err != nil || !reflect.DeepEqual(got, want) || !reflect.DeepEqual(read, want) {
			t.Errorf("%+v: answers %+v, stores %+v, %v; want %+v", step.change, got, read, err, want)
		}
		after, err := st.Audit(t.Context(), store.AuditFilter{})
		switch {
		case err != nil:
			t.Fatal(err)
		case step.detail == nil && len(after) != len(before):
			t.Errorf("%+v: has an entry in the audit log: %+v", step.change, after[0])
		case step.detail != nil && (len(after) != len(before)+1 || !maps.Equal(after[0].Detail, step.detail)):
			t.Errorf("%+v: the audit log has %+v", step.change, after[0])
		}
	}

	var invalid *store.InvalidError
	if _, err := st.UpdatePool(t.Context(), admin, made.ID, store.PoolChange{Description: ptr("\x1b")}); !errors.As(err, &invalid) {
		t.Errorf("a bad description: %v", err)
	}
	for _, id := range []string{"", "gitlab", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "\x00"} {
		if _, err := st.UpdatePool(t.Context(), admin, id, store.PoolChange{Paused: ptr(true)}); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("pool %q: %v, want ErrNotFound", id, err)
		}
	}
	if got, err := st.PoolByName(t.Context(), "other"); err != nil || !reflect.DeepEqual(got, other) {
		t.Errorf("the other pool is %+v, %v", got, err)
	}
}

func testDeletePool(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	gone, stays := addPool(t, st, "gone"), addPool(t, st, "stays")
	addKey(t, st, store.NewKey{Name: "backend", Pools: []string{"gone", "stays"}})
	addKey(t, st, store.NewKey{Name: "lonely", Pools: []string{"gone"}})
	if _, err := st.SeeInstance(t.Context(), admin, gone.ID, "i", time.Now(), nil); err != nil {
		t.Fatal(err)
	}
	if err := st.AddRequests(t.Context(), []store.Request{{PoolID: gone.ID, At: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"gone", "", stays.ID + "X"} {
		if err := st.DeletePool(t.Context(), admin, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("pool %q: %v, want ErrNotFound", id, err)
		}
	}
	if err := st.DeletePool(t.Context(), admin, gone.ID); err != nil {
		t.Fatal(err)
	}
	if err := st.DeletePool(t.Context(), admin, gone.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("once more: %v, want ErrNotFound", err)
	}
	if _, _, err := st.PoolByTokenKey(t.Context(), gone.ID, store.HashOf("token of gone")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("its token: %v, want ErrNotFound", err)
	}
	for name, want := range map[string][]string{"backend": {stays.ID}, "lonely": nil} {
		if k, err := st.KeyByHash(t.Context(), store.HashOf("secret of "+name)); err != nil || !slices.Equal(k.PoolIDs, want) {
			t.Errorf("key %s may call %v, %v; want %v", name, k.PoolIDs, err, want)
		}
	}
	if r, err := st.Requests(t.Context(), store.RequestFilter{PoolID: gone.ID}); err != nil || len(r) != 1 {
		t.Errorf("its requests are %+v, %v; want the one", r, err)
	}
	// A pool of the name is another one.
	if again := addPool(t, st, "gone"); again.ID == gone.ID {
		t.Error("a new pool has the old one's ID")
	}
}
