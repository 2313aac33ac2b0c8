// SPDX-License-Identifier: Apache-2.0

package status

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/intent"
)

// ago is a time before now, as the API has it.
func ago(d time.Duration) metav1.Time { return At(now.Add(-d)) }

func stateOf(node string, sessions ...v1beta1.SessionStatus) *v1beta1.ConfigurationState {
	s := &v1beta1.ConfigurationState{Status: v1beta1.ConfigurationStateStatus{Sessions: sessions}}
	s.Name, s.Labels = v1beta1.SpeakerStatePrefix+node, map[string]string{v1beta1.LabelNodeName: node}
	return s
}

func TestSessionsOfABGPPeer(t *testing.T) {
	n1, n2 := &intent.Node{Name: "n1", Ready: true}, &intent.Node{Name: "n2", Ready: true}
	dead := &intent.Node{Name: "n2"}
	up := func(bfd string) v1beta1.SessionStatus {
		return v1beta1.SessionStatus{Peer: "tor", State: v1beta1.SessionEstablished, Since: ago(time.Hour), BFD: bfd}
	}
	down := func(bfd string) v1beta1.SessionStatus {
		return v1beta1.SessionStatus{Peer: "tor", State: v1beta1.SessionDown, Since: ago(time.Minute), Reason: "BFD Down", LastDown: ago(time.Minute), LastReason: "BFD Down", BFD: bfd}
	}
	back := up("up")
	back.Since, back.LastDown, back.LastReason = ago(10*time.Second), ago(30*time.Second), "Hold Timer Expired"
	end := func(node string, d time.Duration, reason string) *v1beta1.BGPPeerSessionEnd {
		return &v1beta1.BGPPeerSessionEnd{Node: node, Time: ago(d), Reason: reason}
	}
	const (
		hint = ": UDP 3784/4784 blocked, or no BFD on the router; once lost, the session stays down until BFD is up"
		both = ": the router is not reached, UDP 3784/4784 blocked, or no BFD on the router"
	)
	for _, c := range []struct {
		situation string
		nodes     []*intent.Node
		one, two  v1beta1.SessionStatus // of n1 and n2
		want      *v1beta1.BGPPeerSessions
		condition string
	}{
		{"without BFD", []*intent.Node{n1, n2}, up(""), up(""),
			&v1beta1.BGPPeerSessions{Summary: "2/2", Expected: 2, Established: 2, Since: ago(time.Hour)},
			"True Established 2 of 2 nodes"},
		{"guarded by BFD", []*intent.Node{n1, n2}, up("up"), up("up"),
			&v1beta1.BGPPeerSessions{Summary: "2/2", Expected: 2, Established: 2, Since: ago(time.Hour), BFDUp: 2},
			"True Established 2 of 2 nodes"},
		{"one-sided BFD", []*intent.Node{n1, n2}, up("down"), up("up"),
			&v1beta1.BGPPeerSessions{Summary: "2/2", Expected: 2, Established: 2, Since: ago(time.Hour), BFDUp: 1, BFDDown: 1},
			"True BFDDown 2 of 2 nodes; BFD is down on n1" + hint},
		{"BFD heard one way", []*intent.Node{n1, n2}, up("init"), up("down"),
			&v1beta1.BGPPeerSessions{Summary: "2/2", Expected: 2, Established: 2, Since: ago(time.Hour), BFDDown: 2},
			"True BFDDown 2 of 2 nodes; BFD is down on n1, n2" + hint},
		{"BFD turned off at one end", []*intent.Node{n1, n2}, up("admin-down"), up("up"),
			&v1beta1.BGPPeerSessions{Summary: "2/2", Expected: 2, Established: 2, Since: ago(time.Hour), BFDUp: 1, BFDDown: 1},
			"True BFDDown 2 of 2 nodes; BFD is administratively down on n1"},
		{"down with BFD", []*intent.Node{n1, n2}, down("down"), up("up"),
			&v1beta1.BGPPeerSessions{Summary: "1/2", Expected: 2, Established: 1, Since: ago(time.Minute), LastDown: end("n1", time.Minute, "BFD Down"), BFDUp: 1, BFDDown: 1},
			"False SessionDown 1 of 2 nodes; down on n1 (BFD Down); BFD is down too on n1" + both},
		{"back again: the last end stays", []*intent.Node{n1, n2}, back, up("up"),
			&v1beta1.BGPPeerSessions{Summary: "2/2", Expected: 2, Established: 2, Since: ago(10 * time.Second), LastDown: end("n1", 30*time.Second, "Hold Timer Expired"), BFDUp: 2},
			"True Established 2 of 2 nodes"},
		{"of two ends the later", []*intent.Node{n1, n2}, back, down(""),
			&v1beta1.BGPPeerSessions{Summary: "1/2", Expected: 2, Established: 1, Since: ago(10 * time.Second), LastDown: end("n1", 30*time.Second, "Hold Timer Expired"), BFDUp: 1},
			"False SessionDown 1 of 2 nodes; down on n2 (BFD Down)"},
		{"a node that is not ready is unknown", []*intent.Node{n1, dead}, up("up"), up("up"),
			&v1beta1.BGPPeerSessions{Summary: "1/2", Expected: 2, Established: 1, Since: ago(time.Hour), BFDUp: 1},
			"Unknown NotReported 1 of 2 nodes; unknown on n2 (not ready)"},
		{"no node", nil, up(""), up(""), nil, "Unknown NoNodes no node matches nodeSelectors"},
	} {
		r := NewReports([]*v1beta1.ConfigurationState{stateOf("n1", c.one), stateOf("n2", c.two)})
		p := &intent.Peer{Name: "tor"}
		got := r.Sessions(p, c.nodes, nil)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: sessions (-want +got):\n%s", c.situation, diff)
		}
		cond := r.Established(p, c.nodes)
		if text := string(cond.Status) + " " + cond.Reason + " " + cond.Message; text != c.condition {
			t.Errorf("%s: condition\n%s, want\n%s", c.situation, text, c.condition)
		}
		// Each difference in the sums is one to write, none is none.
		have := &v1beta2.BGPPeer{Status: v1beta2.BGPPeerStatus{Sessions: got}}
		if !(Object{Sessions: got.DeepCopy()}).Same(have) {
			t.Errorf("%s: the same sums count as a difference", c.situation)
		}
		if other := (&v1beta1.BGPPeerSessions{Summary: "9/9"}); (Object{Sessions: other}).Same(have) {
			t.Errorf("%s: other sums count as the same", c.situation)
		}
	}
	// The end in the status outlives the node's report, until there is a later one.
	for _, c := range []struct {
		present, want time.Duration
	}{{time.Hour, time.Minute}, {time.Second, time.Second}} {
		present := &v1beta1.BGPPeerSessions{LastDown: end("gone", c.present, "earlier")}
		got := NewReports([]*v1beta1.ConfigurationState{stateOf("n1", down(""))}).Sessions(&intent.Peer{Name: "tor"}, []*intent.Node{n1}, present)
		if at := ago(c.want); !got.LastDown.Time.Equal(&at) {
			t.Errorf("with an end %v ago in the status and one a minute ago in the report the last is %+v", c.present, got.LastDown)
		}
	}
	if got := NewReports(nil).Sessions(nil, []*intent.Node{n1}, nil); got != nil {
		t.Errorf("a BGPPeer that is not in force has the sums %+v", got)
	}
}

func TestEveryDifferenceInTheSumsCounts(t *testing.T) {
	base := func() *v1beta1.BGPPeerSessions {
		return &v1beta1.BGPPeerSessions{Summary: "1/2", Expected: 2, Established: 1, Since: ago(time.Hour), BFDUp: 1, BFDDown: 1,
			LastDown: &v1beta1.BGPPeerSessionEnd{Node: "n", Time: ago(time.Hour), Reason: "r"}}
	}
	for what, edit := range map[string]func(*v1beta1.BGPPeerSessions){
		"expected": func(s *v1beta1.BGPPeerSessions) { s.Expected++ }, "established": func(s *v1beta1.BGPPeerSessions) { s.Established++ },
		"since": func(s *v1beta1.BGPPeerSessions) { s.Since = ago(0) }, "bfdUp": func(s *v1beta1.BGPPeerSessions) { s.BFDUp++ },
		"bfdDown": func(s *v1beta1.BGPPeerSessions) { s.BFDDown++ }, "lastDown": func(s *v1beta1.BGPPeerSessions) { s.LastDown = nil },
		"node": func(s *v1beta1.BGPPeerSessions) { s.LastDown.Node = "m" }, "time": func(s *v1beta1.BGPPeerSessions) { s.LastDown.Time = ago(0) },
		"reason": func(s *v1beta1.BGPPeerSessions) { s.LastDown.Reason = "s" },
	} {
		edited := base()
		edit(edited)
		if SameSessions(base(), edited) || SameSessions(edited, base()) {
			t.Errorf("another %s counts as the same", what)
		}
	}
	if !SameSessions(base(), base()) || !SameSessions(nil, nil) || SameSessions(nil, base()) {
		t.Error("equal sums, or none, are not what they are")
	}
}

// A restarted speaker has not seen the end; what it published before has it.
func TestTheLastEndOutlivesTheSpeaker(t *testing.T) {
	published := []v1beta1.SessionStatus{
		{Peer: "a", Address: "192.0.2.1", LastDown: ago(time.Hour), LastReason: "old"},
		{Peer: "b", Address: "192.0.2.2", LastDown: ago(time.Hour), LastReason: "old"},
		{Peer: "c", Address: "192.0.2.3", LastDown: ago(time.Hour), LastReason: "old"},
	}
	sessions := []v1beta1.SessionStatus{
		{Peer: "a", Address: "192.0.2.1"},
		{Peer: "b", Address: "192.0.2.2", LastDown: ago(time.Minute), LastReason: "new"},
		{Peer: "c", Address: "192.0.2.9"},
	}
	KeepLastDown(sessions, published)
	for i, want := range []string{"old", "new", ""} {
		if s := sessions[i]; s.LastReason != want || s.LastDown.IsZero() != (want == "") {
			t.Errorf("session %s ended last %v for %q, want %q", s.Peer, s.LastDown, s.LastReason, want)
		}
	}
}
