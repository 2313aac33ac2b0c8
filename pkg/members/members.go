// SPDX-License-Identifier: Apache-2.0

package members

import (
	"fmt"
	"log"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"metallb.io/metallb-frr/pkg/plan"
)

// leaveTimeout bounds how long Close waits until others know that we leave.
const leaveTimeout = time.Second

// Members is this node's membership. Start begins it and Close ends it.
type Members struct {
	o    Options
	conf *memberlist.Config
	list *memberlist.Memberlist

	missing atomic.Pointer[map[netip.Addr]bool] // who was missing when the joiner last looked; never nil
	changed chan struct{}                       // holds at most one
	joined  chan struct{}                       // closed once
	once    sync.Once                           // of closing joined

	mu       sync.Mutex
	at       map[string]memberlist.Node // the members that are alive to memberlist, but this one
	watch    watch                      // who of them is silent
	alive    *plan.Alive                // the others, and this one; nil: to be made
	wanted   []netip.Addr               // what Join named
	asked    bool                       // Join was called
	regained bool                       // somebody came to life since the joiner last looked
	named    map[string]bool            // what was logged once
	closed   bool

	work    sync.WaitGroup
	stop    chan struct{}   // ends the joiner
	arrange chan struct{}   // the joiner has something new to look at; holds at most one
	hear    chan netip.Addr // somebody missing was heard
}

// Start opens the sockets and begins to be a member, alone until Join names
// others. Errors: an option out of its range, or a socket that cannot be opened.
func Start(o Options) (*Members, error) {
	o, err := o.check()
	if err != nil {
		return nil, fmt.Errorf("starting membership of node %q: %w", o.Node, err)
	}
	m := &Members{
		o: o, conf: o.Tuning.config(), at: map[string]memberlist.Node{}, watch: newWatch(), named: map[string]bool{},
		changed: make(chan struct{}, 1), joined: make(chan struct{}), stop: make(chan struct{}),
		arrange: make(chan struct{}, 1), hear: make(chan netip.Addr, 16),
	}
	m.missing.Store(&map[netip.Addr]bool{})
	t, err := listen(o.Bind, o.Advertise, m.heard, o.cut)
	if err != nil {
		return nil, fmt.Errorf("starting membership of node %q: %w", o.Node, err)
	}
	c := m.conf
	c.Name, c.Transport, c.SecretKey = o.Node, t, Key(o.Secret)
	c.BindAddr, c.BindPort = o.Bind.Addr().String(), int(o.Bind.Port())
	c.Events, c.Conflict, c.Delegate = events{m}, events{m}, events{m}
	c.Logger = log.New(said{m}, "", 0)
	if m.list, err = memberlist.Create(c); err != nil {
		_ = t.Shutdown() // memberlist may have done it
		return nil, fmt.Errorf("starting membership of node %q: %w", o.Node, err)
	}
	m.work.Go(m.join)
	if o.Tuning.Heartbeat > 0 {
		m.work.Go(m.beat)
	}
	return m, nil
}

// Alive returns the members that are alive as this node sees it; itself always,
// from Start to after Close. Until Joined it knows of nobody else. The result is
// the same pointer until something changes.
func (m *Members) Alive() *plan.Alive {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.alive == nil {
		names := []string{m.o.Node}
		for name := range m.at {
			if !m.watch.silent[name] {
				names = append(names, name)
			}
		}
		m.alive = plan.NewAlive(names...)
	}
	return m.alive
}

// Changed tells that Alive has another result than before. Many changes may be
// one message; there is one consumer.
func (m *Members) Changed() <-chan struct{} { return m.changed }

// Joined is closed when Alive can be believed for the first time: a peer has
// told us who is alive, or each address that Join named was tried, or it named
// nobody else. Before, this node would think that all others are dead.
func (m *Members) Joined() <-chan struct{} { return m.joined }

// Close tells the others that this member leaves, waits for at most a second
// until it has been passed on, and closes the sockets. The others learn it at
// once, unless they cannot be reached.
func (m *Members) Close() error {
	if !m.quiet() {
		return nil
	}
	m.farewell()
	if err := m.list.Leave(leaveTimeout); err != nil {
		m.o.Log.V(1).Info("left without having told anybody", "reason", err.Error())
	}
	return m.shut()
}

// quiet ends the joining and the telling of changes; false: it was so already.
func (m *Members) quiet() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.closed = true
	close(m.stop)
	return true
}

// shut ends everything without a word to the others.
func (m *Members) shut() error {
	m.quiet()
	err := m.list.Shutdown()
	m.work.Wait()
	if err != nil {
		return fmt.Errorf("ending membership of node %q: %w", m.o.Node, err)
	}
	return nil
}
