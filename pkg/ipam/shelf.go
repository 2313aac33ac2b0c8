// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// shelf is the pools to look into for Services that all get the same answer. So
// thousands of Services beside thousands of pools cost the sum, not the product:
// whom the pools admit, which of them have nothing left, and the sentence that says
// so are found once for all of them. It lasts for one pass.
type shelf struct {
	pools []*pool  // the best first
	none  *refusal // why there are none; or, of the pool asked for, why not
	// spent is how many pools at the front have no address left, by families.
	spent map[families]int
	// short says why none of the pools had enough.
	short map[wanting]*refusal
}

// shelfKey is what the choice of pools depends on.
type shelfKey struct {
	pool, namespace string
	labels          string // empty where no pool asks for them
}

// families is a set of them, as bits.
type families uint8

// wanting is what the sentence depends on.
type wanting struct {
	families    families
	prefersDual bool
	primary     bgp.Family
	shares      bool
	key         string
}

func familySet(list []bgp.Family) (set families) {
	for _, f := range list {
		if f == bgp.IPv4 {
			set |= 1
		} else {
			set |= 2
		}
	}
	return set
}

// shelfOf returns the pools to look into for s.
func (p *pass) shelfOf(s *intent.Service) *shelf {
	k := shelfKey{pool: s.RequestedPool, namespace: s.Key.Namespace}
	if p.labelled {
		k.labels = s.Labels.String()
	}
	if on, ok := p.shelves[k]; ok {
		return on
	}
	on := &shelf{spent: map[families]int{}, short: map[wanting]*refusal{}}
	on.pools, on.none = p.candidates(s)
	if p.shelves == nil {
		p.shelves = map[shelfKey]*shelf{}
	}
	p.shelves[k] = on
	return on
}

// left returns the pools that may have addresses of these families left. A pool that
// has none stays so until reset.
func (on *shelf) left(list []bgp.Family) []*pool {
	set := familySet(list)
	n := on.spent[set]
	for n < len(on.pools) && on.pools[n].lacks(list) {
		n++
	}
	on.spent[set] = n
	return on.pools[n:]
}

// lacks reports whether the pool has no free address of one of the families.
func (p *pool) lacks(list []bgp.Family) bool {
	for _, f := range list {
		if _, free := p.list(f).lowest(); !free {
			return true
		}
	}
	return false
}

// exhausted says why none of the pools has what s needs. It is asked once nothing is
// given any more.
func (on *shelf) exhausted(s *intent.Service) *refusal {
	k := wanting{families: familySet(s.Families), prefersDual: prefersDual(s), primary: s.Primary}
	if s.Sharing != nil {
		k.shares, k.key = true, s.Sharing.Key
	}
	r := on.short[k]
	if r == nil {
		r = exhausted(s, on.pools)
		on.short[k] = r
	}
	return r
}
