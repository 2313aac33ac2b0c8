// SPDX-License-Identifier: Apache-2.0

// Package charts_test renders the chart with the real helm.
package charts_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"metallb.io/metallb-frr/e2e/need"
)

func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program, err := filepath.Abs("../../out/kube/helm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		if program, err = exec.LookPath("helm"); err != nil {
			need.Skip(t, "no helm: neither out/kube/helm nor one in PATH")
		}
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func render(t *testing.T, set ...string) (string, error) {
	t.Helper()
	args := []string{"template", "anyname", "metallb", "--namespace", "metallb-system"}
	for _, s := range set {
		args = append(args, "--set", s)
	}
	return helm(t, args...)
}

func TestChartPassesLint(t *testing.T) {
	if out, err := helm(t, "lint", "--strict", "metallb"); err != nil {
		t.Errorf("helm lint: %v\n%s", err, out)
	}
}

func TestNamesThatOthersRelyOn(t *testing.T) {
	out, err := render(t)
	if err != nil {
		t.Fatal(err, out)
	}
	for _, want := range []string{
		"kind: Deployment\nmetadata:\n  name: controller\n",
		"kind: DaemonSet\nmetadata:\n  name: speaker\n",
		"kubectl.kubernetes.io/default-container: speaker\n",
		"app: metallb\n", "component: speaker\n", "component: controller\n",
		"app.kubernetes.io/name: metallb\n", "app.kubernetes.io/component: speaker\n",
		"- name: speaker\n", "- name: frr\n", "- name: metricshttps\n",
		"- name: metricshttps\n          containerPort: 9120\n        - name: frrmetricshttps\n          containerPort: 9121\n",
		"--frr-metrics-port=9121\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("rendering has no %q", want)
		}
	}
	if n := strings.Count(out, "kind: CustomResourceDefinition\n"); n != 9 {
		t.Errorf("rendering has %d CustomResourceDefinitions, want 9", n)
	}
	if n := strings.Count(out, "helm.sh/resource-policy: keep"); n != 9 {
		t.Errorf("%d of the CustomResourceDefinitions outlive the release, want all 9", n)
	}
	for _, not := range []string{"privileged: true", "SYS_RESOURCE", "DAC_OVERRIDE"} {
		if strings.Contains(out, not) {
			t.Errorf("rendering has %q", not)
		}
	}
}

func TestValuesTakeEffect(t *testing.T) {
	for set, want := range map[string]string{
		"loadBalancerClass=example.com/lb":               "--lb-class=example.com/lb\n",
		"controller.replicas=3":                          "replicas: 3\n",
		"speaker.logLevel=debug":                         "--log-level=debug\n",
		"speaker.ignoreExcludeLB=true":                   "--ignore-exclude-lb=true\n",
		"speaker.frr.drainWait=2":                        "--drain-wait=2s\n",
		"speaker.drainOn={cordon,condition/Ready=False}": "--drain-on=cordon,condition/Ready=False\n",
		"speaker.logLevel=warn":                          "value: warnings\n",
		"prometheus.scrapeAnnotations=true":              "prometheus.io/port: \"9120\"\n",
		"prometheus.metricsPort=9999":                    "--port=9999\n",
		"speaker.image.tag=x":                            "quay.io/metallb/speaker:x\"\n",
		"speaker.frr.drainWait=3":                        "value: \"3\"\n",
		"speaker.serviceAccount.name=other":              "serviceAccountName: other\n",
		"controller.livenessProbe.port=1234":             "--health-probe-port=1234\n",
		"speaker.podAnnotations.a=b":                     "a: b\n",
		"imagePullSecrets[0].name=pull":                  "- name: pull\n",
		"speaker.frr.metricsPort=9131":                   "--frr-metrics-port=9131\n",
		"speaker.serviceBGPStatus=never":                 "--service-bgp-status=never\n",
		"speaker.gratuitousPeriod=0":                     "--l2-gratuitous-period=0s\n",
		"speaker.wanConfig=true":                         "--ml-wan-config=true\n",
		"speaker.memberlist.heartbeat=200ms":             "- --ml-heartbeat=200ms\n",
		"speaker.memberlist.silence=1s":                  "- --ml-silence=1s\n",
	} {
		if out, err := render(t, set); err != nil || !strings.Contains(out, want) {
			t.Errorf("--set %s: no %q in the rendering, %v", set, want, err)
		}
	}
	for set, not := range map[string]string{
		"crds.enabled=false":           "CustomResourceDefinition",
		"speaker.frr.metricsPort=0":    "frrmetricshttps",
		"rbac.create=false":            "kind: ClusterRole",
		"speaker.enabled=false":        "DaemonSet",
		"controller.enabled=false":     "Deployment",
		"speaker.tolerateMaster=false": "node-role.kubernetes.io",
		"speaker.wanConfig=null":       "--ml-wan-config",
		"tls=null":                     "--tls-",
		"tls.minVersion=null":          "--tls-",
	} {
		if out, err := render(t, set); err != nil || strings.Contains(out, not) {
			t.Errorf("--set %s: %q is in the rendering, or %v", set, not, err)
		}
	}
}

// A user's templates reach the speaker, whose pods are replaced when they change.
func TestOwnTemplates(t *testing.T) {
	plain, err := render(t)
	if err != nil || strings.Contains(plain, "frr-templates") {
		t.Errorf("without templates the rendering names them, or %v", err)
	}
	out, err := render(t, `speaker.frr.templates.class\.tmpl=route-map {{ .Name }} permit 1`)
	if err != nil {
		t.Fatal(err, out)
	}
	for _, want := range []string{
		"- --frr-templates=/etc/frr-templates\n", "mountPath: /etc/frr-templates\n", "configMap:\n          name: metallb-frr-templates\n",
		"kind: ConfigMap\nmetadata:\n  name: metallb-frr-templates\n", "data:\n  class.tmpl: route-map {{ .Name }} permit 1\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("rendering has no %q", want)
		}
	}
	other, err := render(t, `speaker.frr.templates.class\.tmpl=route-map {{ .Name }} permit 2`)
	sum := regexp.MustCompile("checksum/frr-templates: [0-9a-f]{64}")
	if a, b := sum.FindString(out), sum.FindString(other); err != nil || a == "" || a == b {
		t.Errorf("pods with other templates: %q and %q, %v", a, b, err)
	}
}

func TestMetalLBValuesThatChangeNothingAreAccepted(t *testing.T) {
	if out, err := render(t, "frrk8s.enabled=false", "speaker.frr.enabled=true", "crds.validationFailurePolicy=Ignore",
		"speaker.memberlist.enabled=true", "prometheus.rbacPrometheus=true", "prometheus.serviceMonitor.enabled=false"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWhatCannotBeMetIsRefusedByName(t *testing.T) {
	for set, want := range map[string]string{
		"frrk8s.enabled=true":                                       "frrk8s.enabled",
		"speaker.frr.enabled=false":                                 "speaker.frr.enabled is false",
		"prometheus.serviceMonitor.enabled=true":                    "prometheus.serviceMonitor.enabled is true",
		"tls.minVersion=VersionTLS11":                               "/tls/minVersion",
		"tls.minimum=VersionTLS12":                                  "minimum",
		"tls.curvePreferences=X25519":                               "/tls/curvePreferences",
		"tls.cipherSuites=TLS_AES_128_GCM_SHA256":                   "tls.cipherSuites is set and tls.minVersion is not VersionTLS12",
		"tls.speakerMetricsTLSSecret=x":                             "tls.speakerMetricsTLSSecret is \"x\"",
		"tls.controllerMetricsTLSSecret=x":                          "tls.controllerMetricsTLSSecret is \"x\"",
		"configInline.peers=x":                                      "configInline",
		"speaker.logLevle=debug":                                    "logLevle",
		"speaker.logLevel=loud":                                     "/speaker/logLevel",
		"speaker.frr.drainWait=9":                                   "/speaker/frr/drainWait",
		"speaker.drainOn=cordon":                                    "/speaker/drainOn",
		"speaker.drainOn={two words}":                               "/speaker/drainOn/0",
		"speaker.serviceBGPStatus=sometimes":                        "/speaker/serviceBGPStatus",
		"speaker.memberlist.tuning.x=1":                             "/speaker/memberlist/tuning",
		"speaker.memberlist.heartbeat=often":                        "/speaker/memberlist/heartbeat",
		"speaker.memberlist.mlBindPort=0":                           "/speaker/memberlist/mlBindPort",
		"speaker.memberlist.enable=false":                           "/speaker/memberlist",
		"speaker.gratuitousPeriod=-1":                               "/speaker/gratuitousPeriod",
		"speaker.memberlist.enabled=false,speaker.nodeSelector.a=b": "speaker.nodeSelector is set and speaker.memberlist.enabled false",
		`speaker.frr.templates.neighbour\.tmpl=x`:                   "neighbour.tmpl",
	} {
		out, err := render(t, set)
		if err == nil {
			t.Errorf("--set %s is accepted", set)
		} else if !strings.Contains(out, want) {
			t.Errorf("--set %s: the error does not name %q:\n%s", set, want, out)
		}
	}
}

func TestChartHasTheGeneratedCRDs(t *testing.T) {
	want, err := filepath.Glob("../crds/*.yaml")
	if err != nil || len(want) != 9 {
		t.Fatalf("deploy/crds has %d files, want 9; %v", len(want), err)
	}
	for _, name := range want {
		a, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join("metallb/files/crds", filepath.Base(name)))
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("the chart's copy of %s is old; run hack/generate (%v)", name, err)
		}
	}
}

func TestManifestsAreTheChartsDefaultRendering(t *testing.T) {
	if _, err := helm(t, "version"); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "../manifests/generate", dir).CombinedOutput(); err != nil {
		t.Fatalf("generate: %v\n%s", err, out)
	}
	want, err := os.ReadFile(filepath.Join(dir, "metallb-frr.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../manifests/metallb-frr.yaml")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("deploy/manifests/metallb-frr.yaml is old; run deploy/manifests/generate (%v)", err)
	}
}

// What takes a node out of service is told to both programs: the speakers act on
// it, and the controller names the nodes that announce. TLS is served by both.
func TestWhatBothProgramsAreTold(t *testing.T) {
	for set, want := range map[string]string{
		"tls.minVersion=VersionTLS12": "--tls-min-version=VersionTLS12\n",
		"tls.minVersion=VersionTLS12,tls.cipherSuites=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384\n",
		`tls.curvePreferences=29\,24`:  "--tls-curve-preferences=29,24\n",
		"tls.curvePreferences=24":      "--tls-curve-preferences=24\n",
		"speaker.ignoreExcludeLB=true": "--ignore-exclude-lb=true\n",
		"speaker.drainOn={cordon}":     "--drain-on=cordon\n",
	} {
		if out, err := render(t, set); err != nil || strings.Count(out, want) != 2 {
			t.Errorf("--set %s: %q is there %d times, want 2; %v", set, want, strings.Count(out, want), err)
		}
	}
}
