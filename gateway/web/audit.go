package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"vcsagent/gateway/store"
)

const auditPerPage = 50

// actions can be chosen in the filter; an entry may have another one.
var actions = []string{
	store.ActionPoolCreate, store.ActionPoolUpdate, store.ActionPoolDelete, store.ActionTokenAdd, store.ActionTokenExpire, store.ActionTokenRevoke,
	store.ActionKeyCreate, store.ActionKeyUpdate, store.ActionKeyDelete, store.ActionSignIn, store.ActionSignOut, store.ActionAgentJoin,
}

type auditPage struct {
	Action, Target string
	Actions        []string
	Entries        []auditRow
	Older, Newest  string
}

type auditRow struct {
	store.AuditEntry
	Facts []string // the detail, sorted
}

func (s *server) showAudit(v *visit) error {
	q := v.r.URL.Query()
	p := auditPage{Action: strings.TrimSpace(q.Get("action")), Target: strings.TrimSpace(q.Get("target")), Actions: actions}
	f := store.AuditFilter{Before: cursor(q, "before"), Action: p.Action, Target: p.Target, Limit: auditPerPage + 1}
	entries, err := s.control.Audit(v.ctx(), f)
	if err != nil {
		return err
	}
	filtered := url.Values{}
	if p.Action != "" {
		filtered.Set("action", p.Action)
	}
	if p.Target != "" {
		filtered.Set("target", p.Target)
	}
	if f.Before > 0 {
		p.Newest = withQuery("/audit", filtered)
	}
	if len(entries) > auditPerPage {
		entries = entries[:auditPerPage]
		filtered.Set("before", strconv.FormatInt(entries[auditPerPage-1].ID, 10))
		p.Older = withQuery("/audit", filtered)
	}
	pools, err := s.poolNames(v)
	if err != nil {
		return err
	}
	for _, e := range entries {
		row := auditRow{AuditEntry: e}
		for name, value := range e.Detail {
			if name == "pools" {
				value = pools.in(value)
			}
			row.Facts = append(row.Facts, name+"="+value)
		}
		slices.Sort(row.Facts)
		p.Entries = append(p.Entries, row)
	}
	if p.Action != "" && !slices.Contains(p.Actions, p.Action) {
		p.Actions = append([]string{p.Action}, p.Actions...)
	}
	return v.show(http.StatusOK, "audit", "audit", "Audit log", p)
}
