// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"net/netip"
	"slices"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// allocate gives addresses to the Services that have none, or one of two.
func (p *pass) allocate() {
	var order []int32
	for i, s := range p.services {
		st := &p.states[i]
		if st.pool == nil && s.Blocked == nil || len(st.addrs) < len(s.Families) {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, p.older)
	p.giveBack(order)
	order = slices.DeleteFunc(order, func(i int32) bool { return p.services[i].Blocked != nil })

	for _, i := range order {
		if len(p.services[i].Requested) > 0 && p.states[i].pool == nil {
			p.give(i)
		}
	}
	p.giveAny(order)
	if len(p.shy) > 0 {
		p.reset()
		p.giveAny(order)
	}
	// A request that failed is told why as it is now.
	for _, i := range order {
		if st := &p.states[i]; st.pool == nil && len(p.services[i].Requested) > 0 {
			st.refusal = p.give(i)
		}
	}
}

// giveBack gives Services what they had or remember. While some may get that
// back, nobody else gets it; then those that had no use for it stand aside.
func (p *pass) giveBack(order []int32) {
	p.reserve(order)
	p.avoid()
	for range 2 {
		for _, i := range order {
			st := &p.states[i]
			if len(p.left[i]) > 0 {
				p.regain(i)
			}
			switch {
			case len(p.left[i]) == 0 || p.services[i].Blocked != nil:
			case !p.survivor(i, st.pool, 0).IsValid():
			case st.pool != nil:
				p.extend(i)
			default:
				p.give(i)
			}
		}
		if p.reserved != nil {
			p.reserved = nil
			p.reset()
			p.block(p.shy)
		}
	}
}

// giveAny gives addresses to those that do not ask for certain ones, and the
// other family's to those that have one.
func (p *pass) giveAny(order []int32) {
	for _, i := range order {
		st := &p.states[i]
		if st.pool == nil && len(p.services[i].Requested) == 0 {
			st.refusal = p.give(i)
		}
		if st.pool != nil {
			st.refusal = p.extend(i)
		}
	}
}

// reserve keeps for each Service that lacks addresses those of the ones it had or
// remembers that it may have again.
func (p *pass) reserve(order []int32) {
	reserved := newHolders(p.services, 0)
	p.left = map[int32][]netip.Addr{}
	keep := func(i int32, addrs []netip.Addr) {
		s, st := p.services[i], &p.states[i]
		for _, a := range addrs {
			if slices.Contains(p.left[i], a) || !p.usable(s, a) || st.pool != nil && p.poolOf(a) != st.pool ||
				p.holders.rival(a, i).clash != noClash {
				continue
			}
			p.left[i] = append(p.left[i], a)
			if reserved.rival(a, i).clash == noClash {
				reserved.add(a, i)
				p.block([]netip.Addr{a})
			}
		}
	}
	for _, i := range order {
		if st := &p.states[i]; st.pool == nil {
			keep(i, st.held)
		}
	}
	for _, i := range order {
		for _, set := range p.services[i].Last {
			keep(i, set)
		}
	}
	if len(reserved.chain) > 0 {
		p.reserved = reserved
	}
}

// reset ends what block began.
func (p *pass) reset() {
	for _, q := range p.pools {
		q.v4.reset()
		q.v6.reset()
	}
	for _, on := range p.shelves {
		clear(on.spent)
	}
}

// survivor returns the first address that Service i had or remembers and may have
// again, of one pool and family where they are given, or the zero Addr.
func (p *pass) survivor(i int32, from *pool, f bgp.Family) netip.Addr {
	for _, a := range p.left[i] {
		if (f == 0 || bgp.FamilyOf(a) == f) && (from == nil || p.poolOf(a) == from) && p.rival(a, i).clash == noClash {
			return a
		}
	}
	return netip.Addr{}
}

// poolsLeft returns the pools of the addresses that Service i may have again.
func (p *pass) poolsLeft(i int32) []*pool {
	var pools []*pool
	for _, a := range p.left[i] {
		if q := p.poolOf(a); !slices.Contains(pools, q) && p.rival(a, i).clash == noClash {
			pools = append(pools, q)
		}
	}
	return pools
}

// give finds addresses for a Service that has none.
func (p *pass) give(i int32) *refusal {
	s := p.services[i]
	if r := unfit(s); r != nil {
		return r
	}
	if s.RequestedPool != "" && p.poolNamed(s.RequestedPool) == nil {
		return p.unknownPool(s.RequestedPool)
	}
	if len(s.Requested) > 0 {
		return p.giveRequested(i)
	}
	on := p.shelfOf(s)
	if on.none != nil && on.none.reason != NoPool {
		return on.none
	}
	before := p.poolsLeft(i)
	for _, families := range wishes(s) {
		pools := on.pools
		if s.Sharing == nil { // else one that is full may have an address to share
			pools = on.left(families)
		}
		for _, from := range [][]*pool{before, pools} {
			for _, q := range from {
				if addrs := p.pick(i, q, families); addrs != nil {
					p.hold(i, q, addrs...)
					return nil
				}
			}
		}
	}
	if on.none != nil {
		return on.none
	}
	return &refusal{short: on} // told when nothing is given any more
}

func (p *pass) giveRequested(i int32) *refusal {
	s := p.services[i]
	if !ofFamilies(s.Requested, s.Families) {
		return refuse(FamilyMismatch,
			fmt.Sprintf("the Service asks for %s and needs %s", join(s.Requested), needed(s)),
			"write exactly that in metallb.io/loadBalancerIPs, separated by a comma where there are two, or change the Service's ipFamilies or ipFamilyPolicy")
	}
	from, r := p.fit(s, s.Requested)
	if r != nil {
		return r
	}
	for _, a := range s.Requested {
		if r := p.rival(a, i); r.clash != noClash {
			return p.told(i, r)
		}
	}
	p.hold(i, from, s.Requested...)
	return nil
}

// candidates returns the pools to look into for a Service, the best first: the
// one asked for, or the pinned, the open ones.
func (p *pass) candidates(s *intent.Service) ([]*pool, *refusal) {
	if s.RequestedPool != "" {
		q := p.poolNamed(s.RequestedPool)
		return []*pool{q}, q.admits(s)
	}
	var pools []*pool
	for _, q := range p.pinned {
		if a := q.Allocation; (!a.Restricted || a.Namespaces[s.Key.Namespace]) && intent.AnySelects(a.ServiceSelectors, s.Labels) {
			pools = append(pools, q)
		}
	}
	if pools = append(pools, p.open...); len(pools) == 0 {
		return nil, p.noPool(s)
	}
	return pools, nil
}

// wishes returns the families that s is to have addresses of, from one pool, the
// best first.
func wishes(s *intent.Service) [][]bgp.Family {
	if !prefersDual(s) {
		return [][]bgp.Family{s.Families}
	}
	other := bgp.IPv4
	if s.Primary == bgp.IPv4 {
		other = bgp.IPv6
	}
	return [][]bgp.Family{s.Families, {s.Primary}, {other}}
}

// pick returns a free address of each of the families, or nil. It takes none.
func (p *pass) pick(i int32, from *pool, families []bgp.Family) []netip.Addr {
	addrs := make([]netip.Addr, 0, len(families))
	for _, f := range families {
		a, ok := p.one(i, from, f)
		if !ok {
			return nil
		}
		addrs = append(addrs, a)
	}
	return addrs
}

// one returns an address of a pool and family for Service i: one that it had, one
// that it can share, or a free one. It does not take it.
func (p *pass) one(i int32, from *pool, f bgp.Family) (netip.Addr, bool) {
	if a := p.survivor(i, from, f); a.IsValid() {
		return a, true
	}
	if a, ok := p.join(i, from, f); ok {
		return a, true
	}
	return from.list(f).lowest()
}

// extend gives a Service that has one address the other family's, from the same
// pool, even where that one gives nothing unasked.
func (p *pass) extend(i int32) *refusal {
	s, st := p.services[i], &p.states[i]
	if !prefersDual(s) || len(st.addrs) != 1 {
		return nil
	}
	if len(s.Requested) > 0 {
		return refuse(AdditionalFamilyFailed, fmt.Sprintf("the Service prefers dual stack, has %s and asks for that one only", st.addrs[0]),
			"write an address of each family in metallb.io/loadBalancerIPs, or none")
	}
	missing := bgp.IPv4
	if bgp.FamilyOf(st.addrs[0]) == bgp.IPv4 {
		missing = bgp.IPv6
	}
	a, ok := p.one(i, st.pool, missing)
	if !ok {
		return refuse(AdditionalFamilyFailed,
			fmt.Sprintf("the Service prefers dual stack and has %s only: no available IPs in pool %s: %s", st.addrs[0], st.pool.Name, st.pool.shortOf(missing)),
			fmt.Sprintf("add %s addresses to that pool", name(missing)))
	}
	p.hold(i, st.pool, a)
	return nil
}
