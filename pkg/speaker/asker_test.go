// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/frr/vtysh"
)

// Neighbours that bgpd must be asked about are asked about after each event, also
// where the first question fails, and from time to time whatever BFD does.
func TestWhenNeighborsAreAskedAbout(t *testing.T) {
	a := newAsker(vtysh.New(vtysh.Options{Command: []string{"false"}}), logr.Discard())
	s := newSessions(logr.Discard())
	p := askedPlan()
	p.Routers = p.Routers[:1] // none in a VRF
	s.plan(p)
	a.ask(s, false, true)
	asked := func(situation string, past time.Duration, want bool) {
		t.Helper()
		if _, got := a.next(a.event.Add(past)); got != want {
			t.Errorf("%s: asked about neighbours: %t, want %t", situation, got, want)
		}
	}
	asked("BFD is on its way up", time.Second, false)
	asked("BFD does not come up", 2*time.Minute, true)
	a.ask(s, true, true)
	if _, err := a.once(t.Context()); err == nil {
		t.Fatal("FRR, which is not there, answers")
	}
	asked("after a question without an answer", time.Second, true)
	asked("nothing new", time.Second, false)
	s.byKey[sessionKey{"", "192.0.2.2"}].bfd, s.byKey[sessionKey{"", "eth1"}].bfd = "up", "up"
	a.ask(s, false, false)
	asked("BFD is up", time.Second, true)
}

// What FRR said before its bgpd ended does not bring sessions back to life.
func TestAnswerOfABGPDThatHasEnded(t *testing.T) {
	s := New(Options{Node: "n1", FRR: vtysh.New(vtysh.Options{}), Log: logr.Discard()})
	s.sessions.plan(askedPlan())
	eth1 := s.sessions.byKey[sessionKey{"", "eth1"}]
	answer := func() *answer {
		return &answer{neighbors: true, at: time.Now(), state: &frr.State{Sessions: []frr.SessionState{{Neighbor: "eth1", Addr: netip.MustParseAddr("fe80::2"), State: "Established"}}}}
	}
	s.answered(answer())
	if !eth1.up {
		t.Fatal("the session is not up")
	}
	late := answer()
	s.heard(bmp.Event{Kind: bmp.Disconnected, At: time.Now()})
	s.asker.next(time.Now())
	for len(s.asker.wake) > 0 {
		<-s.asker.wake
	}
	s.answered(late)
	if eth1.up {
		t.Error("the session is up again with an answer from before bgpd's end")
	}
	if len(s.asker.wake) == 0 || !s.asker.now {
		t.Error("FRR is not asked again")
	}
	s.answered(answer())
	if !eth1.up {
		t.Error("the session is not up with an answer from after bgpd's end")
	}
}
