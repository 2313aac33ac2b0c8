// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

var update = flag.Bool("update", false, "write what the controller exposes into testdata/metrics.txt")

// families scrapes the program as Prometheus does: over HTTPS, with a token.
func (p *program) families(token string) map[string]*dto.MetricFamily {
	p.t.Helper()
	p.serving()
	status, body := p.get(fmt.Sprintf("https://127.0.0.1:%d/metrics", p.metrics), token)
	if status != http.StatusOK {
		p.t.Fatalf("scraping: %d %s", status, body)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		p.t.Fatalf("reading metrics: %v", err)
	}
	return families
}

// value returns what a series shows; labels as in pool="a". False: there is none.
func value(families map[string]*dto.MetricFamily, name, labels string) (float64, bool) {
	f := families[name]
	if f == nil {
		return 0, false
	}
	for _, m := range f.Metric {
		var have []string
		for _, l := range m.Label {
			have = append(have, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
		}
		if strings.Join(have, ",") == labels {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue(), true
		}
	}
	return 0, false
}

// wants waits until all series are as said; -1: there is none.
func (p *program) wants(token, what string, series map[string]float64) map[string]*dto.MetricFamily {
	p.t.Helper()
	var families map[string]*dto.MetricFamily
	var wrong []string
	poll(p.t, what, func() string { return strings.Join(wrong, "\n") }, func() bool {
		families = p.families(token)
		wrong = nil
		for id, want := range series {
			name, labels, _ := strings.Cut(strings.TrimSuffix(id, "}"), "{")
			got, there := value(families, name, labels)
			if !there {
				got = -1
			}
			if got != want {
				wrong = append(wrong, fmt.Sprintf("%s is %v, want %v", id, got, want))
			}
		}
		return wrong == nil
	})
	return families
}

// allocator are the series of a pool: IPv4 in use and in all, IPv6 in use and in
// all, and its Services; all -1: there are none.
func allocator(pool string, used4, all4, used6, all6, services float64) map[string]float64 {
	sum := func(a, b float64) float64 {
		return max(-1, min(a+b, math.MaxInt64))
	}
	id := func(name string) string { return fmt.Sprintf("metallb_allocator_%s{pool=%q}", name, pool) }
	return map[string]float64{
		id("addresses_in_use_total"): sum(used4, used6), id("addresses_total"): sum(all4, all6),
		id("ipv4_addresses_in_use_total"): used4, id("ipv4_addresses_total"): all4,
		id("ipv6_addresses_in_use_total"): used6, id("ipv6_addresses_total"): all6,
		id("services_allocated_total"): services,
	}
}

const (
	loaded = "metallb_k8s_client_config_loaded_bool"
	stale  = "metallb_k8s_client_config_stale_bool"
)

// What the controller exposes has MetalLB's names, types and labels, and the values
// are right: after an assignment, with an IPv6 pool that holds more than can be
// counted, after a pool is gone, and while the configuration is not valid.
func TestMetricsAreThoseOfTheContract(t *testing.T) {
	e := newEnv(t)
	p := start(t, e.kubeconfig)
	pool := func(name string, addresses ...string) *v1beta1.IPAddressPool {
		return &v1beta1.IPAddressPool{
			ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system", Name: name},
			Spec:       v1beta1.IPAddressPoolSpec{Addresses: addresses, AutoAssign: new(bool)},
		}
	}
	e.create(pool("huge", "2001:db8::/32", "198.51.100.0/30", "2001:db9::/120"))
	e.create(pool("goes", "203.0.113.0/29"))
	e.service("one")
	for i, name := range []string{"shares", "too"} {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Annotations: map[string]string{
			v1beta1.AnnotationAllowSharedIP: "k", v1beta1.AnnotationAddressPool: "huge",
		}}}
		both := corev1.IPFamilyPolicyRequireDualStack
		s.Spec.Type, s.Spec.IPFamilyPolicy = corev1.ServiceTypeLoadBalancer, &both
		s.Spec.Ports = []corev1.ServicePort{{Port: int32(80 + i)}}
		e.create(s)
	}
	p.wants(e.token, "the pool that one Service is in", allocator("main", 1, 256, 0, 0, 1))
	p.wants(e.token, "the pool that cannot be counted", allocator("huge", 1, 4, 1, math.MaxInt64, 2))
	p.wants(e.token, "the pool that nobody is in", allocator("goes", 0, 8, 0, 0, 0))
	families := p.wants(e.token, "a valid configuration", map[string]float64{
		loaded: 1, stale: 0, "metallb_k8s_client_update_errors_total": 0,
		`leader_election_master_status{name="metallb-controller"}`: 1,
	})
	if n, _ := value(families, "metallb_k8s_client_updates_total", ""); n < 1 {
		t.Errorf("%v updates", n)
	}
	sameAsKept(t, families)

	if err := e.Delete(t.Context(), pool("goes")); err != nil {
		t.Fatal(err)
	}
	p.wants(e.token, "a pool that is gone has no series", allocator("goes", -1, -1, -1, -1, -1))

	// Bad, and back to exactly what it was.
	for _, step := range []struct {
		addresses string
		stale     float64
		result    v1beta1.ConfigurationResult
	}{{`["192.0.2.9-192.0.2.1"]`, 1, v1beta1.ConfigurationInvalid}, {`["192.0.2.0/24"]`, 0, v1beta1.ConfigurationValid}} {
		e.patch(pool("main"), `{"spec":{"addresses":`+step.addresses+`}}`)
		p.wants(e.token, "the metric to follow", map[string]float64{loaded: 1, stale: step.stale})
		p.wants(e.token, "the addresses to stay in force", allocator("main", 1, 256, 0, 0, 1))
		e.state(step.result)
	}

	// One that waits has no configuration to load, and nothing to warn of.
	second := start(t, e.kubeconfig)
	second.wants(e.token, "a replica that waits", map[string]float64{
		loaded: -1, stale: -1, `leader_election_master_status{name="metallb-controller"}`: 0,
	})
}

// sameAsKept compares the names, types and labels of our metrics with the file.
func sameAsKept(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	var lines []string
	for name, f := range families {
		if !strings.HasPrefix(name, "metallb_") && !strings.HasPrefix(name, "leader_election_") {
			continue
		}
		var labels []string
		for _, l := range f.Metric[0].Label {
			labels = append(labels, l.GetName())
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", name, strings.ToLower(f.GetType().String()), strings.Join(labels, ","))))
	}
	slices.Sort(lines)
	got, file := strings.Join(lines, "\n")+"\n", "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("the controller exposes\n%swant\n%s(%v)", got, want, err)
	}
}

func (e *env) patch(o client.Object, patch string) {
	e.t.Helper()
	if err := e.Patch(e.t.Context(), o, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		e.t.Fatal(err)
	}
}

// state waits until the controller's ConfigurationState has that result.
func (e *env) state(want v1beta1.ConfigurationResult) {
	e.t.Helper()
	s := &v1beta1.ConfigurationState{}
	poll(e.t, "a ConfigurationState that is "+string(want), func() string { return fmt.Sprintf("%+v", s.Status) }, func() bool {
		err := e.Get(e.t.Context(), client.ObjectKey{Namespace: "metallb-system", Name: v1beta1.ComponentController}, s)
		return err == nil && s.Status.Result == want
	})
}

// serving waits until something listens on the metrics port, which is a moment after
// the program is ready.
func (p *program) serving() {
	p.t.Helper()
	p.await("the metrics server", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.metrics))
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
}

// dial connects to a program's metrics server as a TLS client of these versions.
func (p *program) dial(lowest, highest uint16) (tls.ConnectionState, error) {
	p.serving()
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.metrics), &tls.Config{InsecureSkipVerify: true, MinVersion: lowest, MaxVersion: highest})
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	return c.ConnectionState(), nil
}

func TestTLSOfTheMetricsServer(t *testing.T) {
	e := newEnv(t)
	plain := start(t, e.kubeconfig)
	if _, err := plain.dial(tls.VersionTLS12, tls.VersionTLS12); err == nil {
		t.Error("TLS 1.2 is served, though 1.3 is the lowest by default")
	}
	if s, err := plain.dial(tls.VersionTLS13, tls.VersionTLS13); err != nil {
		t.Error(err)
	} else if len(s.PeerCertificates) == 0 {
		t.Error("no certificate")
	}
	plain.signal(os.Interrupt)

	const suite = "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
	dir := t.TempDir()
	writeCertificate(t, dir, "metrics.example")
	chosen := start(t, e.kubeconfig, "--tls-min-version=VersionTLS12", "--tls-cipher-suites="+suite, "--tls-curve-preferences=24", "--metrics-cert-dir="+dir)
	s, err := chosen.dial(tls.VersionTLS12, tls.VersionTLS12)
	if err != nil {
		t.Fatal(err)
	}
	if tls.CipherSuiteName(s.CipherSuite) != suite || s.CurveID != tls.CurveP384 {
		t.Errorf("served with %s and %s", tls.CipherSuiteName(s.CipherSuite), s.CurveID)
	}
	if name := s.PeerCertificates[0].Subject.CommonName; name != "metrics.example" {
		t.Errorf("the certificate is that of %q, want the one in --metrics-cert-dir", name)
	}
	chosen.signal(os.Interrupt)

	// Port 0 turns metrics off, and health not.
	none := start(t, e.kubeconfig, "--port=0")
	none.await("the lease, after which all that it serves is served", none.leads)
	if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", none.metrics)); err == nil {
		c.Close()
		t.Error("something listens on the metrics port")
	}
	if text := none.out.String(); strings.Contains(text, "Serving metrics server") {
		t.Errorf("a metrics server is served with --port=0:\n%s", text)
	}
}

// What cannot be served ends the program at once, and says why.
func TestFlagsThatCannotBe(t *testing.T) {
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, []byte(unusable), 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, says := range map[string]string{
		"--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "cannot be chosen with TLS 1.3",
		"--tls-min-version=VersionTLS11":                            "want VersionTLS12 or VersionTLS13",
		"--tls-curve-preferences=29,29":                             "want distinct numbers",
		"--tls-curve-preferences=0":                                 "want distinct numbers",
		"--tls-curve-preferences=65536":                             "want distinct numbers",
		"--tls-curve-preferences=X25519":                            "want distinct numbers",
		"--log-level=loud":                                          "loud",
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "--namespace=metallb-system", "--kubeconfig="+kubeconfig, "--port=0", "--health-probe-port=0", flag)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), says) {
			t.Errorf("%s: %v, and it says %s\nwant %q", flag, err, out, says)
		}
	}
}

// unusable is a kubeconfig that leads nowhere.
const unusable = `{apiVersion: v1, kind: Config, current-context: x, contexts: [{name: x, context: {cluster: x}}], clusters: [{name: x, cluster: {server: "http://127.0.0.1:1"}}]}`
