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

// conflicting is a cluster with a Service web, whose address a node may report that
// another station has.
type conflicting struct {
	*fixture
	n1    *corev1.Node
	state *v1beta1.ConfigurationState
}

// report makes the speaker of n1 publish who has addresses of ours.
func (c *conflicting) report(foreign string) {
	c.t.Helper()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{"foreign":[`+foreign+`]}}`))
	if err := c.Status().Patch(c.t.Context(), c.state.DeepCopy(), patch); err != nil {
		c.t.Fatal(err)
	}
}

func (c *conflicting) ready(status corev1.ConditionStatus) {
	c.t.Helper()
	c.n1.Status.Conditions[0].Status = status
	if err := c.Status().Update(c.t.Context(), c.n1); err != nil {
		c.t.Fatal(err)
	}
}

// says waits until web's condition has these texts; none: there is no condition.
func (c *conflicting) says(what string, texts ...string) *corev1.Service {
	c.t.Helper()
	return c.awaitService("web", what, func(s *corev1.Service) bool {
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
	})
}

// A station that has a Service's address is named on that Service, as long as a
// node that is ready reports it.
func TestServiceSaysWhoHasItsAddress(t *testing.T) {
	c := &conflicting{newFixture(t), readyNode("n1"), &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "speaker-n1", Labels: map[string]string{v1beta1.LabelNodeName: "n1"},
	}}}
	stop := c.controller()
	c.create(c.n1, pool("first", "192.0.2.0/29"), service("web"))
	web := c.awaitService("web", "to hold an address", holds("first", "192.0.2.0"))
	c.create(service("other"), c.state)
	other := c.awaitService("other", "to hold an address, and say where it is announced from", func(s *corev1.Service) bool {
		return holds("first", "192.0.2.1")(s) && hasCondition(s.Status.Conditions, v1beta1.ConditionAnnounced, metav1.ConditionFalse, "NoAdvertisement")
	})
	const one = `{"address":"192.0.2.0","mac":"02:00:00:00:00:01","interface":"eth0","since":"2026-01-02T03:04:05Z"}`
	c.report(one)
	got := c.says("to name the station", "192.0.2.0", "02:00:00:00:00:01", "eth0 of n1", "another address")
	began := meta.FindStatusCondition(got.Status.Conditions, v1beta1.ConditionAddressConflict).LastTransitionTime
	c.report(strings.Replace(one, ":01", ":02", 1))
	got = c.says("to name the other station", "02:00:00:00:00:02")
	if at := meta.FindStatusCondition(got.Status.Conditions, v1beta1.ConditionAddressConflict).LastTransitionTime; !at.Equal(&began) {
		t.Errorf("it is in conflict since %v, want still %v", at, began)
	}
	c.ready(corev1.ConditionUnknown)
	c.says("to forget a node that is not ready")
	c.ready(corev1.ConditionTrue)
	c.says("to name the station again", "02:00:00:00:00:02")
	c.settled()

	// What came to an end while there was no controller is cleared by the next.
	stop()
	c.report("")
	c.controller()
	c.says("to be well again")
	c.settled()
	now := c.awaitService("other", "to be there", func(*corev1.Service) bool { return true })
	if now.ResourceVersion != other.ResourceVersion {
		t.Errorf("the Service without a conflict was written: version %s, before %s", now.ResourceVersion, other.ResourceVersion)
	}
	if now := c.awaitService("web", "to hold its address", holds("first", "192.0.2.0")); now.UID != web.UID {
		t.Error("it is another Service")
	}
}
