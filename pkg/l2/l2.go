// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"metallb.io/metallb-frr/pkg/plan"
)

// Options are what an Engine is made with.
type Options struct {
	// Node is this node's name, as in Announcement.Order. Required.
	Node string
	// Period is the time between two unsolicited announcements of an address
	// after those of its beginning; each is moved by up to a tenth, so that many
	// addresses do not stay in step. 0: none.
	Period time.Duration
	// Burst are the times of an address's first announcements, counted from the
	// first of them, which is at 0 and need not be given. Nil: DefaultBurst.
	Burst []time.Duration
	// Rate bounds the unsolicited announcements, in rounds a second over all
	// addresses; a round is one address on all of its links. First rounds go
	// before repeated ones. 0: DefaultRate.
	Rate int

	// open opens the sockets of a link; nil: openWire by its name.
	open func(Link) (wire, error)
}

// DefaultPeriod is the usual Options.Period.
const DefaultPeriod = 60 * time.Second

// DefaultRate is the Rate of Options without one: 10,000 addresses that come to
// a node at once have all been announced after a second.
const DefaultRate = 10_000

// DefaultBurst returns the Burst of Options without one: every 1.1 s, until 5 s.
func DefaultBurst() []time.Duration {
	return []time.Duration{1100 * time.Millisecond, 2200 * time.Millisecond, 3300 * time.Millisecond, 4400 * time.Millisecond}
}

// Link is an interface of this node that announces. One that is down is left out.
type Link struct {
	Name  string
	Index int
	MAC   MAC
	// ARP and NDP: whether it can answer for IPv4, for IPv6.
	ARP, NDP bool
}

// Desired is all that is to be announced, and what must be known for it.
type Desired struct {
	// Announcements are the addresses that this node can announce, Own or not,
	// each once.
	Announcements []plan.Announcement
	// Speakers are the nodes by the MACs that their speakers publish, this
	// node's among them or not. A claim from any other MAC is a foreign one. The
	// map belongs to the Engine.
	Speakers map[MAC]string
	// Links are the interfaces that announce.
	Links []Link
	// Since is when that was noticed which made this set, such as a node's loss;
	// TakenOver counts from there. Zero: when it is applied.
	Since time.Time
}

// New starts an Engine, which announces nothing yet. Close ends it.
func New(o Options) (*Engine, error) {
	if o.Node == "" {
		return nil, errors.New("layer 2: Options.Node is empty; it must be this node's name")
	}
	if o.open == nil {
		o.open = func(l Link) (wire, error) { return openWire(l.Name) }
	}
	if o.Burst == nil {
		o.Burst = DefaultBurst()
	}
	if o.Rate <= 0 {
		o.Rate = DefaultRate
	}
	return start(o), nil
}

// Apply makes the set the one that is in force. What is no longer in it is
// neither answered nor announced any more once Apply returns. An error names
// links that could not be opened or told what to listen to; all else is in
// force, and they are tried again.
func (e *Engine) Apply(d Desired) error {
	e.applying.Lock()
	defer e.applying.Unlock()
	if e.closed() {
		return errors.New("applying layer 2's announcements: the engine is closed")
	}
	if d.Since.IsZero() {
		d.Since = time.Now()
	}
	e.last = d
	return e.reconcile(d)
}

// Leave hands over all addresses: each is answered until another speaker claims
// it. It returns when none is left, or with ctx's error when ctx ends before.
// Nothing becomes this node's any more, whatever is applied.
func (e *Engine) Leave(ctx context.Context) error {
	left := e.leave()
	select {
	case <-left:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close stops at once: nothing is answered or sent any more when it returns.
func (e *Engine) Close() error {
	e.applying.Lock()
	defer e.applying.Unlock()
	if e.closed() {
		return nil
	}
	return e.stop()
}

// Status is how an address fares on this node.
type Status struct {
	Addr  netip.Addr
	State State
	// Links are the names of those that it is answered on; none unless the
	// State is Owner or Releasing.
	Links []string
	// Node and MAC are who has it instead, in the states Yielded and Foreign.
	Node string
	MAC  MAC
}

// Status returns how an address fares; the zero State where it is not known.
func (e *Engine) Status(addr netip.Addr) Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := (*e.index.Load())[addr]; a != nil && a.present {
		return a.status()
	}
	return Status{Addr: addr}
}

// All returns the Status of every address of the set, sorted.
func (e *Engine) All() []Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	index := *e.index.Load()
	all := make([]Status, 0, len(index))
	for _, a := range index {
		if a.present {
			all = append(all, a.status())
		}
	}
	slices.SortFunc(all, func(x, y Status) int { return x.Addr.Compare(y.Addr) })
	return all
}

func (a *address) status() Status {
	s := Status{Addr: a.addr, State: a.state}
	switch a.state {
	case Owner, Releasing:
		for _, p := range a.ports {
			s.Links = append(s.Links, p.link.Name)
		}
	case Asking, Foreign:
		if a.stranger != (MAC{}) {
			s.State, s.MAC = Foreign, a.stranger
		}
	case Yielded:
		s.Node, s.MAC = a.winnerNode, a.winner
	}
	slices.SortFunc(s.Links, cmp.Compare[string])
	return s
}
