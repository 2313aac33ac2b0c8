// SPDX-License-Identifier: Apache-2.0

package members

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The pace at which the missing are tried. Each member tries, so that one that
// comes back is found by the first; a hundred of them must not fall upon it.
const (
	firstRetry = 500 * time.Millisecond // doubled with each failure
	lastRetry  = 30 * time.Second
	heardRetry = time.Second          // at least, between two tries, though it be heard
	atOnce     = 4                    // tried at the same time; twice as many of those heard
	gap        = 5 * time.Millisecond // from one try to the next, for each member: all together make 200 a second
)

// attempt is what is known of trying one address.
type attempt struct {
	addr    netip.Addr
	running bool
	tried   bool
	heard   bool // since the last try: there is somebody
	refused bool // for the key: hearing it means nothing
	last    time.Time
	due     time.Time
	wait    time.Duration
	err     error
}

// Join says where all speakers are, each pod's address, this member's own or
// not; the port is this member's. It returns at once. Those that are not alive
// are tried until they are, or until another call does not name them: at once,
// then after half a second, with growing pauses of at most 30 s, and at once when
// a packet comes from them.
func (m *Members) Join(addrs []netip.Addr) {
	wanted := make([]netip.Addr, 0, len(addrs))
	for _, a := range addrs {
		if a = a.Unmap(); a.IsValid() && a != m.o.Advertise.Addr() && a != m.o.Bind.Addr() {
			wanted = append(wanted, a)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted, m.asked = wanted, true
	signal(m.arrange)
}

// heard is called for each packet; one from somebody missing says that it is
// worth a try.
func (m *Members) heard(from netip.Addr) {
	if missing := *m.missing.Load(); len(missing) > 0 && missing[from] {
		select {
		case m.hear <- from:
		default:
		}
	}
}

// join tries the missing until stop.
func (m *Members) join() {
	attempts := map[netip.Addr]*attempt{}
	done := make(chan *attempt)
	running, last := 0, time.Time{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-m.stop:
			for ; running > 0; running-- { // they end with the transport
				<-done
			}
			return
		case from := <-m.hear:
			if a := attempts[from]; a != nil && !a.refused && !a.heard && !a.running {
				a.heard = true
				a.due = a.last.Add(heardRetry)
			}
		case a := <-done:
			running--
			m.tried(a)
		case <-m.arrange:
		case <-timer.C:
		}
		now := time.Now()
		due, next := m.due(attempts, now)
		if wait := last.Add(time.Duration(m.list.NumMembers()) * gap).Sub(now); len(due) > 0 && wait > 0 {
			due, next = nil, wait
		}
		for _, a := range due {
			if running < atOnce || a.heard && running < 2*atOnce {
				running, last = running+1, now
				a.running = true
				go func() {
					_, a.err = m.list.Join([]string{net.JoinHostPort(a.addr.String(), strconv.Itoa(int(m.o.Bind.Port())))})
					done <- a
				}()
				next = min(next, time.Duration(m.list.NumMembers())*gap)
				break
			}
		}
		timer.Reset(next)
	}
}

// tried notes how a try ended, and when the next one is due if it is needed.
func (m *Members) tried(a *attempt) {
	a.running, a.tried, a.heard = false, true, false
	a.last = time.Now()
	a.due = a.last.Add(a.wait/2 + rand.N(a.wait))
	a.wait = min(2*a.wait, lastRetry)
	a.refused = a.err != nil && slices.ContainsFunc(refusals, func(r string) bool { return strings.Contains(a.err.Error(), r) })
	if a.err == nil {
		m.settled()
	}
	if a.refused {
		m.refused(a.addr)
	}
}

// due returns whom to try now, in no order, and how long the rest can wait.
// Attempts at those no longer missing are forgotten.
func (m *Members) due(attempts map[netip.Addr]*attempt, now time.Time) ([]*attempt, time.Duration) {
	missing, asked, regained := m.look()
	for addr, a := range attempts {
		switch {
		case !missing[addr] && !a.running:
			delete(attempts, addr)
		case regained && !a.running: // the network is better than it was
			a.wait = firstRetry
			if a.due.Sub(now) > firstRetry {
				a.due = now.Add(rand.N(firstRetry))
			}
		}
	}
	var due []*attempt
	next, untried := lastRetry, false
	for addr := range missing {
		a := attempts[addr]
		if a == nil {
			a = &attempt{addr: addr, wait: firstRetry, due: now}
			if m.isJoined() { // one that was lost, or is new and tries us: not everybody at the same moment
				a.due = now.Add(rand.N(firstRetry))
			}
			attempts[addr] = a
		}
		untried = untried || !a.tried
		wait := a.due.Sub(now)
		switch {
		case a.running: // its end comes by itself
		case wait > 0:
			next = min(next, wait)
		default:
			due = append(due, a)
		}
	}
	if asked && !untried {
		m.settled()
	}
	rand.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	return due, next
}

// look works out who is missing, and whether Join was called, and whether
// somebody has come to life since the last look.
func (m *Members) look() (missing map[netip.Addr]bool, asked, regained bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	missing = map[netip.Addr]bool{}
	for _, a := range m.wanted {
		missing[a] = true
	}
	for _, n := range m.at {
		delete(missing, addrOf(&n))
	}
	m.missing.Store(&missing)
	asked, regained, m.regained = m.asked, m.regained, false
	return missing, asked, regained
}

func (m *Members) settled() { m.once.Do(func() { close(m.joined) }) }

func (m *Members) isJoined() bool {
	select {
	case <-m.joined:
		return true
	default:
		return false
	}
}
