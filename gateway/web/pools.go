package web

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"vcsagent/gateway/control"
)

// poolsPerPage bounds the pools of a page, since each has a picture of its own.
const poolsPerPage = 50

type poolsPage struct {
	Overview control.Overview
	Any      bool   // there are pools, found or not
	Search   string // what they were searched for
	Pools    []poolRow
	Found    int
	Prev     string // addresses of the pages before and after; "" where there is none
	Next     string
	Live     string // this page's own address, without what was just done
}

type poolRow struct {
	control.Pool
	Status  status
	Traffic *chart
}

// status is what can be said of a pool in two words.
type status struct {
	Kind string // ok, bad or off: the class that colours it
	Text string
}

func statusOf(p control.Pool) status {
	switch {
	case p.Paused:
		return status{"off", "Paused"}
	case len(p.Connections) == 0:
		return status{"bad", "No agent"}
	}
	return status{"ok", count(len(p.Connections), "agent")}
}

func (s *server) showPools(v *visit) error {
	overview, err := s.control.Overview(v.ctx(), time.Now().Add(-day))
	if err != nil {
		return err
	}
	all, err := s.control.Pools(v.ctx())
	if err != nil {
		return err
	}
	q := v.r.URL.Query()
	p := poolsPage{Overview: overview, Any: len(all) > 0, Search: strings.TrimSpace(q.Get("q"))}
	var found []control.Pool
	for _, pool := range all {
		if p.Search == "" || contains(pool.Name, p.Search) || contains(pool.Description, p.Search) {
			found = append(found, pool)
		}
	}
	p.Found = len(found)
	first := 0
	if n, err := strconv.Atoi(q.Get("page")); err == nil && n > 1 {
		first = min(n-1, len(found)/poolsPerPage) * poolsPerPage
	}
	address := func(page int) string {
		q := url.Values{}
		if p.Search != "" {
			q.Set("q", p.Search)
		}
		if page > 1 {
			q.Set("page", strconv.Itoa(page))
		}
		return withQuery("/", q)
	}
	number := first/poolsPerPage + 1
	p.Live = address(number)
	if number > 1 {
		p.Prev = address(number - 1)
	}
	last := min(first+poolsPerPage, len(found))
	if last < len(found) {
		p.Next = address(number + 1)
	}
	for _, pool := range found[first:last] {
		traffic, err := s.traffic(v.ctx(), pool.ID, time.Hour, 100, 24)
		if err != nil {
			return err
		}
		p.Pools = append(p.Pools, poolRow{pool, statusOf(pool), traffic})
	}
	return v.show(http.StatusOK, "pools", "pools", "Pools", p)
}

// contains ignores case, as people who search do.
func contains(text, word string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(word))
}
