// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"fmt"
	"net/netip"
	"time"
)

// EventKind is what happened.
type EventKind uint8

const (
	// Claimed: nobody had the address; announced for the first time.
	Claimed EventKind = iota + 1
	// TakenOver: announced in place of another speaker; Took is the time from
	// Desired.Since to the first frame.
	TakenOver
	// YieldedTo: the speaker Node, which comes before this one, has the address.
	YieldedTo
	// TakenBack: Node, which it had been yielded to, was silent; announced again.
	TakenBack
	// Contested: MAC, of Node where that is known, claims an address that is
	// ours; it is being defended.
	Contested
	// ForeignOwner: the station MAC, which is no speaker's, has the address. It is
	// not announced.
	ForeignOwner
	// ForeignGone: no station has it any more; announced.
	ForeignGone
	// Resumed: announced again after its links were away; nothing else changed.
	Resumed
	// IPVSWithoutStrictARP: the kernel of Node answers for addresses that its
	// speaker does not announce, as with kube-proxy in IPVS mode without
	// strictARP. Addr is an example.
	IPVSWithoutStrictARP
	// LinkFailed: Link could not be opened or used, because of Err; it is tried
	// again.
	LinkFailed
)

// String returns the name of the kind.
func (k EventKind) String() string {
	names := [...]string{"", "Claimed", "TakenOver", "Yielded", "TakenBack", "Contested", "ForeignOwner", "ForeignGone", "Resumed", "IPVSWithoutStrictARP", "LinkFailed"}
	if k > 0 && int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("EventKind(%d)", uint8(k))
}

// Event is something that happened to an address, or to a link.
type Event struct {
	Kind EventKind
	At   time.Time
	Addr netip.Addr    // invalid of LinkFailed
	Node string        // the other node; "": none, or not known
	MAC  MAC           // the other station; zero: none
	Link string        // where it was heard; "": nowhere in particular
	Took time.Duration // of TakenOver
	Err  error         // of LinkFailed
	// Folded are how many earlier events of the same kind about the same thing
	// were dropped for this one because nobody took them.
	Folded int
}

// subject is what one Event can stand for another of.
type subject struct {
	kind       EventKind
	addr       netip.Addr
	node, link string
}

func (e Event) subject() subject {
	s := subject{kind: e.Kind, addr: e.Addr}
	switch e.Kind {
	case IPVSWithoutStrictARP:
		s = subject{kind: e.Kind, node: e.Node}
	case LinkFailed:
		s.link = e.Link
	}
	return s
}

// Events returns what happened, in order. A consumer that is late gets, of each
// kind, the latest event of each address only. The channel is never closed.
func (e *Engine) Events() <-chan Event { return e.out }

// report hands an event over, without waiting.
func (e *Engine) report(ev Event) {
	ev.At = time.Now()
	e.events.Lock()
	defer e.events.Unlock()
	key := ev.subject()
	if at, ok := e.folds[key]; ok {
		old := &e.pending[at-e.taken]
		ev.Folded = old.Folded + 1
		old.Kind = 0 // superseded: the newer one is in its place in the order
	}
	if len(e.pending) > 2*len(e.folds)+64 {
		e.compact()
	}
	e.folds[key] = e.taken + len(e.pending)
	e.pending = append(e.pending, ev)
	select {
	case e.more <- struct{}{}:
	default:
	}
}

// compact drops what was superseded.
func (e *Engine) compact() {
	kept := make([]Event, 0, len(e.folds)+1)
	for _, ev := range e.pending {
		if ev.Kind != 0 {
			e.folds[ev.subject()] = e.taken + len(kept)
			kept = append(kept, ev)
		}
	}
	e.pending = kept
}

// take returns the next event, and whether there is one.
func (e *Engine) take() (Event, bool) {
	e.events.Lock()
	defer e.events.Unlock()
	for len(e.pending) > 0 {
		ev := e.pending[0]
		e.pending = e.pending[1:]
		e.taken++
		if ev.Kind != 0 {
			delete(e.folds, ev.subject())
			return ev, true
		}
	}
	return Event{}, false
}

// deliver passes events to the consumer until Close.
func (e *Engine) deliver() {
	for {
		ev, ok := e.take()
		if !ok {
			select {
			case <-e.more:
			case <-e.done:
				return
			}
			continue
		}
		select {
		case e.out <- ev:
		case <-e.done:
			return
		}
	}
}
