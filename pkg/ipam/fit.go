// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// refusal says why a Service does not get or keep addresses: what is wrong, and
// what would be right. Nil refuses nothing.
type refusal struct {
	reason       intent.Reason
	fact, advice string

	short *shelf // instead of all that: the pools that have not enough
}

func refuse(reason intent.Reason, fact, advice string) *refusal {
	return &refusal{reason: reason, fact: fact, advice: advice}
}

func (r *refusal) message() string {
	if r.advice == "" {
		return r.fact
	}
	return r.fact + "; " + r.advice
}

// keeps returns the pool by which s keeps all that it has, or nil and why not.
func (p *pass) keeps(s *intent.Service, held []netip.Addr) (*pool, *refusal) {
	if r := unfit(s); r != nil {
		return nil, r
	}
	if !enough(s, held) {
		return nil, &refusal{fact: fmt.Sprintf("the Service has %s and needs %s", join(held), needed(s))}
	}
	if len(s.Requested) > 0 && !slices.Equal(held, s.Requested) {
		return nil, &refusal{fact: fmt.Sprintf("the Service has %s and asks for %s", join(held), join(s.Requested))}
	}
	return p.fit(s, held)
}

// byPools reports whether r, of what a Service had, came of an edit of the pools.
// One of namespaces or of the Service's labels, with which a serviceAllocation
// does not select it any more, cannot be told from that.
func (r *refusal) byPools(s *intent.Service) bool {
	switch r.reason {
	case AddressNotInPool, AddressesInTwoPools, PoolNotAllowed:
		return true
	case PoolMismatch:
		return s.RequestedPool == s.AssignedPool // the address is in another pool now
	}
	return false
}

// unfit says why s can have no address, whatever the pools hold.
func unfit(s *intent.Service) *refusal {
	switch {
	case len(s.Families) == 0:
		return refuse(NoClusterIP, "the Service has no ClusterIP", "it gets addresses, of the ClusterIP's families, once it has one")
	case len(s.Families) == 1 && s.DualStack == corev1.IPFamilyPolicyRequireDualStack:
		return refuse(NotDualStack,
			fmt.Sprintf("Service requires dual stack but has an %s ClusterIP only: not enough clusterips for ipFamilyPolicy RequireDualStack", name(s.Families[0])),
			"give the cluster both families, or write PreferDualStack or SingleStack")
	}
	return nil
}

// fit returns the one pool that all of addrs are in, if s may use it.
func (p *pass) fit(s *intent.Service, addrs []netip.Addr) (*pool, *refusal) {
	var from *pool
	for _, a := range addrs {
		q := p.poolOf(a)
		switch {
		case q == nil:
			return nil, p.nowhere(a)
		case q.AvoidBuggyIPs && intent.Buggy(a):
			return nil, refuse(AddressNotInPool,
				fmt.Sprintf("%s is not allowed in config: IPAddressPool %s leaves out addresses that end in .0 or .255 (avoidBuggyIPs)", a, q.Name),
				"write another address, or set avoidBuggyIPs to false")
		case from != nil && q != from:
			return nil, refuse(AddressesInTwoPools,
				fmt.Sprintf("%s is in IPAddressPool %s and %s in %s, and a Service's addresses come from one pool", addrs[0], from.Name, a, q.Name),
				"write two addresses of one pool")
		}
		from = q
	}
	if s.RequestedPool != "" && s.RequestedPool != from.Name {
		return nil, refuse(PoolMismatch,
			fmt.Sprintf("IPAddressPool %s, which has %s, is not compatible with requested address pool %s", from.Name, join(addrs), s.RequestedPool),
			fmt.Sprintf("write addresses of %s, or take away one of the two annotations", s.RequestedPool))
	}
	if r := from.admits(s); r != nil {
		return nil, r
	}
	return from, nil
}

func (p *pass) nowhere(a netip.Addr) *refusal {
	r := &refusal{reason: AddressNotInPool, fact: fmt.Sprintf("%s is not allowed in config: it is in no accepted IPAddressPool", a)}
	if len(p.pools) == 0 {
		r.advice = "there is none: " + p.makePool()
	} else {
		r.advice = fmt.Sprintf("write an address of one of these, or add it to one: %s", poolNames(p.pools))
	}
	return r
}

// admits says why s may not use the pool.
func (p *pool) admits(s *intent.Service) *refusal {
	a := p.Allocation
	switch {
	case a == nil:
	case a.Restricted && !a.Namespaces[s.Key.Namespace]:
		return refuse(PoolNotAllowed,
			fmt.Sprintf("IPAddressPool %s is not for namespace %s: its serviceAllocation %s", p.Name, s.Key.Namespace, p.admitted()),
			"use another pool, "+p.letIn())
	case !intent.AnySelects(a.ServiceSelectors, s.Labels):
		return refuse(PoolNotAllowed,
			fmt.Sprintf("IPAddressPool %s is not for this Service: none of its serviceAllocation's serviceSelectors (%s) matches the Service's labels", p.Name, selectors(a.ServiceSelectors)),
			"use another pool, or label the Service so that one matches")
	}
	return nil
}

// admitted says which namespaces the pool, which is for some only, is for.
func (p *pool) admitted() string {
	a := p.Allocation
	switch {
	case len(a.Namespaces) == 0:
		return fmt.Sprintf("admits none: its namespaceSelectors (%s) match no namespace", selectors(a.NamespaceSelectors))
	case len(a.NamespaceSelectors) > 0:
		return fmt.Sprintf("admits %s (namespaceSelectors: %s)", list(slices.Sorted(maps.Keys(a.Namespaces))), selectors(a.NamespaceSelectors))
	}
	return "admits " + list(slices.Sorted(maps.Keys(a.Namespaces)))
}

// letIn says how the pool, which is for some namespaces only, admits another one.
func (p *pool) letIn() string {
	if len(p.Allocation.NamespaceSelectors) > 0 {
		return "label the namespace so that one of the namespaceSelectors matches, or add it to serviceAllocation.namespaces there"
	}
	return "or add the namespace to serviceAllocation.namespaces there"
}

// selectors writes which labels a pool is for.
func selectors(of []labels.Selector) string {
	words := make([]string, len(of))
	for i, s := range of {
		words[i] = s.String()
	}
	return strings.Join(words[:min(len(words), 10)], " or ")
}

// usable reports whether s may hold addr, were it not for others.
func (p *pass) usable(s *intent.Service, addr netip.Addr) bool {
	if len(s.Requested) > 0 && !slices.Contains(s.Requested, addr) || !slices.Contains(s.Families, bgp.FamilyOf(addr)) || p.poolOf(addr) == nil {
		return false
	}
	_, r := p.fit(s, []netip.Addr{addr})
	return r == nil
}

// ofFamilies reports whether addrs are one of each of the families, in order.
func ofFamilies(addrs []netip.Addr, families []bgp.Family) bool {
	return slices.EqualFunc(addrs, families, func(a netip.Addr, f bgp.Family) bool { return bgp.FamilyOf(a) == f })
}

// enough reports whether addrs are of the families that s is to have.
func enough(s *intent.Service, addrs []netip.Addr) bool {
	return ofFamilies(addrs, s.Families) || prefersDual(s) && len(addrs) == 1
}

// prefersDual reports whether s may have one address and should have two.
func prefersDual(s *intent.Service) bool {
	return len(s.Families) == 2 && s.DualStack == corev1.IPFamilyPolicyPreferDualStack
}

func name(f bgp.Family) string {
	if f == bgp.IPv4 {
		return "IPv4"
	}
	return "IPv6"
}

// needed says which addresses s is to have.
func needed(s *intent.Service) string {
	if len(s.Families) == 1 {
		return "one " + name(s.Families[0]) + " address, as its ClusterIP"
	}
	return "an IPv4 and an IPv6 address, as its ClusterIPs"
}

func join(addrs []netip.Addr) string {
	words := make([]string, len(addrs))
	for i, a := range addrs {
		words[i] = a.String()
	}
	return strings.Join(words, ",")
}

func poolNames(pools []*pool) string {
	words := make([]string, len(pools))
	for i, q := range pools {
		words[i] = q.Name
	}
	return list(words)
}

// list writes ten words and how many more there are.
func list(words []string) string {
	const most = 10
	if len(words) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
	}
	return strings.Join(words, ", ")
}
