package network_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"path/filepath"
	"testing"

	"vcsagent/test/stack"
)

// reworded returns a token with some of its fields replaced.
func reworded(t *testing.T, token string, fields map[string]string) string {
	t.Helper()
	var all map[string]string
	raw, err := base64.StdEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		t.Fatalf("the token: %v", err)
	}
	for name, value := range fields {
		all[name] = value
	}
	if raw, err = json.Marshal(all); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// tokenEnv is the setting that takes the place of the stack's token.
func tokenEnv(token string) string { return "SPACELIFT_VCS_AGENT_POOL_TOKEN=" + token }

// A gateway with the operator's certificate puts no pin into tokens; the agent
// then trusts the system's roots or the file that it is given, and nothing else.
func TestOperatorsCertificate(t *testing.T) {
	t.Parallel()
	own, other := newAuthority(t), newAuthority(t)
	const name, stranger = "gateway.corp.test", "other.corp.test"
	cert, key := own.issue(t, name)
	s := newSite(t, stack.Options{GatewayArgs: []string{
		"--tls-cert", cert, "--tls-key", key, "--public-address", name + ":8443", "--agent-listen", "198.18.0.2:8443"}})
	if raw, err := base64.StdEncoding.DecodeString(s.Token); err != nil || bytes.Contains(raw, []byte("ca_sha256")) {
		t.Errorf("the token pins a CA (%v): %s", err, raw)
	}
	both := write(t, "both.pem", append(bytes.Clone(other.pem), own.pem...))
	trusted := []string{"SSL_CERT_FILE=" + own.file}
	for _, tc := range []struct {
		name   string
		caFile string   // --gateway-ca-file, "" for none
		env    []string // what the system trusts
		host   string   // in the token
		says   string   // "" for a session
	}{
		{"its CA", own.file, nil, name, ""},
		{"its CA among others", both, nil, name, ""},
		{"its CA as one of the system's", "", trusted, name, ""},
		{"no CA", "", nil, name, "certificate signed by unknown authority"},
		{"another CA", other.file, nil, name, "certificate signed by unknown authority"},
		{"another CA in place of the system's", other.file, trusted, name, "certificate signed by unknown authority"},
		{"another name", own.file, nil, stranger, "certificate is valid for gateway.corp.test, not other.corp.test"},
		{"an address in place of the name", own.file, nil, "198.18.0.2", "doesn't contain any IP SANs"},
	} {
		for _, carrier := range []string{"quic", "tcp"} {
			t.Run(tc.name+" "+carrier, func(t *testing.T) {
				t.Parallel()
				args := []string{"--transport", carrier}
				if tc.caFile != "" {
					args = append(args, "--gateway-ca-file", tc.caFile)
				}
				token := reworded(t, s.Token, map[string]string{"host": tc.host + ":8443"})
				a := s.LaunchAgent(t, stack.AgentOptions{
					In: s.inside, Args: args, Env: append([]string{tokenEnv(token)}, tc.env...),
					Hosts: map[string]string{name: s.outside.Addr, stranger: s.outside.Addr},
				})
				if tc.says == "" {
					assertCarrier(t, a.Await(t, connected), carrier)
					return
				}
				assertSays(t, "the error", a.Await(t, notConnected).String("error"), carrier+": TLS to the gateway: ", tc.says)
			})
		}
	}
}

// A token's pin is all that counts: a gateway with another CA is refused before
// the agent says anything, even where the system and the settings trust that CA.
func TestPinnedCA(t *testing.T) {
	t.Parallel()
	s, first := newSite(t, stack.Options{}), newSite(t, stack.Options{})
	ca := filepath.Join(s.Gateway.DataDir, "ca.pem")
	elsewhere := reworded(t, first.Token, map[string]string{"host": s.Gateway.Agents})
	for _, carrier := range []string{"quic", "tcp", "auto"} {
		t.Run(carrier, func(t *testing.T) {
			t.Parallel()
			s.start(t, nil, "--transport", carrier)
			a := s.launch(t, []string{tokenEnv(elsewhere), "SSL_CERT_FILE=" + ca}, "--transport", carrier, "--gateway-ca-file", ca)
			assertSays(t, "the error", a.Await(t, notConnected).String("error"), "TLS to the gateway: ", "lacks the CA that the token pins")
		})
	}
}

// A refusal that only a person can lift isn't tried again hot, and says what to do.
func TestWrongToken(t *testing.T) {
	t.Parallel()
	s := newSite(t, stack.Options{})
	for _, tc := range []struct{ name, field, value string }{
		{"wrong key", "key", "not-this-pools-key"},
		{"unknown pool", "pool_ulid", "01ARZ3NDEKTSV4RRFFQ69G5FAV"},
	} {
		for _, carrier := range []string{"quic", "tcp"} {
			t.Run(tc.name+" "+carrier, func(t *testing.T) {
				t.Parallel()
				token := reworded(t, s.Token, map[string]string{tc.field: tc.value})
				a := s.launch(t, []string{tokenEnv(token)}, "--transport", carrier)
				line := a.Await(t, notConnected)
				assertSays(t, "the error", line.String("error"), "get a new token from the gateway's operator")
				if retry := line.Number("retry_in"); retry < 30 {
					t.Errorf("it is tried again in %v s, want 30 at the least", retry)
				}
				if n := metric(t, a, `vcs_agent_connects_total{carrier="`+carrier+`",result="refused"}`); n != 1 {
					t.Errorf("%v refusals were counted, want 1", n)
				}
			})
		}
	}
}
