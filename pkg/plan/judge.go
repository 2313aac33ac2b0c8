// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// verdict is what the node does for one Service.
type verdict struct {
	decision Decision
	routes   []*contribution
}

// contribution is a prefix that a Service announces as a route of one class.
type contribution struct {
	prefix  netip.Prefix
	set     *adSet
	service intent.Key
}

// judge asks the questions that stand between a Service and its announcement, in
// the order in which an operator would.
func (v *view) judge(s *intent.Service) *verdict {
	d := Decision{Service: s.Key, Protocol: "bgp"}
	pool, ads := v.ads(s, &d)
	if d.Reason == "" {
		v.askNode(s, &d)
	}
	if d.Reason != "" {
		return &verdict{decision: d}
	}
	out := &verdict{routes: v.contributions(s, ads)}
	for _, c := range out.routes {
		d.Peers = append(d.Peers, c.set.peers...)
	}
	slices.Sort(d.Peers)
	d.Peers = slices.Compact(d.Peers)
	if len(d.Peers) == 0 {
		d.Reason = NoSession
		d.Message = fmt.Sprintf("node %s has no BGP session that carries %s from pool %s: no BGPPeer selects the node, none has the address family, or the advertisements name other peers", v.facts.Name, joinAddrs(s.Addresses), pool.Name)
		return &verdict{decision: d}
	}
	d.Announce, d.Addresses = true, s.Addresses
	out.decision = d
	return out
}

// ads returns the Service's pool and the advertisements that make its routes
// here; or d gets the reason why there are none.
func (v *view) ads(s *intent.Service, d *Decision) (*intent.Pool, []*intent.BGPAdvertisement) {
	if len(s.Addresses) == 0 {
		d.Reason, d.Message = NoAddress, "the Service has no address yet"
		return nil, nil
	}
	pool := v.config.PoolOf(s.Addresses[0])
	for _, a := range s.Addresses {
		if pool == nil || !pool.Contains(a) {
			d.Reason, d.Message = AddressNotInPool, fmt.Sprintf("no IPAddressPool holds %s; see the condition metallb.io/AddressAssigned", joinAddrs(s.Addresses))
			return nil, nil
		}
	}
	d.Reason, d.Message = NoAdvertisement, fmt.Sprintf("no BGPAdvertisement covers IPAddressPool %s", pool.Name)
	var ads []*intent.BGPAdvertisement
	for _, ad := range v.config.BGPAds {
		switch {
		case ad.Pools != nil && !ad.Pools[pool.Name]:
		case v.node == nil || !intent.AnySelects(ad.NodeSelectors, v.node.Labels):
			if d.Reason == NoAdvertisement {
				d.Reason, d.Message = NodeNotSelected, fmt.Sprintf("no BGPAdvertisement of IPAddressPool %s selects node %s", pool.Name, v.facts.Name)
			}
		case !intent.AnySelects(ad.ServiceSelectors, s.Labels):
			d.Reason, d.Message = ServiceNotSelected, fmt.Sprintf("the BGPAdvertisements of IPAddressPool %s for this node select other Services", pool.Name)
		default:
			ads = append(ads, ad)
		}
	}
	if len(ads) > 0 {
		d.Reason, d.Message = "", ""
	}
	return pool, ads
}

// askNode asks what the node and its endpoints have against announcing.
func (v *view) askNode(s *intent.Service, d *Decision) {
	switch {
	case v.node.Leaving != nil && !v.facts.Marking:
		d.Reason, d.Message = leavingReasons[v.node.Leaving.Cause], v.node.Leaving.Message
	case !v.facts.Forwarding:
		d.Reason, d.Message = NodeNotForwarding, fmt.Sprintf("kube-proxy on node %s is not ready", v.node.Name)
	case !s.Serving:
		d.Reason, d.Message = NoEndpoint, "no endpoint can serve"
	case s.Local && !s.ServingNodes[v.node.Name]:
		d.Reason, d.Message = NoLocalEndpoint, fmt.Sprintf("externalTrafficPolicy is Local and no endpoint on node %s can serve", v.node.Name)
	}
}

var leavingReasons = map[intent.LeavingCause]intent.Reason{
	intent.ByNetwork: NodeNetworkUnavailable,
	intent.ByLabel:   NodeExcluded,
	intent.ByDrainOn: NodeDraining,
}

// contributions are the Service's prefixes: each address masked to each
// advertisement's aggregation length; those that several advertisements make
// belong to the class of all of them.
func (v *view) contributions(s *intent.Service, ads []*intent.BGPAdvertisement) []*contribution {
	var out []*contribution
	for _, addr := range s.Addresses {
		family := bgp.FamilyOf(addr)
		byLength := map[int][]*intent.BGPAdvertisement{}
		for _, ad := range ads {
			length := ad.Aggregation
			if family == bgp.IPv6 {
				length = ad.AggregationV6
			}
			byLength[length] = append(byLength[length], ad)
		}
		for length, same := range byLength {
			if set := v.set(same, family); len(set.peers) > 0 {
				out = append(out, &contribution{netip.PrefixFrom(addr, length).Masked(), set, s.Key})
			}
		}
	}
	return out
}

// set returns the class of a set of advertisements, sorted by name, on this node.
func (v *view) set(ads []*intent.BGPAdvertisement, family bgp.Family) *adSet {
	name := className(ads, family)
	if set := v.sets[name]; set != nil {
		return set
	}
	set := &adSet{
		class:   &Class{Name: name, Family: family, Ads: ads},
		exports: map[*Session]Export{}, routers: make([]bool, len(v.routers)),
	}
	for i, r := range v.routers {
		for _, s := range r.Sessions {
			if e, ok := export(s, set.class); ok {
				set.exports[s], set.routers[i] = e, true
				set.peers = append(set.peers, s.Peer.Name)
			}
		}
	}
	v.sets[name] = set
	return set
}

// export says how a class is offered to a neighbour, if at all.
func export(s *Session, c *Class) (Export, bool) {
	o := offerOf(s.Peer, c.Ads)
	return Export{Class: c, LocalPref: o.localPref, Communities: o.communities}, o.goes && slices.Contains(s.Families, c.Family)
}

func joinAddrs(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, " and ")
}
