// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
)

var now = time.Date(2026, 7, 1, 12, 0, 0, 123456789, time.UTC)

func finding(severity intent.Severity, reason intent.Reason) intent.Finding {
	return intent.Finding{
		Object: intent.Ref{Kind: "BGPPeer", Name: "p"}, Severity: severity, Reason: reason,
		Field: "spec.field", Value: "wrong", Message: "want right",
	}
}

func TestConditions(t *testing.T) {
	peer := intent.Ref{Kind: v1beta1.KindBGPPeer, Name: "p"}
	ad := intent.Ref{Kind: v1beta1.KindBGPAdvertisement, Name: "a"}
	last := &v1beta1.AcceptedSpec{Generation: 2}
	invalid, unresolved, warning := finding(intent.Invalid, "Bad"), finding(intent.Unresolved, "Gone"), finding(intent.Warning, "Odd")
	const text = `spec.field: "wrong": want right`
	tests := []struct {
		name    string
		subject Subject
		// "status reason" of Accepted, ResolvedRefs, Ready
		want [3]string
		// parts of the messages of Accepted, ResolvedRefs, Ready
		message [3]string
	}{
		{"all well", Subject{Ref: peer},
			[3]string{"True Accepted", "True Resolved", "True InForce"}, [3]string{"valid", "exists", "in force"}},
		{"never accepted", Subject{Ref: peer, Findings: []intent.Finding{invalid}},
			[3]string{"False Bad", "Unknown NotAccepted", "False Bad"}, [3]string{text, "not looked at", text}},
		{"an earlier spec in force", Subject{Ref: peer, Findings: []intent.Finding{invalid}, Present: v1beta1.ObjectStatus{LastAccepted: last}},
			[3]string{"False UsingLastAccepted", "Unknown NotAccepted", "False UsingLastAccepted"},
			[3]string{text + "; the spec of generation 2 stays in force", "", text}},
		{"accepted once and contradicted now", Subject{Ref: peer, Generation: 2, Findings: []intent.Finding{invalid}, Present: v1beta1.ObjectStatus{LastAccepted: last}},
			[3]string{"False Bad", "Unknown NotAccepted", "False Bad"}, [3]string{text, "", text}},
		{"peer with a missing reference", Subject{Ref: peer, Findings: []intent.Finding{unresolved}},
			[3]string{"True Accepted", "False Gone", "False Gone"}, [3]string{"", text, text}},
		{"advertisement with a missing reference", Subject{Ref: ad, Findings: []intent.Finding{unresolved}},
			[3]string{"True Accepted", "False Gone", "True InForce"}, [3]string{"", text, "except for what ResolvedRefs names"}},
		{"warning", Subject{Ref: peer, Findings: []intent.Finding{warning}},
			[3]string{"True Accepted", "True Resolved", "True Odd"}, [3]string{"", "", "in force; warning: " + text}},
		{"same text twice", Subject{Ref: peer, Findings: []intent.Finding{invalid, invalid}},
			[3]string{"False Bad", "Unknown NotAccepted", "False Bad"}, [3]string{text, "", text}},
		{"refused by FRR", Subject{Ref: peer, Refused: []Refusal{{"neighbor x", "% Unknown command", []string{"n1", "n2"}}}},
			[3]string{"True Accepted", "True Resolved", "False RefusedByFRR"},
			[3]string{"", "", `FRR refused the line "neighbor x": % Unknown command (on n1, n2)`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.subject.Generation == 0 {
				tt.subject.Generation = 3
			}
			got := tt.subject.Conditions(now)
			for i, kind := range []string{v1beta1.ConditionAccepted, v1beta1.ConditionResolvedRefs, v1beta1.ConditionReady} {
				c := got[i]
				if c.Type != kind || string(c.Status)+" "+c.Reason != tt.want[i] || !strings.Contains(c.Message, tt.message[i]) {
					t.Errorf("%s is %s %s %s %q; want %s with %q", kind, c.Type, c.Status, c.Reason, c.Message, tt.want[i], tt.message[i])
				}
				if c.ObservedGeneration != tt.subject.Generation || !c.LastTransitionTime.Time.Equal(now.Truncate(time.Second)) {
					t.Errorf("%s: generation %d at %v", kind, c.ObservedGeneration, c.LastTransitionTime)
				}
				if strings.Count(c.Message, text) > 1 {
					t.Errorf("%s repeats itself: %q", kind, c.Message)
				}
			}
		})
	}
}

func TestTransitionTimeMovesWithTheStatusOnly(t *testing.T) {
	before := metav1.NewTime(now.Add(-time.Hour).Truncate(time.Second))
	present := []metav1.Condition{
		{Type: v1beta1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: "Other", LastTransitionTime: before},
		{Type: v1beta1.ConditionReady, Status: metav1.ConditionFalse, LastTransitionTime: before},
	}
	got := Subject{Present: v1beta1.ObjectStatus{Conditions: present}}.Conditions(now)
	if at := Find(got, v1beta1.ConditionAccepted).LastTransitionTime; !at.Equal(&before) {
		t.Errorf("Accepted moved to %v although its status is the same", at)
	}
	if at := Find(got, v1beta1.ConditionReady).LastTransitionTime; at.Equal(&before) {
		t.Error("Ready did not move although its status changed")
	}
}

func TestMessagesAreBounded(t *testing.T) {
	var many []intent.Finding
	for i := range 500 {
		f := finding(intent.Invalid, "Bad")
		f.Message = strings.Repeat("ü", i)
		many = append(many, f)
	}
	for _, c := range (Subject{Findings: many}).Conditions(now) {
		if len(c.Message) > maxMessage || strings.ToValidUTF8(c.Message, "") != c.Message {
			t.Errorf("%s has a message of %d bytes, or broken characters", c.Type, len(c.Message))
		}
	}
	s := Configuration("x", nil, many, now)
	if len(s.ErrorSummary) > maxMessage || s.Result != v1beta1.ConfigurationInvalid {
		t.Errorf("result %s, summary of %d bytes", s.Result, len(s.ErrorSummary))
	}
	names := strings.Split("a,b,c,d,e,f,g,h,i,j,k,l", ",")
	if got := List(names); got != "a, b, c, d, e, f, g, h, i, j and 2 more" {
		t.Errorf("List of twelve: %q", got)
	}
	if got := List(names[:10]); got != "a, b, c, d, e, f, g, h, i, j" {
		t.Errorf("List of ten: %q", got)
	}
}

func TestEstablished(t *testing.T) {
	nodes := []*intent.Node{
		{Name: "n1", Ready: true, Labels: labels.Set{"rack": "1"}},
		{Name: "n2", Ready: true, Labels: labels.Set{"rack": "1"}},
		{Name: "n3", Ready: true, Labels: labels.Set{"rack": "2"}},
	}
	dead := []*intent.Node{nodes[0], {Name: "n2", Labels: labels.Set{"rack": "1"}}}
	state := func(node string, sessions ...v1beta1.SessionStatus) *v1beta1.ConfigurationState {
		s := &v1beta1.ConfigurationState{Status: v1beta1.ConfigurationStateStatus{Sessions: sessions}}
		s.Name = v1beta1.SpeakerStatePrefix + node
		s.Labels = map[string]string{v1beta1.LabelNodeName: node}
		return s
	}
	up := v1beta1.SessionStatus{Peer: "tor", State: v1beta1.SessionEstablished}
	down := v1beta1.SessionStatus{Peer: "tor", State: v1beta1.SessionDown, Reason: "Hold Timer Expired"}
	all := &intent.Peer{Name: "tor"}
	rack1 := &intent.Peer{Name: "tor", NodeSelectors: []labels.Selector{labels.SelectorFromSet(labels.Set{"rack": "1"})}}
	nowhere := &intent.Peer{Name: "tor", NodeSelectors: []labels.Selector{labels.SelectorFromSet(labels.Set{"rack": "9"})}}
	tests := []struct {
		name   string
		peer   *intent.Peer
		nodes  []*intent.Node
		states []*v1beta1.ConfigurationState
		want   string
	}{
		{"up everywhere", all, nodes, []*v1beta1.ConfigurationState{state("n1", up), state("n2", up), state("n3", up)},
			"True Established 3 of 3 nodes"},
		{"up on the selected nodes", rack1, nodes, []*v1beta1.ConfigurationState{state("n1", up), state("n2", up), state("n3")},
			"True Established 2 of 2 nodes"},
		{"down on one", all, nodes, []*v1beta1.ConfigurationState{state("n1", up), state("n2", down), state("n3", up)},
			"False SessionDown 2 of 3 nodes; down on n2 (Hold Timer Expired)"},
		{"node not ready, whatever it said", rack1, dead, []*v1beta1.ConfigurationState{state("n1", up), state("n2", up)},
			"Unknown NotReported 1 of 2 nodes; unknown on n2 (not ready)"},
		{"no speaker", rack1, nodes, []*v1beta1.ConfigurationState{state("n1", up)},
			"Unknown NotReported 1 of 2 nodes; unknown on n2 (no speaker)"},
		{"not yet reported", rack1, nodes, []*v1beta1.ConfigurationState{state("n1", up), state("n2")},
			"Unknown NotReported 1 of 2 nodes; unknown on n2 (not reported yet)"},
		{"no node", nowhere, nodes, nil, "Unknown NoNodes no node matches nodeSelectors"},
		{"not in force", nil, nodes, nil, "False NotInForce no session: the BGPPeer is not in force"},
	}
	for _, tt := range tests {
		c := NewReports(tt.states).Established(tt.peer, tt.nodes)
		if got := string(c.Status) + " " + c.Reason + " " + c.Message; got != tt.want || c.Type != v1beta1.ConditionEstablished {
			t.Errorf("%s: %s %q, want %q", tt.name, c.Type, got, tt.want)
		}
	}
}

func TestRefusedLinesAreGatheredByObject(t *testing.T) {
	line := v1beta1.RefusedLine{Line: "neighbor x", Message: "no", Objects: []v1beta1.ObjectReference{{Kind: "BGPPeer", Name: "p"}}}
	state := func(name string) *v1beta1.ConfigurationState {
		s := &v1beta1.ConfigurationState{Status: v1beta1.ConfigurationStateStatus{Refused: []v1beta1.RefusedLine{line}}}
		s.Name = name
		return s
	}
	r := NewReports([]*v1beta1.ConfigurationState{state("speaker-b"), state("speaker-a"), state("controller")})
	got := r.Refused(intent.Ref{Kind: "BGPPeer", Name: "p"})
	if len(got) != 1 || strings.Join(got[0].Nodes, " ") != "a b" || got[0].Line != "neighbor x" {
		t.Errorf("refused: %+v; want one line of nodes a and b", got)
	}
	if other := r.Refused(intent.Ref{Kind: "BGPPeer", Name: "q"}); other != nil {
		t.Errorf("another object has %+v", other)
	}
}

func TestLastAccepted(t *testing.T) {
	p := &v1beta2.BGPPeer{Spec: v1beta2.BGPPeerSpec{MyASN: 1, PeerAddress: "192.0.2.1", Password: "hidden"}}
	got, err := LastAccepted(p, 4, true)
	if err != nil || got.Generation != 4 || strings.Contains(string(got.Spec.Raw), "hidden") || !strings.Contains(string(got.Spec.Raw), "192.0.2.1") {
		t.Errorf("recorded %+v %s, %v", got, got.Spec.Raw, err)
	}
	if p.Spec.Password != "hidden" {
		t.Error("the object was changed")
	}
	old := &v1beta1.AcceptedSpec{Generation: 3, Spec: runtime.RawExtension{Raw: []byte(`{}`)}}
	p.Status.LastAccepted = old
	if got, _ := LastAccepted(p, 4, false); got != old {
		t.Errorf("not accepted: recorded %+v, want what was there", got)
	}
	if got, _ := LastAccepted(p, 3, true); got != old {
		t.Errorf("same generation: recorded %+v, want what was there", got)
	}
}

func TestEveryUserKindHasAStatus(t *testing.T) {
	c := []metav1.Condition{{Type: "x"}}
	s := v1beta1.ObjectStatus{Conditions: c}
	objs := []any{
		&v1beta1.IPAddressPool{Status: v1beta1.IPAddressPoolStatus{ObjectStatus: s}},
		&v1beta1.L2Advertisement{Status: v1beta1.L2AdvertisementStatus{ObjectStatus: s}},
		&v1beta1.BGPAdvertisement{Status: v1beta1.BGPAdvertisementStatus{ObjectStatus: s}},
		&v1beta2.BGPPeer{Status: v1beta2.BGPPeerStatus{ObjectStatus: s}},
		&v1beta1.BFDProfile{Status: v1beta1.BFDProfileStatus{ObjectStatus: s}},
		&v1beta1.Community{Status: v1beta1.CommunityStatus{ObjectStatus: s}},
	}
	for _, o := range objs {
		if len(Of(o).Conditions) != 1 || Kind(o) == "" || specOf(o) == nil {
			t.Errorf("%T: conditions %v, kind %q, spec %v", o, Of(o).Conditions, Kind(o), specOf(o))
		}
	}
}

func TestPoolCountersAreCompared(t *testing.T) {
	p := &v1beta1.IPAddressPool{Status: v1beta1.IPAddressPoolStatus{AssignedIPv4: 1}}
	if (Object{Usage: &ipam.Usage{AssignedIPv4: 2}}).Same(p) || !(Object{Usage: &ipam.Usage{AssignedIPv4: 1}}).Same(p) {
		t.Error("counters are not what decides")
	}
	p.Status.Conditions = []metav1.Condition{{Type: v1beta1.ConditionEstablished}}
	if (Object{Usage: &ipam.Usage{AssignedIPv4: 1}}).Same(p) {
		t.Error("a condition that is to go does not count")
	}
	p.Status.Conditions = []metav1.Condition{{Type: "somebody.else/Condition"}}
	if !(Object{Usage: &ipam.Usage{AssignedIPv4: 1}}).Same(p) {
		t.Error("a foreign condition counts")
	}
}
