package helm_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// Wrong values are refused with a message that names the value and says what is
// allowed; the near-miss beside each is taken.
func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		good     []string
		bad      []string
		messages []string
	}{
		{"vendor", set("credentials.vendor=github_enterprise"), set("credentials.vendor=github"),
			[]string{"/credentials/vendor", "'azure_devops', 'bitbucket_datacenter', 'gitea', 'github_enterprise', 'gitlab'"}},
		{"parallelism, least", set("parallelism=1"), set("parallelism=0"), []string{"/parallelism", "minimum: got 0, want 1"}},
		{"parallelism, most", set("parallelism=256"), set("parallelism=257"), []string{"/parallelism", "maximum: got 257, want 256"}},
		{"parallelism, a word", set("parallelism=4"), set("parallelism=four"), []string{"/parallelism", "want integer"}},
		{"transport", set("transport=quic"), set("transport=udp"), []string{"/transport", "'auto', 'quic', 'tcp'"}},
		{"log level", set("logLevel=warn"), set("logLevel=warning"), []string{"/logLevel", "'debug', 'info', 'warn', 'error'"}},
		{"log format", set("logFormat=text"), set("logFormat=logfmt"), []string{"/logFormat", "'json', 'text'"}},
		{"group", set("allowGroups={git}"), set("allowGroups={push}"), []string{"/allowGroups/0", "'read'", "'git'", "'graphql'"}},
		{"group given twice", set("allowGroups={git,read}"), set("allowGroups={git,git}"), []string{"/allowGroups"}},
		{"a value that doesn't exist", set("replicaCount=1"), set("replicas=1"), []string{"'replicas' not allowed"}},
		{"a credential that doesn't exist", set("credentials.vendor=gitlab"), set("credentials.url=x"), []string{"/credentials", "'url' not allowed"}},
		{"tag's name", set("metadata.a_b=x"), set("metadata.a-b=x"), []string{"/metadata", "'a-b' not allowed"}},
		{"tag's type", []string{"--set-string", "metadata.build=12"}, set("metadata.build=12"), []string{"/metadata/build", "got number, want string"}},
		{"tag's length", set("metadata.a=" + strings.Repeat("x", 256)), set("metadata.a=" + strings.Repeat("x", 257)), []string{"/metadata/a", "maxLength"}},
		{"port", set("metrics.port=1024"), set("metrics.port=80"), []string{"/metrics/port", "minimum: got 80, want 1,024"}},
		{"grace period", set("shutdownGracePeriodSeconds=0"), set("shutdownGracePeriodSeconds=-1"), []string{"/shutdownGracePeriodSeconds"}},
		{"VCS timeout", set("vcsTimeoutSeconds=1"), set("vcsTimeoutSeconds=0"), []string{"/vcsTimeoutSeconds"}},
		{"digest", set("image.digest=sha256:" + strings.Repeat("0", 64)), set("image.digest=sha256:00"), []string{"/image/digest", "does not match pattern"}},
		{"budget", set("podDisruptionBudget.maxUnavailable=50%"), set("podDisruptionBudget.maxUnavailable=half"), []string{"/podDisruptionBudget/maxUnavailable"}},

		{"endpoint's scheme", set("credentials.endpoint=http://10.0.0.7:7990/bitbucket"), set("credentials.endpoint=gitlab.example.com"),
			[]string{`credentials.endpoint is "gitlab.example.com"`, "http:// or https://"}},
		{"endpoint's query", set("credentials.endpoint=https://gitlab.example.com/"), set("credentials.endpoint=https://gitlab.example.com/?a=b"),
			[]string{"credentials.endpoint is", "no query"}},
		{"endpoint's user", set("credentials.endpoint=https://vcs.example.com"), set("credentials.endpoint=https://me:hunter2@vcs.example.com"),
			[]string{"credentials.endpoint carries a user"}},
		{"CA", []string{"--set-file", "caCert=testdata/ca.pem"}, set("caCert=bm90IGEgY2VydGlmaWNhdGU="), []string{"caCert holds no certificate", "PEM"}},
		{"gateway's CA", []string{"--set-file", "gatewayCA=testdata/ca.pem"}, set("gatewayCA=!"), []string{"gatewayCA holds no certificate", "PEM"}},
		{"own variable", set("extraEnv[0].name=GODEBUG,extraEnv[0].value=x"), set("extraEnv[0].name=SPACELIFT_VCS_AGENT_VENDOR,extraEnv[0].value=gitlab"),
			[]string{"extraEnv sets SPACELIFT_VCS_AGENT_VENDOR"}},
		{"token in the environment", set("extraEnv[0].name=SPACELIFT_VCS_AGENT_VCS_TIMEOUTS,extraEnv[0].value=x"), set("extraEnv[0].name=SPACELIFT_VCS_AGENT_POOL_TOKEN,extraEnv[0].value=hunter2"),
			[]string{"extraEnv sets SPACELIFT_VCS_AGENT_POOL_TOKEN"}},
		{"credential in the environment", set("vcsCredential.existingSecret=mine"), set("extraEnv[0].name=SPACELIFT_VCS_AGENT_VCS_CREDENTIAL,extraEnv[0].value=hunter2"),
			[]string{"extraEnv sets SPACELIFT_VCS_AGENT_VCS_CREDENTIAL"}},
		{"mode of the policy", set("policy.mode=observe"), set("policy.mode=audit"), []string{"/policy/mode", "'enforce', 'observe'"}},
		{"rules from two places", set("policy.existingConfigMap=mine"), []string{"--set", "policy.existingConfigMap=mine", "--set-json", "policy.rules={}"},
			[]string{`policy.rules and policy.existingConfigMap ("mine")`, "both set"}},
		{"a rule's file", set("policy.existingConfigMap=mine"), set("policy.rulesFile=rules.yaml"), []string{"/policy", "'rulesFile' not allowed"}},
		{"a credential's value", set("vcsCredential.existingSecret=mine"), set("vcsCredential.value=hunter2"), []string{"/vcsCredential", "'value' not allowed"}},
		{"two tokens", set("credentials.existingSecret="), set("credentials.existingSecret=mine"), []string{"credentials.token and credentials.existingSecret", "both set"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			install(t, tt.good...)
			stderr := refused(t, append(documented[:2:2], tt.bad...)...)
			for _, m := range tt.messages {
				if !strings.Contains(stderr, m) {
					t.Errorf("the message lacks %q:\n%s", m, stderr)
				}
			}
			for _, secret := range []string{token, "hunter2"} {
				if strings.Contains(stderr, secret) {
					t.Errorf("the message tells a secret:\n%s", stderr)
				}
			}
		})
	}
}

// All that is missing is told at once.
func TestNothingSet(t *testing.T) {
	t.Parallel()
	stderr := refused(t)
	for _, m := range []string{"credentials.token is missing", "credentials.endpoint is missing", "credentials.vendor is missing"} {
		if !strings.Contains(stderr, m) {
			t.Errorf("the message lacks %q:\n%s", m, stderr)
		}
	}
}

// The chart takes every vendor that the agent has rules for, and tells of each
// where none is named.
func TestVendors(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../allow/rules/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("the agent has rules for %d vendors, want 5 or more (%v)", len(files), err)
	}
	stderr := refused(t)
	for _, file := range files {
		vendor := strings.TrimSuffix(filepath.Base(file), ".yaml")
		if got := install(t, "--set", "credentials.vendor="+vendor).env(t)["SPACELIFT_VCS_AGENT_VENDOR"]; got != vendor {
			t.Errorf("the agent gets the vendor %q, want %q", got, vendor)
		}
		if !strings.Contains(stderr, vendor) {
			t.Errorf("the message on a missing vendor lacks %s:\n%s", vendor, stderr)
		}
	}
}

// refused renders the chart, which must fail, and returns what helm says.
func refused(t *testing.T, args ...string) string {
	t.Helper()
	out, stderr, err := helm(t, append([]string{"template", "vcs-agent", chartDir}, args...)...)
	if err == nil {
		t.Fatalf("helm template %s is taken:\n%s", strings.Join(args, " "), out)
	}
	return stderr
}

func set(values string) []string { return []string{"--set", values} }
