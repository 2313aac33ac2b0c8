// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// A Service that has an address moves to one that it remembers only where that
// is part of the same incident: the pool of the remembered one was made at most
// rollback after the Service got what it has, as when all pools are deleted and
// applied again one after the other. Later a user may rely on what the Service
// has. Clocks may differ by skew.
const (
	rollback = 10 * time.Minute
	skew     = time.Minute
)

// mostRemembered is how many addresses of a family a Service remembers.
const mostRemembered = 4

// leaves reports whether s is about to lose an address to an edit of the pools:
// its status still has one that was replaced.
func (p *pass) leaves(s *intent.Service, written []netip.Addr) bool {
	if slices.Equal(s.Addresses, written) || len(s.Addresses) == 0 {
		return false
	}
	_, r := p.keeps(s, s.Addresses)
	return r == nil || r.byPools(s)
}

// remember returns the addresses that Service i is to remember: the last ones
// and those that it loses, but those that it has, what it had in place of these,
// and those that somebody else has now.
func (p *pass) remember(i int) []netip.Addr {
	s, st := p.services[i], &p.states[i]
	all := s.Last
	if st.lost {
		all = slices.Concat(s.Last, s.Addresses, st.held)
	}
	var keep []netip.Addr
	count := map[bgp.Family]int{}
	for n, a := range all {
		f := bgp.FamilyOf(a)
		switch {
		case slices.Contains(st.addrs, a):
			if n < len(s.Last) {
				count[f] = mostRemembered // what came later stood in for it
			}
		case len(s.Requested) > 0 && !slices.Contains(s.Requested, a):
		case count[f] < mostRemembered && !slices.Contains(keep, a) && p.holders.rival(a, int32(i)).clash == noClash:
			count[f]++
			keep = append(keep, a)
		}
	}
	return keep
}

// restore gives Services back the addresses that they remember, where these came
// back with a pool that was made anew.
func (p *pass) restore() {
	var order []int32
	for _, i := range p.recalling {
		s, st := p.services[i], &p.states[i]
		if st.pool != nil && s.Blocked == nil && len(s.Requested) == 0 && slices.Equal(st.held, s.Addresses) {
			order = append(order, i)
		}
	}
	if len(order) == 0 {
		return
	}
	lost := p.unsettled()
	slices.SortFunc(order, p.older)
	for _, i := range order {
		st := &p.states[i]
		to, back := p.back(i)
		if back == nil || slices.ContainsFunc(back, func(a netip.Addr) bool { return lost[a] }) {
			continue
		}
		for _, a := range st.addrs {
			p.holders.remove(a, i)
		}
		for _, a := range back {
			if p.holders.add(a, i) {
				p.several = true
			}
		}
		st.why = fmt.Sprintf("%s of IPAddressPool %s, which the Service had before, can be given again", join(back), to.Name)
		st.pool, st.addrs = to, back
	}
}

// preferOld puts what Service i would go back to before what it has left.
func (p *pass) preferOld(i int32) {
	s, left := p.services[i], p.states[i].left
	slices.SortStableFunc(left, func(a, b netip.Addr) int {
		x := slices.Contains(s.Last, a) && soon(s, p.poolOf(a))
		y := slices.Contains(s.Last, b) && soon(s, p.poolOf(b))
		switch {
		case x && !y:
			return -1
		case y && !x:
			return 1
		}
		return 0
	})
}

// unsettled returns what Services had that have nothing now. They come first, if
// they may have it again.
func (p *pass) unsettled() map[netip.Addr]bool {
	lost := map[netip.Addr]bool{}
	for i := range p.states {
		if st := &p.states[i]; st.pool == nil {
			for _, a := range st.held {
				lost[a] = true
			}
		}
	}
	return lost
}

// back returns the addresses to which Service i is to move, and their pool; nil:
// it stays.
func (p *pass) back(i int32) (*pool, []netip.Addr) {
	s, st := p.services[i], &p.states[i]
	var tried []*pool
	for _, first := range s.Last {
		to := p.poolOf(first)
		if to == nil || slices.Contains(tried, to) || !soon(s, to) {
			continue
		}
		tried = append(tried, to)
		var addrs []netip.Addr
		whole := true // no family that it has is lost
		for _, f := range s.Families {
			if a := p.remembered(i, to, f); a.IsValid() {
				addrs = append(addrs, a)
			} else if slices.ContainsFunc(st.addrs, func(b netip.Addr) bool { return bgp.FamilyOf(b) == f }) {
				whole = false
			}
		}
		if whole && !slices.Equal(addrs, st.addrs) {
			return to, addrs
		}
	}
	return nil, nil
}

// remembered returns the first address of a family and pool that Service i
// remembers and may have, or the zero Addr.
func (p *pass) remembered(i int32, from *pool, f bgp.Family) netip.Addr {
	s := p.services[i]
	for _, a := range s.Last {
		if bgp.FamilyOf(a) == f && p.poolOf(a) == from && p.usable(s, a) && p.rival(a, i).clash == noClash {
			return a
		}
	}
	return netip.Addr{}
}

// soon reports whether a pool was made when s had just got what it has.
func soon(s *intent.Service, q *pool) bool {
	if s.AssignedSince.IsZero() || q.Created.IsZero() {
		return false
	}
	d := q.Created.Sub(s.AssignedSince)
	return -skew <= d && d <= rollback
}

// avoid finds the remembered addresses that others get last: those that the
// Services that remember them may have, and nobody has.
func (p *pass) avoid() {
	for _, i := range p.recalling {
		for _, a := range p.services[i].Last {
			if p.usable(p.services[i], a) && !p.holders.held(a) {
				p.shy = append(p.shy, a)
			}
		}
	}
	p.block(p.shy)
}

// block keeps addresses from being given out until the lists are reset.
func (p *pass) block(addrs []netip.Addr) {
	for _, a := range addrs {
		if !p.holders.held(a) {
			p.poolOf(a).list(bgp.FamilyOf(a)).block(a)
		}
	}
}
