package helm_test

import (
	"encoding/base64"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// What the documented install gives the agent: all of it, and nothing else.
func TestDocumentedInstall(t *testing.T) {
	t.Parallel()
	r := install(t)
	want := map[string]string{
		"SPACELIFT_VCS_AGENT_TOKEN_FILE":            "/var/run/secrets/vcs-agent/token",
		"SPACELIFT_VCS_AGENT_TARGET_BASE_ENDPOINT":  endpoint,
		"SPACELIFT_VCS_AGENT_VENDOR":                "gitlab",
		"SPACELIFT_VCS_AGENT_PARALLELISM":           "4",
		"SPACELIFT_VCS_AGENT_POLICY":                "enforce",
		"SPACELIFT_VCS_AGENT_TRANSPORT":             "auto",
		"SPACELIFT_VCS_AGENT_VCS_TIMEOUT":           "60s",
		"SPACELIFT_VCS_AGENT_SHUTDOWN_GRACE_PERIOD": "30s",
		"SPACELIFT_VCS_AGENT_LOG_LEVEL":             "info",
		"SPACELIFT_VCS_AGENT_LOG_FORMAT":            "json",
		"SPACELIFT_VCS_AGENT_METRICS_LISTEN":        ":9464",
		"SPACELIFT_METADATA_pod_name":               "field:metadata.name",
	}
	if got := r.env(t); !maps.Equal(got, want) {
		t.Errorf("environment is\n%v\nwant\n%v", got, want)
	}
	if got := string(r.secret.Data["token"]); got != token {
		t.Errorf("the Secret's token is %q, want %q", got, token)
	}
	if len(r.secret.Data) != 1 || len(r.secret.StringData) != 0 {
		t.Errorf("the Secret holds more than the token: %d keys", len(r.secret.Data)+len(r.secret.StringData))
	}
	checkToken(t, r, "vcs-agent", "token")
	if r.configMap != nil || r.rules != nil || r.budget != nil {
		t.Error("a ConfigMap or a PodDisruptionBudget is rendered that nobody asked for")
	}
}

// The token is in the Secret and nowhere else, in no form.
func TestTokenOnlyInSecret(t *testing.T) {
	t.Parallel()
	r := install(t, "--values", "testdata/everything.yaml")
	if strings.Contains(r.text, token) {
		t.Error("the token is in the manifests in clear")
	}
	if n := strings.Count(r.text, base64.StdEncoding.EncodeToString([]byte(token))); n != 1 {
		t.Errorf("the encoded token is in the manifests %d times, want once", n)
	}
}

func TestExistingSecret(t *testing.T) {
	t.Parallel()
	existing := []string{"--set", "credentials.existingSecret=mine"}
	tests := []struct {
		name                  string
		args                  []string
		key, endpoint, vendor string
	}{
		{"all from it", nil, "token", "secret:mine/endpoint", "secret:mine/vendor"},
		{"token from it", []string{"--set", "credentials.endpoint=" + endpoint + ",credentials.vendor=gitlab"}, "token", endpoint, "gitlab"},
		{"keys of its own", []string{"--set", "credentials.tokenSecretKey=a,credentials.endpointSecretKey=b,credentials.vendorSecretKey=c"}, "a", "secret:mine/b", "secret:mine/c"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := render(t, slices.Concat(existing, tt.args)...)
			if r.secret != nil {
				t.Error("a Secret is rendered beside the existing one")
			}
			checkToken(t, r, "mine", tt.key)
			env := r.env(t)
			if got := env["SPACELIFT_VCS_AGENT_TARGET_BASE_ENDPOINT"]; got != tt.endpoint {
				t.Errorf("endpoint is %q, want %q", got, tt.endpoint)
			}
			if got := env["SPACELIFT_VCS_AGENT_VENDOR"]; got != tt.vendor {
				t.Errorf("vendor is %q, want %q", got, tt.vendor)
			}
		})
	}

	t.Run("proxy beside it", func(t *testing.T) {
		t.Parallel()
		r := render(t, append(existing, "--set", "proxy.httpsProxy=http://proxy.example.com:3128")...)
		if r.secret == nil || r.secret.Data["token"] != nil {
			t.Errorf("want a Secret with the proxy alone, got %v", r.secret)
		}
		checkToken(t, r, "mine", "token")
	})
}

// checkToken says whether the file that the agent reads its token from is the
// key of the Secret, and that alone, and readable by the pod's group alone.
func checkToken(t *testing.T, r release, secret, key string) {
	t.Helper()
	checkSecretFile(t, r, "SPACELIFT_VCS_AGENT_TOKEN_FILE", secret, key)
}

// checkSecretFile is checkToken for the file that a variable names.
func checkSecretFile(t *testing.T, r release, variable, secret, key string) {
	t.Helper()
	volume, path := r.file(t, r.env(t)[variable])
	s := volume.Secret
	if s == nil || s.SecretName != secret {
		t.Fatalf("%s comes from %+v, want Secret %s", variable, volume.VolumeSource, secret)
	}
	if want := []corev1.KeyToPath{{Key: key, Path: path}}; !slices.Equal(s.Items, want) {
		t.Errorf("the volume of %s has %v, want %v", variable, s.Items, want)
	}
	if s.DefaultMode == nil || *s.DefaultMode != 0o440 {
		t.Errorf("the mode of %s is %v, want 0440", variable, s.DefaultMode)
	}
	if g := r.pod().SecurityContext.FSGroup; g == nil || *g != *r.pod().SecurityContext.RunAsGroup {
		t.Errorf("the pod's fsGroup isn't the group that the agent runs with, so it can't read %s", variable)
	}
}

// Values that are set become variables that the documented install doesn't have.
func TestSettings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args []string
		want map[string]string
	}{
		{[]string{"--set", "parallelism=256"}, map[string]string{"SPACELIFT_VCS_AGENT_PARALLELISM": "256"}},
		{[]string{"--set-literal", `allowedProjects=^acme/.*$`}, map[string]string{"SPACELIFT_VCS_AGENT_ALLOWED_PROJECTS": `^acme/.*$$`}},
		{[]string{"--set-literal", `allowedProjects=acme/$(x|y)`}, map[string]string{"SPACELIFT_VCS_AGENT_ALLOWED_PROJECTS": `acme/$$(x|y)`}},
		{[]string{"--set", "allowGroups={read,git}"}, map[string]string{"SPACELIFT_VCS_AGENT_ALLOW_GROUPS": "read,git"}},
		{[]string{"--set", "policy.mode=observe"}, map[string]string{"SPACELIFT_VCS_AGENT_POLICY": "observe"}},
		{[]string{"--set-json", "policy.rules={}"}, map[string]string{"SPACELIFT_VCS_AGENT_RULES_FILE": "/etc/vcs-agent/rules/rules.yaml"}},
		{[]string{"--set-json", "policy.rules=null"}, nil},
		{[]string{"--set", "policy.existingConfigMap=mine"}, map[string]string{"SPACELIFT_VCS_AGENT_RULES_FILE": "/etc/vcs-agent/rules/rules.yaml"}},
		{[]string{"--set", "vcsCredential.existingSecret=mine"}, map[string]string{"SPACELIFT_VCS_AGENT_VCS_CREDENTIAL_FILE": "/var/run/secrets/vcs-credential/credential"}},
		{[]string{"--set", "transport=tcp"}, map[string]string{"SPACELIFT_VCS_AGENT_TRANSPORT": "tcp"}},
		{[]string{"--set", "vcsTimeoutSeconds=90"}, map[string]string{"SPACELIFT_VCS_AGENT_VCS_TIMEOUT": "90s"}},
		{[]string{"--set", "logLevel=debug,logFormat=text"}, map[string]string{"SPACELIFT_VCS_AGENT_LOG_LEVEL": "debug", "SPACELIFT_VCS_AGENT_LOG_FORMAT": "text"}},
		{[]string{"--set", "debugPrintAll=true"}, map[string]string{"SPACELIFT_VCS_AGENT_DEBUG_PRINT_ALL": "true"}},
		{[]string{"--set", "metrics.port=9999"}, map[string]string{"SPACELIFT_VCS_AGENT_METRICS_LISTEN": ":9999"}},
		{[]string{"--set", "metadata.region=eu1"}, map[string]string{"SPACELIFT_METADATA_region": "eu1"}},
		{[]string{"--set", "metadata.pod_name=mine"}, map[string]string{"SPACELIFT_METADATA_pod_name": "mine"}},
		{[]string{"--set", "extraEnv[0].name=GODEBUG,extraEnv[0].value=http2debug=2"}, map[string]string{"GODEBUG": "http2debug=2"}},
		{[]string{"--set", "extraEnv[0].name=SPACELIFT_VCS_AGENT_BUGSNAG_API_KEY,extraEnv[0].valueFrom.secretKeyRef.name=bugsnag,extraEnv[0].valueFrom.secretKeyRef.key=key"},
			map[string]string{"SPACELIFT_VCS_AGENT_BUGSNAG_API_KEY": "secret:bugsnag/key"}},
		{[]string{"--set", "proxy.httpsProxy=http://u:p@proxy.example.com:3128,proxy.httpProxy=socks5://proxy.example.com:1080", "--set-literal", "proxy.noProxy=.example.com,10.0.0.0/8"},
			map[string]string{"HTTPS_PROXY": "secret:vcs-agent/https-proxy", "HTTP_PROXY": "secret:vcs-agent/http-proxy", "NO_PROXY": ".example.com,10.0.0.0/8"}},
	}
	base := install(t).env(t)
	for _, tt := range tests {
		t.Run(strings.Join(tt.args, " "), func(t *testing.T) {
			t.Parallel()
			want := maps.Clone(base)
			maps.Copy(want, tt.want)
			if got := install(t, tt.args...).env(t); !maps.Equal(got, want) {
				t.Errorf("environment is\n%v\nwant\n%v", got, want)
			}
		})
	}

	t.Run("metadataPodName=false", func(t *testing.T) {
		t.Parallel()
		if _, ok := install(t, "--set", "metadataPodName=false").env(t)["SPACELIFT_METADATA_pod_name"]; ok {
			t.Error("the pod's name is sent all the same")
		}
	})
}

func TestProxyPasswordOnlyInSecret(t *testing.T) {
	t.Parallel()
	const url = "http://user:pass-word@proxy.example.com:3128"
	r := install(t, "--set", "proxy.httpsProxy="+url)
	if got := string(r.secret.Data["https-proxy"]); got != url {
		t.Errorf("the Secret's proxy is %q, want %q", got, url)
	}
	if strings.Contains(r.text, "pass-word") {
		t.Error("the proxy's password is in the manifests in clear")
	}
}

// Both bundles can be given as PEM and as base64 of it, which is what the
// agent's own --ca-cert takes.
func TestCertificates(t *testing.T) {
	t.Parallel()
	pem, err := os.ReadFile("testdata/ca.pem")
	if err != nil {
		t.Fatal(err)
	}
	wrapped := base64.StdEncoding.EncodeToString(pem)
	wrapped = wrapped[:76] + "\n" + wrapped[76:] + "\n"
	bundles := []struct{ value, variable string }{
		{"caCert", "SPACELIFT_VCS_AGENT_CA_CERT_FILE"},
		{"gatewayCA", "SPACELIFT_VCS_AGENT_GATEWAY_CA_FILE"},
	}
	for i, b := range bundles {
		for form, args := range map[string][]string{
			"PEM":            {"--set-file", b.value + "=testdata/ca.pem"},
			"base64":         {"--set-literal", b.value + "=" + base64.StdEncoding.EncodeToString(pem)},
			"wrapped base64": {"--set-literal", b.value + "=" + wrapped},
		} {
			t.Run(b.value+" as "+form, func(t *testing.T) {
				t.Parallel()
				r := install(t, args...)
				env := r.env(t)
				volume, key := r.file(t, env[b.variable])
				if r.configMap == nil || volume.ConfigMap == nil || volume.ConfigMap.Name != r.configMap.Name {
					t.Fatalf("the bundle comes from %+v, want the release's ConfigMap", volume.VolumeSource)
				}
				if got := r.configMap.Data[key]; got != string(pem) {
					t.Errorf("the ConfigMap's %s is %q, want the PEM", key, got)
				}
				if other := bundles[1-i].variable; env[other] != "" {
					t.Errorf("%s is set, but its value wasn't given", other)
				}
			})
		}
	}
}
