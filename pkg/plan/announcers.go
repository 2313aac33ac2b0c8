// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// Announcers says of each Service which nodes announce it over BGP. It gives what
// ForNode decides on every node, for a fraction of the cost: what is asked of
// nodes is asked once for all Services that are alike to them.
type Announcers struct {
	// Nodes are the names of the nodes, sorted, one list per Service in the
	// order of the Intent's. Lists are shared: they must not be changed.
	Nodes [][]string
	// Total is the number of pairs of a Service and a node that announces it.
	Total int

	in     *intent.Intent
	views  []*view
	shapes map[shape][]string
}

// shape is all that decides, beside its endpoints, which nodes can announce a
// Service.
type shape struct {
	pool   *intent.Pool
	v4, v6 bool
	ads    string // a byte for each BGPAdvertisement: it covers the Service
}

// ForNodes returns the announcers of all Services. facts says what is known, or
// taken for granted, of a node. prev, which may be nil, is the result before,
// made with the same facts: as long as the Intent has the same Config, only
// Services that changed are looked at.
func ForNodes(prev *Announcers, in *intent.Intent, facts func(*intent.Node) NodeFacts) *Announcers {
	a := &Announcers{in: in}
	var before []*intent.Service
	var was [][]string
	if prev != nil && prev.in.Config == in.Config {
		a.views, a.shapes, before, was = prev.views, prev.shapes, prev.in.Services, prev.Nodes
	} else {
		a.shapes = map[shape][]string{}
		for _, n := range in.Config.Nodes {
			a.views = append(a.views, newView(in.Config, facts(n)))
		}
	}
	var fresh []int
	a.Nodes, _, fresh = carry(before, in.Services, was)
	for _, i := range fresh {
		a.Nodes[i] = a.of(in.Services[i])
	}
	for _, nodes := range a.Nodes {
		a.Total += len(nodes)
	}
	return a
}

func (a *Announcers) of(s *intent.Service) []string {
	if !s.Serving || len(s.Addresses) == 0 {
		return nil
	}
	can := a.can(s)
	if !s.Local {
		return can
	}
	var local []string
	for _, n := range can {
		if s.ServingNodes[n] {
			local = append(local, n)
		}
	}
	return local
}

// can returns the nodes that announce s as long as its endpoints allow.
func (a *Announcers) can(s *intent.Service) []string {
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
	nodes, known := a.shapes[key]
	if !known {
		nodes = a.ask(s)
		a.shapes[key] = nodes
	}
	return nodes
}

// ask judges s on every node as if every node could serve it.
func (a *Announcers) ask(s *intent.Service) []string {
	everywhere := *s
	everywhere.Serving, everywhere.Local = true, false
	var nodes []string
	for _, v := range a.views {
		if v.judge(&everywhere).decision.Announce {
			nodes = append(nodes, v.facts.Name)
		}
	}
	slices.Sort(nodes)
	return nodes
}
