// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"net/netip"
	"slices"
	"testing"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// oracle judges outcomes by counting addresses one by one.
type oracle struct {
	t        *testing.T
	step     int
	in       *intent.Intent
	assumed  map[intent.Key][]netip.Addr
	outcomes []Outcome
}

func (o *oracle) had(s *intent.Service) []netip.Addr {
	if a, ok := o.assumed[s.Key]; ok {
		return a
	}
	return s.Addresses
}

func (o *oracle) noAddressTwice() {
	holder := map[netip.Addr]intent.Key{}
	for i, out := range o.outcomes {
		if out.Service != o.in.Services[i].Key {
			o.t.Fatalf("step %d: outcome %d is of %s, want %s", o.step, i, out.Service, o.in.Services[i].Key)
		}
		for _, a := range out.Addresses {
			if other, taken := holder[a]; taken {
				o.t.Errorf("step %d: %s is given to %s and %s", o.step, a, other, out.Service)
			}
			holder[a] = out.Service
		}
	}
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
		lost := slices.ContainsFunc(o.had(s), func(a netip.Addr) bool { return !slices.Contains(out.Addresses, a) })
		if lost != (out.Cleared != "") {
			o.t.Errorf("step %d: %s had %v and has %v, cleared: %q", o.step, s.Key, o.had(s), out.Addresses, out.Cleared)
		}
		if changed := !slices.Equal(s.Addresses, out.Addresses) || s.AssignedPool != out.Pool; changed != out.Changed {
			o.t.Errorf("step %d: %s changed is %t", o.step, s.Key, out.Changed)
		}
	}
}

// nothingMoves: who has acceptable addresses and the oldest claim to each of
// them keeps them; who has one that it may keep and gets one of that family
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
			if claims && other != s && o.acceptable(other, o.had(other)) && !olderClaim(s, other) {
				oldest = false
			}
		}
		for _, a := range had {
			if oldest && !slices.Contains(o.outcomes[i].Addresses, a) {
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
		for _, b := range o.had(s) {
			alone = alone && (a == b || bgp.FamilyOf(a) != bgp.FamilyOf(b))
		}
		p := o.in.PoolOf(a)
		if !alone || p == nil || p.Name != out.Pool {
			continue
		}
		for _, b := range out.Addresses {
			if a != b && bgp.FamilyOf(a) == bgp.FamilyOf(b) && (s.Requested == nil || slices.Contains(s.Requested, a)) {
				o.t.Errorf("step %d: %s had %s, which it may keep, and has %v of the same pool", o.step, s.Key, a, out.Addresses)
			}
		}
	}
}

func olderClaim(a, b *intent.Service) bool {
	switch {
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
	held := map[netip.Addr]bool{}
	for _, out := range o.outcomes {
		for _, a := range out.Addresses {
			held[a] = true
		}
	}
	free := func(p *intent.Pool, f bgp.Family) bool {
		return slices.ContainsFunc(every(p), func(a netip.Addr) bool { return bgp.FamilyOf(a) == f && !held[a] })
	}
	for i, out := range o.outcomes {
		s := o.in.Services[i]
		want := s.Families
		switch {
		case s.Blocked != nil || len(want) == 0 || len(out.Addresses) == len(want) || len(want) == 1 && s.DualStack == require:
			continue
		case len(s.Requested) > 0:
			taken := slices.ContainsFunc(s.Requested, func(a netip.Addr) bool { return held[a] })
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
			now.Changed != was.Changed || now.Cleared != was.Cleared || now.Reason != was.Reason || now.Message != was.Message {
			o.t.Errorf("step %d, %s:\n got %+v\nwant %+v", o.step, when, now, was)
		}
	}
}
