package api_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/gateway/api"
	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

func TestAPoolIsMadeOfWhatIsGiven(t *testing.T) {
	f := newFixture(t)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	limits := api.Limits{RequestsPerSecond: 2.5, Burst: 10, InFlight: 4, BodyBytes: 1 << 20, QueueLength: 7, QueueWait: 1.5}
	made, err := f.client(t, f.admin).CreatePool(t.Context(), api.NewPool{Name: "full", Description: "d", Limits: limits, MaxParallelism: 3,
		Networks: []string{"10.0.0.0/8", "192.0.2.1", "2001:db8::/32"}, TokenExpires: expires})
	if err != nil {
		t.Fatal(err)
	}
	networks := []string{"10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"}
	if made.Limits != limits || made.MaxParallelism != 3 || !slices.Equal(made.Networks, networks) || made.Paused || made.Description != "d" {
		t.Errorf("the answer is %+v", made)
	}
	p := f.pool(t, "full")
	if p.Limits.QueueWait != 1500*time.Millisecond || p.Limits.BodyBytes != 1<<20 || len(p.Networks) != 3 {
		t.Errorf("stored is %+v", p)
	}
	keys, err := f.store.TokenKeys(t.Context(), p.ID)
	if err != nil || len(keys) != 1 || !keys[0].ExpiresAt.Equal(expires) {
		t.Errorf("token keys are %+v, %v", keys, err)
	}
}

func TestAChangeLeavesAloneWhatItDoesNotName(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	seven, yes, network := 7, true, []string{"10.0.0.0/8"}
	change := func(c api.PoolChange) api.Pool {
		t.Helper()
		f.mu.Lock()
		f.changed = nil
		f.mu.Unlock()
		p, err := client.UpdatePool(t.Context(), "gitlab", c)
		if err != nil {
			t.Fatal(err)
		}
		if id := f.pool(t, "gitlab").ID; !slices.Contains(f.changed, id) {
			t.Errorf("the gateway wasn't told of the pool's change but of %q", f.changed)
		}
		return p
	}
	before := change(api.PoolChange{Limits: &api.LimitsChange{Burst: &seven}, Networks: &network})
	after := change(api.PoolChange{Paused: &yes, Limits: &api.LimitsChange{InFlight: &seven}})
	if !after.Paused || after.Limits != (api.Limits{Burst: 7, InFlight: 7}) || !slices.Equal(after.Networks, network) || after.Description != before.Description {
		t.Errorf("changed to %+v", after)
	}
	if shown, err := client.Pool(t.Context(), "gitlab"); err != nil || !shown.Paused || shown.UpdatedAt != after.UpdatedAt {
		t.Errorf("shown is %+v, %v", shown, err)
	}
	// Zero takes a limit away, and an empty list the networks.
	zero, none, no := 0, []string{}, false
	after = change(api.PoolChange{Paused: &no, Limits: &api.LimitsChange{Burst: &zero}, Networks: &none})
	if after.Paused || after.Limits != (api.Limits{InFlight: 7}) || len(after.Networks) != 0 {
		t.Errorf("changed to %+v", after)
	}
}

func TestADeletedPoolIsGone(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	id := f.pool(t, "gitlab").ID
	if err := client.DeletePool(t.Context(), "gitlab"); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(f.changed, id) {
		t.Errorf("the gateway wasn't told of the pool but of %q", f.changed)
	}
	var refused *api.Error
	if err := client.DeletePool(t.Context(), "gitlab"); !errors.As(err, &refused) || refused.Status != 404 || refused.Code != "unknown_pool" {
		t.Errorf("deleting it again: %v", err)
	}
	if key, err := client.Key(t.Context(), "backend"); err != nil || len(key.Pools) != 0 {
		t.Errorf("the key that could call it is %+v, %v", key, err)
	}
}

// What has no name must not name all pools, or another path.
func TestNoNameIsNoPool(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	for _, name := range []string{"", ".", "..", "../keys", "a/b", "?", "gitlab/tokens"} {
		var refused *api.Error
		if err := client.DeletePool(t.Context(), name); !errors.As(err, &refused) || refused.Code != "unknown_pool" {
			t.Errorf("deleting %q: %v", name, err)
		}
		if err := client.DeleteKey(t.Context(), name); !errors.As(err, &refused) || refused.Code != "unknown_key" {
			t.Errorf("deleting the key %q: %v", name, err)
		}
	}
}

func TestTokensRotate(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	first, err := client.Tokens(t.Context(), "gitlab")
	if err != nil || len(first) != 1 || !first[0].LastUsedAt.IsZero() || !first[0].ExpiresAt.IsZero() || first[0].Connections != 0 {
		t.Fatalf("tokens are %+v, %v", first, err)
	}
	pool := f.pool(t, "gitlab")
	f.connect(pool.ID, control.Connection{TokenKeyID: first[0].ID}, control.Connection{TokenKeyID: first[0].ID}, control.Connection{TokenKeyID: "other"})
	used := time.Now().UTC().Truncate(time.Microsecond)
	if err := f.store.Touch(t.Context(), nil, map[string]time.Time{first[0].ID: used}); err != nil {
		t.Fatal(err)
	}

	expires, last := time.Now().Add(48*time.Hour).UTC().Truncate(time.Second), time.Now().Add(24*time.Hour).UTC().Truncate(time.Second)
	second, err := client.RotateToken(t.Context(), "gitlab", api.NewToken{Expires: expires, ReplacesExpire: last})
	if err != nil {
		t.Fatal(err)
	}
	token, err := transport.ParseToken(second.Secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if _, key, err := f.store.PoolByTokenKey(t.Context(), token.PoolID, store.HashOf(token.Key.Reveal())); err != nil || key.ID != second.ID {
		t.Errorf("the token's key is %+v, %v", key, err)
	}
	tokens, err := client.Tokens(t.Context(), "gitlab")
	if err != nil || len(tokens) != 2 || tokens[0].Connections != 2 || !tokens[0].LastUsedAt.Equal(used) || !tokens[0].ExpiresAt.Equal(last) ||
		tokens[1].ID != second.ID || !tokens[1].ExpiresAt.Equal(expires) || tokens[1].Connections != 0 {
		t.Errorf("tokens are %+v, %v", tokens, err)
	}

	// A third one leaves alone those that end before, and all if no last moment is given.
	if _, err := client.RotateToken(t.Context(), "gitlab", api.NewToken{ReplacesExpire: last.Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	f.ask(t, "POST", "/api/v1/pools/gitlab/tokens", "", 201)
	if tokens, err = client.Tokens(t.Context(), "gitlab"); err != nil || len(tokens) != 4 || !tokens[0].ExpiresAt.Equal(last) ||
		!tokens[1].ExpiresAt.Equal(last.Add(time.Hour)) || !tokens[2].ExpiresAt.IsZero() || !tokens[3].ExpiresAt.IsZero() {
		t.Errorf("tokens are %+v, %v", tokens, err)
	}

	if err := client.RevokeToken(t.Context(), "gitlab", first[0].ID); err != nil {
		t.Fatal(err)
	}
	if tokens, err := client.Tokens(t.Context(), "gitlab"); err != nil || len(tokens) != 3 {
		t.Errorf("tokens are %+v, %v", tokens, err)
	}
}

func TestTokensRefuse(t *testing.T) {
	f := newFixture(t)
	const tokens = "/api/v1/pools/gitlab/tokens"
	for _, tt := range []struct {
		method, path, body string
		status             int
		code, detail       string
	}{
		{"GET", "/api/v1/pools/other/tokens", "", 404, "unknown_pool", `"other"`},
		{"POST", "/api/v1/pools/other/tokens", "", 404, "unknown_pool", `"other"`},
		{"DELETE", "/api/v1/pools/other/tokens/x", "", 404, "unknown_pool", `"other"`},
		{"DELETE", tokens + "/x", "", 404, "unknown_token", `"x"`},
		{"POST", tokens, `{"expires_at":"2001-01-01T00:00:00Z"}`, 422, "invalid", "2001-01-01T00:00:00Z"},
		{"POST", tokens, `{"replaces_expire_at":"2001-01-01T00:00:00Z"}`, 422, "invalid", "which has passed"},
		{"POST", tokens, `{"expires_at":"0001-01-01T00:00:00Z"}`, 400, "bad_body", "or null for never"},
		{"POST", tokens, `{"expires_at":"tomorrow"}`, 400, "bad_body", "a time such as 2030-01-31T12:00:00Z"},
		{"POST", tokens, `{"expires":null}`, 400, "unknown_field", "expires_at, replaces_expire_at"},
		{"POST", tokens, `{`, 400, "bad_body", "one JSON object"},
	} {
		got := f.ask(t, tt.method, tt.path, tt.body, tt.status)
		if detail, _ := got["detail"].(string); got["code"] != tt.code || !strings.Contains(detail, tt.detail) {
			t.Errorf("%s %s %s: %v, want %s and %q", tt.method, tt.path, tt.body, got, tt.code, tt.detail)
		}
	}
	if left, err := f.store.TokenKeys(t.Context(), f.pool(t, "gitlab").ID); err != nil || len(left) != 1 || !left[0].ExpiresAt.IsZero() {
		t.Errorf("what was refused changed the token keys: %+v, %v", left, err)
	}
}

func TestConnections(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	empty, err := client.CreatePool(t.Context(), api.NewPool{Name: "another"})
	if err != nil {
		t.Fatal(err)
	}
	full := control.Connection{Pool: "gitlab", SessionID: "s1", Instance: "i", Version: "1", Vendor: "gitlab", Carrier: transport.QUIC,
		RemoteAddress: "192.0.2.1:1", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Parallelism: 4, InFlight: 1, Requests: 9,
		RTT: 0.012, Loss: 0.5, Draining: true, TokenKeyID: "k", Tags: map[string]string{"zone": "a"}}
	f.connect(f.pool(t, "gitlab").ID, full)
	f.connect(empty.ID, control.Connection{Pool: "another", SessionID: "s2", Carrier: transport.TCP})

	all, err := client.Connections(t.Context(), "")
	if err != nil || len(all) != 2 || all[0].SessionID != "s2" || all[1].SessionID != "s1" {
		t.Errorf("connections are %+v, %v", all, err)
	}
	one, err := client.Connections(t.Context(), "gitlab")
	if err != nil || len(one) != 1 || one[0].Tags["zone"] != "a" || one[0].RTT != 0.012 || one[0].Loss != 0.5 || !one[0].Draining || one[0].Requests != 9 {
		t.Errorf("connections are %+v, %v", one, err)
	}
	f.connect(empty.ID)
	if list, is := f.ask(t, "GET", "/api/v1/pools/another/connections", "", 200)["connections"].([]any); !is || len(list) != 0 {
		t.Errorf("connections are %v, want []", list)
	}
	f.ask(t, "GET", "/api/v1/pools/none/connections", "", 404)
}

func TestCheck(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	want := control.Check{Agent: true, SessionID: "s", Instance: "i", Reachable: true, Vendor: "gitlab", Status: 200, Version: "17.5.1",
		RTT: 0.01, Elapsed: 0.02, Detail: "GitLab 17.5.1 answers."}
	f.check = func(_ context.Context, p store.Pool) control.Check {
		if p.Name != "gitlab" {
			t.Errorf("checked is %q", p.Name)
		}
		return want
	}
	if got, err := client.CheckPool(t.Context(), "gitlab"); err != nil || got != want {
		t.Errorf("check is %+v, %v", got, err)
	}
	f.check = func(context.Context, store.Pool) control.Check { return control.Check{Code: "no_agent", Detail: "No."} }
	if got, err := client.CheckPool(t.Context(), "gitlab"); err != nil || got.Code != "no_agent" || got.Agent {
		t.Errorf("check is %+v, %v", got, err)
	}
	f.ask(t, "POST", "/api/v1/pools/none/check", "", 404)
	f.ask(t, "POST", "/api/v1/pools/gitlab/check", "{}", 200)
	if got := f.ask(t, "POST", "/api/v1/pools/gitlab/check", `{"session":"s"}`, 400); got["code"] != "unknown_field" {
		t.Errorf("a field is answered %v", got)
	}
}

// A check may take longer than the server gives clients to send a request, and
// the client's own limit for other calls.
func TestACheckMayTakeLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.http.Timeout = 15 * time.Second
		f.check = func(ctx context.Context, _ store.Pool) control.Check {
			select {
			case <-time.After(29 * time.Second):
				return control.Check{Agent: true, Detail: "It took long."}
			case <-ctx.Done():
				return control.Check{Detail: "It was ended: " + context.Cause(ctx).Error()}
			}
		}
		got, err := f.client(t, f.admin).CheckPool(t.Context(), "gitlab")
		if err != nil || got.Detail != "It took long." {
			t.Errorf("check is %+v, %v", got, err)
		}
	})
}
