// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// oracle judges outcomes by counting addresses one by one.
type oracle struct {
	t        *testing.T
	step     int
	now      time.Time
	in       *intent.Intent
	assumed  map[intent.Key][]netip.Addr
	outcomes []Outcome
}

func (o *oracle) had(s *intent.Service) []netip.Addr {
	if len(s.Addresses) == 0 {
		return o.assumed[s.Key]
	}
	return s.Addresses
}

func (o *oracle) noAddressTwice() {
	holders := map[netip.Addr][]*intent.Service{}
	for i, out := range o.outcomes {
		if out.Service != o.in.Services[i].Key {
			o.t.Fatalf("step %d: outcome %d is of %s, want %s", o.step, i, out.Service, o.in.Services[i].Key)
		}
		for _, a := range out.Addresses {
			for _, other := range holders[a] {
				if !mayShare(other, o.in.Services[i]) {
					o.t.Errorf("step %d: %s is given to %s and %s", o.step, a, other.Key, out.Service)
				}
			}
			holders[a] = append(holders[a], o.in.Services[i])
		}
	}
}

// mayShare is the contract's rule, word by word.
func mayShare(a, b *intent.Service) bool {
	if a.Sharing == nil || b.Sharing == nil || a.Sharing.Key == "" || a.Sharing.Key != b.Sharing.Key || a.Sharing.Backend != b.Sharing.Backend {
		return false
	}
	for _, p := range a.Sharing.Ports {
		if slices.Contains(b.Sharing.Ports, p) {
			return false
		}
	}
	return true
}

// acceptable reports whether s may hold exactly these addresses, others apart.
func (o *oracle) acceptable(s *intent.Service, addrs []netip.Addr) bool {
	var families []bgp.Family
	var from *intent.Pool
	for i, a := range addrs {
		p := o.in.PoolOf(a)
		if p == nil || i > 0 && p != from || !mayUse(s, p) {
			return false
		}
		from, families = p, append(families, bgp.FamilyOf(a))
	}
	if s.RequestedPool != "" && (from == nil || from.Name != s.RequestedPool) {
		return false
	}
	if s.Requested != nil && !slices.Equal(s.Requested, addrs) {
		return false
	}
	switch len(s.Families) {
	case 1:
		return s.DualStack != require && slices.Equal(families, s.Families)
	case 2:
		return slices.Equal(families, s.Families) || s.DualStack == prefer && len(families) == 1
	}
	return false
}

func mayUse(s *intent.Service, p *intent.Pool) bool {
	return p.Allocation == nil || (!p.Allocation.Restricted || p.Allocation.Namespaces[s.Key.Namespace]) &&
		intent.AnySelects(p.Allocation.ServiceSelectors, s.Labels)
}

func (o *oracle) allowed() {
	for i, out := range o.outcomes {
		s := o.in.Services[i]
		if len(out.Addresses) > 0 && (!o.acceptable(s, out.Addresses) || o.in.PoolOf(out.Addresses[0]).Name != out.Pool) {
			o.t.Errorf("step %d: %s may not have %v of %q", o.step, s.Key, out.Addresses, out.Pool)
		}
		if len(out.Addresses) == 0 && (out.Reason == "" || out.Message == "" || out.Pool != "") {
			o.t.Errorf("step %d: %s has no address and no reason: %+v", o.step, s.Key, out)
		}
		lost := slices.ContainsFunc(s.Addresses, func(a netip.Addr) bool { return !slices.Contains(out.Addresses, a) })
		if lost != (out.Cleared != "") {
			o.t.Errorf("step %d: %s had %v and has %v, cleared: %q", o.step, s.Key, s.Addresses, out.Addresses, out.Cleared)
		}
		if changed := !slices.Equal(s.Addresses, out.Addresses) || s.AssignedPool != out.Pool || s.SharedAs != out.SharedAs || !SameSets(s.Last, out.Remember); changed != out.Changed {
			o.t.Errorf("step %d: %s changed is %t", o.step, s.Key, out.Changed)
		}
		o.remembers(s, out)
	}
}

// remembers: what a Service lost because it is in no pool any more, and nothing
// that it has.
func (o *oracle) remembers(s *intent.Service, out Outcome) {
	for _, set := range out.Remember {
		if subset(set, out.Addresses) {
			o.t.Errorf("step %d: %s has %v and remembers %v", o.step, s.Key, out.Addresses, out.Remember)
		}
	}
	had := s.Addresses
	if len(s.Families) == 0 || len(s.Families) == 1 && s.DualStack == require || s.Requested != nil && !slices.Equal(s.Requested, had) ||
		!slices.EqualFunc(had, s.Families, func(a netip.Addr, f bgp.Family) bool { return bgp.FamilyOf(a) == f }) {
		return
	}
	for _, a := range had {
		has := func(set []netip.Addr) bool { return slices.Contains(set, a) }
		goesBack := slices.ContainsFunc(s.Last, func(set []netip.Addr) bool {
			return slices.ContainsFunc(set, func(b netip.Addr) bool { return slices.Contains(out.Addresses, b) })
		})
		others := slices.ContainsFunc(o.outcomes, func(other Outcome) bool {
			return other.Service != s.Key && slices.ContainsFunc(other.Addresses, func(b netip.Addr) bool { return slices.Contains(had, b) })
		})
		if o.in.PoolOf(a) == nil && len(out.Remember) < mostRemembered && !goesBack && !others && !slices.ContainsFunc(out.Remember, has) {
			o.t.Errorf("step %d: %s loses %s, which is in no pool: %+v, had %v, %+v", o.step, s.Key, a, s, had, out)
		}
	}
}

// movesBack reports whether what a Service gets is what it remembers, and it has
// what it has for ten minutes at most.
func (o *oracle) movesBack(s *intent.Service, out Outcome) bool {
	if s.AssignedSince.IsZero() || o.now.Sub(s.AssignedSince) > 10*time.Minute {
		return false
	}
	return slices.ContainsFunc(out.Addresses, func(a netip.Addr) bool { return inSets(s.Last, a) })
}

// nothingMoves: who has acceptable addresses and the oldest claim to each of
// them keeps them, or gets back others; who has one that it may keep and gets one of that family
// from the same pool gets that one.
func (o *oracle) nothingMoves() {
	for i, s := range o.in.Services {
		had := o.had(s)
		if !o.acceptable(s, had) {
			o.keepsWhatIsLeft(i)
			continue
		}
		oldest := true
		for _, other := range o.in.Services {
			claims := slices.ContainsFunc(o.had(other), func(a netip.Addr) bool { return slices.Contains(had, a) })
			if claims && other != s && !mayShare(s, other) && o.acceptable(other, o.had(other)) && !olderClaim(s, other) {
				oldest = false
			}
		}
		for _, a := range had {
			if oldest && !slices.Contains(o.outcomes[i].Addresses, a) && !o.movesBack(s, o.outcomes[i]) {
				o.t.Errorf("step %d: %s had %v and has %v", o.step, s.Key, had, o.outcomes[i].Addresses)
			}
		}
	}
}

func (o *oracle) keepsWhatIsLeft(i int) {
	s, out := o.in.Services[i], o.outcomes[i]
	for _, a := range o.had(s) {
		alone := true
		for _, other := range o.in.Services {
			alone = alone && (other == s || !slices.Contains(o.had(other), a))
		}
		for j, other := range o.in.Services { // whose turn is before
			alone = alone && (!slices.Contains(o.outcomes[j].Addresses, a) || !olderClaim(other, s))
		}
		for _, b := range o.had(s) {
			alone = alone && (a == b || bgp.FamilyOf(a) != bgp.FamilyOf(b))
		}
		p := o.in.PoolOf(a)
		if !alone || p == nil || p.Name != out.Pool {
			continue
		}
		for _, b := range out.Addresses {
			if a != b && bgp.FamilyOf(a) == bgp.FamilyOf(b) && !inSets(s.Last, b) && (s.Requested == nil || slices.Contains(s.Requested, a)) {
				o.t.Errorf("step %d: %s had %s, which it may keep, and has %v of the same pool", o.step, s.Key, a, out.Addresses)
			}
		}
	}
}

func olderClaim(a, b *intent.Service) bool {
	wasEdited := func(s *intent.Service) bool {
		return s.SharedAs != "" && (s.Sharing == nil || s.Sharing.Digest != s.SharedAs)
	}
	shows := func(s *intent.Service) bool { return len(s.Addresses) > 0 }
	switch {
	case shows(a) != shows(b):
		return shows(a)
	case wasEdited(a) != wasEdited(b):
		return wasEdited(b)
	case a.AssignedSince.IsZero() != b.AssignedSince.IsZero():
		return b.AssignedSince.IsZero()
	case !a.AssignedSince.Equal(b.AssignedSince):
		return a.AssignedSince.Before(b.AssignedSince)
	case !a.Created.Equal(b.Created):
		return a.Created.Before(b.Created)
	}
	return a.Key.Compare(b.Key) < 0
}

// nothingLeft: nobody waits for an address that is free.
func (o *oracle) nothingLeft() {
	held := map[netip.Addr][]*intent.Service{}
	for i, out := range o.outcomes {
		for _, a := range out.Addresses {
			held[a] = append(held[a], o.in.Services[i])
		}
	}
	for i, out := range o.outcomes {
		s := o.in.Services[i]
		takenFrom := func(a netip.Addr) bool {
			return slices.ContainsFunc(held[a], func(other *intent.Service) bool { return other != s && !mayShare(s, other) })
		}
		free := func(p *intent.Pool, f bgp.Family) bool {
			return slices.ContainsFunc(every(p), func(a netip.Addr) bool { return bgp.FamilyOf(a) == f && !takenFrom(a) })
		}
		want := s.Families
		switch {
		case s.Blocked != nil || len(want) == 0 || len(out.Addresses) == len(want) || len(want) == 1 && s.DualStack == require:
			continue
		case len(s.Requested) > 0:
			taken := slices.ContainsFunc(s.Requested, takenFrom)
			if o.acceptable(s, s.Requested) && slices.EqualFunc(s.Requested, want, func(a netip.Addr, f bgp.Family) bool { return bgp.FamilyOf(a) == f }) && !taken {
				o.t.Errorf("step %d: %s asks for %v, which is free: %s", o.step, s.Key, s.Requested, out.Message)
			}
			continue
		}
		for _, p := range o.in.Pools {
			if len(out.Addresses) > 0 && p.Name != out.Pool || !mayUse(s, p) || s.RequestedPool != "" && s.RequestedPool != p.Name || !p.AutoAssign && s.RequestedPool != p.Name {
				continue
			}
			v4, v6 := free(p, bgp.IPv4), free(p, bgp.IPv6)
			if len(out.Addresses) == 1 {
				v4, v6 = v4 || out.Addresses[0].Is4(), v6 || out.Addresses[0].Is6()
			}
			fits := (v4 || !slices.Contains(want, bgp.IPv4)) && (v6 || !slices.Contains(want, bgp.IPv6))
			if fits || len(out.Addresses) == 0 && s.DualStack == prefer && len(want) == 2 && (v4 || v6) {
				o.t.Errorf("step %d: %s has %v, and pool %s has free addresses: %s", o.step, s.Key, out.Addresses, p.Name, out.Message)
			}
		}
	}
}

// every lists the addresses that p gives out.
func every(p *intent.Pool) []netip.Addr {
	var out []netip.Addr
	for _, r := range p.Ranges {
		for a := r.From(); r.Contains(a); a = a.Next() {
			if p.Contains(a) {
				out = append(out, a)
			}
		}
	}
	return out
}

func (o *oracle) counted(usage map[string]Usage) {
	for _, p := range o.in.Pools {
		var want Usage
		for _, a := range every(p) {
			held := slices.ContainsFunc(o.outcomes, func(out Outcome) bool { return slices.Contains(out.Addresses, a) })
			switch {
			case held && a.Is4():
				want.AssignedIPv4++
			case held:
				want.AssignedIPv6++
			case a.Is4():
				want.AvailableIPv4++
			default:
				want.AvailableIPv6++
			}
		}
		if usage[p.Name] != want {
			o.t.Errorf("step %d: usage of %s is %+v, want %+v", o.step, p.Name, usage[p.Name], want)
		}
	}
	if len(usage) != len(o.in.Pools) {
		o.t.Errorf("step %d: usage of %d pools, want %d", o.step, len(usage), len(o.in.Pools))
	}
}

// same compares with the outcomes of another call; settled: nothing is to be
// written any more.
func (o *oracle) same(when string, again []Outcome, settled bool) {
	for i, was := range o.outcomes {
		now := again[i]
		if settled {
			was.Changed, was.Cleared = false, ""
		}
		if now.Service != was.Service || !slices.Equal(now.Addresses, was.Addresses) || now.Pool != was.Pool ||
			now.Changed != was.Changed || now.Cleared != was.Cleared || !SameSets(now.Remember, was.Remember) || now.SharedAs != was.SharedAs || now.Reason != was.Reason || now.Message != was.Message {
			o.t.Errorf("step %d, %s:\n got %+v\nwant %+v", o.step, when, now, was)
		}
	}
}

func inSets(sets [][]netip.Addr, a netip.Addr) bool {
	return slices.ContainsFunc(sets, func(set []netip.Addr) bool { return slices.Contains(set, a) })
}
