// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

func (p *pass) unknownPool(asked string) *refusal {
	r := refuse(PoolNotFound, fmt.Sprintf("unknown pool %q: there is no such IPAddressPool, or it is not accepted", asked), "create it")
	if len(p.pools) > 0 {
		r.advice += ", or write one of these: " + poolNames(p.pools)
	}
	return r
}

// noPool says why no pool gives s an address unasked.
func (p *pass) noPool(s *intent.Service) *refusal {
	if len(p.pools) == 0 {
		return refuse(NoPool, "no available IPs: there is no accepted IPAddressPool", "create one")
	}
	var words []string
	for _, q := range p.pools {
		switch {
		case !q.AutoAssign:
			words = append(words, q.Name+" (autoAssign is false)")
		case q.Allocation.Restricted && !q.Allocation.Namespaces[s.Key.Namespace]:
			words = append(words, fmt.Sprintf("%s (its serviceAllocation is not for namespace %s)", q.Name, s.Key.Namespace))
		default:
			words = append(words, q.Name+" (no serviceSelector of its serviceAllocation matches the Service's labels)")
		}
	}
	return refuse(NoPool, "no available IPs: no IPAddressPool gives this Service an address unasked: "+list(words),
		"name a pool in the annotation metallb.io/address-pool, or change one of them")
}

// exhausted says why none of the pools has what s needs.
func exhausted(s *intent.Service, pools []*pool) *refusal {
	r := &refusal{reason: FamilyNotInPool, advice: "add addresses to one of them"}
	var words []string
	for _, q := range pools {
		var short []string
		for _, f := range s.Families {
			if text := q.shortOf(f); text != "" {
				short = append(short, text)
			}
		}
		words = append(words, q.Name+" ("+strings.Join(short, ", ")+")")
		if q.offers(s) {
			r.reason = NoFreeAddress
		}
	}
	r.fact = "no available IPs: " + list(words)
	if len(pools) == 1 {
		r.fact = fmt.Sprintf("no available IPs in pool %s: %s", pools[0].Name, strings.TrimSuffix(strings.TrimPrefix(words[0], pools[0].Name+" ("), ")"))
		r.advice = "add addresses to it"
	}
	if s.Sharing != nil {
		r.fact += fmt.Sprintf("; no Service has one that this one can share with it (sharing key %q, the same externalTrafficPolicy, other ports)", s.Sharing.Key)
	}
	return r
}

// offers reports whether the pool has the families that s needs, taken or not.
func (p *pool) offers(s *intent.Service) bool {
	has := func(f bgp.Family) bool { return p.list(f).size() > 0 }
	for _, families := range wishes(s) {
		if !slices.ContainsFunc(families, func(f bgp.Family) bool { return !has(f) }) {
			return true
		}
	}
	return false
}

// shortOf says what keeps the pool from giving an address of family f; empty:
// nothing.
func (p *pool) shortOf(f bgp.Family) string {
	l := p.list(f)
	size := l.size()
	if size == 0 {
		return "it has no " + name(f) + " addresses"
	}
	if _, free := l.lowest(); free {
		return ""
	}
	if size == 1 {
		return fmt.Sprintf("its only %s address is assigned", name(f))
	}
	return fmt.Sprintf("all %d %s addresses are assigned", size, name(f))
}
