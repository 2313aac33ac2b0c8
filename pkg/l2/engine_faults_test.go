// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// fault does something random to the cluster.
func (c *cluster) fault() {
	m := c.nodes[c.rng.IntN(len(c.nodes))]
	differ := slices.ContainsFunc(c.nodes, func(m *member) bool { return m.stale })
	switch kind := c.rng.IntN(8); {
	case kind == 0 && m.up:
		c.note("%s: power cut", m.name)
		m.up, m.own = false, map[netip.Addr]time.Time{}
		m.engine.Close()
	case kind <= 1 && !m.up:
		c.note("%s: starts", m.name)
		m.up = true
		m.sees = map[string]bool{m.name: true}
		m.orders, m.knows = maps.Clone(c.orders), maps.Clone(c.speakers)
		m.stale = false
		m.start()
		c.apply(m)
	case kind == 2:
		for _, o := range c.nodes {
			o.part = c.rng.IntN(3)
			c.note("%s: part %d of the membership", o.name, o.part)
		}
	case kind == 3:
		c.note("membership heals")
		for _, o := range c.nodes {
			o.part = 0
		}
	case kind == 4 && !differ:
		c.cut, c.cutSince = !c.cut, time.Now()
		for _, o := range c.nodes {
			o.segment = 0
			if c.cut {
				o.segment = c.rng.IntN(2)
			}
			if o.up {
				c.segment(o)
			}
			c.note("%s: segment %d of the LAN", o.name, o.segment)
		}
	case kind == 5:
		a := c.addrs[c.rng.IntN(len(c.addrs))]
		order := c.shuffled()
		c.orders[a] = order
		c.note("%v: order %v", a, order)
		for _, o := range c.nodes {
			c.learnOrders(o)
		}
	case kind == 7 && m.up && !c.cut:
		c.renew(m)
	case kind == 6 && !c.cut:
		m.stale = !m.stale
		c.note("%s: stale %v", m.name, m.stale)
		c.learnOrders(m)
	}
	c.learn()
}

// renew gives a node another MAC, which the others learn of later.
func (c *cluster) renew(m *member) {
	c.macs++
	old, renewed := m.links[0].MAC, mac(byte(200+c.macs%50))
	c.note("%s: MAC %v", m.name, renewed)
	delete(c.speakers, old)
	c.speakers[renewed] = m.name
	m.links = []Link{{Name: "eth0", MAC: renewed, ARP: true, NDP: true}}
	m.knows = maps.Clone(c.speakers)
	c.apply(m)
	for _, o := range c.nodes {
		if o != m {
			c.later(c.between(0, 800), func() {
				o.knows = maps.Clone(c.speakers)
				c.note("%s knows %s's MAC", o.name, m.name)
				c.apply(o)
			})
		}
	}
}

func (c *cluster) learnOrders(m *member) {
	if !m.stale {
		c.later(c.between(0, 300), func() {
			m.orders = maps.Clone(c.orders)
			c.apply(m)
		})
	}
}
