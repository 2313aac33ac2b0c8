// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// Announcers says of each Service which nodes announce it over BGP. It gives what
// ForNode decides on every node, for a fraction of the cost: what is asked of
// nodes is asked once for all Services that are alike to them.
type Announcers struct {
	// Reaches are one per Service in the order of the Intent's, never nil.
	// Services that are alike share one.
	Reaches []*Reach
	// Total is the number of pairs of a Service and a node that announces it.
	Total int

	in     *intent.Intent
	views  []*view
	shapes map[shape]*family
}

// Reach is a set of nodes that announce a Service over BGP, and to whom. It does
// not change once made.
type Reach struct {
	// Nodes are the names of the nodes, sorted.
	Nodes []string

	of    *family // nil: nothing is known of the Service but that nobody announces it
	index []int   // of Nodes in of.nodes
}

// nowhere is the Reach of Services without an address, or with one that no pool
// holds.
var nowhere = &Reach{}

// Peers returns the names of the BGPPeers, sorted, to which the node of that index
// in Nodes announces the Service's addresses of a family.
func (r *Reach) Peers(i int, f bgp.Family) []string { return r.of.outlets[r.index[i]].peers(f) }

// shape is all that decides, beside its endpoints, which nodes can announce a
// Service.
type shape struct {
	pool   *intent.Pool
	v4, v6 bool
	ads    string // a byte for each BGPAdvertisement: it covers the Service
}

// family are the Services of one shape: what each node makes of them as long as
// endpoints allow.
type family struct {
	outlets []outlet // one per node, sorted by name
	nowhere *Reach
	all     *Reach
	some    map[string]*Reach // by the names of the nodes
}

// outlet is what one node makes of the Services of a shape.
type outlet struct {
	node   string
	v4, v6 []string // names of BGPPeers, sorted
	// reason is why the node does not announce them; empty: it does.
	reason  intent.Reason
	message string
}

func (o *outlet) peers(f bgp.Family) []string {
	if f == bgp.IPv4 {
		return o.v4
	}
	return o.v6
}

// ForNodes returns the announcers of all Services. facts says what is known, or
// taken for granted, of a node. prev, which may be nil, is the result before,
// made with the same facts: as long as the Intent has the same Config, only
// Services that changed are looked at.
func ForNodes(prev *Announcers, in *intent.Intent, facts func(*intent.Node) NodeFacts) *Announcers {
	a := &Announcers{in: in}
	var before []*intent.Service
	var was []*Reach
	if prev != nil && prev.in.Config == in.Config {
		a.views, a.shapes, before, was = prev.views, prev.shapes, prev.in.Services, prev.Reaches
	} else {
		a.shapes = map[shape]*family{}
		for _, n := range in.Config.Nodes {
			a.views = append(a.views, newView(in.Config, facts(n)))
		}
	}
	var fresh []int
	a.Reaches, _, fresh = carry(before, in.Services, was)
	for _, i := range fresh {
		a.Reaches[i] = a.reach(in.Services[i])
	}
	for _, r := range a.Reaches {
		a.Total += len(r.Nodes)
	}
	return a
}

func (a *Announcers) reach(s *intent.Service) *Reach {
	of := a.can(s)
	switch {
	case of == nil:
		return nowhere
	case !s.Serving:
		return of.nowhere
	case !s.Local:
		return of.all
	}
	var index []int
	for i, at := range of.all.index {
		if s.ServingNodes[of.all.Nodes[i]] {
			index = append(index, at)
		}
	}
	return of.part(index)
}

// can returns the family of s; nil: it has no address, or one that no pool holds.
func (a *Announcers) can(s *intent.Service) *family {
	if len(s.Addresses) == 0 {
		return nil
	}
	key := shape{pool: a.in.Config.PoolOf(s.Addresses[0])}
	if key.pool == nil {
		return nil
	}
	for _, addr := range s.Addresses {
		if !key.pool.Contains(addr) {
			return nil
		}
		if bgp.FamilyOf(addr) == bgp.IPv4 {
			key.v4 = true
		} else {
			key.v6 = true
		}
	}
	covers := make([]byte, len(a.in.Config.BGPAds))
	for i, ad := range a.in.Config.BGPAds {
		if (ad.Pools == nil || ad.Pools[key.pool.Name]) && intent.AnySelects(ad.ServiceSelectors, s.Labels) {
			covers[i] = 1
		}
	}
	key.ads = string(covers)
	of, known := a.shapes[key]
	if !known {
		of = a.ask(s)
		a.shapes[key] = of
	}
	return of
}

// ask judges s on every node as if every node could serve it.
func (a *Announcers) ask(s *intent.Service) *family {
	everywhere := *s
	everywhere.Serving, everywhere.Local = true, false
	of := &family{some: map[string]*Reach{}}
	for _, v := range a.views {
		verdict := v.judge(&everywhere)
		o := outlet{node: v.facts.Name, reason: verdict.decision.Reason, message: verdict.decision.Message}
		for _, c := range verdict.routes {
			if c.set.class.Family == bgp.IPv4 {
				o.v4 = append(o.v4, c.set.peers...)
			} else {
				o.v6 = append(o.v6, c.set.peers...)
			}
		}
		slices.Sort(o.v4)
		slices.Sort(o.v6)
		o.v4, o.v6 = slices.Compact(o.v4), slices.Compact(o.v6)
		of.outlets = append(of.outlets, o)
	}
	slices.SortFunc(of.outlets, func(x, y outlet) int { return strings.Compare(x.node, y.node) })
	var can []int
	for i := range of.outlets {
		if of.outlets[i].reason == "" {
			can = append(can, i)
		}
	}
	of.nowhere, of.all = of.part(nil), of.part(can)
	return of
}

// part returns the Reach of those nodes.
func (of *family) part(index []int) *Reach {
	r := &Reach{of: of, index: index}
	for _, i := range index {
		r.Nodes = append(r.Nodes, of.outlets[i].node)
	}
	key := strings.Join(r.Nodes, " ")
	if known := of.some[key]; known != nil {
		return known
	}
	of.some[key] = r
	return r
}
