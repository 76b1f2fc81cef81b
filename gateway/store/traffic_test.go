package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

func testTraffic(t *testing.T, b backend) {
	st, location := b.fresh(t)
	at := func(minute, second int) time.Time { return noon.Add(time.Duration(minute*60+second) * time.Second) }
	for range 2 { // counts of a minute add up
		addRequests(t, st,
			store.Request{PoolID: "P1", At: at(0, 0), Outcome: store.OutcomeServed},
			store.Request{PoolID: "P1", At: at(0, 59), Outcome: store.OutcomeDenied},
			store.Request{PoolID: "P1", At: at(1, 0), Outcome: "no_agent"},
			store.Request{PoolID: "P1", At: at(11, 0), Outcome: "cancelled"},
			store.Request{PoolID: "P2", At: at(0, 30), Outcome: store.OutcomeServed},
			store.Request{At: at(5, 0), Outcome: store.OutcomeRefused})
	}
	for _, tt := range []struct {
		pool     string
		from, to time.Time
		bucket   time.Duration
		want     string // start, served/denied/failed
	}{
		{"P1", at(0, 0), at(2, 0), time.Minute, "12:00 2/2/0 12:01 0/0/2"},
		{"P1", at(0, 0), at(1, 0), time.Minute, "12:00 2/2/0"},
		{"P1", at(0, 10), at(1, 1), time.Minute, "12:00 2/2/0 12:01 0/0/2"},
		{"P1", at(1, 0), at(15, 0), 5 * time.Minute, "12:00 2/2/2 12:05 0/0/0 12:10 0/0/2"},
		{"", at(0, 0), at(10, 0), 5 * time.Minute, "12:00 4/2/2 12:05 0/2/0"},
		{"P3", at(0, 0), at(2, 0), 2 * time.Minute, "12:00 0/0/0"},
		{"", at(0, 0), at(0, 0), time.Minute, ""},
		{"", at(5, 0), at(0, 0), time.Minute, ""},
	} {
		// A bucket that starts before from has what came before from, too: from
		// is rounded down to it.
		buckets, err := st.Traffic(t.Context(), tt.pool, tt.from, tt.to, tt.bucket)
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
		}
		got := ""
		for _, c := range buckets {
			got += fmt.Sprintf(" %s %d/%d/%d", c.Start.Format("15:04"), c.Served, c.Denied, c.Failed)
		}
		if got != "" {
			got = got[1:]
		}
		if got != tt.want {
			t.Errorf("pool %q from %v to %v by %v: %s, want %s", tt.pool, tt.from, tt.to, tt.bucket, got, tt.want)
		}
	}
	for _, tt := range []struct {
		to     time.Time
		bucket time.Duration
		ok     bool
	}{
		{at(store.MaxBuckets, 0), time.Minute, true},
		{at(store.MaxBuckets, 1), time.Minute, false},
		{at(1, 0), time.Second, false},
		{at(1, 0), 90 * time.Second, false},
		{at(1, 0), 0, false},
	} {
		_, err := st.Traffic(t.Context(), "", noon, tt.to, tt.bucket)
		var invalid *store.InvalidError
		if tt.ok && err != nil || !tt.ok && !errors.As(err, &invalid) {
			t.Errorf("to %v by %v: %v", tt.to, tt.bucket, err)
		}
	}

	// Counts outlive their requests, for 90 days.
	old := time.Now().Add(-91 * 24 * time.Hour)
	young := time.Now().Add(-89 * 24 * time.Hour)
	addRequests(t, st, store.Request{At: old, Outcome: "served"}, store.Request{At: young, Outcome: "served"})
	if _, err := st.PruneRequests(t.Context(), time.Now(), 0); err != nil {
		t.Fatal(err)
	}
	for when, want := range map[time.Time]int64{old: 0, young: 1} {
		if got, err := st.Traffic(t.Context(), "", when, when.Add(time.Second), time.Minute); err != nil || got[0].Served != want {
			t.Errorf("traffic at %v is %+v, %v; want %d", when, got, err, want)
		}
	}
	if plan := b.plan(t, location, "DELETE FROM traffic WHERE minute < $1", 5); b.server == nil && !strings.Contains(plan, "traffic_by_minute") {
		t.Errorf("pruning counts: %s", plan)
	}
}

func testCounts(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	if c, err := st.Counts(t.Context(), noon); err != nil || c != (store.Counts{}) {
		t.Errorf("an empty store counts %+v, %v", c, err)
	}
	paused := addPool(t, st, "one")
	addPool(t, st, "two")
	if _, err := st.UpdatePool(t.Context(), admin, paused.ID, store.PoolChange{Paused: ptr(true)}); err != nil {
		t.Fatal(err)
	}
	addKey(t, st, store.NewKey{Name: "admin", Admin: true})
	addKey(t, st, store.NewKey{Name: "a", Pools: []string{"one"}})
	addKey(t, st, store.NewKey{Name: "b", Pools: []string{"one"}})
	addRequests(t, st,
		store.Request{At: noon.Add(-time.Second), Outcome: "served"},
		store.Request{PoolID: "P1", Outcome: "served"},
		store.Request{PoolID: "P1", Outcome: "denied"},
		store.Request{Outcome: "refused"},
		store.Request{PoolID: "P2", Outcome: "cut"})
	want := store.Counts{Pools: 2, PausedPools: 1, Keys: 3, AdminKeys: 1, Served: 1, Denied: 2, Failed: 1}
	if c, err := st.Counts(t.Context(), noon); err != nil || c != want {
		t.Errorf("it counts %+v, %v; want %+v", c, err, want)
	}
}
