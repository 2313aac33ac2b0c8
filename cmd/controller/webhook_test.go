// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"metallb.io/metallb-frr/e2e/apiserver"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

const (
	system      = "metallb-system"
	webhookName = "metallb-webhook-service." + system + ".svc"
	overlaps    = "overlaps with already defined CIDR"
)

var certificateKey = client.ObjectKey{Namespace: system, Name: "metallb-webhook-cert"}

// hooked is an API server with what the manifests say about the controller's
// rights and its webhook, whose Service leads to a port of this machine.
type hooked struct {
	*env
	port    int
	applied []*unstructured.Unstructured // from the manifests
	// controller is a kubeconfig with the controller's rights.
	controller string
}

func newHooked(t *testing.T, policy admissionv1.FailurePolicyType) *hooked {
	t.Helper()
	t.Parallel() // they mostly wait
	h := &hooked{env: envOn(t, apiserver.Own(t)), port: freePort(t)}
	h.applied = h.manifests(policy)
	for _, o := range h.applied {
		h.apply(o, "helm")
	}
	// The API server calls an ExternalName at the port of the configuration.
	h.create(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "metallb-webhook-service"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	})
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: "controller"}}
	request := &authenticationv1.TokenRequest{}
	if err := h.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	own := rest.CopyConfig(h.config)
	own.BearerToken = request.Status.Token
	h.controller = apiserver.Kubeconfig(t, own)
	return h
}

// manifests returns the controller's rights and the webhook's configuration.
func (h *hooked) manifests(policy admissionv1.FailurePolicyType) []*unstructured.Unstructured {
	h.t.Helper()
	data, err := os.ReadFile("../../deploy/manifests/metallb-frr.yaml")
	if err != nil {
		h.t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	for _, text := range strings.Split(string(data), "\n---\n") {
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
			h.t.Fatal(err)
		}
		switch o.GetKind() {
		case "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding":
			if !strings.HasSuffix(o.GetName(), "controller") {
				continue
			}
		case "ValidatingWebhookConfiguration":
			webhook := o.Object["webhooks"].([]any)[0].(map[string]any)
			webhook["failurePolicy"] = string(policy)
			webhook["clientConfig"].(map[string]any)["service"].(map[string]any)["port"] = int64(h.port)
		default:
			continue
		}
		all = append(all, o)
	}
	if len(all) != 6 {
		h.t.Fatalf("the manifests have %d objects about the controller's rights and its webhook, want 6", len(all))
	}
	return all
}

// apply applies o as a manager of that name does, without taking anything by
// force, and returns what became of it.
func (h *hooked) apply(o *unstructured.Unstructured, manager string) *unstructured.Unstructured {
	h.t.Helper()
	o = o.DeepCopy()
	if err := h.Patch(h.t.Context(), o, client.Apply, client.FieldOwner(manager)); err != nil { //nolint:staticcheck // an unstructured object
		h.t.Fatalf("%s applies %s: %v", manager, o.GetName(), err)
	}
	return o
}

// replica starts a controller with the controller's rights.
func (h *hooked) replica(port int, args ...string) *program {
	h.t.Helper()
	return start(h.t, h.controller, append([]string{"--webhook-mode=enabled", fmt.Sprintf("--webhook-port=%d", port)}, args...)...)
}

func (h *hooked) configuration() *admissionv1.ValidatingWebhookConfiguration {
	h.t.Helper()
	c := &admissionv1.ValidatingWebhookConfiguration{}
	if err := h.Get(h.t.Context(), client.ObjectKey{Name: webhookConfiguration}, c); err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *hooked) bundle() []byte { return h.configuration().Webhooks[0].ClientConfig.CABundle }

func (h *hooked) certificate() *corev1.Secret {
	h.t.Helper()
	s := &corev1.Secret{}
	if err := h.Get(h.t.Context(), certificateKey, s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

func newPool(name, addresses string) *v1beta1.IPAddressPool {
	return &v1beta1.IPAddressPool{
		ObjectMeta: metav1.ObjectMeta{Namespace: system, Name: name},
		Spec:       v1beta1.IPAddressPoolSpec{Addresses: []string{addresses}},
	}
}

// try asks whether a pool that overlaps another would be taken.
func (h *hooked) try() error {
	return h.Create(h.t.Context(), newPool("other", "192.0.2.128/25"), client.DryRunAll)
}

// refused waits until the webhook refuses such a pool.
func (h *hooked) refused(said func() string) {
	h.t.Helper()
	var err error
	poll(h.t, "an overlapping pool to be refused", func() string { return fmt.Sprint(err, "\n", said()) }, func() bool {
		err = h.try()
		return err != nil && strings.Contains(err.Error(), overlaps)
	})
}

// said returns what programs logged.
func said(programs ...*program) func() string {
	return func() string {
		var all strings.Builder
		for i, p := range programs {
			fmt.Fprintf(&all, "replica %d:\n%s\n", i, p.out)
		}
		return all.String()
	}
}

func (h *hooked) kubectl(stdin string, args ...string) (string, error) {
	h.t.Helper()
	program := filepath.Join(apiserver.Programs(h.t), "kubectl")
	cmd := exec.CommandContext(h.t.Context(), program, append([]string{"--kubeconfig", h.kubeconfig, "-n", system}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out) + stderr.String(), err
}

// presented returns the certificate that a replica shows to one who trusts
// bundle, and checks that it answers.
func presented(port int, bundle []byte) (*x509.Certificate, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	c := &http.Client{Timeout: limit, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: webhookName}, DisableKeepAlives: true, ForceAttemptHTTP2: true,
	}}
	answer, err := c.Post(fmt.Sprintf("https://127.0.0.1:%d/validate-metallb-io", port), "application/json", strings.NewReader("{}"))
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 1 {
		return nil, errors.New(answer.Proto + " " + answer.Status)
	}
	return answer.TLS.PeerCertificates[0], nil
}
