package gateway

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"vcsagent/gateway/store"
)

// admit decides where the request goes and whether its key may send it there.
func (h *callers) admit(c *call, r *http.Request) *refusal {
	var problem *refusal
	c.route, problem = routeOf(r)
	if problem != nil && problem.Code == codeNotFound {
		return problem // nothing is there, with or without a key
	}
	c.secret = callerKey(r, c.route.form)
	c.changes = h.router.changes.Load()
	key, no := h.keyOf(r.Context(), c)
	if no != nil {
		return no
	}
	c.key = key
	if problem != nil {
		return problem
	}
	pool, no := h.poolOf(r.Context(), c, &key)
	if no != nil {
		return no
	}
	c.pool = pool
	switch {
	case listSize(r) > headerListSize:
		return refuse(http.StatusRequestHeaderFieldsTooLarge, codeHeaderTooLarge, "The request's target and headers are more than the tunnel takes.")
	case pool.Paused:
		return paused()
	}
	c.bodyIn.most, c.bodyLimitOf = tighter(c.key.Limits.BodyBytes, c.pool.Limits.BodyBytes)
	if most := c.bodyIn.most; most > 0 && r.ContentLength > most {
		h.countLimited(c, c.bodyLimitOf, limitBody)
		return c.bodyTooLarge()
	}
	var over *overLimit
	if c.counted, over = h.limits.enter(&c.key, &c.pool); over != nil {
		return h.limited(c, over)
	}
	return nil
}

// readmit asks again what admit did, after the wait for a stream, if anything was
// changed since: what waits is no further than what comes.
func (h *callers) readmit(c *call, r *http.Request) *refusal {
	if h.router.changes.Load() == c.changes && !c.key.Expired(time.Now()) {
		return nil
	}
	key, no := h.keyOf(r.Context(), c)
	if no != nil {
		return no
	}
	pool, no := h.poolOf(r.Context(), c, &key)
	switch {
	case no != nil:
		return no
	case pool.ID != c.pool.ID: // the name is another's now
		return mayNot()
	case pool.Paused:
		return paused()
	}
	return nil
}

// keyOf finds the caller's key.
func (h *callers) keyOf(ctx context.Context, c *call) (store.Key, *refusal) {
	key, err := h.store.key(ctx, c.secret)
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrExpired):
		return store.Key{}, unauthenticated(c.route.form, c.secret != "")
	case err != nil:
		c.failure = err
		return store.Key{}, refuse(http.StatusInternalServerError, codeInternal, "The gateway could not check the key; its log says why.")
	}
	return key, nil
}

// poolOf finds the pool that the request names, if the key may call it. To other
// keys it's as good as none: which pools exist is nobody's business.
func (h *callers) poolOf(ctx context.Context, c *call, key *store.Key) (store.Pool, *refusal) {
	pool, err := h.store.pool(ctx, c.route.pool)
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && !mayCall(*key, pool.ID):
		return store.Pool{}, mayNot()
	case err != nil:
		c.failure = err
		return store.Pool{}, refuse(http.StatusInternalServerError, codeInternal, "The gateway could not look the pool up; its log says why.")
	}
	return pool, nil
}

func mayNot() *refusal {
	return refuse(http.StatusForbidden, codeForbidden, "This key may not call a pool of this name.")
}

func paused() *refusal {
	return &refusal{Status: http.StatusServiceUnavailable, Code: codePoolPaused, RetryAfter: pausedRetryAfter,
		Detail: "The gateway's operator has paused this pool."}
}

// listSize is the size of a request's header section as HTTP/2 and HTTP/3 count
// it (RFC 9113, section 6.5.2): many short fields come to more than they did on
// HTTP/1.
func listSize(r *http.Request) int {
	n := len(r.RequestURI)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + 32
		}
	}
	return n
}

func mayCall(k store.Key, poolID string) bool {
	return slices.Contains(k.PoolIDs, poolID)
}

// unauthenticated is the answer to a missing or wrong key. A proxy's clients
// need 407 with Basic; in the path form the challenge is never Basic, which
// browsers and clients would answer with the VCS's password.
func unauthenticated(f form, given bool) *refusal {
	detail := "A caller's key is needed in " + KeyHeader + " or as Proxy-Authorization: Bearer."
	if f == proxyForm {
		detail = "This proxy wants a caller's key as the password, with any user name."
	}
	if given {
		detail = "The key is not one of this gateway's callers'."
	}
	if f == proxyForm {
		return refuse(http.StatusProxyAuthRequired, codeUnauthenticated, detail)
	}
	return refuse(http.StatusUnauthorized, codeUnauthenticated, detail)
}
