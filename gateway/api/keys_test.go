package api_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway/api"
	"vcsagent/transport"
)

func TestAKeyIsMadeOfWhatIsGiven(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	made, err := client.CreateKey(t.Context(), api.NewKey{Name: "full", Pools: []string{"gitlab"}, Limits: api.Limits{RequestsPerSecond: 0.5}, Expires: expires})
	if err != nil {
		t.Fatal(err)
	}
	if made.Limits.RequestsPerSecond != 0.5 || !made.ExpiresAt.Equal(expires) || !made.LastUsedAt.IsZero() || made.Admin {
		t.Errorf("the answer is %+v", made)
	}
	used := time.Now().UTC().Truncate(time.Microsecond)
	if err := f.store.Touch(t.Context(), map[string]time.Time{made.ID: used}, nil); err != nil {
		t.Fatal(err)
	}
	for _, nameOrID := range []string{"full", made.ID} {
		shown, err := client.Key(t.Context(), nameOrID)
		if err != nil || shown.ID != made.ID || !shown.LastUsedAt.Equal(used) || !slices.Equal(shown.Pools, []string{"gitlab"}) {
			t.Errorf("key %s is %+v, %v", nameOrID, shown, err)
		}
	}
	if shown := f.ask(t, "GET", "/api/v1/keys/full", "", 200); shown["key"] != nil {
		t.Error("the key is shown again")
	}
}

func TestAKeyChanges(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	if _, err := client.CreatePool(t.Context(), api.NewPool{Name: "github"}); err != nil {
		t.Fatal(err)
	}
	in, never, five := time.Now().Add(time.Hour).UTC().Truncate(time.Second), time.Time{}, 5
	steps := []struct {
		name   string
		change api.KeyChange
		want   api.Key
	}{
		{"pools", api.KeyChange{Pools: &[]string{"github", "gitlab"}}, api.Key{Pools: []string{"github", "gitlab"}}},
		{"expiry", api.KeyChange{Expires: &in}, api.Key{Pools: []string{"github", "gitlab"}, ExpiresAt: in}},
		{"a limit", api.KeyChange{Limits: &api.LimitsChange{Burst: &five}},
			api.Key{Pools: []string{"github", "gitlab"}, ExpiresAt: in, Limits: api.Limits{Burst: 5}}},
		{"another limit", api.KeyChange{Limits: &api.LimitsChange{InFlight: &five}},
			api.Key{Pools: []string{"github", "gitlab"}, ExpiresAt: in, Limits: api.Limits{Burst: 5, InFlight: 5}}},
		{"nothing", api.KeyChange{}, api.Key{Pools: []string{"github", "gitlab"}, ExpiresAt: in, Limits: api.Limits{Burst: 5, InFlight: 5}}},
		{"no expiry", api.KeyChange{Expires: &never}, api.Key{Pools: []string{"github", "gitlab"}, Limits: api.Limits{Burst: 5, InFlight: 5}}},
	}
	for _, step := range steps {
		got, err := client.UpdateKey(t.Context(), "backend", step.change)
		if err != nil || !slices.Equal(got.Pools, step.want.Pools) || !got.ExpiresAt.Equal(step.want.ExpiresAt) || got.Limits != step.want.Limits {
			t.Errorf("%s: %+v, %v; want %+v", step.name, got, err, step.want)
		}
	}
	// null is never, and leaves other fields alone.
	f.ask(t, "PATCH", "/api/v1/keys/backend", `{"expires_at":"`+in.Format(time.RFC3339)+`","limits":null,"pools":null}`, 200)
	if got := f.ask(t, "PATCH", "/api/v1/keys/backend", `{"expires_at":null}`, 200); got["expires_at"] != nil || len(got["pools"].([]any)) != 2 {
		t.Errorf("the key is %v", got)
	}
}

func TestKeysRefuse(t *testing.T) {
	f := newFixture(t)
	const backend = "/api/v1/keys/backend"
	for _, tt := range []struct {
		method, path, body string
		status             int
		code, detail       string
	}{
		{"GET", "/api/v1/keys/other", "", 404, "unknown_key", `Key "other" does not exist.`},
		{"PATCH", "/api/v1/keys/other", "{}", 404, "unknown_key", `"other"`},
		{"DELETE", "/api/v1/keys/other", "", 404, "unknown_key", `"other"`},
		{"PATCH", backend, `{"pools":["github"]}`, 422, "unknown_pool", `Pool "github" does not exist.`},
		{"PATCH", backend, `{"pools":[]}`, 422, "invalid", "at least one"},
		{"PATCH", backend, `{"admin":true}`, 400, "unknown_field", "expires_at, limits, pools"},
		{"PATCH", backend, `{"expires_at":"2001-01-01T00:00:00Z"}`, 422, "invalid", "2001-01-01T00:00:00Z"},
		{"PATCH", backend, `{"limits":{"burst":-1}}`, 422, "invalid", "-1"},
		{"PATCH", backend, `{"limits":{"burst":1.5}}`, 400, "bad_body", `"limits.burst" must be a whole number`},
		{"PATCH", backend, `{"limits":{"bursts":1}}`, 400, "unknown_field", `The field "limits" has a field "bursts"`},
		{"PATCH", backend, `{"limits":[]}`, 400, "bad_body", `The field "limits" must be one JSON object with the fields body_bytes,`},
		{"PATCH", backend, `{"limits":{"queue_wait":-1}}`, 400, "bad_body", "a number of seconds from 0 to 600"},
		{"PATCH", backend, `{"limits":{"queue_wait":601}}`, 422, "invalid", "10m0s"},
		{"PATCH", backend, `{"limits":{"queue_wait":1e300}}`, 400, "bad_body", "a number of seconds from 0 to 600"},
		{"PATCH", "/api/v1/pools/gitlab", `{"networks":["10.0.0.0/33"]}`, 422, "invalid", `"10.0.0.0/33" is not a network`},
		{"PATCH", "/api/v1/pools/gitlab", `{"networks":["example.com"]}`, 422, "invalid", `"example.com" is not a network`},
		{"PATCH", "/api/v1/pools/gitlab", `{"networks":"10.0.0.0/8"}`, 400, "bad_body", "a list of networks"},
		{"PATCH", "/api/v1/pools/gitlab", `{"name":"other"}`, 400, "unknown_field", "description, limits, max_parallelism, networks, paused"},
		{"PATCH", "/api/v1/pools/gitlab", `{"paused":"yes"}`, 400, "bad_body", "true or false"},
		{"PATCH", "/api/v1/pools/gitlab", `{"max_parallelism":1000}`, 422, "invalid", "1000"},
		{"PATCH", "/api/v1/pools/gitlab", "", 400, "bad_body", "one JSON object"},
		{"PATCH", "/api/v1/pools/other", "{}", 404, "unknown_pool", `"other"`},
	} {
		got := f.ask(t, tt.method, tt.path, tt.body, tt.status)
		if detail, _ := got["detail"].(string); got["code"] != tt.code || !strings.Contains(detail, tt.detail) {
			t.Errorf("%s %s %s: %v, want %s and %q", tt.method, tt.path, tt.body, got, tt.code, tt.detail)
		}
	}
}

func TestADeletedKeyIsOfNoUse(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	second, err := client.CreateKey(t.Context(), api.NewKey{Name: "second", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	// Also the key that one uses, unless it's the last.
	own := f.client(t, second.Secret)
	if err := own.DeleteKey(t.Context(), "second"); err != nil {
		t.Fatal(err)
	}
	var refused *api.Error
	if _, err := own.Keys(t.Context()); !errors.As(err, &refused) || refused.Status != 401 {
		t.Errorf("with the deleted key: %v", err)
	}
	if err := client.DeleteKey(t.Context(), "admin"); !errors.As(err, &refused) || refused.Status != 409 || refused.Code != "last_admin" ||
		!strings.Contains(refused.Detail, "last admin key") {
		t.Errorf("deleting the last admin key: %v", err)
	}
	if err := client.DeleteKey(t.Context(), "backend"); err != nil {
		t.Errorf("deleting a caller's key: %v", err)
	}
	keys, err := client.Keys(t.Context())
	if err != nil || len(keys) != 1 || keys[0].Name != "admin" {
		t.Errorf("left are %+v, %v", keys, err)
	}
}

func TestLocationsLeadToWhatWasMade(t *testing.T) {
	f := newFixture(t)
	for path, body := range map[string]string{"/api/v1/pools": `{"name":"made"}`, "/api/v1/keys": `{"name":"made.1","pools":["gitlab"]}`} {
		resp, made := f.send(t, "POST", path, "Bearer "+f.admin.Reveal(), body)
		if resp.StatusCode != 201 {
			t.Fatalf("%s: %s %v", path, resp.Status, made)
		}
		if shown := f.ask(t, "GET", resp.Header.Get("Location"), "", 200); shown["id"] != made["id"] {
			t.Errorf("%s leads to %v, want %v", resp.Header.Get("Location"), shown, made)
		}
	}
}

// A key's secret is printed by nobody who prints the answer.
func TestPrintedAnswersMaskTheirSecrets(t *testing.T) {
	f := newFixture(t)
	token, err := f.client(t, f.admin).RotateToken(t.Context(), "gitlab", api.NewToken{})
	if err != nil {
		t.Fatal(err)
	}
	if printed := fmt.Sprintf("%v %+v %#v", token, token, token); strings.Contains(printed, token.Secret.Reveal()) {
		t.Errorf("printed: %s", printed)
	}
	if _, err := transport.ParseToken(token.Secret.Reveal()); err != nil {
		t.Error(err)
	}
}
