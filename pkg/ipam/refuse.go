// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

func (p *pass) unknownPool(asked string) *refusal {
	r := refuse(PoolNotFound, fmt.Sprintf("unknown pool %q: there is no such IPAddressPool", asked), "create it")
	if slices.Contains(p.notAccepted(), asked) {
		r = refuse(PoolNotFound, fmt.Sprintf("unknown pool %q: that IPAddressPool is not accepted", asked), "mend what its condition Accepted says")
	}
	if len(p.pools) > 0 {
		r.advice += ", or write one of these: " + poolNames(p.pools)
	}
	return r
}

// notAccepted returns the names of the pools of which nothing is in force because
// they are not valid.
func (p *pass) notAccepted() []string {
	if p.invalid != nil {
		return p.invalid
	}
	p.invalid = []string{}
	for i := range p.findings {
		f := &p.findings[i]
		if f.Severity == intent.Invalid && f.Object.Kind == v1beta1.KindIPAddressPool && p.poolNamed(f.Object.Name) == nil {
			p.invalid = append(p.invalid, f.Object.Name)
		}
	}
	slices.Sort(p.invalid)
	p.invalid = slices.Compact(p.invalid)
	return p.invalid
}

// makePool says what to do where there is no pool.
func (p *pass) makePool() string {
	if bad := p.notAccepted(); len(bad) > 0 {
		return "mend what is not valid, as the condition Accepted says: " + list(bad)
	}
	return "create one, with addresses that are yours to give, in namespace " + p.namespace
}

// noPool says why no pool gives s an address unasked.
func (p *pass) noPool(s *intent.Service) *refusal {
	if len(p.pools) == 0 {
		return refuse(NoPool, "no available IPs: there is no accepted IPAddressPool", p.makePool())
	}
	var words, manual []string
	var label string // what can be labelled so that a pool admits s
	for _, q := range p.pools {
		switch {
		case !q.AutoAssign:
			words = append(words, q.Name+" (autoAssign is false)")
			if q.admits(s) == nil {
				manual = append(manual, q.Name)
			}
		case q.Allocation.Restricted && !q.Allocation.Namespaces[s.Key.Namespace]:
			words = append(words, fmt.Sprintf("%s (its serviceAllocation is not for namespace %s, it %s)", q.Name, s.Key.Namespace, q.admitted()))
			if len(q.Allocation.NamespaceSelectors) > 0 {
				label = "namespace"
			}
		default:
			words = append(words, fmt.Sprintf("%s (no serviceSelector of its serviceAllocation matches the Service's labels: %s)", q.Name, selectors(q.Allocation.ServiceSelectors)))
			if label == "" {
				label = "Service"
			}
		}
	}
	advice := "create an IPAddressPool for it"
	if len(manual) > 0 {
		advice = "write one that it may ask for in the annotation metallb.io/address-pool (" + list(manual) + ")"
	}
	if label != "" {
		advice += ", label the " + label + " so that a selector matches"
	}
	advice += ", or change one of them"
	return refuse(NoPool, "no available IPs: no IPAddressPool gives this Service an address unasked: "+list(words),
		advice)
}

// exhausted says why none of the pools has what s needs.
func exhausted(s *intent.Service, pools []*pool) *refusal {
	r := &refusal{reason: FamilyNotInPool}
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
	r.fact, r.advice = "no available IPs: "+list(words), "add addresses to one of them"
	if len(pools) == 1 {
		r.fact = fmt.Sprintf("no available IPs in pool %s: %s", pools[0].Name, strings.TrimSuffix(strings.TrimPrefix(words[0], pools[0].Name+" ("), ")"))
		r.advice = "add addresses to it"
	}
	switch {
	case r.reason == NoFreeAddress:
		r.advice += ", or delete a Service that is not needed any more"
	case len(s.Families) == 2:
		r.advice = "the addresses come from one pool: " + r.advice + ", or set ipFamilyPolicy to PreferDualStack or SingleStack"
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
