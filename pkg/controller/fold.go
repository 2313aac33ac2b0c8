// SPDX-License-Identifier: Apache-2.0

package controller

import "time"

// foldLimit is the longest that a pass waits for writers.
const foldLimit = time.Second

// fold holds back what makes a pass due, while more waits to be written than the
// writers can begin at once: what a pass decides would only wait in line, and what
// came about meanwhile is one pass then in place of hundreds. Of the configuration's
// changes none is held back, since they may make wrong what waits.
type fold struct {
	urgent, other <-chan struct{} // closed once there is room; nil: there is
	limit         <-chan time.Time
}

// fold returns what is to be held back as things stand after a pass.
func (w *writer) fold() fold {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := fold{urgent: w.full(true)}
	if !w.blocked { // for the end of an urgent write, which is not to be held back
		f.other = w.full(false)
	}
	if f.urgent != nil || f.other != nil {
		f.limit = time.After(foldLimit)
	}
	return f
}

// let returns those of two signals that are not held back: that Services have
// changed, which may ask for urgent writes, and that writes have ended.
func (f fold) let(services, written <-chan struct{}) (_, _ <-chan struct{}) {
	switch {
	case f.urgent != nil:
		return nil, nil
	case f.other != nil:
		return services, nil
	}
	return services, written
}

// busy returns what events wait for: that no addresses are in line to be written. An
// event costs the API server as much as an address.
func (w *writer) busy() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.full(true)
}

// full returns nil where there is room for more writes of that urgency, else what
// is closed once there is. Called with the lock held.
func (w *writer) full(urgent bool) <-chan struct{} {
	if w.hasRoom(urgent) {
		return nil
	}
	if w.rooms[urgent] == nil {
		w.rooms[urgent] = make(chan struct{})
	}
	return w.rooms[urgent]
}

// hasRoom reports whether each writer will have at most one write more to begin.
func (w *writer) hasRoom(urgent bool) bool {
	writers := otherWrites
	if urgent {
		writers = urgentWrites
	}
	return len(w.queues[urgent]) <= writers
}

// tellRoom tells whoever waits for room. Called with the lock held.
func (w *writer) tellRoom(urgent bool) {
	if room := w.rooms[urgent]; room != nil && w.hasRoom(urgent) {
		close(room)
		delete(w.rooms, urgent)
	}
}
