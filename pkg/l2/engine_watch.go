// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"slices"
	"time"
)

const (
	// questionRate bounds the questions of first claims and to winners,
	// searchRate those to nodes that come before ours, both in a second.
	questionRate = 5000
	searchRate   = 5000
	// watchApart is between two questions to a node that is believed dead.
	watchApart = 400 * time.Millisecond
	// watchMost bounds the nodes before ours that one question goes to, and
	// watchBatch the addresses that one is asked for at once when it lives.
	watchMost  = 8
	watchBatch = 400
	// silence is how long a winner says nothing to anything before all that was
	// yielded to it is taken back.
	silence = maxMisses*askApart + askApart/2
)

// winner is a station that addresses were yielded to.
type winner struct {
	addresses int
	silent    time.Time // the first question that it has not answered; zero: none
	asked     int       // since then
}

func (w *winner) ask(now time.Time) {
	if w.silent.IsZero() {
		w.silent = now
	}
	w.asked++
}

// silentFor reports whether the station is silent altogether, so that an address
// whose turn to be asked for has not come need not wait for it.
func (w *winner) silentFor(now time.Time) bool {
	return w.asked >= maxMisses && now.Sub(w.silent) >= silence
}

// follow counts an address to its winner.
func (e *Engine) follow(a *address) {
	w := e.winners[a.winner]
	if w == nil {
		w = &winner{}
		e.winners[a.winner] = w
	}
	w.addresses++
}

// release ends that.
func (e *Engine) release(a *address) {
	w := e.winners[a.winner]
	if w.addresses--; w.addresses == 0 {
		delete(e.winners, a.winner)
	}
}

// watch is a node that is the first for some addresses of ours: it is believed
// dead. Of those that are cut off from each other only one hears the other's
// first frames when the network was cut too; so it is asked, for one address
// after another.
type watch struct {
	addresses []*address
	turn      int
	found     time.Time // when it was last heard
}

// rewatch puts an address of ours into the watch of the node that it would be.
func (e *Engine) rewatch(a *address) {
	top := ""
	if len(a.want.Order) > 0 && a.rank > 0 && a.rank < len(a.want.Order) {
		top = a.want.Order[0]
	}
	if top == a.watched {
		return
	}
	e.unwatch(a)
	if top == "" {
		return
	}
	w := e.watches[top]
	if w == nil {
		w = &watch{}
		e.watches[top] = w
	}
	a.watched, a.watchAt = top, len(w.addresses)
	w.addresses = append(w.addresses, a)
	if e.nextWatch.IsZero() {
		e.nextWatch = time.Now().Add(watchApart)
	}
}

// unwatch takes an address out of its watch.
func (e *Engine) unwatch(a *address) {
	if a.watched == "" {
		return
	}
	w := e.watches[a.watched]
	last := len(w.addresses) - 1
	moved := w.addresses[last]
	w.addresses[a.watchAt], moved.watchAt = moved, a.watchAt
	w.addresses[last] = nil
	w.addresses = w.addresses[:last]
	if last == 0 {
		delete(e.watches, a.watched)
	}
	a.watched = ""
}

// found: a node that is believed dead claimed an address of ours. It may have the
// others too.
func (e *Engine) found(node string, now time.Time) {
	if w := e.watches[node]; w != nil {
		if now.Sub(w.found) >= watchApart/4 {
			e.nextWatch = now
		}
		w.found = now
	}
}

// watch asks the nodes that are believed dead, when it is time to, and returns
// when it is next.
func (e *Engine) watch(now time.Time) time.Time {
	if e.nextWatch.IsZero() || e.nextWatch.After(now) {
		return e.nextWatch
	}
	if len(e.watches) == 0 {
		e.nextWatch = time.Time{}
		return e.nextWatch
	}
	e.nextWatch = now.Add(watchApart)
	for _, w := range e.watches {
		n := 1
		if !w.found.IsZero() && now.Sub(w.found) < time.Second {
			n = min(watchBatch, len(w.addresses))
			e.nextWatch = now.Add(watchApart / 4)
		}
		for range n {
			w.turn++
			a := w.addresses[w.turn%len(w.addresses)]
			if !e.askBefore(a, now) {
				break
			}
		}
	}
	return e.nextWatch
}

// askBefore asks the nodes that come before ours for an address; it reports
// whether it may go on.
func (e *Engine) askBefore(a *address, now time.Time) bool {
	f := e.facts.Load()
	for _, node := range a.want.Order[:min(a.rank, watchMost)] {
		for _, mac := range f.stations[node] {
			for _, p := range a.ports {
				if !e.searches.take(now) {
					return false
				}
				_ = p.wire.Ask(a.addr, mac) // asked again soon
			}
		}
	}
	return true
}

// setOwned keeps the list of what is ours.
func (e *Engine) setOwned(a *address, in bool) {
	switch at := a.ownedAt - 1; {
	case in && at < 0:
		e.owned = append(e.owned, a)
		a.ownedAt = len(e.owned)
	case !in && at >= 0:
		last := e.owned[len(e.owned)-1]
		e.owned[at], last.ownedAt = last, at+1
		e.owned = slices.Delete(e.owned, len(e.owned)-1, len(e.owned))
		a.ownedAt = 0
	}
}
