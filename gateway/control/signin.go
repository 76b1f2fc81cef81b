package control

import (
	"context"
	"time"

	"vcsagent/gateway/store"
	"vcsagent/transport"
)

const (
	// SignInTime is how long a browser stays signed in at most.
	SignInTime = 12 * time.Hour
	// SignInIdle is how long it stays signed in without asking for anything.
	SignInIdle = 2 * time.Hour
	// signInTouch is how often it is noted that a browser asked for something.
	signInTouch = time.Minute
)

// SignIn begins a browser's session with an admin key and returns the session's
// secret, for a cookie. Errors are those of [Control.Admin].
func (c *Control) SignIn(ctx context.Context, key transport.Secret, remote string) (transport.Secret, store.Key, error) {
	admin, err := c.Admin(ctx, key)
	if err != nil {
		return "", store.Key{}, err
	}
	secret := newSecret(sessionPrefix)
	err = c.Store.AddSignIn(ctx, Actor(admin, remote), admin.ID, store.HashOf(secret.Reveal()), time.Now().Add(SignInTime))
	if err != nil {
		return "", store.Key{}, err
	}
	c.log().Info("signed in", "key", admin.Name, "remote_address", remote)
	return secret, admin, nil
}

// Session finds the admin key that a browser signed in with. The error wraps
// [store.ErrNotFound] when the session or its key is gone and [store.ErrExpired]
// when either has expired or nothing was asked for [SignInIdle].
func (c *Control) Session(ctx context.Context, secret transport.Secret) (store.Key, error) {
	hash := store.HashOf(secret.Reveal())
	s, err := c.Store.SignInByHash(ctx, hash)
	switch now := time.Now(); {
	case err != nil:
		return store.Key{}, err
	case !s.Key.Admin:
		return store.Key{}, &NotAdminError{s.Key}
	case now.Sub(s.LastUsedAt) > SignInIdle:
		return store.Key{}, store.ErrExpired
	case now.Sub(s.LastUsedAt) > signInTouch:
		return s.Key, c.Store.TouchSignIn(ctx, hash, now)
	}
	return s.Key, nil
}

// SignOut ends a browser's session. The error wraps [store.ErrNotFound] when it
// has ended already.
func (c *Control) SignOut(ctx context.Context, secret transport.Secret, by store.Actor) error {
	return c.Store.EndSignIn(ctx, by, store.HashOf(secret.Reveal()))
}
