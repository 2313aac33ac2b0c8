// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"encoding/base64"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/controller"
)

const memberSecret = "metallb-memberlist"

func shares(o *controller.Options) {
	o.MemberSecret = controller.MemberSecret{Name: memberSecret, Deployment: "controller"}
}

func (f *fixture) deployment() types.UID {
	f.t.Helper()
	d := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"namespace": namespace, "name": "controller"},
		"spec": map[string]any{
			"selector": map[string]any{"matchLabels": map[string]any{"a": "b"}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"a": "b"}},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "c", "image": "i"}}},
			},
		},
	}}
	f.create(d)
	return d.GetUID()
}

func (f *fixture) awaitSecret(what string, ok func(*corev1.Secret) bool) *corev1.Secret {
	f.t.Helper()
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: memberSecret}}
	return await(f, &corev1.SecretList{}, s, what, ok)
}

// TestTheSpeakersSecretIsMade with its owner, which may come later, once; and
// again when it is deleted.
func TestTheSpeakersSecretIsMade(t *testing.T) {
	f := newFixture(t)
	f.controllerAs(cluster.Options{}, shares)
	f.create(pool("main", "192.0.2.0/24"))
	f.awaitPool("main", "with a status", func(p *v1beta1.IPAddressPool) bool { return len(p.Status.Conditions) > 0 })
	var all corev1.SecretList
	if err := f.List(t.Context(), &all, client.InNamespace(namespace)); err != nil || len(all.Items) != 0 {
		t.Fatalf("without its owner: %d Secrets, %v", len(all.Items), err)
	}
	uid := f.deployment()
	var before types.UID
	first := f.awaitSecret("to be made", func(*corev1.Secret) bool { return true })
	for range 2 {
		s := f.awaitSecret("to be another", func(s *corev1.Secret) bool { return s.UID != before })
		before = s.UID
		key, err := base64.RawStdEncoding.DecodeString(string(s.Data["secretkey"]))
		if err != nil || len(key) != 16 || len(s.Data["secretkey"]) != 22 || len(s.Data) != 1 {
			t.Errorf("the Secret has %d keys, and %d bytes (%d decoded), %v", len(s.Data), len(s.Data["secretkey"]), len(key), err)
		}
		if o := s.OwnerReferences; len(o) != 1 || o[0].UID != uid || o[0].Kind != "Deployment" || o[0].APIVersion != "apps/v1" || o[0].Name != "controller" {
			t.Errorf("the owner is %+v", o)
		}
		if err := f.Delete(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if s := f.awaitSecret("to be a third", func(s *corev1.Secret) bool { return s.UID != before }); string(s.Data["secretkey"]) == string(first.Data["secretkey"]) {
		t.Error("two Secrets have the same key")
	}
}

// TestASecretThatExistsStays as it is, with whatever is in it.
func TestASecretThatExistsStays(t *testing.T) {
	f := newFixture(t)
	f.deployment()
	own := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: memberSecret}, Data: map[string][]byte{"other": []byte("x")}}
	f.create(own)
	stop := f.controllerAs(cluster.Options{}, shares)
	f.create(pool("main", "192.0.2.0/24"), service("web"))
	f.awaitService("web", "with an address", holds("main", "192.0.2.0"))
	stop()
	now := &corev1.Secret{}
	if err := f.Get(t.Context(), client.ObjectKeyFromObject(own), now); err != nil || now.ResourceVersion != own.ResourceVersion {
		t.Errorf("version %s became %s, %v", own.ResourceVersion, now.ResourceVersion, err)
	}
}

// TestNoSecretIsMadeUnasked: without a name there is none.
func TestNoSecretIsMadeUnasked(t *testing.T) {
	f := newFixture(t)
	stop := f.controller()
	f.create(pool("main", "192.0.2.0/24"), service("web"))
	f.awaitService("web", "with an address", holds("main", "192.0.2.0"))
	stop()
	var all corev1.SecretList
	if err := f.List(t.Context(), &all, client.InNamespace(namespace)); err != nil || len(all.Items) != 0 {
		t.Errorf("%d Secrets, %v", len(all.Items), err)
	}
}
