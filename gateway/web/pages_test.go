package web_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
)

func TestMakeAPool(t *testing.T) {
	r := newRig(t)
	b := r.signedIn()
	b.get("/").has(t, "No pool yet", `href="/new-pool"`)
	b.get("/new-pool").has(t, `name="name"`, `name="description"`, "GitLab", "Bitbucket Data Center")

	made := b.post("/new-pool", url.Values{"name": {"basement"}, "description": {"GitLab in the basement"}, "vendor": {"gitlab"}, "endpoint": {"http://10.0.0.7:8929"}})
	if made.StatusCode != http.StatusCreated {
		t.Fatalf("status %d: %s", made.StatusCode, made.body)
	}
	token := tokenIn(t, made)
	made.has(t, "It is shown only now", `data-download="vcs-agent-basement.token"`, "gateway.example.com:8443",
		"SPACELIFT_VCS_AGENT_TARGET_BASE_ENDPOINT=http://10.0.0.7:8929", "helm upgrade --install vcs-agent-basement", "token-file: vcs-agent-basement.token",
		"Waiting for the first agent")
	if n := strings.Count(html.UnescapeString(made.body), token); n != 1 {
		t.Errorf("the token is on its page %d times, want once: snippets read its file", n)
	}
	pool, err := r.control.Pool(t.Context(), "basement")
	if err != nil || pool.Description != "GitLab in the basement" {
		t.Fatalf("the pool is %+v, %v", pool, err)
	}
	b.get("/pools/basement/waiting").has(t, "Waiting for the first agent")
	r.connect(pool.ID, control.Connection{Instance: "vm-1", Version: "0.9", Carrier: "quic", RemoteAddress: "198.51.100.7:4711", Parallelism: 4})
	b.get("/pools/basement/waiting").has(t, "Connected", "vm-1", "198.51.100.7:4711", `href="/pools/basement"`)
	b.get("/").has(t, "basement", "GitLab in the basement", "1 agent", "No requests in the last 24 hours")
	for _, path := range []string{"/", "/pools/basement", "/pools/basement/tokens", "/pools/basement/waiting", "/audit"} {
		b.get(path).lacks(t, token)
	}

	again := b.post("/new-pool", url.Values{"name": {"basement"}, "vendor": {"gitea"}})
	if again.StatusCode != http.StatusConflict {
		t.Errorf("a taken name: status %d", again.StatusCode)
	}
	again.has(t, "already exists", `value="gitea" selected`, `aria-invalid="true"`)
	for field, form := range map[string]url.Values{
		"name":        {"name": {"No Such Name"}, "vendor": {"gitlab"}},
		"description": {"name": {"ok"}, "description": {strings.Repeat("x", store.MaxDescriptionBytes+1)}, "vendor": {"gitlab"}},
		"vendor":      {"name": {"ok"}, "vendor": {"sourceforge"}},
		"endpoint":    {"name": {"ok"}, "vendor": {"gitlab"}, "endpoint": {"https://user:secret@gitlab.example.com"}},
	} {
		a := b.post("/new-pool", form)
		if a.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("a wrong %s: status %d", field, a.StatusCode)
		}
		a.has(t, `id="`+field+`-problem"`)
	}
	if pools, err := r.control.Pools(t.Context()); err != nil || len(pools) != 1 {
		t.Errorf("%d pools, %v; want the first one alone", len(pools), err)
	}
}
