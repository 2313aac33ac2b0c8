// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"math/rand/v2"
	"time"
)

// sooner orders announcements: first ones, which are never in the future, before
// all others, so that an address that nobody answers for does not wait for the
// repetition of others.
func sooner(a, b *address) bool {
	if a.first != b.first {
		return a.first
	}
	return a.say.Before(b.say)
}

// sayAt sets when an address is announced next; zero: not any more.
func (e *Engine) sayAt(a *address, at time.Time, first bool) {
	a.say, a.first = at, first
	e.says.place(a, !at.IsZero())
}

// announce begins an address's announcements now; told is what to report with
// the first, 0: nothing.
func (e *Engine) announce(a *address, told EventKind) {
	if told != 0 {
		a.told = told
	}
	now := time.Now()
	a.begun, a.rounds, a.round = now, e.opt.Burst, 0
	e.sayAt(a, now, true)
}

// begin begins an address's announcements at a time, unless the first is still to
// come anyway.
func (e *Engine) begin(a *address, at time.Time, rounds []time.Duration) {
	a.begun, a.rounds, a.round = at, rounds, 0
	if !a.first {
		e.sayAt(a, at, !at.After(time.Now()))
	}
}

// announceDue sends what is due, as far as the rate allows, and returns when the
// next is.
func (e *Engine) announceDue(now time.Time) time.Time {
	for range batch {
		a := e.says.top()
		if a == nil {
			return time.Time{}
		}
		if a.say.After(now) {
			return a.say
		}
		if !e.tokens.take(now) {
			return e.tokens.next(now)
		}
		e.round(a, now)
	}
	return now
}

// announce sends one round of an address.
func (a *address) announce() {
	a.spoke = time.Now()
	frames := uint64(1)
	if a.addr.Is4() {
		frames = 2
	}
	for _, p := range a.ports {
		if err := p.wire.Announce(a.addr); err == nil {
			a.counts.Gratuitous.Add(frames)
		}
	}
}

// round sends one round of an address and sets the time of the next.
func (e *Engine) round(a *address, now time.Time) {
	a.announce()
	if a.round == 0 && a.begun.Before(now) {
		a.begun = now // late: the rest moves with it
	}
	next := time.Time{}
	switch {
	case a.round < len(a.rounds):
		next = a.begun.Add(a.rounds[a.round])
	case e.opt.Period > 0:
		tenth := e.opt.Period / 10
		next = now.Add(e.opt.Period - tenth + rand.N(2*tenth+1))
	}
	a.round++
	e.sayAt(a, next, false)
	if told := a.told; told != 0 {
		a.told = 0
		e.tell(a, told, now)
	}
}

// tell reports that an address became ours.
func (e *Engine) tell(a *address, told EventKind, now time.Time) {
	ev := Event{Kind: told, Addr: a.addr}
	if len(a.ports) > 0 {
		ev.Link = a.ports[0].link.Name
	}
	switch told {
	case TakenOver:
		ev.Took = now.Sub(a.since)
		a.counts.TakeOvers.Add(1)
	case TakenBack:
		ev.Node, ev.MAC = a.winnerNode, a.winner
		a.counts.TakeBacks.Add(1)
	}
	e.report(ev)
}
