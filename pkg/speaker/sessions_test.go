// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"

	"metallb.io/metallb-frr/pkg/frr/bmp"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

func planWith(addrs ...string) *plan.NodePlan {
	r := &plan.Router{ASN: 65100}
	for _, a := range addrs {
		r.Sessions = append(r.Sessions, &plan.Session{ID: a, Peer: &intent.Peer{Name: "peer-" + a, Addr: netip.MustParseAddr(a), Port: 179}})
	}
	return &plan.NodePlan{Node: "n1", Routers: []*plan.Router{r}}
}

// The handbook greps the log for these lines, so each change of a session is one,
// and nothing else is.
func TestSessionLinesInTheLog(t *testing.T) {
	var lines []string
	log := funcr.New(func(_, args string) { lines = append(lines, args) }, funcr.Options{})
	s := newSessions(log)
	s.plan(planWith("192.0.2.1", "192.0.2.2"))
	one, two := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

	steps := []struct {
		situation string
		event     bmp.Event
		want      string // in the one line logged; empty: none
	}{
		{"not yet established, as told at each connection", bmp.Event{Kind: bmp.Down, Peer: one, Reason: "no event given", At: at}, ""},
		{"established", bmp.Event{Kind: bmp.Up, Peer: one, At: at}, `"msg"="BGP session established" "peer"="peer-192.0.2.1" "addr"="192.0.2.1"`},
		{"told again after bgpd reconnected", bmp.Event{Kind: bmp.Up, Peer: one, At: at.Add(time.Second)}, ""},
		{"the other one", bmp.Event{Kind: bmp.Up, Peer: two, At: at}, `"peer"="peer-192.0.2.2"`},
		{"lost", bmp.Event{Kind: bmp.Down, Peer: one, Reason: "peer sent NOTIFICATION Cease/BFD Down", At: at.Add(time.Minute)},
			`"msg"="BGP session lost" "peer"="peer-192.0.2.1" "addr"="192.0.2.1" "reason"="peer sent NOTIFICATION Cease/BFD Down" "after"="1m0s"`},
	}
	for _, step := range steps {
		lines = nil
		s.heard(step.event)
		switch {
		case step.want == "" && len(lines) > 0:
			t.Errorf("%s: logged %q, want nothing", step.situation, lines)
		case step.want != "" && (len(lines) != 1 || !strings.Contains(lines[0], step.want)):
			t.Errorf("%s: logged %q, want one line with %s", step.situation, lines, step.want)
		}
	}

	lines = nil
	s.repeat()
	if len(lines) != 1 || !strings.Contains(lines[0], `"since"="2026-01-02T03:04:05Z"`) || !strings.Contains(lines[0], "192.0.2.2") {
		t.Errorf("the repetition logged %q, want the one live session with its beginning", lines)
	}
	lines = nil
	s.lostAll("bgpd ended")
	if len(lines) != 1 || !strings.Contains(lines[0], `"reason"="bgpd ended"`) {
		t.Errorf("the end of bgpd logged %q, want the one live session", lines)
	}
}

// A peer that leaves the plan is reported until bgpd has ended its session, and
// not as one of the node's.
func TestSessionOfARemovedPeer(t *testing.T) {
	s := newSessions(funcr.New(func(_, _ string) {}, funcr.Options{}))
	s.plan(planWith("192.0.2.1"))
	addr := netip.MustParseAddr("192.0.2.1")
	s.heard(bmp.Event{Kind: bmp.Up, Peer: addr, At: time.Now()})
	s.plan(planWith())
	all := s.sorted()
	if len(all) != 1 || all[0].planned {
		t.Fatalf("after the peer left: %d sessions, want the one that bgpd has not ended, not planned", len(all))
	}
	s.heard(bmp.Event{Kind: bmp.Down, Peer: addr, Reason: "no longer configured", At: time.Now()})
	s.plan(planWith())
	if slices.ContainsFunc(s.sorted(), func(x *session) bool { return x.addr == addr }) {
		t.Error("the ended session of a removed peer is still known")
	}
}
