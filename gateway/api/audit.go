package api

import (
	"net/http"
	"time"

	"vcsagent/gateway/store"
)

// AuditEntry is one line of the audit log.
type AuditEntry struct {
	ID     int64             `json:"id"` // increases
	Time   time.Time         `json:"time"`
	Actor  Actor             `json:"actor"`
	Action string            `json:"action"` // such as pool.create
	Target Target            `json:"target"`
	Detail map[string]string `json:"detail"` // what changed, and to what
}

// Actor is who did it: an admin, or the gateway itself, which has no key.
type Actor struct {
	KeyID         string `json:"key_id"`
	Key           string `json:"key"`            // the name it had
	RemoteAddress string `json:"remote_address"` // where the request came from
}

// Target is what it was done to, with the name it had then.
type Target struct {
	Kind string `json:"kind"` // "pool" or "key"; "" where there is none
	ID   string `json:"id"`
	Name string `json:"name"`
}

// AuditFilter selects entries. Fields that are zero select all.
type AuditFilter struct {
	Action string // exactly this one
	Target string // a target's ID or name
	Before string // a page's Next, for the page after it
	Limit  int    // 0 is 100; at most 1000
}

// AuditPage is a part of the audit log, newest first.
type AuditPage struct {
	Entries []AuditEntry `json:"entries"`
	Next    string       `json:"next,omitempty"` // for AuditFilter.Before; "" at the end
}

func (s *server) listAudit(_ http.ResponseWriter, r *request) (answer, error) {
	q := r.query
	f := store.AuditFilter{Action: q.text("action"), Target: q.text("target"), Before: q.before(), Limit: q.limit()}
	if q.refused != nil {
		return answer{}, q.refused
	}
	page, err := s.control.Audit(r.Context(), f)
	if err != nil {
		return answer{}, err
	}
	list := AuditPage{Entries: []AuditEntry{}}
	for _, e := range page {
		detail := e.Detail
		if detail == nil {
			detail = map[string]string{}
		}
		list.Entries = append(list.Entries, AuditEntry{ID: e.ID, Time: e.At, Actor: Actor{e.Actor.KeyID, e.Actor.KeyName, e.Actor.Remote},
			Action: e.Action, Target: Target(e.Target), Detail: detail})
	}
	if len(page) == f.Limit { // is there more?
		f.Before, f.Limit = page[len(page)-1].ID, 1
		more, err := s.control.Audit(r.Context(), f)
		if err != nil {
			return answer{}, err
		}
		if len(more) > 0 {
			list.Next = cursorAfter(f.Before)
		}
	}
	return ok(list)
}
