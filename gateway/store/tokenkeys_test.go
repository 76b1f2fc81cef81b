package store_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

// A new key works beside the old one until that is revoked.
func testRotateToken(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	pool, other := addPool(t, st, "gitlab"), addPool(t, st, "other")
	works := func(key string, want error) {
		t.Helper()
		if _, _, err := st.PoolByTokenKey(t.Context(), pool.ID, store.HashOf(key)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", key, err, want)
		}
	}
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	second, err := st.AddTokenKey(t.Context(), admin, pool.ID, store.HashOf("second"), expires)
	if err != nil {
		t.Fatal(err)
	}
	works("token of gitlab", nil)
	works("second", nil)
	if _, err := st.AddTokenKey(t.Context(), admin, pool.ID, store.HashOf("second"), time.Time{}); !errors.Is(err, store.ErrExists) {
		t.Errorf("the same key again: %v, want ErrExists", err)
	}
	if _, err := st.AddTokenKey(t.Context(), admin, "gitlab", store.HashOf("third"), time.Time{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a key for no pool: %v, want ErrNotFound", err)
	}
	var invalid *store.InvalidError
	if _, err := st.AddTokenKey(t.Context(), admin, pool.ID, store.HashOf("third"), time.Now().Add(-time.Second)); !errors.As(err, &invalid) {
		t.Errorf("a key that has expired: %v, want an InvalidError", err)
	}
	keys, err := st.TokenKeys(t.Context(), pool.ID)
	if err != nil || len(keys) != 2 || keys[1] != second || !keys[0].ExpiresAt.IsZero() || keys[1].ExpiresAt != expires || keys[0].PoolID != pool.ID {
		t.Fatalf("keys are %+v, %v; the new one %+v", keys, err, second)
	}

	for _, wrong := range [][2]string{{other.ID, keys[0].ID}, {pool.ID, "x"}, {"gitlab", keys[0].ID}, {"", ""}} {
		if err := st.RevokeTokenKey(t.Context(), admin, wrong[0], wrong[1]); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("revoke %v: %v, want ErrNotFound", wrong, err)
		}
	}
	if err := st.RevokeTokenKey(t.Context(), admin, pool.ID, keys[0].ID); err != nil {
		t.Fatal(err)
	}
	works("token of gitlab", store.ErrWrongKey)
	works("second", nil)
	if err := st.RevokeTokenKey(t.Context(), admin, pool.ID, second.ID); err != nil { // the last one
		t.Fatal(err)
	}
	works("second", store.ErrWrongKey)
	if keys, err := st.TokenKeys(t.Context(), pool.ID); err != nil || len(keys) != 0 {
		t.Errorf("keys are %+v, %v; want none", keys, err)
	}
	if _, err := st.TokenKeys(t.Context(), "gitlab"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("keys of no pool: %v, want ErrNotFound", err)
	}
	if _, _, err := st.PoolByTokenKey(t.Context(), other.ID, store.HashOf("token of other")); err != nil {
		t.Errorf("the other pool's: %v", err)
	}
}

func testTokenKeysAreBounded(t *testing.T, b backend) {
	st, _ := b.fresh(t)
	pool := addPool(t, st, "gitlab") // with one
	for i := range store.MaxTokenKeys {
		_, err := st.AddTokenKey(t.Context(), admin, pool.ID, store.HashOf(fmt.Sprint(i)), time.Time{})
		var invalid *store.InvalidError
		if last := i == store.MaxTokenKeys-1; errors.As(err, &invalid) != last || !last && err != nil {
			t.Errorf("key %d beside the first: %v", i+1, err)
		}
	}
}

// A key's last moment only ever comes earlier.
func testExpireTokenKey(t *testing.T, b backend) {
	st, location := b.fresh(t)
	pool, other := addPool(t, st, "gitlab"), addPool(t, st, "other")
	keys, err := st.TokenKeys(t.Context(), pool.ID)
	if err != nil {
		t.Fatal(err)
	}
	key := keys[0]
	hour := time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	for _, tt := range []struct {
		what string
		at   time.Time
		ok   bool
		want time.Time // how long it has then
	}{
		{"no time", time.Time{}, false, time.Time{}},
		{"now", time.Now(), false, time.Time{}},
		{"a first time", hour.Add(time.Minute), true, hour.Add(time.Minute)},
		{"later", hour.Add(2 * time.Minute), false, hour.Add(time.Minute)},
		{"the same", hour.Add(time.Minute), false, hour.Add(time.Minute)},
		{"none again", time.Time{}, false, hour.Add(time.Minute)},
		{"earlier", hour, true, hour},
		{"the past", time.Now().Add(-time.Second), false, hour},
	} {
		err := st.ExpireTokenKey(t.Context(), admin, pool.ID, key.ID, tt.at)
		var invalid *store.InvalidError
		if tt.ok && err != nil || !tt.ok && (!errors.As(err, &invalid) || invalid.Field != "expires") {
			t.Errorf("%s: %v", tt.what, err)
		}
		if keys, err := st.TokenKeys(t.Context(), pool.ID); err != nil || keys[0].ExpiresAt != tt.want {
			t.Errorf("%s: the key is %+v, %v; want it to expire at %v", tt.what, keys[0], err, tt.want)
		}
	}
	for _, wrong := range [][2]string{{other.ID, key.ID}, {pool.ID, "x"}, {"gitlab", key.ID}, {"", ""}} {
		if err := st.ExpireTokenKey(t.Context(), admin, wrong[0], wrong[1], hour); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("expire %v: %v, want ErrNotFound", wrong, err)
		}
	}
	log, err := st.Audit(t.Context(), store.AuditFilter{Action: store.ActionTokenExpire})
	if err != nil || len(log) != 2 || log[0].Target.ID != pool.ID || log[0].Detail["token_key"] != key.ID || log[0].Detail["expires"] != hour.Format(time.RFC3339) {
		t.Errorf("the audit log has %+v, %v", log, err)
	}

	if _, _, err := st.PoolByTokenKey(t.Context(), pool.ID, store.HashOf("token of gitlab")); err != nil {
		t.Errorf("before its last moment: %v", err)
	}
	b.exec(t, location, "UPDATE token_keys SET expires_at = $1 WHERE id = $2", time.Now().UnixMicro(), key.ID)
	if _, _, err := st.PoolByTokenKey(t.Context(), pool.ID, store.HashOf("token of gitlab")); !errors.Is(err, store.ErrExpired) {
		t.Errorf("after it: %v, want ErrExpired", err)
	}
}
