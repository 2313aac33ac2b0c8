// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// counted returns how often each event about a Service has been told.
func (f *fixture) counted() map[string]int32 {
	f.t.Helper()
	list := &corev1.EventList{}
	if err := f.List(f.t.Context(), list, client.InNamespace("default")); err != nil {
		f.t.Fatal(err)
	}
	all := map[string]int32{}
	for _, e := range list.Items {
		if e.Source.Component == "metallb-controller" && e.InvolvedObject.Name != "zz-last" {
			all[fmt.Sprintf("%s %s %s", e.InvolvedObject.Name, e.Reason, e.Message)] += e.Count
		}
	}
	return all
}

// Events say what changes: a restart of the controller, an edit of a pool that
// changes nothing for a Service, and one of the Service that changes nothing for
// its addresses, tell nothing.
func TestEventsAreNotRepeatedWithoutAChange(t *testing.T) {
	f := newFixture(t)
	stop := f.controller()
	annotated := func(key, value string) func(*corev1.Service) {
		return func(s *corev1.Service) { s.Annotations = map[string]string{key: value} }
	}
	both := corev1.IPFamilyPolicyPreferDualStack
	f.create(pool("a", "192.0.2.0/30"), pool("full", "198.51.100.1/32"),
		service("holds"), service("full", annotated(v1beta1.AnnotationAddressPool, "full")))
	f.awaitService("full", "to hold the only address", holds("full", "198.51.100.1"))
	f.create(service("waits", annotated(v1beta1.AnnotationAddressPool, "full")),
		service("bad", annotated(v1beta1.AnnotationLoadBalancerIPs, "nonsense")),
		service("legacy", annotated(v1beta1.LegacyAnnotationAddressPool, "a")),
		service("half", func(s *corev1.Service) { s.Spec.IPFamilyPolicy = &both }))
	f.allDecided()
	f.allTold()
	before := f.counted()
	for event, n := range before {
		if n != 1 {
			t.Errorf("told %d times: %s", n, event)
		}
	}
	// IPAllocated of four, and one each of waits, bad, legacy and half.
	if len(before) != 8 {
		t.Errorf("%d events, want 8: %v", len(before), before)
	}

	f.settled()
	stop()
	f.controller()
	f.patch(pool("a"), `{"metadata":{"labels":{"edited":"yes"}},"spec":{"addresses":["192.0.2.0/30","192.0.2.64/26"]}}`)
	f.create(pool("others", "203.0.113.0/24"))
	for name := range map[string]bool{"holds": true, "waits": true, "bad": true, "legacy": true, "half": true} {
		f.patch(service(name), `{"metadata":{"labels":{"edited":"yes"}}}`)
	}
	f.awaitPool("a", "to have more addresses", func(p *v1beta1.IPAddressPool) bool { return p.Status.AvailableIPv4 > 60 })
	f.awaitPool("others", "to be counted", func(p *v1beta1.IPAddressPool) bool { return p.Status.AvailableIPv4 > 200 })
	f.settled()
	if err := f.Delete(t.Context(), service("zz-last")); err != nil {
		t.Fatal(err)
	}
	f.allTold()
	if after := f.counted(); !maps.Equal(after, before) {
		t.Errorf("told before: %v\nafter: %v", before, after)
	}

	// A change is told, once more.
	f.patch(service("bad"), `{"metadata":{"annotations":{"metallb.io/loadBalancerIPs":"rubbish"}}}`)
	f.awaitEvent("bad", "LoadBalancerFailed", "rubbish")
}

// An event arrives however many pools there are to name, and however long their names
// are.
func TestLongEventsArrive(t *testing.T) {
	f := newFixture(t)
	f.controller()
	for i := range 12 {
		p := pool(fmt.Sprintf("%s-%02d", strings.Repeat("long", 50), i), fmt.Sprintf("192.0.2.%d/32", i))
		p.Spec.AutoAssign = new(bool)
		f.create(p)
	}
	f.create(service("web"))
	f.awaitEvent("web", "AllocationFailed", "no IPAddressPool gives this Service an address unasked")
}
