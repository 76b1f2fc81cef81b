package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway/api"
	"vcsagent/gateway/store"
)

// at is when the first request of the tests came.
var at = time.Date(2026, 5, 6, 7, 8, 9, 123456000, time.UTC)

func TestRequestsAreShownWhole(t *testing.T) {
	f := newFixture(t)
	pool := f.pool(t, "gitlab")
	stored := f.record(t, store.Request{ID: "id", At: at, PoolID: pool.ID, PoolName: "gitlab", KeyID: "k", KeyName: "backend", SessionID: "s", Instance: "i",
		Stream: 3, Method: "GET", Path: "/p", Name: "gitlab.x", Purpose: "to see", Project: "a/b", Outcome: "denied", Code: "denied", Reason: "no_rule",
		Status: 403, Queued: 1500 * time.Millisecond, FirstByte: 2 * time.Second, Total: 3 * time.Second, BytesIn: 4, BytesOut: 5})
	page, err := f.client(t, f.admin).Requests(t.Context(), api.RequestFilter{})
	if err != nil || len(page.Requests) != 1 || page.Next != "" {
		t.Fatalf("page is %+v, %v", page, err)
	}
	want := api.Request{Seq: stored[0].Seq, ID: "id", Time: at, PoolID: pool.ID, Pool: "gitlab", KeyID: "k", Key: "backend", Session: "s", Instance: "i",
		Stream: 3, Method: "GET", Path: "/p", Name: "gitlab.x", Purpose: "to see", Project: "a/b", Outcome: "denied", Code: "denied", Reason: "no_rule",
		Status: 403, Queued: 1.5, FirstByte: 2, Elapsed: 3, BytesIn: 4, BytesOut: 5}
	if page.Requests[0] != want {
		t.Errorf("request is\n%+v, want\n%+v", page.Requests[0], want)
	}
}

// requests stores n of them, a second apart, and returns their ids, newest first.
func (f *fixture) requests(t *testing.T, n int) []string {
	t.Helper()
	var list []store.Request
	var ids []string
	for i := range n {
		r := store.Request{ID: fmt.Sprint("r", i), At: at.Add(time.Duration(i) * time.Second), Outcome: "served", Method: "GET", Path: "/"}
		if i%2 == 1 {
			r.Outcome = "denied"
		}
		list = append(list, r)
		ids = append(ids, r.ID)
	}
	f.record(t, list...)
	slices.Reverse(ids)
	return ids
}

func idsOf(requests []api.Request) []string {
	var ids []string
	for _, r := range requests {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestRequestsComeInPages(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	want := f.requests(t, 10)
	for _, limit := range []int{1, 3, 5, 10, 11, 1000} {
		var got []string
		filter := api.RequestFilter{Limit: limit}
		for {
			page, err := client.Requests(t.Context(), filter)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, idsOf(page.Requests)...)
			if filter.Before = page.Next; page.Next == "" {
				break
			}
			f.record(t, store.Request{ID: "newer", At: at.Add(time.Hour)}) // doesn't shift the pages
		}
		got = slices.DeleteFunc(got, func(id string) bool { return id == "newer" })
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %v, want %v", limit, got, want)
		}
	}
	for limit, next := range map[int]bool{4: true, 5: false, 6: false} {
		page, err := client.Requests(t.Context(), api.RequestFilter{Outcome: "denied", Limit: limit})
		if err != nil || (page.Next != "") != next {
			t.Errorf("%d of 5 requests: next is %q, %v", limit, page.Next, err)
		}
	}
}

func TestAPageHas100RequestsIfNoneAreNamed(t *testing.T) {
	f := newFixture(t)
	f.requests(t, 101)
	page, err := f.client(t, f.admin).Requests(t.Context(), api.RequestFilter{})
	if err != nil || len(page.Requests) != 100 || page.Next == "" {
		t.Errorf("%d requests, next %q, %v", len(page.Requests), page.Next, err)
	}
}

func TestRequestsAreFiltered(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	if _, err := client.CreatePool(t.Context(), api.NewPool{Name: "gone"}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateKey(t.Context(), api.NewKey{Name: "gone", Pools: []string{"gone"}}); err != nil {
		t.Fatal(err)
	}
	gone := f.pool(t, "gone").ID
	goneKey, err := client.Key(t.Context(), "gone")
	if err != nil {
		t.Fatal(err)
	}
	backend, err := client.Key(t.Context(), "backend")
	if err != nil {
		t.Fatal(err)
	}
	f.record(t,
		store.Request{ID: "1", At: at, PoolID: f.pool(t, "gitlab").ID, PoolName: "gitlab", KeyID: backend.ID, Name: "n1", Project: "a/b", Outcome: "served"},
		store.Request{ID: "2", At: at.Add(time.Minute), PoolID: gone, PoolName: "gone", KeyID: goneKey.ID, Name: "n2", Project: "a/b", Outcome: "denied"},
		store.Request{ID: "3", At: at.Add(time.Hour), PoolID: gone, PoolName: "gone", KeyID: backend.ID, Name: "n1", Project: "ü ?&=+/%", Outcome: "served"},
	)
	if err := client.DeletePool(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if err := client.DeleteKey(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		filter api.RequestFilter
		want   []string
	}{
		{"none", api.RequestFilter{}, []string{"3", "2", "1"}},
		{"pool", api.RequestFilter{Pool: "gitlab"}, []string{"1"}},
		{"pool that was deleted", api.RequestFilter{Pool: "gone"}, []string{"3", "2"}},
		{"its id", api.RequestFilter{Pool: gone}, []string{"3", "2"}},
		{"id of a pool", api.RequestFilter{Pool: f.pool(t, "gitlab").ID}, []string{"1"}},
		{"key", api.RequestFilter{Key: "backend"}, []string{"3", "1"}},
		{"key that was deleted", api.RequestFilter{Key: "gone"}, []string{"2"}},
		{"id of a key", api.RequestFilter{Key: goneKey.ID}, []string{"2"}},
		{"outcome", api.RequestFilter{Outcome: "denied"}, []string{"2"}},
		{"name", api.RequestFilter{Name: "n1"}, []string{"3", "1"}},
		{"project", api.RequestFilter{Project: "a/b"}, []string{"2", "1"}},
		{"project with what URLs escape", api.RequestFilter{Project: "ü ?&=+/%"}, []string{"3"}},
		{"id", api.RequestFilter{ID: "2"}, []string{"2"}},
		{"from", api.RequestFilter{From: at.Add(time.Minute)}, []string{"3", "2"}},
		{"from in another zone", api.RequestFilter{From: at.Add(time.Minute).In(time.FixedZone("", 2*3600))}, []string{"3", "2"}},
		{"to", api.RequestFilter{To: at.Add(time.Minute)}, []string{"1"}},
		{"from, to", api.RequestFilter{From: at.Add(time.Microsecond), To: at.Add(time.Hour)}, []string{"2"}},
		{"several", api.RequestFilter{Pool: "gone", Key: "backend", Outcome: "served"}, []string{"3"}},
		{"nothing", api.RequestFilter{Pool: "gitlab", Outcome: "denied"}, nil},
	} {
		page, err := client.Requests(t.Context(), tt.filter)
		if err != nil || !slices.Equal(idsOf(page.Requests), tt.want) {
			t.Errorf("%s: %v, %v; want %v", tt.name, idsOf(page.Requests), err, tt.want)
		}
	}
	// A new pool of the old name is the one that is meant.
	if _, err := client.CreatePool(t.Context(), api.NewPool{Name: "gone"}); err != nil {
		t.Fatal(err)
	}
	if page, err := client.Requests(t.Context(), api.RequestFilter{Pool: "gone"}); err != nil || len(page.Requests) != 0 {
		t.Errorf("requests to a new pool are %+v, %v", page, err)
	}
	if list, is := f.ask(t, "GET", "/api/v1/requests?pool=gone", "", 200)["requests"].([]any); !is || len(list) != 0 {
		t.Errorf("none are %v, want []", list)
	}
}

func TestQueriesRefuse(t *testing.T) {
	f := newFixture(t)
	for _, tt := range []struct {
		path   string
		status int
		code   string
		detail string
	}{
		{"requests?pool=", 422, "invalid", `"pool" is empty`},
		{"requests?pool=gitlab&limit=", 422, "invalid", `"limit" is empty`},
		{"requests?pool", 422, "invalid", `"pool" is empty`},
		{"requests?pol=gitlab", 400, "unknown_parameter", `"pol", which is not one of before, limit, pool, key`},
		{"requests?Pool=gitlab", 400, "unknown_parameter", `"Pool"`},
		{"requests?after=1", 400, "unknown_parameter", `"after"`},
		{"requests?pool=gitlab&pool=gitlab", 400, "bad_query", "is there 2 times"},
		{"requests?pool=%zz", 400, "bad_query", "could not be read"},
		{"requests?pool=gitlab;key=x", 400, "bad_query", "could not be read"},
		{"requests?pool=other", 422, "unknown_pool", `Pool "other" does not exist.`},
		{"requests?key=other", 422, "unknown_key", `Key "other" does not exist.`},
		{"requests?limit=0", 422, "invalid", `limit="0" must be a whole number from 1 to 1000`},
		{"requests?limit=1001", 422, "invalid", "1001"},
		{"requests?limit=ten", 422, "invalid", "ten"},
		{"requests?before=0", 422, "invalid", `before="0" must be what the page before has as its next`},
		{"requests?before=x", 422, "invalid", `before="x"`},
		{"requests?before=123456", 200, "", ""}, // pruned meanwhile
		{"requests?from=yesterday", 422, "invalid", `from="yesterday" must be a time such as 2030-01-31T12:00:00Z`},
		{"requests?to=2026-01-01T00:00:00+01:00", 422, "invalid", "with a + encoded as %2B"},
		{"requests?to=2026-01-01T00:00:00%2B01:00", 200, "", ""},
		{"requests/follow?limit=1", 400, "unknown_parameter", `"limit"`},
		{"requests/follow?pool=other", 422, "unknown_pool", `"other"`},
		{"requests/follow?from=x", 422, "invalid", "from"},
		{"audit?limit=1001", 422, "invalid", "limit"},
		{"audit?pool=gitlab", 400, "unknown_parameter", "before, limit, action, target"},
		{"overview?since=x", 422, "invalid", "since"},
		{"traffic?pool=other", 422, "unknown_pool", `"other"`},
		{"traffic?bucket=x", 422, "invalid", `bucket="x" must be a number of seconds`},
		{"traffic?bucket=NaN", 422, "invalid", `bucket="NaN"`},
		{"traffic?bucket=90", 422, "invalid", "whole minutes"},
		{"traffic?bucket=0", 422, "invalid", "whole minutes"},
		{"traffic?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 422, "invalid", "From 2026-01-02T00:00:00Z is not before to"},
		{"traffic?bucket=60&from=2026-01-01T00:00:00Z", 422, "invalid", "at most 2000"},
		{"pools?limit=1", 400, "unknown_parameter", "takes none"},
		{"version?x", 400, "unknown_parameter", "takes none"},
	} {
		got := f.ask(t, "GET", "/api/v1/"+tt.path, "", tt.status)
		if tt.status == 200 {
			continue
		}
		if detail, _ := got["detail"].(string); got["code"] != tt.code || !strings.Contains(detail, tt.detail) {
			t.Errorf("%s: %v, want %s and %q", tt.path, got, tt.code, tt.detail)
		}
	}
}

func TestTraffic(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	pool := f.pool(t, "gitlab").ID
	now := time.Now().UTC()
	f.record(t, store.Request{At: now, Outcome: "served", PoolID: pool}, store.Request{At: now, Outcome: "denied"}, store.Request{At: now, Outcome: "cut"})

	all, err := client.Traffic(t.Context(), api.TrafficFilter{})
	if err != nil || all.Bucket != 3600 || all.To.Sub(all.From) != 24*time.Hour || len(all.Buckets) < 24 || len(all.Buckets) > 25 {
		t.Fatalf("traffic is %+v, %v", all, err)
	}
	if last := all.Buckets[len(all.Buckets)-1]; last.Served != 1 || last.Denied != 1 || last.Failed != 1 {
		t.Errorf("the last hour is %+v", last)
	}
	one, err := client.Traffic(t.Context(), api.TrafficFilter{Pool: "gitlab", From: now.Add(-time.Hour), To: now.Add(time.Minute), Bucket: 5 * time.Minute})
	if err != nil || one.Bucket != 300 || len(one.Buckets) < 12 {
		t.Fatalf("traffic is %+v, %v", one, err)
	}
	var sum api.Bucket
	for _, b := range one.Buckets {
		sum.Served, sum.Denied, sum.Failed = sum.Served+b.Served, sum.Denied+b.Denied, sum.Failed+b.Failed
	}
	if sum != (api.Bucket{Served: 1}) {
		t.Errorf("the pool's traffic is %+v", sum)
	}
}

func TestAuditLog(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	yes := true
	if _, err := client.UpdatePool(t.Context(), "gitlab", api.PoolChange{Paused: &yes}); err != nil {
		t.Fatal(err)
	}
	page, err := client.Audit(t.Context(), api.AuditFilter{Target: "gitlab"})
	if err != nil || len(page.Entries) != 2 || page.Next != "" {
		t.Fatalf("entries are %+v, %v", page, err)
	}
	e := page.Entries[0]
	if e.Action != "pool.update" || e.Target.Kind != "pool" || e.Target.Name != "gitlab" || e.Target.ID == "" || e.Actor.Key != "admin" ||
		e.Actor.KeyID == "" || e.Actor.RemoteAddress == "" || e.Detail["paused"] != "true" || time.Since(e.Time) > time.Minute {
		t.Errorf("entry is %+v", e)
	}
	var actions []string
	filter := api.AuditFilter{Limit: 1}
	for {
		page, err := client.Audit(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Entries {
			actions = append(actions, e.Action)
		}
		if filter.Before = page.Next; page.Next == "" {
			break
		}
	}
	if want := []string{"pool.update", "key.create", "pool.create", "key.create"}; !slices.Equal(actions, want) {
		t.Errorf("actions are %v, want %v", actions, want)
	}
	if page, err := client.Audit(t.Context(), api.AuditFilter{Action: "key.create"}); err != nil || len(page.Entries) != 2 {
		t.Errorf("entries are %+v, %v", page, err)
	}
}

func TestOverview(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	yes := true
	if _, err := client.CreatePool(t.Context(), api.NewPool{Name: "paused"}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.UpdatePool(t.Context(), "paused", api.PoolChange{Paused: &yes}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreatePool(t.Context(), api.NewPool{Name: "silent"}); err != nil {
		t.Fatal(err)
	}
	f.connect(f.pool(t, "gitlab").ID, connection(4, 1), connection(2, 0))
	now := time.Now().UTC()
	f.record(t, store.Request{At: now, Outcome: "served"}, store.Request{At: now.Add(-2 * time.Hour), Outcome: "denied"})
	got, err := client.Overview(t.Context(), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if day := time.Since(got.Since) - 24*time.Hour; day < 0 || day > time.Minute {
		t.Errorf("counted since %v", got.Since)
	}
	got.Since = time.Time{}
	want := api.Overview{Pools: 3, PausedPools: 1, SilentPools: 1, Keys: 2, AdminKeys: 1, Agents: 2, Streams: 6, InFlight: 1,
		Requests: api.RequestCounts{Served: 1, Denied: 1}}
	if got != want {
		t.Errorf("overview is %+v, want %+v", got, want)
	}
	if got, err := client.Overview(t.Context(), now.Add(-time.Hour)); err != nil || got.Requests != (api.RequestCounts{Served: 1}) {
		t.Errorf("requests of the last hour are %+v, %v", got.Requests, err)
	}
}

func TestVersion(t *testing.T) {
	f := newFixture(t)
	if v, err := f.client(t, f.admin).Version(t.Context()); err != nil || v != "1.2.3" {
		t.Errorf("version is %q, %v", v, err)
	}
}
