// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"fmt"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// withExtras is the Document of a node with one peer and these extras.
func withExtras(t *testing.T, text string) *frr.Document {
	t.Helper()
	manifests := `apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 10.0.0.11}]}
---
apiVersion: metallb.io/v1beta2
kind: BGPPeer
metadata: {name: tor1}
spec: {myASN: 64512, peerASN: 64600, peerAddress: 10.0.0.1, holdTime: 90s}
`
	if text != "" {
		manifests += fmt.Sprintf("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: bgpextras}\ndata: {extras: %q}\n", text)
	}
	snapshot, err := intent.ReadYAML(strings.NewReader(manifests), "metallb-system")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := frr.Build(nil, plan.ForNode(nil, intent.Resolve(nil, snapshot), plan.NodeFacts{Name: "n1", Forwarding: true}).Plan, frr.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// What FRR refuses of extras lands on the ConfigMap, line by line, and costs
// nothing else; without extras all is as it was.
func TestRefusedExtras(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	clean(t, apply(t, d, withExtras(t, "")))
	before := f.Running(t)
	bad := withExtras(t, `ip prefix-list ROUTES permit 10.0.0.0/8
ip prefix-list ROUTES permit nonsense
neighbour 10.0.0.1 timers 3 9
router bgp 64512
 neighbor 10.0.0.1 timers 3 99999
 neighbor PG peer-group
 bgp listen range 10.9.0.0/16 peer-group NONE
 address-family ipv4 nonsense
  neighbor 10.0.0.1 activate
router ospf
 network 10.0.0.0/8 area 0
interface a b c
 description x
vrf a b
 ip route 10.0.0.0/8 blackhole
route-map 10.0.0.1-in permit 20
 match ip address prefix-list ROUTES
 match nonsense
`)
	want := []string{
		"ip prefix-list ROUTES seq 10 permit nonsense", "neighbour 10.0.0.1 timers 3 9", "neighbor 10.0.0.1 timers 3 99999",
		"bgp listen range 10.9.0.0/16 peer-group NONE", "address-family ipv4 nonsense", "neighbor 10.0.0.1 activate",
		"router ospf", "network 10.0.0.0/8 area 0", "interface a b c", "description x", "vrf a b", "ip route 10.0.0.0/8 blackhole", "match nonsense",
	}
	for i := range 2 {
		a := apply(t, d, bad)
		left := map[string]bool{}
		for _, w := range want {
			left[w] = true
		}
		for _, r := range a.Refused {
			if !left[r.Line.Text] || len(r.Origins) != 1 || r.Origins[0] != intent.ExtrasRef || r.Message == "" {
				t.Errorf("refused %+v", r)
			}
			delete(left, r.Line.Text)
		}
		if len(left) > 0 {
			t.Errorf("not refused: %v", left)
		}
		if i > 0 && a.Commands != 0 {
			t.Errorf("typed %d commands again", a.Commands)
		}
	}
	has(t, f, "ip prefix-list ROUTES seq 5 permit 10.0.0.0/8", "route-map 10.0.0.1-in permit 20", " match ip address prefix-list ROUTES",
		" neighbor PG peer-group", "  neighbor 10.0.0.1 route-map 10.0.0.1-out out", " neighbor 10.0.0.1 timers 30 90")
	clean(t, apply(t, d, withExtras(t, "")))
	if after := f.Running(t); after != before {
		t.Errorf("without extras FRR has\n%s\nwant\n%s", after, before)
	}
}
