package e2e_test

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vcsagent/test/stack"
)

// The ways in which other allowlists were walked around, sent byte by byte
// through a real gateway and a real agent, in both forms and over both carriers.
// Each stands beside the nearest request that passes. Of what is refused nothing
// reaches the VCS, not even a connection; of what passes exactly what is expected.
func TestBypasses(t *testing.T) {
	cases := slices.Concat(targetBypasses(), headerBypasses(), parameterBypasses(), bodyBypasses(), projectBypasses())
	onBothCarriers(t, func(t *testing.T, carrier string) {
		t.Parallel()
		f := newField(t, carrier)
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				for _, form := range []string{pathForm, proxyForm} {
					for _, p := range c.passes {
						f.pass(t, form, c.site, p)
					}
					for _, r := range c.refused {
						f.refuse(t, form, c.site, r)
					}
				}
			})
		}
		f.checkLogs(t)
	})
}

// bypass is a way around an allowlist: requests that must be refused, and the
// nearest ones that must pass.
type bypass struct {
	name    string
	site    string // which of the policies
	passes  []passing
	refused []refusal
}

// passing is a request that reaches the VCS.
type passing struct {
	request string // method and target, the target as it follows the pool
	header  string // lines, each with CRLF
	body    string

	reaches string // the request line that the VCS gets, less the version and the context path; "": request
	gets    string // the header lines that it gets beside those of every request
	getBody string // the body that it gets; "": body
	asks    string // the path by which the agent may ask the VCS for a project first
}

// refusal is a request that doesn't reach the VCS.
type refusal struct {
	request string
	// want is the reason of the agent's denial, or the gateway's own status and
	// code. Where the forms differ, the path form's comes before " | ".
	want   string
	header string
	body   string
	asks   string // as in passing
}

// The ways to address a pool.
const (
	pathForm  = "path form"
	proxyForm = "proxy form"
)

// credential is what every request carries for the VCS.
const credential = "Bearer for-the-vcs"

// field is a gateway with a site for each policy.
type field struct {
	*stack.Stack
	sites   map[string]*site
	n       int
	refused []logged
}

// site is a pool, an agent with a policy, and a VCS.
type site struct {
	pool, context string
	agent         *stack.Agent
	vcs           *origin
}

// logged is what the logs must say of a refused request.
type logged struct {
	id, site, reason string
	code             string
}

// everything is every group of rules.
const everything = "read,archive,status,comment,app,git,graphql"

func newField(t *testing.T, carrier string) *field {
	t.Helper()
	f := &field{Stack: stack.New(t, stack.Options{VCS: http.NotFoundHandler()}), sites: map[string]*site{}}
	names := []string{"--pool", stack.Pool}
	policies := []struct{ pool, vendor, context, projects string }{
		{"gitlab-all", "gitlab", "/gitlab", ""},
		{"gitlab-some", "gitlab", "", "acme/infra|acme/sub/.*"},
		{"github-all", "github_enterprise", "", ""},
		{"github-some", "github_enterprise", "/ghe", "acme/infra|acme/other"},
		{"bitbucket-all", "bitbucket_datacenter", "/bitbucket", ""},
		{"bitbucket-some", "bitbucket_datacenter", "", "INF/stack|~jo/stack"},
		{"azure-all", "azure_devops", "/tfs", ""},
		{"azure-some", "azure_devops", "", "Main/Acme Infra/stack"},
		{"gitea-all", "gitea", "/git", ""},
		{"gitea-some", "gitea", "", "acme/infra|acme/sub.*"},
	}
	for _, p := range policies {
		token := f.Gateway.Command(t, "pool", "create", p.pool)
		vcs := newOrigin(t, projectsByNumber)
		// A name, since a host that a rule fixes is the base endpoint's with a prefix.
		_, port, _ := net.SplitHostPort(vcs.addr)
		f.sites[p.pool] = &site{pool: p.pool, context: p.context, vcs: vcs, agent: f.LaunchAgent(t, stack.AgentOptions{
			Args: []string{"--transport", carrier, "--vendor", p.vendor, "--allowed-projects", p.projects, "--allow-groups", everything,
				"--target-base-endpoint", "http://vcs.test:" + port + p.context},
			Env:   []string{"SPACELIFT_VCS_AGENT_POOL_TOKEN=" + token},
			Hosts: map[string]string{"vcs.test": "127.0.0.1", "codeload.vcs.test": "127.0.0.1"},
		})}
		names = append(names, "--pool", p.pool)
	}
	for _, s := range f.sites {
		f.AwaitSession(t, s.agent)
	}
	f.Key = f.Gateway.Command(t, append([]string{"key", "create", "every"}, names...)...)
	return f
}

// send sends a request as it is and returns its id and the answer.
func (f *field) send(t *testing.T, form, pool, request, header, body string) (id string, resp *http.Response) {
	t.Helper()
	f.n++
	id = fmt.Sprintf("bypass-%d", f.n)
	method, target, _ := strings.Cut(request, " ")
	var b strings.Builder
	if form == pathForm {
		fmt.Fprintf(&b, "%s /private/%s%s HTTP/1.1\r\nHost: %s\r\nVCS-Gateway-Key: %s\r\n", method, pool, target, f.Gateway.HTTP, f.Key)
	} else {
		fmt.Fprintf(&b, "%s http://%s.private%s HTTP/1.1\r\nHost: %s.private\r\nProxy-Authorization: Basic %s\r\n",
			method, pool, target, pool, base64.StdEncoding.EncodeToString([]byte("caller:"+f.Key)))
	}
	fmt.Fprintf(&b, "X-Request-Id: %s\r\nAuthorization: %s\r\nConnection: close\r\n%s", id, credential, header)
	if body != "" {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
	}
	return id, raw(t, f.Gateway.HTTP, b.String()+"\r\n"+body)
}

// pass sends a request and wants it to reach the VCS as it should.
func (f *field) pass(t *testing.T, form, pool string, p passing) {
	t.Helper()
	s := f.sites[pool]
	id, resp := f.send(t, form, pool, p.request, p.header, p.body)
	if answer := readAll(t, resp); resp.StatusCode != 200 || resp.Header.Get("VCS-Agent-Error") != "" || answer != "{}" {
		t.Errorf("%s, %s: status %d, %s", form, p.request, resp.StatusCode, answer)
	}
	method, target, _ := strings.Cut(p.request, " ")
	if p.reaches != "" {
		method, target, _ = strings.Cut(p.reaches, " ")
	}
	host, context := s.host(), s.context
	if rest, ok := strings.CutPrefix(target, "codeload:"); ok {
		host, context, target = "codeload."+host, "", rest
	}
	body := p.getBody
	if body == "" {
		body = p.body
	}
	want := []string{"Host: " + host, "X-Request-Id: " + id, "Authorization: " + credential}
	want = append(want, strings.Split(strings.TrimSuffix(p.gets, "\r\n"), "\r\n")...)
	if body != "" {
		want = append(want, fmt.Sprintf("Content-Length: %d", len(body)))
	}
	want = slices.DeleteFunc(want, func(l string) bool { return l == "" })
	slices.Sort(want)

	got, connections := s.takeButAsked(p.asks)
	if len(got) != 1 || connections != 1 {
		t.Errorf("%s, %s: the VCS got %d connections and %d requests: %q", form, p.request, connections, len(got), got)
		return
	}
	if line := method + " " + context + target + " HTTP/1.1"; got[0].line != line {
		t.Errorf("%s, %s: the VCS got %q, want %q", form, p.request, got[0].line, line)
	}
	slices.Sort(got[0].header)
	if !slices.Equal(got[0].header, want) {
		t.Errorf("%s, %s: the VCS got the header\n\t%q, want\n\t%q", form, p.request, got[0].header, want)
	}
	if got[0].body != body {
		t.Errorf("%s, %s: the VCS got the body %q, want %q", form, p.request, got[0].body, body)
	}
}

// host is what the VCS is called in its requests.
func (s *site) host() string {
	_, port, _ := net.SplitHostPort(s.vcs.addr)
	return "vcs.test:" + port
}

// refuse sends a request and wants it refused, for the given reason, and nothing
// of it at the VCS.
func (f *field) refuse(t *testing.T, form, pool string, r refusal) {
	t.Helper()
	id, resp := f.send(t, form, pool, r.request, r.header, r.body)
	want := r.want
	if one, other, differ := strings.Cut(want, " | "); differ {
		want = map[string]string{pathForm: one, proxyForm: other}[form]
	}
	status, code, reason := 403, "denied", want
	if n, _ := fmt.Sscanf(want, "%d %s", &status, &code); n > 0 {
		reason = ""
		if n == 1 { // net/http's own, which is bare
			code = ""
		}
	}
	if reason == "body_too_large" {
		status = http.StatusRequestEntityTooLarge
	}
	if got := resp.Header.Get("VCS-Agent-Error"); resp.StatusCode != status || got != code {
		t.Errorf("%s, %.200q: status %d, code %q, want %s: %.300s", form, r.request, resp.StatusCode, got, want, readAll(t, resp))
	} else if code != "" {
		if p := problemIn(t, resp); p.Reason != reason || p.ID != id {
			t.Errorf("%s, %.200q: reason %q, want %q: %+v", form, r.request, p.Reason, reason, p)
		}
		f.refused = append(f.refused, logged{id: id, site: pool, reason: reason, code: code})
	}
	for _, s := range f.sites {
		if got, connections := s.takeButAsked(r.asks); len(got) != 0 || connections != 0 {
			t.Errorf("%s, %.200q: %s's VCS got %d connections and %q", form, r.request, s.pool, connections, got)
		}
	}
}

// takeButAsked returns what came to the VCS since the last look, less the agent's
// own question for a project, which it may have the answer to already.
func (s *site) takeButAsked(asks string) (got []received, connections int) {
	got, connections = s.vcs.take()
	if asks != "" && len(got) > 0 && got[0].line == "GET "+s.context+asks+" HTTP/1.1" && slices.Contains(got[0].header, "Authorization: "+credential) {
		return got[1:], connections - 1
	}
	return got, connections
}

// checkLogs wants in the logs what the callers were told, and no credential.
func (f *field) checkLogs(t *testing.T) {
	t.Helper()
	if len(f.refused) == 0 {
		t.Error("nothing was refused")
	}
	agents := map[string]map[string]stack.Line{}
	var gateway map[string]stack.Line
	eventually(t, "a line for every request", func() bool {
		for pool, s := range f.sites {
			agents[pool] = byID(s.agent.Process)
		}
		gateway = byID(f.Gateway.Process)
		return !slices.ContainsFunc(f.refused, func(l logged) bool {
			return gateway[l.id] == nil || l.reason != "" && agents[l.site][l.id] == nil
		})
	})
	for _, l := range f.refused {
		if line := agents[l.site][l.id]; l.reason != "" && (line.String("msg") != "denied" || line.String("reason") != l.reason) {
			t.Errorf("the agent's line says %q, want %q: %v", line.String("reason"), l.reason, line)
		} else if l.reason == "" && line != nil {
			t.Errorf("what the gateway refused came to the agent: %v", line)
		}
		if line := gateway[l.id]; line.String("code") != l.code || line.String("reason") != l.reason {
			t.Errorf("the gateway's line says %q, %q, want %q, %q: %v", line.String("code"), line.String("reason"), l.code, l.reason, line)
		}
	}
	processes := []*stack.Process{f.Gateway.Process}
	for _, s := range f.sites {
		processes = append(processes, s.agent.Process)
	}
	for _, p := range processes {
		for _, secret := range []string{f.Key, "for-the-vcs", "secret-value"} {
			if strings.Contains(p.Log(), secret) {
				t.Errorf("a log holds %q", secret)
			}
		}
	}
}

// byID returns a log's lines about requests.
func byID(p *stack.Process) map[string]stack.Line {
	lines := map[string]stack.Line{}
	for _, l := range p.Lines() {
		if l["status_code"] != nil {
			lines[l.String("id")] = l
		}
	}
	return lines
}
