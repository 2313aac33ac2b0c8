// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"go4.org/netipx"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// pass is the state of one Assign.
type pass struct {
	now time.Time
	// namespace is where IPAddressPools are.
	namespace string
	services  []*intent.Service
	states    []state // of services, by index
	findings  []intent.Finding
	// invalid are the names of the pools that are not accepted; see notAccepted.
	invalid []string

	pools  []*pool // sorted by name
	spans  []span  // of all pools, ascending
	pinned []*pool // give addresses unasked, have an allocation; in order
	open   []*pool // give addresses unasked, have none; in order
	// labelled: some pool has serviceSelectors.
	labelled bool
	shelves  map[shelfKey]*shelf

	// holders has only Services that may share for each address, once claims are
	// settled.
	holders *holders
	several bool // some address was claimed by more than one
	// reserved are addresses that are left to Services; nil outside of that step.
	reserved *holders
	// recalling are the Services that remember addresses; shy are those of these
	// addresses that others get last.
	recalling []int32
	shy       []netip.Addr
	// left is what Services that lack addresses may have again of what they had or
	// remember.
	left map[int32][]netip.Addr
	// circles are made when a Service could share.
	circles map[circle]*shared
}

// state is what a pass knows of one Service.
type state struct {
	held []netip.Addr // what it had, IPv4 first
	loss *loss        // that it does not keep all of held; nil: it does

	pool    *pool // where addrs are from; nil without
	addrs   []netip.Addr
	refusal *refusal // why addrs is not all that it should be
}

// loss is why a Service does not keep all that it had.
type loss struct {
	why     string
	byPools bool // for an edit of the pools, which it is to undo
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

func newPass(in *intent.Intent, now time.Time) *pass {
	p := &pass{now: now, services: in.Services, states: make([]state, len(in.Services)), findings: in.Findings}
	if in.Config != nil {
		p.namespace = in.Config.Namespace
		for _, q := range in.Pools {
			p.pools = append(p.pools, newPool(q))
		}
	}
	slices.SortFunc(p.pools, func(a, b *pool) int { return cmp.Compare(a.Name, b.Name) })
	for _, q := range p.pools {
		for _, r := range q.Ranges {
			p.spans = append(p.spans, span{r, q})
		}
		p.labelled = p.labelled || q.Allocation != nil && len(q.Allocation.ServiceSelectors) > 0
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
	p.holders = newHolders(p.services, len(p.services))
	var contested []netip.Addr
	for i, s := range p.services {
		st := &p.states[i]
		st.held = s.Addresses
		if len(s.Last) > 0 {
			p.recalling = append(p.recalling, int32(i))
		}
		if len(st.held) == 0 {
			st.held = assumed[s.Key]
		}
		if !slices.IsSortedFunc(st.held, netip.Addr.Compare) {
			st.held = slices.SortedFunc(slices.Values(st.held), netip.Addr.Compare)
		}
		if len(st.held) == 0 {
			continue
		}
		from, r := p.keeps(s, st.held)
		if r != nil {
			st.loss = &loss{r.fact, r.byPools(s)}
			continue
		}
		st.pool, st.addrs = from, st.held
		for _, a := range st.held {
			if !p.holders.add(a, int32(i)) {
				continue
			}
			p.several = true
			if p.holders.rival(a, int32(i)).clash != noClash {
				contested = append(contested, a)
			}
		}
	}
	p.settle(contested)
}

// settle decides who keeps addresses that several have and may not share. Who
// loses one of two addresses has neither for now.
func (p *pass) settle(contested []netip.Addr) {
	var rivals []int32
	seen := map[netip.Addr]bool{}
	for len(contested) > 0 {
		a := contested[0]
		contested = contested[1:]
		if seen[a] {
			continue
		}
		seen[a] = true
		for i := range p.holders.of(a) {
			rivals = append(rivals, i)
			contested = append(contested, p.states[i].held...)
		}
	}
	for a := range seen {
		p.holders.drop(a)
	}
	slices.SortFunc(rivals, p.senior)
	rivals = slices.Compact(rivals)
	for _, i := range rivals {
		st := &p.states[i]
		for _, a := range st.held {
			if r := p.holders.rival(a, i); r.clash != noClash {
				st.loss = &loss{p.outranked(i, r), st.losesByPools()}
				st.pool, st.addrs = nil, nil
				break
			}
		}
		for _, a := range st.addrs {
			p.holders.add(a, i)
		}
	}
}

// outranked says why Service i loses an address to the one that keeps it.
func (p *pass) outranked(i int32, r rivalry) string {
	r, _ = p.foremost(i, r)
	if p.older(i, r.by) < 0 || r.clash != noKey {
		return p.told(i, r).fact
	}
	return fmt.Sprintf("%s is in use by %s, whose claim to it is older", r.addr, p.services[r.by].Key)
}

func (s *state) losesByPools() bool { return s.loss != nil && s.loss.byPools }

// take takes what Services keep from the pools' free addresses.
func (p *pass) take() {
	for i := range p.states {
		st := &p.states[i]
		for _, a := range st.addrs {
			if !p.several || p.holders.one(a) == int32(i) {
				st.pool.list(bgp.FamilyOf(a)).take(a)
			}
		}
	}
}

// hold gives Service i addresses of a pool, beside those that it has.
func (p *pass) hold(i int32, from *pool, addrs ...netip.Addr) {
	st := &p.states[i]
	for _, a := range addrs {
		if !p.holders.add(a, i) {
			from.list(bgp.FamilyOf(a)).take(a)
			if p.circles != nil {
				p.enterCircle(i, from, a)
			}
		}
	}
	st.pool, st.addrs = from, slices.Concat(st.addrs, addrs)
	slices.SortFunc(st.addrs, netip.Addr.Compare)
}
