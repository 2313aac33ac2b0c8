// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"strings"

	"go4.org/netipx"

	"metallb.io/metallb-frr/pkg/intent"
)

// outside finds the pools with addresses that are announced in layer 2 and lie in
// no subnet of the nodes that can announce them. Of nodes whose links are not known
// nothing is said.
func outside(c *intent.Config) []intent.Finding {
	if len(c.L2Ads) == 0 {
		return nil
	}
	a := newArena(c)
	subnets := map[string]*netipx.IPSet{} // by advertisements; nil: not known
	var out []intent.Finding
	for _, p := range c.Pools {
		key := make([]byte, len(c.L2Ads))
		for i, ad := range c.L2Ads {
			if ad.Pools == nil || ad.Pools[p.Name] {
				key[i] = 1
			}
		}
		set, known := subnets[string(key)]
		if !known {
			set = a.reach(string(key))
			subnets[string(key)] = set
		}
		if set == nil {
			continue
		}
		if rest := beyond(p, set); len(rest) > 0 {
			out = append(out, intent.Finding{Object: p.Ref(), Severity: intent.Warning, Reason: AddressOutsideSubnets, Field: "spec.addresses", Value: rangesText(rest),
				Message: "is in no subnet of the nodes that announce the pool in layer 2, so nobody asks them for it by ARP or NDP, unless a router has a route that says so; give the pool addresses of the nodes' subnet, or announce it over BGP"})
		}
	}
	return out
}

// reach returns the addresses in the subnets of the nodes that a set of
// advertisements selects; nil: they select none, or not all is known.
func (a *arena) reach(key string) *netipx.IPSet {
	var b netipx.IPSetBuilder
	some := false
	for i, st := range a.contest(key).standings {
		if st.reason == NodeNotSelected {
			continue
		}
		if a.nodes[i].Links == nil {
			return nil
		}
		some = true
		for _, l := range a.nodes[i].Links {
			if !st.uses(l) {
				continue
			}
			for _, p := range l.Prefixes {
				if !linkLocal(p) {
					b.AddPrefix(p.Masked())
				}
			}
		}
	}
	set, err := b.IPSet()
	if !some || err != nil {
		return nil
	}
	return set
}

// beyond returns what of a pool is not in the set.
func beyond(p *intent.Pool, set *netipx.IPSet) []netipx.IPRange {
	var b netipx.IPSetBuilder
	for _, r := range p.Ranges {
		b.AddRange(r)
	}
	b.RemoveSet(set)
	rest, err := b.IPSet()
	if err != nil {
		return nil
	}
	return rest.Ranges()
}

func rangesText(ranges []netipx.IPRange) string {
	var texts []string
	for _, r := range ranges[:min(len(ranges), maxListed)] {
		if p, ok := r.Prefix(); ok {
			texts = append(texts, p.String())
		} else {
			texts = append(texts, r.String())
		}
	}
	if more := len(ranges) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("%d more", more))
	}
	return strings.Join(texts, ", ")
}
