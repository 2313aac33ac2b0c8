// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"

	"metallb.io/metallb-frr/pkg/bgp"
)

// Intent is what the cluster's objects mean, after everything that is invalid
// or unresolved has been left out. It is immutable: Resolve makes a new one and
// shares with the previous what did not change, so pointers can be compared.
type Intent struct {
	*Config
	Services []*Service // the LoadBalancer Services that are ours, sorted by key

	// Findings are those of Config and of Services, in the order of their objects.
	Findings []Finding

	source  *Snapshot  // what it was made from, for the next Resolve
	blocked []*Service // those of Services with a Finding

	clustered []inCluster // sorted by key
}

// Config is the part of an Intent that is shared by all Services. As long as no
// object behind it changes, its pointer does not either.
type Config struct {
	Namespace   string
	Pools       []*Pool // sorted by name
	Peers       []*Peer // sorted by name
	BGPAds      []*BGPAdvertisement
	L2Ads       []*L2Advertisement
	BFDProfiles []*BFDProfile
	Nodes       []*Node // sorted by name

	// Extras are what users add to FRR's configuration; nil: nothing.
	Extras *Extras

	findings []Finding
	held     claims // the addresses of Pools
}

// Ref names an object. Namespace is empty for the kinds of our own namespace
// and for cluster-scoped ones.
type Ref struct{ Kind, Namespace, Name string }

// String returns "Kind name" or "Kind namespace/name".
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// Compare orders by kind, namespace, name.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(cmp.Compare(r.Kind, o.Kind), cmp.Compare(r.Namespace, o.Namespace), cmp.Compare(r.Name, o.Name))
}

// Key identifies a Service.
type Key struct{ Namespace, Name string }

// String returns "namespace/name".
func (k Key) String() string { return k.Namespace + "/" + k.Name }

// Compare orders by namespace, name.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Namespace, o.Namespace), cmp.Compare(k.Name, o.Name))
}

// Ref returns the Service as an object reference.
func (k Key) Ref() Ref { return Ref{"Service", k.Namespace, k.Name} }

// Pool is a valid IPAddressPool.
type Pool struct {
	Name    string
	Created time.Time
	Labels  labels.Set
	// Ranges are the pool's addresses as intervals, in the order of
	// spec.addresses, without those that an older pool holds.
	Ranges []netipx.IPRange
	// AvoidBuggyIPs leaves out IPv4 addresses that end in .0 or .255.
	AvoidBuggyIPs bool
	// AutoAssign: Services that name neither pool nor address may get one.
	AutoAssign bool
	// Allocation restricts the pool to some Services; nil: all.
	Allocation *Allocation
}

// Ref returns the pool as an object reference.
func (p *Pool) Ref() Ref { return Ref{Kind: "IPAddressPool", Name: p.Name} }

// Contains reports whether addr can be given out from the pool.
func (p *Pool) Contains(addr netip.Addr) bool {
	if p.AvoidBuggyIPs && Buggy(addr) {
		return false
	}
	for _, r := range p.Ranges {
		if r.Contains(addr) {
			return true
		}
	}
	return false
}

// Buggy reports whether addr is one that avoidBuggyIPs leaves out: an IPv4
// address whose last byte is 0 or 255.
func Buggy(addr netip.Addr) bool {
	if !addr.Is4() {
		return false
	}
	last := addr.As4()[3]
	return last == 0 || last == 255
}

// Allocation is a pool's serviceAllocation.
type Allocation struct {
	// Priority: lower positive numbers are tried first, 0 last.
	Priority int
	// Restricted: only Services in Namespaces may use the pool. An empty set
	// then serves nobody.
	Restricted bool
	Namespaces map[string]bool
	// NamespaceSelectors are those by which some of Namespaces were found.
	NamespaceSelectors []labels.Selector
	// ServiceSelectors: one of them must match the Service's labels; none: all.
	ServiceSelectors []labels.Selector
}

// Peer is a BGPPeer that is in force: valid, with everything that it names.
type Peer struct {
	Name    string
	Created time.Time
	MyASN   uint32
	// ASN is the remote AS; 0 where Dynamic says which are accepted.
	ASN uint32
	// Dynamic is "internal" or "external", or empty.
	Dynamic string
	// LocalASN overrides MyASN towards this neighbour; 0: not.
	LocalASN uint32
	// Addr is the neighbour's address; invalid where Interface names the link
	// of an unnumbered session.
	Addr      netip.Addr
	Interface string
	// Source is the local address of the TCP session; invalid: FRR chooses.
	Source netip.Addr
	// Port is the neighbour's TCP port; 179 by default, never 0.
	Port uint16
	// Timers are the BGP hold and keepalive times; nil: FRR's (180 s, 60 s).
	Timers *Timers
	// Connect is the connect-retry time; 0: not said.
	Connect time.Duration
	// RouterID is invalid where FRR chooses.
	RouterID        netip.Addr
	NodeSelectors   []labels.Selector // none: every node
	Password        bgp.Password
	BFD             *BFDProfile // nil: no BFD
	GracefulRestart bool
	EBGPMultiHop    bool
	VRF             string
	DualStack       bool
}

// Timers of a BGP session (RFC 4271 section 4.2). Hold 0 turns both off.
type Timers struct{ Hold, Keepalive time.Duration }

// Ref returns the peer as an object reference.
func (p *Peer) Ref() Ref { return Ref{Kind: "BGPPeer", Name: p.Name} }

// Speaks returns the AS number that the neighbour sees: LocalASN, or else MyASN.
func (p *Peer) Speaks() uint32 { return cmp.Or(p.LocalASN, p.MyASN) }

// Internal reports whether the session is iBGP: the neighbour sees its own AS.
func (p *Peer) Internal() bool {
	return p.Dynamic == "internal" || p.Dynamic == "" && p.ASN == p.Speaks()
}

// Carries reports whether routes of family f can be offered to the peer: its
// own family's, both where dualStackAddressFamily is set or the session is
// unnumbered.
func (p *Peer) Carries(f bgp.Family) bool {
	return p.DualStack || p.Interface != "" || bgp.FamilyOf(p.Addr) == f
}

// BFDProfile is a valid BFDProfile. A nil field leaves FRR's default, which the
// field's comment gives.
type BFDProfile struct {
	Name string
	// Of is the object's name where Name is that of a variant of it; empty:
	// Name.
	Of               string
	ReceiveInterval  *uint32 // ms, 300
	TransmitInterval *uint32 // ms, 300
	DetectMultiplier *uint32 // 3
	EchoInterval     *uint32 // ms, 50
	EchoMode         bool
	PassiveMode      bool
	MinimumTTL       *uint32 // multihop only, 254
}

// Ref returns the profile as an object reference.
func (p *BFDProfile) Ref() Ref { return Ref{Kind: "BFDProfile", Name: cmp.Or(p.Of, p.Name)} }

// BGPAdvertisement is a valid BGPAdvertisement.
type BGPAdvertisement struct {
	Name             string
	Created          time.Time
	Pools            map[string]bool // resolved names; nil: all pools
	Aggregation      int             // IPv4 prefix length, 1 to 32
	AggregationV6    int             // IPv6 prefix length, 1 to 128
	LocalPref        uint32          // 0: not set
	Communities      []bgp.Community // sorted, no duplicates
	Peers            map[string]bool // nil: all peers
	NodeSelectors    []labels.Selector
	ServiceSelectors []labels.Selector
}

// Ref returns the advertisement as an object reference.
func (a *BGPAdvertisement) Ref() Ref { return Ref{Kind: "BGPAdvertisement", Name: a.Name} }

// L2Advertisement is a valid L2Advertisement.
type L2Advertisement struct {
	Name             string
	Pools            map[string]bool // resolved names; nil: all pools
	NodeSelectors    []labels.Selector
	ServiceSelectors []labels.Selector
	Interfaces       []string // none: all
	Preferred        []Preference
}

// Preference adds Weight (1 to 100) to the score of the nodes it selects.
type Preference struct {
	Weight   int32
	Selector labels.Selector
}

// Service is a LoadBalancer Service that is ours.
type Service struct {
	Key     Key
	Created time.Time
	Labels  labels.Set
	// Families are those of its ClusterIPs, IPv4 first; Primary is the one
	// that spec.ipFamilies names first. DualStack is spec.ipFamilyPolicy.
	Families  []bgp.Family
	Primary   bgp.Family
	DualStack corev1.IPFamilyPolicy
	// Requested are the addresses asked for by annotation or
	// spec.loadBalancerIP, IPv4 first; none: any will do.
	Requested []netip.Addr
	// RequestedPool is the pool asked for by annotation; empty: any.
	RequestedPool string
	// Addresses are those in status.loadBalancer.ingress, IPv4 first.
	Addresses []netip.Addr
	// AssignedPool is the annotation metallb.io/ip-allocated-from-pool.
	AssignedPool string
	// Last is the annotation metallb.io/last-ips: the sets of addresses that the
	// Service had and lost, wholly or in part, to edits of the pools; what it lost
	// first before what stood in for that. Each set is sorted, IPv4 first.
	Last [][]netip.Addr
	// Sharing says with whom it may share an address; nil: with nobody.
	Sharing *Sharing
	// SharedAs is the annotation metallb.io/shared-as: Sharing's Digest when it
	// was last found to agree with the others that hold the address.
	SharedAs string
	// AssignedSince is when the condition metallb.io/AddressAssigned became
	// true; zero where it is not.
	AssignedSince time.Time
	// Local: externalTrafficPolicy Local.
	Local bool
	// HealthPort is the TCP port of every node on which its kube-proxy answers
	// whether it passes the Service's traffic to endpoints there; 0: none.
	HealthPort uint16
	// Serving: some endpoint, on whichever node, can serve. ServingNodes are
	// the nodes that host one.
	Serving      bool
	ServingNodes map[string]bool

	// Blocked is the Finding that keeps the Service from getting an address,
	// such as an unreadable request; nil: none. It keeps what it has.
	Blocked *Finding

	source    *corev1.Service // what it was read from
	endpoints []*discoveryv1.EndpointSlice
}

// Node is a cluster node as far as announcing goes.
type Node struct {
	Name   string
	Labels labels.Set
	// Ready is the node condition of that name.
	Ready bool
	// Leaving says why the node is to be out of service; nil: it is not.
	Leaving   *Leaving
	Addresses []netip.Addr // InternalIPs
	// ExternalAddresses are the ExternalIPs; PodCIDRs the networks of its Pods.
	ExternalAddresses []netip.Addr
	PodCIDRs          []netip.Prefix
	// L2Weight is the annotation metallb.io/l2-weight, -100 to 100; it adds to
	// the node's score in the layer 2 election. 0: none.
	L2Weight int
	// Links are those that the node's speaker published, sorted by name. Nil:
	// it has published nothing yet, so they are unknown.
	Links []Link
}

// AnySelects reports whether one of the selectors matches set, or there is none.
func AnySelects(selectors []labels.Selector, set labels.Set) bool {
	for _, s := range selectors {
		if s.Matches(set) {
			return true
		}
	}
	return len(selectors) == 0
}

// Service returns that of a key, or nil.
func (in *Intent) Service(key Key) *Service {
	i, found := slices.BinarySearchFunc(in.Services, key, func(s *Service, k Key) int { return s.Key.Compare(k) })
	if !found {
		return nil
	}
	return in.Services[i]
}

// Node returns the node of that name, or nil.
func (c *Config) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// PoolOf returns the pool that addr can be given out from, or nil.
func (c *Config) PoolOf(addr netip.Addr) *Pool {
	for _, p := range c.Pools {
		if p.Contains(addr) {
			return p
		}
	}
	return nil
}
