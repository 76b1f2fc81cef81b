// Package control is what an admin can do with a gateway: once, for the API and
// the pages alike.
//
// It changes the store and sees to it that a change counts at once for what is
// live: a revoked key's sessions end, a deleted pool's callers are refused. What
// is live it knows from the running gateway, by the funcs of [Live].
//
//	c := &control.Control{Store: st, Token: gateway.tokenFor, Live: control.Live{...}}
//	admin, err := c.Admin(ctx, secret)
//	pool, token, err := c.CreatePool(ctx, control.Actor(admin, r.RemoteAddr), store.NewPool{Name: "gitlab"})
//
// What the package guarantees:
//
//   - Nothing is done but for the owner of an admin key: callers of this package
//     authenticate with [Control.Admin] or [Control.Session] first and say who
//     acts, which the audit log keeps.
//   - A secret is returned by the call that made it and never again: only its
//     SHA-256 is stored.
//   - When a call that changes something has returned, no new request counts on
//     what was before, and sessions that must end have been closed, on this gateway.
//
// Errors are the store's: those that a caller branches on are sentences for
// whoever sent the request.
package control
