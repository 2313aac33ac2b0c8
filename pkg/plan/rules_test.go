// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"metallb.io/metallb-frr/hack/docs/row"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// same: the product keeps the rule as MetalLB does.
const same = ""

// rules are those of MetalLB between objects that meet on a node or in a prefix;
// those about one object are in package intent. Each has manifests, and what is
// found between them, all of it (severity, Reason, object, field), and which sessions
// node n1 has.
var rules = []struct {
	section, rule, differs, manifests string
	finds                             []string
	sessions                          string
	decision                          intent.Reason // why n1 does not announce the first Service
}{
	{"Peers that meet on a node", "No two peers have the same neighbour in the same VRF; otherwise all configuration of the node is refused.", "The older peer's session stands, and the younger one has none.",
		n1 + peer("a", "10.0.0.1", "") + peer("b", "10.0.0.1", ""), []string{"invalid DuplicateNeighbor BGPPeer b spec.peerAddress"}, "a", ""},
	{"Peers that meet on a node", "Neighbours are compared as text, so two spellings of an IPv6 address count as two.", "They are compared as addresses.",
		n1 + peer("a", "fd00::1", "") + peer("b", "fd00:0::1", ""), []string{"invalid DuplicateNeighbor BGPPeer b spec.peerAddress"}, "a", ""},
	{"Peers that meet on a node", "The same neighbour in two VRFs is two.", same, n1 + peer("a", "10.0.0.1", "") + peer("b", "10.0.0.1", ", vrf: red"), nil, "a b", ""},
	{"Peers that meet on a node", "Peers that no node has together do not contradict each other.", same, twoNodes + peer("a", "10.0.0.1", ", "+on("n1")) + peer("b", "10.0.0.1", ", "+on("n2")), nil, "a", ""},
	{"Peers that meet on a node", "All have the same myASN in a VRF; otherwise all configuration of the node is refused.", "The younger peer's is a local AS in the older one's router, where FRR can do that (hack/adr/0009).",
		n1 + peer("a", "10.0.0.1", "") + asns("b", "64513", "peerASN: 65000"), nil, "a b", ""},
	{"Peers that meet on a node", "So is a second myASN towards a router of the first one.", "The younger peer alone has no session: FRR would take it for eBGP over several hops (hack/adr/0009).",
		n1 + peer("a", "10.0.0.1", "") + asns("b", "64513", "peerASN: 64512"), []string{"invalid ASNConflict BGPPeer b spec.myASN"}, "a", ""},
	{"Peers that meet on a node", "All have the same routerID, across VRFs; otherwise all configuration of the node is refused.", "Each VRF has that of its oldest peer, with a warning on the others.",
		n1 + peer("a", "10.0.0.1", ", routerID: 1.1.1.1") + peer("b", "10.0.0.2", ", routerID: 2.2.2.2"), []string{"warning RouterIDConflict BGPPeer b spec.routerID"}, "a b", ""},
	{"Peers that meet on a node", "One with a routerID and one without contradict each other.", "They do not: the node has the one that is set.",
		n1 + peer("a", "10.0.0.1", "") + peer("b", "10.0.0.2", ", routerID: 2.2.2.2"), nil, "a b", ""},
	{"Peers that meet on a node", "Two nodes may have the same routerID.", "They may, with a warning: routers that see both mix them up.",
		twoNodes + peer("a", "10.0.0.1", ", routerID: 1.1.1.1"), []string{"warning RouterIDShared BGPPeer a spec.routerID"}, "a", ""},
	{"Peers that meet on a node", "bgpextras is added to frr.conf as it is.", "A router of an AS that the node does not have, which FRR would refuse, is left out.",
		n1 + peer("a", "10.0.0.1", "") + extras("router bgp 65100\n timers bgp 3 9\n"), []string{"invalid ExtrasForeignASN ConfigMap bgpextras data.extras"}, "a", ""},

	{"Advertisements that make the same prefix", "Two that go to a peer from a node have the same localPref; otherwise all configuration is refused.", "The highest wins, with a warning on the others.",
		base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr]") + ad("z", "localPref: 100, peers: [rr]"), []string{"warning LocalPrefConflict BGPAdvertisement z spec.localPref"}, "rr tor1", ""},
	{"Advertisements that make the same prefix", "Those that no peer gets both of do not contradict each other.", same,
		base + rr("rr", "10.0.0.9", "") + rr("rr2", "10.0.0.8", "") + ad("x", "localPref: 200, peers: [rr]") + ad("z", "localPref: 100, peers: [rr2]"), nil, "rr rr2 tor1", ""},
	{"Advertisements that make the same prefix", "Those that no node has both of do not contradict each other.", same,
		base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr], "+on("n1")) + ad("z", "localPref: 100, peers: [rr], "+on("n2")), nil, "rr tor1", ""},
	{"Advertisements that make the same prefix", "Those of different aggregation lengths do not contradict each other.", same,
		base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr], aggregationLength: 28, aggregationLengthV6: 120") + ad("z", "localPref: 100, peers: [rr]"), nil, "rr tor1", ""},
	{"Advertisements that make the same prefix", "One with serviceSelectors is looked at when a Service is announced, which then fails.", "It is looked at as soon as there is such a Service, and the highest wins, with a warning.",
		base + rr("rr", "10.0.0.9", "") + ad("x", "localPref: 200, peers: [rr]") + ad("z", "localPref: 100, peers: [rr], serviceSelectors: [{matchLabels: {name: web}}]") + web, []string{"warning LocalPrefConflict BGPAdvertisement z spec.localPref"}, "rr tor1", ""},
	{"Advertisements that make the same prefix", "localPref is set towards eBGP neighbours, too, where it has no effect.", "It is not sent (RFC 4271), with a warning (hack/adr/0005).",
		base + ad("x", "localPref: 200"), []string{"warning LocalPrefNotSent BGPAdvertisement x spec.localPref"}, "tor1", ""},
	{"Advertisements that make the same prefix", "An aggregate of Services with externalTrafficPolicy Local goes out from every node with an endpoint of one of them.", "It does, with a warning: traffic for the others may reach a node without their endpoint.",
		base + ad("x", "aggregationLength: 28") + service("one", "192.0.2.17", local, "n1") + service("two", "192.0.2.18", local, "n2"), []string{"warning AggregateWithLocalPolicy BGPAdvertisement x spec.aggregationLength"}, "tor1", ""},
	{"Advertisements that make the same prefix", "An L2Advertisement may have a pool that is in no subnet of the nodes.", "It may, with a warning: no router would ask for its addresses.",
		twoNodes + pool("a", "198.51.100.0/24") + l2("x", "") + links("n1", "eth0 192.0.2.1/24") + links("n2", "eth0 192.0.2.2/24"), []string{"warning AddressOutsideSubnets IPAddressPool a spec.addresses"}, "", ""},

	{"What a bad configuration does", "A speaker does not load a configuration in which an address that it announces has no pool, until the controller has moved the Service.", "It loads it, and announces that address no longer.",
		base + ad("x", "") + service("web", "198.51.100.1", "", "n1"), nil, "tor1", plan.AddressNotInPool},
}

func TestRules(t *testing.T) {
	var rows []row.Rule
	for _, r := range rules {
		in := intent.Resolve(nil, read(t, r.manifests))
		for _, f := range in.Findings {
			t.Errorf("%s: of one object: %s", r.rule, f)
		}
		var found, texts []string
		for _, f := range plan.Check(nil, in).Findings {
			found = append(found, fmt.Sprintf("%s %s %s %s", f.Severity, f.Reason, f.Object, f.Field))
			texts = append(texts, fmt.Sprintf("%s: %s", f.Reason, f))
		}
		if slices.Sort(found); !slices.Equal(found, r.finds) {
			t.Errorf("%s\nfound %q\nwant  %q", r.rule, found, r.finds)
		}
		var sessions []string
		made := plan.ForNode(nil, in, plan.NodeFacts{Name: "n1", Forwarding: true})
		if r.decision != "" && (len(made.Decisions) == 0 || made.Decisions[0].Reason != r.decision) {
			t.Errorf("%s\ndecisions %+v, want %s", r.rule, made.Decisions, r.decision)
		}
		for _, router := range made.Plan.Routers {
			for _, s := range router.Sessions {
				sessions = append(sessions, s.Peer.Name)
			}
		}
		if slices.Sort(sessions); strings.Join(sessions, " ") != r.sessions {
			t.Errorf("%s\nsessions %q, want %q", r.rule, sessions, r.sessions)
		}
		rows = append(rows, row.Rule{Section: r.section, Rule: r.rule, Differs: r.differs, Findings: texts})
	}
	row.Keep(t, row.RulesFile, rows)
}

// TestReasonExamples keeps what the first row of each Reason says, for
// deploy/docs/reasons.md.
func TestReasonExamples(t *testing.T) {
	var rows []row.Reason
	keep := func(r row.Reason) {
		if !slices.ContainsFunc(rows, func(other row.Reason) bool { return other.Reason == r.Reason }) {
			rows = append(rows, r)
		}
	}
	decision := func(d plan.Decision) {
		keep(row.Reason{Reason: string(d.Reason), Object: d.Service.Ref().String(), Message: d.Message})
	}
	for _, r := range decisionRows {
		decision(planned(t, r.manifests).Decisions[0])
	}
	decision(plan.ForNode(nil, intent.Resolve(nil, read(t, base+ad("x", "")+web)), plan.NodeFacts{Name: "n1"}).Decisions[0])
	for _, r := range layer2Rows {
		decision(at(t, intent.Resolve(nil, read(t, r.manifests)), "n1", aliveOf(r.alive)).L2[0])
	}
	s := read(t, base+ad("x", "")+web)
	var err error
	if s.DrainOn, err = intent.ParseDrainOn("cordon"); err != nil {
		t.Fatal(err)
	}
	s.Nodes[0].Spec.Unschedulable = true
	decision(plan.ForNode(nil, intent.Resolve(nil, s), plan.NodeFacts{Name: "n1", Forwarding: true}).Decisions[0])
	var findings []intent.Finding
	for _, r := range conflictRows {
		findings = append(findings, planned(t, n1+r.peers).Findings...)
	}
	for _, r := range checkRows {
		findings = append(findings, check(t, r.manifests)...)
	}
	for _, f := range findings {
		if f.Reason != intent.TooManyCommunities {
			keep(row.Reason{Reason: string(f.Reason), Severity: f.Severity.String(), Object: f.Object.String(), Message: f.Text()})
		}
	}
	row.Keep(t, row.ReasonsFile, rows)
}
