// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// decisionRows: why node n1 does not announce default/web.
var decisionRows = []struct {
	name      string
	manifests string
	reason    intent.Reason
	says      string
}{
	{"no ingress", base + ad("x", "") + service("web", "", "", "n1"), plan.NoAddress, "no address yet"},
	{"an address of no pool", base + ad("x", "") + service("web", "198.51.100.1", "", "n1"), plan.AddressNotInPool, "198.51.100.1"},
	{"two addresses of two pools", base + pool("b", "198.51.100.0/24") + ad("x", "") + service("web", "198.51.100.1 fd00::1", "", "n1"), plan.AddressNotInPool, "198.51.100.1 and fd00::1"},
	{"no advertisement", base + web, plan.NoAdvertisement, "IPAddressPool a"},
	{"an advertisement of another pool", base + pool("b", "198.51.100.0/24") + ad("x", "ipAddressPools: [b]") + web, plan.NoAdvertisement, "IPAddressPool a"},
	{"an advertisement of a pool that is not there", base + ad("x", "ipAddressPools: [gone]") + web, plan.NoAdvertisement, "IPAddressPool a"},
	{"an advertisement for the other node", base + ad("x", strings.ReplaceAll(hostname, "%s", "n2")) + web, plan.NodeNotSelected, "node n1"},
	{"a node that is not there", n2 + pool("a", "192.0.2.0/24") + ad("x", "") + web, plan.NodeNotSelected, "node n1"},
	{"an advertisement for other Services", base + ad("x", "serviceSelectors: [{matchLabels: {name: other}}]") + web, plan.ServiceNotSelected, "other Services"},
	{"one for the node, one for the Service", base + ad("x", strings.ReplaceAll(hostname, "%s", "n2")) + ad("z", "serviceSelectors: [{matchLabels: {name: other}}]") + web, plan.ServiceNotSelected, "for this node"},
	{"the node without network", node("n1", "", "conditions: [{type: NetworkUnavailable, status: 'True'}]") + pool("a", "192.0.2.0/24") + peer("tor1", "10.0.0.1", "") + ad("x", "") + web, plan.NodeNetworkUnavailable, "NetworkUnavailable"},
	{"the node with the label", node("n1", ", labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}", ready) + pool("a", "192.0.2.0/24") + peer("tor1", "10.0.0.1", "") + ad("x", "") + web, plan.NodeExcluded, "exclude-from-external-load-balancers"},
	{"the node without network and with the label", node("n1", ", labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}", "conditions: [{type: NetworkUnavailable, status: 'True'}]") + pool("a", "192.0.2.0/24") + peer("tor1", "10.0.0.1", "") + ad("x", "") + web, plan.NodeNetworkUnavailable, "NetworkUnavailable"},
	{"no endpoint", base + ad("x", "") + service("web", "192.0.2.7", ""), plan.NoEndpoint, "no endpoint"},
	{"no endpoint, Local", base + ad("x", "") + service("web", "192.0.2.7", local), plan.NoEndpoint, "no endpoint"},
	{"no endpoint here, Local", base + ad("x", "") + service("web", "192.0.2.7", local, "n2"), plan.NoLocalEndpoint, "node n1"},
	{"no peer", twoNodes + pool("a", "192.0.2.0/24") + ad("x", "") + web, plan.NoSession, "no BGPPeer selects"},
	{"no peer of this node", twoNodes + pool("a", "192.0.2.0/24") + peer("tor1", "10.0.0.1", ", "+strings.ReplaceAll(hostname, "%s", "n2")) + ad("x", "") + web, plan.NoSession, "192.0.2.7"},
	{"no peer of the family", base + ad("x", "") + service("web", "fd00::1", "", "n1"), plan.NoSession, "fd00::1"},
	{"another peer named", base + ad("x", "peers: [tor2]") + web, plan.NoSession, "other peers"},
}

func TestDecisions(t *testing.T) {
	for _, row := range decisionRows {
		r := planned(t, row.manifests)
		if len(r.Decisions) != 1 {
			t.Fatalf("%s: %d decisions", row.name, len(r.Decisions))
		}
		d := r.Decisions[0]
		if d.Announce || d.Reason != row.reason || !strings.Contains(d.Message, row.says) {
			t.Errorf("%s: announces %v, %s: %s; want %s: ... %s ...", row.name, d.Announce, d.Reason, d.Message, row.reason, row.says)
		}
		for _, router := range r.Plan.Routers {
			if len(router.Routes) > 0 || len(router.Classes) > 0 {
				t.Errorf("%s: routes in the plan:\n%s", row.name, show(r.Plan))
			}
		}
	}
}

func TestDecisionNotForwarding(t *testing.T) {
	in := intent.Resolve(nil, read(t, base+ad("x", "")+web))
	d := plan.ForNode(nil, in, plan.NodeFacts{Name: "n1"}).Decisions[0]
	if d.Announce || d.Reason != plan.NodeNotForwarding || !strings.Contains(d.Message, "kube-proxy on node n1") {
		t.Errorf("%+v", d)
	}
}

// Where nothing stands in the way the node announces, and says to whom.
func TestDecisionToAnnounce(t *testing.T) {
	for name, manifests := range map[string]string{
		"Cluster, endpoint elsewhere": base + ad("x", "") + web,
		"Local, endpoint here":        base + ad("x", "") + service("web", "192.0.2.7", local, "n1", "n2"),
		"one of two advertisements":   base + ad("x", strings.ReplaceAll(hostname, "%s", "n2")) + ad("z", "serviceSelectors: [{matchLabels: {name: web}}]") + web,
		"one address of the family":   base + ad("x", "") + service("web", "192.0.2.7 fd00::1", "", "n1"),
	} {
		d := planned(t, manifests).Decisions[0]
		if !d.Announce || d.Reason != "" || d.Message != "" || !slices.Equal(d.Peers, []string{"tor1"}) || d.Service.Name != "web" || d.Protocol != "bgp" {
			t.Errorf("%s: %+v", name, d)
		}
	}
	s := read(t, strings.Replace(base, "hostname: n1", "hostname: n1, node.kubernetes.io/exclude-from-external-load-balancers: x", 1)+ad("x", "")+web)
	s.IgnoreExcludeLabel = true
	if d := plan.ForNode(nil, intent.Resolve(nil, s), plan.NodeFacts{Name: "n1", Forwarding: true}).Decisions[0]; !d.Announce {
		t.Errorf("the exclude label counts although it is to be ignored: %+v", d)
	}
}

// conflictRows: what is wrong between the peers of node n1.
var conflictRows = []struct {
	name     string
	peers    string
	reason   intent.Reason
	severity intent.Severity
	object   string
	field    string
	value    string
	says     string
	sessions int
}{
	{"same neighbour", peer("a", "10.0.0.1", "") + peer("b", "10.0.0.1", ", peerPort: 1179"), plan.DuplicateNeighbor, intent.Invalid, "BGPPeer b", "spec.peerAddress", "10.0.0.1",
		"peer 10.0.0.1 already exists, FRR mode doesn't support duplicate BGPPeers selecting the same node", 1},
	{"same neighbour, spelled otherwise", peer("a", "fd00::1", "") + peer("b", "fd00:0::0:1", ""), plan.DuplicateNeighbor, intent.Invalid, "BGPPeer b", "spec.peerAddress", "fd00::1", "already exists", 1},
	{"same neighbour in a VRF", peer("a", "10.0.0.1", ", vrf: red") + peer("b", "10.0.0.1", ", vrf: red"), plan.DuplicateNeighbor, intent.Invalid, "BGPPeer b", "spec.peerAddress", "10.0.0.1-red", "peer 10.0.0.1-red already exists", 1},
	{"a router of the node's other AS", peer("a", "10.0.0.1", "") + asns("b", "64513", "peerASN: 64512"), plan.ASNConflict, intent.Invalid, "BGPPeer b", "spec.myASN", "64513", "runs AS 64512 for BGPPeer a, which is the router's AS too", 1},
	{"iBGP in a second AS", peer("a", "10.0.0.1", "") + asns("b", "64513", "peerASN: 64513"), plan.ASNLimited, intent.Warning, "BGPPeer b", "spec.myASN", "64513", "runs AS 64512 for BGPPeer a, so FRR reaches this iBGP router over one hop only", 2},
	{"any internal in a second AS", peer("a", "10.0.0.1", "") + asns("b", "64513", "dynamicASN: internal"), plan.ASNLimited, intent.Warning, "BGPPeer b", "spec.myASN", "64513", "one hop only", 2},
	{"iBGP by localASN", asns("b", "64512", "peerASN: 65000, localASN: 65000"), plan.ASNLimited, intent.Warning, "BGPPeer b", "spec.localASN", "65000", "one hop only", 1},
	{"any external in a second AS", peer("a", "10.0.0.1", "") + asns("b", "64513", "dynamicASN: external"), plan.ASNLimited, intent.Warning, "BGPPeer b", "spec.myASN", "64513", "accepts any AS but 64512 here, and 64513 too", 2},
	{"two router IDs", peer("a", "10.0.0.1", ", routerID: 1.1.1.1") + peer("b", "10.0.0.2", ", routerID: 2.2.2.2"), plan.RouterIDConflict, intent.Warning, "BGPPeer b", "spec.routerID", "2.2.2.2", "router ID 1.1.1.1 from an older BGPPeer", 2},
	{"another ASN in extras", peer("a", "10.0.0.1", "") + extras("router bgp 65100\n neighbor 10.0.0.9 remote-as 1\n!\nrouter bgp 64512\n timers bgp 3 9\n"), plan.ExtrasForeignASN, intent.Invalid, "ConfigMap bgpextras", "data.extras", "router bgp 65100", `node n1 runs AS 64512 there for BGPPeer a, and FRR has one per VRF; write "router bgp 64512"`, 1},
	{"another ASN in extras, VRF", peer("a", "10.0.0.1", ", vrf: red") + extras("router bgp 65100 vrf red\n router bgp 65100\n"), plan.ExtrasForeignASN, intent.Invalid, "ConfigMap bgpextras", "data.extras", "router bgp 65100 vrf red", `write "router bgp 64512 vrf red"`, 1},
}

// asns is a BGPPeer at 10.0.0.2 with the given AS numbers.
func asns(name, my, others string) string {
	return strings.NewReplacer("myASN: 64512", "myASN: "+my, "peerASN: 65000", others).Replace(peer(name, "10.0.0.2", ""))
}

func TestConflicts(t *testing.T) {
	for _, row := range conflictRows {
		r := planned(t, n1+row.peers)
		if len(r.Findings) != 1 {
			t.Errorf("%s: findings %v, want one", row.name, r.Findings)
			continue
		}
		f := r.Findings[0]
		if f.Reason != row.reason || f.Severity != row.severity || f.Object.String() != row.object || f.Field != row.field || f.Value != row.value || !strings.Contains(f.Message, row.says) {
			t.Errorf("%s: %s %s %s", row.name, f.Severity, f.Reason, f)
		}
		if all := plan.Check(nil, intent.Resolve(nil, read(t, n1+row.peers))).Findings; len(all) != 1 || all[0] != f {
			t.Errorf("%s: over all nodes: %v", row.name, all)
		}
		if got := len(r.Plan.Routers[0].Sessions); got != row.sessions {
			t.Errorf("%s: %d sessions, want %d", row.name, got, row.sessions)
		}
	}
}

func TestNoConflicts(t *testing.T) {
	for name, peers := range map[string]string{
		"another VRF":                peer("a", "10.0.0.1", "") + peer("b", "10.0.0.1", ", vrf: red"),
		"another ASN in a VRF":       peer("a", "10.0.0.1", "") + strings.Replace(peer("b", "10.0.0.2", ", vrf: red"), "64512", "64513", 1),
		"a second ASN":               peer("a", "10.0.0.1", "") + asns("b", "64513", "peerASN: 65000"),
		"a localASN as well":         peer("a", "10.0.0.1", "") + asns("b", "64513", "peerASN: 65000, localASN: 64999"),
		"localASN is the node's AS":  peer("a", "10.0.0.1", "") + asns("b", "64513", "dynamicASN: external, localASN: 64512"),
		"one router ID":              peer("a", "10.0.0.1", "") + peer("b", "10.0.0.2", ", routerID: 2.2.2.2") + peer("c", "10.0.0.3", ", routerID: 2.2.2.2"),
		"another router ID in one":   peer("a", "10.0.0.1", ", routerID: 1.1.1.1") + peer("b", "10.0.0.2", ", vrf: red, routerID: 2.2.2.2"),
		"extras of the same ASN":     peer("a", "10.0.0.1", "") + extras("router bgp 64512\n timers bgp 3 9\nrouter bgp 65100 vrf red\nip prefix-list A permit any"),
		"selectors that do not meet": peer("a", "10.0.0.1", ", "+strings.ReplaceAll(hostname, "%s", "n1")) + peer("b", "10.0.0.1", ", "+strings.ReplaceAll(hostname, "%s", "n2")),
	} {
		if r := planned(t, twoNodes+peers); len(r.Findings) > 0 {
			t.Errorf("%s: %v", name, r.Findings)
		}
	}
}

func TestEveryReasonHasARow(t *testing.T) {
	rows := []intent.Reason{plan.NodeNotForwarding, plan.NodeDraining} // TestDecisionNotForwarding, TestLeaving
	for _, r := range decisionRows {
		rows = append(rows, r.reason)
	}
	for _, r := range layer2Rows {
		rows = append(rows, r.reason)
	}
	for _, r := range conflictRows {
		rows = append(rows, r.reason)
	}
	for _, r := range checkRows {
		rows = append(rows, r.reason)
	}
	parsed, err := parser.ParseFile(token.NewFileSet(), "reasons.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(parsed, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING || strings.Contains(lit.Value, "/") {
			return true
		}
		text, _ := strconv.Unquote(lit.Value)
		declared++
		if !slices.Contains(rows, intent.Reason(text)) {
			t.Errorf("no row makes the Reason %s", text)
		}
		return true
	})
	if declared == 0 {
		t.Error("reasons.go declares nothing")
	}
}

// What FRR could not have is left out of the plan with all that stands in it.
func TestForeignExtrasAreLeftOut(t *testing.T) {
	r := planned(t, n1+peer("a", "10.0.0.1", "")+extras("router bgp 65100\n address-family ipv4 unicast\n  network 10.0.0.0/8\nip prefix-list A permit any\n"))
	if x := r.Plan.Extras; x == nil || len(x.Lines) != 1 || x.Lines[0].Text != "ip prefix-list A permit any" {
		t.Errorf("extras %+v, want the prefix-list alone", x)
	}
	if x := planned(t, n1+extras("router bgp 65100\n timers bgp 3 9\n")).Plan.Extras; x == nil || len(x.Lines) != 2 {
		t.Errorf("extras %+v of a node without peers, want both lines", x)
	}
}
