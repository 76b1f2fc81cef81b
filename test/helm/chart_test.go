package helm_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
	"sigs.k8s.io/yaml"
)

func TestLint(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"defaults":           nil,
		"documented install": documented,
		"everything":         append([]string{"--values", "testdata/everything.yaml"}, documented...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if out, stderr, err := helm(t, append([]string{"lint", "--strict", chartDir}, args...)...); err != nil {
				t.Errorf("helm lint: %v\n%s%s", err, out, stderr)
			}
		})
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	var chart struct{ Version, AppVersion, KubeVersion string }
	readYAML(t, filepath.Join(chartDir, "Chart.yaml"), &chart)
	for name, v := range map[string]string{"version": chart.Version, "appVersion": chart.AppVersion} {
		if _, err := semver.StrictNewVersion(v); err != nil {
			t.Errorf("Chart.yaml's %s is %q: %v", name, v, err)
		}
	}

	if got, want := install(t).agent().Image, "vcs-agent:"+chart.AppVersion; got != want {
		t.Errorf("image is %q, want the chart's appVersion: %q", got, want)
	}

	for version, supported := range map[string]bool{"1.25.0": true, "1.37.1-vendor.3": true, "1.24.17": false} {
		_, stderr, err := helm(t, append([]string{"template", "vcs-agent", chartDir, "--kube-version", version}, documented...)...)
		if (err == nil) != supported {
			t.Errorf("Kubernetes %s: supported %t, want %t\n%s", version, err == nil, supported, stderr)
		}
	}
}

func TestImage(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("ab", 32)
	for want, args := range map[string]string{
		"images.example.com/vcs-agent:1.2.3":           "image.repository=images.example.com/vcs-agent,image.tag=1.2.3",
		"images.example.com/vcs-agent:1.2.3@" + digest: "image.repository=images.example.com/vcs-agent,image.tag=1.2.3,image.digest=" + digest,
	} {
		if got := install(t, "--set", args).agent().Image; got != want {
			t.Errorf("image is %q, want %q", got, want)
		}
	}
}

// The README's table and values.yaml tell the same values.
func TestREADMETellsEveryValue(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join(chartDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for line := range strings.Lines(string(readme)) {
		if rest, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ := strings.Cut(rest, "`")
			told[name] = true
		}
	}

	var values map[string]any
	readYAML(t, filepath.Join(chartDir, "values.yaml"), &values)
	// No default, so not in the file.
	values["credentials"].(map[string]any)["vendor"] = ""
	values["policy"].(map[string]any)["rules"] = nil
	var walk func(prefix string, values map[string]any)
	walk = func(prefix string, values map[string]any) {
		for key, value := range values {
			name := prefix + key
			group, _ := value.(map[string]any)
			switch {
			case told[name]:
				delete(told, name)
			case len(group) > 0:
				walk(name+".", group)
			default:
				t.Errorf("README.md doesn't tell %s", name)
			}
		}
	}
	walk("", values)
	for name := range told {
		t.Errorf("README.md tells %s, which values.yaml doesn't have", name)
	}
}

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
