// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"go4.org/netipx"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// pass is the state of one Assign.
type pass struct {
	services []*intent.Service
	states   []state // of services, by index

	pools  []*pool // sorted by name
	spans  []span  // of all pools, ascending
	pinned []*pool // give addresses unasked, have an allocation; in order
	open   []*pool // give addresses unasked, have none; in order

	// holders has one Service at most for each address, once claims are settled.
	holders *holders
	// reserved are addresses that are left to a Service, by index; nil outside
	// of that step.
	reserved map[netip.Addr]int32
}

// state is what a pass knows of one Service.
type state struct {
	held []netip.Addr // what it had, IPv4 first
	why  string       // why it does not keep all of held
	left []netip.Addr // of held, while it keeps none: what it may have again

	pool    *pool // where addrs are from; nil without
	addrs   []netip.Addr
	refusal *refusal // why addrs is not all that it should be
}

type pool struct {
	*intent.Pool
	v4, v6 freeList
}

func (p *pool) list(f bgp.Family) *freeList {
	if f == bgp.IPv4 {
		return &p.v4
	}
	return &p.v6
}

type span struct {
	netipx.IPRange
	pool *pool
}

func newPass(in *intent.Intent) *pass {
	p := &pass{services: in.Services, states: make([]state, len(in.Services))}
	if in.Config != nil {
		for _, q := range in.Pools {
			p.pools = append(p.pools, newPool(q))
		}
	}
	slices.SortFunc(p.pools, func(a, b *pool) int { return cmp.Compare(a.Name, b.Name) })
	for _, q := range p.pools {
		for _, r := range q.Ranges {
			p.spans = append(p.spans, span{r, q})
		}
		switch {
		case !q.AutoAssign:
		case q.Allocation != nil:
			p.pinned = append(p.pinned, q)
		default:
			p.open = append(p.open, q)
		}
	}
	slices.SortFunc(p.spans, func(a, b span) int { return a.From().Compare(b.From()) })
	slices.SortStableFunc(p.pinned, func(a, b *pool) int {
		x, y := a.Allocation.Priority, b.Allocation.Priority
		switch {
		case x == y:
			return 0
		case x == 0:
			return 1 // without a priority: last
		case y == 0:
			return -1
		}
		return cmp.Compare(x, y)
	})
	return p
}

func newPool(from *intent.Pool) *pool {
	q := &pool{Pool: from}
	q.v4.avoidBuggy = from.AvoidBuggyIPs
	for _, r := range from.Ranges {
		l := q.list(bgp.FamilyOf(r.From()))
		l.ranges = append(l.ranges, r)
	}
	return q
}

// poolOf returns the pool that has addr in one of its entries, or nil.
func (p *pass) poolOf(addr netip.Addr) *pool {
	i, _ := slices.BinarySearchFunc(p.spans, addr, func(s span, a netip.Addr) int { return s.To().Compare(a) })
	if i == len(p.spans) || addr.Less(p.spans[i].From()) {
		return nil
	}
	return p.spans[i].pool
}

func (p *pass) poolNamed(name string) *pool {
	i, found := slices.BinarySearchFunc(p.pools, name, func(q *pool, n string) int { return cmp.Compare(q.Name, n) })
	if !found {
		return nil
	}
	return p.pools[i]
}

// older orders Services, by index, by the age of their claims.
func (p *pass) older(i, j int32) int {
	a, b := p.services[i], p.services[j]
	if a.AssignedSince.IsZero() != b.AssignedSince.IsZero() {
		if a.AssignedSince.IsZero() {
			return 1
		}
		return -1
	}
	return cmp.Or(a.AssignedSince.Compare(b.AssignedSince), a.Created.Compare(b.Created), a.Key.Compare(b.Key))
}

// claim re-establishes what Services have.
func (p *pass) claim(assumed map[intent.Key][]netip.Addr) {
	p.holders = newHolders(len(p.services))
	var contested []netip.Addr
	for i, s := range p.services {
		st := &p.states[i]
		st.held = s.Addresses
		if written, ok := assumed[s.Key]; ok {
			st.held = written
		}
		if !slices.IsSortedFunc(st.held, netip.Addr.Compare) {
			st.held = slices.SortedFunc(slices.Values(st.held), netip.Addr.Compare)
		}
		if len(st.held) == 0 {
			continue
		}
		if st.pool, st.why = p.keeps(s, st.held); st.pool == nil {
			continue
		}
		st.addrs = st.held
		for _, a := range st.held {
			if p.holders.add(a, int32(i)) == 1 {
				contested = append(contested, a)
			}
		}
	}
	p.settle(contested)
	for i := range p.states {
		st := &p.states[i]
		for _, a := range st.addrs {
			st.pool.list(bgp.FamilyOf(a)).take(a)
		}
	}
}

// settle lets the older claim win where Services have the same address. Who
// loses one of two addresses has neither for now.
func (p *pass) settle(contested []netip.Addr) {
	var rivals []int32
	for _, a := range contested {
		rivals = slices.AppendSeq(rivals, p.holders.of(a))
	}
	slices.SortFunc(rivals, p.older)
	rivals = slices.Compact(rivals)
	for _, i := range rivals {
		for _, a := range p.states[i].held {
			p.holders.drop(a)
		}
	}
	for _, i := range rivals {
		st := &p.states[i]
		for _, a := range st.held {
			if by, held := p.holders.one(a); held && st.pool != nil {
				st.why = fmt.Sprintf("%s is in use by %s, whose claim to it is older", a, p.services[by].Key)
				st.pool, st.addrs = nil, nil
			}
		}
		for _, a := range st.addrs {
			p.holders.add(a, i)
		}
	}
}

// holder returns the Service that addr cannot be taken from for Service i, or nil.
func (p *pass) holder(addr netip.Addr, i int32) *intent.Service {
	if by, held := p.holders.one(addr); held && by != i {
		return p.services[by]
	}
	if by, ok := p.reserved[addr]; ok && by != i {
		return p.services[by]
	}
	return nil
}

// hold gives Service i addresses of a pool, beside those that it has.
func (p *pass) hold(i int32, from *pool, addrs ...netip.Addr) {
	st := &p.states[i]
	for _, a := range addrs {
		p.holders.add(a, i)
		from.list(bgp.FamilyOf(a)).take(a)
	}
	st.pool, st.addrs = from, slices.Concat(st.addrs, addrs)
	slices.SortFunc(st.addrs, netip.Addr.Compare)
}
