// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/intent"
)

// What the bench's node is called and has for neighbours.
const (
	frrNode    = "n1"
	neighbours = 4
	nodeASN    = 65100
	routerASN  = 65000
	community  = "65000:100"
	localPref  = 100
)

// neighbourAddr and nodeAddr are the two ends of cable i.
func neighbourAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(4*i + 2)}) }
func nodeAddr(i int) netip.Addr      { return netip.AddrFrom4([4]byte{192, 0, 2, byte(4*i + 1)}) }

// servicePrefix is what Service i announces.
func servicePrefix(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(64 + i>>16), byte(i >> 8), byte(i)}), 32)
}

// snapshotOf is a cluster with that many Services, of which each has an address
// and an endpoint, and one advertisement to all neighbours.
func snapshotOf(services int) *intent.Snapshot {
	s := &intent.Snapshot{Namespace: "metallb-system"}
	s.Pools = []*v1beta1.IPAddressPool{{ObjectMeta: metav1.ObjectMeta{Name: "pool"}, Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"10.64.0.0/12"}}}}
	for i := range neighbours {
		s.Peers = append(s.Peers, &v1beta2.BGPPeer{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("tor%d", i+1)},
			Spec: v1beta2.BGPPeerSpec{
				MyASN: nodeASN, PeerASN: routerASN, PeerAddress: neighbourAddr(i).String(),
			},
		})
	}
	s.BGPAds = []*v1beta1.BGPAdvertisement{{
		ObjectMeta: metav1.ObjectMeta{Name: "hosts"},
		Spec:       v1beta1.BGPAdvertisementSpec{Communities: []string{community}, LocalPref: localPref},
	}}
	s.Nodes = []*corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: frrNode}}}
	for i := range services {
		name := fmt.Sprintf("web-%06d", i)
		s.Services = append(s.Services, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.96.0.10"}},
			Status:     corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: servicePrefix(i).Addr().String()}}}},
		})
		s.EndpointSlices = append(s.EndpointSlices, endpointsOf(name, true))
	}
	return s
}

func endpointsOf(service string, ready bool) *discoveryv1.EndpointSlice {
	node := frrNode
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: service + "-a", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.5"}, NodeName: &node, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}},
	}
}

// withoutLast is the cluster after the endpoint of its last Service has gone.
func withoutLast(s *intent.Snapshot) *intent.Snapshot {
	down := *s
	last := len(s.Services) - 1
	down.EndpointSlices = slices.Clone(s.EndpointSlices)
	down.EndpointSlices[last] = endpointsOf(s.Services[last].Name, false)
	return &down
}
