// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"metallb.io/metallb-frr/pkg/plan"
)

// maxGone bounds the addresses that are not in the set any more and whose counts
// are kept.
const maxGone = 4096

// reconcile puts the set in force; the caller holds applying.
func (e *Engine) reconcile(d Desired) error {
	opened, errs := e.open(d.Links)
	e.mu.Lock()
	old := e.replacePorts(d.Links, opened)
	e.learn(d)
	e.setAnnouncements(d)
	wants := e.wants()
	// Nothing is sent about an address before what comes back is heard.
	e.holding = len(wants) > 0
	e.mu.Unlock()
	for _, p := range old {
		errs = append(errs, p.wire.Close())
	}
	for _, p := range opened {
		e.work.Go(func() { e.read(p) })
	}
	for p, w := range wants {
		if err := p.wire.Want(w); err != nil {
			errs = append(errs, e.failed(p.link, "listening on", err, false))
			e.mu.Lock()
			p.dirty = true
			e.mu.Unlock()
		}
	}
	e.mu.Lock()
	e.holding = false
	e.mu.Unlock()
	e.kick()
	return errors.Join(errs...)
}

// learn takes over whose MACs are whose. What was thought a stranger's may turn
// out to be a speaker's.
func (e *Engine) learn(d Desired) {
	old := e.facts.Load()
	if maps.Equal(old.speakers, d.Speakers) && e.ownKnown(old) {
		return
	}
	f := &facts{own: map[MAC]bool{}, speakers: d.Speakers, stations: map[string][]MAC{}}
	for _, p := range e.ports {
		f.own[p.link.MAC], f.own[p.wire.MAC()] = true, true
	}
	for mac, node := range d.Speakers {
		if node == e.opt.Node {
			f.own[mac] = true
		} else {
			f.stations[node] = append(f.stations[node], mac)
		}
	}
	for _, macs := range f.stations {
		slices.SortFunc(macs, func(a, b MAC) int { return slices.Compare(a[:], b[:]) })
	}
	e.facts.Store(f)
	for _, a := range *e.index.Load() {
		if a.stranger != (MAC{}) && (d.Speakers[a.stranger] != "" || f.own[a.stranger]) {
			e.recognise(a, f)
		}
	}
}

// ownKnown reports whether facts have the MACs of all ports and no more of them.
func (e *Engine) ownKnown(f *facts) bool {
	own := map[MAC]bool{}
	for _, p := range e.ports {
		own[p.link.MAC], own[p.wire.MAC()] = true, true
	}
	for mac, node := range f.speakers {
		if node == e.opt.Node {
			own[mac] = true
		}
	}
	return maps.Equal(own, f.own)
}

// setAnnouncements works out what changes, and changes it.
func (e *Engine) setAnnouncements(d Desired) {
	e.pass++
	index := *e.index.Load()
	var added map[netip.Addr]*address
	for i := range d.Announcements {
		n := &d.Announcements[i]
		a := index[n.Addr]
		if a == nil {
			a = &address{addr: n.Addr, stepPos: -1, sayPos: -1}
			if added == nil {
				added = map[netip.Addr]*address{}
			}
			added[n.Addr] = a
		}
		fresh := !a.present
		if fresh {
			a.present = true
			if added[n.Addr] == nil {
				e.gone--
			}
		}
		a.seen = e.pass
		if !fresh && a.linked == e.linked && same(&a.want, n) {
			continue
		}
		e.change(a, n, d.Since)
	}
	if added != nil {
		index = maps.Clone(index)
		maps.Copy(index, added)
	}
	e.sweep(index, added != nil)
}

// sweep stops what is not in the set any more.
func (e *Engine) sweep(index map[netip.Addr]*address, own bool) {
	for _, a := range index {
		if a.present && a.seen != e.pass {
			e.become(a, Idle)
			e.dirty(a.ports)
			*a.reset() = plan.Announcement{Addr: a.addr}
			e.gone++
		}
	}
	if e.gone > maxGone {
		if !own {
			index = maps.Clone(index)
			own = true
		}
		maps.DeleteFunc(index, func(_ netip.Addr, a *address) bool { return !a.present })
		e.gone = 0
	}
	if own {
		e.index.Store(&index)
	}
}

// reset forgets all but the counts, and returns the place of the announcement.
func (a *address) reset() *plan.Announcement {
	a.present, a.ports, a.linked, a.ours = false, nil, 0, false
	a.claimer, a.rivals, a.stranger, a.backoff = MAC{}, nil, MAC{}, 0
	return &a.want
}

// change makes an address follow its announcement.
func (e *Engine) change(a *address, n *plan.Announcement, since time.Time) {
	reordered := !equal(a.want.Order, n.Order)
	won := n.Own && !a.want.Own
	a.want = *n
	a.rank = slices.Index(n.Order, e.opt.Node)
	if a.rank < 0 {
		a.rank = len(n.Order)
	}
	moved := e.relink(a)
	if won {
		a.since = since
	}
	switch {
	case e.leaving != nil:
	case !n.Own:
		e.lose(a)
	case len(a.ports) == 0:
		a.stranger, a.backoff = MAC{}, 0 // it is news again when the links come back
		e.become(a, Idle)
	case a.state == Idle || a.state == Releasing:
		e.gain(a)
	case a.state == Asking && n.Held && a.stranger == (MAC{}):
		e.own(a, TakenOver)
	case a.state == Owner && moved:
		e.rewatch(a)
		e.announce(a, 0)
	case a.state == Owner && reordered:
		e.rewatch(a)
	case a.state == Yielded && reordered && !a.before(a.winnerNode):
		e.own(a, TakenOver)
	}
	e.kick()
}

// relink chooses an address's ports anew and reports whether there are some that
// it was not on before.
func (e *Engine) relink(a *address) bool {
	old := a.ports
	a.choice = e.choose(a.want)
	a.linked, a.ports = e.linked, *a.choice
	if slices.Equal(old, a.ports) {
		return false
	}
	e.dirty(old)
	e.dirty(a.ports)
	if a.answer.Load() != nil {
		a.answer.Store(a.choice)
	}
	return slices.ContainsFunc(a.ports, func(p *port) bool { return !slices.Contains(old, p) })
}

// choiceKey names the set of ports that an announcement wants.
func choiceKey(n plan.Announcement) string {
	family := "6"
	if n.Addr.Is4() {
		family = "4"
	}
	if n.Links == nil {
		return family
	}
	return family + "|" + strings.Join(n.Links, "|")
}
