package web

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
)

// requestsPerPage bounds a page of the log, and what is brought up to date at a
// time.
const requestsPerPage = 50

// outcome is what became of a request, for people.
type outcome struct {
	Name  string // as it is stored
	Title string
	Kind  string // served, denied, failed or gone: the class that colours it
}

var outcomes = []outcome{
	{"served", "Served", "served"},
	{"denied", "Denied", "denied"},
	{"refused", "Refused", "denied"},
	{"vcs_error", "VCS error", "failed"},
	{"no_agent", "No agent", "failed"},
	{"busy", "Busy", "failed"},
	{"cut", "Cut off", "failed"},
	{"cancelled", "Cancelled", "gone"},
}

func outcomeOf(name string) outcome {
	for _, o := range outcomes {
		if o.Name == name {
			return o
		}
	}
	return outcome{name, name, "gone"}
}

// spans are the times that can be chosen with one click.
var spans = []struct {
	Name, Title string
	D           time.Duration
}{
	{"15m", "Last 15 minutes", 15 * time.Minute},
	{"1h", "Last hour", time.Hour},
	{"24h", "Last 24 hours", day},
	{"7d", "Last 7 days", 7 * day},
}

// filter is what a list of requests is limited to, as it stands in the address.
type filter struct {
	Pool, Outcome, Name, Project, ID, Key, Since string
	From, To                                     string // of the browser's kind datetime-local, in UTC
	Problem                                      string
}

const localTime = "2006-01-02T15:04"

func filterOf(q url.Values) filter {
	get := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return filter{Pool: get("pool"), Outcome: get("outcome"), Name: get("name"), Project: get("project"), ID: get("id"), Key: get("key"),
		Since: get("since"), From: get("from"), To: get("to")}
}

// values are the filter as it stands in an address.
func (f filter) values() url.Values {
	q := url.Values{}
	for name, value := range map[string]string{"pool": f.Pool, "outcome": f.Outcome, "name": f.Name, "project": f.Project, "id": f.ID, "key": f.Key,
		"since": f.Since, "from": f.From, "to": f.To} {
		if value != "" {
			q.Set(name, value)
		}
	}
	return q
}

// Any says whether anything is filtered.
func (f filter) Any() bool { return len(f.values()) > 0 }

// More says whether one of the less usual fields is.
func (f filter) More() bool { return f.ID != "" || f.Key != "" || f.From != "" || f.To != "" }

// query makes the store's filter of it. Pool and Key are names, or IDs of what
// may be gone.
func (f *filter) query(pools []store.Pool, keys []store.Key) store.RequestFilter {
	q := store.RequestFilter{PoolID: f.Pool, KeyID: f.Key, Outcome: f.Outcome, Name: f.Name, Project: f.Project, ID: f.ID, Limit: requestsPerPage}
	if i := slices.IndexFunc(pools, func(p store.Pool) bool { return p.Name == f.Pool }); i >= 0 {
		q.PoolID = pools[i].ID
	}
	if i := slices.IndexFunc(keys, func(k store.Key) bool { return k.Name == f.Key }); i >= 0 {
		q.KeyID = keys[i].ID
	}
	for _, s := range spans {
		if s.Name == f.Since {
			q.From = time.Now().Add(-s.D)
		}
	}
	for _, t := range []struct {
		typed *string
		into  *time.Time
	}{{&f.From, &q.From}, {&f.To, &q.To}} {
		if *t.typed == "" {
			continue
		}
		at, err := time.Parse(localTime, *t.typed)
		if err != nil {
			f.Problem = fmt.Sprintf("%q is no time: write it as 2006-01-02T15:04.", control.Shown(*t.typed))
			*t.typed = "" // browsers complain of such a field
			continue
		}
		*t.into = at
	}
	return q
}

type requestsPage struct {
	Pool     *poolHead // nil: of all pools
	Path     string
	Filter   filter
	Outcomes []outcome
	Pools    []store.Pool
	Keys     []store.Key
	Requests []store.Request
	Live     bool   // newer ones are to be added
	Rows     string // the address to get them from
	After    int64  // the Seq after which they are new
	Skipped  bool   // there were more of them than a page has
	Older    string // address of the next page; "": none
	Newest   string // address of the first page; "": this is it
}

func (s *server) showRequests(v *visit) error {
	return s.requests(v, requestsPage{Path: "/requests"}, "requests", "Requests")
}

func (s *server) showPoolRequests(v *visit) error {
	head, err := s.poolHead(v, "requests")
	if err != nil {
		return err
	}
	return s.requests(v, requestsPage{Pool: &head, Path: poolPath(head.Name, "requests")}, "pools", head.Name+" requests")
}

func (s *server) requests(v *visit, p requestsPage, section, title string) error {
	q := v.r.URL.Query()
	p.Filter, p.Outcomes = filterOf(q), outcomes
	pools, err := s.control.Pools(v.ctx())
	if err != nil {
		return err
	}
	for _, pool := range pools {
		p.Pools = append(p.Pools, pool.Pool)
	}
	if p.Keys, err = s.control.Keys(v.ctx()); err != nil {
		return err
	}
	if p.Pool != nil {
		p.Filter.Pool = ""
	}
	find := p.Filter.query(p.Pools, p.Keys)
	if p.Pool != nil {
		find.PoolID = p.Pool.ID
	}
	find.Before = cursor(q, "before")
	p.Live = find.Before == 0 && find.To.IsZero()
	p.Rows = withQuery(p.Path, p.Filter.values())
	// Before the list is read: what comes in between is then new.
	newest, err := s.control.Requests(v.ctx(), store.RequestFilter{Limit: 1})
	if err != nil {
		return err
	}
	if len(newest) > 0 {
		p.After = newest[0].Seq
	}
	if after := cursor(q, "after"); after > 0 && p.Live {
		err = s.newRequests(v, &p, find, after)
	} else {
		err = s.pageOfRequests(v, &p, find)
	}
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "requests", section, title, p)
}

func (s *server) pageOfRequests(v *visit, p *requestsPage, find store.RequestFilter) (err error) {
	find.Limit++ // one more, to see whether there is a next page
	if p.Requests, err = s.control.Requests(v.ctx(), find); err != nil {
		return err
	}
	filtered := p.Filter.values()
	if find.Before > 0 {
		p.Newest = withQuery(p.Path, filtered)
	}
	if len(p.Requests) > requestsPerPage {
		p.Requests = p.Requests[:requestsPerPage]
		filtered.Set("before", strconv.FormatInt(p.Requests[requestsPerPage-1].Seq, 10))
		p.Older = withQuery(p.Path, filtered)
	}
	return nil
}

// newRequests finds those that came after a Seq, for a page that shows the ones
// before it. When there are more than a page has, it finds the newest.
func (s *server) newRequests(v *visit, p *requestsPage, find store.RequestFilter, after int64) error {
	follow := find
	follow.After = after
	follow.Limit++
	found, err := s.control.Requests(v.ctx(), follow)
	if err != nil {
		return err
	}
	p.After = max(p.After, after)
	if len(found) > requestsPerPage {
		p.Skipped = true
		if found, err = s.control.Requests(v.ctx(), find); err != nil {
			return err
		}
		found = slices.DeleteFunc(found, func(r store.Request) bool { return r.Seq <= after })
	} else {
		slices.Reverse(found)
	}
	for _, r := range found {
		p.After = max(p.After, r.Seq)
	}
	p.Requests = found
	return nil
}

// cursor reads a Seq or an entry's ID from an address: 0 if there is none.
func cursor(q url.Values, name string) int64 {
	n, err := strconv.ParseInt(q.Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func withQuery(path string, q url.Values) string {
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}

// requestPath is the address of one request's page. The time in it is how the
// store finds a request, whatever its age.
func requestPath(r store.Request) string {
	return "/requests/" + strconv.FormatInt(r.Seq, 10) + "?at=" + strconv.FormatInt(r.At.UnixMicro(), 10)
}

// requestPage is everything that is known of a request.
type requestPage struct {
	store.Request
	// The parts of its time, in the picture's units, of which there are 1000.
	QueuedWidth, WaitedWidth, AnsweredWidth float64
	Waited, Answered                        time.Duration
	PoolKnown                               bool // the pool is still there
}

func (s *server) showRequest(v *visit) error {
	seq, err := strconv.ParseInt(v.r.PathValue("seq"), 10, 64)
	at := cursor(v.r.URL.Query(), "at")
	gone := notFound("This request is not in the log, or not any more: old ones are removed.")
	if err != nil || at == 0 {
		return gone
	}
	from := time.UnixMicro(at)
	found, err := s.control.Requests(v.ctx(), store.RequestFilter{From: from, To: from.Add(time.Microsecond)})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(found, func(r store.Request) bool { return r.Seq == seq })
	if i < 0 {
		return gone
	}
	p := requestPage{Request: found[i]}
	p.split()
	if p.PoolName != "" {
		pool, err := s.control.Pool(v.ctx(), p.PoolName)
		p.PoolKnown = err == nil && pool.ID == p.PoolID
	}
	return v.show(http.StatusOK, "request", "requests", "Request "+p.ID, p)
}

// AnsweredAt is where the last part begins.
func (p requestPage) AnsweredAt() float64 { return p.QueuedWidth + p.WaitedWidth }

// split divides a request's time: in the queue, until the answer began, and until
// it ended.
func (p *requestPage) split() {
	first := max(p.FirstByte, p.Queued)
	if p.FirstByte == 0 { // no answer came
		first = p.Total
	}
	p.Waited, p.Answered = first-p.Queued, max(p.Total-first, 0)
	if all := p.Queued + p.Waited + p.Answered; all > 0 {
		unit := 1000 / float64(all)
		p.QueuedWidth, p.WaitedWidth, p.AnsweredWidth = float64(p.Queued)*unit, float64(p.Waited)*unit, float64(p.Answered)*unit
	}
}
