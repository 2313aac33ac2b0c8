// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/cluster"
)

// With a class the controller handles exactly the Services of that class. One that
// becomes another type loses its class with that, by the API server's defaulting, and
// its address is free again all the same.
func TestServicesOfAClass(t *testing.T) {
	f := newFixture(t)
	f.controllerAs(cluster.Options{LoadBalancerClass: "example.com/ours"})
	class := func(name string) func(*corev1.Service) {
		return func(s *corev1.Service) { s.Spec.LoadBalancerClass = &name }
	}
	f.create(pool("one", "192.0.2.1/32"), service("none"), service("other", class("example.com/other")))
	f.create(service("ours", class("example.com/ours")))
	f.awaitService("ours", "to hold the only address", holds("one", "192.0.2.1"))
	for _, name := range []string{"none", "other"} {
		f.awaitService(name, "to be left alone", func(s *corev1.Service) bool { return holds("")(s) && len(s.Status.Conditions) == 0 })
	}
	f.create(service("next", class("example.com/ours")))
	f.patch(service("ours"), `{"spec":{"type":"ClusterIP","loadBalancerClass":null}}`)
	f.awaitService("ours", "to be left clean", func(s *corev1.Service) bool { return holds("")(s) && len(s.Status.Conditions) == 0 })
	f.awaitService("next", "to have the address", holds("one", "192.0.2.1"))
	f.settled()
}
