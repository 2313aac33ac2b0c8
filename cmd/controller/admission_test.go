// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func object(apiVersion, kind, name, spec string) string {
	return fmt.Sprintf("apiVersion: metallb.io/%s\nkind: %s\nmetadata: {name: %s, namespace: %s}\nspec: %s\n---\n", apiVersion, kind, name, system, spec)
}

const peerTo = "{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1, bfdProfile: %s}"

// TestAdmission through the API server, in two replicas with the controller's
// rights: what is denied, in which words.
func TestAdmission(t *testing.T) {
	h := newHooked(t, admissionv1.Fail)
	from := time.Now()
	second := freePort(t)
	h.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}) // where peers meet
	if out, err := h.kubectl("", "create", "deployment", "controller", "--image=controller"); err != nil {
		t.Fatal(err, out)
	}
	a, b := h.replica(h.port, "--deployment=controller"), h.replica(second, "--deployment=controller")
	h.refused(said(a, b))
	t.Logf("the first refusal comes %v after the start of both replicas", time.Since(from).Round(time.Millisecond))

	if out, err := h.kubectl(object("v1beta1", "BFDProfile", "fast", "{}")+object("v1beta2", "BGPPeer", "tor", fmt.Sprintf(peerTo, "fast"))+
		object("v1beta1", "BFDProfile", "free", "{}")+object("v1beta1", "Community", "names", `{communities: [{name: a, value: "1:2"}]}`)+
		object("v1beta1", "IPAddressPool", "next", "{addresses: [198.51.100.0/28]}"), "apply", "-f", "-"); err != nil {
		t.Fatal(err, out)
	}
	for _, row := range []struct{ what, stdin, args, text string }{
		{"a pool that overlaps is made", object("v1beta1", "IPAddressPool", "over", "{addresses: [192.0.2.128/25]}"), "apply -f -", overlaps},
		{"a pool that did not overlap is edited", object("v1beta1", "IPAddressPool", "next", "{addresses: [192.0.2.0/28]}"), "apply -f -", overlaps},
		{"a profile in use is removed", "", "delete bfdprofile fast", "failed to delete BFDProfile fast, used by BGPPeer tor"},
		{"a profile that nobody uses is removed", "", "delete bfdprofile free --dry-run=server", ""},
		{"a second peer of a node has the same address", object("v1beta2", "BGPPeer", "twin", "{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1}"),
			"apply -f -", "FRR mode doesn't support duplicate BGPPeers selecting the same node"},
		{"the same in the older version", object("v1beta1", "BGPPeer", "twin", "{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1}"),
			"apply -f -", "FRR mode doesn't support duplicate BGPPeers selecting the same node"},
		{"a peer in the older version", object("v1beta1", "BGPPeer", "older", "{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.9}"), "apply --dry-run=server -f -", ""},
		{"an alias is defined twice", object("v1beta1", "Community", "more", `{communities: [{name: a, value: "3:4"}]}`),
			"apply -f -", "duplicate definition of community"},
		{"an aggregate is shorter than the pool", object("v1beta1", "BGPAdvertisement", "wide", "{ipAddressPools: [next], aggregationLength: 26}"),
			"apply -f -", "invalid aggregation length 26: prefix 28 in this pool is more specific than the aggregation length for addresses 198.51.100.0/28"},
		{"an object is made elsewhere", "", "create -f - -n default", "resource must be created in metallb-system namespace"},
		{"what it names does not exist yet", object("v1beta2", "BGPPeer", "early", "{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.8, bfdProfile: later}"),
			"apply --dry-run=server -f -", ""},
		{"a pool is annotated", "", "annotate ipaddresspool next a=b", ""},
		{"a pool is removed", "", "delete ipaddresspool next", ""},
	} {
		if strings.Contains(row.args, "-n default") {
			row.stdin = "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {name: stray}\n"
		}
		out, err := h.kubectl(row.stdin, strings.Fields(row.args)...)
		switch {
		case row.text == "" && err != nil:
			t.Errorf("%s: %v", row.what, err)
		case row.text != "" && (err == nil || !strings.Contains(err.Error(), row.text)):
			t.Errorf("%s: want an error with %q, got %v\n%s", row.what, row.text, err, out)
		case row.text != "" && !strings.Contains(err.Error(), `admission webhook "validation.metallb.io" denied the request`):
			t.Errorf("%s: it is not the webhook that refused: %v", row.what, err)
		}
	}
	h.bothServe(a, b, second)

	uid, err := h.kubectl("", "get", "deployment", "controller", "-o", "jsonpath={.metadata.uid}")
	want := []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "controller", UID: types.UID(uid)}}
	if got := h.certificate().OwnerReferences; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("the Secret goes with %+v, want %+v, %v", got, want, err)
	}
}

// bothServe the same certificate, which is what the Secret and the configuration
// say.
func (h *hooked) bothServe(a, b *program, second int) {
	t, data, bundle := h.t, h.certificate().Data, h.bundle()
	if string(data["ca.crt"]) != string(bundle) || len(bundle) == 0 {
		t.Errorf("the configuration trusts\n%s\nthe Secret has\n%s", bundle, data["ca.crt"])
	}
	var first, other *x509.Certificate
	poll(t, "both replicas to serve", said(a, b), func() bool {
		var err, otherErr error
		first, err = presented(h.port, bundle)
		other, otherErr = presented(second, bundle)
		return err == nil && otherErr == nil
	})
	if !first.Equal(other) {
		t.Error("the replicas serve different certificates")
	}
	block, _ := pem.Decode(data["ca.crt"])
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first.DNSNames, []string{webhookName}) {
		t.Errorf("the certificate is for %v", first.DNSNames)
	}
	for cert, want := range map[*x509.Certificate]time.Duration{ca: 10 * 365 * 24 * time.Hour, first: 365 * 24 * time.Hour} {
		if left := time.Until(cert.NotAfter); left > want || left < want-time.Hour {
			t.Errorf("%s is good for %v more, want %v", cert.Subject, left, want)
		}
	}
	if made := strings.Count(said(a, b)(), "made a certificate of the admission webhook"); made != 1 {
		t.Errorf("%d certificates were made, want 1:\n%s", made, said(a, b)())
	}
}

// TestWebhookDown: nothing waits for it. With Ignore every edit passes; with Fail
// what could repair the cluster still does.
func TestWebhookDown(t *testing.T) {
	h := newHooked(t, admissionv1.Ignore)
	p := h.replica(h.port)
	h.refused(said(p))
	p.signal(syscall.SIGKILL)
	over := newPool("over", "192.0.2.128/25")
	h.create(over)
	over.Spec.AutoAssign = new(false)
	if err := h.Update(t.Context(), over); err != nil {
		t.Error("an edit while the webhook is down:", err)
	}
	if out, err := h.kubectl(object("v1beta1", "BFDProfile", "fast", "{}")+object("v1beta2", "BGPPeer", "tor", fmt.Sprintf(peerTo, "fast")), "apply", "-f", "-"); err != nil {
		t.Error(err, out)
	}
	if out, err := h.kubectl("", "delete", "bfdprofile/fast", "bgppeer/tor"); err != nil {
		t.Error(err, out)
	}

	config := h.configuration()
	config.Webhooks[0].FailurePolicy = new(admissionv1.Fail)
	if err := h.Update(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	var err error
	poll(t, "edits to be refused", func() string { return fmt.Sprint(err) }, func() bool {
		err = h.Create(t.Context(), newPool("more", "198.51.100.0/24"), client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "failed calling webhook")
	})
	if err := h.Delete(t.Context(), over); err != nil {
		t.Error("deleting a pool:", err)
	}
	h.create(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}},
	})
	config = h.configuration()
	config.Webhooks[0].FailurePolicy = new(admissionv1.Ignore)
	if err := h.Update(t.Context(), config); err != nil {
		t.Error("repairing the configuration:", err)
	}
	if err := h.Delete(t.Context(), config); err != nil {
		t.Error("deleting the configuration:", err)
	}
}

// TestWebhookModes: what each does, and does not.
func TestWebhookModes(t *testing.T) {
	h := newHooked(t, admissionv1.Ignore)
	off := start(t, h.controller, "--webhook-mode=disabled", fmt.Sprintf("--webhook-port=%d", h.port))
	h.service("a") // the rest works
	if _, err := presented(h.port, nil); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("with disabled somebody serves: %v", err)
	}
	if err := h.Get(t.Context(), certificateKey, &corev1.Secret{}); !apierrors.IsNotFound(err) || h.bundle() != nil {
		t.Errorf("with disabled a certificate is made: %v", err)
	}
	off.signal(syscall.SIGTERM)
	lease := &coordinationv1.Lease{}
	if err := h.Get(t.Context(), client.ObjectKey{Namespace: system, Name: name}, lease); err != nil {
		t.Fatal(err)
	}
	if err := h.Delete(t.Context(), lease); err != nil {
		t.Fatal(err)
	}

	only := start(t, h.controller, "--webhook-mode=onlywebhook", fmt.Sprintf("--webhook-port=%d", h.port))
	h.refused(said(only))
	if err := h.Get(t.Context(), client.ObjectKeyFromObject(lease), lease); !apierrors.IsNotFound(err) {
		t.Errorf("with onlywebhook there is a leader: %v", err)
	}
	if strings.Contains(only.out.String(), "pass done") {
		t.Errorf("with onlywebhook the loop runs:\n%s", only.out)
	}
}
