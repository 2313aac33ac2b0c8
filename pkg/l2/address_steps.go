// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"cmp"
	"math/rand/v2"
	"time"
)

const (
	// Before a first claim the network is asked probeCount times, probeApart from
	// each other, and the address claimed as long after the last.
	probeCount = 3
	probeApart = 100 * time.Millisecond

	// askApart is between two questions to who an address was yielded to, and
	// maxMisses how many of them unanswered end it.
	askApart  = 200 * time.Millisecond
	askJitter = 10 * time.Millisecond // shorter by up to that, so that two do not stay in step
	maxMisses = 3

	// An address of a foreign owner is asked for again after firstBackoff, which
	// doubles up to lastBackoff.
	firstBackoff = time.Second
	lastBackoff  = 30 * time.Second

	// handover is how long an address that became another node's is answered at
	// the longest: as long as that node's first announcements go on.
	handover = 5 * time.Second
)

// become moves an address to a state: who is in it, is answered or watched
// follows from that alone.
func (e *Engine) become(a *address, s State) {
	holds := func(s State) bool { return s == Owner || s == Releasing }
	was := a.state
	a.state = s
	if s == Owner {
		e.rewatch(a)
	} else {
		e.unwatch(a)
		e.sayAt(a, time.Time{}, false)
	}
	if s != was {
		e.stepAt(a, time.Time{})
		e.setOwned(a, s == Owner)
	}
	if was == Yielded && s != Yielded {
		e.release(a)
	}
	if holds(s) {
		a.answer.Store(a.choice)
	} else {
		a.answer.Store(nil)
	}
	a.handing.Store(s == Releasing)
	a.yielded.Store(s == Yielded)
	switch {
	case holds(s) && !holds(was):
		e.held++
	case !holds(s) && holds(was):
		e.held--
		if e.held == 0 && e.leaving != nil {
			close(e.leaving)
		}
	}
}

// gain: the address is ours now, and there are links to answer on.
func (e *Engine) gain(a *address) {
	_, heard := e.facts.Load().speakers[a.claimer]
	switch {
	case a.state == Releasing:
		e.own(a, 0)
	case a.ours:
		e.own(a, cmp.Or(a.told, Resumed)) // told: the links went before that could be
	case a.want.Held || heard:
		e.own(a, TakenOver)
	default:
		a.probes, a.suspect = 0, false
		e.become(a, Asking)
		e.stepAt(a, time.Now())
	}
}

// lose: the address is not ours. Where another node can have it, it is answered
// until that one is heard.
func (e *Engine) lose(a *address) {
	a.stranger, a.backoff, a.ours = MAC{}, 0, false
	switch {
	case a.state == Releasing && a.rank < len(a.want.Order):
	case a.state == Owner && a.rank < len(a.want.Order) && len(a.want.Order) > 1:
		e.become(a, Releasing)
		a.until, a.heir = time.Now().Add(handover), MAC{}
		e.stepAt(a, time.Now())
	default:
		e.become(a, Idle)
	}
}

// own makes the address ours; told is what is reported with the first frame, 0:
// nothing.
func (e *Engine) own(a *address, told EventKind) {
	if a.stranger != (MAC{}) {
		told = ForeignGone
		a.stranger, a.backoff = MAC{}, 0
	}
	e.become(a, Owner)
	a.rivals, a.defended, a.misses = a.rivals[:0], time.Time{}, 0
	a.ours, a.told = true, told
	e.announce(a, told)
	if a.suspect {
		a.suspect = false
		e.suspected(a)
	}
}

// yield leaves the address to a speaker, which is asked from then on.
func (e *Engine) yield(a *address, p *port, to MAC, node string) {
	again := a.state == Yielded
	if again {
		e.release(a)
	}
	a.winner, a.winnerNode, a.winnerPort = to, node, p
	a.asked, a.misses = false, 0
	a.stranger, a.backoff, a.ours = MAC{}, 0, false
	e.become(a, Yielded)
	e.follow(a)
	e.stepAt(a, time.Now().Add(askApart))
	e.report(Event{Kind: YieldedTo, Addr: a.addr, Node: node, MAC: to, Link: p.link.Name})
}

// foreign leaves the address to a station that is no speaker.
func (e *Engine) foreign(a *address, p *port, who MAC) {
	if a.stranger != who {
		a.stranger, a.backoff = who, firstBackoff/2
		e.report(Event{Kind: ForeignOwner, Addr: a.addr, MAC: who, Link: p.link.Name})
	}
	a.backoff, a.ours = min(2*a.backoff, lastBackoff), false
	e.become(a, Foreign)
	e.stepAt(a, time.Now().Add(a.backoff))
}

// advance does what an address's state wants done now.
func (e *Engine) advance(a *address, now time.Time) {
	switch a.state {
	case Asking:
		e.probe(a, now)
	case Foreign:
		a.probes, a.suspect = 0, false
		e.become(a, Asking)
		e.probe(a, now)
	case Releasing:
		// One who has it already, and we did not hear, says nothing by itself.
		switch {
		case a.until.IsZero():
		case now.Before(a.until):
			e.askBefore(a, now)
			e.stepAt(a, now.Add(askApart))
		default:
			e.become(a, Idle)
		}
	case Yielded:
		e.ask(a, now)
	}
}

// probe asks the network for an address, or claims it when that was silent.
func (e *Engine) probe(a *address, now time.Time) {
	if a.probes == probeCount {
		e.own(a, Claimed)
		return
	}
	if !e.questions.take(now) {
		e.stepAt(a, e.questions.next(now))
		return
	}
	for _, p := range a.ports {
		_ = p.wire.Ask(a.addr, MAC{}) // one that is not sent counts as silence
	}
	a.probes++
	e.stepAt(a, now.Add(probeApart))
}

// ask asks the winner for an address, or takes it back when that was silent.
func (e *Engine) ask(a *address, now time.Time) {
	if a.asked {
		a.misses++
	}
	w := e.winners[a.winner]
	if a.misses >= maxMisses || w.silentFor(now) {
		e.own(a, TakenBack)
		return
	}
	e.stepAt(a, now.Add(askApart-rand.N(askJitter)))
	a.asked = false
	if !e.questions.take(now) {
		return
	}
	a.asked = true
	w.ask(now)
	_ = a.winnerPort.wire.Ask(a.addr, a.winner) // one that is not sent is a miss
}
