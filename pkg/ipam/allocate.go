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
		if s.Blocked == nil && (st.pool == nil || len(st.addrs) < len(s.Families)) {
			order = append(order, int32(i))
		}
	}
	slices.SortFunc(order, p.older)

	// While some may get back what they had, nobody else gets it; then those
	// that had no use for it stand aside.
	p.reserve(order)
	for range 2 {
		for _, i := range order {
			if p.states[i].pool == nil && p.survivor(i, nil, 0).IsValid() {
				p.give(i)
			}
		}
		p.unreserve()
	}
	for _, i := range order {
		p.states[i].left = nil
	}

	for _, i := range order {
		if len(p.services[i].Requested) > 0 && p.states[i].pool == nil {
			p.give(i)
		}
	}
	for _, i := range order {
		st := &p.states[i]
		if st.pool == nil && len(p.services[i].Requested) == 0 {
			st.refusal = p.give(i)
		}
		if st.pool != nil {
			st.refusal = p.extend(i)
		}
	}
	// A request that failed is told why as it is now.
	for _, i := range order {
		if st := &p.states[i]; st.pool == nil && len(p.services[i].Requested) > 0 {
			st.refusal = p.give(i)
		}
	}
}

// reserve keeps for each Service without a valid assignment those of the
// addresses it had that it may have again.
func (p *pass) reserve(order []int32) {
	p.reserved = map[netip.Addr]int32{}
	for _, i := range order {
		st := &p.states[i]
		if st.pool != nil {
			continue
		}
		for _, a := range st.held {
			if p.holder(a, i) != nil || !p.usable(p.services[i], a) {
				continue
			}
			p.reserved[a] = i
			st.left = append(st.left, a)
			p.poolOf(a).list(bgp.FamilyOf(a)).block(a)
		}
	}
}

func (p *pass) unreserve() {
	if len(p.reserved) > 0 {
		for _, q := range p.pools {
			q.v4.reset()
			q.v6.reset()
		}
	}
	p.reserved = nil
}

// survivor returns the first address that Service i had and may have again, of
// one pool and family where they are given, or the zero Addr.
func (p *pass) survivor(i int32, from *pool, f bgp.Family) netip.Addr {
	for _, a := range p.states[i].left {
		if (f == 0 || bgp.FamilyOf(a) == f) && (from == nil || p.poolOf(a) == from) && p.holder(a, i) == nil {
			return a
		}
	}
	return netip.Addr{}
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
	pools, r := p.candidates(i)
	if r != nil {
		return r
	}
	for _, families := range wishes(s) {
		for _, q := range pools {
			if addrs := p.pick(i, q, families); addrs != nil {
				p.hold(i, q, addrs...)
				return nil
			}
		}
	}
	return &refusal{short: pools} // told when nothing is given any more
}

func (p *pass) giveRequested(i int32) *refusal {
	s := p.services[i]
	if !ofFamilies(s.Requested, s.Families) {
		return refuse(FamilyMismatch,
			fmt.Sprintf("the Service asks for %s and needs %s", join(s.Requested), needed(s)),
			"write one address of each family that the Service has in metallb.io/loadBalancerIPs (IPv4,IPv6), or change ipFamilyPolicy")
	}
	from, r := p.fit(s, s.Requested)
	if r != nil {
		return r
	}
	for _, a := range s.Requested {
		if by := p.holder(a, i); by != nil {
			return refuse(AddressInUse, fmt.Sprintf("%s is in use by %s", a, by.Key),
				fmt.Sprintf("write another address of IPAddressPool %s, or take it away from that Service", from.Name))
		}
	}
	p.hold(i, from, s.Requested...)
	return nil
}

// candidates returns the pools to look into for a Service, the best first: the
// one asked for, or the one it has an address of, the pinned, the open ones.
func (p *pass) candidates(i int32) ([]*pool, *refusal) {
	s := p.services[i]
	if s.RequestedPool != "" {
		q := p.poolNamed(s.RequestedPool)
		return []*pool{q}, q.admits(s)
	}
	var pools []*pool
	if a := p.survivor(i, nil, 0); a.IsValid() {
		pools = append(pools, p.poolOf(a))
	}
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
		a := p.survivor(i, from, f)
		if !a.IsValid() {
			var ok bool
			if a, ok = from.list(f).lowest(); !ok {
				return nil
			}
		}
		addrs = append(addrs, a)
	}
	return addrs
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
	a, ok := st.pool.list(missing).lowest()
	if !ok {
		return refuse(AdditionalFamilyFailed,
			fmt.Sprintf("the Service prefers dual stack and has %s only: no available IPs in pool %s: %s", st.addrs[0], st.pool.Name, st.pool.shortOf(missing)),
			fmt.Sprintf("add %s addresses to that pool", name(missing)))
	}
	p.hold(i, st.pool, a)
	return nil
}
