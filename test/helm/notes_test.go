package helm_test

import (
	"strings"
	"testing"
)

// What helm prints after an install: a way on for everyone, and warnings for
// those they concern.
func TestNotes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		said string
		with []string
		not  []string
	}{
		{"2 agent(s) of 4 stream(s) each are starting for gitlab at " + endpoint, nil, set("replicaCount=1")},
		{"--namespace vcs rollout status deployment/vcs-agent", nil, set("fullnameOverride=mine")},
		{"goes through no proxy", set("transport=quic,proxy.httpsProxy=http://proxy.example.com:3128"), set("transport=tcp,proxy.httpsProxy=http://proxy.example.com:3128")},
		{"calls that no rule allows reach the VCS", set("policy.mode=observe"), set("policy.mode=enforce")},
		{"The rules are in the ConfigMap vcs-agent-rules", []string{"--set-file", "policy.rules=testdata/rules.yaml"}, set("policy.existingConfigMap=mine")},
		{"The rules are in the ConfigMap mine", set("policy.existingConfigMap=mine"), set("vcsCredential.existingSecret=mine")},
		{"whole repositories can be cloned", set("allowGroups={read,git}"), set("allowGroups={read}")},
	}
	for _, tt := range tests {
		t.Run(tt.said, func(t *testing.T) {
			t.Parallel()
			if notes := notes(t, tt.with...); !strings.Contains(notes, tt.said) {
				t.Errorf("with %v the notes lack it:\n%s", tt.with, notes)
			}
			if notes := notes(t, tt.not...); strings.Contains(notes, tt.said) {
				t.Errorf("with %v the notes say it:\n%s", tt.not, notes)
			}
		})
	}
}

func notes(t *testing.T, args ...string) string {
	t.Helper()
	out, stderr, err := helm(t, append(append([]string{"install", "vcs-agent", chartDir, "--dry-run=client", "--namespace", "vcs"}, documented...), args...)...)
	if err != nil {
		t.Fatalf("helm install --dry-run=client: %v\n%s", err, stderr)
	}
	_, notes, ok := strings.Cut(out, "NOTES:")
	if !ok {
		t.Fatalf("no notes in:\n%s", out)
	}
	if strings.Contains(notes, token) {
		t.Error("the notes tell the token")
	}
	return notes
}
