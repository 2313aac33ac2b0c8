// SPDX-License-Identifier: Apache-2.0

package frr

import (
	"slices"
	"strings"
)

// setter makes the commands that set what is new or has another value.
type setter struct {
	*differ
	gone vanished
	out  []Command

	rules  map[string][]located // old entries of numbered lists, by list and rule
	places map[string]located   // headers that are typed with the first line in them

	// A route-map entry that denied and is to permit first gets what is new in
	// it, while it still denies: at no moment it permits everything.
	turning *located
	denying string // its header so far
}

// add types l unless it is in force.
func (s *setter) add(l located) {
	if s.turning != nil && (len(l.Node) == 0 || l.Node[0] != s.turning.Text) {
		s.turn()
	}
	if place(l.Line) {
		s.places[l.slot] = l
		return
	}
	w, ok := s.was[l.slot]
	switch {
	case ok && w.Text == l.Text, s.running && !ok && hidden(l.Text):
		return
	case s.running && strings.HasPrefix(l.Text, "hostname "):
		return // vtysh prints its own
	case ok && l.Opens && strings.HasPrefix(w.Text, "route-map ") && entryType(w.Text) == "deny" && entryType(l.Text) == "permit":
		s.turning, s.denying = &l, w.Text
		return
	}
	s.enter(l.Node)
	s.makeRoom(l)
	c := l.set()
	if s.turning != nil {
		c.Node = slices.Clone(c.Node)
		c.Node[0] = s.denying
	}
	s.out = append(s.out, c)
}

// turn makes the entry permit.
func (s *setter) turn() {
	if s.turning != nil {
		s.out = append(s.out, s.turning.set())
	}
	s.turning = nil
}

// enter types the headers of places on the way to node: one that FRR refuses
// takes what stands in it along.
func (s *setter) enter(node []string) {
	for i := range node {
		id := slotID(node[:i], node[i])
		if header, ok := s.places[id]; ok {
			s.out = append(s.out, header.set())
			delete(s.places, id)
		}
	}
}

// makeRoom takes away an entry that holds the same rule as l under another
// number: FRR would not say that it ignores l, and keep the old one.
func (s *setter) makeRoom(l located) {
	e, ok := listOf(l.Text)
	if !ok || e.twice || len(l.Node) > 0 {
		return
	}
	if w, ok := s.was[l.slot]; ok && w.Text != l.Text {
		if !e.round { // of an access-list FRR 10.3 would still count the old rule as there
			s.out = append(s.out, s.undo(w))
		}
		delete(s.was, l.slot)
	}
	if s.rules == nil {
		s.rules = map[string][]located{}
		for _, had := range s.had {
			if old, ok := listOf(had.Text); ok && len(had.Node) == 0 {
				s.rules[old.head+"\n"+old.rule] = append(s.rules[old.head+"\n"+old.rule], had)
			}
		}
	}
	for _, had := range s.rules[e.head+"\n"+e.rule] {
		is, still := s.is[had.slot]
		w, there := s.was[had.slot]
		if had.slot == l.slot || still && is.Text == had.Text || !there || w.Text != had.Text {
			continue
		}
		s.out = append(s.out, s.undo(had))
		delete(s.was, had.slot)
		delete(s.gone.slots, had.slot)
	}
}

// entryType returns "permit" or "deny" of a route-map entry's header.
func entryType(header string) string {
	words := strings.Fields(header)
	if len(words) < 4 {
		return ""
	}
	return words[2]
}
