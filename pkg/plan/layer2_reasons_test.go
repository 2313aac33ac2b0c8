// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// layer2Rows: why node n1 does not announce default/s in layer 2. The order of the
// nodes is n3 n1 n2 for 192.0.2.7 and n2 n3 n1 for fd00::7.
var layer2Rows = []struct {
	name      string
	manifests string
	alive     string // empty: all
	reason    intent.Reason
	says      string
}{
	{"no ingress", l2base + every + service("s", "", "", "n1"), "", plan.NoAddress, "no address yet"},
	{"an address of no pool", l2base + every + service("s", "198.51.100.1", "", "n1"), "", plan.AddressNotInPool, "198.51.100.1"},
	{"an advertisement of another pool", l2base + pool("b", "198.51.100.0/24") + l2("x", "ipAddressPools: [b]") + service("s", "192.0.2.7", "", "n1"), "", plan.NoAdvertisement, "no L2Advertisement covers IPAddressPool a"},
	{"an advertisement for other Services", l2base + l2("x", "serviceSelectors: [{matchLabels: {name: t}}]") + service("s", "192.0.2.7", "", "n1"), "", plan.ServiceNotSelected, "IPAddressPool a select other Services"},
	{"an advertisement for the other node", l2base + l2("x", on("n2")) + service("s", "192.0.2.7", "", "n1"), "", plan.NodeNotSelected, "selects node n1"},
	{"a node without network", node("n1", "", "conditions: [{type: NetworkUnavailable, status: 'True'}]") + l2pool + every + service("s", "192.0.2.7", "", "n1"), "", plan.NodeNetworkUnavailable, "NetworkUnavailable"},
	{"a node with the label", node("n1", ", labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}", "") + l2pool + every + service("s", "192.0.2.7", "", "n1"), "", plan.NodeExcluded, "exclude-from"},
	{"another interface", l2base + links("n1", "eth0 192.0.2.1/24", "eth1 10.0.0.1/8") + l2("x", "interfaces: [eth3]") + l2("z", "interfaces: [eth2]") + service("s", "192.0.2.7", "", "n1"), "", plan.NoMatchingLink, "node n1 has none of the interfaces that the L2Advertisements name (eth2, eth3); it has eth0, eth1"},
	{"no interface", l2base + links("n1") + every + service("s", "192.0.2.7", "", "n1"), "", plan.NoMatchingLink, "node n1 has no interface that can announce"},
	{"no link-local address", l2base + links("n1", "eth0 192.0.2.1/24 fd00::1/64") + every + service("s", "fd00::7", "", "n1"), "", plan.NoMatchingLink, "no interface of node n1 that can announce has an IPv6 link-local address; node n2 announces fd00::7"},
	{"a link-local address on another interface", l2base + links("n1", "eth0 fd00::1/64", "eth1 fe80::1/64") + l2("x", "interfaces: [eth0]") + service("s", "fd00::7", "", "n1"), "", plan.NoMatchingLink, "no interface of node n1 that can announce has an IPv6"},
	{"a link-local address for another Service", l2base + links("n1", "eth0 fd00::1/64", "eth1 fe80::1/64") + l2("x", "interfaces: [eth0], serviceSelectors: [{matchLabels: {name: s}}], "+on("n1")) + l2("z", "interfaces: [eth1], serviceSelectors: [{matchLabels: {name: t}}], "+on("n1")) + service("s", "fd00::7", "", "n1") + service("t", "fd00::7", "", "n1"), "", plan.NoMatchingLink, "link-local address; the node announces fd00::7 for Service default/t, with other interfaces"},
	{"no link-local address on any node", l2base + links("n1", "eth0 fd00::1/64") + l2("x", on("n1")) + service("s", "fd00::7", "", "n1"), "", plan.NoMatchingLink, "link-local address"},
	{"no endpoint", l2base + every + service("s", "192.0.2.7", ""), "", plan.NoEndpoint, "no endpoint"},
	{"no endpoint here", l2base + every + service("s", "192.0.2.7", local, "n2"), "", plan.NoLocalEndpoint, "no endpoint on node n1"},
	{"no endpoint here, and the owner for another", l2base + every + service("s", "192.0.2.8", local, "n2") + service("t", "192.0.2.8", local, "n1"), "", plan.NoLocalEndpoint, "; the node announces 192.0.2.8 for Service default/t, at the same address"},
	{"another subnet", l2base + links("n1", "eth0 198.51.100.1/24") + links("n2", "eth0 192.0.2.2/24") + every + service("s", "192.0.2.7", "", "n1"), "", plan.NodeOutsideSubnet, "no subnet of node n1 holds 192.0.2.7, and one of node n2 does"},
	{"not alive", l2base + every + service("s", "192.0.2.8", "", "n1"), "n2 n3", plan.NodeNotAlive, "node n1 does not count as alive"},
	{"not alive, and not the best", l2base + every + service("s", "192.0.2.7", "", "n1"), "n2 n3", plan.NodeNotAlive, "node n1 does not count as alive"},
	{"nobody alive", l2base + every + service("s", "192.0.2.7", "", "n1"), "nobody", plan.NodeNotAlive, "node n1 does not count as alive"},
	{"another node is better", l2base + every + service("s", "192.0.2.7", "", "n1"), "", plan.NotOwner, "node n3 announces 192.0.2.7"},
	{"two other nodes are", l2base + every + service("s", "192.0.2.7 fd00::7", "", "n1"), "", plan.NotOwner, "node n3 announces 192.0.2.7; node n2 announces fd00::7"},
	{"another node is better for the other Service", l2base + every + service("s", "192.0.2.9", local, "n1") + service("t", "192.0.2.9", local, "n2"), "", plan.OwnerServesOthers, "node n2 announces 192.0.2.9 for Service default/t and cannot announce this Service; give Services that share an address the same"},
}

func aliveOf(list string) *plan.Alive {
	if list == "" {
		return nil
	}
	return plan.NewAlive(strings.Fields(list)...)
}

func TestLayer2Decisions(t *testing.T) {
	for _, row := range layer2Rows {
		r := at(t, intent.Resolve(nil, read(t, row.manifests)), "n1", aliveOf(row.alive))
		if len(r.L2) == 0 || r.L2[0].Service.Name != "s" || r.L2[0].Protocol != "layer2" {
			t.Fatalf("%s: decisions %+v", row.name, r.L2)
		}
		d := r.L2[0]
		if d.Announce || len(d.Addresses) > 0 || d.Reason != row.reason || !strings.Contains(d.Message, row.says) {
			t.Errorf("%s: announces %v, %s: %s; want %s: ... %s ...", row.name, d.Addresses, d.Reason, d.Message, row.reason, row.says)
		}
		for _, a := range r.Plan.Announcements {
			if a.Own && len(r.L2) == 1 {
				t.Errorf("%s: announces all the same: %+v", row.name, a)
			}
		}
	}
}

// The node announces what is its own, and says who announces the rest.
func TestLayer2DecisionToAnnounce(t *testing.T) {
	for name, row := range map[string]struct{ manifests, alive, addrs, message string }{
		"one address":                {l2base + every + service("s", "192.0.2.8", "", "n2"), "", "[192.0.2.8]", ""},
		"one of two":                 {l2base + every + service("s", "192.0.2.8 fd00::7", "", "n2"), "", "[192.0.2.8]", "node n2 announces fd00::7"},
		"both, since others died":    {l2base + every + service("s", "192.0.2.8 fd00::7", "", "n2"), "n1", "[192.0.2.8 fd00::7]", ""},
		"one, for want of NDP":       {l2base + links("n1", "eth0 192.0.2.1/24") + every + service("s", "192.0.2.8 fd00::7", "", "n2"), "n1", "[192.0.2.8]", "no interface of node n1 that can announce has an IPv6 link-local address"},
		"Local":                      {l2base + every + service("s", "192.0.2.7", local, "n1", "n2"), "", "[192.0.2.7]", ""},
		"the other protocol as well": {l2base + every + ad("x", "") + peer("tor1", "10.0.0.1", "") + service("s", "192.0.2.8", "", "n2"), "", "[192.0.2.8]", ""},
	} {
		r := at(t, intent.Resolve(nil, read(t, row.manifests)), "n1", aliveOf(row.alive))
		if d := r.L2[0]; !d.Announce || d.Reason != "" || fmt.Sprint(d.Addresses) != row.addrs || d.Message != row.message {
			t.Errorf("%s: %+v, want %s %q", name, d, row.addrs, row.message)
		}
	}
	if r := at(t, intent.Resolve(nil, read(t, l2base+service("s", "192.0.2.8", "", "n1"))), "n1", nil); len(r.L2)+len(r.Plan.Announcements) > 0 {
		t.Errorf("without L2Advertisement: %+v", r.L2)
	}
}
