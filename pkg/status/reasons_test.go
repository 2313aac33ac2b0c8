// SPDX-License-Identifier: Apache-2.0

package status

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/hack/docs/row"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
)

// subject is a BGPPeer of the second generation with these findings.
func subject(findings ...intent.Finding) Subject {
	return Subject{Ref: intent.Ref{Kind: v1beta1.KindBGPPeer, Name: "tor1"}, Generation: 2, Findings: findings}
}

// established is the condition of the BGPPeer tor1 on the nodes n1 and n2, whose
// speakers say that.
func established(one, two v1beta1.SessionStatus) metav1.Condition {
	one.Peer, two.Peer = "tor1", "tor1"
	return NewReports([]*v1beta1.ConfigurationState{stateOf("n1", one), stateOf("n2", two)}).Established(&intent.Peer{Name: "tor1"}, readyNodes("n1", "n2"))
}

// reasonRows show each Reason of this package in a condition. Those of events alone,
// and of what only a speaker knows, have an empty one: the speaker writes the text.
func reasonRows(t *testing.T) map[intent.Reason]metav1.Condition {
	up := v1beta1.SessionStatus{State: v1beta1.SessionEstablished, BFD: "up"}
	down := v1beta1.SessionStatus{State: v1beta1.SessionDown, Reason: "Hold Timer Expired"}
	unguarded := v1beta1.SessionStatus{State: v1beta1.SessionEstablished, BFD: "down"}
	invalid := intent.Finding{Object: intent.Ref{Kind: v1beta1.KindBGPPeer, Name: "tor1"}, Severity: intent.Invalid, Reason: intent.InvalidPeerAddress, Field: "spec.peerAddress", Value: "tor1", Message: "invalid BGPPeer address; write one IPv4 or IPv6 address, such as 192.0.2.1 or 2001:db8::1"}
	edited := subject(invalid)
	edited.Present.LastAccepted = &v1beta1.AcceptedSpec{Generation: 1}
	refused := subject()
	refused.Refused = []Refusal{{Line: " neighbor eth0 interface remote-as 65000", Message: "% Unknown command", Nodes: []string{"n1"}}}
	address := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	service := ForService(holder(""), ipam.Outcome{Addresses: address, Pool: "prod"},
		NewConflicts([]*v1beta1.ConfigurationState{hearing("n1", "192.0.2.1 02:00:00:00:00:01 eth0")}, readyNodes("n1")), nil, now)
	in := func(s Sync) metav1.Condition { return s.Condition(nil, now) }
	_, badPause := PauseUntil("tomorrow", now)

	return map[intent.Reason]metav1.Condition{
		ReasonAccepted:               subject().accepted(),
		ReasonResolved:               subject().resolved(),
		ReasonInForce:                subject().ready(),
		ReasonNotAccepted:            subject(invalid).resolved(),
		ReasonUsingLastAccepted:      edited.accepted(),
		ReasonRefusedByFRR:           refused.ready(),
		ReasonEstablished:            established(up, up),
		ReasonBFDDown:                established(up, unguarded),
		ReasonSessionDown:            established(up, down),
		ReasonNotReported:            NewReports([]*v1beta1.ConfigurationState{stateOf("n1")}).Established(&intent.Peer{Name: "tor1"}, readyNodes("n1", "n2")),
		ReasonNoNodes:                NewReports(nil).Established(&intent.Peer{Name: "tor1"}, nil),
		ReasonNotInForce:             NewReports(nil).Established(nil, nil),
		ReasonReconciled:             Configuration(v1beta1.ConditionConfigReconcilerValid, nil, nil, now).Conditions[0],
		ReasonConfigurationError:     Configuration(v1beta1.ConditionConfigReconcilerValid, nil, []intent.Finding{invalid}, now).Conditions[0],
		ReasonTooManyServiceStatuses: ServiceStatusConditions(nil, true, 50_000, now)[0],
		ReasonForeignOwner:           *service.Conflict,
		ReasonAssigned:               *service.Condition,
		ReasonAnnounced:              announced(t, "over both"),
		ReasonPartlyAnnounced:        announced(t, "one of two families"),
		ReasonNoSessionEstablished:   announced(t, "no session Established"),
		ReasonInSync:                 in(Sync{}),
		ReasonRepairsPaused:          in(Sync{PausedUntil: now.Add(time.Hour), Found: []frr.Command{{Line: frr.Line{Node: []string{"router bgp 64512"}, Text: "no timers bgp 3 9"}}}}),
		ReasonInvalidPause:           in(Sync{InvalidPause: badPause.Error()}),
		ReasonRepairFailed:           in(Sync{RepairError: "loading the configuration: vtysh ended"}),
		ReasonLoadFailed:             in(Sync{LoadError: "loading the configuration: vtysh ended"}),
		ReasonDraining:               in(Sync{Draining: true}),

		ReasonInService:       {},
		ReasonRoutesMarked:    {},
		ReasonRoutesWithdrawn: {},
		ReasonNotForwarding:   {},
		ReasonExtrasRefused:   {},
		ReasonExtrasInForce:   {},
		ReasonDrift:           {},
		ReasonDaemonLost:      {},
	}
}

// announced is the condition of that row of announcedRows.
func announced(t *testing.T, name string) metav1.Condition {
	t.Helper()
	for _, row := range announcedRows {
		if row.name == name {
			words := strings.SplitN(row.scene.say(t), " ", 3)
			return metav1.Condition{Type: v1beta1.ConditionAnnounced, Status: metav1.ConditionStatus(words[0]), Reason: words[1], Message: words[2]}
		}
	}
	t.Fatalf("no row %q", name)
	return metav1.Condition{}
}

// Every Reason has a row, which shows it, for deploy/docs/reasons.md.
func TestEveryReasonHasARow(t *testing.T) {
	declared, err := row.Declared(".")
	if err != nil || len(declared) < 20 {
		t.Fatalf("%d Reasons declared, %v", len(declared), err)
	}
	var rows []row.Reason
	all := reasonRows(t)
	for _, c := range declared {
		shown, there := all[intent.Reason(c.Value)]
		if !there {
			t.Errorf("no row shows the Reason %s", c.Value)
			continue
		}
		if shown.Type != "" && shown.Reason != c.Value {
			t.Errorf("the row of %s shows %s: %s", c.Value, shown.Reason, shown.Message)
		}
		kept := row.Reason{Reason: c.Value, Message: shown.Message}
		if shown.Type != "" {
			kept.Object = shown.Type + "=" + string(shown.Status)
		}
		rows = append(rows, kept)
	}
	row.Keep(t, row.ReasonsFile, rows)
}
