// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"metallb.io/metallb-frr/pkg/plan"
)

// port is a link that is in use.
type port struct {
	link  Link
	wire  wire
	dirty bool // what it is to listen to has changed
}

// retry is a link that failed. It is tried again after a wait that doubles.
type retry struct {
	wait   time.Duration
	last   time.Time // when it failed last
	reopen bool      // it must be opened again
	timer  *time.Timer
}

// A link that failed is tried again after firstRetry, and at the longest after
// lastRetry; from the beginning when it was well for longer than that.
const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// open opens what is new in links; the caller holds applying.
func (e *Engine) open(links []Link) (map[string]*port, []error) {
	opened := map[string]*port{}
	var errs []error
	for _, l := range links {
		if p := e.ports[l.Name]; p != nil && p.link == l && !e.reopen(l.Name) {
			continue
		}
		w, err := e.opt.open(l)
		if err != nil {
			errs = append(errs, e.failed(l, "opening", err, true))
			continue
		}
		if r := e.retries[l.Name]; r != nil {
			r.reopen = false
		}
		opened[l.Name] = &port{link: l, wire: w, dirty: true}
	}
	maps.DeleteFunc(e.retries, func(name string, r *retry) bool {
		if !slices.ContainsFunc(links, func(l Link) bool { return l.Name == name }) {
			r.timer.Stop()
			return true
		}
		return false
	})
	return opened, errs
}

// reopen reports whether the link failed and must be opened again.
func (e *Engine) reopen(name string) bool {
	r := e.retries[name]
	return r != nil && r.reopen
}

// failed reports a link that does not work and has it tried again; the caller
// holds applying.
func (e *Engine) failed(l Link, doing string, err error, reopen bool) error {
	err = fmt.Errorf("%s link %s for layer 2: %w", doing, l.Name, err)
	e.report(Event{Kind: LinkFailed, Link: l.Name, MAC: l.MAC, Err: err})
	r := e.retries[l.Name]
	if r == nil {
		r = &retry{}
		e.retries[l.Name] = r
	} else {
		r.timer.Stop()
	}
	now := time.Now()
	if now.Sub(r.last) > 2*lastRetry {
		r.wait = firstRetry / 2
	}
	r.wait, r.last, r.reopen = min(2*r.wait, lastRetry), now, r.reopen || reopen
	r.timer = time.AfterFunc(r.wait, e.again)
	return err
}

// again applies the last set again, because a link failed.
func (e *Engine) again() {
	e.applying.Lock()
	defer e.applying.Unlock()
	if !e.closed() {
		_ = e.reconcile(e.last) // reported as an event
	}
}

// replacePorts makes the ports those of links, and returns those that are over.
func (e *Engine) replacePorts(links []Link, opened map[string]*port) []*port {
	var over []*port
	for name, p := range e.ports {
		i := slices.IndexFunc(links, func(l Link) bool { return l.Name == name })
		if i < 0 || links[i] != p.link || opened[name] != nil {
			over = append(over, p)
			delete(e.ports, name)
		}
	}
	maps.Copy(e.ports, opened)
	if len(over)+len(opened) > 0 {
		e.linked++
		clear(e.choices)
	}
	return over
}

// choose returns the ports that an address is answered on.
func (e *Engine) choose(n plan.Announcement) *[]*port {
	key := choiceKey(n)
	if c := e.choices[key]; c != nil {
		return c
	}
	ports := []*port{}
	for name, p := range e.ports {
		if able := n.Addr.Is4() && p.link.ARP || n.Addr.Is6() && p.link.NDP; able && (n.Links == nil || slices.Contains(n.Links, name)) {
			ports = append(ports, p)
		}
	}
	slices.SortFunc(ports, func(a, b *port) int { return cmp.Compare(a.link.Name, b.link.Name) })
	e.choices[key] = &ports
	return &ports
}

// dirty marks ports whose set of addresses changes.
func (e *Engine) dirty(ports []*port) {
	for _, p := range ports {
		p.dirty = true
	}
}

// wants returns what the ports whose sets changed are to listen to: also the
// addresses of others, to hear who claims them.
func (e *Engine) wants() map[*port]map[netip.Addr]bool {
	wants := map[*port]map[netip.Addr]bool{}
	for _, p := range e.ports {
		if p.dirty {
			p.dirty = false
			wants[p] = map[netip.Addr]bool{}
		}
	}
	if len(wants) == 0 {
		return nil
	}
	for addr, a := range *e.index.Load() {
		if !a.present {
			continue
		}
		for _, p := range a.ports {
			if w := wants[p]; w != nil {
				w[addr] = true
			}
		}
	}
	return wants
}

// read takes in what one link hears, until it is closed or fails.
func (e *Engine) read(p *port) {
	for {
		m, err := p.wire.Receive()
		if err != nil {
			e.broke(p, err)
			return
		}
		e.hear(p, m)
	}
}

// broke has a link that failed by itself opened again; one that was closed is
// not.
func (e *Engine) broke(p *port, err error) {
	e.mu.Lock()
	ours := e.ports[p.link.Name] == p && !e.closed()
	e.mu.Unlock()
	if !ours {
		return
	}
	// Not here: Close, which waits for this goroutine, may hold applying.
	time.AfterFunc(0, func() {
		e.applying.Lock()
		defer e.applying.Unlock()
		if !e.closed() && e.ports[p.link.Name] == p {
			_ = e.failed(p.link, "reading from", err, true) // reported as an event
		}
	})
}

// hear takes in one message. It takes a lock only for a claim.
func (e *Engine) hear(p *port, m Message) {
	f := e.facts.Load()
	if f.own[m.MAC] || f.own[m.Source] {
		return // our own, come back from a bridge or heard on another link
	}
	a := (*e.index.Load())[m.Addr]
	if a == nil {
		return
	}
	if m.Kind == Claim {
		e.mu.Lock()
		if a.present && e.ports[p.link.Name] == p && !e.closed() {
			e.claim(a, p, m)
		}
		e.mu.Unlock()
		return
	}
	if m.Unicast && a.yielded.Load() {
		e.mu.Lock()
		e.askedByWinner(a, p, m.MAC)
		e.mu.Unlock()
		return
	}
	if !a.on(p) || m.Unicast && a.handing.Load() && f.speakers[m.MAC] != "" {
		return
	}
	a.counts.Requests.Add(1)
	if p.wire.Answer(m) == nil {
		a.counts.Responses.Add(1)
	}
}
