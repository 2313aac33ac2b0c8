// SPDX-License-Identifier: Apache-2.0

package intent

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/bgp"
)

// Snapshot is what the cluster says at one moment. It is read-only: the objects
// belong to a cache and are never changed in place, so an unchanged pointer
// means an unchanged object, which is what Resolve's reuse rests on.
//
// The order that each field documents is required; package cluster and ReadYAML
// keep it. No password is held in clear.
type Snapshot struct {
	// Namespace is the one that the product's own objects live in. Objects of
	// our kinds elsewhere are not part of a Snapshot.
	Namespace string
	// LoadBalancerClass selects the Services that are ours: those with exactly
	// this spec.loadBalancerClass; empty means those without one.
	LoadBalancerClass string
	// IgnoreExcludeLabel makes nodes announce although they carry the label
	// node.kubernetes.io/exclude-from-external-load-balancers.
	IgnoreExcludeLabel bool
	// DrainOn is what else takes a node out of service.
	DrainOn DrainOn

	// The kinds that users write, each sorted by name.
	Pools       []*v1beta1.IPAddressPool
	Peers       []*v1beta2.BGPPeer // spec.password is in PeerPasswords instead
	BGPAds      []*v1beta1.BGPAdvertisement
	L2Ads       []*v1beta1.L2Advertisement
	BFDProfiles []*v1beta1.BFDProfile
	Communities []*v1beta1.Community

	// PeerPasswords holds each BGPPeer's spec.password, by the peer's name.
	PeerPasswords map[string]bgp.Password
	// Secrets are those of Namespace that BGPPeers may name, by name.
	Secrets map[string]Secret

	// Extras is the ConfigMap bgpextras of Namespace; nil: there is none.
	Extras *corev1.ConfigMap

	Nodes          []*corev1.Node               // sorted by name
	Namespaces     []*corev1.Namespace          // sorted by name
	Services       []*corev1.Service            // of every type, sorted by namespace, name
	EndpointSlices []*discoveryv1.EndpointSlice // sorted by namespace, service (label kubernetes.io/service-name), name

	// States are the ConfigurationStates that controller and speakers
	// published: refused lines, sessions, links of each node. Sorted by name.
	States []*v1beta1.ConfigurationState
}

// Secret is what a BGPPeer's passwordSecret may need of a Secret.
type Secret struct {
	Type corev1.SecretType
	// Password is the value of key "password"; HasPassword tells an empty
	// value from a missing key.
	Password    bgp.Password
	HasPassword bool
}
