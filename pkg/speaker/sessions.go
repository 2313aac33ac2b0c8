// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/plan"
)

// repeatEstablished is how often each live session is named in the log again, so
// that the last lines of a log of any age answer "are the sessions up?".
const repeatEstablished = 5 * time.Minute

// renewal is how long after the beginning of a BGP session its BFD session may be
// down without that being said: FRR sets it up anew then, which takes a second.
const renewal = 3 * time.Second

// sessions is what is known of the node's sessions. bgpd pushes what becomes of
// those with an address in the default VRF; of the others it is asked, at once
// when it reports something of them.
type sessions struct {
	log   logr.Logger
	byKey map[sessionKey]*session
	// links are the reasons of ends that bgpd reported by link-local address.
	links map[netip.Addr]string
	// pushed: bgpd has reported a session in a VRF since it came.
	pushed bool
	// lost is when all sessions were last noted to have ended with bgpd.
	lost time.Time
}

// sessionKey tells sessions apart: VRF (empty: the default one), and address or
// interface.
type sessionKey struct{ vrf, neighbor string }

// session is one BGP session. A neighbour that the plan does not name any more
// keeps its entry until bgpd reports its end.
type session struct {
	sessionKey
	addr    netip.Addr // invalid: unnumbered, and no router seen yet
	peer    string     // the BGPPeer's name; empty: not in the plan
	port    uint16
	up      bool
	since   time.Time
	reason  string // why it is not up
	planned bool
	dropped uint64 // of an asked one: how often it has ended
	wantBFD bool
	bfd     string // state of its BFD session; empty: none known
	// When and why it was lost last; kept while it is up again.
	lastDown   time.Time
	lastReason string
}

// asked reports whether bgpd must be asked how the session is, since what it
// reports names neither a VRF nor the interface of an unnumbered session.
func (s *session) asked() bool { return s.vrf != "" || !numbered(s.neighbor) }

func numbered(neighbor string) bool {
	_, err := netip.ParseAddr(neighbor)
	return err == nil
}

func newSessions(log logr.Logger) *sessions {
	return &sessions{log: log, byKey: map[sessionKey]*session{}, links: map[netip.Addr]string{}}
}

// plan takes in which sessions the node should have.
func (t *sessions) plan(p *plan.NodePlan) {
	for _, s := range t.byKey {
		s.planned = false
	}
	for _, r := range p.Routers {
		for _, s := range r.Sessions {
			at := t.at(sessionKey{r.VRF, s.Neighbor()})
			at.peer, at.port, at.planned = s.Peer.Name, s.Peer.Port, true
			if at.wantBFD = s.Peer.BFD != nil; !at.wantBFD {
				at.bfd = ""
			}
		}
	}
	for key, s := range t.byKey {
		if !s.planned && (!s.up || s.asked()) {
			if s.up {
				s.end(t.log, "no longer configured", time.Now())
			}
			delete(t.byKey, key)
		}
	}
}

func (t *sessions) at(key sessionKey) *session {
	if t.byKey[key] == nil {
		s := &session{sessionKey: key}
		s.addr, _ = netip.ParseAddr(key.neighbor)
		t.byKey[key] = s
	}
	return t.byKey[key]
}

// heard takes in one event of bgpd's. ask reports whether it concerns a session
// that bgpd must be asked about.
func (t *sessions) heard(e bmp.Event) (ask bool) {
	t.pushed = t.pushed || e.VRF
	if !e.Peer.IsValid() {
		return true // some unnumbered one
	}
	key := sessionKey{neighbor: e.Peer.String()}
	if e.VRF || e.Peer.IsLinkLocalUnicast() && t.byKey[key] == nil {
		if e.Kind == bmp.Down && !e.VRF {
			t.links[e.Peer] = e.Reason
		}
		return true
	}
	s := t.at(key)
	switch {
	case e.Kind == bmp.Up && !s.up:
		s.begin(t.log, e.At)
	case e.Kind == bmp.Down && s.up:
		s.end(t.log, e.Reason, e.At)
	case e.Kind == bmp.Down && s.reason != e.Reason:
		s.reason = e.Reason
	}
	return false
}

// saw takes in what bgpd says of the sessions that it must be asked about, and
// reports whether that is something new.
func (t *sessions) saw(state *frr.State, at time.Time) (changed bool) {
	for _, s := range t.sorted() {
		if !s.asked() {
			continue
		}
		was := *s
		now := state.Session(s.vrf, s.neighbor)
		if now == nil {
			now = &frr.SessionState{Reason: "not configured in FRR", Dropped: s.dropped}
		}
		if now.Addr.IsValid() {
			s.addr = now.Addr
		}
		reason := now.Reason
		if said, ok := t.links[s.addr]; ok && s.vrf == "" {
			reason = said
		}
		switch {
		case now.Up() && s.up && now.Dropped != s.dropped: // meanwhile
			s.end(t.log, reason, at)
			s.begin(t.log, at.Add(-now.Uptime))
		case now.Up() && !s.up:
			s.begin(t.log, at.Add(-now.Uptime))
		case !now.Up() && s.up:
			s.end(t.log, reason, at)
		case !now.Up():
			s.reason = reason
		}
		s.dropped = now.Dropped
		changed = changed || s.up != was.up || s.since != was.since || s.reason != was.reason
	}
	clear(t.links)
	return changed
}

// sawBFD takes in what bfdd says, and reports whether that is something new.
func (t *sessions) sawBFD(state *frr.State, at time.Time) (changed bool) {
	for _, s := range t.sorted() {
		if !s.wantBFD {
			continue
		}
		now := state.BFDOf(s.vrf, s.neighbor)
		if now == nil {
			now = &frr.BFDState{Status: "down", Diagnostic: "bfdd has no session"}
		}
		if now.Status == s.bfd || s.bfd == "up" && s.up && at.Sub(s.since) < renewal {
			continue
		}
		switch {
		case now.Up():
			t.log.Info("BFD session up", "peer", s.peer, "addr", s.neighbor)
		case s.bfd == "up":
			t.log.Info("BFD session down", "peer", s.peer, "addr", s.neighbor, "state", now.Status,
				"diagnostic", now.Diagnostic, "remoteDiagnostic", now.RemoteDiagnostic)
		}
		s.bfd, changed = now.Status, true
	}
	return changed
}

func (s *session) begin(log logr.Logger, at time.Time) {
	s.up, s.since = true, at
	log.Info("BGP session established", "peer", s.peer, "addr", s.neighbor)
}

func (s *session) end(log logr.Logger, reason string, at time.Time) {
	log.Info("BGP session lost", "peer", s.peer, "addr", s.neighbor, "reason", reason, "after", at.Sub(s.since).Round(time.Millisecond).String())
	s.up, s.since, s.reason = false, at, reason
	s.lastDown, s.lastReason = at, reason
}

// lostAll: bgpd is gone, and its sessions with it.
func (t *sessions) lostAll(reason string) {
	t.pushed, t.lost = false, time.Now()
	for _, s := range t.sorted() {
		if s.up {
			s.end(t.log, reason, t.lost)
		}
	}
}

// repeat logs the sessions that are up.
func (t *sessions) repeat() {
	for _, s := range t.sorted() {
		if s.up {
			t.log.Info("BGP session established", "peer", s.peer, "addr", s.neighbor, "since", s.since.UTC().Format(time.RFC3339))
		}
	}
}

// sorted returns the sessions by the names of their peers.
func (t *sessions) sorted() []*session {
	list := make([]*session, 0, len(t.byKey))
	for _, s := range t.byKey {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *session) int {
		return cmp.Or(cmp.Compare(a.peer, b.peer), cmp.Compare(a.vrf, b.vrf), cmp.Compare(a.neighbor, b.neighbor))
	})
	return list
}
