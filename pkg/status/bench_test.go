// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"testing"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// BenchmarkReports measures what the controller works out each time that some of
// 200 nodes report, at most ten times a second: the sums and the condition of each
// of 4 BGPPeers.
func BenchmarkReports(b *testing.B) {
	var nodes []*intent.Node
	var states []*v1beta1.ConfigurationState
	peers := []*intent.Peer{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}
	for i := range 200 {
		n := &intent.Node{Name: fmt.Sprintf("n%03d", i), Ready: true}
		var sessions []v1beta1.SessionStatus
		for j, p := range peers {
			s := v1beta1.SessionStatus{Peer: p.Name, State: v1beta1.SessionEstablished, Since: ago(0), BFD: "up"}
			if (i+j)%2 == 0 {
				s.State, s.Reason, s.LastDown, s.LastReason, s.BFD = v1beta1.SessionDown, "Hold Timer Expired", ago(0), "Hold Timer Expired", "down"
			}
			sessions = append(sessions, s)
		}
		nodes, states = append(nodes, n), append(states, stateOf(n.Name, sessions...))
	}
	for b.Loop() {
		r := NewReports(states)
		for _, p := range peers {
			if r.Sessions(p, nodes, nil).Established != 100 || r.Established(p, nodes).Reason != string(ReasonSessionDown) {
				b.Fatal("half of the sessions are to be up")
			}
		}
	}
}
