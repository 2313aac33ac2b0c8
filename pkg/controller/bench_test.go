// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
)

// BenchmarkPass measures what a pass costs in which one of n Services, all of
// which hold an address, has changed.
func BenchmarkPass(b *testing.B) {
	for _, n := range []int{100, 1000, 10000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			s := &intent.Snapshot{Pools: []*v1beta1.IPAddressPool{{
				ObjectMeta: metav1.ObjectMeta{Name: "p", Generation: 1},
				Spec:       v1beta1.IPAddressPoolSpec{Addresses: []string{"10.0.0.0/16"}},
			}}}
			now := time.Now()
			addr := netip.MustParseAddr("10.0.0.0")
			for i := range n {
				s.Services = append(s.Services, assignedService(fmt.Sprintf("s%06d", i), addr, now))
				addr = addr.Next()
			}
			c := &Controller{log: logr.Discard(), writer: newWriter(nil, Options{}), announced: &announced{gate: newGate()}}
			var said []verdict
			for _, svc := range s.Services {
				said = append(said, saidBy(svc))
			}
			c.announced.gate.shown.Store(&said)
			c.intent = intent.Resolve(nil, s)
			for i := 0; b.Loop(); i++ {
				next := *s
				next.Services = slices.Clone(s.Services)
				next.Services[i%n] = next.Services[i%n].DeepCopy()
				c.snapshot = &next
				c.intent = intent.Resolve(c.intent, &next)
				outcomes, _ := ipam.Assign(c.intent, c.writer.assumed(next.Services, now), now)
				c.writer.begin(now)
				c.offer(outcomes, now)
				c.writer.end(now)
				if len(c.writer.jobs) != 0 {
					b.Fatalf("a pass without a change wants %d writes", len(c.writer.jobs))
				}
			}
		})
	}
}

func assignedService(name string, addr netip.Addr, now time.Time) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: name,
		Annotations: map[string]string{v1beta1.AnnotationAllocatedFromPool: "p"},
	}}
	svc.Spec.Type = corev1.ServiceTypeLoadBalancer
	svc.Spec.ClusterIPs = []string{"10.96.0.1"}
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: addr.String()}}
	from := &status.Announced{Addresses: []netip.Addr{addr}, Status: metav1.ConditionTrue, Reason: status.ReasonAnnounced, Message: addr.String() + " from n1, n2, n3 over bgp (peers tor1, tor2)"}
	want := status.ForService(svc, ipam.Outcome{Addresses: []netip.Addr{addr}, Pool: "p"}, nil, from, now)
	svc.Status.Conditions = []metav1.Condition{*want.Condition, *want.Announced}
	return svc
}

// saidBy is what a Service's condition already says, as a round would have it.
func saidBy(svc *corev1.Service) verdict {
	addr := netip.MustParseAddr(svc.Status.LoadBalancer.Ingress[0].IP)
	return verdict{intent.Key{Namespace: svc.Namespace, Name: svc.Name}, &status.Announced{
		Addresses: []netip.Addr{addr}, Status: metav1.ConditionTrue, Reason: status.ReasonAnnounced,
		Message: addr.String() + " from n1, n2, n3 over bgp (peers tor1, tor2)",
	}}
}
