// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"slices"
	"time"
)

const (
	// defendSoon and defendApart are how long after a defence against a speaker
	// another may follow: as long as the conflict has lasted, between these two. So
	// one who goes on for a moment, until it is told that the address is not its
	// own any more, does not have the last word with the neighbours for longer than
	// for another such moment.
	defendSoon  = 25 * time.Millisecond
	defendApart = 200 * time.Millisecond
	// strangerApart is between two defences against a station that is no
	// speaker's (RFC 5227 section 2.4, DEFEND_INTERVAL).
	strangerApart = 10 * time.Second
	// quarrel is how long after the last claim of a rival its next one belongs to
	// the same conflict.
	quarrel = 2 * time.Second
	// lockTime is for how long a neighbour keeps what it was told last, whoever says
	// otherwise (Linux: neigh/default/locktime).
	lockTime = time.Second
	// maxRivals bounds the rivals of one address that are told apart.
	maxRivals = 4
	// patienceShort and patienceLong are how long an address is defended against
	// one who goes on claiming it and does not yield: short by the station with
	// the higher MAC, so that of two who do not agree who comes first one ends
	// it.
	patienceShort = 450 * time.Millisecond
	patienceLong  = 750 * time.Millisecond
)

// defence returns the times of the rounds that defend an address, the first at 0
// left out: some soon, so that a neighbour who heard the other last is put right,
// and one who does not know us as a speaker sees that we mean it.
func defence(then []time.Duration) []time.Duration {
	return append([]time.Duration{200 * time.Millisecond, 500 * time.Millisecond, 800 * time.Millisecond}, then...)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// claim takes in that another station says that it has an address.
func (e *Engine) claim(a *address, p *port, m Message) {
	now := time.Now()
	node, speaker := e.facts.Load().speakers[m.MAC]
	if m.Gratuitous {
		a.claimer, a.claimed = m.MAC, now
	}
	if w := e.winners[m.MAC]; w != nil {
		w.silent, w.asked = time.Time{}, 0
	}
	switch a.state {
	case Idle:
	case Asking, Foreign:
		e.claimAsking(a, p, m, node, speaker)
	case Owner:
		e.claimOwner(a, p, m, node, speaker, now)
	case Releasing:
		if _, kernel := e.check.nodes[node]; m.Gratuitous || speaker && !kernel {
			e.claimReleasing(a, m, now)
		}
	case Yielded:
		switch {
		case m.MAC == a.winner:
			a.asked, a.misses = false, 0
		case m.Gratuitous && speaker && a.before(node):
			e.yield(a, p, m.MAC, node)
		}
	}
	e.kick()
}

// claimAsking: somebody has the address that we ask for.
func (e *Engine) claimAsking(a *address, p *port, m Message, node string, speaker bool) {
	switch {
	case !speaker && a.state == Foreign:
	case !speaker:
		e.foreign(a, p, m.MAC)
	case !m.Gratuitous:
		// A speaker that owned it would have said so unasked when it took it. It
		// may be the node's kernel that answers; the speaker, if it has it, will
		// contest ours.
		a.suspect = true
	case a.before(node):
		e.yield(a, p, m.MAC, node)
	default:
		e.own(a, TakenOver)
	}
}

// claimReleasing: somebody has the address that we leave. One who has just got it
// answers before it tells everybody, so the second answer counts.
func (e *Engine) claimReleasing(a *address, m Message, now time.Time) {
	if !m.Gratuitous && a.heir != m.MAC {
		a.heir = m.MAC
		return
	}
	if !m.Gratuitous {
		lastWord(a, m.MAC, now)
	}
	e.become(a, Idle)
}

// claimOwner: somebody has an address that is ours.
func (e *Engine) claimOwner(a *address, p *port, m Message, node string, speaker bool, now time.Time) {
	switch {
	case speaker && !m.Gratuitous && !a.before(node) && e.checking(a, now):
		e.answers(a, p, node, m.MAC, now)
	case speaker && !m.Gratuitous:
		if _, kernel := e.check.nodes[node]; !kernel && a.before(node) {
			e.found(node, now)
			e.conflict(a, m.MAC, now)
			lastWord(a, m.MAC, now)
			e.yield(a, p, m.MAC, node)
		}
	case speaker && a.before(node):
		e.found(node, now)
		e.conflict(a, m.MAC, now)
		if now.Sub(a.spoke) < lockTime { // its claim was lost on those whom we told
			a.announce()
		}
		e.yield(a, p, m.MAC, node)
	default:
		e.contest(a, p, m.MAC, node, now)
	}
}

// lastWord claims an address once more before it is left to one who answered our
// question, and of late has told nobody else: clients may have heard us last. That one
// hears it, defends the address, and they hear of that.
func lastWord(a *address, to MAC, now time.Time) {
	if a.claimer != to || now.Sub(a.claimed) > quarrel {
		a.announce()
	}
}

// conflict counts a conflict, and returns the rival and whether it is a new one.
func (e *Engine) conflict(a *address, mac MAC, now time.Time) (r *rival, fresh bool) {
	apart := quarrel
	if e.facts.Load().speakers[mac] == "" {
		apart = strangerApart
	}
	i := slices.IndexFunc(a.rivals, func(r rival) bool { return r.mac == mac })
	switch {
	case i >= 0 && now.Sub(a.rivals[i].last) < apart:
		r = &a.rivals[i]
		r.last = now
		return r, false
	case i >= 0:
	case len(a.rivals) < maxRivals:
		i = len(a.rivals)
		a.rivals = append(a.rivals, rival{})
	default:
		i = 0
		for j := range a.rivals {
			if a.rivals[j].last.Before(a.rivals[i].last) {
				i = j
			}
		}
	}
	a.counts.Conflicts.Add(1)
	a.rivals[i] = rival{mac: mac, since: now, last: now}
	return &a.rivals[i], true
}

// contest defends an address against one who does not come before us; node is ""
// where it is no speaker. One who goes on gets it in the end: who comes first may
// be seen differently there, and two owners are worse than the wrong one.
func (e *Engine) contest(a *address, p *port, by MAC, node string, now time.Time) {
	r, fresh := e.conflict(a, by, now)
	if fresh {
		e.report(Event{Kind: Contested, Addr: a.addr, Node: node, MAC: by, Link: p.link.Name})
	}
	patience, enough := patienceLong, 2
	if mac := p.wire.MAC(); string(mac[:]) > string(by[:]) {
		patience = patienceShort
	}
	if node == "" {
		enough = 1
	}
	switch over := r.defences >= enough && now.Sub(r.since) >= patience; {
	case over && node == "":
		e.foreign(a, p, by)
	case over:
		e.yield(a, p, by, node)
	case node == "" && r.defences > 0:
	case a.defended.After(now): // the next one is on its way
		r.defences++
	default:
		r.defences++
		a.defended = later(now, a.defended.Add(min(max(now.Sub(r.since), defendSoon), defendApart)))
		e.begin(a, a.defended, e.defence)
	}
}

// askedByWinner: a speaker asks for an address that we yielded. If it is the one
// that we yielded to, both did, since each thinks that the other comes first; the
// one with the lower MAC takes it back.
func (e *Engine) askedByWinner(a *address, p *port, by MAC) {
	mac := p.wire.MAC()
	if a.state == Yielded && by == a.winner && string(mac[:]) < string(by[:]) && !e.closed() {
		e.own(a, TakenBack)
		e.kick()
	}
}

// recognise: the station that an address was left to is a speaker's, or our own.
func (e *Engine) recognise(a *address, f *facts) {
	mac := a.stranger
	a.stranger, a.backoff = MAC{}, 0
	if a.state != Foreign && a.state != Asking {
		return
	}
	node := f.speakers[mac]
	if !f.own[mac] && a.before(node) && len(a.ports) > 0 {
		e.yield(a, a.ports[0], mac, node)
		return
	}
	e.own(a, TakenOver)
}
