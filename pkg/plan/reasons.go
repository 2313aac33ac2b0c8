// SPDX-License-Identifier: Apache-2.0

package plan

import "metallb.io/metallb-frr/pkg/intent"

// Why a node does not announce a Service.
const (
	// NoAddress: the Service has no address yet.
	NoAddress intent.Reason = "NoAddress"
	// AddressNotInPool: no pool holds all of the Service's addresses.
	AddressNotInPool intent.Reason = "AddressNotInPool"
	// NoAdvertisement: no BGPAdvertisement (L2Advertisement) covers the Service's pool.
	NoAdvertisement intent.Reason = "NoAdvertisement"
	// NodeNotSelected: those that cover it select other nodes.
	NodeNotSelected intent.Reason = "NodeNotSelected"
	// ServiceNotSelected: those that cover it select other Services.
	ServiceNotSelected intent.Reason = "ServiceNotSelected"
	// NodeNetworkUnavailable: the node's condition NetworkUnavailable is True.
	NodeNetworkUnavailable intent.Reason = "NodeNetworkUnavailable"
	// NodeExcluded: the node carries the label
	// node.kubernetes.io/exclude-from-external-load-balancers.
	NodeExcluded intent.Reason = "NodeExcluded"
	// NodeDraining: the node has a taint or a condition, or is cordoned, of
	// which the flag --drain-on says that it takes a node out of service.
	NodeDraining intent.Reason = "NodeDraining"
	// NodeNotForwarding: the node's kube-proxy is not ready.
	NodeNotForwarding intent.Reason = "NodeNotForwarding"
	// NoLocalEndpoint: externalTrafficPolicy Local, and no endpoint on the node
	// can serve.
	NoLocalEndpoint intent.Reason = "NoLocalEndpoint"
	// NoEndpoint: no endpoint anywhere can serve.
	NoEndpoint intent.Reason = "NoEndpoint"
	// NoSession: the node has no BGP session that carries the addresses'
	// family and that an advertisement names.
	NoSession intent.Reason = "NoSession"
	// NoMatchingLink: the node has none of the interfaces that the
	// L2Advertisements name, or none of them that can announce has what the
	// address needs: an IPv6 link-local address for NDP.
	NoMatchingLink intent.Reason = "NoMatchingLink"
	// NodeOutsideSubnet: the node is in none of the address's subnets, and
	// another one that can announce it is.
	NodeOutsideSubnet intent.Reason = "NodeOutsideSubnet"
	// NodeNotAlive: the node's speaker is no member yet or, where speakers do
	// not know each other, the node is not Ready or its speaker has not published
	// its links.
	NodeNotAlive intent.Reason = "NodeNotAlive"
	// NotOwner: another node that is alive comes before this one.
	NotOwner intent.Reason = "NotOwner"
	// OwnerServesOthers: Services share the address, no node that is alive can
	// announce all of them, and the one that announces it leaves this Service out.
	OwnerServesOthers intent.Reason = "OwnerServesOthers"
)

// What is wrong between the peers of one node.
const (
	// DuplicateNeighbor: an older BGPPeer has the same neighbour in the same VRF.
	DuplicateNeighbor intent.Reason = "DuplicateNeighbor"
	// ASNConflict: an older BGPPeer has another myASN in the same VRF, and FRR
	// cannot be both towards this neighbour.
	ASNConflict intent.Reason = "ASNConflict"
	// ASNLimited: an older BGPPeer has another myASN in the same VRF; the
	// session is there, and FRR restricts it.
	ASNLimited intent.Reason = "ASNLimited"
	// RouterIDConflict: an older BGPPeer has another routerID in the same VRF.
	RouterIDConflict intent.Reason = "RouterIDConflict"
)

// What is wrong with what users add to FRR's configuration.
const (
	// ExtrasForeignASN: the ConfigMap bgpextras has a "router bgp" with another
	// AS number than the node's BGPPeers have.
	ExtrasForeignASN intent.Reason = "ExtrasForeignASN"
)

// What is wrong between objects of the cluster, whatever the node.
const (
	// RouterIDShared: several nodes have the same routerID.
	RouterIDShared intent.Reason = "RouterIDShared"
	// LocalPrefNotSent: a BGPAdvertisement with localPref goes to eBGP peers.
	LocalPrefNotSent intent.Reason = "LocalPrefNotSent"
	// LocalPrefConflict: another BGPAdvertisement makes the same prefix with a
	// higher localPref, which wins.
	LocalPrefConflict intent.Reason = "LocalPrefConflict"
	// AggregateWithLocalPolicy: Services with externalTrafficPolicy Local share
	// an aggregate with others.
	AggregateWithLocalPolicy intent.Reason = "AggregateWithLocalPolicy"
	// AddressOutsideSubnets: an IPAddressPool with an L2Advertisement has
	// addresses that are in no subnet of the nodes that announce it.
	AddressOutsideSubnets intent.Reason = "AddressOutsideSubnets"
)
