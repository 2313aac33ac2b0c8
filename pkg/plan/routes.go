// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/intent"
)

// routes are what all Services together announce.
type routes struct {
	by layered[netip.Prefix, *joined]
	// uses counts the routes of each class that has any.
	uses map[*adSet]int
	// classes are those in use, numbered, sorted by name.
	classes []*Class
}

// joined is a prefix with those who make it: an aggregate has several, and
// belongs to the class of all the advertisements behind it.
type joined struct {
	set   *adSet
	parts []*contribution // sorted by Service
}

// join makes rs of before: what gone contributed is taken away, what fresh
// contributes is added. Both are sorted by Service. It returns the prefixes that
// this concerns. Its cost is theirs.
func (rs *routes) join(v *view, before routes, gone, fresh []*verdict) []netip.Prefix {
	more := map[netip.Prefix][]*contribution{}
	lost := map[*contribution]bool{}
	for _, verdict := range gone {
		for _, c := range verdict.routes {
			lost[c], more[c.prefix] = true, nil
		}
	}
	for _, verdict := range fresh {
		for _, c := range verdict.routes {
			more[c.prefix] = append(more[c.prefix], c)
		}
	}
	if len(more) == 0 && before.uses != nil {
		rs.by, rs.uses = before.by, before.uses
		return nil
	}
	rs.by, rs.uses = before.by.clone(), maps.Clone(before.uses)
	if rs.uses == nil {
		rs.uses = map[*adSet]int{}
	}
	for prefix, added := range more {
		rs.replace(v, prefix, added, lost)
	}
	if len(more) > layerLimit {
		rs.by = rs.by.merge()
	}
	return slices.Collect(maps.Keys(more))
}

// replace makes one prefix anew.
func (rs *routes) replace(v *view, prefix netip.Prefix, added []*contribution, lost map[*contribution]bool) {
	parts := added
	if was := rs.by.get(prefix); was != nil {
		parts = merge(was.parts, added, lost)
		rs.use(was.set, -1)
	}
	if len(parts) == 0 {
		rs.by.set(prefix, nil)
		return
	}
	now := &joined{v.union(parts), parts}
	rs.by.set(prefix, now)
	rs.use(now.set, 1)
}

func (rs *routes) use(set *adSet, n int) {
	if rs.uses[set] += n; rs.uses[set] == 0 {
		delete(rs.uses, set)
	}
}

// merge returns was without those lost and with those added, by Service.
func merge(was, added []*contribution, lost map[*contribution]bool) []*contribution {
	parts := make([]*contribution, 0, len(was)+len(added))
	for _, c := range was {
		for len(added) > 0 && added[0].service.Compare(c.service) < 0 {
			parts, added = append(parts, added[0]), added[1:]
		}
		if !lost[c] {
			parts = append(parts, c)
		}
	}
	return append(parts, added...)
}

// union returns the class of all the advertisements that make a prefix.
func (v *view) union(parts []*contribution) *adSet {
	sets := []*adSet{parts[0].set}
	for _, c := range parts[1:] {
		if !slices.Contains(sets, c.set) {
			sets = append(sets, c.set)
		}
	}
	if len(sets) == 1 {
		return sets[0]
	}
	var ads []*intent.BGPAdvertisement
	for _, s := range sets {
		ads = append(ads, s.class.Ads...)
	}
	slices.SortFunc(ads, func(x, y *intent.BGPAdvertisement) int { return strings.Compare(x.Name, y.Name) })
	return v.set(slices.Compact(ads), sets[0].class.Family)
}

// number gives the classes in use their numbers. It reports whether they are the
// same classes as in before, and then has the same pointers.
func (rs *routes) number(before *routes) (same bool) {
	if before.uses != nil && len(rs.uses) == len(before.uses) && !slices.ContainsFunc(before.classes, func(c *Class) bool { return !rs.inUse(c.Name) }) {
		rs.classes = before.classes
		return true
	}
	for set := range rs.uses {
		c := *set.class
		rs.classes = append(rs.classes, &c)
	}
	slices.SortFunc(rs.classes, func(a, b *Class) int { return strings.Compare(a.Name, b.Name) })
	number(rs.classes)
	return false
}

func (rs *routes) inUse(name string) bool {
	for set := range rs.uses {
		if set.class.Name == name {
			return true
		}
	}
	return false
}

// route returns the prefix as a Route of its class.
func (rs *routes) route(j *joined) *Route {
	at, _ := slices.BinarySearchFunc(rs.classes, j.set.class.Name, func(c *Class, name string) int { return strings.Compare(c.Name, name) })
	r := &Route{Prefix: j.parts[0].prefix, Class: rs.classes[at], Services: make([]intent.Key, 0, len(j.parts))}
	for _, c := range j.parts {
		r.Services = append(r.Services, c.service)
	}
	r.Services = slices.Compact(r.Services)
	return r
}
