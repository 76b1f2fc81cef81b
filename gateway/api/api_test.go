package api_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vcsagent/gateway/api"
	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
	"vcsagent/transport"
)

func TestRefusals(t *testing.T) {
	f := newFixture(t)
	bearer := "Bearer " + f.admin.Reveal()
	const pools, keys = "/api/v1/pools", "/api/v1/keys"
	pad := func(n int) string { // a body of n bytes
		return `{"name":"padded","description":""` + strings.Repeat(" ", n-34) + "}"
	}
	tests := []struct {
		name, method, path, authorization, body string
		status                                  int
		code, detail                            string // of the problem
	}{
		{"admin key", "GET", pools, bearer, "", 200, "", ""},
		{"admin key, scheme in lower case", "GET", pools, "bearer " + f.admin.Reveal(), "", 200, "", ""},
		{"no key", "GET", pools, "", "", 401, "unauthenticated", "has no key"},
		{"empty key", "GET", pools, "Bearer ", "", 401, "unauthenticated", "has no key"},
		{"Basic", "GET", pools, "Basic " + f.admin.Reveal(), "", 401, "unauthenticated", "has no key"},
		{"wrong key", "GET", pools, bearer + "x", "", 401, "unauthenticated", "not one of this gateway's"},
		{"key cut short", "GET", pools, bearer[:len(bearer)-1], "", 401, "unauthenticated", "not one of this gateway's"},
		{"caller's key", "GET", pools, "Bearer " + f.caller.Reveal(), "", 403, "forbidden", "needs an admin key"},
		{"caller's key, writing", "POST", pools, "Bearer " + f.caller.Reveal(), `{"name":"x"}`, 403, "forbidden", "key backend"},
		{"no key, unknown path", "GET", "/api/v1/nothing", "", "", 401, "unauthenticated", "has no key"},

		{"unknown path", "GET", "/api/v1/nothing", bearer, "", 404, "not_found", "no such path"},
		{"path outside", "GET", "/", bearer, "", 404, "not_found", "no such path"},
		{"version", "GET", "/api/v1/version", bearer, "", 200, "", ""},
		{"method", "DELETE", pools, bearer, "", 405, "method_not_allowed", "takes GET, POST"},
		{"method on a pool", "PUT", pools + "/gitlab", bearer, "", 405, "method_not_allowed", "takes DELETE, GET, PATCH"},

		{"known pool", "GET", pools + "/gitlab", bearer, "", 200, "", ""},
		{"unknown pool", "GET", pools + "/github", bearer, "", 404, "unknown_pool", `Pool "github" does not exist.`},

		{"pool", "POST", pools, bearer, `{"name":"made","description":"d"}`, 201, "", ""},
		{"pool without description", "POST", pools, bearer, `{"name":"made-2","description":null}`, 201, "", ""},
		{"duplicate", "POST", pools, bearer, `{"name":"gitlab"}`, 409, "exists", `A pool named "gitlab" already exists.`},
		{"bad name", "POST", pools, bearer, `{"name":"Git Lab"}`, 422, "invalid", `"Git Lab" is not allowed: use 1 to 63 of a-z, 0-9 and -`},
		{"no name", "POST", pools, bearer, `{}`, 422, "invalid", `""`},
		{"bad description", "POST", pools, bearer, `{"name":"x","description":"\u0000"}`, 422, "invalid", "control characters"},
		{"unknown field", "POST", pools, bearer, `{"name":"x","descripton":"d"}`, 400, "unknown_field", `"descripton", which is not one of description, limits, max_parallelism, name, networks, token_expires`},
		{"field in other case", "POST", pools, bearer, `{"Name":"x"}`, 400, "unknown_field", `"Name"`},
		{"type", "POST", pools, bearer, `{"name":7}`, 400, "bad_body", `"name" must be a text`},
		{"no body", "POST", pools, bearer, "", 400, "bad_body", "one JSON object with the fields description, limits,"},
		{"not JSON", "POST", pools, bearer, "name=x", 400, "bad_body", "one JSON object"},
		{"null", "POST", pools, bearer, "null", 400, "bad_body", "one JSON object"},
		{"array", "POST", pools, bearer, `[{"name":"x"}]`, 400, "bad_body", "one JSON object"},
		{"two objects", "POST", pools, bearer, `{"name":"x"}{"name":"y"}`, 400, "bad_body", "one JSON object"},
		{"largest body", "POST", pools, bearer, pad(64 << 10), 201, "", ""},
		{"oversized body", "POST", pools, bearer, pad(64<<10 + 1), 413, "too_large", "larger than 65536 bytes"},

		{"key", "POST", keys, bearer, `{"name":"k","pools":["gitlab"]}`, 201, "", ""},
		{"admin's key", "POST", keys, bearer, `{"name":"k-admin","admin":true}`, 201, "", ""},
		{"key of an unknown pool", "POST", keys, bearer, `{"name":"k2","pools":["gitlab","github"]}`, 422, "unknown_pool", `Pool "github" does not exist.`},
		{"key of no pool", "POST", keys, bearer, `{"name":"k2","pools":[]}`, 422, "invalid", "name at least one"},
		{"duplicate key", "POST", keys, bearer, `{"name":"backend","pools":["gitlab"]}`, 409, "exists", `A key named "backend" already exists.`},
		{"bad name of a key", "POST", keys, bearer, `{"name":"back end","pools":["gitlab"]}`, 422, "invalid", `"back end"`},
		{"pools not a list", "POST", keys, bearer, `{"name":"k2","pools":"gitlab"}`, 400, "bad_body", "list of pools' names"},
		{"admin not a boolean", "POST", keys, bearer, `{"name":"k2","admin":"true"}`, 400, "bad_body", "true or false"},
		{"unknown field of a key", "POST", keys, bearer, `{"name":"k2","pool":"gitlab"}`, 400, "unknown_field", "admin, expires_at, limits, name, pools"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.log.Reset()
			resp, body := f.send(t, tt.method, tt.path, tt.authorization, tt.body)
			if resp.StatusCode != tt.status {
				t.Fatalf("status %d, want %d: %v", resp.StatusCode, tt.status, body)
			}
			for name, want := range map[string]string{
				"X-Content-Type-Options":  "nosniff",
				"Cache-Control":           "no-store",
				"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
			} {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			contentType := resp.Header.Get("Content-Type")
			if tt.status < 300 {
				if contentType != "application/json" {
					t.Errorf("Content-Type: %s", contentType)
				}
				return
			}
			if contentType != "application/problem+json" || body["code"] != tt.code || body["status"] != float64(tt.status) {
				t.Errorf("%s: %v, want a problem with code %s", contentType, body, tt.code)
			}
			if detail, _ := body["detail"].(string); !strings.Contains(detail, tt.detail) || !strings.HasSuffix(detail, ".") {
				t.Errorf("detail %q, want a sentence with %q", detail, tt.detail)
			}
			if got := resp.Header.Get("WWW-Authenticate"); (got != "") != (tt.status == 401) || strings.Contains(got, "Basic") {
				t.Errorf("WWW-Authenticate: %q", got)
			}
			if allow := resp.Header.Get("Allow"); tt.status == 405 && !strings.Contains(tt.detail, "takes "+allow) {
				t.Errorf("Allow: %q", allow)
			}
			if n := strings.Count(f.log.String(), "\n"); n != 1 || !strings.Contains(f.log.String(), `"code":"`+tt.code+`"`) {
				t.Errorf("%d log lines, want one with the code: %s", n, f.log)
			}
		})
	}

	// What was refused changed nothing.
	list, err := f.store.Pools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range list {
		names = append(names, p.Name)
	}
	if want := []string{"gitlab", "made", "made-2", "padded"}; !slices.Equal(names, want) {
		t.Errorf("pools are %v, want %v", names, want)
	}
}

func TestCreatePoolAnswersATokenThatWorks(t *testing.T) {
	f := newFixture(t)
	resp, body := f.send(t, "POST", "/api/v1/pools", "Bearer "+f.admin.Reveal(), `{"name":"bitbucket","description":"d"}`)
	if got := resp.Header.Get("Location"); got != "/api/v1/pools/bitbucket" {
		t.Errorf("Location: %s", got)
	}
	encoded, _ := body["token"].(string)
	token, err := transport.ParseToken(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if token.Host != "gateway.example:8443" || token.CASHA256 == "" || token.PoolID != body["id"] {
		t.Errorf("token is %v, answer %v", token, body)
	}
	if key := token.Key.Reveal(); !strings.HasPrefix(key, "vcspool_") || len(key) != len("vcspool_")+43 {
		t.Error("the token's key is not 32 bytes in base64url behind its prefix")
	}
	pool, _, err := f.store.PoolByTokenKey(t.Context(), token.PoolID, store.HashOf(token.Key.Reveal()))
	if err != nil || pool.Name != "bitbucket" || pool.Description != "d" {
		t.Errorf("pool of the token = %+v, %v", pool, err)
	}
	if created, err := time.Parse(time.RFC3339Nano, body["created_at"].(string)); err != nil || !created.Equal(pool.CreatedAt) {
		t.Errorf("created_at %v, stored %v", body["created_at"], pool.CreatedAt)
	}
}

func TestPoolsShowTheirAgents(t *testing.T) {
	f := newFixture(t)
	gitlab, err := f.store.PoolByName(t.Context(), "gitlab")
	if err != nil {
		t.Fatal(err)
	}
	f.connect(gitlab.ID,
		control.Connection{Pool: "gitlab", SessionID: "s1", Carrier: transport.QUIC, Parallelism: 4, InFlight: 1, Tags: map[string]string{"zone": "a"}},
		control.Connection{Pool: "gitlab", SessionID: "s2", Carrier: transport.TCP, Parallelism: 8, InFlight: 2},
	)
	client := f.client(t, f.admin)
	if _, err := client.CreatePool(t.Context(), api.NewPool{Name: "empty"}); err != nil {
		t.Fatal(err)
	}
	pools, err := client.Pools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(pools) != 2 || pools[0].Name != "empty" || pools[0].Agents+pools[0].Streams+pools[0].InFlight != 0 ||
		pools[1].Name != "gitlab" || pools[1].Agents != 2 || pools[1].Streams != 12 || pools[1].InFlight != 3 {
		t.Errorf("pools are %+v", pools)
	}
	detail, err := client.Pool(t.Context(), "gitlab")
	if err != nil {
		t.Fatal(err)
	}
	if detail.ID != gitlab.ID || len(detail.Connections) != 2 || detail.Connections[0].Tags["zone"] != "a" || detail.Connections[1].Carrier != transport.TCP {
		t.Errorf("pool is %+v", detail)
	}
	_, body := f.send(t, "GET", "/api/v1/pools/empty", "Bearer "+f.admin.Reveal(), "")
	if list, ok := body["connections"].([]any); !ok || len(list) != 0 {
		t.Errorf("connections of a pool without agents are %v, want []", body["connections"])
	}
}

func TestKeysAreListedWithoutTheirSecrets(t *testing.T) {
	f := newFixture(t)
	keys, err := f.client(t, f.admin).Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(keys) != 2 || keys[0].Name != "admin" || !keys[0].Admin || len(keys[0].Pools) != 0 ||
		keys[1].Name != "backend" || keys[1].Admin || !slices.Equal(keys[1].Pools, []string{"gitlab"}) {
		t.Errorf("keys are %+v", keys)
	}
	_, body := f.send(t, "GET", "/api/v1/keys", "Bearer "+f.admin.Reveal(), "")
	for _, key := range body["keys"].([]any) {
		if _, ok := key.(map[string]any)["key"]; ok {
			t.Errorf("the list shows a secret: %v", key)
		}
	}
}

func TestACreatedAdminKeyWorks(t *testing.T) {
	f := newFixture(t)
	key, err := f.client(t, f.admin).CreateKey(t.Context(), api.NewKey{Name: "second", Admin: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.client(t, key.Secret).Pools(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestFaultsOfTheGatewayStayInItsLog(t *testing.T) {
	f := newFixture(t)
	f.store.Close()
	resp, body := f.send(t, "GET", "/api/v1/pools", "Bearer "+f.admin.Reveal(), "")
	if resp.StatusCode != 500 || body["code"] != "internal" || strings.Contains(body["detail"].(string), "closed") {
		t.Errorf("answer is %s %v", resp.Status, body)
	}
	if !strings.Contains(f.log.String(), `"level":"ERROR"`) || !strings.Contains(f.log.String(), "closed") {
		t.Errorf("log is %s", f.log)
	}
}

func TestLogLinesAreBounded(t *testing.T) {
	f := newFixture(t)
	f.log.Reset()
	f.send(t, "GET", "/api/v1/"+strings.Repeat("x", 10_000), "", "")
	if n := len(f.log.String()); n == 0 || n > 1000 {
		t.Errorf("a log line of %d bytes", n)
	}
}

// Keys and tokens are in the answer that makes them, in the admin key's file,
// and nowhere else.
func TestSecretsAreNeitherLoggedNorStored(t *testing.T) {
	f := newFixture(t)
	client := f.client(t, f.admin)
	pool, err := client.CreatePool(t.Context(), api.NewPool{Name: "secretive", Description: "d"})
	if err != nil {
		t.Fatal(err)
	}
	token, err := transport.ParseToken(pool.Token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	key, err := client.CreateKey(t.Context(), api.NewKey{Name: "secretive", Pools: []string{"secretive"}})
	if err != nil {
		t.Fatal(err)
	}
	wrong := transport.Secret("vcsgw_" + strings.Repeat("wrong", 8))
	for _, k := range []transport.Secret{f.admin, f.caller, wrong} {
		c := f.client(t, k)
		c.CreatePool(t.Context(), api.NewPool{Name: "secretive", Description: "d"}) // refused, each for a reason of its own
		c.CreateKey(t.Context(), api.NewKey{Name: "secretive"})
		c.Keys(t.Context())
	}
	stored := map[string]string{"the log": f.log.String()}
	for _, name := range []string{store.FileName, store.FileName + "-wal"} {
		data, err := os.ReadFile(filepath.Join(f.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		stored[name] = string(data)
	}
	all := stored[store.FileName] + stored[store.FileName+"-wal"]
	if hash := store.HashOf(key.Secret.Reveal()); !strings.Contains(all, string(hash[:])) || !strings.Contains(stored["the log"], "secretive") {
		t.Fatal("the search looks in the wrong place")
	}
	for name, secret := range map[string]string{
		"admin key": f.admin.Reveal(), "caller's key": f.caller.Reveal(), "new key": key.Secret.Reveal(),
		"token": pool.Token.Reveal(), "token's key": token.Key.Reveal(), "wrong key": wrong.Reveal(),
	} {
		for where, data := range stored {
			if strings.Contains(data, secret) || strings.Contains(data, secret[len(secret)/2:]) {
				t.Errorf("%s is in %s", name, where)
			}
		}
	}
}
