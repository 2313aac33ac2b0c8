// SPDX-License-Identifier: Apache-2.0

package members

import (
	"bytes"
	"cmp"
	"hash/fnv"
	"slices"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// watchers is how many watch a member: the next ones in the ring.
	watchers = 3
	// quorum is how many of them must agree that it is silent. Where there are
	// only two members, one must do.
	quorum = 2
	// repeat is how often an accusation is told again, for those who missed it,
	// and life how long it holds without.
	repeat = time.Second
	life   = 3 * time.Second
	// late is how many times its own lateness a watcher is more patient: a
	// heartbeat passes so many goroutines on its way.
	late = 4
)

// The messages between members, as memberlist's user messages, which MetalLB's
// speakers take and ignore: one of these bytes, then the name it is about. What
// comes from whom is told by the name after a zero byte.
const (
	msgBeat  = 'h' // the sender is alive; about itself
	msgLeave = 'l' // the sender leaves; about itself
	msgVote  = 's' // the sender watches it and it is silent
	msgBack  = 'b' // the sender watches it and it is not silent any more
)

// meta is what a member that sends heartbeats says of itself to memberlist.
const meta = 'h'

// watch is what is known of silence. The lock of Members guards it.
type watch struct {
	order  []string                        // all in the ring; nil: it has changed
	heard  map[string]time.Time            // whom we watch, and when it was last heard
	told   map[string]time.Time            // whom we accuse, and when we last said so
	votes  map[string]map[string]time.Time // accused, accuser: when last said
	silent map[string]bool                 // who counts as dead for it
	called time.Time                       // when those were last told that we are alive
	lag    time.Duration                   // how late we are ourselves of late; it halves in 70 rounds
}

func newWatch() watch {
	return watch{heard: map[string]time.Time{}, told: map[string]time.Time{}, votes: map[string]map[string]time.Time{}, silent: map[string]bool{}}
}

// forget drops all that is known of a member that comes or goes.
func (w *watch) forget(name string) {
	delete(w.heard, name)
	delete(w.told, name)
	delete(w.votes, name)
	delete(w.silent, name)
	w.order = nil
	for _, by := range w.votes {
		delete(by, name)
	}
}

// letter is a message to send once the lock is free.
type letter struct {
	to   memberlist.Node
	kind byte
	name string
}

// beat sends heartbeats and looks who is silent, until stop.
func (m *Members) beat() {
	half := m.o.Tuning.Heartbeat / 2
	ticker := time.NewTicker(half)
	defer ticker.Stop()
	last := time.Now()
	for odd := false; ; odd = !odd {
		select {
		case <-m.stop:
			return
		case <-ticker.C:
		}
		m.mu.Lock()
		now := time.Now()
		behind := max(0, now.Sub(last)-half)
		if behind > half {
			m.watch.excuse(behind, now) // we did not run: what came meanwhile waits to be read
		}
		m.watch.lag = max(behind, m.watch.lag*99/100)
		last = now
		if m.watch.order == nil {
			m.arrangeRing(now)
		}
		var out []letter
		if odd {
			out = m.beats(now)
		}
		out = append(out, m.listen(now)...)
		m.mu.Unlock()
		m.send(out)
	}
}

// excuse lets nobody's silence count while we were deaf.
func (w *watch) excuse(d time.Duration, now time.Time) {
	for name, at := range w.heard {
		if at = at.Add(d); at.After(now) {
			at = now
		}
		w.heard[name] = at
	}
}

// beats returns heartbeats for those that watch us, and once a second for those
// that we do not hear: they may accuse us, and be as alive as we are. The caller
// holds mu.
func (m *Members) beats(now time.Time) []letter {
	var out []letter
	for _, to := range m.watchersOf(m.o.Node) {
		if n := m.at[to]; speaks(n) {
			out = append(out, letter{n, msgBeat, m.o.Node})
		}
	}
	w := &m.watch
	if len(w.silent) == 0 || now.Sub(w.called) < repeat {
		return out
	}
	w.called = now
	for to := range w.silent {
		out = append(out, letter{m.at[to], msgBeat, m.o.Node})
	}
	return out
}

func speaks(n memberlist.Node) bool { return len(n.Meta) == 1 && n.Meta[0] == meta }

// listen judges who is silent, and returns what to tell the others. The caller
// holds mu.
func (m *Members) listen(now time.Time) []letter {
	var out []letter
	w := &m.watch
	for name, at := range w.heard {
		if now.Sub(at) <= m.silence() {
			continue
		}
		if _, accused := w.votes[name][m.o.Node]; !accused && len(w.votes[name]) >= quorum {
			continue // it is known
		}
		if now.Sub(w.told[name]) >= repeat {
			w.told[name] = now
			m.vote(name, m.o.Node, now)
			out = append(out, m.toAll(msgVote, name)...)
		}
	}
	for name := range w.votes {
		m.judge(name, now)
	}
	for name := range w.silent {
		m.judge(name, now)
	}
	return out
}

// arrangeRing finds the neighbours in the ring, and so whom we watch. One that is
// new to us counts as heard now. The ring is in the order of hashes, so that
// neighbours in it are seldom neighbours in a rack. The caller holds mu.
func (m *Members) arrangeRing(now time.Time) {
	w := &m.watch
	w.order = []string{m.o.Node}
	for n := range m.at {
		w.order = append(w.order, n)
	}
	slices.SortFunc(w.order, byHash)
	for name, n := range m.at {
		if !speaks(n) || !slices.Contains(m.watchersOf(name), m.o.Node) {
			delete(w.heard, name)
			delete(w.told, name)
		} else if _, ok := w.heard[name]; !ok {
			w.heard[name] = now
		}
	}
}

// silence is how long we take for silence: longer while we are late ourselves,
// because what waits to be sent and read here is late as well. The caller holds
// mu.
func (m *Members) silence() time.Duration {
	return m.o.Tuning.Silence + min(late*m.watch.lag, 10*m.o.Tuning.Silence)
}

// vote notes that one says of another that it is silent. The caller holds mu.
func (m *Members) vote(name, by string, now time.Time) {
	if m.watch.votes[name] == nil {
		m.watch.votes[name] = map[string]time.Time{}
	}
	m.watch.votes[name][by] = now
}

// judge decides whether a member counts as silent. The caller holds mu.
func (m *Members) judge(name string, now time.Time) {
	w := &m.watch
	votes := w.votes[name]
	for by, at := range votes {
		if now.Sub(at) > life {
			delete(votes, by)
		}
	}
	if len(votes) == 0 {
		delete(w.votes, name)
	}
	_, left := votes[name]
	silent := left || len(votes) >= min(quorum, len(m.at))
	if heard, ok := w.heard[name]; ok && !left { // we hear for ourselves
		quiet := now.Sub(heard)
		silent = silent && quiet > m.silence() || m.alone(now) && quiet > 2*m.silence()
	}
	if silent == w.silent[name] {
		return
	}
	if silent {
		w.silent[name] = true
	} else {
		delete(w.silent, name)
	}
	m.o.Log.V(1).Info(map[bool]string{true: "member is silent", false: "member is heard again"}[silent], "node", name)
	w.order, m.alive = nil, nil
	signal(m.changed)
}

// alone tells whether we hear nobody although we watch all, so that there is
// nobody to agree with. The caller holds mu.
func (m *Members) alone(now time.Time) bool {
	if len(m.at) > watchers {
		return false
	}
	for _, at := range m.watch.heard {
		if now.Sub(at) <= m.silence() {
			return false
		}
	}
	return true
}

// NotifyMsg takes a message from another member.
func (e events) NotifyMsg(msg []byte) {
	if len(msg) < 2 || e.o.Tuning.Heartbeat == 0 {
		return
	}
	about, by, _ := bytes.Cut(msg[1:], []byte{0})
	name, from := string(about), string(by)
	e.mu.Lock()
	_, known := e.at[name]
	_, sender := e.at[from]
	if !known || !sender || e.closed {
		e.mu.Unlock()
		return
	}
	now := time.Now()
	var out []letter
	switch msg[0] {
	case msgBeat:
		out = e.beatFrom(name, now)
	case msgLeave:
		e.vote(name, name, now)
	case msgVote:
		e.vote(name, from, now)
	case msgBack:
		delete(e.watch.votes[name], from)
	}
	e.judge(name, now)
	e.mu.Unlock()
	e.send(out)
}

// beatFrom takes a heartbeat: whatever others say, it is alive. The caller holds
// mu.
func (m *Members) beatFrom(name string, now time.Time) []letter {
	w := &m.watch
	if left, ok := w.votes[name][name]; ok && now.Sub(left) < m.o.Tuning.Silence {
		return nil // it was sent before
	}
	_, accused := w.votes[name][m.o.Node]
	delete(w.votes, name)
	if _, ok := w.heard[name]; ok {
		w.heard[name] = now
	}
	if !accused {
		return nil
	}
	return m.toAll(msgBack, name)
}

// watchersOf returns who watches a member: the next three in the ring of those
// that are not silent. The caller holds mu.
func (m *Members) watchersOf(name string) []string {
	w := &m.watch
	at, _ := slices.BinarySearchFunc(w.order, name, byHash)
	var out []string
	for i := 1; i < len(w.order) && len(out) < watchers; i++ {
		if n := w.order[(at+i)%len(w.order)]; !w.silent[n] {
			out = append(out, n)
		}
	}
	return out
}

func byHash(a, b string) int {
	return cmp.Or(cmp.Compare(hash(a), hash(b)), cmp.Compare(a, b))
}

func hash(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return h.Sum64()
}

// toAll addresses a message to all others, but to whom it is about. The caller
// holds mu.
func (m *Members) toAll(kind byte, name string) []letter {
	out := make([]letter, 0, len(m.at))
	for to, n := range m.at {
		if to != name {
			out = append(out, letter{n, kind, name})
		}
	}
	return out
}

// farewell tells all others at once that we leave; memberlist's own word to the
// same end follows and takes its time.
func (m *Members) farewell() {
	m.mu.Lock()
	out := m.toAll(msgLeave, m.o.Node)
	m.mu.Unlock()
	m.send(out)
}

// send sends messages. One that cannot be sent is as one that is lost.
func (m *Members) send(out []letter) {
	for _, l := range out {
		msg := append(append(append([]byte{l.kind}, l.name...), 0), m.o.Node...)
		_ = m.list.SendBestEffort(&l.to, msg)
	}
}
