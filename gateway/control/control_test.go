package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

// rig is a Control over a real store and a gateway that writes down what it is
// told.
type rig struct {
	*control.Control
	store   *store.Store
	admin   transport.Secret
	by      store.Actor
	changed []string // the pools that Live.Changed was told of
	live    chan store.Request
}

func newRig(t *testing.T) *rig {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), filepath.Join(dir, store.FileName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	r := &rig{store: st, live: make(chan store.Request, 10)}
	r.Control = &control.Control{
		Store: st,
		Token: func(p store.Pool, key transport.Secret) transport.Token {
			return transport.Token{Host: "gateway.example:8443", PoolID: p.ID, Key: key}
		},
		Logger: slog.New(slog.DiscardHandler),
		Live: control.Live{
			Changed: func(poolID string) { r.changed = append(r.changed, poolID) },
			Connections: func(poolID string) []control.Connection {
				return []control.Connection{{Instance: "a", Parallelism: 4, InFlight: 1}, {Instance: "b", Parallelism: 2, InFlight: 2}}
			},
			Follow: func(context.Context) <-chan store.Request { return r.live },
		},
	}
	if _, err := control.EnsureAdminKey(t.Context(), st, dir); err != nil {
		t.Fatal(err)
	}
	if r.admin, err = control.ReadAdminKey(dir); err != nil {
		t.Fatal(err)
	}
	k, err := r.Admin(t.Context(), r.admin)
	if err != nil {
		t.Fatal(err)
	}
	r.by = control.Actor(k, "192.0.2.1:1000")
	return r
}

// actions lists the audit log's, oldest first.
func (r *rig) actions(t *testing.T) []string {
	t.Helper()
	entries, err := r.Audit(t.Context(), store.AuditFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range slices.Backward(entries) {
		if e.Actor.KeyName != "" { // not the gateway itself, which made the first key
			out = append(out, e.Action)
		}
	}
	return out
}

func TestPoolsLife(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	p, token, err := r.CreatePool(ctx, r.by, store.NewPool{Name: "gitlab", Description: "The company's"})
	if err != nil {
		t.Fatal(err)
	}
	if _, first, err := r.store.PoolByTokenKey(ctx, p.ID, store.HashOf(token.Key.Reveal())); err != nil || token.PoolID != p.ID || first.PoolID != p.ID {
		t.Fatalf("the token isn't the pool's: %v, %v", token, err)
	}
	added, second, err := r.RotateToken(ctx, r.by, "gitlab", time.Now().Add(time.Hour))
	if err != nil || second.Key == token.Key {
		t.Fatalf("RotateToken = %v", err)
	}
	for name, key := range map[string]transport.Secret{"first": token.Key, "second": second.Key} {
		if _, _, err := r.store.PoolByTokenKey(ctx, p.ID, store.HashOf(key.Reveal())); err != nil {
			t.Errorf("after the rotation the %s token doesn't count: %v", name, err)
		}
	}
	keys, err := r.TokenKeys(ctx, "gitlab")
	if err != nil || len(keys) != 2 || keys[1].ID != added.ID {
		t.Fatalf("TokenKeys = %v, %v", keys, err)
	}
	if err := r.RevokeToken(ctx, r.by, "gitlab", keys[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.store.PoolByTokenKey(ctx, p.ID, store.HashOf(token.Key.Reveal())); !errors.Is(err, store.ErrWrongKey) {
		t.Errorf("the revoked token's key: %v", err)
	}
	paused := true
	if p, err = r.UpdatePool(ctx, r.by, "gitlab", store.PoolChange{Paused: &paused}); err != nil || !p.Paused {
		t.Fatalf("UpdatePool = %+v, %v", p, err)
	}
	shown, err := r.Pool(ctx, "gitlab")
	if err != nil || shown.Streams() != 6 || shown.InFlight() != 3 || !shown.Paused {
		t.Errorf("Pool = %+v, %v", shown, err)
	}
	if err := r.DeletePool(ctx, r.by, "gitlab"); err != nil {
		t.Fatal(err)
	}
	if want := []string{p.ID, p.ID, p.ID, p.ID, p.ID}; !slices.Equal(r.changed, want) {
		t.Errorf("the gateway was told of %v", r.changed)
	}
	if got, want := r.actions(t), []string{"pool.create", "token.add", "token.revoke", "pool.update", "pool.delete"}; !slices.Equal(got, want) {
		t.Errorf("the audit log has %v, not %v", got, want)
	}
	for what, err := range map[string]error{
		"RevokeToken": r.RevokeToken(ctx, r.by, "gitlab", added.ID), "DeletePool": r.DeletePool(ctx, r.by, "gitlab"),
		"Pool": errorOf(r.Pool(ctx, "gitlab")), "CheckPool": errorOf(r.CheckPool(ctx, "gitlab")), "TokenKeys": errorOf(r.TokenKeys(ctx, "gitlab")),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of a pool that is gone: %v", what, err)
		}
	}
}

// errorOf drops what a call returned beside its error.
func errorOf[T any](_ T, err error) error { return err }

func TestKeysLife(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	if _, _, err := r.CreatePool(ctx, r.by, store.NewPool{Name: "gitlab"}); err != nil {
		t.Fatal(err)
	}
	k, secret, err := r.CreateKey(ctx, r.by, store.NewKey{Name: "backend", Pools: []string{"gitlab"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Admin(ctx, secret); err == nil || errors.Is(err, store.ErrNotFound) {
		t.Errorf("a caller's key as an admin's: %v", err)
	} else if not, ok := errors.AsType[*control.NotAdminError](err); !ok || not.Key.Name != "backend" {
		t.Errorf("a caller's key as an admin's: %v", err)
	}
	r.changed = nil
	limits := store.Limits{InFlight: 3}
	if k, err = r.UpdateKey(ctx, r.by, "backend", store.KeyChange{Limits: &limits}); err != nil || k.Limits.InFlight != 3 {
		t.Fatalf("UpdateKey = %+v, %v", k, err)
	}
	if err := r.DeleteKey(ctx, r.by, k.ID); err != nil { // by ID as well
		t.Fatal(err)
	}
	if !slices.Equal(r.changed, []string{"", ""}) {
		t.Errorf("the gateway was told of %q", r.changed)
	}
	if _, err := r.Admin(ctx, secret); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the deleted key: %v", err)
	}
	if err := r.DeleteKey(ctx, r.by, "admin"); !errors.Is(err, store.ErrLastAdmin) {
		t.Errorf("deleting the last admin key: %v", err)
	}
	if _, err := r.Key(ctx, strings.Repeat("x", 500)); !errors.Is(err, store.ErrNotFound) || len(err.Error()) > 200 {
		t.Errorf("a key that isn't there: %v", err)
	}
}

func TestSignInsEndWithTheirKey(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	_, other, err := r.CreateKey(ctx, r.by, store.NewKey{Name: "second", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	mine, k, err := r.SignIn(ctx, r.admin, "192.0.2.1:1")
	if err != nil || k.Name != "admin" {
		t.Fatalf("SignIn = %+v, %v", k, err)
	}
	theirs, _, err := r.SignIn(ctx, other, "192.0.2.2:1")
	if err != nil {
		t.Fatal(err)
	}
	if mine == r.admin || mine == theirs {
		t.Fatal("sessions share a secret with each other or with the key")
	}
	if k, err := r.Session(ctx, theirs); err != nil || k.Name != "second" {
		t.Fatalf("Session = %+v, %v", k, err)
	}
	if err := r.DeleteKey(ctx, r.by, "second"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Session(ctx, theirs); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the session of a deleted key: %v", err)
	}
	if err := r.SignOut(ctx, mine, r.by); err != nil {
		t.Fatal(err)
	}
	for what, secret := range map[string]transport.Secret{"signed out": mine, "made up": "vcssess_x", "an admin key": r.admin, "none": ""} {
		if _, err := r.Session(ctx, secret); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("Session (%s): %v", what, err)
		}
	}
	if _, _, err := r.SignIn(ctx, "vcsgw_wrong", "192.0.2.3:1"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("SignIn with a wrong key: %v", err)
	}
}

func TestSessionsEndWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ctx := t.Context()
		secret, _, err := r.SignIn(ctx, r.admin, "192.0.2.1:1")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for time.Since(began) < control.SignInTime-control.SignInIdle { // in use: it goes on
			time.Sleep(control.SignInIdle - time.Minute)
			if _, err := r.Session(ctx, secret); err != nil {
				t.Fatalf("after %v in use: %v", time.Since(began), err)
			}
		}
		time.Sleep(control.SignInIdle - time.Minute)
		if time.Since(began) < control.SignInTime {
			time.Sleep(time.Minute)
		}
		if _, err := r.Session(ctx, secret); !errors.Is(err, store.ErrExpired) && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		idle, _, err := r.SignIn(ctx, r.admin, "192.0.2.1:1")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(control.SignInIdle + time.Minute)
		if _, err := r.Session(ctx, idle); !errors.Is(err, store.ErrExpired) {
			t.Errorf("after %v without a request: %v", control.SignInIdle, err)
		}
	})
}

// followed runs Follow until it has handed over n requests.
func followed(t *testing.T, r *rig, f store.RequestFilter, after int64, n int) []string {
	t.Helper()
	var ids []string
	enough := errors.New("enough")
	err := r.Follow(t.Context(), f, after, func(q store.Request) error {
		ids = append(ids, q.ID)
		if len(ids) == n {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("Follow = %v after %v", err, ids)
	}
	return ids
}

func TestFollowGoesOnWhereItWas(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	now := time.Now()
	past := []store.Request{
		{ID: "one", PoolID: "p", At: now, Outcome: store.OutcomeServed}, {ID: "two", PoolID: "p", At: now.Add(1), Outcome: store.OutcomeDenied},
		{ID: "other", PoolID: "q", At: now.Add(2), Outcome: store.OutcomeDenied}, {ID: "three", PoolID: "p", At: now.Add(3), Outcome: store.OutcomeDenied},
	}
	if err := r.store.AddRequests(ctx, past); err != nil {
		t.Fatal(err)
	}
	r.live <- past[3] // stored between subscribing and reading the past: handed over once
	r.live <- store.Request{ID: "served", PoolID: "p", Outcome: store.OutcomeServed, Seq: past[3].Seq + 1}
	r.live <- store.Request{ID: "unstored", PoolID: "p", Outcome: store.OutcomeDenied}
	r.live <- store.Request{ID: "live", PoolID: "p", Outcome: store.OutcomeDenied, Seq: past[3].Seq + 2}
	f := store.RequestFilter{PoolID: "p", Outcome: store.OutcomeDenied}
	if got, want := followed(t, r, f, past[0].Seq, 4), []string{"two", "three", "unstored", "live"}; !slices.Equal(got, want) {
		t.Errorf("followed %v, not %v", got, want)
	}
	r.live <- store.Request{ID: "next", PoolID: "p", Outcome: store.OutcomeDenied, Seq: past[3].Seq + 3}
	if got := followed(t, r, f, 0, 1); !slices.Equal(got, []string{"next"}) {
		t.Errorf("without a past: %v", got)
	}
	close(r.live)
	if err := r.Follow(ctx, f, 0, func(store.Request) error { return nil }); !errors.Is(err, control.ErrBehind) {
		t.Errorf("Follow when the gateway closed the channel: %v", err)
	}
}

func TestOverviewCounts(t *testing.T) {
	r := newRig(t)
	ctx := t.Context()
	for _, name := range []string{"a", "b"} {
		if _, _, err := r.CreatePool(ctx, r.by, store.NewPool{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := r.Pool(ctx, "b")
	if err != nil {
		t.Fatal(err)
	}
	all := r.Live.Connections
	r.Live.Connections = func(poolID string) []control.Connection {
		if poolID == b.ID {
			return nil
		}
		return all(poolID)
	}
	o, err := r.Overview(ctx, time.Now().Add(-time.Hour))
	if err != nil || o.Pools != 2 || o.Agents != 2 || o.Streams != 6 || o.InFlight != 3 || o.Silent != 1 || o.AdminKeys != 1 {
		t.Errorf("Overview = %+v, %v", o, err)
	}
	paused := true
	if _, err := r.UpdatePool(ctx, r.by, "b", store.PoolChange{Paused: &paused}); err != nil {
		t.Fatal(err)
	}
	if o, err = r.Overview(ctx, time.Now()); err != nil || o.Silent != 0 || o.PausedPools != 1 {
		t.Errorf("Overview with a paused pool = %+v, %v", o, err)
	}
}

func TestSecretsAreNotShown(t *testing.T) {
	r := newRig(t)
	_, token, err := r.CreatePool(t.Context(), r.by, store.NewPool{Name: "gitlab"})
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := r.SignIn(t.Context(), r.admin, "192.0.2.1:1")
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{r.admin.Reveal(), token.Key.Reveal(), token.Encode(), session.Reveal()} {
		for _, s := range []string{secret, "/api/v1/keys/" + secret, secret + "/x", strings.Repeat("é", 70) + secret, strings.Repeat("x", 380) + secret} {
			shown := control.Shown(s)
			for n := 16; n <= len(secret); n++ {
				if strings.Contains(shown, secret[:n]) {
					t.Errorf("%d bytes of a secret are shown of %.60q…: %q", n, s, shown)
					break
				}
			}
		}
	}
	for _, s := range []string{"", "gitlab", "/api/v1/pools/vcspool-1", "eyJhbGciOiJIUzI1NiJ9"} {
		if got := control.Shown(s); got != s {
			t.Errorf("%q is shown as %q", s, got)
		}
	}
}

func TestConnectionsTagsAreBounded(t *testing.T) {
	r := newRig(t)
	if _, _, err := r.CreatePool(t.Context(), r.by, store.NewPool{Name: "gitlab"}); err != nil {
		t.Fatal(err)
	}
	few := map[string]string{"region": "eu", "team": "platform"}
	many := map[string]string{}
	for i := range 64 {
		many[fmt.Sprintf("tag-%02d", i)] = strings.Repeat("x", 256)
	}
	r.Live.Connections = func(string) []control.Connection { return []control.Connection{{Tags: few}, {Tags: many}} }
	p, err := r.Pool(t.Context(), "gitlab")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Connections[0].Tags; !maps.Equal(got, few) {
		t.Errorf("two tags are shown as %v", got)
	}
	if got := p.Connections[1].Tags; len(got) != 15 || got["tag-00"] == "" || got["tag-14"] == "" {
		t.Errorf("of 64 long tags %d are shown: %v", len(got), slices.Sorted(maps.Keys(got)))
	}
}
