// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"fmt"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
)

// weighed is the node n1 with a weight.
func weighed(weight string) string {
	return "---\napiVersion: v1\nkind: Node\nmetadata: {name: n1, annotations: {metallb.io/l2-weight: '" + weight + "'}}\n"
}

func state(name, status string) string {
	return own("ConfigurationState", name, "status: "+status)
}

func TestL2Weight(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "7": 7, "+7": 7, "-7": -7, "100": 100, "-100": -100, " 5 ": 5, "101": 0, "x": 0} {
		if in := resolve(t, weighed(text)); in.Nodes[0].L2Weight != want {
			t.Errorf("%q: weight %d, want %d", text, in.Nodes[0].L2Weight, want)
		} else if good := len(in.Findings) == 0; good != (want != 0 || text == "0") {
			t.Errorf("%q: findings %v", text, in.Findings)
		}
	}
}

// Each node has the links that its own speaker published. None published is not
// the same as published that there is none.
func TestLinks(t *testing.T) {
	manifests := weighed("0") + "---\napiVersion: v1\nkind: Node\nmetadata: {name: n2}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: n3}\n" +
		state("speaker-n2", "{links: []}") + state("speaker-n3", "{result: Valid}") + state("speaker-gone", "{links: [{name: eth7}]}") + state("n1", "{links: [{name: eth8}]}") +
		state("speaker-n1", "{links: [{name: eth1, prefixes: [192.0.2.1/24, nonsense, 'fd00::1/64']}, {name: eth0, mac: '02:00:5e:10:00:00'}]}")
	for i, want := range []string{
		"[]intent.Link [{eth0 02:00:5e:10:00:00 []} {eth1  [192.0.2.1/24 fd00::1/64]}] false",
		"[]intent.Link [] false",
		"[]intent.Link [] true",
	} {
		l := resolve(t, manifests).Nodes[i].Links
		if got := fmt.Sprintf("%T %v %v", l, l, l == nil); got != want {
			t.Errorf("node %d: %s, want %s", i, got, want)
		}
	}
}

// A node whose links and weight are the same is the same, whatever another node's
// become.
func TestNodesAreReused(t *testing.T) {
	heavy, light := resolve(t, weighed("5")), read(t, weighed("4"))
	if in := intent.Resolve(heavy, light); in.Nodes[0].L2Weight != 4 {
		t.Errorf("weight %d after it became 4", in.Nodes[0].L2Weight)
	}
	nodes := "---\napiVersion: v1\nkind: Node\nmetadata: {name: n1}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: n2}\n"
	s := read(t, nodes+state("speaker-n1", "{links: [{name: eth0}]}")+state("speaker-n2", "{links: [{name: eth0}]}"))
	next := *s
	next.States = read(t, state("speaker-n1", "{links: [{name: eth0}]}")+state("speaker-n2", "{links: [{name: eth1}]}")).States
	first := intent.Resolve(nil, s)
	second := intent.Resolve(first, &next)
	if first.Nodes[0] != second.Nodes[0] || first.Nodes[1] == second.Nodes[1] {
		t.Errorf("n1 is the same: %v, n2 is: %v", first.Nodes[0] == second.Nodes[0], first.Nodes[1] == second.Nodes[1])
	}
}
