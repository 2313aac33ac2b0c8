// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
)

// hearing returns what the speaker of a node says of foreign owners: address, MAC
// and interface of each.
func hearing(node string, owners ...string) *v1beta1.ConfigurationState {
	s := &v1beta1.ConfigurationState{}
	s.Name = v1beta1.SpeakerStatePrefix + node
	for _, o := range owners {
		f := append(strings.Fields(o), "")
		s.Status.Foreign = append(s.Status.Foreign, v1beta1.ForeignOwner{Address: f[0], MAC: f[1], Interface: f[2]})
	}
	return s
}

func readyNodes(names ...string) []*intent.Node {
	var nodes []*intent.Node
	for _, n := range names {
		nodes = append(nodes, &intent.Node{Name: n, Ready: true})
	}
	return nodes
}

const advice = "; give the station at that MAC another address, or take the address out of the IPAddressPool"

func TestAddressConflict(t *testing.T) {
	const mac, other = "02:00:00:00:00:01", "02:00:00:00:00:02"
	var many []*v1beta1.ConfigurationState
	var names []string
	for i := range 12 {
		names = append(names, fmt.Sprintf("n%02d", i))
		many = append(many, hearing(names[i], "192.0.2.1 "+mac+" eth0"))
	}
	unready := readyNodes("n1", "n2")
	unready[0].Ready = false
	tests := []struct {
		name   string
		states []*v1beta1.ConfigurationState
		nodes  []*intent.Node
		want   string // message without what is the same in all; empty: no condition
	}{
		{"nothing reported", []*v1beta1.ConfigurationState{hearing("n1")}, readyNodes("n1"), ""},
		{"one node", []*v1beta1.ConfigurationState{hearing("n1", "192.0.2.1 "+mac+" eth0")}, readyNodes("n1"),
			"192.0.2.1 belongs to the station with MAC " + mac + ", heard on interface eth0 of n1"},
		{"interface not told", []*v1beta1.ConfigurationState{hearing("n1", "192.0.2.1 "+mac)}, readyNodes("n1"),
			"192.0.2.1 belongs to the station with MAC " + mac + ", heard by n1"},
		{"both families", []*v1beta1.ConfigurationState{hearing("n1", "2001:db8::1 "+mac+" eth0", "192.0.2.1 "+mac+" eth0")}, readyNodes("n1"),
			"192.0.2.1 belongs to the station with MAC " + mac + ", heard on interface eth0 of n1; 2001:db8::1 belongs to the station with MAC " + mac + ", heard on interface eth0 of n1"},
		{"two stations and two nodes", []*v1beta1.ConfigurationState{hearing("n1", "192.0.2.1 "+other+" eth0", "192.0.2.1 "+mac+" eth0"), hearing("n2", "192.0.2.1 "+mac+" eth0")}, readyNodes("n1", "n2"),
			"192.0.2.1 belongs to the station with MAC " + mac + ", heard on interface eth0 of n1, n2; 192.0.2.1 belongs to the station with MAC " + other + ", heard on interface eth0 of n1"},
		{"many nodes", many, readyNodes(names...),
			"192.0.2.1 belongs to the station with MAC " + mac + ", heard on interface eth0 of n00, n01, n02, n03, n04, n05, n06, n07, n08, n09 and 2 more"},
		{"a node that is not ready", []*v1beta1.ConfigurationState{hearing("n1", "192.0.2.1 "+mac+" eth0")}, unready, ""},
		{"a node that is gone", []*v1beta1.ConfigurationState{hearing("n9", "192.0.2.1 "+mac+" eth0")}, readyNodes("n1"), ""},
		{"an address of others", []*v1beta1.ConfigurationState{hearing("n1", "192.0.2.9 "+mac+" eth0", "x "+mac)}, readyNodes("n1"), ""},
	}
	svc, out := holder("p", "192.0.2.1", "2001:db8::1"), ipam.Outcome{Addresses: []netip.Addr{one, two}, Pool: "p"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			conflicts := NewConflicts(tt.states, tt.nodes)
			if conflicts != nil && !conflicts.Equal(NewConflicts(tt.states, tt.nodes)) || conflicts.Equal(&Conflicts{}) {
				t.Error("equal conflicts are not, or others are")
			}
			c := ForService(svc, out, conflicts, nil, now).Conflict
			if Settled(svc, &out, conflicts, nil) != (tt.want == "") {
				t.Error("a Service counts as settled where something is to be written, or the other way round")
			}
			if tt.want == "" {
				if c != nil {
					t.Errorf("condition %+v, want none", c)
				}
				return
			}
			if c == nil || c.Type != v1beta1.ConditionAddressConflict || c.Status != metav1.ConditionTrue || c.Reason != "ForeignOwner" ||
				c.Message != "not announced in layer 2: "+tt.want+advice {
				t.Errorf("condition\n%+v\nwant\n%s", c, tt.want)
			}
		})
	}
}

// A Service that has the condition keeps its age while the conflict lasts, and
// loses it, and nothing else, when it is over.
func TestAddressConflictEnds(t *testing.T) {
	svc, out := holder("p", "192.0.2.1"), ipam.Outcome{Addresses: []netip.Addr{one}, Pool: "p"}
	conflicts := NewConflicts([]*v1beta1.ConfigurationState{hearing("n1", "192.0.2.1 02:00:00:00:00:01 eth0")}, readyNodes("n1"))
	want := ForService(svc, out, conflicts, nil, now)
	svc.Status.Conditions = append(svc.Status.Conditions, *want.Conflict)
	if later := ForService(svc, out, conflicts, nil, now.Add(time.Hour)); !later.Same(svc) {
		t.Error("the same conflict an hour later is another condition")
	}
	if over := ForService(svc, out, nil, nil, now); over.Conflict != nil || over.Same(svc) || Settled(svc, &out, nil, nil) || over.Condition.Message != svc.Status.Conditions[0].Message {
		t.Error("a conflict that is over leaves its condition")
	}
	svc.Annotations, svc.Status.Conditions = nil, svc.Status.Conditions[1:]
	if Cleared(svc) {
		t.Error("the condition alone is to be cleared too")
	}
}

// However many stations there are, the message says what to do.
func TestAddressConflictIsBounded(t *testing.T) {
	var owners []string
	for i := range 200 {
		owners = append(owners, fmt.Sprintf("192.0.2.1 02:00:00:00:00:%02x eth0", i))
	}
	c := ForService(holder("p", "192.0.2.1"), ipam.Outcome{Addresses: []netip.Addr{one}, Pool: "p"}, NewConflicts([]*v1beta1.ConfigurationState{hearing("n1", owners...)}, readyNodes("n1")), nil, now).Conflict
	if len(c.Message) > maxMessage || !strings.HasSuffix(c.Message, advice) {
		t.Errorf("%d bytes: %s", len(c.Message), c.Message)
	}
}
