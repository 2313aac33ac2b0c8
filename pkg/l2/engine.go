// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Engine answers and announces addresses on this node's links. Its methods may
// be called by several goroutines.
//
// Frames are read by one goroutine for each link, which answers questions
// without a lock. Everything that changes an address's state holds mu, and so
// does every unsolicited frame: what Apply took away is silent when it returns.
type Engine struct {
	opt  Options
	done chan struct{}
	work sync.WaitGroup

	index atomic.Pointer[map[netip.Addr]*address] // replaced, never changed
	facts atomic.Pointer[facts]

	applying sync.Mutex // held by Apply and whatever else opens and closes links
	last     Desired
	pass     uint64
	retries  map[string]*retry

	mu        sync.Mutex
	ports     map[string]*port
	linked    uint64 // counts changes of ports
	choices   map[string]*[]*port
	steps     queue
	says      queue
	wake      chan struct{}
	holding   bool   // a change is being put in force: nothing is due before it is
	tokens    bucket // for announcements
	defence   []time.Duration
	questions bucket // for asking the network, and winners
	searches  bucket // for asking nodes that come before ours
	winners   map[MAC]*winner
	watches   map[string]*watch
	nextWatch time.Time
	check     check
	leaving   chan struct{} // Leave was called; closed when nothing is left
	held      int           // addresses in the states Owner and Releasing
	owned     []*address    // in the state Owner, in no order
	gone      int           // addresses of index that are not present

	events  sync.Mutex
	pending []Event
	folds   map[subject]int // place of the event in pending, counted from the start
	taken   int
	more    chan struct{}
	out     chan Event
}

// facts are what readers need of the Desired.
type facts struct {
	own      map[MAC]bool   // this node's
	speakers map[MAC]string // MAC -> node
	stations map[string][]MAC
}

// batch bounds what is done in one go, so that frames that come in meanwhile
// need not wait.
const batch = 64

func start(o Options) *Engine {
	e := &Engine{
		opt: o, done: make(chan struct{}), retries: map[string]*retry{}, ports: map[string]*port{}, choices: map[string]*[]*port{},
		wake: make(chan struct{}, 1), winners: map[MAC]*winner{}, watches: map[string]*watch{},
		folds: map[subject]int{}, more: make(chan struct{}, 1), out: make(chan Event),
	}
	e.index.Store(&map[netip.Addr]*address{})
	e.facts.Store(&facts{})
	e.steps = queue{pos: func(a *address) *int { return &a.stepPos }, less: func(a, b *address) bool { return a.step.Before(b.step) }}
	e.says = queue{pos: func(a *address) *int { return &a.sayPos }, less: sooner}
	e.tokens = bucket{rate: float64(o.Rate), most: max(1, float64(o.Rate)/20)}
	e.questions = bucket{rate: questionRate, most: questionRate / 5}
	e.searches = bucket{rate: searchRate, most: searchRate / 5}
	e.defence = defence(o.Burst)
	e.check.nodes, e.check.maybe = map[string]time.Time{}, map[string]time.Time{}
	e.work.Go(e.run)
	e.work.Go(e.deliver)
	return e
}

func (e *Engine) closed() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// stop ends everything; the caller holds applying.
func (e *Engine) stop() error {
	e.mu.Lock()
	close(e.done)
	for _, a := range *e.index.Load() {
		a.answer.Store(nil)
	}
	var errs []error
	for _, p := range e.ports {
		errs = append(errs, p.wire.Close())
	}
	if e.leaving != nil && e.held > 0 {
		e.held = 0
		close(e.leaving)
	}
	e.mu.Unlock()
	for _, r := range e.retries {
		r.timer.Stop()
	}
	e.work.Wait()
	return errors.Join(errs...)
}

// leave turns every address into one to hand over.
func (e *Engine) leave() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leaving != nil {
		return e.leaving
	}
	e.leaving = make(chan struct{})
	if e.held == 0 || e.closed() {
		close(e.leaving)
		e.held = 0
		return e.leaving
	}
	for _, a := range *e.index.Load() {
		switch {
		case (a.state == Owner || a.state == Releasing) && len(a.want.Order) > 1:
			e.become(a, Releasing)
			a.heir = MAC{}
			a.until = time.Time{}
			e.stepAt(a, time.Time{})
		default:
			e.become(a, Idle)
		}
	}
	return e.leaving
}

// run does what is due, until Close.
func (e *Engine) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-e.done:
			return
		case <-e.wake:
		case <-timer.C:
		}
		for {
			next, more := e.turn()
			if more {
				continue
			}
			if next.IsZero() {
				timer.Stop()
			} else {
				timer.Reset(max(0, time.Until(next)))
			}
			break
		}
	}
}

// turn does a batch of what is due. It returns when the next is, zero for never,
// and whether more is due now.
func (e *Engine) turn() (next time.Time, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed() || e.holding {
		return time.Time{}, false
	}
	now := time.Now()
	for range batch {
		a := e.steps.top()
		if a == nil || a.step.After(now) {
			break
		}
		e.stepAt(a, time.Time{})
		e.advance(a, now)
	}
	next = e.announceDue(now)
	next = earlier(next, e.watch(now))
	next = earlier(next, e.sample(now))
	if a := e.steps.top(); a != nil {
		next = earlier(next, a.step)
	}
	return next, !next.IsZero() && !next.After(now)
}

// earlier returns the earlier of two times of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// kick has run look at what is due.
func (e *Engine) kick() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// stepAt sets when an address's state wants something done; zero: never.
func (e *Engine) stepAt(a *address, at time.Time) {
	a.step = at
	e.steps.place(a, !at.IsZero())
}

// bucket lets so many things a second happen.
type bucket struct {
	rate, most float64 // a second; at once
	left       float64
	at         time.Time
}

// take takes one and reports whether there was one.
func (b *bucket) take(now time.Time) bool {
	b.fill(now)
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

func (b *bucket) fill(now time.Time) {
	if b.at.IsZero() {
		b.left = b.most
	} else {
		b.left = min(b.most, b.left+now.Sub(b.at).Seconds()*b.rate)
	}
	b.at = now
}

// next returns when there will be one, a few milliseconds late so that several
// go together.
func (b *bucket) next(now time.Time) time.Time {
	return now.Add(time.Duration((1-b.left)/b.rate*float64(time.Second)) + 2*time.Millisecond)
}
