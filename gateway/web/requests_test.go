package web_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

var rowID = regexp.MustCompile(`<tr id="request-(\d+)">`)

// rowsOf are the Seqs of the requests that a page lists.
func rowsOf(a answer) []string {
	var ids []string
	for _, m := range rowID.FindAllStringSubmatch(a.body, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

func TestRequestsAndTheirFilters(t *testing.T) {
	r := newRig(t)
	p, _ := r.pool("basement")
	other, _ := r.pool("attic")
	key, _, err := r.control.CreateKey(t.Context(), tester, store.NewKey{Name: "backend", Pools: []string{"basement"}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	added := r.add(
		store.Request{ID: "a", At: now.Add(-3 * time.Hour), PoolID: p.ID, PoolName: "basement", Method: "GET", Path: "/old", Outcome: "served", Status: 200},
		store.Request{ID: "b", At: now.Add(-2 * time.Minute), PoolID: p.ID, PoolName: "basement", Method: "GET", Path: "/users", Outcome: "denied", Status: 403, Reason: "no_rule"},
		store.Request{ID: "c", At: now.Add(-time.Minute), PoolID: p.ID, PoolName: "basement", Method: "GET", Path: "/user", Name: "gitlab.user", Outcome: "served", KeyID: key.ID, KeyName: "backend"},
		store.Request{ID: "d", At: now, PoolID: other.ID, PoolName: "attic", Method: "GET", Path: "/p", Project: "group/repo", Outcome: "no_agent", Status: 503},
	)
	seq := func(i int) string { return fmt.Sprint(added[i].Seq) }
	b := r.signedIn()
	stamp := func(d time.Duration) string { return now.Add(d).UTC().Format("2006-01-02T15:04") }
	for path, want := range map[string][]string{
		"/requests":                                 {seq(3), seq(2), seq(1), seq(0)},
		"/pools/basement/requests":                  {seq(2), seq(1), seq(0)},
		"/pools/basement/requests?pool=attic":       {seq(2), seq(1), seq(0)}, // it stays that pool's page
		"/requests?pool=attic":                      {seq(3)},
		"/requests?pool=" + other.ID:                {seq(3)},
		"/requests?outcome=denied":                  {seq(1)},
		"/requests?name=gitlab.user":                {seq(2)},
		"/requests?project=group/repo":              {seq(3)},
		"/requests?id=a":                            {seq(0)},
		"/requests?key=backend":                     {seq(2)},
		"/requests?key=" + key.ID:                   {seq(2)},
		"/requests?since=1h&pool=basement":          {seq(2), seq(1)},
		"/requests?to=" + stamp(-time.Hour):         {seq(0)},
		"/requests?from=" + stamp(-time.Hour):       {seq(3), seq(2), seq(1)},
		"/requests?outcome=served&name=gitlab.user": {seq(2)},
		"/requests?name=nothing":                    nil,
	} {
		a := b.get(path)
		if got := rowsOf(a); a.StatusCode != http.StatusOK || !slices.Equal(got, want) {
			t.Errorf("%s lists %v (status %d), want %v", path, got, a.StatusCode, want)
		}
	}
	b.get("/requests?name=nothing").has(t, "No request matches")
	b.get("/requests?outcome=denied&name=x").has(t, `value="denied" selected`, `name="name" value="x"`)
	wrong := b.get("/requests?from=noon")
	wrong.has(t, "is no time")
	wrong.lacks(t, `value="noon"`)
	if err := r.control.DeleteKey(t.Context(), tester, "backend"); err != nil {
		t.Fatal(err)
	}
	if got := rowsOf(b.get("/requests?key=" + key.ID)); !slices.Equal(got, []string{seq(2)}) {
		t.Errorf("a deleted key's requests: %v", got)
	}
}

func TestRequestsInPages(t *testing.T) {
	r := newRig(t)
	r.pool("basement")
	b := r.signedIn()
	b.get("/requests").has(t, "No request yet")
	requests := make([]store.Request, 120)
	for i := range requests {
		requests[i] = store.Request{At: time.Now().Add(time.Duration(i) * time.Millisecond), Outcome: "served", Method: "GET", Path: "/"}
	}
	r.add(requests...)
	older := regexp.MustCompile(`id="older" href="([^"]+)"`)
	var all []string
	path := "/requests?outcome=served"
	for path != "" {
		a := b.get(path)
		rows := rowsOf(a)
		if len(rows) > 50 {
			t.Fatalf("a page has %d rows", len(rows))
		}
		all = append(all, rows...)
		m := older.FindStringSubmatch(a.body)
		path = ""
		if m != nil {
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
		if len(all) > 50 {
			a.has(t, `rel="prev"`)
			a.lacks(t, `id="live-toggle"`)
		}
	}
	if len(all) != 120 || len(slices.Compact(slices.Sorted(slices.Values(all)))) != 120 {
		t.Errorf("the pages list %d requests, want each of 120 once", len(all))
	}
}

var afterData = regexp.MustCompile(`data-after="(\d+)"`)

// The script asks for what came after the last request that it knows.
func TestNewRequests(t *testing.T) {
	r := newRig(t)
	p, _ := r.pool("basement")
	b := r.signedIn()
	request := func(outcome string) store.Request {
		return store.Request{PoolID: p.ID, PoolName: "basement", Method: "GET", Path: "/", Outcome: outcome}
	}
	first := r.add(request("served"), request("denied"))
	page := b.get("/pools/basement/requests?outcome=denied")
	after := afterData.FindStringSubmatch(page.body)[1]
	if after != fmt.Sprint(first[1].Seq) {
		t.Errorf("the page goes on after %s, want %d", after, first[1].Seq)
	}
	page.has(t, `data-rows="/pools/basement/requests?outcome=denied"`)
	next := func() answer { return b.get("/pools/basement/requests?outcome=denied&after=" + after) }
	if got := rowsOf(next()); len(got) != 0 {
		t.Errorf("nothing new: %v", got)
	}
	added := r.add(request("served"), request("denied"), request("denied"), request("served"))
	a := next()
	if got, want := rowsOf(a), []string{fmt.Sprint(added[2].Seq), fmt.Sprint(added[1].Seq)}; !slices.Equal(got, want) {
		t.Errorf("new: %v, want %v", got, want)
	}
	after = afterData.FindStringSubmatch(a.body)[1]
	if after != fmt.Sprint(added[3].Seq) {
		t.Errorf("it goes on after %s, want %d: what doesn't match isn't looked at again", after, added[3].Seq)
	}
	// More than a page at once: the newest.
	var many []store.Request
	for i := range 80 {
		many = append(many, request("denied"))
		many[i].At = time.Now().Add(time.Duration(i) * time.Millisecond)
	}
	many = r.add(many...)
	a = next()
	a.has(t, "data-skipped")
	got := rowsOf(a)
	if len(got) != 50 || got[0] != fmt.Sprint(many[79].Seq) {
		t.Errorf("of 80 new ones %d, the first %s; want 50 from %d on", len(got), got[0], many[79].Seq)
	}
	// Those that came long ago and took long: none that was there before them.
	after = afterData.FindStringSubmatch(a.body)[1]
	for i := range many {
		many[i].At = time.Now().Add(-time.Hour)
	}
	r.add(many...)
	if got := rowsOf(next()); len(got) != 0 {
		t.Errorf("rows that were known are sent again: %v", got)
	}
}

func TestRequestsDetails(t *testing.T) {
	r := newRig(t)
	p, _ := r.pool("basement")
	b := r.signedIn()
	added := r.add(
		store.Request{ID: "req-17", PoolID: p.ID, PoolName: "basement", KeyID: "01K", KeyName: "backend", SessionID: "S1", Instance: "vm-1", Stream: 3, Method: "POST", Path: "/api/v4/x",
			Name: "gitlab.x", Purpose: "Do x.", Project: "group/repo", Outcome: "served", Status: 201, Queued: 100 * time.Millisecond, FirstByte: 300 * time.Millisecond,
			Total: 400 * time.Millisecond, BytesIn: 2048, BytesOut: 17},
		store.Request{ID: "req-18", PoolID: p.ID, PoolName: "basement", Method: "GET", Path: "/users", Outcome: "denied", Status: 403, Code: "denied", Reason: "project_not_allowed", Total: time.Second},
		store.Request{ID: "req-19", PoolName: "attic", PoolID: "gone", Method: "GET", Path: "/", Outcome: "no_agent", Status: 503, Code: "no_agent"},
	)
	b.get(requestAddress(added[0])).has(t, "req-17", "POST /api/v4/x", "gitlab.x", "Do x.", "group/repo", "HTTP 201", "S1, stream 3", "vm-1", "2 KiB", "17 B",
		`class="queued" x="0" y="0" width="250.0"`, `class="waited" x="250.0" y="0" width="500.0"`, `class="answered" x="750.0" y="0" width="250.0"`,
		"400 ms in all: 100 ms waiting for a stream, 200 ms until the answer began, 100 ms until it ended", `href="/requests?key=01K"`)
	b.get(requestAddress(added[1])).has(t, "Denied by the agent", "project_not_allowed", "--allowed-projects")
	b.get(requestAddress(added[2])).has(t, "The caller was told", "no_agent", "No agent of the pool was connected", "deleted", "the request got to none")
}
