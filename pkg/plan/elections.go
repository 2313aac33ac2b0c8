// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"maps"
	"net/netip"
	"slices"

	"metallb.io/metallb-frr/pkg/intent"
)

// elections are all seats, as one node sees them, and what it makes of them.
type elections struct {
	arena    *arena
	services []*intent.Service
	facts    NodeFacts
	self     int // the node's index in arena.nodes; -1: no advertisement selects it
	seats    []*seat
	// decisions are one per Service in their order, announcements one per seat
	// that has a candidate.
	decisions     []Decision
	announcements []Announcement

	made, from  *mark
	gone, fresh []Decision // against those that they were made from
}

// elect holds all elections. prev, which may be nil, are those before: what does
// not depend on anything that changed is taken from there.
func elect(prev *elections, in *intent.Intent, facts NodeFacts) *elections {
	e := &elections{services: in.Services, facts: facts, made: new(mark)}
	if len(in.L2Ads) == 0 {
		e.arena = &arena{config: in.Config}
		return e
	}
	if prev == nil || prev.arena.config != in.Config || !e.sameSelf(prev) {
		e.arena = newArena(in.Config)
		e.self = e.arena.at(facts.Name)
		e.anew(prev)
		return e
	}
	e.arena, e.self, e.from = prev.arena, prev.self, prev.made
	e.follow(prev)
	return e
}

// alive reports whether a node counts as alive. One that does not forward knows
// this of itself.
func (e *elections) alive(node string) bool {
	return e.facts.Alive.Has(node) && (node != e.facts.Name || e.facts.Forwarding)
}

// sameSelf reports whether the node knows the same of itself as in prev.
func (e *elections) sameSelf(prev *elections) bool {
	name := e.facts.Name
	return prev.facts.Name == name && prev.facts.Forwarding == e.facts.Forwarding && prev.alive(name) == e.alive(name)
}

// anew holds every election. From prev it takes what depends on names only.
func (e *elections) anew(prev *elections) {
	by := map[netip.Addr][]*intent.Service{}
	for _, s := range e.services {
		for _, a := range s.Addresses {
			by[a] = append(by[a], s)
		}
	}
	if prev != nil && !slices.Equal(prev.arena.names, e.arena.names) {
		prev = nil
	}
	e.seats = make([]*seat, 0, len(by))
	for _, addr := range slices.SortedFunc(maps.Keys(by), netip.Addr.Compare) {
		var hashed []int32
		if was := prev.seat(addr); was != nil {
			hashed = was.hashed
		}
		e.seats = append(e.seats, e.arena.newSeat(addr, by[addr], hashed).settle(e.alive))
	}
	e.announce(nil, nil)
	e.decisions = make([]Decision, len(e.services))
	for i, s := range e.services {
		e.decisions[i] = e.decide(s)
	}
}

// seat returns that of an address, or nil.
func (e *elections) seat(addr netip.Addr) *seat {
	if e == nil {
		return nil
	}
	i, found := slices.BinarySearchFunc(e.seats, addr, func(s *seat, a netip.Addr) int { return s.addr.Compare(a) })
	if !found {
		return nil
	}
	return e.seats[i]
}

// follow holds those elections of prev again that something has changed for.
func (e *elections) follow(prev *elections) {
	var gone, fresh []int
	e.decisions, gone, fresh = carry(prev.services, e.services, prev.decisions)
	touched := map[netip.Addr]*seat{} // as they are now; nil: not there
	e.contend(prev, gone, fresh, touched)
	e.seats = prev.seats
	if len(touched) > 0 {
		e.seats = replaced(prev.seats, touched)
	}
	if !e.facts.Alive.Equal(prev.facts.Alive) {
		e.succeed(touched)
	}
	e.announce(prev, touched)
	e.revise(prev, gone, fresh, touched)
}

// contend makes the seats anew that Services came to or went from.
func (e *elections) contend(prev *elections, gone, fresh []int, touched map[netip.Addr]*seat) {
	lost := map[*intent.Service]bool{}
	more := map[netip.Addr][]*intent.Service{}
	for _, i := range gone {
		lost[prev.services[i]] = true
		for _, a := range prev.services[i].Addresses {
			more[a] = nil
		}
	}
	for _, i := range fresh {
		for _, a := range e.services[i].Addresses {
			more[a] = append(more[a], e.services[i])
		}
	}
	for addr, services := range more {
		var hashed []int32
		if was := prev.seat(addr); was != nil {
			hashed = was.hashed
			for _, s := range was.services {
				if !lost[s] {
					services = append(services, s)
				}
			}
		}
		if len(services) == 0 {
			touched[addr] = nil
			continue
		}
		slices.SortFunc(services, func(a, b *intent.Service) int { return a.Key.Compare(b.Key) })
		touched[addr] = e.arena.newSeat(addr, services, hashed).settle(e.alive)
	}
}

// replaced returns seats with the touched ones as they are now.
func replaced(seats []*seat, touched map[netip.Addr]*seat) []*seat {
	out := make([]*seat, 0, len(seats)+len(touched))
	addrs := slices.SortedFunc(maps.Keys(touched), netip.Addr.Compare)
	for _, s := range seats {
		for len(addrs) > 0 && addrs[0].Compare(s.addr) < 0 {
			if now := touched[addrs[0]]; now != nil {
				out = append(out, now)
			}
			addrs = addrs[1:]
		}
		if len(addrs) == 0 || addrs[0] != s.addr {
			out = append(out, s)
		}
	}
	for _, a := range addrs {
		if now := touched[a]; now != nil {
			out = append(out, now)
		}
	}
	return out
}

// succeed gives every seat the owner that it has among those who are alive now,
// and notes which have another one.
func (e *elections) succeed(touched map[netip.Addr]*seat) {
	var seats []*seat
	for i, s := range e.seats {
		now := s.settle(e.alive)
		if now == s {
			continue
		}
		if seats == nil {
			seats = slices.Clone(e.seats)
		}
		seats[i], touched[s.addr] = now, now
	}
	if seats != nil {
		e.seats = seats
	}
}

// announce lists what the seats come to on the node. What was not touched is as
// in prev, which may be nil.
func (e *elections) announce(prev *elections, touched map[netip.Addr]*seat) {
	var before []Announcement
	if prev != nil {
		if len(touched) == 0 && prev.facts.Held == e.facts.Held {
			e.announcements = prev.announcements
			return
		}
		before = prev.announcements
	}
	e.announcements = make([]Announcement, 0, len(e.seats))
	for _, s := range e.seats {
		if len(s.order) == 0 {
			continue
		}
		for len(before) > 0 && before[0].Addr.Compare(s.addr) < 0 {
			before = before[1:]
		}
		if _, new := touched[s.addr]; !new && len(before) > 0 && before[0].Addr == s.addr {
			a := before[0]
			a.Held = e.held(s.addr, prev, a.Held)
			e.announcements = append(e.announcements, a)
			continue
		}
		a := Announcement{Addr: s.addr, Own: e.self >= 0 && s.owner == e.facts.Name, Order: s.order, Held: e.facts.Held.Has(s.addr)}
		if e.self >= 0 {
			a.Links = s.contest.standings[e.self].links
		}
		e.announcements = append(e.announcements, a)
	}
}

// held says whether an address is held, was being what prev knew.
func (e *elections) held(addr netip.Addr, prev *elections, was bool) bool {
	if prev.facts.Held == e.facts.Held {
		return was
	}
	return e.facts.Held.Has(addr)
}

// revise decides anew about the Services that came, about those that have a touched
// seat, and, where other nodes are alive, about those that no link of the node is for.
func (e *elections) revise(prev *elections, gone, fresh []int, touched map[netip.Addr]*seat) {
	again := map[int]bool{}
	for _, i := range fresh {
		again[i] = true
	}
	was := slices.Clone(gone)
	for _, s := range touched {
		if s == nil {
			continue
		}
		for _, service := range s.services {
			i, _ := find(e.services, service.Key)
			again[i] = true
		}
	}
	if !e.facts.Alive.Equal(prev.facts.Alive) {
		for i := range e.decisions { // another node may be the one assigned
			if e.decisions[i].Reason == NoMatchingLink {
				again[i] = true
			}
		}
	}
	is := make([]int, 0, len(again))
	for i := range again {
		d := e.decide(e.services[i])
		if old := e.decisions[i]; old.Protocol != "" {
			if old.equal(d) {
				continue
			}
			at, _ := find(prev.services, d.Service)
			was = append(was, at)
		}
		e.decisions[i] = d
		is = append(is, i)
	}
	e.gone, e.fresh = pick(prev.decisions, was), pick(e.decisions, is)
}

func find(services []*intent.Service, key intent.Key) (int, bool) {
	return slices.BinarySearchFunc(services, key, func(s *intent.Service, k intent.Key) int { return s.Key.Compare(k) })
}

// pick returns the decisions of those indices, sorted.
func pick(decisions []Decision, indices []int) []Decision {
	slices.Sort(indices)
	out := make([]Decision, len(indices))
	for i, at := range indices {
		out[i] = decisions[at]
	}
	return out
}

func (d *Decision) equal(o Decision) bool {
	return d.Announce == o.Announce && d.Reason == o.Reason && d.Message == o.Message && d.Assigned == o.Assigned && slices.Equal(d.Addresses, o.Addresses)
}
