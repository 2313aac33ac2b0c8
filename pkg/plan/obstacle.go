// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"net/netip"
	"slices"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
)

// Obstacle is why no node at all announces an address over one protocol. Where
// nodes have different reasons it is that of those that come nearest to announcing:
// the one to mend first.
type Obstacle struct {
	Reason intent.Reason // that of those nodes' Decisions; empty: there is no obstacle
	// Message says it in words, with the nodes that it holds on, ten by name.
	Message string
}

// Meant reports whether some advertisement of the protocol covers the Service, so
// that somebody expects it to be announced.
func (o Obstacle) Meant() bool {
	switch o.Reason {
	case NoAddress, AddressNotInPool, NoAdvertisement, ServiceNotSelected:
		return false
	}
	return true
}

// hurdles are the reasons of nodes in the order in which they are met on the way to
// announcing.
var hurdles = []intent.Reason{
	NoAddress, AddressNotInPool, NoAdvertisement, NodeNotSelected, ServiceNotSelected,
	NodeNetworkUnavailable, NodeExcluded, NodeDraining, NodeNotForwarding, NodeNotAlive,
	NoEndpoint, NoMatchingLink, NoLocalEndpoint, NoSession,
}

// stopped are the nodes that stop at one hurdle.
type stopped struct {
	nodes   []string // sorted
	message string   // of the first node's Decision
}

// nearest returns the last hurdle at which some node stops.
func nearest(by map[intent.Reason]*stopped) (intent.Reason, *stopped) {
	for _, reason := range slices.Backward(hurdles) {
		if s := by[reason]; s != nil {
			return reason, s
		}
	}
	return NodeNotSelected, &stopped{}
}

func stop(by map[intent.Reason]*stopped, reason intent.Reason, node, message string) {
	s := by[reason]
	if s == nil {
		s = &stopped{message: message}
		by[reason] = s
	}
	s.nodes = append(s.nodes, node)
}

// Why returns why no node announces the addresses of a family that the Service of
// that index has. It asks every node, and is for Services of which Reaches names
// no node that carries the family.
func (a *Announcers) Why(i int, f bgp.Family) Obstacle {
	s, of := a.in.Services[i], a.Reaches[i].of
	if of == nil {
		_, reason, message := (&arena{config: a.in.Config}).enter(s)
		return Obstacle{reason, message}
	}
	by := map[intent.Reason]*stopped{}
	for i := range of.outlets {
		o := &of.outlets[i]
		reason, ready := o.reason, o.reason == "" || o.reason == NoSession
		switch {
		case ready && !s.Serving:
			reason = NoEndpoint
		case ready && s.Local && !s.ServingNodes[o.node]:
			reason = NoLocalEndpoint
		case ready && len(o.peers(f)) == 0:
			reason = NoSession
		}
		stop(by, reason, o.node, o.message)
	}
	reason, at := nearest(by)
	pool := a.in.Config.PoolOf(s.Addresses[0]).Name
	text := at.message
	switch reason {
	case NodeNotSelected:
		text = fmt.Sprintf("the BGPAdvertisements of IPAddressPool %s select no node; correct their nodeSelectors", pool)
	case ServiceNotSelected:
		text = fmt.Sprintf("the BGPAdvertisements of IPAddressPool %s select other Services; correct their serviceSelectors or the Service's labels", pool)
	case NoSession:
		text = fmt.Sprintf("%s no BGP session that carries %s: no BGPPeer selects a node, none has the address family, or the advertisements name other peers", having(at.nodes), familyText(f))
	default:
		text = common(reason, at, text)
	}
	return Obstacle{reason, text}
}

// common is the text of the reasons that both protocols have.
func common(reason intent.Reason, at *stopped, text string) string {
	switch reason {
	case NodeNetworkUnavailable, NodeDraining:
		text += likewise(at.nodes)
	case NodeExcluded:
		text += likewise(at.nodes) + "; remove it to announce there"
	case NodeNotForwarding:
		text = fmt.Sprintf("%s not ready, or kube-proxy there is not; see the Nodes and kube-proxy there (healthz on port 10256)", being(at.nodes))
	case NodeNotAlive:
		text = fmt.Sprintf("%s not ready, or the speaker there has not reported; see the Pods of DaemonSet speaker there", being(at.nodes))
	case NoEndpoint:
		text = "no endpoint can serve; see the Pods that the Service selects"
	case NoLocalEndpoint:
		text = fmt.Sprintf("externalTrafficPolicy is Local, and no endpoint that can serve is on a node that could announce (%s)", named(at.nodes))
	}
	return text
}

func familyText(f bgp.Family) string {
	if f == bgp.IPv4 {
		return "IPv4"
	}
	return "IPv6"
}

// named names nodes, ten of them and a count.
func named(nodes []string) string {
	if len(nodes) == 1 {
		return "node " + nodes[0]
	}
	return listed("nodes", nodes)
}

// likewise names all but the first of nodes, which the text is about.
func likewise(nodes []string) string {
	if len(nodes) < 2 {
		return ""
	}
	return "; likewise " + named(nodes[1:])
}

func being(nodes []string) string {
	if len(nodes) == 1 {
		return named(nodes) + " is"
	}
	return named(nodes) + " are"
}

func having(nodes []string) string {
	if len(nodes) == 1 {
		return named(nodes) + " has"
	}
	return named(nodes) + " have"
}

// Candidates says which nodes could announce addresses in layer 2, as the nodes
// themselves know each other, for those who are no node. It does not hold the
// elections.
type Candidates struct {
	arena *arena
	alive *Alive
}

// NewCandidates returns those of a Config. prev, which may be nil, is used again
// where it is of the same one.
func NewCandidates(prev *Candidates, c *intent.Config) *Candidates {
	if prev != nil && prev.arena.config == c {
		return prev
	}
	return &Candidates{arena: newArena(c), alive: ReadyNodes(c)}
}

// Of returns the nodes, sorted, that can announce an address of a Service in layer
// 2; or, where there is none, why.
func (c *Candidates) Of(s *intent.Service, addr netip.Addr) ([]string, Obstacle) {
	contest, reason, message := c.arena.enter(s)
	if contest == nil {
		if reason == ServiceNotSelected {
			message += "; correct their serviceSelectors or the Service's labels"
		}
		return nil, Obstacle{reason, message}
	}
	var can []string
	by := map[intent.Reason]*stopped{}
	for i, n := range c.arena.nodes {
		if reason, message := c.ask(contest, i, s, addr); reason != "" {
			stop(by, reason, n.Name, message)
			continue
		}
		can = append(can, n.Name)
	}
	if len(can) > 0 {
		return can, Obstacle{}
	}
	reason, at := nearest(by)
	text := at.message
	switch reason {
	case NodeNotSelected:
		text = "the L2Advertisements that cover the Service select no node; correct their nodeSelectors"
	case NoMatchingLink:
		text += likewise(at.nodes)
	default:
		text = common(reason, at, text)
	}
	return nil, Obstacle{reason, text}
}

// ask asks what a node has against announcing an address.
func (c *Candidates) ask(contest *contest, i int, s *intent.Service, addr netip.Addr) (intent.Reason, string) {
	n, st := c.arena.nodes[i], &contest.standings[i]
	switch {
	case st.leaving:
		return st.reason, n.Leaving.Message
	case st.reason == NoMatchingLink && c.alive.Has(n.Name):
		return st.reason, linksText(n, st.links)
	case st.reason == NodeNotSelected:
		return st.reason, ""
	case !c.alive.Has(n.Name):
		return NodeNotAlive, ""
	case !s.Serving:
		return NoEndpoint, ""
	case s.Local && !s.ServingNodes[n.Name]:
		return NoLocalEndpoint, ""
	case !st.speaks(addr):
		return NoMatchingLink, fmt.Sprintf("no interface of node %s that can announce has an IPv6 link-local address", n.Name)
	}
	return "", ""
}
