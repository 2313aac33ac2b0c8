// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// pools resolves the IPAddressPools. Where two overlap, the addresses that both
// name belong to the older one; the younger keeps the rest. So no address is in
// two pools, and no Service loses one because a pool grew.
func (r *resolver) pools() {
	var pools []*Pool
	for _, o := range r.s.Pools {
		p := accept(r, Ref{Kind: v1beta1.KindIPAddressPool, Name: o.Name}, &o.Spec, o.Status.LastAccepted, r.pool)
		if p == nil {
			continue
		}
		p.Name, p.Created, p.Labels = o.Name, created(o), o.Labels
		pools = append(pools, p)
	}
	slices.SortFunc(pools, func(a, b *Pool) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	contested, free := contest(pools)
	var taken claims
	for _, p := range pools {
		if contested[p] {
			r.claim(&taken, p)
		}
	}
	if r.c.held = append(free, taken...); len(taken) > 0 {
		slices.SortFunc(r.c.held, func(a, b claim) int { return a.rng.From().Compare(b.rng.From()) })
	}
	slices.SortFunc(pools, func(a, b *Pool) int { return cmp.Compare(a.Name, b.Name) })
	r.c.Pools = pools
}

// contest tells the pools of which some range overlaps another one, be it their own,
// and returns the claims of all others, sorted.
func contest(pools []*Pool) (contested map[*Pool]bool, free claims) {
	n := 0
	for _, p := range pools {
		n += len(p.Ranges)
	}
	all := make(claims, 0, n)
	order := make([]int32, 0, n) // moved about in place of claims, which are larger
	for _, p := range pools {
		for _, rng := range p.Ranges {
			order = append(order, int32(len(all)))
			all = append(all, claim{rng, p})
		}
	}
	slices.SortFunc(order, func(a, b int32) int { return all[a].rng.From().Compare(all[b].rng.From()) })
	contested = map[*Pool]bool{}
	for i, far := 1, 0; i < len(order); i++ { // far: the one before i that ends last
		c, last := all[order[i]], all[order[far]]
		if c.rng.From().Compare(last.rng.To()) <= 0 {
			contested[c.pool], contested[last.pool] = true, true
		}
		if last.rng.To().Less(c.rng.To()) {
			far = i
		}
	}
	free = make(claims, 0, n)
	for _, at := range order {
		if !contested[all[at].pool] {
			free = append(free, all[at])
		}
	}
	return contested, free
}

func (r *resolver) pool(spec *v1beta1.IPAddressPoolSpec) (*Pool, []Finding) {
	p := &Pool{AvoidBuggyIPs: spec.AvoidBuggyIPs, AutoAssign: spec.AutoAssign == nil || *spec.AutoAssign}
	var findings []Finding
	if len(spec.Addresses) == 0 {
		return invalid[Pool](InvalidAddresses, "spec.addresses", "", "is empty; write at least one CIDR (192.0.2.0/24) or range (192.0.2.10-192.0.2.20)")
	}
	for i, text := range spec.Addresses {
		rng, err := ParseRange(text)
		if err != nil {
			findings = append(findings, fault(InvalidAddresses, index("spec.addresses", i), text, "%v", err))
			continue
		}
		p.Ranges = append(p.Ranges, rng)
	}
	if a := spec.ServiceAllocation; a != nil {
		allocation, f := r.allocation(a)
		if f != nil {
			findings = append(findings, *f)
		}
		p.Allocation = allocation
		findings = append(findings, repeatedIn(a)...)
	}
	if len(findings) > 0 {
		return nil, findings
	}
	return p, nil
}

// ParseRange reads an entry of spec.addresses: a CIDR, whose host bits are
// dropped, or an inclusive range "first-last" of one family.
func ParseRange(text string) (netipx.IPRange, error) {
	const right = "write a CIDR (192.0.2.0/24, 2001:db8::/64; 192.0.2.1/32 for one address) or a range (192.0.2.10-192.0.2.20)"
	if first, last, ok := strings.Cut(text, "-"); ok {
		a, errA := netip.ParseAddr(strings.TrimSpace(first))
		b, errB := netip.ParseAddr(strings.TrimSpace(last))
		rng := netipx.IPRangeFrom(a, b)
		switch {
		case errA != nil || errB != nil || a.Zone() != "" || b.Zone() != "" || a.Is4In6() || b.Is4In6():
			return rng, fmt.Errorf("is not a range of addresses; %s", right)
		case a.Is4() != b.Is4():
			return rng, fmt.Errorf("runs from one address family to the other; %s", right)
		case !rng.IsValid():
			return rng, fmt.Errorf("ends before it begins; swap the two addresses")
		}
		return rng, nil
	}
	prefix, err := netip.ParsePrefix(strings.TrimSpace(text))
	if err != nil || prefix.Addr().Is4In6() {
		return netipx.IPRange{}, fmt.Errorf("is not a CIDR; %s", right)
	}
	return netipx.RangeOfPrefix(prefix.Masked()), nil
}

func (r *resolver) allocation(a *v1beta1.ServiceAllocation) (*Allocation, *Finding) {
	out := &Allocation{Priority: a.Priority, Namespaces: map[string]bool{}}
	out.Restricted = len(a.Namespaces) > 0 || len(a.NamespaceSelectors) > 0
	for _, name := range a.Namespaces {
		out.Namespaces[name] = true
	}
	var f *Finding
	if out.NamespaceSelectors, f = selectors(a.NamespaceSelectors, "spec.serviceAllocation.namespaceSelectors"); f != nil {
		return nil, f
	}
	for _, ns := range r.s.Namespaces {
		if len(out.NamespaceSelectors) > 0 && AnySelects(out.NamespaceSelectors, labels.Set(ns.Labels)) {
			out.Namespaces[ns.Name] = true
		}
	}
	out.ServiceSelectors, f = selectors(a.ServiceSelectors, "spec.serviceAllocation.serviceSelectors")
	return out, f
}

// repeatedIn finds what a serviceAllocation names more than once.
func repeatedIn(a *v1beta1.ServiceAllocation) []Finding {
	const field = "spec.serviceAllocation."
	findings := repeated(field+"namespaces", a.Namespaces)
	for _, list := range []struct {
		field     string
		selectors []metav1.LabelSelector
	}{{field + "namespaceSelectors", a.NamespaceSelectors}, {field + "serviceSelectors", a.ServiceSelectors}} {
		findings = append(findings, repeatedSelectors(list.field, list.selectors)...)
		findings = append(findings, repeatedExpressions(list.field, list.selectors)...)
		findings = append(findings, repeatedValues(list.field, list.selectors)...)
	}
	return findings
}

// claims are the address intervals that pools hold, sorted, never overlapping.
type claims []claim

type claim struct {
	rng  netipx.IPRange
	pool *Pool
}

// overlapping returns the claims that meet rng.
func (c claims) overlapping(rng netipx.IPRange) []claim {
	from, _ := slices.BinarySearchFunc(c, rng.From(), func(x claim, a netip.Addr) int { return x.rng.To().Compare(a) })
	to := from
	for to < len(c) && c[to].rng.From().Compare(rng.To()) <= 0 {
		to++
	}
	return c[from:to]
}

func (c *claims) insert(x claim) {
	at, _ := slices.BinarySearchFunc(*c, x.rng.From(), func(y claim, a netip.Addr) int { return y.rng.From().Compare(a) })
	*c = slices.Insert(*c, at, x)
}

// maxOverlaps is how many overlaps of one pool are told of: entries times what each of
// them meets is more than fits into memory.
const maxOverlaps = 1000

// claim leaves p what nobody older holds, and says what it lost to whom.
func (r *resolver) claim(taken *claims, p *Pool) {
	var kept []netipx.IPRange
	found := 0
	for i, rng := range p.Ranges {
		met := taken.overlapping(rng)
		parts := []netipx.IPRange{rng}
		for _, m := range met {
			if found++; found <= maxOverlaps {
				r.find(overlap(p, i, rng, m))
			}
			parts = subtract(parts, m.rng)
		}
		for _, part := range parts {
			taken.insert(claim{part, p})
		}
		kept = append(kept, parts...)
	}
	p.Ranges = kept
	if found > maxOverlaps {
		f := fault(PoolOverlap, "spec.addresses", "", "overlaps with %d more ranges that are already defined; take them out", found-maxOverlaps)
		f.Object = p.Ref()
		r.find(f)
	}
}

func overlap(p *Pool, i int, rng netipx.IPRange, m claim) Finding {
	owner := "IPAddressPool " + m.pool.Name
	if m.pool == p {
		owner = "this pool"
	}
	f := fault(PoolOverlap, index("spec.addresses", i), rangeText(rng),
		"overlaps with already defined CIDR %s of %s, which stays; the rest of this pool, if any, is in force; take the common addresses out of one of the two", rangeText(m.rng), owner)
	f.Object, f.Addresses = p.Ref(), common(rng, m.rng)
	return f
}

// common returns the addresses of two ranges that overlap which are in both.
func common(a, b netipx.IPRange) netipx.IPRange {
	from, to := a.From(), a.To()
	if from.Less(b.From()) {
		from = b.From()
	}
	if b.To().Less(to) {
		to = b.To()
	}
	return netipx.IPRangeFrom(from, to)
}

// rangeText writes a range as a CIDR where it is one.
func rangeText(r netipx.IPRange) string {
	if p, ok := r.Prefix(); ok {
		return p.String()
	}
	return r.String()
}

// subtract takes hole out of each of parts.
func subtract(parts []netipx.IPRange, hole netipx.IPRange) []netipx.IPRange {
	var out []netipx.IPRange
	for _, p := range parts {
		if !p.Overlaps(hole) {
			out = append(out, p)
			continue
		}
		if p.From().Less(hole.From()) {
			out = append(out, netipx.IPRangeFrom(p.From(), hole.From().Prev()))
		}
		if hole.To().Less(p.To()) {
			out = append(out, netipx.IPRangeFrom(hole.To().Next(), p.To()))
		}
	}
	return out
}
