package store_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"vcsagent/gateway/store"
)

// checkBlocksRead says whether a page is read from no more blocks than those
// with some of it, and how.
func checkBlocksRead(t *testing.T, b backend, st *store.Store, location, name string, f store.RequestFilter, after time.Time) {
	t.Helper()
	requests, read, err := st.BlocksRead(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	blocks := map[int64]bool{}
	for _, r := range requests {
		blocks[r.Seq/store.BlockRows] = true
	}
	// A few only seem to have some.
	if read > len(blocks)+2 {
		t.Errorf("%s: %d requests in %d blocks are found by reading %d", name, len(requests), len(blocks), read)
	}
	query, args := store.BlocksQuery(f, after)
	if plan := b.plan(t, location, query, args...); !strings.Contains(plan, "USING INDEX blocks_by_time") || strings.Contains(plan, "TEMP B-TREE") {
		t.Errorf("%s: %s\n%s", name, query, plan)
	}
	query, args = store.BlockQuery(f, after)
	if plan := b.plan(t, location, query, args...); !strings.Contains(plan, "SEARCH requests USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)") {
		t.Errorf("%s: %s\n%s", name, query, plan)
	}
}

// What is found, page after page, is what a plain look at all requests finds,
// in whichever order they ended, whoever added them and whatever was removed.
func testRequestsAreTheOnesThatMatch(t *testing.T, b backend) {
	first, location := b.fresh(t)
	stores := []*store.Store{first, open(t, location)}
	random := rand.New(rand.NewPCG(3, 4))
	var stored []store.Request // by Seq
	clock := noon
	for round := range 24 {
		batch := make([]store.Request, 1+random.IntN(400))
		for i := range batch {
			clock = clock.Add(time.Duration(random.IntN(3)) * time.Second)
			batch[i] = randomRequest(random, clock)
		}
		addRequests(t, stores[random.IntN(2)], batch...)
		stored = append(stored, batch...)
		st := stores[random.IntN(2)]
		if round%6 == 5 {
			stored = checkPrune(t, st, b, random, stored)
		}
		for range 2 {
			checkPages(t, st, randomFilter(random, stored), stored, 100+random.IntN(500))
		}
	}
	checkPages(t, first, store.RequestFilter{}, stored, 50)
	if len(stored) < 2*store.BlockRows {
		t.Errorf("only %d requests were looked at", len(stored))
	}
}

// Bounds of time hold to the microsecond, and requests of one time come by Seq,
// in whichever blocks they are.
func testRequestsOfOneTime(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	stored := make([]store.Request, 2*store.BlockRows+100) // the last block has the fewest
	for i := range stored {
		stored[i].At = noon
	}
	stored[5].At = noon.Add(-time.Second)
	addRequests(t, st, stored...)
	next := noon.Add(time.Microsecond)
	for _, f := range []store.RequestFilter{{}, {From: noon}, {To: noon}, {From: noon, To: next}, {From: next}} {
		checkPages(t, st, f, stored, 700)
	}
	if removed, err := st.PruneRequests(t.Context(), noon, 0); err != nil || removed != 1 {
		t.Errorf("%d are removed, %v; want 1", removed, err)
	}
	stored = slices.Delete(stored, 5, 6)
	checkPages(t, st, store.RequestFilter{To: next}, stored, 700)
}

// randomRequest is one that came at about a time: most a while before, some long
// before, and a few when the clock was wrong.
func randomRequest(random *rand.Rand, at time.Time) store.Request {
	at = at.Add(-time.Duration(random.IntN(20)) * time.Second)
	switch random.IntN(200) {
	case 0, 1, 2:
		at = at.Add(-time.Duration(random.IntN(3600)) * time.Second)
	case 3:
		at = at.Add(time.Duration(random.IntN(600)) * time.Second)
	}
	r := store.Request{At: at, KeyID: fmt.Sprint("k", random.IntN(4)), Outcome: "served", Name: fmt.Sprint("n", random.IntN(30))}
	if random.IntN(20) > 0 {
		r.PoolID = fmt.Sprint("p", random.IntN(5))
		r.Project = fmt.Sprint("g", random.IntN(1000))
	}
	if random.IntN(300) == 0 {
		r.Outcome = "busy"
	}
	return r
}

// randomFilter has some of a request's fields, which may be stored.
func randomFilter(random *rand.Rand, stored []store.Request) (f store.RequestFilter) {
	r := randomRequest(random, noon)
	times := stored[random.IntN(len(stored))]
	set := func(one int) bool { return random.IntN(one) == 0 }
	if set(2) {
		f.PoolID = r.PoolID
	}
	if set(4) {
		f.KeyID = r.KeyID
	}
	if set(4) {
		f.Outcome = []string{"served", "busy", "none"}[random.IntN(3)]
	}
	if set(4) {
		f.Name = r.Name
	}
	if set(4) {
		f.Project = r.Project
	}
	if set(4) {
		f.From = times.At
	}
	if set(4) {
		f.To = times.At.Add(time.Duration(random.IntN(1000)) * time.Second)
	}
	return f
}

// checkPages reads all pages of a filter.
func checkPages(t *testing.T, st *store.Store, f store.RequestFilter, stored []store.Request, limit int) {
	t.Helper()
	var want []int64
	for _, r := range byTime(stored) {
		if f.Matches(r) {
			want = append(want, r.Seq)
		}
	}
	f.Limit = limit
	var got []int64
	for {
		page, err := st.Requests(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page {
			got = append(got, r.Seq)
		}
		if len(page) < limit {
			break
		}
		f.Before = page[len(page)-1].Seq
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%+v finds, of %d requests,\n%v\nand should find\n%v", f, len(stored), got, want)
	}
}

// byTime are requests, newest first.
func byTime(stored []store.Request) []store.Request {
	return slices.SortedFunc(slices.Values(stored), func(a, b store.Request) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Seq, a.Seq)) })
}

// checkPrune removes some requests, and returns those that should be left.
func checkPrune(t *testing.T, st *store.Store, b backend, random *rand.Rand, stored []store.Request) (left []store.Request) {
	t.Helper()
	var before time.Time
	keep := int64(0)
	left = slices.Clone(stored)
	if random.IntN(2) == 0 {
		before = byTime(stored)[len(stored)*(7+random.IntN(3))/10].At
		left = slices.DeleteFunc(left, func(r store.Request) bool { return r.At.Before(before) })
	}
	if random.IntN(2) == 0 {
		keep = 1 + int64(len(stored)*(7+random.IntN(3))/10)
		if over := len(left) - int(keep); over > 0 && b.server == nil {
			left = left[over:]
		} else if over > 0 {
			kept := byTime(left)[:keep]
			left = slices.SortedFunc(slices.Values(kept), func(a, b store.Request) int { return cmp.Compare(a.Seq, b.Seq) })
		}
	}
	removed, err := st.PruneRequests(t.Context(), before, keep)
	if err != nil || int(removed) != len(stored)-len(left) {
		t.Errorf("pruning before %v and beyond %d removes %d of %d, %v; want %d left", before, keep, removed, len(stored), err, len(left))
	}
	return left
}

// An older version's requests are found after an update.
func TestSQLiteMakesBlocksOfWhatIsStored(t *testing.T) {
	b := sqliteBackend()
	location := b.location(t)
	db := b.db(t, location)
	p, err := goose.NewProvider(goose.DialectSQLite3, db, os.DirFS("migrations/sqlite"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	const n = 3*store.BlockRows + 100
	b.insertRequests(t, location, n)
	b.exec(t, location, "DELETE FROM requests WHERE seq BETWEEN $1 AND $2", store.BlockRows-10, 2*store.BlockRows+10) // a block is missing
	b.exec(t, location, "UPDATE requests SET name = 'the first' WHERE seq = 1")

	st := open(t, location)
	var stored []store.Request
	for f := (store.RequestFilter{ID: "request-1"}); ; f = (store.RequestFilter{After: stored[len(stored)-1].Seq}) {
		found, err := st.Requests(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			break
		}
		stored = append(stored, found...)
	}
	for _, f := range []store.RequestFilter{{}, {Name: "the first"}, {PoolID: "pool-0"}, {PoolID: "pool-1", Outcome: "denied"}, {Project: "group/project-1"}, {KeyID: "key-1", To: noon.Add(-time.Hour)}} {
		checkPages(t, st, f, stored, 500)
	}
	if removed, err := st.PruneRequests(t.Context(), time.Time{}, 50); err != nil || int(removed) != len(stored)-50 {
		t.Errorf("%d of %d are removed, %v; want all but 50", removed, len(stored), err)
	}
}
