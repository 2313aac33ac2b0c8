// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"net/netip"
	"slices"

	"metallb.io/metallb-frr/pkg/intent"
)

// seat is an address and who competes for it. It does not change once made.
//
// Several Services may share an address, and it still has one place: the Services
// that can be announced vote for the nodes that can announce them, and the nodes
// with the most votes stand first. So a node that serves all of them wins as long
// as there is one, whatever their selectors and traffic policies; where there is
// none, or none alive, the one that serves the most does. A Service without an
// endpoint has no vote: it would take the address from those that work.
type seat struct {
	addr     netip.Addr
	services []*intent.Service // that have the address, sorted by key
	hashed   []int32           // arena.hashed; nil: no Service is in a contest
	// contest is that of all who vote; nil: nobody does.
	contest *contest
	order   []string // the candidates, the best first, and then who is leaving
	leaving int      // how many are
	owner   string   // the first candidate that is alive; empty: none
}

// newSeat holds the election. hashed, where it is not nil, is what arena.hashed
// returns for the address.
func (a *arena) newSeat(addr netip.Addr, services []*intent.Service, hashed []int32) *seat {
	s := &seat{addr: addr, services: services, hashed: hashed}
	votes := make([]int, len(a.nodes))
	var contests []*contest
	for _, service := range services {
		c, _, _ := a.enter(service)
		if c == nil {
			continue
		}
		if s.hashed == nil {
			s.hashed = a.hashed(addr)
		}
		if !service.Serving {
			continue
		}
		voted := false
		for i := range votes {
			if a.serves(c, service, addr, i) {
				votes[i]++
				voted = true
			}
		}
		if voted {
			contests = append(contests, c)
		}
	}
	if len(contests) == 0 {
		return s
	}
	s.contest = a.union(contests)
	a.keepInside(s, votes)
	s.order = a.ranked(s, votes)
	for _, i := range s.hashed {
		if s.contest.standings[i].leaving {
			s.order = append(s.order, a.names[i])
			s.leaving++
		}
	}
	return s
}

// serves reports whether a node can announce an address for a Service of the
// contest.
func (a *arena) serves(c *contest, s *intent.Service, addr netip.Addr, node int) bool {
	st := &c.standings[node]
	return st.reason == "" && st.speaks(addr) && (!s.Local || s.ServingNodes[a.names[node]])
}

// keepInside takes their votes from the nodes that are known to be in other
// subnets than the address, if some candidate is in its subnet.
func (a *arena) keepInside(s *seat, votes []int) {
	var inside []bool
	found := false
	for _, net := range s.contest.subnets {
		if !net.prefix.Contains(s.addr) {
			continue
		}
		if inside == nil {
			inside = make([]bool, len(a.nodes))
		}
		for i, in := range net.nodes {
			inside[i] = inside[i] || in
			found = found || in && votes[i] > 0
		}
	}
	if !found {
		return
	}
	for i, n := range a.nodes {
		if n.Links != nil && !inside[i] {
			votes[i] = 0
		}
	}
}

// ranked returns the names of the nodes with votes: those with more first, then
// those with the higher score, then by hash.
func (a *arena) ranked(s *seat, votes []int) []string {
	candidates := make([]int32, 0, len(s.hashed))
	for _, i := range s.hashed {
		if votes[i] > 0 {
			candidates = append(candidates, i)
		}
	}
	slices.SortStableFunc(candidates, func(x, y int32) int {
		return cmp.Or(cmp.Compare(votes[y], votes[x]), cmp.Compare(s.contest.standings[y].score, s.contest.standings[x].score))
	})
	order := make([]string, len(candidates))
	for i, at := range candidates {
		order[i] = a.names[at]
	}
	return order
}

// settle returns the seat with the owner that it has while those nodes are alive:
// s itself where that is the same.
func (s *seat) settle(alive func(node string) bool) *seat {
	owner := ""
	if i := slices.IndexFunc(s.order[:len(s.order)-s.leaving], alive); i >= 0 {
		owner = s.order[i]
	}
	if owner == s.owner {
		return s
	}
	settled := *s
	settled.owner = owner
	return &settled
}
