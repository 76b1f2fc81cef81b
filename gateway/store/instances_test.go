package store_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
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
		if first, err := st.SeeInstance(t.Context(), store.Actor{}, tt.pool, tt.instance, time.Now(), nil); err != nil || first != tt.first {
			t.Errorf("instance %q: first is %v, %v; want %v", tt.instance, first, err, tt.first)
		}
	}
	if _, err := st.SeeInstance(t.Context(), store.Actor{}, "one", "a", time.Now(), nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("in no pool: %v, want ErrNotFound", err)
	}
}

// Of a pool's new instances only so many have an entry in the audit log within an
// hour, and the last of them says so; other pools' have theirs.
func testJoinsAreAuditedWithinABound(t *testing.T, b backend) {
	st, location := b.fresh(t)
	from := store.Actor{Remote: "192.0.2.9:1"}
	joins := func(p store.Pool, prefix string, n int) []store.AuditEntry {
		t.Helper()
		for i := range n {
			name := fmt.Sprint(prefix, i)
			if first, err := st.SeeInstance(t.Context(), from, p.ID, name, time.Now(), map[string]string{"instance": name}); err != nil || !first {
				t.Fatalf("instance %s: first is %v, %v", name, first, err)
			}
		}
		entries, err := st.Audit(t.Context(), store.AuditFilter{Action: store.ActionAgentJoin, Target: p.ID})
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(entries)
		return entries
	}
	const more = 5
	pool, hour := addPool(t, st, "flooded"), time.Now().Truncate(time.Hour)
	entries := joins(pool, "a", store.MaxJoins+more)
	if !time.Now().Truncate(time.Hour).Equal(hour) { // another hour, another bound
		pool, hour = addPool(t, st, "flooded-later"), hour.Add(time.Hour)
		entries = joins(pool, "a", store.MaxJoins+more)
	}
	if len(entries) != store.MaxJoins+1 {
		t.Fatalf("%d entries, want %d and one", len(entries), store.MaxJoins)
	}
	for i, e := range entries {
		want := map[string]string{"instance": fmt.Sprint("a", i)}
		if i == store.MaxJoins {
			want["others"] = "in the gateway's log only, until " + hour.Add(time.Hour).UTC().Format(time.RFC3339)
		}
		if !maps.Equal(e.Detail, want) || e.Actor != from || e.Target != (store.Target{Kind: "pool", ID: pool.ID, Name: pool.Name}) {
			t.Errorf("entry %d is %+v", i, e)
		}
	}
	if n := len(joins(addPool(t, st, "other"), "a", 2)); n != 2 {
		t.Errorf("another pool has %d entries, want 2", n)
	}
	// As if an hour went by.
	b.exec(t, location, "UPDATE audit SET at = at - $1", time.Hour.Microseconds())
	if entries := joins(pool, "b", 1); len(entries) != store.MaxJoins+2 || len(entries[store.MaxJoins+1].Detail) != 1 {
		t.Errorf("%d entries an hour later; the newest is %+v", len(entries), entries[len(entries)-1])
	}
}

// An instance whose entry can't be written is new the next time too.
func testJoinIsWrittenWithItsEntry(t *testing.T, b backend) {
	st, location := b.fresh(t)
	pool := addPool(t, st, "gitlab")
	b.exec(t, location, "ALTER TABLE audit RENAME TO away")
	if first, err := st.SeeInstance(t.Context(), store.Actor{}, pool.ID, "a", time.Now(), nil); err == nil || first {
		t.Errorf("without an entry: first is %v, %v", first, err)
	}
	b.exec(t, location, "ALTER TABLE away RENAME TO audit")
	if first, err := st.SeeInstance(t.Context(), store.Actor{}, pool.ID, "a", time.Now(), nil); err != nil || !first {
		t.Errorf("the next time: first is %v, %v", first, err)
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
		if first, err := st.SeeInstance(t.Context(), store.Actor{}, pool.ID, fmt.Sprint("i-", n), time.Now(), nil); err != nil || first != want {
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

// Ever new instances push out each other, not those that were there before.
func testNewInstancesPushOutEachOther(t *testing.T, b backend) {
	st, location := b.fresh(t)
	pool := addPool(t, st, "gitlab")
	for what, first := range map[string]time.Time{"old": time.Now().Add(-48 * time.Hour), "new": time.Now()} {
		b.exec(t, location, `INSERT INTO instances (pool_id, instance, first_seen, last_seen)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT '`+pool.ID+`', '`+what+`-' || i, CAST($2 AS BIGINT) + i, CAST($2 AS BIGINT) + i FROM n`,
			map[string]int{"old": store.MaxInstances - store.MaxNewInstances, "new": store.MaxNewInstances}[what], first.UnixMicro())
	}
	hour := time.Now().Truncate(time.Hour)
	for i := range 5 {
		if first, err := st.SeeInstance(t.Context(), store.Actor{}, pool.ID, fmt.Sprint("more-", i), time.Now().Add(time.Second), nil); err != nil || !first {
			t.Fatalf("instance %d: first is %v, %v", i, first, err)
		}
	}
	if !time.Now().Truncate(time.Hour).Equal(hour) {
		return // the new ones were of the hour before, and there is room for others
	}
	for _, tt := range []struct {
		like string
		want int
	}{{"old-%", store.MaxInstances - store.MaxNewInstances}, {"new-%", store.MaxNewInstances - 5}, {"more-%", 5}} {
		var n int
		if err := b.db(t, location).QueryRow("SELECT COUNT(*) FROM instances WHERE instance LIKE $1", tt.like).Scan(&n); err != nil || n != tt.want {
			t.Errorf("%d of %s are remembered, %v; want %d", n, tt.like, err, tt.want)
		}
	}
}
