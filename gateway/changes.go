package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"vcsagent/gateway/store"
)

// What admins change counts for what is live: here at once, by [Gateway.changed],
// and what they change on another gateway with the same database within a second,
// by [Gateway.watch].

const (
	// watchEvery is how often the gateway looks for keys that have expired and for
	// what was changed elsewhere.
	watchEvery = time.Second
	// storeTime bounds the wait for the store where nobody's request does.
	storeTime = 5 * time.Second
	// closePatience is how long whoever ends sessions waits for their end. An agent
	// that takes nothing in may take longer, and carries no request meanwhile.
	closePatience = time.Second
)

// changed is what [control.Live] promises: it forgets keys and pools, and ends
// the pool's sessions that have no right to be any more, and the requests of
// callers.
func (g *Gateway) changed(poolID string) {
	g.noteChange()
	if p := g.router.find(poolID); p != nil {
		sessions, _ := g.checkRights(p)
		g.end(sessions)
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	g.cutRevoked(ctx, time.Now())
}

// noteChange makes what is looked up from now on new. Forgetting comes first: who
// looked something up that was old finds the changes counted since.
func (g *Gateway) noteChange() {
	g.keyring.forget()
	g.router.changes.Add(1)
}

// checkRights reads a pool from the store, holds its live side to it and returns
// the sessions to end. When the store fails it reports false, having logged why;
// then watch tries again.
func (g *Gateway) checkRights(p *pool) ([]ended, bool) {
	// One at a time: what was read first must not be believed last.
	p.checking.Lock()
	defer p.checking.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), storeTime)
	defer cancel()
	r, err := g.rightsOf(ctx, p.id)
	if err != nil {
		g.log.Error("could not check the sessions of a pool that may have changed; trying again", "pool", p.name, "error", err)
		return nil, false
	}
	return p.obey(r, time.Now()), true
}

// rights are what a pool's sessions need to be.
type rights struct {
	gone      bool // the pool was deleted
	pool      store.Pool
	tokenKeys map[string]time.Time // when each expires
}

func (g *Gateway) rightsOf(ctx context.Context, poolID string) (rights, error) {
	var r rights
	var keys []store.TokenKey
	var err error
	if r.pool, err = g.store.PoolByID(ctx, poolID); err == nil {
		keys, err = g.store.TokenKeys(ctx, poolID)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return rights{gone: true}, nil
	case err != nil:
		return rights{}, err
	}
	r.tokenKeys = make(map[string]time.Time, len(keys))
	for _, k := range keys {
		r.tokenKeys[k.ID] = k.ExpiresAt
	}
	return r, nil
}

// deny says why a session has no right to be, or "".
func (r *rights) deny(m *member, now time.Time) string {
	expires, ok := r.tokenKeys[m.tokenKey]
	switch {
	case r.gone:
		return "its pool was deleted"
	case !ok:
		return "its token's key was revoked"
	case !comesFrom(m.session.Remote, r.pool.Networks):
		return "it comes from none of the pool's networks"
	}
	m.expires = expires
	return m.expired(now)
}

// ended is a session that must end, and why.
type ended struct {
	*member
	why string
}

// end closes sessions that get no requests any more, and waits a moment until
// they have ended.
func (g *Gateway) end(sessions []ended) {
	if len(sessions) == 0 {
		return
	}
	var closing sync.WaitGroup
	for _, e := range sessions {
		s := e.session
		g.log.Warn("ending an agent's session: "+e.why, "pool", e.pool.name, "session", s.ID, "instance", s.Hello.Instance, "remote", s.Remote, "token_key", e.tokenKey)
		closing.Add(1)
		g.router.following.Go(func() {
			defer closing.Done()
			s.Close()
			<-s.Done()
		})
	}
	g.router.await(&closing, closePatience)
}

// watch ends sessions whose token's key has expired, and does for changes made
// through another gateway what changed does for this one's, until ctx is done.
func (g *Gateway) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	w := watcher{gateway: g, last: unread}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			g.end(g.router.expire(now))
			w.look(ctx)
			g.cutRevoked(ctx, now)
			w.dropSeries(ctx, now)
		}
	}
}

// watcher follows the audit log, which has an entry for every change.
type watcher struct {
	gateway *Gateway
	last    int64                // the newest entry that was acted on, or unread
	failing bool                 // the store, when it was last asked
	deleted map[string]time.Time // pools' names, and when
}

const (
	unread = -1
	// seriesLinger is how long after a pool was deleted its metrics go: requests
	// that its end cut are counted still.
	seriesLinger = 5 * time.Second
)

// look checks the sessions of the pools that the audit log says were changed
// since the last look.
func (w *watcher) look(ctx context.Context) {
	g := w.gateway
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	fresh, all, err := w.fresh(ctx)
	if err != nil {
		if !w.failing && !errors.Is(ctx.Err(), context.Canceled) {
			g.log.Error("could not read what was changed; trying again every second", "error", err)
		}
		w.failing = true
		return
	}
	w.failing = false
	if len(fresh) == 0 {
		return
	}
	changed := map[string]bool{}
	for _, e := range fresh {
		if e.Target.Kind == "pool" && e.Action != store.ActionAgentJoin {
			changed[e.Target.ID] = true
		}
		if e.Action == store.ActionPoolDelete {
			w.note(e.Target.Name)
		}
	}
	if all || len(changed) > 0 {
		g.noteChange()
	}
	var sessions []ended
	checked := true // else all of it is looked at again
	for _, p := range g.router.all() {
		if all || changed[p.id] {
			more, ok := g.checkRights(p)
			sessions, checked = append(sessions, more...), checked && ok
		}
	}
	if checked {
		w.last = fresh[0].ID
	}
	g.end(sessions)
}

// fresh returns the entries since the last look, newest first, and whether there
// may be more of them than it returned.
func (w *watcher) fresh(ctx context.Context) (_ []store.AuditEntry, more bool, err error) {
	// Nothing new is what it mostly finds: one row tells.
	entries, err := w.gateway.store.Audit(ctx, store.AuditFilter{Limit: 1})
	if err != nil || len(entries) == 0 || entries[0].ID == w.last {
		return nil, false, err
	}
	if entries, err = w.gateway.store.Audit(ctx, store.AuditFilter{}); err != nil {
		return nil, false, err
	}
	for i, e := range entries {
		if e.ID <= w.last {
			return entries[:i], false, nil
		}
	}
	return entries, w.last == unread || len(entries) == store.MaxPage, nil
}

// note remembers a deleted pool's name.
func (w *watcher) note(name string) {
	if w.deleted == nil || len(w.deleted) >= store.MaxPage {
		w.deleted = map[string]time.Time{}
	}
	w.deleted[name] = time.Now()
}

// dropSeries takes deleted pools out of the metrics, unless there is another pool
// of that name now.
func (w *watcher) dropSeries(ctx context.Context, now time.Time) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	for name, at := range w.deleted {
		if now.Sub(at) < seriesLinger {
			continue
		}
		_, err := w.gateway.store.PoolByName(ctx, name)
		switch {
		case errors.Is(err, store.ErrNotFound):
			w.gateway.metrics.DropPool(name)
		case err != nil:
			return
		}
		delete(w.deleted, name)
	}
}
