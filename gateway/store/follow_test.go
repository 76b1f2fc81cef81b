package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

// Each request in the slice is given the number under which it is stored.
func testAddRequestsSetsSeq(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	last := int64(0)
	for _, n := range []int{1, 100, 250} { // on a server, one statement and several
		requests := make([]store.Request, n)
		for i := range requests {
			requests[i] = store.Request{Seq: 77, ID: fmt.Sprint(n, "-", i), At: noon.Add(-time.Duration(i) * time.Second)}
		}
		addRequests(t, st, requests...)
		for _, r := range requests {
			stored, err := st.Requests(t.Context(), store.RequestFilter{ID: r.ID})
			if err != nil || len(stored) != 1 || stored[0].Seq != r.Seq || r.Seq <= last {
				t.Fatalf("request %s has Seq %d after %d and is stored as %+v, %v", r.ID, r.Seq, last, stored, err)
			}
			last = r.Seq
		}
	}
	requests := make([]store.Request, 3)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := st.AddRequests(ctx, requests); err == nil || requests[0].Seq != 0 || requests[2].Seq != 0 {
		t.Errorf("with %v the requests are %+v", err, requests)
	}
}

func testRequestsAfter(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	const n = 60
	requests := make([]store.Request, n)
	for i := range requests { // Seq goes up while time goes down
		requests[i] = store.Request{ID: fmt.Sprint(i), PoolID: fmt.Sprint("P", i%3), Outcome: fmt.Sprint("o", i%2), At: noon.Add(-time.Duration(i) * time.Minute)}
	}
	addRequests(t, st, requests...)
	first := requests[0].Seq
	if got := ids(t, st, store.RequestFilter{After: first, Limit: 3}); got != "1 2 3" {
		t.Errorf("after the first come %q", got)
	}
	if got := ids(t, st, store.RequestFilter{After: first, Limit: 3, Before: requests[2].Seq}); got != "1 2 3" {
		t.Errorf("Before was looked at: %q", got)
	}
	if got := ids(t, st, store.RequestFilter{After: first, PoolID: "P1", Outcome: "o0", Limit: 3}); got != "4 10 16" {
		t.Errorf("of a pool and outcome come %q", got)
	}
	if got := ids(t, st, store.RequestFilter{After: first, From: noon.Add(-5 * time.Minute), To: noon.Add(-2 * time.Minute)}); got != "3 4 5" {
		t.Errorf("of a time come %q", got)
	}
	if got := ids(t, st, store.RequestFilter{After: requests[n-1].Seq}); got != "" {
		t.Errorf("after the last come %q", got)
	}
	var got []int64
	for after := first; ; {
		page, err := st.Requests(t.Context(), store.RequestFilter{After: after, Limit: 7})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			got = append(got, r.Seq)
		}
		after = page[len(page)-1].Seq
	}
	if len(got) != n-1 || !slices.IsSorted(got) || got[0] <= first {
		t.Errorf("pages have %v", got)
	}
}

// Only so many are looked at, by the primary key and no other index.
func testRequestsAfterIsBounded(t *testing.T, b backend) {
	st, location := b.fresh(t)
	const newest = store.MaxAfter + 1000
	if b.server != nil { // its plans depend on what is stored
		b.seed(t, location, newest)
	} else {
		b.seed(t, location, 2000)
		b.exec(t, location, "UPDATE requests SET seq = seq + $1 WHERE seq > 1001", newest-2000)
	}
	for _, tt := range []struct{ after, want int64 }{{1, 1001}, {999, 1001}, {1000, 1001}, {newest - 10, newest - 9}} {
		page, err := st.Requests(t.Context(), store.RequestFilter{After: tt.after, Limit: 1})
		if err != nil || len(page) != 1 || page[0].Seq != tt.want {
			t.Errorf("the first after %d of %d is %+v, %v; want %d", tt.after, newest, page, err, tt.want)
		}
	}
	for _, tt := range filters {
		for _, after := range []int64{1001, store.MaxAfter - 10} {
			tt.filter.After = after
			query, args := store.RequestsAfterQuery(b.server != nil, tt.filter)
			plan := b.plan(t, location, query, args...)
			if !strings.Contains(plan, "requests_pkey") && !strings.Contains(plan, "SEARCH requests USING INTEGER PRIMARY KEY (rowid>?)") ||
				strings.Contains(plan, "requests_by") || strings.Contains(plan, "Sort") || strings.Contains(plan, "TEMP B-TREE") {
				t.Errorf("%s after %d: %s\n%s", tt.name, after, query, plan)
			}
		}
	}
}

// Whoever follows the log by Seq misses nothing, whichever gateway adds to it.
func testFollowersMissNothing(t *testing.T, b backend) {
	st, location := b.fresh(t)
	const writers, batches, each = 3, 20, 5
	stores := []*store.Store{st}
	for range writers - 1 {
		stores = append(stores, open(t, location))
	}
	addRequests(t, st, store.Request{ID: "first"})
	var wg sync.WaitGroup
	for _, st := range stores {
		wg.Go(func() {
			for range batches {
				if err := st.AddRequests(t.Context(), make([]store.Request, each)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	seen, after := 0, int64(1)
	for ended := false; ; {
		page, err := st.Requests(t.Context(), store.RequestFilter{After: after})
		if err != nil {
			t.Error(err)
			break
		}
		if len(page) == 0 && ended {
			break
		}
		if len(page) > 0 {
			seen, after = seen+len(page), page[len(page)-1].Seq
		}
		select {
		case <-done:
			ended = true
		default:
		}
	}
	<-done
	if seen != writers*batches*each {
		t.Errorf("%d were seen of %d", seen, writers*batches*each)
	}
}

// Matches selects what Requests does.
func testMatches(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	random := rand.New(rand.NewPCG(1, 2))
	long := strings.Repeat("é", 1000)
	word := func() string {
		words := []string{"", "a", "A", "a ", "b", "nul\x00", "nul\uFFFD", "\xff", long, long + "x", "x" + long, "x" + long + "é"}
		return words[random.IntN(len(words))]
	}
	at := func() time.Time {
		return noon.Add(time.Duration(random.IntN(8)) * 700 * time.Nanosecond)
	}
	requests := make([]store.Request, 400)
	for i := range requests {
		requests[i] = store.Request{PoolID: word(), KeyID: word(), Outcome: word(), Name: word(), Project: word(), ID: word(), At: at()}
	}
	addRequests(t, st, requests...)
	matched, all := 0, 0
	for range 600 {
		var f store.RequestFilter
		for _, field := range []*string{&f.PoolID, &f.KeyID, &f.Outcome, &f.Name, &f.Project, &f.ID} {
			if random.IntN(6) == 0 {
				*field = word()
			}
		}
		if random.IntN(4) == 0 {
			f.From = at()
		}
		if random.IntN(4) == 0 {
			f.To = at()
		}
		stored, err := st.Requests(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		var want, got []int64
		for _, r := range stored {
			want = append(want, r.Seq)
			if !f.Matches(r) {
				t.Errorf("%+v selects the stored %+v and doesn't match it", f, r)
			}
		}
		for _, r := range requests {
			if f.Matches(r) {
				got = append(got, r.Seq)
			}
		}
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%+v matches %v and selects %v", f, got, want)
		}
		matched, all = matched+len(got), all+len(requests)
		f.Before, f.After, f.Limit = 1, 1<<40, 1
		for _, r := range requests[:20] {
			g := f
			g.Before, g.After, g.Limit = 0, 0, 0
			if f.Matches(r) != g.Matches(r) {
				t.Errorf("a cursor changes whether %+v matches", f)
			}
		}
	}
	if matched == 0 || matched == all {
		t.Errorf("%d of %d matched, which shows nothing", matched, all)
	}
}
