package store_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"vcsagent/gateway/store"
)

// noon is when the tests' requests come.
var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// addRequests stores requests, one second after the other from noon on unless
// they say when.
func addRequests(t testing.TB, st *store.Store, requests ...store.Request) {
	t.Helper()
	for i := range requests {
		if requests[i].At.IsZero() {
			requests[i].At = noon.Add(time.Duration(i) * time.Second)
		}
	}
	if err := st.AddRequests(t.Context(), requests); err != nil {
		t.Fatal(err)
	}
}

// ids are what a filter finds.
func ids(t testing.TB, st *store.Store, f store.RequestFilter) string {
	t.Helper()
	requests, err := st.Requests(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range requests {
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, " ")
}

func testRequests(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	full := store.Request{ID: "full", At: noon.Add(-time.Hour).Add(1234 * time.Microsecond), PoolID: "P9", PoolName: "gitlab", KeyID: "K9", KeyName: "backend",
		SessionID: "s", Instance: "i", Stream: 3, Method: "GET", Path: "/api/v4/projects?a=b", Name: "list projects", Purpose: "lists projects",
		Project: "group/é", Outcome: "denied", Code: "denied", Reason: "no rule allows it", Status: 403,
		Queued: time.Microsecond, FirstByte: 20 * time.Millisecond, Total: 26 * time.Hour, BytesIn: 1 << 40, BytesOut: 5}
	addRequests(t, st, full)
	got, err := st.Requests(t.Context(), store.RequestFilter{})
	if err != nil || len(got) != 1 || got[0].Seq <= 0 {
		t.Fatalf("requests are %+v, %v", got, err)
	}
	got[0].Seq = 0
	if !reflect.DeepEqual(got[0], full) {
		t.Errorf("read %+v, wrote %+v", got[0], full)
	}

	addRequests(t, st,
		store.Request{ID: "a", PoolID: "P1", KeyID: "K1", Outcome: "served", Name: "list", Project: "g/p"},
		store.Request{ID: "b", PoolID: "P1", KeyID: "K2", Outcome: "denied", Name: "list"},
		store.Request{ID: "c", PoolID: "P2", KeyID: "K1", Outcome: "served", Name: "show", Project: "g/p"},
		store.Request{ID: "d", PoolID: "P1", KeyID: "K1", Outcome: "denied", Name: "show"},
		store.Request{ID: "d", Outcome: "refused"},
		store.Request{ID: "late", PoolID: "P1", Outcome: "served", At: noon.Add(-time.Minute)}, // took long
	)
	at := func(s int) time.Time { return noon.Add(time.Duration(s) * time.Second) }
	for _, tt := range []struct {
		filter store.RequestFilter
		want   string
	}{
		{store.RequestFilter{}, "d d c b a late full"},
		{store.RequestFilter{Limit: 2}, "d d"},
		{store.RequestFilter{PoolID: "P1"}, "d b a late"},
		{store.RequestFilter{PoolID: "P"}, ""},
		{store.RequestFilter{PoolID: "P1\x00"}, ""},
		{store.RequestFilter{KeyID: "K1"}, "d c a"},
		{store.RequestFilter{Outcome: "denied"}, "d b full"},
		{store.RequestFilter{Outcome: "DENIED"}, ""},
		{store.RequestFilter{Name: "show"}, "d c"},
		{store.RequestFilter{Name: "sho%"}, ""},
		{store.RequestFilter{Project: "g/p"}, "c a"},
		{store.RequestFilter{ID: "d"}, "d d"},
		{store.RequestFilter{ID: "d", PoolID: "P1"}, "d"},
		{store.RequestFilter{PoolID: "P1", KeyID: "K1"}, "d a"},
		{store.RequestFilter{PoolID: "P1", Outcome: "denied"}, "d b"},
		{store.RequestFilter{PoolID: "P2", Outcome: "denied"}, ""},
		{store.RequestFilter{PoolID: "P1", Name: "list"}, "b a"},
		{store.RequestFilter{PoolID: "P1", Project: "g/p"}, "a"},
		{store.RequestFilter{PoolID: "P1", KeyID: "K1", Outcome: "served", Name: "list", Project: "g/p", ID: "a"}, "a"},
		{store.RequestFilter{From: at(1), To: at(3)}, "c b"},
		{store.RequestFilter{From: at(1), To: at(1)}, ""},
		{store.RequestFilter{PoolID: "P1", From: at(1)}, "d b"},
		{store.RequestFilter{Outcome: "served", To: at(1)}, "a late"},
	} {
		if got := ids(t, st, tt.filter); got != tt.want {
			t.Errorf("%+v finds %q, want %q", tt.filter, got, tt.want)
		}
	}
	if err := st.AddRequests(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// Pages join without a gap, also among requests of one time, and what comes in
// between changes no page that follows.
func testRequestsPages(t *testing.T, b backend) {
	const n = 250 // more than one statement adds
	var requests []store.Request
	for i := range n {
		requests = append(requests, store.Request{ID: fmt.Sprint(i), PoolID: "P" + fmt.Sprint(i%2), At: noon.Add(time.Duration(i/10) * time.Second)})
	}
	for _, tt := range []struct {
		filter store.RequestFilter
		step   int
	}{{store.RequestFilter{}, 1}, {store.RequestFilter{PoolID: "P1"}, 2}} {
		st, _ := b.fresh(t)
		addRequests(t, st, requests...)
		tt.filter.Limit = 7
		next := n - 1
		for {
			page, err := st.Requests(t.Context(), tt.filter)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			for _, r := range page {
				if r.ID != fmt.Sprint(next) {
					t.Fatalf("%+v: request %s comes where %d should", tt.filter, r.ID, next)
				}
				next -= tt.step
			}
			tt.filter.Before = page[len(page)-1].Seq
			addRequests(t, st, store.Request{ID: "new", PoolID: "P1", At: noon.Add(time.Hour)})
		}
		if next >= 0 {
			t.Errorf("%+v: the pages end before request %d", tt.filter, next)
		}
		if got := ids(t, st, store.RequestFilter{Before: 1 << 40}); got != "" {
			t.Errorf("a cursor that is gone finds %q", got)
		}
	}
}

func testRequestsAreBounded(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	long := strings.Repeat("é", 10_000)
	for _, s := range []string{long, "x" + long, "nul\x00 and \xff", strings.Repeat("\x80", 10_000), ""} {
		addRequests(t, st, store.Request{ID: s, PoolID: s, PoolName: s, KeyID: s, KeyName: s, SessionID: s, Instance: s, Method: s, Path: s,
			Name: s, Purpose: s, Project: s, Outcome: s, Code: s, Reason: s, Total: -time.Second, Status: -1})
	}
	all, err := st.Requests(t.Context(), store.RequestFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range all {
		text := fmt.Sprint(r)
		if len(text) > 8000 || strings.ContainsAny(text, "\x00") || strings.ToValidUTF8(text, "") != text {
			t.Errorf("a request of %d bytes is stored, starting with %.300q", len(text), text)
		}
	}
	// What was cut is found by what was sent.
	for _, f := range []store.RequestFilter{{ID: long}, {PoolID: long}, {KeyID: long}, {Name: long}, {Project: long}, {Outcome: long}} {
		if got, err := st.Requests(t.Context(), f); err != nil || len(got) != 1 {
			t.Errorf("%d are found by a long string, %v; want 1", len(got), err)
		}
	}
	var many []store.Request
	for range store.MaxPage + 1 {
		many = append(many, store.Request{})
	}
	addRequests(t, st, many...)
	for _, limit := range []int{0, 1 << 30} {
		if got, err := st.Requests(t.Context(), store.RequestFilter{Limit: limit}); err != nil || len(got) != store.MaxPage {
			t.Errorf("limit %d gives %d, %v; want %d", limit, len(got), err, store.MaxPage)
		}
	}
}

// filters are those that must answer fast whatever is stored, with the index
// that makes them on a server, and for an ID on SQLite too.
var filters = []struct {
	name   string
	filter store.RequestFilter
	index  string
}{
	{"all", store.RequestFilter{}, "requests_by_at"},
	{"pool", store.RequestFilter{PoolID: "pool-0"}, "requests_by_pool"},
	{"pool, rare", store.RequestFilter{PoolID: "pool-19"}, "requests_by_pool"},
	{"pool, none", store.RequestFilter{PoolID: "none"}, "requests_by_pool"},
	{"key", store.RequestFilter{KeyID: "key-0"}, "requests_by_key"},
	{"key, none", store.RequestFilter{KeyID: "none"}, "requests_by_key"},
	{"outcome", store.RequestFilter{Outcome: "served"}, "requests_by_outcome"},
	{"outcome, rare", store.RequestFilter{Outcome: "busy"}, "requests_by_outcome"},
	{"outcome, none", store.RequestFilter{Outcome: "none"}, "requests_by_outcome"},
	{"name", store.RequestFilter{Name: "call-1"}, "requests_by_name"},
	{"name, none", store.RequestFilter{Name: "none"}, "requests_by_name"},
	{"project", store.RequestFilter{Project: "group/project-1"}, "requests_by_project"},
	{"project, none", store.RequestFilter{Project: "none"}, "requests_by_project"},
	{"id", store.RequestFilter{ID: "request-77"}, "requests_by_id"},
	{"id, none", store.RequestFilter{ID: "none"}, "requests_by_id"},
	{"id, many", store.RequestFilter{ID: "again"}, "requests_by_id"},
	{"pool and key", store.RequestFilter{PoolID: "pool-0", KeyID: "key-0"}, "requests_by_pool_key"},
	{"pool and outcome", store.RequestFilter{PoolID: "pool-1", Outcome: "denied"}, "requests_by_pool_outcome"},
	// Both are many, and none is both.
	{"pool and outcome, none", store.RequestFilter{PoolID: "pool-0", Outcome: "denied"}, "requests_by_pool_outcome"},
	{"pool and name", store.RequestFilter{PoolID: "pool-0", Name: "call-1"}, "requests_by_pool_name"},
	{"pool and name, none", store.RequestFilter{PoolID: "pool-0", Name: "none"}, "requests_by_pool_name"},
	{"pool and project", store.RequestFilter{PoolID: "pool-0", Project: "group/project-2"}, "requests_by_pool_project"},
	{"pool and project, none", store.RequestFilter{PoolID: "pool-0", Project: "none"}, "requests_by_pool_project"},
}

// seed stores n requests, a second apart before noon. Half of them are pool-0's,
// where nothing is denied; in the other pools half is.
func (b backend) seed(t testing.TB, location string, n int) {
	t.Helper()
	b.insertRequests(t, location, n)
	if b.server == nil {
		if err := store.FillBlocks(t.Context(), b.db(t, location)); err != nil {
			t.Fatal(err)
		}
	}
	b.exec(t, location, "ANALYZE")
}

// insertRequests does so behind the store's back.
func (b backend) insertRequests(t testing.TB, location string, n int) {
	t.Helper()
	b.exec(t, location, `INSERT INTO requests (id, at, pool_id, pool_name, key_id, key_name, session_id, instance, stream, method, path, name, purpose,
			project, outcome, code, reason, status, queued, first_byte, total, bytes_in, bytes_out)
		WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1)
		SELECT CASE WHEN i % 10 = 3 THEN 'again' ELSE 'request-' || i END, CAST($2 AS BIGINT) + i * 1000000, 'pool-' || p, 'pool-' || p, 'key-' || (i / 2 % 5), 'key-' || (i / 2 % 5),
			'0123456789abcdef0123456789', '0123456789abcdef0123456789', i % 4, 'GET', '/api/v4/projects/group%2Fproject-' || (i / 3 % 1000) || '/repository/tree?ref=main',
			'call-' || (i / 7 % 40), 'lists what is in a folder', 'group/project-' || (i / 3 % 1000),
			CASE WHEN i % 100000 = 1 THEN 'busy' WHEN p > 0 AND i / 40 % 2 = 1 THEN 'denied' ELSE 'served' END,
			'', '', 200, 100, 20000, 30000, 0, 4096
		FROM (SELECT i, CASE WHEN i % 2 = 0 THEN 0 ELSE 1 + i / 2 % 19 END AS p FROM n) AS requests`,
		n, noon.Add(-time.Duration(n)*time.Second).UnixMicro())
}

// Each filter is answered from an index that has just what it wants in the order
// it wants it, also within times and on a later page. On SQLite, only an ID is;
// others are from the blocks that have some of it.
func testRequestsReadNoMoreThanTheyReturn(t *testing.T, b backend) {
	st, location := b.fresh(t)
	n := 20_000
	if b.server != nil { // its plans depend on what is stored
		n = 100_000
	}
	b.seed(t, location, n)
	ago := func(n int) time.Time { return noon.Add(-time.Duration(n) * time.Second) }
	for _, tt := range filters {
		for what, more := range map[string]func(*store.RequestFilter){
			"":            func(*store.RequestFilter) {},
			", in a span": func(f *store.RequestFilter) { f.From, f.To = ago(n*7/10), ago(n*6/10) },
			", next page": func(f *store.RequestFilter) { f.Before = int64(n / 2) },
		} {
			f := tt.filter
			f.Limit = 50
			more(&f)
			if b.server == nil && f.ID == "" {
				checkBlocksRead(t, b, st, location, tt.name+what, f, ago(n/2))
				continue
			}
			query, args := store.RequestsQuery(b.server != nil, f, ago(n/2))
			plan := b.plan(t, location, query, args...)
			if !slices.Contains(strings.Fields(plan), tt.index) || strings.Contains(strings.ToUpper(plan), "SORT") || strings.Contains(plan, "TEMP B-TREE") ||
				strings.Contains(plan, "Filter") || strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s%s: %s\n%s", tt.name, what, query, plan)
			}
			if f.PoolID+f.KeyID+f.Outcome+f.Name+f.Project+f.ID != "" && strings.Contains(plan, "SCAN") {
				t.Errorf("%s%s looks at every request:\n%s", tt.name, what, plan)
			}
		}
	}
	if b.server == nil {
		return
	}
	plan := b.plan(t, location, store.PruneQuery(), noon.Add(-24*time.Hour).UnixMicro())
	if !slices.Contains(strings.Fields(plan), "requests_by_at") || strings.Contains(plan, "Seq Scan") {
		t.Errorf("pruning:\n%s", plan)
	}
}

// plan is how the database would run a query.
func (b backend) plan(t testing.TB, location, query string, args ...any) string {
	t.Helper()
	db := b.db(t, location)
	defer db.Close()
	db.SetMaxOpenConns(1)
	explain := "EXPLAIN QUERY PLAN "
	if b.server != nil {
		explain = "EXPLAIN "
		for _, setting := range store.ReadSession {
			if _, err := db.ExecContext(t.Context(), setting); err != nil {
				t.Fatal(err)
			}
		}
	}
	rows, err := db.QueryContext(t.Context(), explain+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var line string
		dest := []any{&line}
		if b.server == nil {
			dest = []any{new(int), new(int), new(int), &line}
		}
		if err := rows.Scan(dest...); err != nil {
			t.Fatal(err)
		}
		plan.WriteString(line + "\n")
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return plan.String()
}

func testPruneRequests(t *testing.T, b backend) {
	st, location := b.fresh(t)
	db := b.db(t, location)
	stored := func() (seqs []int64) {
		rows, err := db.QueryContext(t.Context(), "SELECT seq FROM requests ORDER BY at, seq")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var seq int64
			if err := rows.Scan(&seq); err != nil {
				t.Fatal(err)
			}
			seqs = append(seqs, seq)
		}
		return seqs
	}
	const n = store.PruneRows + 50 // more than one step removes
	requests := make([]store.Request, n)
	addRequests(t, st, requests...)
	at := func(i int) time.Time { return noon.Add(time.Duration(i) * time.Second) }
	all := stored()
	left := n
	for _, step := range []struct {
		before time.Time
		keep   int64
		left   int
	}{
		{time.Time{}, 0, n},
		{noon, 0, n},
		{time.Time{}, n, n},
		{time.Time{}, n - 1, n - 1}, // the oldest goes
		{at(3), 0, n - 3},           // it has gone, and the next two go
		{at(store.PruneRows + 10), 0, 40},
		{at(1), 15, 15},
		{at(n - 10), 12, 10},
		{at(n), 0, 0},
	} {
		removed, err := st.PruneRequests(t.Context(), step.before, step.keep)
		if err != nil || int(removed) != left-step.left {
			t.Errorf("%+v: %d removed, %v; want %d", step, removed, err, left-step.left)
		}
		left = step.left
		if got := stored(); !slices.Equal(got, all[n-left:]) {
			t.Errorf("%+v: %d are left; want the newest %d", step, len(got), left)
		}
	}
	last := all[n-1]
	if page, err := st.Requests(t.Context(), store.RequestFilter{Before: last}); err != nil || len(page) != 0 {
		t.Errorf("after a cursor that was pruned come %v, %v", page, err)
	}
	addRequests(t, st, store.Request{ID: "new"}) // a number is never given out twice
	if page, err := st.Requests(t.Context(), store.RequestFilter{}); err != nil || len(page) != 1 || page[0].Seq <= last {
		t.Errorf("the next request is %+v, %v; the last was %d", page, err, last)
	}
}

// Those who write get their turn between the steps.
func testPruneStopsNoWriter(t *testing.T, b backend) {
	st, location := b.fresh(t)
	const rows = 8 * store.PruneRows
	b.seed(t, location, rows)
	done := make(chan error)
	go func() {
		removed, err := st.PruneRequests(t.Context(), noon.Add(time.Hour), 0)
		if err == nil && removed < rows {
			err = fmt.Errorf("%d removed", removed)
		}
		done <- err
	}()
	written := 0
	for {
		addRequests(t, st, store.Request{At: noon.Add(2 * time.Hour)})
		addPool(t, st, fmt.Sprint("p", written))
		written++
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			if written < 2 { // one could have begun before, and ended after
				t.Errorf("%d writes while requests were pruned", written)
			}
			if got, err := st.Requests(t.Context(), store.RequestFilter{Limit: store.MaxPage}); err != nil || len(got) != written {
				t.Errorf("%d requests are left, %v; want the %d new ones", len(got), err, written)
			}
			return
		default:
		}
	}
}

// Requests as they come, into an empty database.
func BenchmarkAddRequests(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgresql"} {
		b.Run(kind, func(b *testing.B) {
			st, _ := newBackend(b, kind).fresh(b)
			benchmarkAdd(b, st)
		})
	}
}

// benchmarkAdd adds batches of 500 and tells what a row takes, and how much of
// that this process computes.
func benchmarkAdd(b *testing.B, st *store.Store) {
	batch := make([]store.Request, 500)
	random := rand.New(rand.NewPCG(1, 2))
	before := cpuTime(b)
	for b.Loop() {
		for i := range batch {
			n := random.IntN(1000)
			batch[i] = store.Request{ID: ulid.Make().String(), At: time.Now(), PoolID: fmt.Sprintf("01JZYX8T0C2V4B6N8M0QPOOL%02d", n%20), PoolName: "gitlab",
				KeyID: fmt.Sprintf("01JZYX8T0C2V4B6N8M0QWKEY%02d", n%5), KeyName: "backend", SessionID: "0123456789abcdef0123456789abcdef", Instance: "0123456789abcdef",
				Stream: n % 4, Method: "GET", Path: fmt.Sprintf("/api/v4/projects/group%%2Fproject-%d/repository/tree?ref=main", n), Name: fmt.Sprint("call-", n%40),
				Purpose: "lists what is in a folder", Project: fmt.Sprint("group/project-", n), Outcome: "served", Status: 200,
				Queued: time.Millisecond, FirstByte: 20 * time.Millisecond, Total: 30 * time.Millisecond, BytesOut: 4096}
		}
		addRequests(b, st, batch...)
	}
	rows := float64(b.N * len(batch))
	b.ReportMetric(rows/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/rows, "cpu-us/row")
}

// cpuTime is what this process has computed so far.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A million requests and every filter.
func BenchmarkRequests(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgresql"} {
		b.Run(kind, func(b *testing.B) {
			backend := newBackend(b, kind)
			st, location := backend.fresh(b)
			backend.seed(b, location, 1_000_000)
			for _, tt := range filters {
				tt.filter.Limit = 50
				b.Run(tt.name, func(b *testing.B) {
					for b.Loop() {
						if _, err := st.Requests(b.Context(), tt.filter); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			for name, f := range map[string]store.RequestFilter{"after, none of the newest": {After: 1, Project: "none"}, "after, all": {After: 990_000, Limit: 50},
				"all, deep": {Before: 20_000, Limit: 50}, "outcome, deep": {Outcome: "served", Before: 20_000, Limit: 50},
				"pool and project, deep": {PoolID: "pool-0", Project: "group/project-2", Before: 500_000, Limit: 50},
				"name and outcome":       {Name: "call-1", Outcome: "denied", Limit: 50},
				"key and outcome, rare":  {KeyID: "key-0", Outcome: "busy", Limit: 50},
				"all, long page":         {},
				"project, long page":     {Project: "group/project-1"}} {
				b.Run(name, func(b *testing.B) {
					for b.Loop() {
						if _, err := st.Requests(b.Context(), f); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			b.Run("add 500", func(b *testing.B) { benchmarkAdd(b, st) })
			b.Run("prune 10000", func(b *testing.B) {
				const n = 10_000
				before, cpu := noon.Add(-1_000_000*time.Second), cpuTime(b)
				for b.Loop() {
					before = before.Add(n * time.Second)
					if _, err := st.PruneRequests(b.Context(), before, 0); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64((cpuTime(b)-cpu).Microseconds())/float64(b.N*n), "cpu-us/row")
			})
			b.Run("prune by number, none", func(b *testing.B) {
				if _, err := st.PruneRequests(b.Context(), time.Time{}, 900_000); err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					if _, err := st.PruneRequests(b.Context(), time.Time{}, 900_000); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
