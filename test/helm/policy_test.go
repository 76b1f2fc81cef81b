package helm_test

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

const rulesFile = "testdata/rules.yaml"

// Rules come to the agent as they were given, whether as a mapping or as a
// file's text: it lists the same policy from what the chart renders.
func TestRules(t *testing.T) {
	t.Parallel()
	want := policyOf(t, rulesFile)
	if len(want) < 10 || !strings.Contains(want["acme.tags.list"], `{{ all }} of them, $HOME, \\ and ünïcode`) {
		t.Fatalf("the agent lists %d rules of %s: %v", len(want), rulesFile, want)
	}
	for form, args := range map[string][]string{
		"text":    {"--set-file", "policy.rules=" + rulesFile},
		"mapping": {"--values", asValues(t, rulesFile)},
	} {
		t.Run(form, func(t *testing.T) {
			t.Parallel()
			file := mountedRules(t, install(t, args...))
			if got := policyOf(t, file); !maps.Equal(got, want) {
				t.Errorf("the agent lists\n%v\nwant\n%v", got, want)
			}
			for project, allowed := range map[string]bool{"acme%2Fsecret-7": false, "acme%2Fsecret-x": true} {
				stdout, stderr, err := agent(t, "rules", "test", "--vendor", "gitlab", "--rules-file", file, "GET", "/api/v4/projects/"+project+"/repository/tags")
				if exitCode(t, err) == 0 != allowed {
					t.Errorf("%s is allowed: %t, want %t\n%s%s", project, !allowed, allowed, stdout, stderr)
				}
			}
		})
	}

	t.Run("none, to be followed by some", func(t *testing.T) {
		t.Parallel()
		file := mountedRules(t, install(t, "--set-json", "policy.rules={}"))
		if got := policyOf(t, file); len(got) < 10 || got["acme.tags.list"] != "" {
			t.Errorf("the agent lists %v, want the vendor's rules alone", got)
		}
	})
}

// mountedRules returns a copy of the file that the agent's setting names, as the
// kubelet makes it of the release's ConfigMap.
func mountedRules(t *testing.T, r release) string {
	t.Helper()
	if r.rules == nil {
		t.Fatal("no ConfigMap with rules is rendered")
	}
	text, ok := r.rules.Data[checkRulesVolume(t, r, r.rules.Name)]
	if !ok || len(r.rules.Data) != 1 || len(r.rules.BinaryData) != 0 {
		t.Fatalf("the ConfigMap has %v, want the rules file alone", r.rules.Data)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// checkRulesVolume says whether the agent's rules come from the ConfigMap, and
// must be there, and returns their key in it.
func checkRulesVolume(t *testing.T, r release, configMap string) (key string) {
	t.Helper()
	volume, path := r.file(t, r.env(t)["SPACELIFT_VCS_AGENT_RULES_FILE"])
	c := volume.ConfigMap
	if c == nil || c.Name != configMap {
		t.Fatalf("the rules come from %+v, want ConfigMap %s", volume.VolumeSource, configMap)
	}
	if c.Optional != nil && *c.Optional {
		t.Error("a pod starts without its rules")
	}
	if len(c.Items) != 1 || c.Items[0].Path != path {
		t.Fatalf("the rules' volume has %v, want %s alone", c.Items, path)
	}
	return c.Items[0].Key
}

func TestExistingConfigMap(t *testing.T) {
	t.Parallel()
	for key, args := range map[string]string{
		"rules.yaml": "policy.existingConfigMap=mine",
		"policy":     "policy.existingConfigMap=mine,policy.configMapKey=policy",
	} {
		r := install(t, "--set", args)
		if r.rules != nil {
			t.Errorf("%s: a ConfigMap is rendered beside the existing one", args)
		}
		if got := checkRulesVolume(t, r, "mine"); got != key {
			t.Errorf("%s: the rules' key is %q, want %q", args, got, key)
		}
	}

	// Not the chart's own ConfigMap's: its key is fixed.
	r := install(t, "--set-file", "policy.rules="+rulesFile, "--set", "policy.configMapKey=policy")
	mountedRules(t, r)
}

func TestVCSCredential(t *testing.T) {
	t.Parallel()
	for key, args := range map[string]string{
		"credential": "vcsCredential.existingSecret=gitlab",
		"header":     "vcsCredential.existingSecret=gitlab,vcsCredential.secretKey=header",
	} {
		r := install(t, "--set", args)
		checkSecretFile(t, r, "SPACELIFT_VCS_AGENT_VCS_CREDENTIAL_FILE", "gitlab", key)
		checkToken(t, r, "vcs-agent", "token")
	}
	without := install(t)
	if slices.ContainsFunc(without.pod().Volumes, func(v corev1.Volume) bool { return v.Name == "vcs-credential" || v.Name == "rules" }) {
		t.Errorf("without a credential and rules there are the volumes %v", without.pod().Volumes)
	}
}

// What the chart says of the form of a rules file is what the agent says: it
// refuses nothing that the agent takes, and what it refuses the agent refuses too.
func TestRulesForm(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, good, bad string
		chart, agent    []string // what their messages have
	}{
		{"no rule", "{}", "", []string{"policy.rules is empty", "{}"}, []string{"the file is empty", "{}"}},
		{"no rule, blank", " {}\n", " \n", []string{"policy.rules is empty", "{}"}, []string{"the file is empty", "{}"}},
		{"no rule, a comment", "# none\n{}\n", "# none\n", []string{"policy.rules is empty", "{}"}, []string{"there are no rules in it", "{}"}},
		{"key", "block: []", "blocks: []", []string{`policy.rules has the key "blocks"; allowed are ` + keysOfRules}, []string{`the rules has the key "blocks"; allowed are ` + keysOfRules}},
		{"list", "block: [{name: a, path: /x}]", "[{name: a, path: /x}]", []string{"policy.rules is not a mapping"}, []string{"must be a mapping"}},
		{"not YAML", "groups: {git: true}", "groups: {git: true", []string{"policy.rules is not a mapping"}, []string{"it is not YAML"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := mountedRules(t, install(t, "--set-literal", "policy.rules="+tt.good))
			policyOf(t, file)

			said := refused(t, append(documented[:2:2], "--set-literal", "policy.rules="+tt.bad)...)
			contains(t, "the chart", said, tt.chart)
			bad := filepath.Join(t.TempDir(), "rules.yaml")
			if err := os.WriteFile(bad, []byte(tt.bad), 0o600); err != nil {
				t.Fatal(err)
			}
			_, stderr, err := agent(t, "rules", "list", "--vendor", "gitlab", "--rules-file", bad)
			if exitCode(t, err) != 2 {
				t.Errorf("the agent takes %q", tt.bad)
			}
			contains(t, "the agent", stderr, tt.agent)
		})
	}

	t.Run("key of a mapping", func(t *testing.T) {
		t.Parallel()
		install(t, "--set-json", `policy.rules={"block":[]}`)
		said := refused(t, append(documented[:2:2], "--set-json", `policy.rules={"blocks":[]}`)...)
		contains(t, "the chart", said, []string{`policy.rules has the key "blocks"; allowed are ` + keysOfRules})
	})
	t.Run("a list of values", func(t *testing.T) {
		t.Parallel()
		said := refused(t, append(documented[:2:2], "--set-json", `policy.rules=[]`)...)
		contains(t, "the chart", said, []string{"/policy/rules", "got array"})
	})
}

const keysOfRules = "groups, allow, block, projects, redirects"

func contains(t *testing.T, who, message string, parts []string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(message, part) {
			t.Errorf("the message of %s lacks %q:\n%s", who, part, message)
		}
	}
}

// policyOf returns what the agent lists of the policy with a rules file: each
// rule by its name, without the place where it stands.
func policyOf(t *testing.T, file string) map[string]string {
	t.Helper()
	stdout, stderr, err := agent(t, "rules", "list", "--vendor", "gitlab", "--rules-file", file, "--json")
	if err != nil {
		t.Fatalf("vcs-agent rules list: %v\n%s", err, stderr)
	}
	var rules []map[string]any
	if err := json.Unmarshal([]byte(stdout), &rules); err != nil {
		t.Fatal(err)
	}
	listed := map[string]string{}
	for _, rule := range rules {
		delete(rule, "source")
		text, err := json.Marshal(rule)
		if err != nil {
			t.Fatal(err)
		}
		listed[rule["name"].(string)] = string(text)
	}
	return listed
}

// asValues makes a values file that has a rules file's mapping.
func asValues(t *testing.T, rules string) string {
	t.Helper()
	var mapping map[string]any
	readYAML(t, rules, &mapping)
	text, err := yaml.Marshal(map[string]any{"policy": map[string]any{"rules": mapping}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		t.Fatal(err)
	}
	return e.ExitCode()
}
