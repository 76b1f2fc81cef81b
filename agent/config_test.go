package agent_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"vcsagent/agent"
	"vcsagent/allow"
	"vcsagent/transport"
)

// validConfig is what a minimal command line makes.
func validConfig() agent.Config {
	return agent.Config{
		TargetBaseEndpoint:  "https://gitlab.example.com",
		Token:               transport.Secret(transport.Token{Host: "gateway.example.com:8443", PoolID: "01J0000000000000000000000P", Key: "the-key"}.Encode()),
		Policy:              allow.Options{Vendor: "gitlab", Projects: ".*"},
		Parallelism:         4,
		Transport:           transport.ModeAuto,
		MetricsListen:       "127.0.0.1:9464",
		VCSTimeout:          time.Minute,
		ShutdownGracePeriod: 30 * time.Second,
	}
}

func TestValidate(t *testing.T) {
	const host, port = "it names no host", "its port must be a number from 1 to 65535"
	const listen = `--metrics-listen is %q: it must be HOST:PORT with a port from 0 to 65535, such as 127.0.0.1:9464`
	vendors := strings.Join(allow.Vendors(), ", ")
	bundle := string(newCertPEM(t))
	manyTags := func(n int) map[string]string {
		tags := map[string]string{}
		for i := range n {
			tags[fmt.Sprint("tag", i)] = "v"
		}
		return tags
	}
	for _, tc := range []struct {
		name string
		set  func(*agent.Config)
		want string // the sentence; "" for a valid setting
	}{
		{"the minimum", func(c *agent.Config) {}, ""},

		{"endpoint with port and path", func(c *agent.Config) { c.TargetBaseEndpoint = "http://169.254.0.10:7990/bitbucket/" }, ""},
		{"endpoint at an IPv6 address", func(c *agent.Config) { c.TargetBaseEndpoint = "https://[fd00::1]:8443" }, ""},
		{"no endpoint", func(c *agent.Config) { c.TargetBaseEndpoint = "" }, `--target-base-endpoint: no VCS is named: give its base URL, such as https://gitlab.example.com`},
		{"endpoint without scheme", func(c *agent.Config) { c.TargetBaseEndpoint = "gitlab.example.com:80" }, `--target-base-endpoint is "gitlab.example.com:80": it has no scheme: it must begin with http:// or https://, such as https://gitlab.example.com`},
		{"endpoint of another scheme", func(c *agent.Config) { c.TargetBaseEndpoint = "ssh://gitlab" }, `--target-base-endpoint is "ssh://gitlab": its scheme must be http or https`},
		{"endpoint without host", func(c *agent.Config) { c.TargetBaseEndpoint = "http://:80" }, `--target-base-endpoint is "http://:80": ` + host},
		{"endpoint with port 65535", func(c *agent.Config) { c.TargetBaseEndpoint = "http://h:65535" }, ""},
		{"endpoint with port 65536", func(c *agent.Config) { c.TargetBaseEndpoint = "http://h:65536" }, `--target-base-endpoint is "http://h:65536": ` + port},
		{"endpoint with an empty port", func(c *agent.Config) { c.TargetBaseEndpoint = "http://h:" }, `--target-base-endpoint is "http://h:": ` + port},
		{"endpoint with a query", func(c *agent.Config) { c.TargetBaseEndpoint = "http://h/?private_token=s3cret" }, `--target-base-endpoint is "http://h/?[masked]": it must not have a query`},
		{"endpoint with an empty query", func(c *agent.Config) { c.TargetBaseEndpoint = "http://h/?" }, `--target-base-endpoint is "http://h/?": it must not have a query`},
		{"endpoint with a fragment", func(c *agent.Config) { c.TargetBaseEndpoint = "http://h/#s3cret" }, `--target-base-endpoint is "http://h/#[masked]": it must not have a fragment`},
		{"endpoint with a password", func(c *agent.Config) { c.TargetBaseEndpoint = "http://u:s3cret@h" }, `--target-base-endpoint is "http://[masked]@h": it must not hold a user or password: callers send the VCS their own credentials`},
		{"endpoint with a password that is no URL", func(c *agent.Config) { c.TargetBaseEndpoint = "http://u:s3cret%@h" }, `--target-base-endpoint is "http://[masked]@h": it is not a URL`},
		{"endpoint with a password of URL letters", func(c *agent.Config) { c.TargetBaseEndpoint = "http://u:s3cret?s3cret@h" }, `--target-base-endpoint is "http://[masked]": it is not a URL`},
		{"endpoint with dot segments", func(c *agent.Config) { c.TargetBaseEndpoint = "http://h/a/../b" }, `--target-base-endpoint is "http://h/a/../b": its path must be plain: no dot segments, doubled slashes or escapes`},
		{"endpoint with an escape", func(c *agent.Config) { c.TargetBaseEndpoint = "http://h/a%2fb" }, `--target-base-endpoint is "http://h/a%2fb": its path must be plain: no dot segments, doubled slashes or escapes`},
		{"endpoint with a line break", func(c *agent.Config) { c.TargetBaseEndpoint = "http://h\n" }, `--target-base-endpoint is "http://h\n": it is not a URL (net/url: invalid control character in URL)`},

		{"no token", func(c *agent.Config) { c.Token = "" }, `--token: no token is given: give the pool's token, or with --token-file a file that holds it`},
		{"token cut off", func(c *agent.Config) { c.Token = c.Token[:len(c.Token)/2] }, `--token is "[masked]": the token is base64, but what it holds is not JSON (was it copied whole?)`},
		{"token that is no base64", func(c *agent.Config) { c.Token = "s3cret!" }, `--token is "[masked]": the token is not base64 (was it copied whole?)`},

		{"no vendor", func(c *agent.Config) { c.Policy.Vendor = "" }, `--vendor: no vendor is named: it must be one of ` + vendors},
		{"unknown vendor", func(c *agent.Config) { c.Policy.Vendor = "GitLab" }, `--vendor is "GitLab": it must be one of ` + vendors},
		{"projects not restricted", func(c *agent.Config) { c.Policy.Projects = "" }, ""},
		{"projects restricted", func(c *agent.Config) { c.Policy.Projects = "infra/(a|b)" }, ""},
		{"bad regexp", func(c *agent.Config) { c.Policy.Projects = "infra/(a|b" }, "--allowed-projects is \"infra/(a|b\": it is not a regular expression (missing closing ): `infra/(a|b`)"},
		{"regexp that is only one in brackets", func(c *agent.Config) { c.Policy.Projects = "a)(b" }, "--allowed-projects is \"a)(b\": it is not a regular expression (unexpected ): `a)(b`)"},
		{"groups", func(c *agent.Config) { c.Policy.Groups = []string{"read", "git"} }, ""},
		{"unknown group", func(c *agent.Config) { c.Policy.Groups = []string{"read", "push"} }, `--allow-groups is "read,push": there is no group "push"; the groups are read, archive, status, comment, app, git, graphql`},

		{"least parallelism", func(c *agent.Config) { c.Parallelism = 1 }, ""},
		{"most parallelism", func(c *agent.Config) { c.Parallelism = 256 }, ""},
		{"no parallelism", func(c *agent.Config) { c.Parallelism = 0 }, `--parallelism is "0": it must be from 1 to 256`},
		{"too much parallelism", func(c *agent.Config) { c.Parallelism = 257 }, `--parallelism is "257": it must be from 1 to 256`},

		{"default transport", func(c *agent.Config) { c.Transport = "" }, ""},
		{"tcp", func(c *agent.Config) { c.Transport = "tcp" }, ""},
		{"unknown transport", func(c *agent.Config) { c.Transport = "udp" }, `--transport is "udp": it must be one of auto, quic, tcp`},

		{"ca-cert", func(c *agent.Config) { c.CACert = base64.StdEncoding.EncodeToString([]byte(bundle)) }, ""},
		{"ca-cert with line breaks and no padding", func(c *agent.Config) {
			s := strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(bundle)), "=")
			c.CACert = s[:76] + "\n" + s[76:] + "\n"
		}, ""},
		{"ca-cert that is PEM", func(c *agent.Config) { c.CACert = bundle }, `--ca-cert: it is PEM itself, and must be the base64 of it; or name the file with --ca-cert-file`},
		{"ca-cert that is no base64", func(c *agent.Config) { c.CACert = "%" }, `--ca-cert: it is not base64 (was it copied whole?)`},
		{"ca-cert cut off", func(c *agent.Config) { c.CACert = base64.StdEncoding.EncodeToString([]byte(bundle[:100])) }, `--ca-cert: the base64 holds no usable bundle: the bundle begins 1 certificates, and only 0 are whole`},

		{"no metrics", func(c *agent.Config) { c.MetricsListen = "" }, ""},
		{"metrics everywhere, on any port", func(c *agent.Config) { c.MetricsListen = ":0" }, ""},
		{"metrics without port", func(c *agent.Config) { c.MetricsListen = "127.0.0.1" }, fmt.Sprintf(listen, "127.0.0.1")},
		{"metrics on a bad port", func(c *agent.Config) { c.MetricsListen = "[::1]:70000" }, fmt.Sprintf(listen, "[::1]:70000")},
		{"metrics on a named port", func(c *agent.Config) { c.MetricsListen = ":http" }, fmt.Sprintf(listen, ":http")},

		{"shortest timeout", func(c *agent.Config) { c.VCSTimeout = 1 }, ""},
		{"no timeout", func(c *agent.Config) { c.VCSTimeout = 0 }, `--vcs-timeout is "0s": it must be more than 0, such as 60s`},
		{"no grace", func(c *agent.Config) { c.ShutdownGracePeriod = 0 }, ""},
		{"grace below none", func(c *agent.Config) { c.ShutdownGracePeriod = -time.Second }, `--shutdown-grace-period is "-1s": it must be 0 or more, such as 30s`},

		{"most tags", func(c *agent.Config) { c.Metadata = manyTags(transport.MaxTags) }, ""},
		{"too many tags", func(c *agent.Config) { c.Metadata = manyTags(transport.MaxTags + 1) }, `SPACELIFT_METADATA_* is "65 tags": at most 64 can be sent`},
		{"longest tag", func(c *agent.Config) {
			c.Metadata = map[string]string{strings.Repeat("n", 256): strings.Repeat("v", 256)}
		}, ""},
		{"tag's value too long", func(c *agent.Config) { c.Metadata = map[string]string{"zone": strings.Repeat("v", 257)} }, `SPACELIFT_METADATA_zone: its value has 257 bytes, and must be UTF-8 of at most 256`},
		{"tag's name too long", func(c *agent.Config) { c.Metadata = map[string]string{strings.Repeat("n", 257): ""} }, `SPACELIFT_METADATA_nnnnnnnnnnnnnnnnnnnn…: the tag's name must be UTF-8 of at most 256 bytes`},
		{"tag without name", func(c *agent.Config) { c.Metadata = map[string]string{"": "v"} }, `SPACELIFT_METADATA_: the tag's name, what follows the prefix, is empty`},
		{"tag that is no text", func(c *agent.Config) { c.Metadata = map[string]string{"zone": "\xff"} }, `SPACELIFT_METADATA_zone: its value has 1 bytes, and must be UTF-8 of at most 256`},
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
			if strings.Contains(got, "s3cret") {
				t.Error("the sentence holds a secret")
			}
		})
	}
}

func TestValidateTellsWhatOnlyThePolicyKnows(t *testing.T) {
	c := validConfig()
	c.Policy.Groups = []string{}
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "allow-groups") {
		t.Errorf("a policy without rules: %v", err)
	}
}

func TestValidateTellsEveryProblemAtOnce(t *testing.T) {
	err := (&agent.Config{TargetBaseEndpoint: "ftp://u:p@h/?q", Policy: allow.Options{Vendor: "cvs", Projects: "("}, Transport: "udp", MetricsListen: "x"}).Validate()
	if err == nil {
		t.Fatal("no problem")
	}
	for _, setting := range []string{"target-base-endpoint", "token", "vendor", "allowed-projects", "parallelism", "transport", "metrics-listen", "vcs-timeout"} {
		if !strings.Contains(err.Error(), "--"+setting) {
			t.Errorf("nothing about %s in\n%v", setting, err)
		}
	}
	for _, part := range []string{"scheme", "user or password", "query"} {
		if strings.Count(err.Error(), part) != 1 {
			t.Errorf("the endpoint's %s isn't told once in\n%v", part, err)
		}
	}
}

func TestParseCABundle(t *testing.T) {
	one, two := newCertPEM(t), newCertPEM(t)
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}})
	bad := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30, 0x00}})
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, []byte("\n# comment\n")) }
	for _, tc := range []struct {
		name   string
		bundle []byte
		count  int
		err    string // how the error begins
	}{
		{"one", one, 1, ""},
		{"two with comments and a key", join([]byte("# roots"), one, key, two), 2, ""},
		{"nothing", nil, 0, "no PEM certificate is in it"},
		{"a key alone", key, 0, "no PEM certificate is in it"},
		{"DER", []byte{0x30, 0x82}, 0, "no PEM certificate is in it"},
		{"a broken one", join(one, bad), 0, "certificate 2 of the bundle cannot be read ("},
		{"cut off", join(one, two)[:len(one)+100], 0, "the bundle begins 2 certificates, and only 1 are whole"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			certs, err := agent.ParseCABundle(tc.bundle)
			if len(certs) != tc.count || (err == nil) != (tc.err == "") || err != nil && !strings.HasPrefix(err.Error(), tc.err) {
				t.Errorf("got %d certificates, %v", len(certs), err)
			}
		})
	}
}

func newCertPEM(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example CA"},
		NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
