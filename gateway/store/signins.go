package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// MaxSignIns is how many sign-ins a key may have at a time; those used longest
// ago go.
const MaxSignIns = 100

// SignIn is a browser's session with the pages. Only the SHA-256 of its secret
// is stored.
type SignIn struct {
	Key        Key       // whose owner signed in
	CreatedAt  time.Time // UTC, to the microsecond
	LastUsedAt time.Time // CreatedAt, or as [Store.TouchSignIn] was told
	ExpiresAt  time.Time
}

// AddSignIn begins a browser's session by a key, which ends at a time that must
// be given. Sign-ins that have expired, of any key, are removed. The error is an
// [*InvalidError] for a time that has passed, and wraps [ErrNotFound] when the
// key is gone and [ErrExpired] when it has expired.
func (s *Store) AddSignIn(ctx context.Context, by Actor, keyID string, secret Hash, expires time.Time) error {
	at := now()
	if expires = expires.UTC().Truncate(time.Microsecond); !expires.After(at) {
		return &InvalidError{"expires", fmt.Sprintf("a sign-in can't expire at %s: give a time that is still to come", expires.Format(time.RFC3339))}
	}
	err := s.inTx(ctx, turnToChange, func(tx *sql.Tx) error {
		k, err := keyByID(ctx, tx, keyID)
		if err != nil {
			return err
		}
		if k.Expired(at) {
			return fmt.Errorf("key %q %w", k.Name, ErrExpired)
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM sign_ins WHERE expires_at <= $1", micros(at)); err != nil {
			return err
		}
		// Before the new one is added, which is among those to stay.
		_, err = tx.ExecContext(ctx, `DELETE FROM sign_ins WHERE secret_hash IN (
			SELECT secret_hash FROM sign_ins WHERE key_id = $1 ORDER BY last_used_at DESC, created_at DESC LIMIT $2 OFFSET $3)`,
			k.ID, maxSurplus, MaxSignIns-1)
		if err != nil {
			return err
		}
		err = insertNew(ctx, tx, "the sign-in", `INSERT INTO sign_ins (secret_hash, key_id, created_at, last_used_at, expires_at)
			VALUES ($1, $2, $3, $3, $4) ON CONFLICT (secret_hash) DO NOTHING`, secret[:], k.ID, micros(at), micros(expires))
		if err != nil {
			return err
		}
		return audit(ctx, tx, by, ActionSignIn, k.target(), facts{"expires": expiry(expires)})
	})
	if err != nil {
		return failed("sign in", err)
	}
	return nil
}

// maxSurplus is a LIMIT of all there can be, since SQLite takes no OFFSET
// without one.
const maxSurplus = 1_000_000

// SignInByHash finds the session of which a browser showed the secret. The error
// wraps [ErrNotFound] when there is none, or none any more, and [ErrExpired]
// when it or its key has expired.
func (s *Store) SignInByHash(ctx context.Context, secret Hash) (SignIn, error) {
	var in SignIn
	var keyID string
	var created, used, expires int64
	err := s.read.QueryRowContext(ctx, "SELECT key_id, created_at, last_used_at, expires_at FROM sign_ins WHERE secret_hash = $1", secret[:]).
		Scan(&keyID, &created, &used, &expires)
	if errors.Is(err, sql.ErrNoRows) {
		return SignIn{}, errNoSignIn
	}
	if err != nil {
		return SignIn{}, fmt.Errorf("find sign-in: %w", err)
	}
	in.CreatedAt, in.LastUsedAt, in.ExpiresAt = fromMicros(created), fromMicros(used), fromMicros(expires)
	if in.Key, err = oneKey(ctx, s.read, "k.id", keyID); err != nil {
		return SignIn{}, failed("find sign-in", err)
	}
	at := now()
	switch {
	case expired(in.ExpiresAt, at):
		return SignIn{}, fmt.Errorf("the sign-in %w", ErrExpired)
	case in.Key.Expired(at):
		return SignIn{}, fmt.Errorf("key %q %w", in.Key.Name, ErrExpired)
	}
	return in, nil
}

var errNoSignIn = fmt.Errorf("the sign-in %w", ErrNotFound)

// TouchSignIn notes when a session was last used. Times go forward only, and a
// session that is gone is passed over. It waits for the disk, as every change
// does, so it isn't for every request.
func (s *Store) TouchSignIn(ctx context.Context, secret Hash, at time.Time) error {
	err := s.inTx(ctx, turnToChange, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE sign_ins SET last_used_at = $1 WHERE secret_hash = $2 AND last_used_at < $1", micros(at), secret[:])
		return err
	})
	if err != nil {
		return fmt.Errorf("note when a sign-in was used: %w", err)
	}
	return nil
}

// EndSignIn ends a session: its secret is of no use from then on. The error
// wraps [ErrNotFound] when there is none, or none any more.
func (s *Store) EndSignIn(ctx context.Context, by Actor, secret Hash) error {
	err := s.inTx(ctx, turnToChange, func(tx *sql.Tx) error {
		k := Target{Kind: "key"}
		err := tx.QueryRowContext(ctx, "SELECT k.id, k.name FROM sign_ins s JOIN keys k ON k.id = s.key_id WHERE s.secret_hash = $1", secret[:]).
			Scan(&k.ID, &k.Name)
		if errors.Is(err, sql.ErrNoRows) {
			return errNoSignIn
		}
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM sign_ins WHERE secret_hash = $1", secret[:]); err != nil {
			return err
		}
		return audit(ctx, tx, by, ActionSignOut, k, nil)
	})
	if err != nil {
		return failed("sign out", err)
	}
	return nil
}
