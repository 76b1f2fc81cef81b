package helm_test

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

const (
	token    = "eyJob3N0IjoiZ2F0ZXdheS5leGFtcGxlLmNvbTo4NDQzIiwicG9vbF91bGlkIjoiMDFIIiwia2V5IjoiazEifQ=="
	endpoint = "https://gitlab.example.com"
)

// documented are the arguments of the documented install.
var documented = []string{"--set", "credentials.token=" + token + ",credentials.endpoint=" + endpoint + ",credentials.vendor=gitlab"}

// release is what the chart renders; a nil object was not rendered.
type release struct {
	text       string
	deployment *appsv1.Deployment
	secret     *corev1.Secret
	configMap  *corev1.ConfigMap // the bundles'
	rules      *corev1.ConfigMap
	account    *corev1.ServiceAccount
	budget     *policyv1.PodDisruptionBudget
}

// install renders the documented install with further arguments.
func install(t *testing.T, args ...string) release {
	t.Helper()
	return render(t, append(append([]string{}, documented...), args...)...)
}

// render renders the chart with nothing but args.
func render(t *testing.T, args ...string) release {
	t.Helper()
	out, stderr, err := helm(t, append([]string{"template", "vcs-agent", chartDir, "--namespace", "vcs"}, args...)...)
	if err != nil {
		t.Fatalf("helm template %s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return parse(t, out)
}

// parse reads manifests with Kubernetes' types. Kinds that the chart doesn't
// promise, objects without the release's namespace, fields that don't exist and
// keys given twice fail the test.
func parse(t *testing.T, text string) release {
	t.Helper()
	r := release{text: text}
	docs := yamlstream.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for {
		doc, err := docs.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		var head metav1.PartialObjectMetadata
		if err := yaml.Unmarshal(doc, &head); err != nil {
			t.Fatalf("%v in:\n%s", err, doc)
		}
		if head.Kind == "" {
			continue // the comment before the first document
		}
		if head.Namespace != "vcs" {
			t.Errorf("%s %s is in namespace %q, not the release's", head.Kind, head.Name, head.Namespace)
		}
		switch head.APIVersion + " " + head.Kind {
		case "apps/v1 Deployment":
			decode(t, doc, &r.deployment)
		case "v1 Secret":
			decode(t, doc, &r.secret)
		case "v1 ConfigMap":
			if strings.HasSuffix(head.Name, "-rules") {
				decode(t, doc, &r.rules)
			} else {
				decode(t, doc, &r.configMap)
			}
		case "v1 ServiceAccount":
			decode(t, doc, &r.account)
		case "policy/v1 PodDisruptionBudget":
			decode(t, doc, &r.budget)
		default:
			t.Fatalf("unexpected %s %s", head.APIVersion, head.Kind)
		}
	}
	if r.deployment == nil {
		t.Fatalf("no Deployment in:\n%s", text)
	}
	return r
}

func decode[T any](t *testing.T, doc []byte, into **T) {
	t.Helper()
	if *into != nil {
		t.Fatalf("a second %T", *into)
	}
	*into = new(T)
	if err := yaml.UnmarshalStrict(doc, *into); err != nil {
		t.Fatalf("%v in:\n%s", err, doc)
	}
}

func (r release) pod() *corev1.PodSpec { return &r.deployment.Spec.Template.Spec }

func (r release) agent() *corev1.Container { return &r.pod().Containers[0] }

// env returns the agent's environment. A value from elsewhere is written as
// secret:NAME/KEY or field:PATH.
func (r release) env(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, e := range r.agent().Env {
		if _, twice := env[e.Name]; twice {
			t.Errorf("%s is set twice", e.Name)
		}
		switch {
		case e.ValueFrom == nil:
			env[e.Name] = e.Value
		case e.ValueFrom.SecretKeyRef != nil:
			env[e.Name] = "secret:" + e.ValueFrom.SecretKeyRef.Name + "/" + e.ValueFrom.SecretKeyRef.Key
		case e.ValueFrom.FieldRef != nil:
			env[e.Name] = "field:" + e.ValueFrom.FieldRef.FieldPath
		default:
			t.Errorf("%s comes from somewhere unknown: %v", e.Name, e.ValueFrom)
		}
	}
	return env
}

// file returns where the volume that is mounted around path comes from: the
// volume and the path below its mount.
func (r release) file(t *testing.T, path string) (corev1.Volume, string) {
	t.Helper()
	for _, m := range r.agent().VolumeMounts {
		below, ok := strings.CutPrefix(path, m.MountPath+"/")
		if !ok {
			continue
		}
		if !m.ReadOnly {
			t.Errorf("%s is mounted writable", m.MountPath)
		}
		if m.SubPath != "" || m.SubPathExpr != "" {
			t.Errorf("%s is mounted by subPath, so changes never reach it", m.MountPath)
		}
		for _, v := range r.pod().Volumes {
			if v.Name == m.Name {
				return v, below
			}
		}
	}
	t.Fatalf("nothing is mounted at %s", path)
	return corev1.Volume{}, ""
}
