// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// uses are what Services make of the advertisements, as far as it can be wrong.
type uses struct {
	each   []*use // by index of the Services
	combos map[string]counted
	parts  map[aggregate]map[intent.Key]bool // the value: Local
}

// use is what one Service makes.
type use struct {
	key   intent.Key
	local bool
	combo string // names pool and advertisements; empty: there is nothing to it
	of    combo
	parts []aggregate
}

type counted struct {
	combo combo
	n     int // Services that have it
}

// aggregate is a prefix shorter than an address, and the advertisement that
// makes it.
type aggregate struct {
	ad     *intent.BGPAdvertisement
	prefix netip.Prefix
}

// services makes the uses of in's Services out of prev's; nil: anew. It reports
// whether they differ.
func (f *field) services(prev *Checked, in *intent.Intent) (u uses, changed bool) {
	if !f.byService {
		return uses{}, false
	}
	u.each = make([]*use, len(in.Services))
	var was []*intent.Service
	if prev != nil {
		was, u.combos, u.parts = prev.in.Services, prev.uses.combos, prev.uses.parts
	}
	var gone, fresh []*use
	at := 0
	for i, s := range in.Services {
		for at < len(was) && was[at].Key.Compare(s.Key) < 0 {
			gone = append(gone, prev.uses.each[at])
			at++
		}
		var old *use
		if at < len(was) && was[at].Key == s.Key {
			old = prev.uses.each[at]
			at++
			if was[at-1] == s {
				u.each[i] = old
				continue
			}
		}
		now := f.use(s)
		if old.same(now) {
			u.each[i] = old
			continue
		}
		u.each[i] = now
		fresh = append(fresh, now)
		if old != nil {
			gone = append(gone, old)
		}
	}
	for ; at < len(was); at++ {
		gone = append(gone, prev.uses.each[at])
	}
	if len(gone)+len(fresh) > 0 {
		u.change(gone, fresh)
	}
	return u, len(gone)+len(fresh) > 0
}

func (u *use) same(o *use) bool {
	return u != nil && u.local == o.local && u.combo == o.combo && slices.Equal(u.parts, o.parts)
}

// use looks at one Service.
func (f *field) use(s *intent.Service) *use {
	u := &use{key: s.Key, local: s.Local}
	if len(s.Addresses) == 0 {
		return u
	}
	pool := f.config.PoolOf(s.Addresses[0])
	if pool == nil {
		return u
	}
	some := false
	for _, ad := range f.config.BGPAds {
		if ad.Pools != nil && !ad.Pools[pool.Name] || !intent.AnySelects(ad.ServiceSelectors, s.Labels) {
			continue
		}
		some = some || len(ad.ServiceSelectors) > 0
		u.of.ads = append(u.of.ads, ad)
		for _, addr := range s.Addresses {
			length := ad.Aggregation
			if bgp.FamilyOf(addr) == bgp.IPv6 {
				length = ad.AggregationV6
			}
			if length < addr.BitLen() {
				u.parts = append(u.parts, aggregate{ad, netip.PrefixFrom(addr, length).Masked()})
			}
		}
	}
	if some && len(u.of.ads) > 1 {
		u.of.pool = pool
		u.combo = pool.Name
		for _, ad := range u.of.ads {
			u.combo += "\n" + ad.Name
		}
	}
	return u
}

// change takes gone away and adds fresh, in copies: those before stay as they are.
func (u *uses) change(gone, fresh []*use) {
	combos, parts := maps.Clone(u.combos), maps.Clone(u.parts)
	if combos == nil {
		combos, parts = map[string]counted{}, map[aggregate]map[intent.Key]bool{}
	}
	count := func(one *use, n int) {
		if one.combo == "" {
			return
		}
		c := counted{one.of, combos[one.combo].n + n}
		if combos[one.combo] = c; c.n == 0 {
			delete(combos, one.combo)
		}
	}
	own := map[aggregate]bool{} // copied already
	edit := func(a aggregate) map[intent.Key]bool {
		if !own[a] {
			own[a] = true
			if parts[a] = maps.Clone(parts[a]); parts[a] == nil {
				parts[a] = map[intent.Key]bool{}
			}
		}
		return parts[a]
	}
	for _, one := range gone {
		count(one, -1)
		for _, a := range one.parts {
			delete(edit(a), one.key)
		}
	}
	for _, one := range fresh {
		count(one, 1)
		for _, a := range one.parts {
			edit(a)[one.key] = one.local
		}
	}
	for a := range own {
		if len(parts[a]) == 0 {
			delete(parts, a)
		}
	}
	u.combos, u.parts = combos, parts
}

// list returns the combinations that Services have.
func (u *uses) list() []combo {
	var out []combo
	for _, name := range slices.Sorted(maps.Keys(u.combos)) {
		out = append(out, u.combos[name].combo)
	}
	return out
}

// aggregates finds the Services with externalTrafficPolicy Local whose aggregate
// another Service makes, too: that one's nodes announce it as well, whether they
// have an endpoint of the first or not.
func (u *uses) aggregates() []intent.Finding {
	type shared struct {
		first []string
		n     int
	}
	at := map[*intent.BGPAdvertisement]shared{}
	for _, one := range u.each {
		if !one.local {
			continue
		}
		for i, a := range one.parts {
			again := slices.ContainsFunc(one.parts[:i], func(b aggregate) bool { return b.ad == a.ad && len(u.parts[b]) > 1 })
			if again || len(u.parts[a]) < 2 {
				continue
			}
			of := at[a.ad]
			if of.n++; of.n <= maxListed {
				of.first = append(of.first, one.key.String())
			}
			at[a.ad] = of
		}
	}
	var out []intent.Finding
	for ad, of := range at {
		out = append(out, intent.Finding{Object: ad.Ref(), Severity: intent.Warning, Reason: AggregateWithLocalPolicy, Field: aggregationField(ad),
			Message: fmt.Sprintf("traffic of %s, with externalTrafficPolicy Local, may be lost: every node with an endpoint of any Service in the same aggregate announces it, so that traffic reaches nodes without an endpoint of the right one; announce such Services by single addresses, or set externalTrafficPolicy Cluster", counting("Service", of.first, of.n))})
	}
	slices.SortFunc(out, func(a, b intent.Finding) int { return strings.Compare(a.Object.Name, b.Object.Name) })
	return out
}

func aggregationField(ad *intent.BGPAdvertisement) string {
	if ad.Aggregation < 32 {
		return "spec.aggregationLength"
	}
	return "spec.aggregationLengthV6"
}
