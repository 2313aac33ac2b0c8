// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"net/netip"
	"slices"

	"go4.org/netipx"
)

// rangeSet is a set of addresses: ascending intervals of which no two touch.
type rangeSet []netipx.IPRange

// at returns the index of the first interval that does not end before a.
func (s rangeSet) at(a netip.Addr) int {
	i, _ := slices.BinarySearchFunc(s, a, func(r netipx.IPRange, a netip.Addr) int { return r.To().Compare(a) })
	return i
}

// gap returns the lowest address of from to to that is not in the set.
func (s rangeSet) gap(from, to netip.Addr) (netip.Addr, bool) {
	if i := s.at(from); i < len(s) && !from.Less(s[i].From()) {
		from = s[i].To().Next()
	}
	return from, from.IsValid() && !to.Less(from)
}

// add puts one address into the set.
func (s *rangeSet) add(a netip.Addr) {
	set := *s
	i := set.at(a)
	if i < len(set) && !a.Less(set[i].From()) {
		return
	}
	before := i > 0 && set[i-1].To().Next() == a
	after := i < len(set) && a.Next() == set[i].From()
	switch {
	case before && after:
		set[i-1] = netipx.IPRangeFrom(set[i-1].From(), set[i].To())
		*s = slices.Delete(set, i, i+1)
	case before:
		set[i-1] = netipx.IPRangeFrom(set[i-1].From(), a)
	case after:
		set[i] = netipx.IPRangeFrom(a, set[i].To())
	default:
		*s = slices.Insert(set, i, netipx.IPRangeFrom(a, a))
	}
}

// merge puts many addresses into the set, in one walk over it. It sorts addrs.
func (s *rangeSet) merge(addrs []netip.Addr) {
	slices.SortFunc(addrs, netip.Addr.Compare)
	old := *s
	var out rangeSet
	for len(old) > 0 || len(addrs) > 0 {
		if len(addrs) == 0 || len(old) > 0 && old[0].From().Less(addrs[0]) {
			out.push(old[0])
			old = old[1:]
			continue
		}
		out.push(netipx.IPRangeFrom(addrs[0], addrs[0]))
		addrs = addrs[1:]
	}
	*s = out
}

// push adds an interval that does not begin before the last one does.
func (s *rangeSet) push(r netipx.IPRange) {
	if n := len(*s); n > 0 {
		last := &(*s)[n-1]
		if !last.To().Less(r.From()) || last.To().Next() == r.From() {
			if last.To().Less(r.To()) {
				*last = netipx.IPRangeFrom(last.From(), r.To())
			}
			return
		}
	}
	*s = append(*s, r)
}
