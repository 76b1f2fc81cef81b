package agent_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"vcsagent/agent"
	"vcsagent/allow"
	"vcsagent/transport"
)

// own gives the agent a credential.
func own(t *testing.T, c *agent.Config, line transport.Secret) *agent.Credential {
	t.Helper()
	c.Credential = &agent.Credential{}
	if err := c.Credential.Set(line); err != nil {
		t.Fatal(err)
	}
	c.Policy.Credential = true
	return c.Credential
}

func TestCredentialLines(t *testing.T) {
	const form = `it must be one line "Header-Name: value", such as "Private-Token: …" or "Authorization: Bearer …"`
	cant := func(name string) string {
		return "the header " + name + " can't carry a credential: use the one that the VCS reads tokens from, such as Private-Token or Authorization"
	}
	for _, tc := range []struct{ name, line, want string }{
		{"a token", "Private-Token: s3cret", ""},
		{"lower case, no space", "private-token:s3cret", ""},
		{"white space around", "  Authorization :  Bearer s3cret \n", ""},
		{"a header of the company's", "X-Acme-Auth: s3cret", ""},
		{"colons in the value", "Authorization: Basic a:b:s3cret", ""},
		{"the longest", "X: " + strings.Repeat("s", 16<<10-3), ""},

		{"nothing", " \n", "it is empty: " + form},
		{"a token alone", "s3cret", form},
		{"no name", ": s3cret", form},
		{"a name that is none", "Private Token: s3cret", form},
		{"no value", "Private-Token: ", "the header Private-Token has no value: " + form},
		{"two lines", "Private-Token: s3cret\nSudo: root", "it has more than one line: " + form},
		{"two lines, the old way", "Private-Token: s3cret\rSudo: root", "it has more than one line: " + form},
		{"too long", "X: " + strings.Repeat("s", 16<<10-2), "it has 16385 bytes, and may have at most 16384"},
		{"a control character", "Private-Token: s3cret\x00", "the value of the header Private-Token must be printable ASCII"},
		{"a tab within", "Private-Token: s3\tcret", "the value of the header Private-Token must be printable ASCII"},
		{"letters of any script", "Private-Token: s3crét", "the value of the header Private-Token must be printable ASCII"},
		{"Host", "host: s3cret", cant("Host")},
		{"Content-Type", "Content-type: s3cret", cant("Content-Type")},
		{"Transfer-Encoding", "Transfer-Encoding: s3cret", cant("Transfer-Encoding")},
		{"Connection", "Connection: s3cret", cant("Connection")},
		{"Proxy-Authorization", "Proxy-Authorization: s3cret", cant("Proxy-Authorization")},
		{"Cookie", "Cookie: a=s3cret", cant("Cookie")},
		{"Sudo", "Sudo: s3cret", cant("Sudo")},
		{"a method override", "X-HTTP-Method-Override: s3cret", cant("X-Http-Method-Override")},
		{"ours", "VCS-Agent-Name: s3cret", cant("Vcs-Agent-Name")},
		{"ours, the gateway's", "VCS-Gateway-Key: s3cret", cant("Vcs-Gateway-Key")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c agent.Credential
			got := ""
			if err := c.Set(transport.Secret(tc.line)); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			cfg := struct{ C *agent.Credential }{&c}
			asJSON, err := json.Marshal(cfg)
			if err != nil {
				t.Error(err)
			}
			if all := fmt.Sprintf("%v %+v %#v %d %q %s %s %s", &c, cfg, &c, &c, &c, c.String(), asJSON, got); strings.Contains(all, "s3cr") {
				t.Errorf("it is printed: %s", all)
			}
		})
	}
}

func TestCredentialIsValidated(t *testing.T) {
	const disagree = "--vcs-credential: policy and agent must agree on whether the agent adds the VCS's credential"
	for _, tc := range []struct {
		name string
		set  func(*agent.Config)
		want string
	}{
		{"the agent's", func(c *agent.Config) { own(t, c, "Private-Token: x") }, ""},
		{"the callers'", func(*agent.Config) {}, ""},
		{"none is held", func(c *agent.Config) { c.Credential, c.Policy.Credential = &agent.Credential{}, true }, "--vcs-credential: none is given"},
		{"the policy doesn't know", func(c *agent.Config) { own(t, c, "Private-Token: x"); c.Policy.Credential = false }, disagree},
		{"only the policy knows", func(c *agent.Config) { c.Policy.Credential = true }, disagree},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := validConfig()
			tc.set(&c)
			got := ""
			if err := c.Validate(); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

// The agent's credential goes in the place of whatever a caller sends, in its own
// header or another.
func TestOwnCredential(t *testing.T) {
	for _, tc := range []struct {
		name string
		line transport.Secret
		want http.Header
	}{
		{"in the vendor's header", "Private-Token: agents", http.Header{"Private-Token": {"agents"}}},
		{"in Authorization", "Authorization: Bearer agents", http.Header{"Authorization": {"Bearer agents"}}},
		{"in a header of the company's", "X-Acme-Auth: agents", http.Header{"X-Acme-Auth": {"agents"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			vcs, got := recorder()
			r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) { own(t, c, tc.line) })
			tc.want.Set("X-Request-Id", "id-1")
			for _, callers := range []http.Header{
				nil,
				{"Private-Token": {"callers"}},
				{"Private-Token": {"callers", "more"}, "Authorization": {"Bearer callers"}, "X-Acme-Auth": {"callers"}, "Cookie": {"a=callers"}, "Job-Token": {"callers"}},
			} {
				if a := r.get("GET", project, callers, ""); a.StatusCode != 200 {
					t.Fatalf("%d %s", a.StatusCode, a.body)
				}
				if s := receive(t, got); !reflect.DeepEqual(s.header, tc.want) {
					t.Errorf("the VCS saw %v, want %v", s.header, tc.want)
				}
			}
		})
	}
}

// The group app trades in credentials, so it is off.
func TestOwnCredentialTakesAppOff(t *testing.T) {
	vcs, _ := recorder()
	r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) {
		c.Policy.Vendor = "github_enterprise"
		own(t, c, "Authorization: Bearer agents")
	})
	if a := r.get("POST", "/api/v3/app/installations/1/access_tokens", nil, ""); a.StatusCode != 403 || a.problem.Reason != string(allow.GroupOff) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// Another host than the base endpoint's gets neither the agent's credential nor a
// caller's.
func TestOwnCredentialStaysWithTheBaseEndpoint(t *testing.T) {
	r := prepare(t, transport.ModeTCP, nil, func(c *agent.Config) {
		c.TargetBaseEndpoint, c.Policy.Vendor = "https://vcs.example/ghe", "github_enterprise"
		own(t, c, "Authorization: Bearer agents")
	})
	sent := make(chan *http.Request, 1)
	r.answers(func(req *http.Request) *http.Response {
		sent <- req
		return &http.Response{StatusCode: 200}
	})
	r.run()
	r.session = receive(t, r.gateway.sessions)
	for target, want := range map[string]struct{ host, authorization string }{
		"/o/r/legacy.tar.gz/refs/heads/main?token=t": {"codeload.vcs.example", ""},
		"/codeload/o/r/legacy.tar.gz/main?token=t":   {"vcs.example", "Bearer agents"},
		"/api/v3/users/u": {"vcs.example", "Bearer agents"},
	} {
		if a := r.get("GET", target, http.Header{"Authorization": {"Bearer callers"}}, ""); a.StatusCode != 200 {
			t.Fatalf("%s: %d %s", target, a.StatusCode, a.body)
		}
		req := receive(t, sent)
		if req.URL.Host != want.host || strings.Join(req.Header["Authorization"], ",") != want.authorization {
			t.Errorf("%s went to %s with %q", target, req.URL.Host, req.Header["Authorization"])
		}
	}
}

// Nor does such a host get what a caller sends under the credential's name, even
// where the policy lets that header pass.
func TestCallersHeaderOfTheCredentialsName(t *testing.T) {
	const name = "X-Github-Api-Version"
	for line, want := range map[transport.Secret]string{"Authorization: agents": "callers", name + ": agents": ""} {
		r := prepare(t, transport.ModeTCP, nil, func(c *agent.Config) {
			c.TargetBaseEndpoint, c.Policy.Vendor = "https://vcs.example", "github_enterprise"
			own(t, c, line)
		})
		sent := make(chan http.Header, 1)
		r.answers(func(req *http.Request) *http.Response {
			sent <- req.Header
			return &http.Response{StatusCode: 200}
		})
		r.run()
		r.session = receive(t, r.gateway.sessions)
		r.get("GET", "/o/r/legacy.tar.gz/refs/heads/main?token=t", http.Header{name: {"callers"}}, "")
		if h := receive(t, sent); h.Get(name) != want {
			t.Errorf("another host got %q, want %q", h.Get(name), want)
		}
	}
}

// A credential that is rotated is in the next request; one that can't be used
// leaves the one before.
func TestOwnCredentialIsRotated(t *testing.T) {
	vcs, got := recorder()
	var credential *agent.Credential
	r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) { credential = own(t, c, "Private-Token: first") })
	for _, tc := range []struct {
		line transport.Secret
		ok   bool
		want http.Header
	}{
		{"Private-Token: second", true, http.Header{"Private-Token": {"second"}}},
		{"third", false, http.Header{"Private-Token": {"second"}}},
		{"", false, http.Header{"Private-Token": {"second"}}},
		{"Authorization: Bearer fourth", true, http.Header{"Authorization": {"Bearer fourth"}}},
	} {
		if err := credential.Set(tc.line); (err == nil) != tc.ok {
			t.Errorf("%v", err)
		}
		r.get("GET", project, nil, "")
		tc.want.Set("X-Request-Id", "id-1")
		if s := receive(t, got); !reflect.DeepEqual(s.header, tc.want) {
			t.Errorf("the VCS saw %v, want %v", s.header, tc.want)
		}
	}
}

// Git's servers take a token as a password, where the API takes it in a header.
func TestOwnCredentialForGit(t *testing.T) {
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	const refs = "/group/repo.git/info/refs?service=git-upload-pack"
	for _, tc := range []struct {
		vendor, refs, api string
		line              transport.Secret
		wantGit, wantAPI  http.Header
	}{
		{"gitlab", refs, project, "Private-Token: agents", http.Header{"Authorization": {basic("oauth2:agents")}}, http.Header{"Private-Token": {"agents"}}},
		{"gitlab", refs, project, "Authorization: Bearer agents", http.Header{"Authorization": {basic("oauth2:agents")}}, http.Header{"Authorization": {"Bearer agents"}}},
		{"gitlab", refs, project, "Authorization: basic agents", http.Header{"Authorization": {"basic agents"}}, http.Header{"Authorization": {"basic agents"}}},
		{"github_enterprise", refs, "/api/v3/users/u", "Authorization: token agents", http.Header{"Authorization": {basic("x-access-token:agents")}}, http.Header{"Authorization": {"token agents"}}},
		{"bitbucket_datacenter", "/scm/key/slug.git/info/refs?service=git-upload-pack", "/rest/api/latest/repos", "Authorization: Bearer agents",
			http.Header{"Authorization": {"Bearer agents"}}, http.Header{"Authorization": {"Bearer agents"}}},
	} {
		t.Run(tc.vendor, func(t *testing.T) {
			vcs, got := recorder()
			r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) {
				c.Policy.Vendor, c.Policy.Groups = tc.vendor, []string{"read", "git"}
				own(t, c, tc.line)
			})
			for target, want := range map[string]http.Header{tc.refs: tc.wantGit, tc.api: tc.wantAPI} {
				a := r.get("GET", target, http.Header{"Authorization": {"Basic callers"}}, "")
				if a.StatusCode != 200 {
					t.Fatalf("%s: %d %s", target, a.StatusCode, a.body)
				}
				want.Set("X-Request-Id", "id-1")
				if s := receive(t, got); !reflect.DeepEqual(s.header, want) {
					t.Errorf("%s: the VCS saw %v, want %v", target, s.header, want)
				}
			}
		})
	}
}

// No line of the log holds the credential, whatever its header is called.
func TestOwnCredentialIsMasked(t *testing.T) {
	for _, line := range []transport.Secret{"X-Acme: s3cret", "Private-Token: s3cret", "Authorization: Bearer s3cret"} {
		vcs, got := recorder()
		r := start(t, transport.ModeTCP, vcs, func(c *agent.Config) {
			c.DebugPrintAll = true
			own(t, c, line)
		})
		r.get("GET", project, nil, "")
		name, _, _ := strings.Cut(line.Reveal(), ":")
		if s := receive(t, got); !strings.Contains(s.header.Get(name), "s3cret") {
			t.Errorf("the VCS saw %v", s.header)
		}
		if shown := fmt.Sprint(r.lines("debug: request", 1)); !strings.Contains(shown, name+":[[masked]]") {
			t.Errorf("%s isn't masked in %s", name, shown)
		}
		r.lines("debug: response", 1)
		if strings.Contains(r.log.String(), "s3cret") {
			t.Errorf("a secret is in the log:\n%s", r.log)
		}
	}
}
