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
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/controller"
)

// awaitState waits until the controller's ConfigurationState has that result, with
// all that belongs to it.
func (f *fixture) awaitState(want v1beta1.ConfigurationResult, more func(*v1beta1.ConfigurationState) bool) *v1beta1.ConfigurationState {
	f.t.Helper()
	state := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1beta1.ComponentController}}
	return await(f, &v1beta1.ConfigurationStateList{}, state, "to be "+string(want), func(s *v1beta1.ConfigurationState) bool {
		c := meta.FindStatusCondition(s.Status.Conditions, v1beta1.ConditionPoolReconcilerValid)
		if c == nil || s.Status.Result != want || more != nil && !more(s) {
			return false
		}
		if want == v1beta1.ConfigurationValid {
			return s.Status.ErrorSummary == "" && c.Status == metav1.ConditionTrue && c.Reason == "Reconciled"
		}
		return c.Status == metav1.ConditionFalse && c.Reason == "ConfigurationError" && c.Message == s.Status.ErrorSummary &&
			strings.HasPrefix(c.Message, "configuration error: ")
	})
}

func (f *fixture) patch(o client.Object, patch string) {
	f.t.Helper()
	if err := f.Patch(f.t.Context(), o, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		f.t.Fatal(err)
	}
}

const (
	badAddresses  = `{"spec":{"addresses":["192.0.2.9-192.0.2.1"]}}`
	goodAddresses = `{"spec":{"addresses":["192.0.2.0/24"]}}`
)

// The controller's ConfigurationState says at all times whether pools and
// communities are valid: also after a revert to exactly what was there, after it
// was deleted or edited, and after a restart; and it is not written without a
// change.
func TestConfigurationStateIsTrueAtAllTimes(t *testing.T) {
	f := newFixture(t)
	stop := f.controller()
	f.create(pool("main", "192.0.2.0/24"))
	first := f.awaitState(v1beta1.ConfigurationValid, nil)
	if first.Labels[v1beta1.LabelComponentType] != v1beta1.ComponentController {
		t.Errorf("labels %v", first.Labels)
	}

	// What it is not about, and what is not wrong, is not written.
	f.create(service("web"), pool("second", "198.51.100.0/24"), peer("tor1", "224.0.0.5"))
	f.awaitService("web", "to hold an address", holds("main", "192.0.2.0"))
	f.settled()
	f.sameState(first)

	f.patch(pool("main"), badAddresses)
	bad := f.awaitState(v1beta1.ConfigurationInvalid, func(s *v1beta1.ConfigurationState) bool {
		return strings.Contains(s.Status.ErrorSummary, `IPAddressPool main: spec.addresses[0]: "192.0.2.9-192.0.2.1"`)
	})
	// Deleted, it is made again, and still is what is so; edited, it is put back.
	if err := f.Delete(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	again := f.awaitState(v1beta1.ConfigurationInvalid, func(s *v1beta1.ConfigurationState) bool { return s.UID != bad.UID })
	lie := client.RawPatch(types.MergePatchType, []byte(`{"status":{"result":"Valid","errorSummary":""}}`))
	if err := f.Status().Patch(t.Context(), again.DeepCopy(), lie); err != nil {
		t.Fatal(err)
	}
	f.awaitState(v1beta1.ConfigurationInvalid, func(s *v1beta1.ConfigurationState) bool { return s.ResourceVersion != again.ResourceVersion })

	// A restart while it is invalid changes nothing, and neither hides it.
	f.settled()
	now := f.awaitState(v1beta1.ConfigurationInvalid, nil)
	stop()
	stop = f.controller()
	f.create(service("next"))
	f.awaitService("next", "to get an address of the spec that stays in force", holds("main", "192.0.2.1"))
	f.settled()
	f.sameState(now)

	// Exactly what was there before.
	f.patch(pool("main"), goodAddresses)
	f.awaitState(v1beta1.ConfigurationValid, nil)
	f.patch(pool("main"), badAddresses)
	f.awaitState(v1beta1.ConfigurationInvalid, nil)
	f.patch(pool("main"), goodAddresses)
	valid := f.awaitState(v1beta1.ConfigurationValid, nil)

	f.settled()
	stop()
	f.controller()
	f.create(&v1beta1.Community{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "c"}})
	await(f, &v1beta1.CommunityList{}, &v1beta1.Community{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "c"}}, "to be accepted", func(c *v1beta1.Community) bool {
		return hasCondition(c.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, "")
	})
	f.settled()
	f.sameState(valid)
}

// sameState fails if the ConfigurationState was written since was was read.
func (f *fixture) sameState(was *v1beta1.ConfigurationState) {
	f.t.Helper()
	now := &v1beta1.ConfigurationState{}
	if err := f.Get(f.t.Context(), client.ObjectKeyFromObject(was), now); err != nil {
		f.t.Fatal(err)
	}
	if now.ResourceVersion != was.ResourceVersion || now.UID != was.UID {
		f.t.Errorf("the ConfigurationState was written without a change: %+v, then %+v", was.Status, now.Status)
	}
}

// It goes with the controller's pod, where it has one.
func TestConfigurationStateHasAnOwner(t *testing.T) {
	f := newFixture(t)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "controller-1"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	f.create(pod)
	owner := metav1.OwnerReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}
	f.controllerAs(cluster.Options{}, func(o *controller.Options) { o.Owner = []metav1.OwnerReference{owner} })
	state := f.awaitState(v1beta1.ConfigurationValid, func(s *v1beta1.ConfigurationState) bool {
		return len(s.OwnerReferences) == 1 && s.OwnerReferences[0] == owner
	})
	for _, m := range state.ManagedFields {
		if m.Manager != "metallb-controller" || m.Operation != metav1.ManagedFieldsOperationApply {
			t.Errorf("%s (%s) owns %s", m.Manager, m.Operation, m.FieldsV1.GetRawString())
		}
	}
}
