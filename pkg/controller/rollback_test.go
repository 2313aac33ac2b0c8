// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

func held(s *corev1.Service) (text string) {
	for _, in := range s.Status.LoadBalancer.Ingress {
		text += in.IP + " "
	}
	return text + s.Annotations[v1beta1.AnnotationAllocatedFromPool]
}

func remembersNothing(s *corev1.Service) bool { return s.Annotations[v1beta1.AnnotationLastIPs] == "" }

// All pools are deleted, one after the other, the controller ends and another one
// starts, and the pools are applied again in another order: every Service has the
// address that it had.
func TestRollbackChangesNoAddress(t *testing.T) {
	f := newFixture(t)
	stop := f.controller()
	manual := false
	first, second := pool("first", "192.0.2.0/29"), pool("second", "198.51.100.0/29")
	second.Spec.AutoAssign = &manual
	f.create(first.DeepCopy(), second.DeepCopy())
	before := map[string]string{}
	for i := range 6 {
		name := fmt.Sprintf("s%d", i)
		f.create(service(name, func(s *corev1.Service) {
			if i%2 == 0 {
				s.Annotations = map[string]string{v1beta1.AnnotationAddressPool: "second"}
			}
		}))
		before[name] = held(f.awaitService(name, "to hold an address", func(s *corev1.Service) bool { return len(s.Status.LoadBalancer.Ingress) == 1 }))
	}
	// Holes, which a new allocation would fill.
	for _, name := range []string{"s0", "s1"} {
		delete(before, name)
		if err := f.Delete(t.Context(), service(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"second", "first"} {
		if err := f.Delete(t.Context(), pool(p)); err != nil {
			t.Fatal(err)
		}
	}
	for name := range before {
		f.awaitService(name, "to have lost its address and to remember it", func(s *corev1.Service) bool {
			return holds("")(s) && !remembersNothing(s)
		})
	}
	stop()
	f.controller()
	f.create(service("new"), first, second)
	for name, had := range before {
		s := f.awaitService(name, "to have its address again", func(s *corev1.Service) bool { return len(s.Status.LoadBalancer.Ingress) == 1 && remembersNothing(s) })
		if held(s) != had {
			t.Errorf("%s had %s and has %s", name, had, held(s))
		}
	}
	f.awaitService("new", "to get an address too", holds("first", "192.0.2.0"))
	f.settled()
}

// Of two Services that share an address the one that is edited loses it.
func TestAnEditOfTheSharingKeyCostsNobodyElse(t *testing.T) {
	f := newFixture(t)
	f.controller()
	shares := func(port int32) func(*corev1.Service) {
		return func(s *corev1.Service) {
			s.Annotations = map[string]string{v1beta1.AnnotationAllowSharedIP: "k"}
			s.Spec.Ports[0].Port = port
		}
	}
	f.create(pool("first", "192.0.2.0/29"), service("older", shares(80)))
	f.awaitService("older", "to hold an address", holds("first", "192.0.2.0"))
	f.create(service("younger", shares(81)))
	f.awaitService("younger", "to share it", holds("first", "192.0.2.0"))
	f.awaitPool("first", "to count it once", func(p *v1beta1.IPAddressPool) bool { return p.Status.AssignedIPv4 == 1 })

	edit := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"metallb.io/allow-shared-ip":"j"}}}`))
	if err := f.Patch(t.Context(), service("older"), edit); err != nil {
		t.Fatal(err)
	}
	f.awaitService("older", "to have another address", holds("first", "192.0.2.1"))
	f.awaitEvent("older", "ClearAssignment", `address also in use by default/younger`)
	f.awaitService("younger", "to keep it", holds("first", "192.0.2.0"))
	f.settled()
	f.awaitService("younger", "to keep it still", holds("first", "192.0.2.0"))
}
