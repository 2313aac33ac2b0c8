// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"metallb.io/metallb-frr/pkg/intent"
)

// decide asks the questions that stand between a Service and its announcement in
// layer 2, in the order in which an operator would.
func (e *elections) decide(s *intent.Service) Decision {
	d := Decision{Service: s.Key, Protocol: "layer2"}
	c, reason, message := e.arena.enter(s)
	if c == nil {
		d.Reason, d.Message = reason, message
		return d
	}
	e.askSelf(c, s, &d)
	if d.Reason != "" {
		if own := e.ownedBy(s); len(own) > 0 {
			d.Message += fmt.Sprintf("; the node announces %s for %s, at the same address", joinAddrs(own), e.sharers(s, own))
		}
		return d
	}
	var others []string
	for _, addr := range s.Addresses {
		seat := e.seat(addr)
		if seat.owner == e.facts.Name && c.standings[e.self].speaks(addr) {
			d.Addresses = append(d.Addresses, addr)
			continue
		}
		reason, message := e.askSeat(seat, c, s)
		if d.Reason == "" {
			d.Reason = reason
		}
		others = append(others, message)
	}
	d.Message = strings.Join(others, "; ")
	if d.Announce = len(d.Addresses) > 0; d.Announce {
		d.Reason = ""
	}
	return d
}

// askSelf asks what the node and its endpoints have against announcing.
func (e *elections) askSelf(c *contest, s *intent.Service, d *Decision) {
	name := e.facts.Name
	d.Reason = NodeNotSelected
	if e.self >= 0 {
		d.Reason = c.standings[e.self].reason
	}
	switch {
	case d.Reason == NodeNotSelected:
		d.Message = fmt.Sprintf("no L2Advertisement that covers the Service selects node %s", name)
	case d.Reason == NoMatchingLink:
		d.Links, d.Assigned = c.standings[e.self].links, e.assigned(c, s)
		d.Message = linksText(e.arena.nodes[e.self], c.standings[e.self].links)
	case d.Reason != "":
		d.Message = e.arena.nodes[e.self].Leaving.Message
	case !e.facts.Forwarding:
		d.Reason, d.Message = NodeNotForwarding, fmt.Sprintf("kube-proxy on node %s is not ready", name)
	case !s.Serving:
		d.Reason, d.Message = NoEndpoint, "no endpoint can serve"
	case s.Local && !s.ServingNodes[name]:
		d.Reason, d.Message = NoLocalEndpoint, fmt.Sprintf("externalTrafficPolicy is Local and no endpoint on node %s can serve", name)
	}
}

// assigned reports whether the node is the one to tell that it has no interface for
// a Service: the first alive of those without.
func (e *elections) assigned(c *contest, s *intent.Service) bool {
	for _, i := range e.seat(s.Addresses[0]).hashed {
		if c.standings[i].reason == NoMatchingLink && e.alive(e.arena.names[i]) {
			return int(i) == e.self
		}
	}
	return false
}

func linksText(n *intent.Node, wanted []string) string {
	if len(n.Links) == 0 {
		return fmt.Sprintf("node %s has no interface that can announce", n.Name)
	}
	have := make([]string, len(n.Links))
	for i, l := range n.Links {
		have[i] = l.Name
	}
	return fmt.Sprintf("node %s has none of the interfaces that the L2Advertisements name (%s); it has %s", n.Name, strings.Join(wanted, ", "), strings.Join(have, ", "))
}

// askSeat says why an address that the node could announce is not its own.
func (e *elections) askSeat(seat *seat, c *contest, s *intent.Service) (intent.Reason, string) {
	name := e.facts.Name
	switch {
	case !c.standings[e.self].speaks(seat.addr):
		return NoMatchingLink, fmt.Sprintf("no interface of node %s that can announce has an IPv6 link-local address", name) + e.instead(seat, s)
	case !slices.Contains(seat.order, name):
		return NodeOutsideSubnet, fmt.Sprintf("no subnet of node %s holds %s, and one of node %s does", name, seat.addr, e.insider(seat))
	case !e.alive(name):
		return NodeNotAlive, fmt.Sprintf("the speaker of node %s does not count as alive, so others announce %s", name, seat.addr)
	case !e.arena.serves(c, s, seat.addr, e.arena.at(seat.owner)):
		return OwnerServesOthers, fmt.Sprintf("node %s announces %s for %s and cannot announce this Service; give Services that share an address the same externalTrafficPolicy and L2Advertisements", seat.owner, seat.addr, e.sharers(s, []netip.Addr{seat.addr}))
	}
	return NotOwner, fmt.Sprintf("node %s announces %s", seat.owner, seat.addr)
}

// instead says, behind why the node cannot announce an address for a Service, who
// does.
func (e *elections) instead(seat *seat, s *intent.Service) string {
	switch seat.owner {
	case "":
		return ""
	case e.facts.Name:
		return fmt.Sprintf("; the node announces %s for %s, with other interfaces", seat.addr, e.sharers(s, []netip.Addr{seat.addr}))
	}
	return fmt.Sprintf("; node %s announces %s", seat.owner, seat.addr)
}

// insider returns the best candidate that is known to be in the address's subnet.
func (e *elections) insider(seat *seat) string {
	for _, name := range seat.order {
		if e.arena.nodes[e.arena.at(name)].Links != nil {
			return name
		}
	}
	return ""
}

// ownedBy returns those addresses of a Service that the node announces.
func (e *elections) ownedBy(s *intent.Service) []netip.Addr {
	var own []netip.Addr
	for _, addr := range s.Addresses {
		if seat := e.seat(addr); seat.owner == e.facts.Name && e.facts.Name != "" {
			own = append(own, addr)
		}
	}
	return own
}

// sharers names the other Services that have one of the addresses.
func (e *elections) sharers(s *intent.Service, addrs []netip.Addr) string {
	var names []string
	for _, addr := range addrs {
		for _, other := range e.seat(addr).services {
			if other.Key != s.Key {
				names = append(names, other.Key.String())
			}
		}
	}
	slices.Sort(names)
	return listed("Service", slices.Compact(names))
}
