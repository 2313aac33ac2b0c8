// SPDX-License-Identifier: Apache-2.0

package intent

// ExcludeLabel on a node, with any value, keeps it from announcing.
const ExcludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers"

// What is wrong with one object by itself.
const (
	// InvalidSelector: a label selector does not compile.
	InvalidSelector Reason = "InvalidSelector"
	// InvalidAddresses: an entry of an IPAddressPool is no CIDR and no range.
	InvalidAddresses Reason = "InvalidAddresses"
	// InvalidASN: myASN, peerASN, localASN and dynamicASN do not make a session.
	InvalidASN Reason = "InvalidASN"
	// InvalidPeerAddress: peerAddress or interface do not name a neighbour.
	InvalidPeerAddress Reason = "InvalidPeerAddress"
	// InvalidVRF: vrf is no name that a Linux VRF can have.
	InvalidVRF Reason = "InvalidVRF"
	// InvalidSourceAddress: sourceAddress is no address of the session's family.
	InvalidSourceAddress Reason = "InvalidSourceAddress"
	// InvalidRouterID: routerID is no IPv4 address.
	InvalidRouterID Reason = "InvalidRouterID"
	// InvalidTimers: holdTime, keepaliveTime or connectTime is out of range.
	InvalidTimers Reason = "InvalidTimers"
	// InvalidMultiHop: ebgpMultiHop on an iBGP session.
	InvalidMultiHop Reason = "InvalidMultiHop"
	// InvalidPassword: both password and passwordSecret, or a key that TCP MD5
	// cannot carry.
	InvalidPassword Reason = "InvalidPassword"
	// InvalidInterval: a BFD interval or multiplier is out of range.
	InvalidInterval Reason = "InvalidInterval"
	// InvalidCommunity: a value is no community.
	InvalidCommunity Reason = "InvalidCommunity"
	// TooManyCommunities: one BGPAdvertisement has, or several that make the
	// same prefix have together, more than FRR takes in one line or a BGP
	// message holds.
	TooManyCommunities Reason = "TooManyCommunities"
	// InvalidAggregation: an aggregation length is out of range or contradicts
	// a pool or serviceSelectors.
	InvalidAggregation Reason = "InvalidAggregation"
	// DuplicateEntry: a list names the same thing twice.
	DuplicateEntry Reason = "DuplicateEntry"
	// LastAcceptedUnreadable: status.lastAccepted holds no spec.
	LastAcceptedUnreadable Reason = "LastAcceptedUnreadable"
)

// What is wrong with what users add to FRR's configuration.
const (
	// ExtrasUnreadable: a line of the ConfigMap bgpextras is no configuration.
	ExtrasUnreadable Reason = "ExtrasUnreadable"
	// ExtrasEmpty: the ConfigMap bgpextras has no key "extras".
	ExtrasEmpty Reason = "ExtrasEmpty"
)

// What is wrong between objects.
const (
	// PoolOverlap: an older IPAddressPool holds some of the addresses.
	PoolOverlap Reason = "PoolOverlap"
	// DuplicateCommunity: an older Community object defines the same alias.
	DuplicateCommunity Reason = "DuplicateCommunity"
	// PoolNotFound: an advertisement names an IPAddressPool that is not there.
	PoolNotFound Reason = "PoolNotFound"
	// PeerNotFound: an advertisement names a BGPPeer that is not there.
	PeerNotFound Reason = "PeerNotFound"
	// CommunityNotFound: an advertisement names an alias that nothing defines.
	CommunityNotFound Reason = "CommunityNotFound"
	// BFDProfileNotFound: a BGPPeer names a BFDProfile that is not there.
	BFDProfileNotFound Reason = "BFDProfileNotFound"
	// SecretNotFound: a BGPPeer's passwordSecret is not there.
	SecretNotFound Reason = "SecretNotFound"
	// SecretInvalid: the Secret has another type, or no password in it.
	SecretInvalid Reason = "SecretInvalid"
)

// What is probably not meant.
const (
	// DisableMPIgnored: disableMP has no effect.
	DisableMPIgnored Reason = "DisableMPIgnored"
	// PoolHoldsNodeAddress: an IPAddressPool holds the address of a node.
	PoolHoldsNodeAddress Reason = "PoolHoldsNodeAddress"
	// PoolHoldsPodNetwork: an IPAddressPool holds addresses that Pods have.
	PoolHoldsPodNetwork Reason = "PoolHoldsPodNetwork"
	// PoolHoldsClusterIP: an IPAddressPool holds the ClusterIP of a Service.
	PoolHoldsClusterIP Reason = "PoolHoldsClusterIP"
	// DuplicateAdvertisement: an older BGPAdvertisement says exactly the same.
	DuplicateAdvertisement Reason = "DuplicateAdvertisement"
	// InvalidL2Weight: the annotation metallb.io/l2-weight of a Node is no whole
	// number from -100 to 100. It counts as 0.
	InvalidL2Weight Reason = "InvalidL2Weight"
	// NoAdvertise: community 65535:65282 keeps the router from passing the
	// route on at all.
	NoAdvertise Reason = "NoAdvertise"
	// GracefulRestartWithoutBFD: the router keeps the routes of a dead node.
	GracefulRestartWithoutBFD Reason = "GracefulRestartWithoutBFD"
	// GracefulRestartWithBFD: a restart of all of FRR may interrupt the traffic
	// that graceful restart is to keep.
	GracefulRestartWithBFD Reason = "GracefulRestartWithBFD"
	// EchoModeIgnored: BFD has no echo function over several hops.
	EchoModeIgnored Reason = "EchoModeIgnored"
	// EchoModeNeedsRouter: the BFD session stays down with a router that does
	// not send echo packets back.
	EchoModeNeedsRouter Reason = "EchoModeNeedsRouter"
	// MinimumTTLIgnored: FRR sets the least TTL by the BGP session.
	MinimumTTLIgnored Reason = "MinimumTTLIgnored"
)

// What keeps a Service from an address.
const (
	// InvalidRequest: the requested addresses cannot be read or contradict
	// each other.
	InvalidRequest Reason = "InvalidRequest"
)
