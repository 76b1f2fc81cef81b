package helm_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func TestProbes(t *testing.T) {
	t.Parallel()
	for _, port := range []string{"9464", "19464"} {
		r := install(t, "--set", "metrics.port="+port)
		listen := r.env(t)["SPACELIFT_VCS_AGENT_METRICS_LISTEN"]
		if listen != ":"+port { // on all addresses: the kubelet comes from outside
			t.Errorf("the agent listens on %q, want :%s", listen, port)
		}
		for path, probe := range map[string]*corev1.Probe{"/livez": r.agent().LivenessProbe, "/readyz": r.agent().ReadinessProbe} {
			if probe == nil || probe.HTTPGet == nil {
				t.Fatalf("no HTTP probe for %s", path)
			}
			if probe.HTTPGet.Path != path {
				t.Errorf("probe asks for %s, want %s", probe.HTTPGet.Path, path)
			}
			if got := resolve(r.agent(), probe.HTTPGet.Port); ":"+got.String() != listen {
				t.Errorf("probe of %s goes to port %s, but the agent listens on %s", path, got.String(), listen)
			}
		}
		if got := r.deployment.Spec.Template.Annotations["prometheus.io/port"]; got != port {
			t.Errorf("Prometheus is sent to port %q, want %s", got, port)
		}
	}

	off := install(t, "--set", "metrics.enabled=false")
	for name := range off.deployment.Spec.Template.Annotations {
		if strings.HasPrefix(name, "prometheus.io/") {
			t.Errorf("%s is set with metrics off", name)
		}
	}
	if off.agent().LivenessProbe == nil || off.env(t)["SPACELIFT_VCS_AGENT_METRICS_LISTEN"] == "" {
		t.Error("the probes went with the metrics")
	}
}

// resolve returns the number of a container's port that is given by name.
func resolve(c *corev1.Container, port intstr.IntOrString) *intstr.IntOrString {
	for _, p := range c.Ports {
		if port.Type == intstr.String && p.Name == port.StrVal {
			n := intstr.FromInt32(p.ContainerPort)
			return &n
		}
	}
	return &port
}

// The pods pass Kubernetes' own check of its strictest profile; a value that
// weakens them doesn't, so the check is known to look.
func TestPodSecurity(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	tests := []struct {
		set     string
		allowed bool
	}{
		{"replicaCount=1", true},
		{"podSecurityContext.runAsUser=null", true}, // OpenShift picks one
		{"podSecurityContext.runAsUser=0", false},
		{"podSecurityContext.runAsNonRoot=false", false},
		{"podSecurityContext.seccompProfile=null", false},
		{"securityContext.allowPrivilegeEscalation=true", false},
		{"securityContext.capabilities.drop=null", false},
		{"securityContext.capabilities.add={NET_ADMIN}", false},
	}
	for _, tt := range tests {
		t.Run(tt.set, func(t *testing.T) {
			t.Parallel()
			r := install(t, "--set", tt.set)
			result := policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &r.deployment.Spec.Template.ObjectMeta, r.pod()))
			if result.Allowed != tt.allowed {
				t.Errorf("restricted allows it: %t, want %t (%s)", result.Allowed, tt.allowed, result.ForbiddenDetail())
			}
		})
	}

	// What the profile leaves open.
	r := install(t)
	if c := r.agent().SecurityContext; c.ReadOnlyRootFilesystem == nil || !*c.ReadOnlyRootFilesystem {
		t.Error("the root file system is writable")
	}
	if u := r.pod().SecurityContext.RunAsUser; u == nil || *u != 65532 {
		t.Errorf("the pod's user is %v, want the image's 65532", u)
	}
	for what, automount := range map[string]*bool{"service account": r.account.AutomountServiceAccountToken, "pod": r.pod().AutomountServiceAccountToken} {
		if automount == nil || *automount {
			t.Errorf("the %s mounts a token of the Kubernetes API", what)
		}
	}
	if e := r.pod().EnableServiceLinks; e == nil || *e {
		t.Error("Services are put into the agent's environment")
	}
}

// The kubelet waits longer than the agent does.
func TestTermination(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]int64{"shutdownGracePeriodSeconds=30": 45, "shutdownGracePeriodSeconds=600": 615, "shutdownGracePeriodSeconds=0": 15} {
		if got := install(t, "--set", set).pod().TerminationGracePeriodSeconds; got == nil || *got != want {
			t.Errorf("%s: terminationGracePeriodSeconds is %v, want %d", set, got, want)
		}
	}
}

func TestRollout(t *testing.T) {
	t.Parallel()
	base := install(t)
	if u := base.deployment.Spec.Strategy.RollingUpdate; u == nil || u.MaxUnavailable.IntValue() != 0 || u.MaxSurge.IntValue() != 1 {
		t.Errorf("strategy is %+v, want one more and none less", u)
	}
	if got := *base.deployment.Spec.Replicas; got != 2 {
		t.Errorf("%d replicas, want 2", got)
	}

	// What the agent reads at its start only must replace the pods; what it
	// doesn't see must not.
	existing := []string{"--set", "credentials.existingSecret=mine"}
	withProxy := func(password string) []string {
		return append(existing[:2:2], "--set", "proxy.httpsProxy=http://u:"+password+"@proxy.example.com:3128")
	}
	withRules := func(rules string) []string {
		return append(documented[:2:2], "--set-literal", "policy.rules="+rules)
	}
	tests := []struct {
		name          string
		before, after []string
		restart       bool
	}{
		{"another token", documented, append(documented[:2:2], "--set", "credentials.token=another"), true},
		{"another CA", documented, append(documented[:2:2], "--set-file", "caCert=testdata/ca.pem"), true},
		{"another password beside an existing secret", withProxy("one"), withProxy("two"), true},
		// What the agent follows while it runs.
		{"other rules", withRules("{}"), withRules("{groups: {git: true}}"), false},
		{"the first rules", documented, withRules("{}"), true},
		{"another ConfigMap of rules", append(documented[:2:2], set("policy.existingConfigMap=one")...), append(documented[:2:2], set("policy.existingConfigMap=two")...), true},
		{"another mode", documented, append(documented[:2:2], set("policy.mode=observe")...), true},
		{"another Secret with the VCS's credential", append(documented[:2:2], set("vcsCredential.existingSecret=one")...), append(documented[:2:2], set("vcsCredential.existingSecret=two")...), true},
		{"the same", withProxy("one"), withProxy("one"), false},
		{"more replicas", documented, append(documented[:2:2], "--set", "replicaCount=3"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			before, after := render(t, tt.before...).deployment.Spec.Template, render(t, tt.after...).deployment.Spec.Template
			if restart := before.String() != after.String(); restart != tt.restart {
				t.Errorf("pods are replaced: %t, want %t", restart, tt.restart)
			}
		})
	}
}

// What a cluster's administrators set goes where they mean it.
func TestPlacement(t *testing.T) {
	t.Parallel()
	r := install(t, "--values", "testdata/everything.yaml")
	pod := r.pod()
	for what, ok := range map[string]bool{
		"nodeSelector":                           pod.NodeSelector["disk"] == "ssd",
		"tolerations":                            len(pod.Tolerations) == 1 && pod.Tolerations[0].Key == "dedicated",
		"affinity":                               pod.Affinity != nil && pod.Affinity.NodeAffinity != nil,
		"priorityClassName":                      pod.PriorityClassName == "high",
		"imagePullSecrets":                       len(pod.ImagePullSecrets) == 1 && pod.ImagePullSecrets[0].Name == "registry",
		"resources":                              r.agent().Resources.Limits.Memory().String() == "512Mi",
		"podAnnotations":                         r.deployment.Spec.Template.Annotations["example.com/team"] == "platform",
		"podLabels":                              r.deployment.Spec.Template.Labels["example.com/team"] == "platform",
		"serviceAccount":                         r.account.Name == "agents" && pod.ServiceAccountName == "agents" && r.account.Annotations["example.com/role"] == "none",
		"an annotation of the chart's, set anew": r.deployment.Spec.Template.Annotations["prometheus.io/scrape"] == "false",
	} {
		if !ok {
			t.Errorf("%s is not in the pods", what)
		}
	}

	spread := pod.TopologySpreadConstraints
	if len(spread) != 2 || spread[0].TopologyKey != "topology.kubernetes.io/zone" || spread[1].LabelSelector.MatchLabels["app"] != "others" {
		t.Fatalf("spread is %v, want the two given", spread)
	}
	checkSelects(t, "the spread without a selector", r, spread[0].LabelSelector)
	if byDefault := install(t).pod().TopologySpreadConstraints; len(byDefault) != 1 || byDefault[0].WhenUnsatisfiable != corev1.ScheduleAnyway {
		t.Errorf("by default the spread is %v, want one that is not enforced", byDefault)
	}
	if r.budget == nil || r.budget.Spec.MaxUnavailable.String() != "50%" {
		t.Fatalf("budget is %v, want maxUnavailable 50%%", r.budget)
	}
	checkSelects(t, "the budget", r, r.budget.Spec.Selector)
	checkSelects(t, "the Deployment", r, r.deployment.Spec.Selector)

	none := install(t, "--set", "serviceAccount.create=false")
	if none.account != nil || none.pod().ServiceAccountName != "default" {
		t.Errorf("serviceAccount.create=false: account %v, pod's %q", none.account, none.pod().ServiceAccountName)
	}
}

func checkSelects(t *testing.T, what string, r release, selector *metav1.LabelSelector) {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	if s.Empty() || !s.Matches(labels.Set(r.deployment.Spec.Template.Labels)) {
		t.Errorf("%s selects %s, which are not the release's pods %v", what, s, r.deployment.Spec.Template.Labels)
	}
}

// Kubernetes takes the names, however long the release's is. Helm allows 53.
func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("r", 53)
	tests := []struct{ release, set, want string }{
		{"vcs-agent", "replicaCount=1", "vcs-agent"},
		{"prod", "replicaCount=1", "prod-vcs-agent"},
		{"prod", "nameOverride=agent", "prod-agent"},
		{"prod", "fullnameOverride=mine", "mine"},
		{long, "replicaCount=1", long + "-vcs-agent"},
		{long, "nameOverride=" + long, long},
	}
	for _, tt := range tests {
		out, stderr, err := helm(t, append([]string{"template", tt.release, chartDir, "--namespace", "vcs", "--set", tt.set}, documented...)...)
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr)
		}
		r := parse(t, out)
		for _, got := range []string{r.deployment.Name, r.secret.Name, r.account.Name} {
			if got != tt.want {
				t.Errorf("release %s with %s: name is %q, want %q", tt.release, tt.set, got, tt.want)
			}
			if problems := validation.IsDNS1123Label(got); problems != nil {
				t.Errorf("name %q: %v", got, problems)
			}
		}
		for _, value := range r.deployment.Labels {
			if problems := validation.IsValidLabelValue(value); problems != nil {
				t.Errorf("label %q: %v", value, problems)
			}
		}
	}
}
