// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// askedPlan has 192.0.2.2 in the default VRF and in red, and eth1, all with BFD.
func askedPlan() *plan.NodePlan {
	bfd := &intent.BFDProfile{Name: "fast"}
	p, red := planWith("192.0.2.2"), planWith("192.0.2.2").Routers[0]
	red.VRF, red.Sessions[0].Peer.Name = "red", "red"
	p.Routers[0].Sessions = append(p.Routers[0].Sessions, &plan.Session{ID: "eth1", Peer: &intent.Peer{Name: "link", Interface: "eth1", Port: 179}})
	p.Routers = append(p.Routers, red)
	for _, r := range p.Routers {
		for _, s := range r.Sessions {
			s.Peer.BFD = bfd
		}
	}
	return p
}

func TestWhatBMPDoesNotName(t *testing.T) {
	tor, link := netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("fe80::2")
	now := time.Now()
	for _, c := range []struct {
		situation string
		event     bmp.Event
		ask       bool
	}{
		{"an address in the default VRF", bmp.Event{Kind: bmp.Up, Peer: tor, At: now}, false},
		{"the same address in a VRF", bmp.Event{Kind: bmp.Down, VRF: true, Peer: tor, At: now}, true},
		{"a link-local address", bmp.Event{Kind: bmp.Up, Peer: link, At: now}, true},
		{"an interface that went down", bmp.Event{Kind: bmp.Down, At: now}, true},
	} {
		s := newSessions(logr.Discard())
		s.plan(askedPlan())
		s.heard(bmp.Event{Kind: bmp.Up, Peer: tor, At: now})
		if ask := s.heard(c.event); ask != c.ask {
			t.Errorf("%s: bgpd is to be asked: %t, want %t", c.situation, ask, c.ask)
		}
		if !s.byKey[sessionKey{"", "192.0.2.2"}].up || s.byKey[sessionKey{"red", "192.0.2.2"}].up || len(s.byKey) != 3 {
			t.Errorf("%s: sessions %+v", c.situation, s.byKey)
		}
	}
}

func TestSessionsThatBGPDIsAskedAbout(t *testing.T) {
	var lines []string
	s := newSessions(funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	s.plan(askedPlan())
	link := netip.MustParseAddr("fe80::2")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	state := func(red, unnumbered frr.SessionState) *frr.State {
		red.VRF, red.Neighbor, unnumbered.Neighbor = "red", "192.0.2.2", "eth1"
		return &frr.State{Sessions: []frr.SessionState{{Neighbor: "192.0.2.2", State: "Established"}, red, unnumbered}}
	}
	const up = "Established"
	for _, c := range []struct {
		situation string
		heard     bmp.Event
		state     *frr.State
		changed   bool
		want      []string // one in each line logged
	}{
		{"none is up", bmp.Event{}, state(frr.SessionState{State: "Idle"}, frr.SessionState{State: "Idle"}), false, nil},
		{"both come up", bmp.Event{}, state(frr.SessionState{State: up}, frr.SessionState{State: up, Addr: link}), true,
			[]string{`established" "peer"="link" "addr"="eth1"`, `established" "peer"="red" "addr"="192.0.2.2"`}},
		{"nothing new", bmp.Event{}, state(frr.SessionState{State: up}, frr.SessionState{State: up, Addr: link}), false, nil},
		{"down and up again between two questions", bmp.Event{}, state(frr.SessionState{State: up, Dropped: 1, Reason: "Interface down"}, frr.SessionState{State: up, Addr: link}), true,
			[]string{`lost" "peer"="red" "addr"="192.0.2.2" "reason"="Interface down"`, `established" "peer"="red"`}},
		{"lost, with bgpd's report", bmp.Event{Kind: bmp.Down, Peer: link, Reason: "hold timer expired"},
			state(frr.SessionState{State: up, Dropped: 1}, frr.SessionState{State: "Active", Addr: link, Dropped: 1, Reason: "something"}), true,
			[]string{`lost" "peer"="link" "addr"="eth1" "reason"="hold timer expired"`}},
		{"gone from FRR", bmp.Event{}, &frr.State{}, true, []string{`lost" "peer"="red" "addr"="192.0.2.2" "reason"="not configured in FRR"`}},
	} {
		lines = nil
		if c.heard.Kind != 0 {
			s.heard(c.heard)
		}
		at = at.Add(time.Minute)
		if changed := s.saw(c.state, at); changed != c.changed {
			t.Errorf("%s: something new: %t, want %t", c.situation, changed, c.changed)
		}
		if len(lines) != len(c.want) {
			t.Errorf("%s: logged %q, want %d lines", c.situation, lines, len(c.want))
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s: logged %s, want %s", c.situation, lines[i], want)
			}
		}
	}
	s.plan(&plan.NodePlan{})
	if len(s.byKey) != 0 {
		t.Errorf("sessions that nobody reports the end of are still known: %+v", s.byKey)
	}
}

func TestBFDStates(t *testing.T) {
	var lines []string
	s := newSessions(funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{}))
	s.plan(askedPlan())
	tor := netip.MustParseAddr("192.0.2.2")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	of := s.byKey[sessionKey{"", "192.0.2.2"}]
	for _, c := range []struct {
		situation, status string
		after             time.Duration
		want, line        string
	}{
		{"not yet", "down", 0, "down", ""},
		{"the router is heard", "init", time.Second, "init", ""},
		{"up", "up", time.Second, "up", `"msg"="BFD session up" "peer"="peer-192.0.2.2" "addr"="192.0.2.2"`},
		{"BGP begins", "up", time.Second, "up", "BGP session established"},
		{"set up anew with BGP", "down", time.Second, "up", ""},
		{"up again", "up", time.Second, "up", ""},
		{"lost", "down", time.Minute, "down", `"msg"="BFD session down" "peer"="peer-192.0.2.2" "addr"="192.0.2.2" "state"="down" "diagnostic"="control detection time expired"`},
		{"turned off", "admin-down", time.Second, "admin-down", ""},
	} {
		lines, at = nil, at.Add(c.after)
		if c.situation == "BGP begins" {
			s.heard(bmp.Event{Kind: bmp.Up, Peer: tor, At: at})
		}
		was := of.bfd
		changed := s.sawBFD(&frr.State{BFD: []frr.BFDState{
			{VRF: "red", Peer: tor, Status: "down"}, // never up
			{Peer: tor, Status: c.status, Diagnostic: "control detection time expired"},
		}}, at)
		if of.bfd != c.want || c.situation != "not yet" && changed != (was != c.want) {
			t.Errorf("%s: BFD is %s, something new: %t; want %s", c.situation, of.bfd, changed, c.want)
		}
		if all := strings.Join(lines, "\n"); (c.line == "") != (all == "") || !strings.Contains(all, c.line) {
			t.Errorf("%s: logged %q, want %q", c.situation, all, c.line)
		}
	}
	without := askedPlan()
	without.Routers[0].Sessions[0].Peer.BFD = nil
	s.plan(without)
	if of.bfd != "" {
		t.Errorf("without a profile the BFD session is %q", of.bfd)
	}
}

func TestPausesBetweenQuestions(t *testing.T) {
	a := newAsker(nil, logr.Discard())
	s := newSessions(logr.Discard())
	p := askedPlan()
	p.Routers = p.Routers[:1]
	s.plan(p)
	now := func(past time.Duration) time.Time { return a.event.Add(past) }
	a.ask(s, false, true)
	for _, c := range []struct {
		situation string
		do        func()
		past      time.Duration
		want      time.Duration
	}{
		{"BFD is not up", func() {}, 30 * time.Second, askSettling},
		{"BFD does not come up", func() {}, 2 * time.Minute, askUsual},
		{"BFD is up", func() { s.byKey[sessionKey{"", "192.0.2.2"}].bfd, s.byKey[sessionKey{"", "eth1"}].bfd = "up", "up" }, 30 * time.Second, askUsual},
		{"just after an event", func() {}, time.Second, askSettling},
		{"a session in a VRF", func() { s.plan(askedPlan()); s.byKey[sessionKey{"red", "192.0.2.2"}].bfd = "up" }, time.Hour, askSettling},
		{"that bgpd reports", func() { s.heard(bmp.Event{Kind: bmp.Up, VRF: true, Peer: netip.MustParseAddr("192.0.2.2")}) }, time.Hour, askUsual},
	} {
		c.do()
		a.ask(s, false, false)
		if got := a.pause(now(c.past)); got != c.want {
			t.Errorf("%s, %v after the last event: %v to the next question, want %v", c.situation, c.past, got, c.want)
		}
	}
}
