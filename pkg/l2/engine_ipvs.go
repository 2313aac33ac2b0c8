// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"maps"
	"math/rand/v2"
	"time"
)

const (
	// sampleApart is between two questions whether other nodes' kernels answer,
	// each for one address of ours.
	sampleApart = time.Minute
	// sampleSoon is when the first is, after something became ours, and when one
	// is after a suspicion.
	sampleSoon = time.Second
	// sampleOpen is how long answers are waited for.
	sampleOpen = 500 * time.Millisecond
	// kernelFor is how long a node is believed to answer by its kernel after it
	// did.
	kernelFor = 5 * time.Minute
)

// check finds nodes whose kernels answer for addresses that their speakers do not
// announce: with kube-proxy in IPVS mode every node has every address, and
// without strictARP (arp_ignore=1, arp_announce=2) every kernel answers for it.
// Now and then all are asked for an address of ours: speakers are silent then.
type check struct {
	next  time.Time
	of    *address // asked for last
	after *address // to be asked for next; nil: any
	since time.Time
	nodes map[string]time.Time // that answered repeatedly, and when last
	maybe map[string]time.Time // that answered once
}

// suspected has an address of ours checked soon.
func (e *Engine) suspected(a *address) {
	e.check.after = a
	e.check.next = time.Now().Add(sampleSoon)
	e.kick()
}

// checking reports whether answers to the question for an address are waited for.
func (e *Engine) checking(a *address, now time.Time) bool {
	return e.check.of == a && !e.check.since.IsZero() && now.Sub(e.check.since) < sampleOpen
}

// answers: a node that does not come before ours answered for an address that is
// ours. It is told of when it does so again, to another question: a speaker that
// was cut off would have yielded by then.
func (e *Engine) answers(a *address, p *port, node string, mac MAC, now time.Time) {
	c := &e.check
	_, known := c.nodes[node]
	once, before := c.maybe[node]
	switch {
	case known:
		c.nodes[node] = now
	case before && now.Sub(once) >= sampleSoon:
		delete(c.maybe, node)
		c.nodes[node] = now
		e.report(Event{Kind: IPVSWithoutStrictARP, Addr: a.addr, Node: node, MAC: mac, Link: p.link.Name})
	case !before:
		c.maybe[node] = now
		e.suspected(a)
	}
}

// sample asks for an address of ours when it is time to, and returns when it is
// next.
func (e *Engine) sample(now time.Time) time.Time {
	c := &e.check
	switch {
	case len(e.owned) == 0:
		c.next, c.of, c.after = time.Time{}, nil, nil
		return c.next
	case c.next.IsZero():
		c.next = now.Add(sampleSoon)
	case c.next.After(now):
	default:
		old := func(_ string, at time.Time) bool { return now.Sub(at) > kernelFor }
		maps.DeleteFunc(c.nodes, old)
		maps.DeleteFunc(c.maybe, old)
		c.of, c.after, c.since = c.after, nil, now
		if c.of == nil || c.of.state != Owner {
			c.of = e.owned[rand.IntN(len(e.owned))]
		}
		for _, p := range c.of.ports {
			_ = p.wire.Ask(c.of.addr, MAC{}) // asked again in a minute
		}
		c.next = now.Add(sampleApart)
	}
	return c.next
}
