// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"maps"
	"net/netip"
	"slices"

	"metallb.io/metallb-frr/pkg/intent"
)

// Announcement is an address that is announced in layer 2, as one node sees it.
// Order and Links are shared and never written.
type Announcement struct {
	Addr netip.Addr
	// Own: of the nodes in Order that are alive, this node is the best.
	Own bool
	// Order are the nodes that can announce the address, the best first,
	// whether they are alive or not; behind them those that would if they were
	// not out of service: one that has the address answers for it until another
	// one does.
	Order []string
	// Links are the interfaces to answer on, sorted; nil: all that can.
	Links []string
	// Held: some speaker has published that it announces the address. One that
	// nobody holds is claimed only after the network was asked for it and said
	// nothing.
	Held bool
}

// Alive is a set of nodes that are alive: their speakers are members, and what
// they announce is passed on. It does not change once made, so that
// two can be told apart by their pointers. Nil: every node is.
type Alive struct{ nodes map[string]bool }

// NewAlive returns the set of those nodes.
func NewAlive(nodes ...string) *Alive {
	a := &Alive{nodes: make(map[string]bool, len(nodes))}
	for _, n := range nodes {
		a.nodes[n] = true
	}
	return a
}

// Has reports whether a node is alive.
func (a *Alive) Has(node string) bool { return a == nil || a.nodes[node] }

// Equal reports whether both have the same nodes.
func (a *Alive) Equal(b *Alive) bool {
	return a == b || a != nil && b != nil && maps.Equal(a.nodes, b.nodes)
}

// Names returns the nodes, sorted; of nil, none.
func (a *Alive) Names() []string {
	if a == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(a.nodes))
}

// ReadyNodes returns the nodes that count as alive where no speaker knows the
// others: those that are Ready and whose speaker has published its links. A node
// without a speaker, or with one that has not started, announces nothing.
func ReadyNodes(c *intent.Config) *Alive {
	a := NewAlive()
	for _, n := range c.Nodes {
		if n.Ready && n.Links != nil {
			a.nodes[n.Name] = true
		}
	}
	return a
}

// Held is a set of addresses that some speaker has published to announce. It does
// not change once made, so that two can be told apart by their pointers. Nil: none.
type Held struct{ addrs layered[netip.Addr, bool] }

// With returns h with some addresses more and others less, at the cost of those.
func (h *Held) With(more, less []netip.Addr) *Held {
	out := &Held{}
	if h == nil {
		h = &Held{}
	}
	out.addrs = h.addrs.clone()
	for _, a := range less {
		out.addrs.set(a, false)
	}
	for _, a := range more {
		out.addrs.set(a, true)
	}
	return out
}

// Has reports whether some speaker announces an address.
func (h *Held) Has(addr netip.Addr) bool { return h != nil && h.addrs.get(addr) }
