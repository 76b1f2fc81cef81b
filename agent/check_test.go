package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vcsagent/agent"
	"vcsagent/allow"
	"vcsagent/transport"
)

// check asks a session's handler for a check, with header as the gateway's request has it.
func check(t *testing.T, h http.Handler, header http.Header) transport.CheckResult {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "https://vcs-agent/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.RequestURI = transport.CheckPath
	maps.Copy(req.Header, header)
	w := newRecorder()
	h.ServeHTTP(w, req)
	if w.status != 200 || w.header.Get("Content-Type") != "application/json" || w.header.Get("Cache-Control") != "no-store" || w.header.Get(transport.ErrorHeader) != "" {
		t.Errorf("%d, headers %v", w.status, w.header)
	}
	return parseCheck(t, w.body.String())
}

// parseCheck reads a result and holds it to what all have in common. Elapsed is 0
// in what it returns, once it is as it can be.
func parseCheck(t *testing.T, body string) transport.CheckResult {
	t.Helper()
	var c transport.CheckResult
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil || len(body) > transport.MaxCheckBytes {
		t.Fatalf("%v, %d bytes: %s", err, len(body), body)
	}
	if c.Elapsed < 0 || c.Elapsed > 30 || c.Reachable && c.Elapsed == 0 {
		t.Errorf("elapsed %v", c.Elapsed)
	}
	if c.Detail != "" && (c.Detail[0] < 'A' || c.Detail[0] > 'Z' || !strings.ContainsAny(c.Detail[len(c.Detail)-1:], ".?")) {
		t.Errorf("the detail is no sentence: %q", c.Detail)
	}
	c.Elapsed = 0
	return c
}

// The vendors' answers as their documentation and servers have them. What a check
// sends is the fixed call with the agent's credential, whatever came with the check.
func TestCheck(t *testing.T) {
	const (
		noCredential = "The VCS answers; its version needs a credential, and the agent has none of its own."
		refused      = "The VCS answers, but refuses the agent's credential, or the version to it (status %d)."
		connection   = `{"authenticatedUser":{"id":"0b1c","providerDisplayName":"s3cret"},"authorizedUser":{"id":"0b1c"},"instanceId":"6e7f","deploymentId":"9a0b","deploymentType":"onPremises","locationServiceData":{"serviceOwner":"00025394"}}`
	)
	tested := map[string]string{} // vendor → call
	for _, tc := range []struct {
		name, vendor, credential string
		target                   string
		status                   int
		header                   http.Header // of the VCS's answer
		body                     string
		version, detail          string
	}{
		{"GitLab", "gitlab", "Private-Token: s3cret", "/api/v4/version", 200, nil,
			`{"version":"17.5.1-ee","revision":"4e963fe","kas":{"enabled":true,"externalUrl":"wss://s3cret.example"},"enterprise":true}`, "17.5.1-ee", ""},
		{"GitLab without credential", "gitlab", "", "/api/v4/version", 401, nil, `{"message":"401 Unauthorized"}`, "", noCredential},
		{"GitLab, a token that was revoked", "gitlab", "Private-Token: s3cret", "/api/v4/version", 401, nil, `{"message":"401 Unauthorized"}`, "", fmt.Sprintf(refused, 401)},
		{"GitLab, a token of a smaller scope", "gitlab", "Private-Token: s3cret", "/api/v4/version", 403, nil, `{"error":"insufficient_scope","scope":"api read_api"}`, "", fmt.Sprintf(refused, 403)},

		{"GitHub", "github_enterprise", "Authorization: Bearer s3cret", "/api/v3/meta", 200, http.Header{"X-Github-Enterprise-Version": {"3.14.2"}},
			`{"verifiable_password_authentication":true,"packages":["s3cret"],"installed_version":"3.14.2"}`, "3.14.2", ""},
		{"GitHub, open to all", "github_enterprise", "", "/api/v3/meta", 200, nil, `{"verifiable_password_authentication":true,"installed_version":"3.9.0"}`, "3.9.0", ""},
		{"GitHub in private mode", "github_enterprise", "", "/api/v3/meta", 401, http.Header{"Www-Authenticate": {`Basic realm="GitHub"`}}, `Must authenticate to access this API.`, "", noCredential},
		{"GitHub, that says its version to all", "github_enterprise", "", "/api/v3/meta", 401, http.Header{"X-Github-Enterprise-Version": {"enterprise-server@3.7.0"}}, `{"message":"Requires authentication"}`, "3.7.0", ""},
		{"GitHub, a token that was revoked", "github_enterprise", "Authorization: Bearer s3cret", "/api/v3/meta", 401, http.Header{"X-Github-Enterprise-Version": {"3.14.2"}}, `{"message":"Bad credentials"}`, "3.14.2", fmt.Sprintf(refused, 401)},

		{"Bitbucket", "bitbucket_datacenter", "", "/rest/api/1.0/application-properties", 200, nil, `{"version":"8.19.1","buildNumber":"8019001","buildDate":"1358897885952","displayName":"s3cret"}`, "8.19.1", ""},
		{"Bitbucket, a token that was revoked", "bitbucket_datacenter", "Authorization: Bearer s3cret", "/rest/api/1.0/application-properties", 401, nil, `{"errors":[{"message":"s3cret"}]}`, "", fmt.Sprintf(refused, 401)},

		{"Azure", "azure_devops", "Authorization: Basic s3cret", "/_apis/connectionData", 200, nil, connection, "", "The VCS answers; azure_devops has no call that tells its version."},
		{"Azure without credential", "azure_devops", "", "/_apis/connectionData", 401, http.Header{"Www-Authenticate": {"Negotiate", "NTLM"}}, `<html>s3cret</html>`, "", noCredential},
		{"something else for Azure", "azure_devops", "", "/_apis/connectionData", 200, nil, `{"version":"1.0"}`, "", "Something answers, but not as azure_devops does; are the agent's vendor and base endpoint right?"},

		{"Gitea", "gitea", "", "/api/v1/version", 200, nil, `{"version":"1.22.0+dev-168-gc52d48aae"}`, "1.22.0+dev-168-gc52d48aae", ""},
		{"Forgejo", "gitea", "Authorization: token s3cret", "/api/v1/version", 200, nil, `{"version":"7.0.0~rc1+gitea-1.22.0"}`, "7.0.0~rc1+gitea-1.22.0", ""},
		{"Gitea where all must sign in", "gitea", "", "/api/v1/version", 403, nil, `{"message":"Only signed in user is allowed to call APIs."}`, "", noCredential},
	} {
		tested[tc.vendor] = tc.target
		t.Run(tc.name, func(t *testing.T) {
			got := make(chan seen, 4)
			r := prepare(t, transport.ModeTCP, func(w http.ResponseWriter, r *http.Request) {
				got <- seen{method: r.Method, target: r.RequestURI, header: r.Header, length: r.ContentLength}
				maps.Copy(w.Header(), tc.header)
				w.WriteHeader(tc.status)
				io.WriteString(w, tc.body)
			}, func(c *agent.Config) {
				c.Policy.Vendor = tc.vendor
				if tc.credential != "" {
					own(t, c, transport.Secret(tc.credential))
				}
			})
			result := check(t, r.Session(1), http.Header{
				"X-Request-Id": {"id-7"}, "User-Agent": {"gateway/1"}, "Authorization": {"Bearer callers"}, "Private-Token": {"callers"}, "Cookie": {"a=b"}, "If-None-Match": {"*"}, "Accept-Encoding": {"gzip"},
			})
			want := transport.CheckResult{Vendor: tc.vendor, Reachable: true, Status: tc.status, Version: tc.version, Detail: tc.detail}
			if result != want {
				t.Errorf("got  %+v\nwant %+v", result, want)
			}
			header := http.Header{"Accept": {"application/json"}, "User-Agent": {"vcs-agent"}, "X-Request-Id": {"id-7"}}
			if name, value, ok := strings.Cut(tc.credential, ": "); ok {
				header[name] = []string{value}
			}
			if s := receive(t, got); s.method != "GET" || s.target != tc.target || s.length != 0 || !reflect.DeepEqual(s.header, header) {
				t.Errorf("the VCS was asked %+v", s)
			}
			if len(got) > 0 {
				t.Errorf("and more: %+v", receive(t, got))
			}
			r.lines("served", 1)
			if text := r.log.String(); strings.Contains(text, "s3cret") {
				t.Errorf("a secret is in the log:\n%s", text)
			}
		})
	}
	documented, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, vendor := range allow.Vendors() {
		if tested[vendor] == "" {
			t.Errorf("no row has the vendor %s", vendor)
		}
		if row := "\n| `" + vendor + "` | `GET " + tested[vendor] + "` |"; !strings.Contains(string(documented), row) {
			t.Errorf("docs/policy.md lacks the row %s", row)
		}
	}
}

// What no server of the vendor's answers, and no answer at all.
func TestChecksThatFail(t *testing.T) {
	const (
		other    = "Something answers, but not as gitlab does; are the agent's vendor and base endpoint right?"
		brokeOff = "The VCS began an answer and broke it off."
	)
	say := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	reached := func(status int, version, detail string) transport.CheckResult {
		return transport.CheckResult{Vendor: "gitlab", Reachable: true, Status: status, Version: version, Detail: detail}
	}
	version := func(v string) http.HandlerFunc { return say(200, `{"version":"`+v+`"}`) }
	silent := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	longest := "1." + strings.Repeat("0", transport.MaxVersionBytes-2)
	largest := `{"version":"17.5.1"}`
	largest += strings.Repeat(" ", agent.CheckBytes-len(largest))
	timeout := transport.CheckResult{Vendor: "gitlab", Code: "vcs_timeout", Detail: "The VCS did not answer in time."}
	unreachable := transport.CheckResult{Vendor: "gitlab", Code: "vcs_unreachable", Detail: "The VCS could not be reached; the agent's log says why."}
	for _, tc := range []struct {
		name   string
		vcs    http.HandlerFunc
		change func(*agent.Config)
		want   transport.CheckResult
		logged string // within the error in the log; " " for any, "" if there is none
	}{
		{"well", version("17.5.1"), nil, reached(200, "17.5.1", ""), ""},
		{"the longest version", version(longest), nil, reached(200, longest, ""), ""},
		{"a version that is too long", version(longest + "0"), nil, reached(200, "", other), ""},
		{"a version with what no version has", version("17 <b>s3cret</b>"), nil, reached(200, "", other), ""},
		{"a version with a control character", version(`17\n18`), nil, reached(200, "", other), ""},
		{"a version in another script", version("１７"), nil, reached(200, "", other), ""},
		{"a version that is a number", say(200, `{"version":17}`), nil, reached(200, "", other), ""},
		{"no version", say(200, `{"Version":"s3cret","versions":"s3cret"}`), nil, reached(200, "", other), ""},
		{"no object", say(200, `["s3cret"]`), nil, reached(200, "", other), ""},
		{"no JSON", say(200, `<html>s3cret`), nil, reached(200, "", other), ""},
		{"nothing", say(200, ""), nil, reached(200, "", other), ""},
		{"the largest body", say(200, largest), nil, reached(200, "17.5.1", ""), ""},
		{"a larger body", say(200, largest+" "), nil, reached(200, "", other), ""},
		{"a huge body", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"version":"17.5.1","x":"`)
			for chunk := make([]byte, 1<<20); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}, nil, reached(200, "", other), ""},
		{"a body that breaks off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"version":"17.5.1"}`)
		}, nil, reached(200, "", brokeOff), "unexpected EOF"},
		{"a body that doesn't go on", func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, `{"version":`)
			http.NewResponseController(w).Flush()
			silent(w, r)
		}, func(c *agent.Config) { c.VCSTimeout = 100 * time.Millisecond }, reached(200, "", brokeOff), "deadline"},

		{"a status of success that has no version", say(204, ""), nil, reached(204, "", "The VCS answers with status 204 to the call that should tell its version."), ""},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://s3cret.example/api/v4/version", http.StatusMovedPermanently)
		}, nil, reached(301, "", "The VCS answers with a redirect, which the agent doesn't follow; are the agent's vendor and base endpoint right?"), ""},
		{"a redirect to itself", func(w http.ResponseWriter, r *http.Request) {
			if r.RequestURI != "/api/v4/version" {
				t.Errorf("it was followed to %s", r.RequestURI)
			}
			http.Redirect(w, r, "/users/sign_in", http.StatusFound)
		}, nil, reached(302, "", "The VCS answers with a redirect, which the agent doesn't follow; are the agent's vendor and base endpoint right?"), ""},
		{"not found", say(404, "s3cret"), nil, reached(404, "", "Something answers, but doesn't know the call by which gitlab is checked; are the agent's vendor and base endpoint right?"), ""},
		{"too many requests", say(429, "s3cret"), nil, reached(429, "", "The VCS answers with status 429 to the call that should tell its version."), ""},
		{"a fault", say(500, `{"version":"17.5.1"}`), nil, reached(500, "", "The VCS, or a proxy before it, answers with an error of its own (status 500)."), ""},
		{"maintenance", say(503, "s3cret"), nil, reached(503, "", "The VCS, or a proxy before it, answers with an error of its own (status 503)."), ""},
		{"a header of another vendor's", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-GitHub-Enterprise-Version", "3.14.2")
			w.WriteHeader(401)
		}, nil, reached(401, "", "The VCS answers; its version needs a credential, and the agent has none of its own."), ""},

		{"a proxy that wants a password", say(407, "s3cret"), nil, unreachable, "(407)"},
		{"silence", silent, func(c *agent.Config) { c.VCSTimeout = 100 * time.Millisecond }, timeout, " "},
		{"nobody there", nil, func(c *agent.Config) { c.TargetBaseEndpoint = "http://127.0.0.1:1" }, unreachable, "connection refused"},
		{"no HTTP", func(w http.ResponseWriter, r *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(c, "220 s3cret ready\r\n")
			c.Close()
		}, nil, unreachable, "malformed HTTP"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := prepare(t, transport.ModeTCP, tc.vcs, tc.change)
			result := check(t, r.Session(1), nil)
			if result != tc.want {
				t.Errorf("got  %+v\nwant %+v", result, tc.want)
			}
			msg, level := "served", "INFO"
			if tc.want.Code != "" {
				msg, level = "failed", "WARN"
			}
			line := r.lines(msg, 1)[0]
			if line["level"] != level || line["vcs_status"] != float64(tc.want.Status) || line["vcs_version"] != tc.want.Version || tc.want.Code != "" && line["code"] != tc.want.Code {
				t.Errorf("log %v", line)
			}
			if text, _ := line["error"].(string); !strings.Contains(text, tc.logged) || tc.logged == "" && text != "" {
				t.Errorf("log %v", line)
			}
			if told := fmt.Sprintf("%+v", result); strings.Contains(told, "s3cret") || strings.Contains(told, "127.0.0.1") {
				t.Errorf("it tells too much: %s", told)
			}
		})
	}
}

// A check goes below the base endpoint's context path, through the same client as
// requests, and may take 10 s, or less where --vcs-timeout is less.
func TestWhereAndHowLongChecksGo(t *testing.T) {
	for _, tc := range []struct {
		base, want  string
		timeout, at time.Duration
	}{
		{"https://vcs.example:8443/a/b/", "https://vcs.example:8443/a/b/api/v4/version", time.Minute, 10 * time.Second},
		{"http://vcs.example", "http://vcs.example/api/v4/version", 3 * time.Second, 3 * time.Second},
	} {
		r := prepare(t, transport.ModeTCP, nil, func(c *agent.Config) { c.TargetBaseEndpoint, c.VCSTimeout = tc.base, tc.timeout })
		r.answers(func(req *http.Request) *http.Response {
			deadline, ok := req.Context().Deadline()
			if left := time.Until(deadline); !ok || left > tc.at || left < tc.at/2 {
				t.Errorf("%s: it may take %v", tc.base, left)
			}
			if req.URL.String() != tc.want || req.Host != "" {
				t.Errorf("%s: asked %s, host %q", tc.base, req.URL, req.Host)
			}
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"version":"1"}`))}
		})
		if result := check(t, r.Session(1), nil); result.Version != "1" {
			t.Errorf("%s: %+v", tc.base, result)
		}
	}
}

// A check through a session takes no stream and is logged, but isn't counted, as
// requests are; what looks like one goes to the policy.
func TestCheckThroughSession(t *testing.T) {
	bothCarriers(t, func(t *testing.T, mode transport.Mode) {
		arrived, release := make(chan struct{}), make(chan struct{})
		r := start(t, mode, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/api/v4/version" {
				io.WriteString(w, `{"version":"17.5.1"}`)
				return
			}
			close(arrived)
			<-release
		}, func(c *agent.Config) { c.Parallelism = 1 })
		if !slices.Contains(r.session.Hello.Features, transport.FeatureCheck) {
			t.Errorf("features %q", r.session.Hello.Features)
		}
		busy := make(chan struct{})
		go func() {
			defer close(busy)
			if resp, err := r.send(context.Background(), "GET", project, nil, nil); err != nil {
				t.Error(err)
			} else {
				resp.Body.Close()
			}
		}()
		receive(t, arrived)
		a := r.get("GET", transport.CheckPath, http.Header{"X-Request-Id": {"id-9"}}, "")
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" || a.ContentLength != int64(len(a.body)) {
			t.Errorf("%d %s, headers %v", a.StatusCode, a.body, a.Header)
		}
		if result := parseCheck(t, a.body); result != (transport.CheckResult{Vendor: "gitlab", Reachable: true, Status: 200, Version: "17.5.1"}) {
			t.Errorf("%+v", result)
		}
		line := r.lines("served", 1)[0]
		for field, want := range map[string]any{
			"level": "INFO", "id": "id-9", "name": "agent.check", "purpose": "Check that the VCS answers, for the gateway's operator.", "project": "", "method": "GET",
			"path": transport.CheckPath, "raw_path": transport.CheckPath, "status_code": 200.0, "bytes_in": 0.0, "bytes_out": float64(len(a.body)), "stream": 0.0,
			"pool_id": "01J0000000000000000000000P", "vcs_status": 200.0, "vcs_version": "17.5.1",
		} {
			if line[field] != want {
				t.Errorf("%s is %v, want %v", field, line[field], want)
			}
		}
		if want := slices.Sorted(slices.Values(append(slices.Clone(requestFields), "vcs_status", "vcs_version"))); !slices.Equal(slices.Sorted(maps.Keys(line)), want) {
			t.Errorf("log %v", line)
		}
		close(release)
		receive(t, busy)
		r.lines("served", 2)

		for _, call := range []string{
			"POST " + transport.CheckPath, "HEAD " + transport.CheckPath, "GET " + transport.CheckPath + "?x", "GET " + transport.CheckPath + "/", "GET /.well-known/vcs-agent/checks",
			"GET /.well-known/vcs-agent/%63heck", "GET /.well-known/VCS-agent/check", "GET /.well-known/vcs-agent/", "GET /.well-known/vcs-agent",
		} {
			method, target, _ := strings.Cut(call, " ")
			if a := r.get(method, target, nil, ""); a.StatusCode != 403 || a.Header.Get(transport.ErrorHeader) != "denied" {
				t.Errorf("%s: %d %s", call, a.StatusCode, a.body)
			}
		}
		r.lines("denied", 9)
		for series, want := range map[string]float64{
			`vcs_agent_requests_total{code="200",rule="gitlab.project.get"}`: 1,
			`vcs_agent_request_duration_seconds_count`:                       10, // without the check
			`vcs_agent_stream_requests_total{stream="0"}`:                    -1,
			`vcs_agent_requests_total{code="200",rule="agent.check"}`:        -1,
			`vcs_agent_in_flight_requests`:                                   0,
		} {
			if got := r.metric(series); got != want {
				t.Errorf("%s is %v, want %v", series, got, want)
			}
		}
	})
}

// What is the gateway's and the agent's own reaches no VCS, even where the policy
// would let such a path through; the paths beside it do.
func TestOwnPathsAreNeverForwarded(t *testing.T) {
	vcs, got := recorder()
	for name, change := range map[string]func(*agent.Config){
		"observing": func(c *agent.Config) { c.Policy.Observe = true },
		"a rule of the customer's": func(c *agent.Config) {
			c.Policy.Rules = rulesOf(t, `allow: [{name: acme.all, purpose: Read anything., methods: [GET], path: "/{path...}", repeat: [x]}]`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, transport.ModeTCP, vcs, change)
			for _, target := range []string{
				"/.well-known/vcs-agent", "/.well-known/vcs-agent/session/x", "/.well-known/vcs-agent/check?x=1", "/.well-known/vcs-agent/checks", "/.well-known/vcs-agent/%63heck", "/.WELL-known/vcs-agent/check",
				"/%2ewell-known/vcs%2Dagent/check", "/.well-known/vcs-agent%2Fcheck", "/.well-known%2Fvcs-agent/x",
			} {
				a := r.get("GET", target, nil, "")
				if a.StatusCode != 403 || a.Header.Get(transport.ErrorHeader) != "denied" {
					t.Errorf("%s: %d %s", target, a.StatusCode, a.body)
				}
			}
			for _, target := range []string{"/.well-known/vcs-agents", "/.well-known/openid-configuration", "/x/.well-known/vcs-agent/check"} {
				if a := r.get("GET", target, nil, ""); a.StatusCode != 200 {
					t.Errorf("%s: %d %s", target, a.StatusCode, a.body)
				}
				if s := receive(t, got); s.target != target {
					t.Errorf("the VCS saw %s", s.target)
				}
			}
			if len(got) > 0 {
				t.Errorf("the VCS saw more: %+v", receive(t, got))
			}
		})
	}
}

// The policy has no say in a check, but for a block of its very call.
func TestPolicyAndChecks(t *testing.T) {
	asked := 0
	vcs := func(w http.ResponseWriter, r *http.Request) {
		asked++
		io.WriteString(w, `{"version":"17.5.1"}`)
	}
	for _, tc := range []struct {
		name    string
		change  func(*agent.Config)
		blocked string // by which block; "" if it isn't
	}{
		{"the defaults", func(*agent.Config) {}, ""},
		{"observing", func(c *agent.Config) { c.Policy.Observe = true }, ""},
		{"reads switched off", func(c *agent.Config) { c.Policy.Groups = []string{"status"} }, ""},
		{"allowed projects", func(c *agent.Config) { c.Policy.Projects = "group/repo" }, ""},
		{"a block of the call", func(c *agent.Config) {
			c.Policy.Rules = rulesOf(t, `block: [{name: acme.no-version, path: /api/v4/version}]`)
		}, "acme.no-version"},
		{"the same while observing", func(c *agent.Config) {
			c.Policy.Observe = true
			c.Policy.Rules = rulesOf(t, `block: [{name: acme.no-version, methods: [GET], path: /API/v4/*}]`)
		}, "acme.no-version"},
		{"a block of another method", func(c *agent.Config) {
			c.Policy.Rules = rulesOf(t, `block: [{name: acme.no-posts, methods: [POST], path: /**}]`)
		}, ""},
		{"a block of another path", func(c *agent.Config) {
			c.Policy.Rules = rulesOf(t, `block: [{name: acme.no-user, path: /api/v4/user}]`)
		}, ""},
		{"a block of projects", func(c *agent.Config) {
			c.Policy.Rules = rulesOf(t, `block: [{name: acme.no-secrets, projects: acme/secret}]`)
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked = 0
			r := prepare(t, transport.ModeTCP, vcs, tc.change)
			result := check(t, r.Session(1), nil)
			if tc.blocked == "" {
				if asked != 1 || result != (transport.CheckResult{Vendor: "gitlab", Reachable: true, Status: 200, Version: "17.5.1"}) {
					t.Errorf("%+v, asked %d times", result, asked)
				}
				return
			}
			if asked != 0 || result != (transport.CheckResult{Vendor: "gitlab", Code: "denied", Detail: "The customer's rules block it: " + tc.blocked + "."}) {
				t.Errorf("%+v, asked %d times", result, asked)
			}
			if line := r.lines("denied", 1)[0]; line["level"] != "WARN" || line["name"] != "agent.check" || line["reason"] != "blocked" || line["nearest_rule"] != tc.blocked {
				t.Errorf("log %v", line)
			}
			if n := r.metric(`vcs_agent_denied_total{reason="blocked"}`); n > 0 {
				t.Errorf("it is counted %v times", n)
			}
		})
	}
}

// A check that follows a rotated credential asks with the new one.
func TestCheckWithRotatedCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var credential *agent.Credential
		a := bubbled(t, func(c *agent.Config) { credential = own(t, c, "Private-Token: old") }, func(req *http.Request) (*http.Response, error) {
			return answerWith(200, `{"version":"`+req.Header.Get("Private-Token")+`"}`), nil
		})
		if result := check(t, a.Session(1), nil); result.Version != "old" {
			t.Errorf("%+v", result)
		}
		if err := credential.Set("Private-Token: new"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(agent.CheckMemory)
		if result := check(t, a.Session(1), nil); result.Version != "new" {
			t.Errorf("%+v", result)
		}
	})
}

// bubbled is an agent without a gateway whose VCS is a func, for a synctest bubble,
// where a sleep takes no time.
func bubbled(t *testing.T, change func(*agent.Config), vcs roundTripper) *agent.Agent {
	t.Helper()
	cfg := agent.Config{
		TargetBaseEndpoint: "http://vcs.example", Token: transport.Secret((&fakeGateway{addr: "gateway.example:1"}).token().Encode()), Policy: allow.Options{Vendor: "gitlab"},
		Parallelism: 4, VCSTimeout: time.Minute, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	a, err := agent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.Through(func(http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) {
			time.Sleep(time.Millisecond) // it never takes no time
			return vcs(req)
		})
	})
	return a
}

func answerWith(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// Checks that come together, through any session, ask once; so do those that follow
// within a second, whatever the answer was.
func TestChecksTogether(t *testing.T) {
	for name, answer := range map[string]func() (*http.Response, error){
		"well":        func() (*http.Response, error) { return answerWith(200, `{"version":"17.5.1"}`), nil },
		"a fault":     func() (*http.Response, error) { return answerWith(503, ""), nil },
		"unreachable": func() (*http.Response, error) { return nil, errors.New("connection refused") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				release := make(chan struct{})
				a := bubbled(t, nil, func(*http.Request) (*http.Response, error) {
					asked++
					<-release
					return answer()
				})
				var wg sync.WaitGroup
				results := make([]transport.CheckResult, 10)
				for i := range results {
					wg.Go(func() { results[i] = check(t, a.Session(1), nil) })
				}
				synctest.Wait()
				close(release)
				wg.Wait()
				for _, result := range results {
					if result != results[0] || result.Vendor != "gitlab" {
						t.Errorf("%+v and %+v", result, results[0])
					}
				}
				if asked != 1 {
					t.Errorf("asked %d times", asked)
				}
				time.Sleep(agent.CheckMemory - time.Millisecond)
				check(t, a.Session(1), nil)
				if asked != 1 {
					t.Errorf("asked %d times within the time", asked)
				}
				time.Sleep(time.Millisecond)
				check(t, a.Session(1), nil)
				if asked != 2 {
					t.Errorf("asked %d times after it", asked)
				}
			})
		})
	}
}

// A check that goes away, or panics, leaves the question to the next, and nothing to
// remember.
func TestCheckIsAbandoned(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context) (*http.Response, error){
		"gone before the answer": func(ctx context.Context) (*http.Response, error) { return nil, ctx.Err() },
		"gone within the answer": func(context.Context) (*http.Response, error) {
			resp := answerWith(200, "")
			resp.Body = io.NopCloser(errorReader{})
			return resp, nil
		},
		"panicked": func(context.Context) (*http.Response, error) { panic("a fault") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				a := bubbled(t, nil, func(req *http.Request) (*http.Response, error) {
					if asked++; asked > 1 {
						return answerWith(200, `{"version":"17.5.1"}`), nil
					}
					<-req.Context().Done()
					return end(req.Context())
				})
				ask := func(ctx context.Context) *responseRecorder {
					req, err := http.NewRequestWithContext(ctx, "GET", "https://vcs-agent/", http.NoBody)
					if err != nil {
						t.Error(err)
					}
					req.RequestURI = transport.CheckPath
					w := newRecorder()
					defer func() { recover() }() // as net/http does: the answer is cut
					a.Session(1).ServeHTTP(w, req)
					return w
				}
				first, cancelFirst := context.WithCancel(t.Context())
				second, cancelSecond := context.WithCancel(t.Context())
				defer cancelSecond()
				var wg sync.WaitGroup
				wg.Go(func() { ask(first) })
				synctest.Wait()
				time.Sleep(time.Second) // it asks
				waits := make(chan struct{})
				go func() { defer close(waits); ask(second) }()
				wg.Go(func() {
					if result := check(t, a.Session(1), nil); result.Version != "17.5.1" {
						t.Errorf("%+v", result)
					}
				})
				synctest.Wait()
				cancelSecond() // one that waits doesn't wait past its own end
				<-waits
				cancelFirst()
				wg.Wait()
				if asked != 2 {
					t.Errorf("asked %d times", asked)
				}
			})
		})
	}
}

// With --debug-print-all a check is printed as requests are, the credential masked.
func TestCheckIsPrinted(t *testing.T) {
	r := prepare(t, transport.ModeTCP, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"version":"17.5.1"}`) }, func(c *agent.Config) {
		c.DebugPrintAll = true
		own(t, c, "X-Acme-Auth: s3cret")
	})
	if result := check(t, r.Session(1), nil); result.Version != "17.5.1" {
		t.Errorf("%+v", result)
	}
	if line := r.lines("debug: request", 1)[0]; line["vcs_url"] != r.vcs.URL+"/api/v4/version" || !strings.Contains(fmt.Sprint(line["vcs_headers"]), "X-Acme-Auth") {
		t.Errorf("log %v", line)
	}
	if line := r.lines("debug: response", 1)[0]; line["body"] != `{"version":"17.5.1"}` || line["vcs_status"] != "200 OK" {
		t.Errorf("log %v", line)
	}
	if strings.Contains(r.log.String(), "s3cret") {
		t.Errorf("the credential is in the log:\n%s", r.log)
	}
}
