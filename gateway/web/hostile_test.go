package web_test

import (
	"html"
	"net/http"
	"strings"
	"testing"

	"vcsagent/gateway/control"
	"vcsagent/gateway/store"
)

// hostile is what somebody would put wherever a page shows it.
const hostile = `"'><img src=x onerror=alert(1)></textarea></title><script>alert(1)</script>{{.Admin}}`

// What agents, callers and the VCS say is text on every page that shows it.
func TestStrangersWordsAreText(t *testing.T) {
	r := newRig(t)
	p, _ := r.pool("basement")
	description := hostile
	if _, err := r.control.UpdatePool(t.Context(), tester, "basement", store.PoolChange{Description: &description}); err != nil {
		t.Fatal(err)
	}
	r.connect(p.ID, control.Connection{SessionID: hostile, Instance: hostile, Version: hostile, Vendor: hostile, Carrier: hostile, RemoteAddress: hostile,
		TokenKeyID: hostile, Parallelism: 4, Tags: map[string]string{hostile: hostile, "region": hostile}})
	r.check = control.Check{Agent: true, Reachable: true, Instance: hostile, Vendor: hostile, Version: hostile, Code: hostile, Detail: hostile, RTT: 1}
	one := r.add(store.Request{ID: hostile, PoolID: p.ID, PoolName: "basement", KeyID: hostile, KeyName: hostile, SessionID: hostile, Instance: hostile,
		Method: `"><script>alert(1)</script>`, Path: "/" + hostile, Name: hostile, Purpose: hostile, Project: hostile, Outcome: `"><u>`, Code: hostile, Reason: hostile, Status: 200})[0]
	if err := r.control.Store.AddAudit(t.Context(), store.Actor{KeyName: hostile, Remote: hostile}, "agent.join", store.Target{Kind: hostile, ID: hostile, Name: hostile},
		map[string]string{"tags": hostile, "pools": hostile}); err != nil {
		t.Fatal(err)
	}
	b := r.signedIn()
	escaped := "&lt;img src=x onerror=alert(1)&gt;"
	answers := []answer{b.post("/pools/basement/check", nil)}
	for _, path := range []string{"/", "/pools/basement", "/pools/basement/waiting", "/pools/basement/requests", "/requests", requestAddress(one), "/audit",
		"/pools/basement/settings", "/requests?outcome=" + queried + "&name=" + queried + "&project=" + queried + "&id=" + queried + "&key=" + queried + "&pool=" + queried +
			"&from=" + queried + "&since=" + queried, "/audit?action=" + queried + "&target=" + queried, "/?q=" + queried} {
		answers = append(answers, b.get(path))
	}
	for _, a := range answers {
		if a.StatusCode != http.StatusOK {
			t.Errorf("%s answers %d", a.Request.URL, a.StatusCode)
		}
		a.lacks(t, "<img", "<script>", "<u>", "onerror=alert(1)>", ".Admin}}ada")
		if !strings.Contains(html.UnescapeString(a.body), "<img src=x onerror=alert(1)>") {
			t.Errorf("%s doesn't show the words at all (as %s)", a.Request.URL, escaped)
		}
	}
	b.get("/sign-in?next="+queried).lacks(t, "<img")
	b.get("/keys?done="+queried).lacks(t, "onerror")
}

const queried = "%22%27%3E%3Cimg+src%3Dx+onerror%3Dalert(1)%3E%3Cscript%3Ealert(1)%3C/script%3E"
