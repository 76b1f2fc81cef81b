package store_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

func testAudit(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	before := time.Now().Add(-time.Millisecond)
	pool := addPool(t, st, "gitlab")
	key := addKey(t, st, store.NewKey{Name: "backend", Pools: []string{"gitlab"}})
	token, err := st.AddTokenKey(t.Context(), admin, pool.ID, store.HashOf("new"), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(
		st.RevokeTokenKey(t.Context(), admin, pool.ID, token.ID),
		st.AddAudit(t.Context(), store.Actor{Remote: "192.0.2.9:1"}, "agent.first_seen", store.Target{Kind: "pool", ID: pool.ID, Name: "gitlab"},
			map[string]string{"instance": "i-1", "bad\x00\xff": "nul\x00\xff"}),
		st.DeleteKey(t.Context(), admin, key.ID),
		st.DeletePool(t.Context(), admin, pool.ID),
	); err != nil {
		t.Fatal(err)
	}
	all, err := st.Audit(t.Context(), store.AuditFilter{})
	if err != nil {
		t.Fatal(err)
	}
	p, k := "pool "+pool.ID+" gitlab ", "key "+key.ID+" backend "
	want := []string{ // oldest first
		"admin pool.create " + p + fmt.Sprint(map[string]string{"token_key": all[len(all)-1].Detail["token_key"]}),
		"admin key.create " + k + fmt.Sprint(map[string]string{"pools": pool.ID}),
		"admin token.add " + p + fmt.Sprint(map[string]string{"token_key": token.ID, "expires": "never"}),
		"admin token.revoke " + p + fmt.Sprint(map[string]string{"token_key": token.ID}),
		" agent.first_seen " + p + fmt.Sprint(map[string]string{"instance": "i-1", "bad\uFFFD\uFFFD": "nul\uFFFD\uFFFD"}),
		"admin key.delete " + k + "map[]",
		"admin pool.delete " + p + "map[]",
	}
	var got []string
	for i, e := range all {
		got = append(got, fmt.Sprintf("%s %s %s %s %s %v", e.Actor.KeyName, e.Action, e.Target.Kind, e.Target.ID, e.Target.Name, e.Detail))
		if e.At.Before(before) || e.At.After(time.Now()) || e.At.Location() != time.UTC || i > 0 && e.ID >= all[i-1].ID {
			t.Errorf("entry %d is %d of %v", i, e.ID, e.At)
		}
	}
	slices.Reverse(got)
	if !slices.Equal(got, want) {
		t.Errorf("the log is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if all[0].Actor != admin || all[2].Actor.Remote != "192.0.2.9:1" {
		t.Errorf("the actors are %+v and %+v", all[0].Actor, all[2].Actor)
	}

	for _, tt := range []struct {
		filter store.AuditFilter
		want   []int // of all
	}{
		{store.AuditFilter{Limit: 2}, []int{0, 1}},
		{store.AuditFilter{Before: all[1].ID, Limit: 3}, []int{2, 3, 4}},
		{store.AuditFilter{Action: "pool.create"}, []int{6}},
		{store.AuditFilter{Action: "pool"}, nil},
		{store.AuditFilter{Target: "gitlab"}, []int{0, 2, 3, 4, 6}},
		{store.AuditFilter{Target: pool.ID, Before: all[2].ID}, []int{3, 4, 6}},
		{store.AuditFilter{Target: "backend", Action: "key.delete"}, []int{1}},
		{store.AuditFilter{Target: "back"}, nil},
		{store.AuditFilter{Target: "\x00"}, nil},
	} {
		entries, err := st.Audit(t.Context(), tt.filter)
		if err != nil {
			t.Errorf("%+v: %v", tt.filter, err)
		}
		same := func(e store.AuditEntry, i int) bool { return e.ID == all[i].ID && maps.Equal(e.Detail, all[i].Detail) }
		if !slices.EqualFunc(entries, tt.want, same) {
			t.Errorf("%+v gives %+v, want %v", tt.filter, entries, tt.want)
		}
	}
}

// A change whose entry can't be written isn't made, and what is refused has no
// entry.
func testAuditIsWrittenWithTheChange(t *testing.T, b backend) {
	st, location := b.fresh(t)
	pool := addPool(t, st, "gitlab")
	key := addKey(t, st, store.NewKey{Name: "backend", Pools: []string{"gitlab"}})
	entries, err := st.Audit(t.Context(), store.AuditFilter{})
	if err != nil || len(entries) != 2 {
		t.Fatalf("%+v, %v", entries, err)
	}
	st.CreatePool(t.Context(), admin, store.NewPool{Name: "gitlab"})
	st.DeletePool(t.Context(), admin, "nobody")
	st.DeleteKey(t.Context(), admin, "nobody")
	if entries, err := st.Audit(t.Context(), store.AuditFilter{}); err != nil || len(entries) != 2 {
		t.Errorf("what was refused is in the log: %+v, %v", entries, err)
	}

	b.exec(t, location, "ALTER TABLE audit RENAME TO lost")
	for what, err := range map[string]error{
		"create pool":  second(st.CreatePool(t.Context(), admin, store.NewPool{Name: "new"})),
		"update pool":  second(st.UpdatePool(t.Context(), admin, pool.ID, store.PoolChange{Paused: ptr(true)})),
		"delete pool":  st.DeletePool(t.Context(), admin, pool.ID),
		"add token":    second(st.AddTokenKey(t.Context(), admin, pool.ID, store.HashOf("new"), time.Time{})),
		"revoke token": st.RevokeTokenKey(t.Context(), admin, pool.ID, entries[1].Detail["token_key"]),
		"create key":   second(st.CreateKey(t.Context(), admin, store.NewKey{Name: "new", Admin: true, Hash: store.HashOf("new")})),
		"update key":   second(st.UpdateKey(t.Context(), admin, key.ID, store.KeyChange{Limits: &store.Limits{Burst: 1}})),
		"delete key":   st.DeleteKey(t.Context(), admin, key.ID),
	} {
		if err == nil {
			t.Errorf("%s without an entry", what)
		}
	}
	pools, err := st.Pools(t.Context())
	if err != nil || len(pools) != 1 || pools[0].Paused {
		t.Errorf("pools are %+v, %v", pools, err)
	}
	keys, err := st.Keys(t.Context())
	if err != nil || len(keys) != 1 || keys[0].Limits != (store.Limits{}) {
		t.Errorf("keys are %+v, %v", keys, err)
	}
	if tokens, err := st.TokenKeys(t.Context(), pool.ID); err != nil || len(tokens) != 1 {
		t.Errorf("token keys are %+v, %v", tokens, err)
	}
}

func second[T any](_ T, err error) error { return err }

// The newest changes are kept, and apart from them the newest of those who came
// and went: however many of one kind there are, none of the other goes.
func testAuditIsBounded(t *testing.T, b backend) {
	st, location := b.fresh(t)
	const changes, visits = store.MaxAudit + 5, store.MaxVisits + 7
	fill := func(action string, n int) {
		t.Helper()
		b.exec(t, location, `INSERT INTO audit (at, key_id, key_name, remote, action, target_kind, target_id, target_name, detail)
			WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
			SELECT i, '', '', '', '`+action+`', '', '', '', '{}' FROM n`, n)
	}
	fill(store.ActionPoolUpdate, changes)
	fill(store.ActionAgentJoin, visits-1)
	fill(store.ActionSignIn, 1)
	page, err := st.Audit(t.Context(), store.AuditFilter{Limit: 1 << 30})
	if err != nil || len(page) != store.MaxPage {
		t.Errorf("a page has %d entries, %v; want %d", len(page), err, store.MaxPage)
	}
	count := func(where string) (n, oldest int) {
		t.Helper()
		if err := b.db(t, location).QueryRow("SELECT COUNT(*), MIN(at) FROM audit WHERE "+where).Scan(&n, &oldest); err != nil {
			t.Fatal(err)
		}
		return n, oldest
	}
	next := "UPDATE sqlite_sequence SET seq = %d - 1 WHERE name = 'audit'"
	if b.server != nil {
		next = "ALTER TABLE audit ALTER COLUMN id RESTART WITH %d"
	}
	b.exec(t, location, fmt.Sprintf(next, 2*store.MaxAudit-1))
	long := map[string]string{"long": strings.Repeat("x", 1<<20)}
	add := func() {
		t.Helper()
		if err := st.AddAudit(t.Context(), admin, "new", store.Target{Name: strings.Repeat("é", 1000)}, long); err != nil {
			t.Fatal(err)
		}
	}
	add()
	if n, _ := count("1 = 1"); n != changes+visits+1 {
		t.Errorf("there are %d entries before the old ones are removed", n)
	}
	add()
	if n, oldest := count("action IN ('new', 'pool.update')"); n != store.MaxAudit || oldest != changes+2-store.MaxAudit+1 {
		t.Errorf("%d changes are kept, the oldest is %d", n, oldest)
	}
	if n, oldest := count("action = 'agent.join'"); n != store.MaxVisits-1 || oldest != visits-store.MaxVisits+1 {
		t.Errorf("%d agents that joined are kept, the oldest is %d", n, oldest)
	}
	if n, _ := count("action = 'sign_in'"); n != 1 {
		t.Errorf("%d sign-ins are kept", n)
	}
	if page, err = st.Audit(t.Context(), store.AuditFilter{Limit: 1}); err != nil || page[0].Action != "new" {
		t.Fatalf("the newest entry is %+v, %v", page, err)
	}
	if len(page[0].Target.Name) > 300 || len(page[0].Detail["long"]) > 10_000 {
		t.Errorf("long strings are kept: %d and %d bytes", len(page[0].Target.Name), len(page[0].Detail["long"]))
	}
}
