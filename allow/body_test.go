package allow_test

import (
	"net/http"
	"strings"
	"testing"

	"vcsagent/allow"
)

// bodyRow is a body to a rule; reason "" means that it passes and sent is what
// goes on ("" for the body itself).
type bodyRow struct {
	contentType, body string
	reason            allow.Reason
	sent              string
}

func checkBodies(t *testing.T, p *allow.Policy, request string, rows []bodyRow) {
	t.Helper()
	d := checkAllowedOnly(t, p, request)
	if !d.InspectBody {
		t.Errorf("%s: the body is not inspected", request)
	}
	for _, row := range rows {
		header := http.Header{}
		if row.contentType != "" {
			header.Set("Content-Type", row.contentType)
		}
		got, body := p.CheckBody(d, header, []byte(row.body))
		if got.Allowed != (row.reason == "") || got.Reason != row.reason {
			t.Errorf("%s with %s %q: allowed=%t %s (%s), want %q", request, row.contentType, row.body, got.Allowed, got.Reason, got.Detail, row.reason)
			continue
		}
		if !got.Allowed {
			if body != nil || got.Path != "" || got.Nearest != d.Rule || got.Detail == "" {
				t.Errorf("%s with %q: denial %+v with body %q", request, row.body, got, body)
			}
			continue
		}
		want := row.sent
		if want == "" {
			want = row.body
		}
		if string(body) != want || got.Path != d.Path {
			t.Errorf("%s with %q: sends %q to %s, want %q", request, row.body, body, got.Path, want)
		}
	}
}

const (
	jsonType = "application/json"
	formType = "application/x-www-form-urlencoded"
)

func TestGitLabBodies(t *testing.T) {
	p := everything(t, "gitlab", "")
	multi := func(parts string) string { return strings.ReplaceAll(parts, "\n", "\r\n") }
	const multiType = "multipart/form-data; boundary=XX"
	const part = "--XX\nContent-Disposition: form-data; name=\"body\"\n\nhello\n"
	checkBodies(t, p, "POST /api/v4/projects/g%2Fr/merge_requests/5/notes", []bodyRow{
		{"", "", "", ""},
		{jsonType, "", "", ""},
		{formType, "", "", ""},
		{jsonType, "null", "", ""},
		{jsonType, " null\n", "", ""},
		{jsonType, "nul", allow.BadBody, ""},
		{jsonType, "null null", allow.BadBody, ""},

		{jsonType, `{"body":"hello\n/x","internal":true}`, "", ""},
		{jsonType + "; charset=UTF-8", ` {"body":"é"} `, "", ""},
		{jsonType, `{"body":"x","sudo":"root"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"body":"x","\u0073udo":"root"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"body":"x","private_token":"x"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"body":"x","access_token":"x"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"body":"x","job_token":"x"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"body":"x","_method":"DELETE"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"body":"x","id":"other"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"Body":"x"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"body":"x","body":"y"}`, allow.BadBody, ""},
		{jsonType, `{"body":"x","bod\u0079":"y"}`, allow.BadBody, ""},
		{jsonType, `{"body":{"a":1,"a":2}}`, allow.BadBody, ""},
		{jsonType, `{"body":[{"a":1,"a":2}]}`, allow.BadBody, ""},
		{jsonType, `{"body":"x"}{"sudo":"root"}`, allow.BadBody, ""},
		{jsonType, `{"body":"x",}`, allow.BadBody, ""},
		{jsonType, `{"body":"x"/**/}`, allow.BadBody, ""},
		{jsonType, `["body"]`, allow.BadBody, ""},
		{jsonType, `"body"`, allow.BadBody, ""},
		{jsonType, "{\"body\":\"\xff\"}", allow.BadBody, ""},
		{jsonType, "\ufeff{\"body\":\"x\"}", allow.BadBody, ""},
		{jsonType, `{"body":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, allow.BadBody, ""},
		{jsonType, `{"body":` + strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100) + `}`, allow.BadBody, ""},
		{jsonType, "body=hello", allow.BadBody, ""},
		{jsonType, `{"body":"` + strings.Repeat("a", allow.MaxBodyBytes) + `"}`, allow.BodyTooLarge, ""},

		{formType, "body=hello+world%0A%2Fx&internal=true", "", ""},
		{formType, "body=a%20b", "", "body=a+b"},
		{formType, "body=x&sudo=root", allow.FieldNotAllowed, ""},
		{formType, "body=x&%73udo=root", allow.FieldNotAllowed, ""},
		{formType, "body=x& sudo=root", allow.FieldNotAllowed, ""},
		{formType, "body=x&_method=DELETE", allow.FieldNotAllowed, ""},
		{formType, "body=x&private_token=y", allow.FieldNotAllowed, ""},
		{formType, "body=x&body=y", allow.BadBody, ""},
		{formType, "body=x;sudo=root", allow.BadBody, ""},
		{formType, "body=%zz", allow.BadBody, ""},
		{formType, "body=x&", allow.BadBody, ""},
		{formType, `{"body":"x"}`, allow.FieldNotAllowed, ""},

		{multiType, multi(part + "--XX--\n"), "", ""},
		{multiType, multi("preamble\n" + part + "--XX--\nepilogue"), "", multi(part + "--XX--\n")},
		{multiType, multi(part + "--XX\nContent-Disposition: form-data; name=\"sudo\"\n\nroot\n--XX--\n"), allow.FieldNotAllowed, ""},
		{multiType, multi(part + part + "--XX--\n"), allow.BadBody, ""},
		{multiType, multi("--XX\nContent-Disposition: form-data; name=\"body\"; filename=\"a\"\n\nhello\n--XX--\n"), allow.BadBody, ""},
		{multiType, multi("--XX\nContent-Disposition: form-data; name=\"body\"\nContent-Transfer-Encoding: base64\n\naGk=\n--XX--\n"), allow.BadBody, ""},
		{multiType, multi("--XX\nContent-Disposition: form-data; name=\"body\"\n\nmid --XX dle\n--XX--\n"), allow.BadBody, ""},
		{multiType, multi("--XX\nContent-Disposition: attachment; name=\"body\"\n\nhello\n--XX--\n"), allow.FieldNotAllowed, ""},
		{multiType, multi(part), allow.BadBody, ""},
		{multiType, "nothing", allow.BadBody, ""},
		{"multipart/form-data", multi(part + "--XX--\n"), allow.BadBody, ""},
		{`multipart/form-data; boundary=XX; x="boundary=YY"`, multi(part + "--XX--\n"), allow.BadBody, ""},
		{`multipart/form-data; boundary="X X"`, strings.ReplaceAll(multi(part+"--XX--\n"), "XX", "X X"), allow.BadBody, ""},
		{`multipart/form-data; boundary="--"`, multi(part + "--XX--\n"), allow.BadBody, ""},

		{"", `{"body":"x"}`, "", ""}, // read as JSON, and sent as JSON
		{"", `{"body":"x","sudo":"root"}`, allow.FieldNotAllowed, ""},
		{"", `body=x`, allow.BadBody, ""},
		{"text/plain", "sudo=root", allow.BadBody, ""},
		{"application/vnd.api+json", `{"sudo":"root"}`, allow.BadBody, ""},
		{"application/json; charset=utf-16", `{"body":"x"}`, allow.BadBody, ""},
		{"application/json; boundary=x", `{"body":"x"}`, allow.BadBody, ""},
		{"application/json, " + formType, `{"body":"x"}`, allow.BadBody, ""},
	})
}

// TestEmptyBodies: where a rule takes no body, a server might still read
// parameters from one.
func TestEmptyBodies(t *testing.T) {
	for _, c := range []struct{ vendor, request string }{
		{"gitlab", "GET /api/v4/user"},
		{"gitlab", "HEAD /api/v4/user"},
		{"gitlab", "DELETE /api/v4/projects/g%2Fr/environments/1"},
		{"gitlab", "GET /g/r.git/info/refs?service=git-upload-pack"},
		{"github_enterprise", "DELETE /repos/o/r/deployments/1"},
		{"bitbucket_datacenter", "GET /rest/api/1.0/repos"},
	} {
		checkBodies(t, everything(t, c.vendor, ""), c.request, []bodyRow{
			{"", "", "", ""},
			{jsonType, "", "", ""},
			{formType, "sudo=root", allow.BodyNotAllowed, ""},
			{jsonType, "{}", allow.BodyNotAllowed, ""},
			{"", " ", allow.BodyNotAllowed, ""},
		})
	}
}

func TestBodyHeaders(t *testing.T) {
	p := everything(t, "gitlab", "")
	d := checkAllowedOnly(t, p, "POST /api/v4/projects/g%2Fr/statuses/abc")
	body := []byte(`{"state":"success"}`)
	for _, c := range []struct {
		name   string
		header http.Header
		reason allow.Reason
	}{
		{"plain", http.Header{"Content-Type": {jsonType}}, ""},
		{"identity", http.Header{"Content-Type": {jsonType}, "Content-Encoding": {"identity"}}, ""},
		{"compressed", http.Header{"Content-Type": {jsonType}, "Content-Encoding": {"gzip"}}, allow.BadBody},
		{"compressed second", http.Header{"Content-Type": {jsonType}, "Content-Encoding": {"identity", "br"}}, allow.BadBody},
		{"no type", http.Header{}, ""},
		{"an empty type", http.Header{"Content-Type": {""}}, allow.BadBody},
		{"two types", http.Header{"Content-Type": {jsonType, formType}}, allow.BadBody},
	} {
		got, _ := p.CheckBody(d, c.header, body)
		if got.Reason != c.reason {
			t.Errorf("%s: %q (%s), want %q", c.name, got.Reason, got.Detail, c.reason)
		}
		if got.Allowed && got.ContentType != jsonType {
			t.Errorf("%s: content type %q", c.name, got.ContentType)
		}
	}
}

// TestCheckBodyOfDenial: a body doesn't turn a denial into anything else.
func TestCheckBodyOfDenial(t *testing.T) {
	p := everything(t, "gitlab", "")
	for _, d := range []allow.Decision{p.Check("GET", "/nowhere"), p.Check("POST", "/api/v4/projects/g%2Fr/statuses/abc?sudo=x"), {}, {Allowed: true, Rule: "unheard.of"}} {
		if got, body := p.CheckBody(d, http.Header{"Content-Type": {jsonType}}, []byte(`{"state":"success"}`)); got.Allowed || got.Reason == "" || body != nil {
			t.Errorf("%+v became %+v", d, got)
		}
	}
}

// TestGitStreams: git's own protocol passes unread, and no server can take it
// for a form.
func TestGitStreams(t *testing.T) {
	for vendor, request := range map[string]string{
		"gitlab":               "POST /g/r.git/git-upload-pack",
		"github_enterprise":    "POST /o/r.git/git-upload-pack",
		"bitbucket_datacenter": "POST /scm/k/r.git/git-upload-pack",
	} {
		d := checkAllowedOnly(t, everything(t, vendor, ""), request)
		if d.InspectBody || d.ContentType != "application/x-git-upload-pack-request" {
			t.Errorf("%s: %+v", vendor, d)
		}
	}
}

func TestGitHubBodies(t *testing.T) {
	p := everything(t, "github_enterprise", "")
	checkBodies(t, p, "POST /api/v3/repos/o/r/check-runs", []bodyRow{
		{jsonType, `{"name":"plan","head_sha":"abc","output":{"title":"t","summary":"s","annotations":[{"path":"a"}]}}`, "", ""},
		{jsonType, `{"name":"plan","_method":"DELETE"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"name":"plan","NAME":"x"}`, allow.FieldNotAllowed, ""},
		{formType, "name=plan", allow.BadBody, ""},
	})
	checkBodies(t, p, "POST /app/installations/1/access_tokens", []bodyRow{
		{"", "", "", ""},
		{jsonType, `{"repositories":["r"],"permissions":{"contents":"read"}}`, "", ""},
		{jsonType, `{"owner":"x"}`, allow.FieldNotAllowed, ""},
	})
}

func TestBodiesThatNameProjects(t *testing.T) {
	const comment = "POST /rest/api/1.0/projects/INF/repos/stack/pull-requests/1/comments"
	const reaches = `{"text":"x","anchor":{"path":"a","pullRequest":{"id":2}}}`
	const stays = `{"text":"x","anchor":{"path":"a","line":1}}`
	checkBodies(t, everything(t, "bitbucket_datacenter", ""), comment, []bodyRow{{jsonType, reaches, "", ""}})
	checkBodies(t, everything(t, "bitbucket_datacenter", "INF/stack"), comment, []bodyRow{
		{jsonType, stays, "", ""},
		{jsonType, reaches, allow.ProjectUnknown, ""},
	})
	const environment = "POST /api/v4/projects/g%2Fr/environments"
	checkBodies(t, everything(t, "gitlab", "g/r"), environment, []bodyRow{
		{jsonType, `{"name":"x"}`, "", ""},
		{jsonType, `{"name":"x","cluster_agent_id":1}`, allow.ProjectUnknown, ""},
		{formType, "name=x&cluster_agent_id=1", allow.ProjectUnknown, ""},
		{"multipart/form-data; boundary=X", "--X\r\nContent-Disposition: form-data; name=\"cluster_agent_id\"\r\n\r\n1\r\n--X--\r\n", allow.ProjectUnknown, ""},
	})
}

func TestGraphQL(t *testing.T) {
	doc := func(s string) string { return `{"query":` + quoteJSON(s) + `}` }
	checkBodies(t, everything(t, "github_enterprise", ""), "POST /api/graphql", []bodyRow{
		{jsonType, doc(`{ viewer { login } }`), "", doc("query {\nviewer {\nlogin\n}\n}\n")},
		{jsonType, `{"variables":{"n":"o"},"operationName":"Q","query":"query Q($n:String!){repositoryOwner(login:$n){...F}} fragment F on User{login __typename}"}`, "",
			`{"query":` + quoteJSON("query Q ($n: String!) {\nrepositoryOwner(login: $n) {\n... F\n}\n}\nfragment F on User {\nlogin\n__typename\n}\n") + `,"operationName":"Q","variables":{"n":"o"}}`},
		{jsonType, `{"query":"{a(s:\"mutation { x } \\\"\\n\")}","variables":null,"operationName":null}`, "", doc("query {\na(s: \"mutation { x } \\\"\\n\")\n}\n")},
		{jsonType, doc("# mutation\n{a}"), "", doc("query {\na\n}\n")},
		{jsonType, doc(`mutation { deleteRef(input: {refId: "x"}) { clientMutationId } }`), allow.NotAQuery, ""},
		{jsonType, doc(`subscription { x }`), allow.NotAQuery, ""},
		{jsonType, doc(`query A { a } mutation B { b }`), allow.NotAQuery, ""},
		{jsonType, `{"query":"query A{a} mutation B{b}","operationName":"A"}`, allow.NotAQuery, ""},
		{jsonType, doc(`fragment F on User { login }`), allow.BadBody, ""},
		{jsonType, doc(`{ a`), allow.BadBody, ""},
		{jsonType, doc(``), allow.BadBody, ""},
		{jsonType, doc("{" + strings.Repeat("a ", 30_000) + "}"), allow.BadBody, ""},
		{jsonType, doc(strings.Repeat("{a", 5_000) + strings.Repeat("}", 5_000)), allow.BadBody, ""},
		{jsonType, doc(`type Query { a: Int }`), allow.BadBody, ""},
		{jsonType, `{"query":"{a}","QUERY":"mutation{b}"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"query":"{a}","Query":"mutation{b}"}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"query":"{a}","query":"mutation{b}"}`, allow.BadBody, ""},
		{jsonType, `{"query":"{a}","quer\u0079":"mutation{b}"}`, allow.BadBody, ""},
		{jsonType, `{"query":"{a}","extensions":{"persistedQuery":{}}}`, allow.FieldNotAllowed, ""},
		{jsonType, `{"query":"{a}","variables":{"x":1,"x":2}}`, allow.BadBody, ""},
		{jsonType, `{"query":"{a}","variables":[1]}`, allow.BadBody, ""},
		{jsonType, `{"query":["{a}"]}`, allow.BadBody, ""},
		{jsonType, `{"query":"{a}","operationName":1}`, allow.BadBody, ""},
		{jsonType, `{"query":null}`, allow.BadBody, ""},
		{jsonType, `[{"query":"{a}"}]`, allow.BadBody, ""},
		{jsonType, `{}`, allow.BadBody, ""},
		{jsonType, ``, allow.BadBody, ""},
		{"application/graphql", `{ viewer { login } }`, allow.BadBody, ""},
		{formType, `query=%7Ba%7D`, allow.BadBody, ""},
		{"", doc(`{a}`), "", doc("query {\na\n}\n")},
	})
}

// TestGraphQLDoesNotGrow: writing a deep document anew makes no large one of it.
func TestGraphQLDoesNotGrow(t *testing.T) {
	p := everything(t, "github_enterprise", "")
	d := p.Check("POST", "/api/graphql")
	chain := strings.Repeat("{a", 900) + strings.Repeat("}", 900)
	body := `{"query":"{b` + chain + ` c` + chain + ` d` + chain + `}"}`
	d, out := p.CheckBody(d, http.Header{"Content-Type": {jsonType}}, []byte(body))
	if !d.Allowed || len(out) > 4*len(body) {
		t.Errorf("allowed=%t (%s): %d bytes became %d", d.Allowed, d.Detail, len(body), len(out))
	}
}
