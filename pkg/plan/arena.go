// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"metallb.io/metallb-frr/pkg/intent"
)

// arena is what of a Config matters to the elections of layer 2. It is the same on
// every node.
type arena struct {
	config *intent.Config
	nodes  []*intent.Node // those that some L2Advertisement selects, sorted by name
	names  []string       // theirs
	// contests are made when they are first asked for, by the set of
	// advertisements.
	contests map[string]*contest
}

// contest is a set of L2Advertisements, and how the nodes stand in it.
type contest struct {
	key       string // a byte for each L2Advertisement of the Config: it is in the set
	standings []standing
	subnets   []subnet
}

// standing is what the advertisements say of one node.
type standing struct {
	// reason is why the node is no candidate; empty: it is one.
	reason  intent.Reason
	leaving bool // and it is that the node is out of service
	score   int
	// links are those to announce on, sorted; nil: all.
	links []string
	// noNDP: it is known that none of those can announce IPv6 addresses.
	noNDP bool
}

// subnet is a prefix and the nodes that have it on a link to announce on.
type subnet struct {
	prefix netip.Prefix
	nodes  []bool
}

func newArena(c *intent.Config) *arena {
	a := &arena{config: c, contests: map[string]*contest{}}
	for _, n := range c.Nodes {
		if slices.ContainsFunc(c.L2Ads, func(ad *intent.L2Advertisement) bool { return intent.AnySelects(ad.NodeSelectors, n.Labels) }) {
			a.nodes, a.names = append(a.nodes, n), append(a.names, n.Name)
		}
	}
	return a
}

// at returns the index of a node, or -1.
func (a *arena) at(node string) int {
	if i, found := slices.BinarySearch(a.names, node); found {
		return i
	}
	return -1
}

// enter returns the contest of the advertisements that cover a Service; or nil,
// and why there are none.
func (a *arena) enter(s *intent.Service) (*contest, intent.Reason, string) {
	if len(s.Addresses) == 0 {
		return nil, NoAddress, "the Service has no address yet"
	}
	pool := a.config.PoolOf(s.Addresses[0])
	for _, addr := range s.Addresses {
		if pool == nil || !pool.Contains(addr) {
			return nil, AddressNotInPool, fmt.Sprintf("no IPAddressPool holds %s; see the condition metallb.io/AddressAssigned", joinAddrs(s.Addresses))
		}
	}
	key := make([]byte, len(a.config.L2Ads))
	covered, matched := false, false
	for i, ad := range a.config.L2Ads {
		if ad.Pools != nil && !ad.Pools[pool.Name] {
			continue
		}
		covered = true
		if intent.AnySelects(ad.ServiceSelectors, s.Labels) {
			key[i], matched = 1, true
		}
	}
	switch {
	case !covered:
		return nil, NoAdvertisement, fmt.Sprintf("no L2Advertisement covers IPAddressPool %s", pool.Name)
	case !matched:
		return nil, ServiceNotSelected, fmt.Sprintf("the L2Advertisements of IPAddressPool %s select other Services", pool.Name)
	}
	return a.contest(string(key)), "", ""
}

// contest returns that of a set of advertisements.
func (a *arena) contest(key string) *contest {
	if c := a.contests[key]; c != nil {
		return c
	}
	c := &contest{key: key, standings: make([]standing, len(a.nodes))}
	for i, n := range a.nodes {
		c.standings[i] = a.standing(key, n)
	}
	c.subnets = a.subnets(c)
	a.contests[key] = c
	return c
}

// union returns the contest of the advertisements of several.
func (a *arena) union(contests []*contest) *contest {
	key := []byte(contests[0].key)
	for _, c := range contests[1:] {
		for i := range key {
			key[i] |= c.key[i]
		}
	}
	return a.contest(string(key))
}

func (a *arena) standing(key string, n *intent.Node) standing {
	st := standing{reason: NodeNotSelected, score: n.L2Weight}
	all := false
	for i, ad := range a.config.L2Ads {
		if key[i] == 0 || !intent.AnySelects(ad.NodeSelectors, n.Labels) {
			continue
		}
		st.reason = ""
		for _, p := range ad.Preferred {
			if p.Selector.Matches(n.Labels) {
				st.score += int(p.Weight)
			}
		}
		st.links, all = append(st.links, ad.Interfaces...), all || len(ad.Interfaces) == 0
	}
	slices.Sort(st.links)
	st.links = slices.Compact(st.links)
	if all {
		st.links = nil
	}
	switch {
	case st.reason != "":
	case n.Leaving != nil:
		st.reason, st.leaving = leavingReasons[n.Leaving.Cause], true
	case n.Links != nil && !slices.ContainsFunc(n.Links, st.uses):
		st.reason = NoMatchingLink
	}
	st.noNDP = n.Links != nil && !slices.ContainsFunc(n.Links, func(l intent.Link) bool { return st.uses(l) && slices.ContainsFunc(l.Prefixes, linkLocal) })
	return st
}

// speaks reports whether, as far as is known, a node that has links to announce on
// can announce an address there: one of IPv6 where NDP is answered.
func (st *standing) speaks(addr netip.Addr) bool { return addr.Is4() || !st.noNDP }

// linkLocal reports whether a prefix is in fe80::/10. Such a one is on every link
// where NDP is answered, and says nothing of where an address belongs.
func linkLocal(p netip.Prefix) bool { return p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() }

// uses reports whether a link of the node is one to announce on.
func (st *standing) uses(l intent.Link) bool {
	return st.links == nil || slices.Contains(st.links, l.Name)
}

// subnets are those of the contest's candidates, in no order.
func (a *arena) subnets(c *contest) []subnet {
	by := map[netip.Prefix][]bool{}
	for i, n := range a.nodes {
		if c.standings[i].reason != "" {
			continue
		}
		for _, l := range n.Links {
			if !c.standings[i].uses(l) {
				continue
			}
			for _, p := range l.Prefixes {
				if linkLocal(p) {
					continue
				}
				p = p.Masked()
				if by[p] == nil {
					by[p] = make([]bool, len(a.nodes))
				}
				by[p][i] = true
			}
		}
	}
	out := make([]subnet, 0, len(by))
	for p, nodes := range maps.All(by) {
		out = append(out, subnet{p, nodes})
	}
	return out
}

// hashed returns the indices of all nodes in the order in which they stand for an
// address where nothing else tells them apart: that of sha256(node#address), which
// is also MetalLB's, so that addresses stay where they are when one replaces the
// other.
func (a *arena) hashed(addr netip.Addr) []int32 {
	sums := make([][sha256.Size]byte, len(a.names))
	order := make([]int32, len(a.names))
	text := "#" + addr.String()
	var buf []byte
	for i, name := range a.names {
		buf = append(append(buf[:0], name...), text...)
		sums[i], order[i] = sha256.Sum256(buf), int32(i)
	}
	slices.SortFunc(order, func(x, y int32) int { return bytes.Compare(sums[x][:], sums[y][:]) })
	return order
}
