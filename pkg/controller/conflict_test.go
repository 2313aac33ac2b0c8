// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// A station that has a Service's address is named on that Service, as long as a
// node that is ready reports it.
func TestServiceSaysWhoHasItsAddress(t *testing.T) {
	f := newFixture(t)
	stop := f.controller()
	n1 := readyNode("n1")
	f.create(n1, pool("first", "192.0.2.0/29"), service("web"))
	web := f.awaitService("web", "to hold an address", holds("first", "192.0.2.0"))
	f.create(service("other"))
	other := f.awaitService("other", "to hold an address, and say where it is announced from", func(s *corev1.Service) bool {
		return holds("first", "192.0.2.1")(s) && hasCondition(s.Status.Conditions, v1beta1.ConditionAnnounced, metav1.ConditionFalse, "NoAdvertisement")
	})
	state := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "speaker-n1", Labels: map[string]string{v1beta1.LabelNodeName: "n1"},
	}}
	f.create(state)
	report := func(foreign string) {
		t.Helper()
		patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{"foreign":[`+foreign+`]}}`))
		if err := f.Status().Patch(t.Context(), state.DeepCopy(), patch); err != nil {
			t.Fatal(err)
		}
	}
	ready := func(status corev1.ConditionStatus) {
		t.Helper()
		n1.Status.Conditions[0].Status = status
		if err := f.Status().Update(t.Context(), n1); err != nil {
			t.Fatal(err)
		}
	}
	conflict := func(texts ...string) func(*corev1.Service) bool {
		return func(s *corev1.Service) bool {
			c := meta.FindStatusCondition(s.Status.Conditions, v1beta1.ConditionAddressConflict)
			if c == nil || len(texts) == 0 {
				return c == nil && len(texts) == 0
			}
			for _, text := range texts {
				if !strings.Contains(c.Message, text) {
					return false
				}
			}
			return c.Status == metav1.ConditionTrue && c.Reason == "ForeignOwner" && holds("first", "192.0.2.0")(s)
		}
	}
	const one = `{"address":"192.0.2.0","mac":"02:00:00:00:00:01","interface":"eth0","since":"2026-01-02T03:04:05Z"}`
	report(one)
	got := f.awaitService("web", "to name the station", conflict("192.0.2.0", "02:00:00:00:00:01", "eth0 of n1", "another address"))
	began := meta.FindStatusCondition(got.Status.Conditions, v1beta1.ConditionAddressConflict).LastTransitionTime
	report(strings.Replace(one, ":01", ":02", 1))
	got = f.awaitService("web", "to name the other station", conflict("02:00:00:00:00:02"))
	if at := meta.FindStatusCondition(got.Status.Conditions, v1beta1.ConditionAddressConflict).LastTransitionTime; !at.Equal(&began) {
		t.Errorf("it is in conflict since %v, want still %v", at, began)
	}
	ready(corev1.ConditionUnknown)
	f.awaitService("web", "to forget a node that is not ready", conflict())
	ready(corev1.ConditionTrue)
	f.awaitService("web", "to name the station again", conflict("02:00:00:00:00:02"))
	f.settled()

	// What came to an end while there was no controller is cleared by the next.
	stop()
	report("")
	f.controller()
	f.awaitService("web", "to be well again", conflict())
	f.settled()
	now := f.awaitService("other", "to be there", func(*corev1.Service) bool { return true })
	if now.ResourceVersion != other.ResourceVersion {
		t.Errorf("the Service without a conflict was written: version %s, before %s", now.ResourceVersion, other.ResourceVersion)
	}
	if now := f.awaitService("web", "to hold its address", holds("first", "192.0.2.0")); now.UID != web.UID {
		t.Error("it is another Service")
	}
}
