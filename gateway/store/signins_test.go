package store_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

func testSignIns(t *testing.T, b backend) {
	st, location := b.fresh(t)
	pool := addPool(t, st, "one")
	key := addKey(t, st, store.NewKey{Name: "anna", Admin: true, Pools: []string{"one"}})
	addKey(t, st, store.NewKey{Name: "other", Admin: true})
	by := store.Actor{KeyID: key.ID, KeyName: key.Name, Remote: "192.0.2.7:1"}
	secret, second := store.HashOf("browser one"), store.HashOf("browser two")
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	before := time.Now().Truncate(time.Microsecond)

	if err := st.AddSignIn(t.Context(), by, key.ID, secret, expires.Add(999*time.Nanosecond)); err != nil {
		t.Fatal(err)
	}
	if err := st.AddSignIn(t.Context(), by, key.ID, second, expires); err != nil {
		t.Fatal(err)
	}
	in, err := st.SignInByHash(t.Context(), secret)
	if err != nil || !reflect.DeepEqual(in.Key, key) || in.Key.PoolIDs[0] != pool.ID || in.ExpiresAt != expires ||
		in.CreatedAt.Before(before) || in.CreatedAt.After(time.Now()) || in.LastUsedAt != in.CreatedAt {
		t.Errorf("the sign-in is %+v, %v", in, err)
	}
	if _, err := st.SignInByHash(t.Context(), store.HashOf("browser")); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown secret: %v, want ErrNotFound", err)
	}

	used := time.Now().Add(time.Minute).UTC().Truncate(time.Microsecond)
	for _, at := range []time.Time{used, used.Add(-time.Second)} { // what comes late changes nothing
		if err := st.TouchSignIn(t.Context(), secret, at); err != nil {
			t.Fatal(err)
		}
	}
	if in, err := st.SignInByHash(t.Context(), secret); err != nil || in.LastUsedAt != used || in.ExpiresAt != expires {
		t.Errorf("the used sign-in is %+v, %v; want one used at %v", in, err, used)
	}
	if in, err := st.SignInByHash(t.Context(), second); err != nil || in.LastUsedAt != in.CreatedAt {
		t.Errorf("the other sign-in is %+v, %v", in, err)
	}
	if err := st.TouchSignIn(t.Context(), store.HashOf("gone"), used); err != nil {
		t.Errorf("touch what isn't there: %v", err)
	}

	if err := st.EndSignIn(t.Context(), by, secret); err != nil {
		t.Fatal(err)
	}
	if _, err := st.SignInByHash(t.Context(), secret); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after its end: %v, want ErrNotFound", err)
	}
	if err := st.EndSignIn(t.Context(), by, secret); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("end it again: %v, want ErrNotFound", err)
	}
	if _, err := st.SignInByHash(t.Context(), second); err != nil {
		t.Errorf("the other's end: %v", err)
	}

	var invalid *store.InvalidError
	for _, at := range []time.Time{{}, time.Now()} {
		if err := st.AddSignIn(t.Context(), by, key.ID, store.HashOf("x"), at); !errors.As(err, &invalid) || invalid.Field != "expires" {
			t.Errorf("a sign-in until %v: %v, want an InvalidError", at, err)
		}
	}
	for _, id := range []string{"anna", "", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "nul\x00"} {
		if err := st.AddSignIn(t.Context(), by, id, store.HashOf("x"), expires); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("a sign-in with the key %q: %v, want ErrNotFound", id, err)
		}
	}

	log, err := st.Audit(t.Context(), store.AuditFilter{Target: key.ID})
	if err != nil || len(log) != 4 { // with the key's own
		t.Fatalf("the audit log has %+v, %v", log, err)
	}
	for i, want := range []string{store.ActionSignOut, store.ActionSignIn, store.ActionSignIn} {
		if e := log[i]; e.Action != want || e.Actor != by || e.Target != (store.Target{Kind: "key", ID: key.ID, Name: "anna"}) {
			t.Errorf("entry %d is %+v, want %s", i, e, want)
		}
	}

	// The secret isn't stored.
	var stored []byte
	if err := b.db(t, location).QueryRow("SELECT secret_hash FROM sign_ins").Scan(&stored); err != nil || store.Hash(stored) != second {
		t.Errorf("stored is %q, %v; want a hash", stored, err)
	}

	if err := st.DeleteKey(t.Context(), admin, key.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := st.SignInByHash(t.Context(), second); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after its key was deleted: %v, want ErrNotFound", err)
	}
}

func testSignInsExpire(t *testing.T, b backend) {
	st, location := b.fresh(t)
	key := addKey(t, st, store.NewKey{Name: "anna", Admin: true})
	hour := time.Now().Add(time.Hour)
	add := func(secret string) error { return st.AddSignIn(t.Context(), admin, key.ID, store.HashOf(secret), hour) }
	if err := errors.Join(add("one"), add("two")); err != nil {
		t.Fatal(err)
	}
	one := store.HashOf("one")
	b.exec(t, location, "UPDATE sign_ins SET expires_at = $1 WHERE secret_hash = $2", time.Now().UnixMicro(), one[:])
	if _, err := st.SignInByHash(t.Context(), one); !errors.Is(err, store.ErrExpired) || !strings.HasPrefix(err.Error(), "the sign-in ") {
		t.Errorf("one that has expired: %v, want ErrExpired", err)
	}

	b.exec(t, location, "UPDATE keys SET expires_at = $1", time.Now().UnixMicro())
	if _, err := st.SignInByHash(t.Context(), store.HashOf("two")); !errors.Is(err, store.ErrExpired) || !strings.HasPrefix(err.Error(), `key "anna" `) {
		t.Errorf("one whose key has expired: %v, want ErrExpired", err)
	}
	if err := add("three"); !errors.Is(err, store.ErrExpired) {
		t.Errorf("sign in with a key that has expired: %v, want ErrExpired", err)
	}

	b.exec(t, location, "UPDATE keys SET expires_at = 0")
	if err := add("three"); err != nil { // the expired one goes
		t.Fatal(err)
	}
	for secret, want := range map[string]error{"one": store.ErrNotFound, "two": nil, "three": nil} {
		if _, err := st.SignInByHash(t.Context(), store.HashOf(secret)); !errors.Is(err, want) {
			t.Errorf("sign-in %s: %v, want %v", secret, err, want)
		}
	}
}

// Those used longest ago go, and no other key's.
func testSignInsAreBounded(t *testing.T, b backend) {
	st, location := b.fresh(t)
	key := addKey(t, st, store.NewKey{Name: "anna", Admin: true})
	other := addKey(t, st, store.NewKey{Name: "other", Admin: true})
	hour := time.Now().Add(time.Hour)
	add := func(key store.Key, secret string) {
		t.Helper()
		if err := st.AddSignIn(t.Context(), admin, key.ID, store.HashOf(secret), hour); err != nil {
			t.Fatal(err)
		}
	}
	there := func(secret string, want error) {
		t.Helper()
		if _, err := st.SignInByHash(t.Context(), store.HashOf(secret)); !errors.Is(err, want) {
			t.Errorf("sign-in %s: %v, want %v", secret, err, want)
		}
	}
	add(other, "other's")
	for i := range store.MaxSignIns {
		add(key, fmt.Sprint(i))
	}
	there("0", nil)
	if err := st.TouchSignIn(t.Context(), store.HashOf("0"), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	add(key, "next")
	there("next", nil)
	there("0", nil)
	there("1", store.ErrNotFound)
	there("2", nil)
	there("other's", nil)
	var n int
	if err := b.db(t, location).QueryRow("SELECT COUNT(*) FROM sign_ins").Scan(&n); err != nil || n != store.MaxSignIns+1 {
		t.Errorf("%d sign-ins are stored, %v; want %d", n, err, store.MaxSignIns+1)
	}
}
