// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/plan"
)

// repeatEstablished is how often each live session is named in the log again, so
// that the last lines of a log of any age answer "are the sessions up?".
const repeatEstablished = 5 * time.Minute

// sessions is what bgpd reported of the node's BGP sessions.
type sessions struct {
	log    logr.Logger
	byAddr map[netip.Addr]*session
}

// session is one BGP session. A neighbour that the plan does not name any more
// keeps its entry until bgpd reports its end.
type session struct {
	addr   netip.Addr
	peer   string // the BGPPeer's name; empty: not in the plan
	vrf    string
	port   uint16
	up     bool
	since  time.Time
	reason string // why it is not up
	// When and why it was lost last; kept while it is up again.
	lastDown   time.Time
	lastReason string
	planned    bool
}

func newSessions(log logr.Logger) *sessions {
	return &sessions{log: log, byAddr: map[netip.Addr]*session{}}
}

// plan takes in which sessions the node should have.
func (t *sessions) plan(p *plan.NodePlan) {
	for _, s := range t.byAddr {
		s.planned = false
	}
	for _, r := range p.Routers {
		for _, s := range r.Sessions {
			if !s.Peer.Addr.IsValid() {
				continue // unnumbered: known by its link-local address only
			}
			at := t.at(s.Peer.Addr)
			at.peer, at.vrf, at.port, at.planned = s.Peer.Name, r.VRF, s.Peer.Port, true
		}
	}
	for addr, s := range t.byAddr {
		if !s.planned && !s.up {
			delete(t.byAddr, addr)
		}
	}
}

func (t *sessions) at(addr netip.Addr) *session {
	if t.byAddr[addr] == nil {
		t.byAddr[addr] = &session{addr: addr}
	}
	return t.byAddr[addr]
}

// heard takes in a report of bgpd and logs what is new in it.
func (t *sessions) heard(e bmp.Event) {
	s := t.at(e.Peer)
	switch {
	case e.Kind == bmp.Up && !s.up:
		s.up, s.since = true, e.At
		t.log.Info("BGP session established", "peer", s.peer, "addr", s.addr.String())
	case e.Kind == bmp.Down && s.up:
		s.end(t.log, e.Reason, e.At)
	case e.Kind == bmp.Down && s.reason != e.Reason:
		s.reason = e.Reason
	}
}

func (s *session) end(log logr.Logger, reason string, at time.Time) {
	log.Info("BGP session lost", "peer", s.peer, "addr", s.addr.String(), "reason", reason, "after", at.Sub(s.since).Round(time.Millisecond).String())
	s.up, s.since, s.reason = false, at, reason
	s.lastDown, s.lastReason = at, reason
}

// lostAll marks every session as ended.
func (t *sessions) lostAll(reason string) {
	for _, s := range t.sorted() {
		if s.up {
			s.end(t.log, reason, time.Now())
		}
	}
}

// repeat logs each live session again.
func (t *sessions) repeat() {
	for _, s := range t.sorted() {
		if s.up {
			t.log.Info("BGP session established", "peer", s.peer, "addr", s.addr.String(), "since", s.since.UTC().Format(time.RFC3339))
		}
	}
}

func (t *sessions) sorted() []*session {
	list := make([]*session, 0, len(t.byAddr))
	for _, s := range t.byAddr {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *session) int { return cmp.Or(cmp.Compare(a.peer, b.peer), a.addr.Compare(b.addr)) })
	return list
}
