// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// snapshotOf is a cluster with that many Services, each with an address and a
// ready endpoint, four routers, and one advertisement for single addresses. With
// aggregates there is a second one, for /24 prefixes.
func snapshotOf(services int, aggregates bool) *intent.Snapshot {
	s := &intent.Snapshot{Namespace: "metallb-system"}
	s.Pools = []*v1beta1.IPAddressPool{{ObjectMeta: metav1.ObjectMeta{Name: "pool"}, Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"10.64.0.0/12"}}}}
	for i := range 4 {
		s.Peers = append(s.Peers, &v1beta2.BGPPeer{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("tor%d", i)},
			Spec:       v1beta2.BGPPeerSpec{MyASN: 65100, PeerASN: 65000, PeerAddress: fmt.Sprintf("192.0.2.%d", 1+i)},
		})
	}
	s.BGPAds = []*v1beta1.BGPAdvertisement{{ObjectMeta: metav1.ObjectMeta{Name: "hosts"}, Spec: v1beta1.BGPAdvertisementSpec{Communities: []string{"65000:100"}}}}
	if aggregates {
		length := int32(16)
		s.BGPAds = append(s.BGPAds, &v1beta1.BGPAdvertisement{ObjectMeta: metav1.ObjectMeta{Name: "nets"}, Spec: v1beta1.BGPAdvertisementSpec{AggregationLength: &length}})
	}
	s.Nodes = []*corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}}
	for i := range services {
		name := fmt.Sprintf("web-%06d", i)
		s.Services = append(s.Services, serviceAt(name, i))
		s.EndpointSlices = append(s.EndpointSlices, endpointsOf(name, true))
	}
	return s
}

func serviceAt(name string, i int) *corev1.Service {
	addr := netip.AddrFrom4([4]byte{10, byte(64 + i>>16), byte(i >> 8), byte(i)}).String()
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.96.0.10"}},
		Status:     corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: addr}}}},
	}
}

func endpointsOf(service string, ready bool) *discoveryv1.EndpointSlice {
	node := "n1"
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: service + "-a", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.5"}, NodeName: &node, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	}
}

// pass is what a speaker computes between a Snapshot and its delta.
type pass struct {
	in     *intent.Intent
	result *plan.Result
	doc    *frr.Document
}

func (p *pass) next(tb testing.TB, s *intent.Snapshot) frr.Delta {
	in := intent.Resolve(p.in, s)
	result := plan.ForNode(p.result, in, plan.NodeFacts{Name: "n1", Forwarding: true})
	doc, err := frr.Build(p.doc, result.Plan, frr.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	delta := frr.Diff(p.doc, doc)
	*p = pass{in, result, doc}
	return delta
}

// BenchmarkPass is one pass in which the endpoints of one of many Services came
// or went, so that one route does.
func BenchmarkPass(b *testing.B) {
	for _, bench := range []struct {
		name       string
		services   int
		aggregates bool
	}{
		{"services=1000", 1000, false},
		{"services=10000", 10_000, false},
		{"services=10000,aggregates", 10_000, true},
	} {
		b.Run(bench.name, func(b *testing.B) {
			up := snapshotOf(bench.services, bench.aggregates)
			down := *up
			at := bench.services / 2
			down.EndpointSlices = slices.Clone(up.EndpointSlices)
			down.EndpointSlices[at] = endpointsOf(up.Services[at].Name, false)
			var p pass
			p.next(b, up)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s := &down
				if i%2 == 1 {
					s = up
				}
				if got := len(p.next(b, s).Commands); got != 1 {
					b.Fatalf("%d commands for one route", got)
				}
			}
		})
	}
}

// BenchmarkFirst is a speaker's first pass.
func BenchmarkFirst(b *testing.B) {
	s := snapshotOf(10_000, true)
	for b.Loop() {
		var p pass
		p.next(b, s)
	}
}
