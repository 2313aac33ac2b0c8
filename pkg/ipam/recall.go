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

// rollback is how long after a Service got addresses in place of those that it
// remembers it goes back to them: as when a bad edit of a pool is undone, or all
// pools are deleted and applied again one after the other. Later somebody may
// rely on what the Service has.
const rollback = 10 * time.Minute

// mostRemembered is how many sets of addresses a Service remembers.
const mostRemembered = 4

// remember returns the sets of addresses that Service i is to remember: the last
// ones, and the one that it loses, whole. It forgets one that it has again and
// what stood in for that, one that it could have and has another instead, and one
// of which somebody else has a part. So at most Services that share remember the
// same address.
func (p *pass) remember(i int32) [][]netip.Addr {
	s, st := p.services[i], &p.states[i]
	sets := slices.Clone(s.Last)
	if st.losesByPools() && p.shows(i) { // what was only decided it never had
		sets = append(sets, st.held)
	}
	var keep [][]netip.Addr
	for n, set := range sets {
		switch {
		case len(set) == 0 || len(keep) == mostRemembered || slices.ContainsFunc(keep, func(o []netip.Addr) bool { return slices.Equal(o, set) }):
		case subset(set, st.addrs):
		case !wanted(s, set):
		case st.pool != nil && p.declined(i, set, n < len(s.Last)):
		case slices.ContainsFunc(set, func(a netip.Addr) bool { return p.holders.rival(a, i).clash != noClash }):
		default:
			keep = append(keep, set)
		}
		if n < len(s.Last) && subset(set, st.addrs) {
			break // what came later stood in for it
		}
	}
	return keep
}

// wanted reports whether set is of the families that s is to have now, and is what
// it asks for, if anything.
func wanted(s *intent.Service, set []netip.Addr) bool {
	return (len(s.Families) == 0 || enough(s, set)) &&
		(len(s.Requested) == 0 || slices.Equal(set, s.Requested))
}

// declined reports whether Service i, which has other addresses, could have set, or
// a part of it and has something else for a while now.
func (p *pass) declined(i int32, set []netip.Addr, before bool) bool {
	s := p.services[i]
	if p.whole(i, set) != nil {
		return true
	}
	st := &p.states[i]
	fresh := !slices.ContainsFunc(st.addrs, func(a netip.Addr) bool { return slices.Contains(st.held, a) })
	if !before || fresh || p.soon(s) || len(set) == 1 || !prefersDual(s) ||
		slices.ContainsFunc(set, func(a netip.Addr) bool { return slices.Contains(st.addrs, a) }) {
		return false
	}
	return p.whole(i, set[:1]) != nil || p.whole(i, set[1:]) != nil
}

func subset(set, of []netip.Addr) bool {
	return !slices.ContainsFunc(set, func(a netip.Addr) bool { return !slices.Contains(of, a) })
}

// whole returns the pool by which Service i may have exactly set, as things are, or
// nil.
func (p *pass) whole(i int32, set []netip.Addr) *pool {
	if slices.ContainsFunc(set, func(a netip.Addr) bool { return p.poolOf(a) == nil || p.rival(a, i).clash != noClash }) {
		return nil
	}
	from, _ := p.keeps(p.services[i], set)
	return from
}

// back returns the first set that Service i remembers and may have, and its pool,
// or nil.
func (p *pass) back(i int32) (*pool, []netip.Addr) {
	for _, set := range p.services[i].Last {
		if from := p.whole(i, set); from != nil {
			return from, set
		}
	}
	return nil, nil
}

// restore gives Services back the addresses that they remember, where these can
// be given again soon enough.
func (p *pass) restore() {
	var order []int32
	for _, i := range p.recalling {
		s, st := p.services[i], &p.states[i]
		if st.pool != nil && p.soon(s) && s.Blocked == nil && len(s.Requested) == 0 && slices.Equal(st.held, s.Addresses) {
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
		if to == nil || slices.ContainsFunc(back, func(a netip.Addr) bool { return lost[a] }) {
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
		st.loss = &loss{why: fmt.Sprintf("%s of IPAddressPool %s, which the Service had before, can be given again", join(back), to.Name)}
		st.pool, st.addrs = to, back
	}
}

// soon reports whether s got what it has so short a time ago that it may move.
func (p *pass) soon(s *intent.Service) bool {
	return !s.AssignedSince.IsZero() && !p.now.IsZero() && p.now.Sub(s.AssignedSince) <= rollback
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

// regain gives a Service that has nothing a set that it remembers, if it may have
// all of that again; not where part of what it just had is left to it, unless it
// had that for a short time only.
func (p *pass) regain(i int32) {
	s, st := p.services[i], &p.states[i]
	left := slices.ContainsFunc(p.left[i], func(a netip.Addr) bool { return slices.Contains(st.held, a) })
	if st.pool != nil || left && !p.soon(s) && s.Blocked == nil {
		return
	}
	if from, set := p.back(i); from != nil {
		p.hold(i, from, set...)
		return
	}
	if s.Blocked != nil && len(st.held) > 0 {
		if from := p.whole(i, st.held); from != nil {
			p.hold(i, from, st.held...)
		}
	}
}

// avoid finds the remembered addresses that others get last: those that the
// Services that remember them may have, and nobody has.
func (p *pass) avoid() {
	for _, i := range p.recalling {
		for _, set := range p.services[i].Last {
			for _, a := range set {
				if p.usable(p.services[i], a) && !p.holders.held(a) {
					p.shy = append(p.shy, a)
				}
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
