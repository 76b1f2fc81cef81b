package control_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

// A token that can't be shown, since the rest failed, doesn't stay.
func TestReplaceTokenThatFailsLeavesNoNewToken(t *testing.T) {
	r := newRig(t)
	pool, _, err := r.CreatePool(t.Context(), r.by, store.NewPool{Name: "gitlab"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r.Live.Changed = func(string) { cancel() } // the new key has been stored
	if _, _, err := r.ReplaceToken(ctx, r.by, "gitlab", time.Time{}, time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	keys, err := r.store.TokenKeys(t.Context(), pool.ID)
	if err != nil || len(keys) != 1 || !keys[0].ExpiresAt.IsZero() {
		t.Errorf("token keys are %+v, %v; want the first one as it was", keys, err)
	}
}
