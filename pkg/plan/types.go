// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"net/netip"
	"slices"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// NodeFacts is what is known about the node beyond the cluster's objects.
type NodeFacts struct {
	// Name is the node's name in Kubernetes.
	Name string
	// Forwarding: traffic that arrives for a Service is passed on; false until
	// the node's kube-proxy is ready. A node that does not forward announces
	// nothing.
	Forwarding bool
	// Marking: a node that is to be out of service still announces, and marks
	// what it announces, so that the routers turn to other nodes before the
	// routes go. Of a node in service it says nothing.
	Marking bool
	// Alive are the nodes that can announce in layer 2; nil: every node. Where
	// no speaker knows the others it is ReadyNodes.
	Alive *Alive
	// Held are the addresses that some speaker has published to announce in
	// layer 2; nil: none.
	Held *Held
	// Passed is the Intent without the endpoints on the node that its kube-proxy
	// does not pass traffic to yet; nil: there are none. BGP goes by it. In layer
	// 2 the nodes must agree on who is the best, and so know the same.
	Passed *intent.Intent
}

// bgp returns f without what is no question of the Config.
func (f NodeFacts) bgp() NodeFacts {
	f.Alive, f.Held, f.Passed = nil, nil, nil
	return f
}

// NodePlan is what one node is to do.
type NodePlan struct {
	Node string
	// Routers are the BGP instances, one per VRF that a session lives in, the
	// default VRF first. Empty when no peer selects the node.
	Routers []*Router
	// BFDProfiles are those that the sessions use, sorted by name.
	BFDProfiles []*intent.BFDProfile
	// Extras are what users add to FRR's configuration; nil: nothing.
	Extras *intent.Extras
	// Announcements are the addresses that some node can announce in layer 2,
	// sorted.
	Announcements []Announcement
}

// Router is one BGP instance.
type Router struct {
	VRF string // empty: the default one
	ASN uint32
	// RouterID is invalid where FRR is to choose it.
	RouterID netip.Addr
	Sessions []*Session // sorted by ID
	Classes  []*Class   // sorted by Name; those that some session carries
	Routes   map[netip.Prefix]*Route
	// Marked: the node is leaving service. What it announces carries the
	// community GRACEFUL_SHUTDOWN towards eBGP neighbours and LOCAL_PREF 0
	// towards iBGP ones (RFC 8326).
	Marked bool
	// Origins are the peers that ASN and RouterID come from.
	Origins []intent.Ref

	made, from *mark
	touched    []netip.Prefix
}

// mark tells one Router from another without keeping it alive.
type mark struct{ _ byte }

// Touched returns the prefixes whose Routes may differ from those of prev, and
// whether that is known: it is where r was made from prev.
func (r *Router) Touched(prev *Router) (prefixes []netip.Prefix, known bool) {
	if r == prev {
		return nil, true
	}
	return r.touched, prev != nil && r.from != nil && r.from == prev.made
}

// Session is one BGP session of the node.
type Session struct {
	// ID is the neighbour's address or interface, with -<vrf> appended in a
	// VRF. Route-maps are named after it.
	ID   string
	Peer *intent.Peer
	// ASN is the neighbour's AS number; 0 where Peer.Dynamic says which are
	// accepted. It is known for "internal", too, where LocalASN is set.
	ASN uint32
	// LocalASN is the AS number that the neighbour sees instead of the
	// router's; 0: the router's.
	LocalASN uint32
	// BFD is the peer's profile, or what of it works on this session; nil: no
	// BFD.
	BFD *intent.BFDProfile
	// Families are those activated on it.
	Families []bgp.Family
	// Exports say what is offered to the neighbour, one per class, sorted by
	// class name. What no export covers is denied.
	Exports []Export
}

// Neighbor is how FRR names the neighbour: address or interface.
func (s *Session) Neighbor() string {
	if s.Peer.Interface != "" {
		return s.Peer.Interface
	}
	return s.Peer.Addr.String()
}

// Class is a set of routes that are announced alike: those of one family made by
// the same set of BGPAdvertisements. Its identity is that set, never peers or
// attributes, so that editing those touches no route.
type Class struct {
	// Name is readable and unique: the advertisements' names and the family.
	Name   string
	Family bgp.Family
	Ads    []*intent.BGPAdvertisement // sorted by name
	// Tag marks the class's routes inside FRR (never on the wire): a hash of
	// the identity, not 0. Seq is the sequence number of its entry in each
	// out map, 1 to 65535.
	Tag uint32
	Seq uint16
}

// Export is how the routes of one class are offered to one neighbour.
type Export struct {
	Class *Class
	// LocalPref is the numerically highest of the class's advertisements that
	// go to this neighbour; 0: not set, as always towards an eBGP neighbour,
	// to which LOCAL_PREF is never sent (RFC 4271 section 5.1.5).
	LocalPref uint32
	// Communities are the union over those advertisements, sorted.
	Communities []bgp.Community
}

// Route is one announced prefix.
type Route struct {
	Prefix netip.Prefix
	Class  *Class
	// Services contribute to it; more than one where it is an aggregate.
	// Sorted by key.
	Services []intent.Key
}

// Announcement returns that of an address, or nil.
func (p *NodePlan) Announcement(addr netip.Addr) *Announcement {
	i, found := slices.BinarySearchFunc(p.Announcements, addr, func(a Announcement, addr netip.Addr) int { return a.Addr.Compare(addr) })
	if !found {
		return nil
	}
	return &p.Announcements[i]
}

// Decision says what the node does for one Service over one protocol, and why.
type Decision struct {
	Service  intent.Key
	Protocol string // "bgp" or "layer2"
	Announce bool
	// Reason is set where Announce is false. Message says it in words and, where
	// other nodes announce some of the Service's addresses in layer 2, which.
	Reason  intent.Reason
	Message string
	// Addresses are those announced. In BGP they are announced to Peers, the
	// names of BGPPeers, sorted.
	Addresses []netip.Addr
	Peers     []string
	// Links are the interfaces that the L2Advertisements name, where the Reason is
	// NoMatchingLink and the node has none of them; nil: they name none, and the
	// node has none that can.
	Links []string
	// Assigned, where the Reason is NoMatchingLink: of the nodes without such an
	// interface the node is the first alive by hash for the Service's first
	// address, the one that would announce if it had one. Where nobody has, it is
	// MetalLB's assigned node.
	Assigned bool
}
