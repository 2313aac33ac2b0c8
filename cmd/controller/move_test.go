// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"metallb.io/metallb-frr/deploy"
	"metallb.io/metallb-frr/e2e/apiserver"
)

// metallbWebhooks returns MetalLB's ValidatingWebhookConfiguration.
func metallbWebhooks(port int) *unstructured.Unstructured {
	var webhooks []any
	for _, row := range []struct{ name, path, version, resource, operations string }{
		{"bgppeersvalidationwebhook", "v1beta2-bgppeer", "v1beta2", "bgppeers", "CREATE UPDATE"},
		{"ipaddresspoolvalidationwebhook", "v1beta1-ipaddresspool", "v1beta1", "ipaddresspools", "CREATE UPDATE"},
		{"bgpadvertisementvalidationwebhook", "v1beta1-bgpadvertisement", "v1beta1", "bgpadvertisements", "CREATE UPDATE"},
		{"l2advertisementvalidationwebhook", "v1beta1-l2advertisement", "v1beta1", "l2advertisements", "CREATE UPDATE"},
		{"communityvalidationwebhook", "v1beta1-community", "v1beta1", "communities", "CREATE UPDATE"},
		{"bfdprofilevalidationwebhook", "v1beta1-bfdprofile", "v1beta1", "bfdprofiles", "CREATE DELETE"},
	} {
		var operations []any
		for _, o := range strings.Fields(row.operations) {
			operations = append(operations, o)
		}
		webhooks = append(webhooks, map[string]any{
			"name": row.name + ".metallb.io", "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": []any{"v1"},
			"clientConfig": map[string]any{"service": map[string]any{
				"namespace": system, "name": "metallb-webhook-service", "path": "/validate-metallb-io-" + row.path, "port": int64(port),
			}},
			"rules": []any{map[string]any{
				"apiGroups": []any{"metallb.io"}, "apiVersions": []any{row.version}, "resources": []any{row.resource}, "operations": operations,
			}},
		})
	}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
		"metadata": map[string]any{"name": webhookConfiguration}, "webhooks": webhooks,
	}}
}

// TestMetalLBsWebhooksRemain in the configuration: each is answered at its path.
func TestMetalLBsWebhooksRemain(t *testing.T) {
	h := newHooked(t, admissionv1.Fail)
	if err := h.Delete(t.Context(), h.configuration()); err != nil {
		t.Fatal(err)
	}
	h.apply(metallbWebhooks(h.port), "helm")
	p := h.replica(h.port)
	h.refused(said(p))
	if out, err := h.kubectl(object("v1beta1", "BFDProfile", "fast", "{}")+object("v1beta2", "BGPPeer", "tor", fmt.Sprintf(peerTo, "fast"))+
		object("v1beta1", "Community", "names", `{communities: [{name: a, value: "1:2"}]}`)+object("v1beta1", "BGPAdvertisement", "all", "{}")+
		object("v1beta1", "L2Advertisement", "all", "{}"), "apply", "-f", "-"); err != nil {
		t.Fatal(err, out)
	}
	stray := func(version, kind, spec string) string {
		return strings.Replace(object(version, kind, "stray", spec), "namespace: "+system, "namespace: default", 1)
	}
	for _, row := range []struct{ webhook, stdin, args, text string }{
		{"bgppeers", stray("v1beta2", "BGPPeer", "{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.2}"), "create -f - -n default", "resource must be created in"},
		{"ipaddresspool", object("v1beta1", "IPAddressPool", "over", "{addresses: [192.0.2.128/25]}"), "create -f -", overlaps},
		{"bgpadvertisement", stray("v1beta1", "BGPAdvertisement", "{}"), "create -f - -n default", "resource must be created in"},
		{"l2advertisement", stray("v1beta1", "L2Advertisement", "{}"), "create -f - -n default", "resource must be created in"},
		{"community", object("v1beta1", "Community", "more", `{communities: [{name: a, value: "3:4"}]}`), "create -f -", "duplicate definition of community"},
		{"bfdprofile", "", "delete bfdprofile fast", "failed to delete BFDProfile fast, used by BGPPeer tor"},
	} {
		out, err := h.kubectl(row.stdin, strings.Fields(row.args)...)
		want := fmt.Sprintf(`admission webhook "%svalidationwebhook.metallb.io" denied the request`, row.webhook)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), row.text) {
			t.Errorf("want an error with %q and %q, got %v\n%s", want, row.text, err, out)
		}
	}
}

// moving is what a move from MetalLB deals with, as files and as objects: its
// configuration of the webhooks and its CustomResourceDefinition of BGPPeers, and ours.
type moving struct {
	*hooked
	old, now []string
	ca       string // what MetalLB's controller would have the API server trust
}

func newMoving(t *testing.T) *moving {
	t.Helper()
	m := &moving{hooked: newHooked(t, admissionv1.Fail)}
	maker := &rotator.CertRotator{CAName: "metallb", DNSName: webhookName}
	ca, err := maker.CreateCACert(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	m.ca = base64.StdEncoding.EncodeToString(ca.CertPEM)
	data, err := deploy.CRDs.ReadFile("crds/metallb.io_bgppeers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	ours := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(data, &ours.Object); err != nil {
		t.Fatal(err)
	}
	theirs := ours.DeepCopy()
	theirs.Object["spec"].(map[string]any)["conversion"] = map[string]any{"strategy": "Webhook", "webhook": map[string]any{
		"conversionReviewVersions": []any{"v1beta1", "v1beta2"},
		"clientConfig":             map[string]any{"service": map[string]any{"namespace": system, "name": "metallb-webhook-service", "path": "/convert", "port": int64(m.port)}},
	}}
	dir := t.TempDir()
	file := func(name string, o *unstructured.Unstructured) string {
		text, err := o.MarshalJSON()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	m.old = []string{file("old-webhooks.json", metallbWebhooks(m.port)), file("old-crd.json", theirs)}
	m.now = []string{file("webhooks.json", m.applied[5]), file("crd.json", ours)}
	return m
}

// metallb makes MetalLB's two objects with those arguments of kubectl, and writes
// caBundle as its controller does.
func (m *moving) metallb(args string) {
	m.t.Helper()
	if out, err := m.kubectl("", "delete", "-f", m.old[0], "-f", m.old[1]); err != nil {
		m.t.Fatal(err, out)
	}
	for _, file := range m.old {
		if out, err := m.kubectl("", append(strings.Fields(args), "-f", file)...); err != nil {
			m.t.Fatal(err, out)
		}
	}
	var webhooks []string
	for i := range 6 {
		webhooks = append(webhooks, fmt.Sprintf(`{"op": "add", "path": "/webhooks/%d/clientConfig/caBundle", "value": "%s"}`, i, m.ca))
	}
	for object, patch := range map[string]string{
		"validatingwebhookconfiguration/" + webhookConfiguration: strings.Join(webhooks, ","),
		"crd/bgppeers.metallb.io":                                fmt.Sprintf(`{"op": "add", "path": "/spec/conversion/webhook/clientConfig/caBundle", "value": "%s"}`, m.ca),
	} {
		if out, err := m.kubectl("", "patch", object, "--type=json", "--field-manager=MetalLB", "-p", "["+patch+"]"); err != nil {
			m.t.Fatal(err, out)
		}
	}
}

// move applies our two objects with those arguments of kubectl, and returns what
// went wrong with each.
func (m *moving) move(args string) (webhooks, crd error) {
	m.t.Helper()
	_, webhooks = m.kubectl("", append(strings.Fields(args), "-f", m.now[0])...)
	_, crd = m.kubectl("", append(strings.Fields(args), "-f", m.now[1])...)
	return webhooks, crd
}

// state returns how BGPPeers are converted, and how many webhooks are asked.
func (m *moving) state() string {
	m.t.Helper()
	strategy, err := m.kubectl("", "get", "crd", "bgppeers.metallb.io", "-o", "jsonpath={.spec.conversion.strategy}")
	if err != nil {
		m.t.Fatal(err)
	}
	config := &admissionv1.ValidatingWebhookConfiguration{}
	if err := m.Get(m.t.Context(), client.ObjectKey{Name: webhookConfiguration}, config); client.IgnoreNotFound(err) != nil {
		m.t.Fatal(err)
	} else if apierrors.IsNotFound(err) {
		return strategy + " 0"
	}
	return fmt.Sprintf("%s %d", strategy, len(config.Webhooks))
}

// older waits until a BGPPeer can be made and read in the older version, or that
// ends with text.
func (m *moving) older(text string, said func() string) {
	m.t.Helper()
	var err error
	poll(m.t, "a BGPPeer in the older version, or "+text, func() string { return fmt.Sprint(err, "\n", said()) }, func() bool {
		peer := object("v1beta2", "BGPPeer", "tor", "{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1}")
		if _, err = m.kubectl(peer, "apply", "-f", "-"); err == nil {
			_, err = m.kubectl("", "get", "bgppeers.v1beta1.metallb.io", "tor")
		}
		return err == nil && text == "" || err != nil && text != "" && strings.Contains(err.Error(), text)
	})
}

// guide runs the commands of the operator's guide.
func (m *moving) guide() {
	m.t.Helper()
	text, err := os.ReadFile("../../deploy/docs/operating.md")
	if err != nil {
		m.t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Coming from MetalLB\n")
	_, commands, _ := strings.Cut(section, "\n```sh\n")
	commands, _, found := strings.Cut(commands, "```")
	if !found {
		m.t.Fatal("the operator's guide has no commands for coming from MetalLB")
	}
	cmd := exec.CommandContext(m.t.Context(), "sh", "-euc", commands)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+m.kubeconfig, "PATH="+apiserver.Programs(m.t)+":"+os.Getenv("PATH"))
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("the guide's commands: %v\n%s", err, out)
	}
}

// TestComingFromMetalLB with the ways to apply: what comes of it without what the
// operator's guide says, and that it goes through with it, before and after.
func TestComingFromMetalLB(t *testing.T) {
	m := newMoving(t)
	p := m.replica(m.port)
	for _, row := range []struct{ make, move, webhooks, crd, state string }{
		{"apply --server-side --field-manager=helm", "apply --server-side --field-manager=helm", "Required value", "spec.conversion", "Webhook 6"},
		{"create", "apply", "", "", "Webhook 7"},
	} {
		for _, tried := range []bool{true, false} {
			m.metallb(row.make)
			if tried {
				webhooks, crd := m.move(row.move)
				for _, one := range []struct {
					err  error
					text string
				}{{webhooks, row.webhooks}, {crd, row.crd}} {
					if (one.err == nil) != (one.text == "") || one.err != nil && !strings.Contains(one.err.Error(), one.text) {
						t.Errorf("%s over %s: want an error with %q, got %v", row.move, row.make, one.text, one.err)
					}
				}
				if state := m.state(); state != row.state {
					t.Errorf("%s over %s leaves %s, want %s", row.move, row.make, state, row.state)
				}
				m.older("conversion webhook for metallb.io/v1beta2, Kind=BGPPeer failed", said(p))
			}
			m.guide()
			if webhooks, crd := m.move(row.move); webhooks != nil || crd != nil {
				t.Errorf("%s over %s, tried before: %v, after the guide's commands: %v, %v", row.move, row.make, tried, webhooks, crd)
			}
			if state := m.state(); state != "None 1" {
				t.Errorf("%s over %s, tried before: %v, after the guide's commands leaves %s", row.move, row.make, tried, state)
			}
			m.refused(said(p))
			m.older("", said(p))
		}
	}
}
