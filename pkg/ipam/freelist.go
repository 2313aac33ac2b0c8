// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"net/netip"
	"slices"

	"go4.org/netipx"

	"metallb.io/metallb-frr/pkg/intent"
)

// freeList gives out the addresses of one family of one pool: its entries in the
// order in which they are written, ascending within each. The set of used
// addresses is made when the first one is asked for, so a pass that gives
// nothing does not pay for it.
type freeList struct {
	ranges     []netipx.IPRange
	avoidBuggy bool

	held    []netip.Addr // what Services hold
	blocked []netip.Addr // what must not be given out until reset

	built bool
	used  rangeSet     // held and blocked, but for what lies behind the cursor
	fresh []netip.Addr // taken since and not in used yet
	entry int          // the cursor: every address of earlier entries is used
	next  netip.Addr   // and of this entry, those before next; invalid: none
}

// few is how many addresses are added to a set one by one; more are merged.
const few = 16

// take notes that a Service holds addr, which must not be held yet.
func (l *freeList) take(addr netip.Addr) {
	l.held = append(l.held, addr)
	switch {
	case !l.built:
	case addr != l.next:
		l.fresh = append(l.fresh, addr)
	case addr == l.ranges[l.entry].To():
		l.entry, l.next = l.entry+1, netip.Addr{}
	default:
		l.next = addr.Next()
	}
}

// block keeps addr from being given out until reset. It must not be called
// after lowest.
func (l *freeList) block(addr netip.Addr) { l.blocked = append(l.blocked, addr) }

// reset ends what block began.
func (l *freeList) reset() {
	if len(l.blocked) > 0 {
		*l = freeList{ranges: l.ranges, avoidBuggy: l.avoidBuggy, held: l.held}
	}
}

// lowest returns the first free address, without taking it.
func (l *freeList) lowest() (netip.Addr, bool) {
	l.prepare()
	for ; l.entry < len(l.ranges); l.entry, l.next = l.entry+1, (netip.Addr{}) {
		r := l.ranges[l.entry]
		if !l.next.IsValid() {
			l.next = r.From()
		}
		for a, ok := l.used.gap(l.next, r.To()); ok; a, ok = l.used.gap(a.Next(), r.To()) {
			if l.avoidBuggy && intent.Buggy(a) {
				if a == r.To() {
					break
				}
				continue
			}
			l.next = a
			return a, true
		}
	}
	return netip.Addr{}, false
}

func (l *freeList) prepare() {
	switch {
	case !l.built:
		l.built = true
		l.used.merge(slices.Concat(l.held, l.blocked))
	case len(l.fresh) <= few:
		for _, a := range l.fresh {
			l.used.add(a)
		}
	default:
		l.used.merge(l.fresh)
	}
	l.fresh = l.fresh[:0]
}
