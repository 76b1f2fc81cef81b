package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

func testSeeInstance(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	one, two := addPool(t, st, "one"), addPool(t, st, "two")
	for _, tt := range []struct {
		pool, instance string
		first          bool
	}{
		{one.ID, "a", true}, {one.ID, "a", false}, {one.ID, "b", true}, {two.ID, "a", true}, {one.ID, "a", false}, {one.ID, "A", true},
		{one.ID, "nul\x00", true}, {one.ID, "nul\x00", false},
	} {
		if first, err := st.SeeInstance(t.Context(), tt.pool, tt.instance, time.Now()); err != nil || first != tt.first {
			t.Errorf("instance %q: first is %v, %v; want %v", tt.instance, first, err, tt.first)
		}
	}
	if _, err := st.SeeInstance(t.Context(), "one", "a", time.Now()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("in no pool: %v, want ErrNotFound", err)
	}
}

// The ones not seen for longest are forgotten.
func testInstancesAreBounded(t *testing.T, b backend) {
	st, location := b.fresh(t)
	one, two := addPool(t, st, "one"), addPool(t, st, "two")
	for _, p := range []store.Pool{one, two} {
		b.exec(t, location, `INSERT INTO instances (pool_id, instance, first_seen, last_seen)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT '`+p.ID+`', 'i-' || i, i, i FROM n`, store.MaxInstances)
	}
	see := func(pool store.Pool, n int, want bool) {
		t.Helper()
		if first, err := st.SeeInstance(t.Context(), pool.ID, fmt.Sprint("i-", n), time.Now()); err != nil || first != want {
			t.Errorf("instance %d of %s: first is %v, %v; want %v", n, pool.Name, first, err, want)
		}
	}
	see(one, 1, false)
	see(one, 2000, true) // 2 goes
	see(one, 1, false)
	see(one, 2, true) // 3 goes
	see(one, 4, false)
	see(one, 3, true)
	see(two, 2, false)
	see(two, 3, false)
	var n int
	if err := b.db(t, location).QueryRow("SELECT COUNT(*) FROM instances").Scan(&n); err != nil || n != 2*store.MaxInstances {
		t.Errorf("%d instances are stored, %v", n, err)
	}
}
