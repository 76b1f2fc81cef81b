package web_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"vcsagent/gateway/store"
)

func TestKeys(t *testing.T) {
	r := newRig(t)
	r.pool("basement")
	r.pool("attic")
	b := r.signedIn()
	b.get("/new-key").has(t, `value="basement"`, `value="attic"`, "calling pools")

	for field, form := range map[string]url.Values{
		"name":                {"name": {"no spaces"}, "pools": {"basement"}},
		"pools":               {"name": {"backend"}},
		"expires":             {"name": {"backend"}, "pools": {"basement"}, "expires": {"2001-01-01"}},
		"requests_per_second": {"name": {"backend"}, "pools": {"basement"}, "requests_per_second": {"fast"}},
	} {
		a := b.post("/new-key", form)
		if a.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("a wrong %s: status %d", field, a.StatusCode)
		}
		a.has(t, `id="`+field+`-problem"`)
	}
	b.post("/new-key", url.Values{"name": {"backend"}, "pools": {"cellar"}}).has(t, `id="pools-problem"`)

	made := b.post("/new-key", url.Values{"name": {"backend"}, "kind": {"caller"}, "pools": {"basement"}, "in_flight": {"3"}})
	if made.StatusCode != http.StatusCreated {
		t.Fatalf("status %d: %s", made.StatusCode, mainOf(made.body))
	}
	secret := keyIn(t, made)
	k, err := r.control.Store.KeyByHash(t.Context(), store.HashOf(secret))
	if err != nil || k.Name != "backend" || k.Admin || k.Limits.InFlight != 3 || len(k.PoolIDs) != 1 {
		t.Fatalf("the key is %+v, %v", k, err)
	}
	if a := b.post("/new-key", url.Values{"name": {"backend"}, "pools": {"basement"}}); a.StatusCode != http.StatusConflict {
		t.Errorf("a taken name: status %d", a.StatusCode)
	}
	b.get("/keys").has(t, "backend", "3 in flight", `href="/pools/basement"`)
	b.get("/keys").lacks(t, secret)

	// Its expiry is kept to the second while its day isn't changed.
	expires := time.Now().Add(72 * time.Hour).UTC().Truncate(time.Second)
	if _, err := r.control.UpdateKey(t.Context(), tester, k.ID, store.KeyChange{Expires: &expires}); err != nil {
		t.Fatal(err)
	}
	form := b.get("/keys/" + k.ID)
	form.has(t, `value="basement" checked`, `value="3"`, `value="`+expires.Format(time.DateOnly)+`"`)
	save := b.post("/keys/"+k.ID, url.Values{"pools": {"attic"}, "expires": {expires.Format(time.DateOnly)}})
	if save.StatusCode != http.StatusSeeOther {
		t.Fatalf("save: status %d: %s", save.StatusCode, mainOf(save.body))
	}
	attic, err := r.control.Pool(t.Context(), "attic")
	if err != nil {
		t.Fatal(err)
	}
	k, err = r.control.Key(t.Context(), k.ID)
	if err != nil || len(k.PoolIDs) != 1 || k.PoolIDs[0] != attic.ID || k.Limits != (store.Limits{}) || !k.ExpiresAt.Equal(expires) {
		t.Errorf("the key is %+v, %v", k, err)
	}
	b.post("/keys/"+k.ID, url.Values{"pools": {"attic"}, "expires": {""}})
	if k, err = r.control.Key(t.Context(), k.ID); err != nil || !k.ExpiresAt.IsZero() {
		t.Errorf("it expires at %v, %v; want never", k.ExpiresAt, err)
	}
	b.post("/keys/"+k.ID, url.Values{}).has(t, "names no pool")

	b.get("/keys/"+k.ID+"/delete").has(t, "Delete the key backend?", "refused from their next request on")
	if a := b.post("/keys/"+k.ID+"/delete", nil); a.StatusCode != http.StatusSeeOther {
		t.Errorf("delete: status %d", a.StatusCode)
	}
	if _, err := r.control.Store.KeyByHash(t.Context(), store.HashOf(secret)); err == nil {
		t.Error("the key is still good")
	}
	ada, err := r.control.Key(t.Context(), "ada")
	if err != nil {
		t.Fatal(err)
	}
	b.get("/keys/"+ada.ID+"/delete").has(t, "You are signed in with this key.")
	last := b.post("/keys/"+ada.ID+"/delete", nil)
	if last.StatusCode != http.StatusConflict {
		t.Errorf("the last admin key: status %d", last.StatusCode)
	}
	last.has(t, "is the last admin key")
}

func TestAudit(t *testing.T) {
	r := newRig(t)
	p, _ := r.pool("basement")
	for range 60 {
		if err := r.control.Store.AddAudit(t.Context(), store.Actor{Remote: "198.51.100.7:4711"}, "agent.join", store.Target{Kind: "pool", ID: p.ID, Name: "basement"},
			map[string]string{"instance": "vm-1"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := r.control.CreateKey(t.Context(), tester, store.NewKey{Name: "backend", Pools: []string{"basement"}}); err != nil {
		t.Fatal(err)
	}
	b := r.signedIn()
	first := b.get("/audit")
	first.has(t, "sign_in", "agent.join", "the gateway", "instance=vm-1", "198.51.100.7:4711", `id="older"`, "pools=basement")
	first.lacks(t, "action=pool.create")
	b.get("/audit?action=pool.create").has(t, "basement", "<option selected>pool.create</option>")
	b.get("/audit?action=pool.create").lacks(t, "instance=vm-1")
	b.get("/audit?target=backend").has(t, "key.create")
	b.get("/audit?target=nobody").has(t, "No entry matches")
}
