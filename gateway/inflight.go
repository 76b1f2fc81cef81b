package gateway

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"vcsagent/gateway/store"
)

// Why a request in flight is cut.
var (
	errKeyRevoked = errors.New("the caller's key was revoked")
	errKeyExpired = errors.New("the caller's key has expired")
	errPoolTaken  = errors.New("the caller's key may not call this pool any more")
)

// flights are the requests that agents have. It's a table of its own, and not the
// limits' counts, since keys without limits have requests too.
type flights struct {
	mu    sync.Mutex
	calls map[*call]flight

	looking sync.Mutex // held by who looks for those to cut
	seen    int64      // the router's count of changes at the last look that told all
}

// flight is a request that an agent has.
type flight struct {
	cancel  context.CancelCauseFunc
	expires time.Time // when its key does, as last heard; zero is never
}

// enter notes a call until land is called; then it isn't cut any more. The
// context ends when it is.
func (f *flights) enter(ctx context.Context, c *call) (_ context.Context, land func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.calls == nil {
		f.calls = map[*call]flight{}
	}
	f.calls[c] = flight{cancel, c.key.ExpiresAt}
	return ctx, func() {
		f.mu.Lock()
		delete(f.calls, c)
		f.mu.Unlock()
		cancel(nil)
	}
}

// some returns all calls, or only those whose key has expired.
func (f *flights) some(now time.Time, expired bool) []*call {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*call
	for c, at := range f.calls {
		if !expired || !at.expires.IsZero() && !now.Before(at.expires) {
			out = append(out, c)
		}
	}
	return out
}

// keep notes when a call's key expires that may stay.
func (f *flights) keep(c *call, expires time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at, ok := f.calls[c]; ok {
		at.expires = expires
		f.calls[c] = at
	}
}

// cut ends a call, on the agent's side and on the caller's, who may be one that
// takes nothing in.
func (f *flights) cut(c *call, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.calls[c]
	if !ok || c.cut != nil {
		return
	}
	c.cut = why
	at.cancel(why)
	http.NewResponseController(c.w).SetWriteDeadline(time.Unix(1, 0))
}

// cutRevoked cuts the requests whose key may not send them any more: after a
// change, those of all keys that the store says that of, and at any time those
// whose key expires. What it can't find out it looks at again the next time.
func (g *Gateway) cutRevoked(ctx context.Context, now time.Time) {
	f := &g.router.flights
	f.looking.Lock()
	defer f.looking.Unlock()
	changes := g.router.changes.Load()
	calls := f.some(now, changes == f.seen)
	type found struct {
		key store.Key
		err error
	}
	keys := map[string]found{} // by ID: each is looked up once
	for _, c := range calls {
		k, ok := keys[c.key.ID]
		if !ok {
			k.key, k.err = g.keyring.key(ctx, c.secret)
			keys[c.key.ID] = k
		}
		switch {
		case errors.Is(k.err, errStoreFailed):
			return
		case errors.Is(k.err, store.ErrExpired):
			f.cut(c, errKeyExpired)
		case k.err != nil:
			f.cut(c, errKeyRevoked)
		case !mayCall(k.key, c.pool.ID):
			f.cut(c, errPoolTaken)
		default:
			f.keep(c, k.key.ExpiresAt)
		}
	}
	f.seen = changes
}
