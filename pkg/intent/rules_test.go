// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"fmt"
	"slices"
	"testing"

	"metallb.io/metallb-frr/hack/docs/row"
	"metallb.io/metallb-frr/pkg/intent"
)

// same: the product keeps the rule as MetalLB does.
const same = ""

// rules are those of MetalLB about one object, or about what it names; those between
// objects that meet on a node are in package plan. Each has manifests that break it
// (or, where nothing is found, that it would be about), and what is found, all of it:
// severity, Reason, object, field.
var rules = []struct {
	section, rule, differs, manifests string
	finds                             []string
	inForce                           string // objects, where not all of them are
}{
	// The text of each row goes to deploy/docs/differences.md.
	{"Where rules run", "An object outside the product's namespace has no effect.", same,
		"---\nkind: IPAddressPool\nmetadata: {name: a, namespace: default}\nspec: {addresses: [x]}\n", nil, "nothing"},
	{"Where rules run", "A reference may be created later than what names it.", same,
		peer("p", with("bfdProfile: later")) + bfd("later", "{}"), nil, "BGPPeer p, BFDProfile later"},
	{"Where rules run", "Speakers look only at the peers and BGPAdvertisements that select their node, so that validity is per node.",
		"An object is valid or not, whatever the node, and its conditions say which; only contradictions between peers are looked for where they meet.",
		peer("p", "{myASN: 0, peerASN: 1, peerAddress: 192.0.2.1, nodeSelectors: [{matchLabels: {no: node}}]}"),
		[]string{"invalid InvalidASN BGPPeer p spec.myASN"}, "nothing"},

	{"Pools", "At least one address.", same, pool("a", "{addresses: []}"), []string{"invalid InvalidAddresses IPAddressPool a spec.addresses"}, "nothing"},
	{"Pools", "An entry is a CIDR, whose host bits are dropped, or a range.", same, pool("a", "{addresses: [192.0.2.7/24, 198.51.100.1-198.51.100.9, '2001:db8::/64']}"), nil, "IPAddressPool a"},
	{"Pools", "A single address needs a prefix length of 32 or 128.", same, pool("a", "{addresses: [192.0.2.1]}"), []string{"invalid InvalidAddresses IPAddressPool a spec.addresses[0]"}, "nothing"},
	{"Pools", "A range does not end before it begins.", same, pool("a", "{addresses: [192.0.2.9-192.0.2.1]}"), []string{"invalid InvalidAddresses IPAddressPool a spec.addresses[0]"}, "nothing"},
	{"Pools", "A range from one address family to the other is taken and holds nothing.",
		"It is refused: it cannot be what was meant, and in MetalLB it may later end the process.",
		pool("a", "{addresses: ['192.0.2.1-2001:db8::1']}"), []string{"invalid InvalidAddresses IPAddressPool a spec.addresses[0]"}, "nothing"},
	{"Pools", "No two pools hold the same address; otherwise all configuration is refused.",
		"The older pool keeps the common addresses, and the younger one the rest of its own: no Service loses an address because a pool was added or grew (hack/adr/0003).",
		pool("a", "{addresses: [192.0.2.0/24]}") + pool("b", "{addresses: [192.0.2.128/25, 198.51.100.0/24]}"),
		[]string{"invalid PoolOverlap IPAddressPool b spec.addresses[0]"}, "IPAddressPool a, IPAddressPool b"},
	{"Pools", "No two entries of a pool hold the same address; otherwise all configuration is refused.",
		"The entry that comes first keeps them; the pool stays in force.",
		pool("a", "{addresses: [192.0.2.0/24, 192.0.2.128/25]}"), []string{"invalid PoolOverlap IPAddressPool a spec.addresses[1]"}, "IPAddressPool a"},
	{"Pools", "A namespace is listed once.", same, pool("a", "{addresses: [192.0.2.0/24], serviceAllocation: {namespaces: [x, x]}}"), []string{"invalid DuplicateEntry IPAddressPool a spec.serviceAllocation.namespaces[1]"}, "nothing"},
	{"Pools", "A selector is listed once.", same, pool("a", "{addresses: [192.0.2.0/24], serviceAllocation: {serviceSelectors: [{}, {}]}}"), []string{"invalid DuplicateEntry IPAddressPool a spec.serviceAllocation.serviceSelectors[1]"}, "nothing"},
	{"Pools", "An expression of a selector, and a value of an expression, is listed once.", same,
		pool("a", "{addresses: [192.0.2.0/24], serviceAllocation: {namespaceSelectors: [{matchExpressions: [{key: k, operator: In, values: [v, v]}, {key: k, operator: Exists}, {key: k, operator: Exists}]}]}}"),
		[]string{"invalid DuplicateEntry IPAddressPool a spec.serviceAllocation.namespaceSelectors[0].matchExpressions[0].values[1]", "invalid DuplicateEntry IPAddressPool a spec.serviceAllocation.namespaceSelectors[0].matchExpressions[2]"}, "nothing"},
	{"Pools", "A pool may hold the address of a node.",
		"It may, with a warning.", pool("a", "{addresses: [192.0.2.0/24]}") + node("n1", "", "192.0.2.7"), []string{"warning PoolHoldsNodeAddress IPAddressPool a spec.addresses"}, "IPAddressPool a"},
	{"Pools", "A pool may hold addresses of the Pods' network.",
		"It may, with a warning, where the Nodes say what their Pods have (spec.podCIDRs).", pool("a", "{addresses: [10.244.3.0/28]}") + node("n1", "10.244.3.0/24", "10.0.0.1"), []string{"warning PoolHoldsPodNetwork IPAddressPool a spec.addresses"}, "IPAddressPool a"},
	{"Pools", "A pool may hold addresses of the Services' network.",
		"It may, with a warning, as soon as a Service has a ClusterIP there.", pool("a", "{addresses: [10.96.0.0/24]}") + clusterService("kubernetes", "10.96.0.1"), []string{"warning PoolHoldsClusterIP IPAddressPool a spec.addresses"}, "IPAddressPool a"},

	{"Peers", "myASN is not 0.", same, peer("p", "{peerASN: 65000, peerAddress: 10.0.0.1}"), []string{"invalid InvalidASN BGPPeer p spec.myASN"}, "nothing"},
	{"Peers", "peerASN or dynamicASN is set.", same, peer("p", "{myASN: 64512, peerAddress: 10.0.0.1}"), []string{"invalid InvalidASN BGPPeer p spec.peerASN"}, "nothing"},
	{"Peers", "peerASN and dynamicASN are not both set.", same, peer("p", with("dynamicASN: internal")), []string{"invalid InvalidASN BGPPeer p spec.dynamicASN"}, "nothing"},
	{"Peers", "dynamicASN is internal or external.", same, peer("p", "{myASN: 64512, dynamicASN: any, peerAddress: 10.0.0.1}"), []string{"invalid InvalidASN BGPPeer p spec.dynamicASN"}, "nothing"},
	{"Peers", "ebgpMultiHop is not for a router of the own AS.", same, peer("p", "{myASN: 64512, peerASN: 64512, peerAddress: 10.0.0.1, ebgpMultiHop: true}"), []string{"invalid InvalidMultiHop BGPPeer p spec.ebgpMultiHop"}, "nothing"},
	{"Peers", "ebgpMultiHop with dynamicASN is not looked at.", same, peer("p", "{myASN: 64512, dynamicASN: internal, peerAddress: 10.0.0.1, ebgpMultiHop: true}"), nil, "BGPPeer p"},
	{"Peers", "ebgpMultiHop on an unnumbered session is taken.", "It is refused: the router is on the link.", peer("p", "{myASN: 64512, peerASN: 65000, interface: eth1, ebgpMultiHop: true}"), []string{"invalid InvalidMultiHop BGPPeer p spec.ebgpMultiHop"}, "nothing"},
	{"Peers", "peerAddress or interface is set.", same, peer("p", "{myASN: 64512, peerASN: 65000}"), []string{"invalid InvalidPeerAddress BGPPeer p spec.peerAddress"}, "nothing"},
	{"Peers", "peerAddress and interface are not both set.", same, peer("p", with("interface: eth0")), []string{"invalid InvalidPeerAddress BGPPeer p spec.interface"}, "nothing"},
	{"Peers", "peerAddress is an IP address.", same, peer("p", "{myASN: 64512, peerASN: 65000, peerAddress: tor1}"), []string{"invalid InvalidPeerAddress BGPPeer p spec.peerAddress"}, "nothing"},
	{"Peers", "peerAddress may be one that no router has, such as 0.0.0.0 or a multicast address.", "It is refused.", peer("p", "{myASN: 64512, peerASN: 65000, peerAddress: 224.0.0.5}"), []string{"invalid InvalidPeerAddress BGPPeer p spec.peerAddress"}, "nothing"},
	{"Peers", "interface and vrf are not looked at.", "Names that Linux cannot have are refused.", peer("p", "{myASN: 64512, peerASN: 65000, interface: e/0, vrf: a-very-long-name}"), []string{"invalid InvalidPeerAddress BGPPeer p spec.interface", "invalid InvalidVRF BGPPeer p spec.vrf"}, "nothing"},
	{"Peers", "sourceAddress is an IP address.", same, peer("p", with("sourceAddress: eth0")), []string{"invalid InvalidSourceAddress BGPPeer p spec.sourceAddress"}, "nothing"},
	{"Peers", "sourceAddress may be of another family than peerAddress.", "It is refused: the session could never be opened.", peer("p", with("sourceAddress: 'fd00::1'")), []string{"invalid InvalidSourceAddress BGPPeer p spec.sourceAddress"}, "nothing"},
	{"Peers", "routerID is an IP address.", same, peer("p", with("routerID: one")), []string{"invalid InvalidRouterID BGPPeer p spec.routerID"}, "nothing"},
	{"Peers", "routerID may be an IPv6 address.", "It is refused: a BGP identifier has 32 bits (RFC 4271), and FRR does not take the line.", peer("p", with("routerID: 'fd00::1'")), []string{"invalid InvalidRouterID BGPPeer p spec.routerID"}, "nothing"},
	{"Peers", "holdTime is 0 or at least 3 s.", same, peer("p", with("holdTime: 2s")), []string{"invalid InvalidTimers BGPPeer p spec.holdTime"}, "nothing"},
	{"Peers", "keepaliveTime is at most holdTime.", same, peer("p", with("holdTime: 9s, keepaliveTime: 10s")), []string{"invalid InvalidTimers BGPPeer p spec.keepaliveTime"}, "nothing"},
	{"Peers", "keepaliveTime may equal holdTime.", same, peer("p", with("holdTime: 9s, keepaliveTime: 9s")), nil, "BGPPeer p"},
	{"Peers", "With holdTime alone keepaliveTime is a third of it, with keepaliveTime alone holdTime is three times as long, without both they are FRR's.", same, peer("p", with("holdTime: 9s")), nil, "BGPPeer p"},
	{"Peers", "Timers that are no whole seconds are rounded.", "They are refused: what is written is what runs.", peer("p", with("holdTime: 9500ms")), []string{"invalid InvalidTimers BGPPeer p spec.holdTime"}, "nothing"},
	{"Peers", "holdTime over 65535 s reaches FRR and fails there.", "It is refused.", peer("p", with("holdTime: 65536s")), []string{"invalid InvalidTimers BGPPeer p spec.holdTime"}, "nothing"},
	{"Peers", "connectTime is 1 s to 65535 s, in whole seconds.", same, peer("p", with("connectTime: 500ms")), []string{"invalid InvalidTimers BGPPeer p spec.connectTime"}, "nothing"},
	{"Peers", "password and passwordSecret are not both set.", same, peer("p", with("password: a, passwordSecret: {name: s}")), []string{"invalid InvalidPassword BGPPeer p spec.password"}, "nothing"},
	{"Peers", "A password may be anything.", "One that TCP MD5 (80 bytes) or FRR's configuration (no blanks, no question mark) cannot carry is refused.", peer("p", with("password: a b")), []string{"invalid InvalidPassword BGPPeer p spec.password"}, "nothing"},
	{"Peers", "The password's Secret is there, of the right type, and holds the key password; otherwise all configuration waits.", "That peer alone waits.",
		peer("p", with("passwordSecret: {name: s}")) + peer("q", "{myASN: 64512, peerASN: 65000, peerAddress: 10.0.0.2}"), []string{"unresolved SecretNotFound BGPPeer p spec.passwordSecret.name"}, "BGPPeer q"},
	{"Peers", "bfdProfile is there; otherwise all configuration waits.", "That peer alone waits.",
		peer("p", with("bfdProfile: gone")) + peer("q", "{myASN: 64512, peerASN: 65000, peerAddress: 10.0.0.2}"), []string{"unresolved BFDProfileNotFound BGPPeer p spec.bfdProfile"}, "BGPPeer q"},
	{"Peers", "Two are duplicates by themselves only where everything is equal, the names too, which cannot be; equal ones of two names meet on a node.", same,
		peer("p", with("holdTime: 9s")) + peer("q", with("holdTime: 9s")), nil, "BGPPeer p, BGPPeer q"},
	{"Peers", "A node selector compiles.", same, peer("p", with("nodeSelectors: [{matchExpressions: [{key: a, operator: Near}]}]")), []string{"invalid InvalidSelector BGPPeer p spec.nodeSelectors[0]"}, "nothing"},
	{"Peers", "A value is listed once in an expression of a node selector.", same, peer("p", with("nodeSelectors: [{matchExpressions: [{key: a, operator: In, values: [b, b]}]}]")), []string{"invalid DuplicateEntry BGPPeer p spec.nodeSelectors[0].matchExpressions[0].values[1]"}, "nothing"},
	{"Peers", "localASN may be myASN, or be set on an iBGP session.", "It is refused: it has no meaning there.", peer("p", with("localASN: 64512")), []string{"invalid InvalidASN BGPPeer p spec.localASN"}, "nothing"},
	{"Peers", "disableMP skips all other checks.", "It has no effect, with a warning, and skips nothing.", peer("p", "{myASN: 0, peerASN: 65000, peerAddress: 10.0.0.1, disableMP: true}"), []string{"invalid InvalidASN BGPPeer p spec.myASN"}, "nothing"},

	{"Communities", "A number is 0 to 65535.", same, community("c", "{communities: [{name: a, value: '1:65536'}]}"), []string{"invalid InvalidCommunity Community c spec.communities[0].value"}, "nothing"},
	{"Communities", "A large community begins with large, and its numbers have 32 bits.", same, community("c", "{communities: [{name: a, value: 'big:1:2:3'}, {name: b, value: 'large:1:2:4294967296'}]}"),
		[]string{"invalid InvalidCommunity Community c spec.communities[0].value", "invalid InvalidCommunity Community c spec.communities[1].value"}, "nothing"},
	{"Communities", "Well-known names such as no-export are no values.", same, community("c", "{communities: [{name: a, value: no-export}]}"), []string{"invalid InvalidCommunity Community c spec.communities[0].value"}, "nothing"},
	{"Communities", "An alias is defined once; otherwise all configuration is refused.", "The older object's definition stands.",
		community("c", "{communities: [{name: a, value: '1:2'}]}") + community("d", "{communities: [{name: a, value: '1:3'}]}"), []string{"invalid DuplicateCommunity Community d spec.communities[0].name"}, "nothing"},
	{"Communities", "An alias is defined; otherwise all configuration waits.", "The routes go without that community until it is.", ad("x", "{communities: [gone]}"), []string{"unresolved CommunityNotFound BGPAdvertisement x spec.communities[0]"}, "BGPAdvertisement x"},
	{"Communities", "At most 63 communities on an advertisement.", "At most 253 of each kind, and 3900 bytes: what FRR and a BGP message carry.", ad("x", "{communities: ["+numbered("1:%d", 64)+"]}"), nil, "BGPAdvertisement x"},
	{"Communities", "65535:65282 (no-advertise) is a community like others.", "It is, with a warning: it is mostly written where no-export is meant.", ad("x", "{communities: ['65535:65282']}"), []string{"warning NoAdvertise BGPAdvertisement x spec.communities[0]"}, "BGPAdvertisement x"},

	{"Advertisements", "A pool is listed once.", same, somePool + ad("x", "{ipAddressPools: [some, some]}") + l2ad("z", "{ipAddressPools: [some, some]}"),
		[]string{"invalid DuplicateEntry BGPAdvertisement x spec.ipAddressPools[1]", "invalid DuplicateEntry L2Advertisement z spec.ipAddressPools[1]"}, "IPAddressPool some"},
	{"Advertisements", "A peer, and a community, is listed once.", same, peer("p", goodPeer+"}") + ad("x", "{peers: [p, p], communities: ['1:2', '1:2']}"),
		[]string{"invalid DuplicateEntry BGPAdvertisement x spec.communities[1]", "invalid DuplicateEntry BGPAdvertisement x spec.peers[1]"}, "BGPPeer p"},
	{"Advertisements", "A selector is listed once.", same, ad("x", "{nodeSelectors: [{}, {}]}") + l2ad("z", "{ipAddressPoolSelectors: [{}, {}]}"),
		[]string{"invalid DuplicateEntry BGPAdvertisement x spec.nodeSelectors[1]", "invalid DuplicateEntry L2Advertisement z spec.ipAddressPoolSelectors[1]"}, "nothing"},
	{"Advertisements", "aggregationLength is at most 32, aggregationLengthV6 at most 128.", same, ad("x", "{aggregationLength: 33, aggregationLengthV6: 129}"),
		[]string{"invalid InvalidAggregation BGPAdvertisement x spec.aggregationLength", "invalid InvalidAggregation BGPAdvertisement x spec.aggregationLengthV6"}, "nothing"},
	{"Advertisements", "An aggregate is not larger than the pool; otherwise all configuration is refused.", "That pool is left out of the advertisement.",
		pool("a", "{addresses: [1.1.1.0/28]}") + ad("x", "{aggregationLength: 26}"), []string{"invalid InvalidAggregation BGPAdvertisement x spec.aggregationLength"}, "IPAddressPool a, BGPAdvertisement x"},
	{"Advertisements", "Of a range, the largest prefix that it falls into counts.", same, pool("a", "{addresses: [192.0.2.1-192.0.2.6]}") + ad("x", "{aggregationLength: 31}"), nil, "IPAddressPool a, BGPAdvertisement x"},
	{"Advertisements", "serviceSelectors and aggregation exclude each other.", same, ad("x", "{serviceSelectors: [{}], aggregationLength: 24}"), []string{"invalid InvalidAggregation BGPAdvertisement x spec.serviceSelectors"}, "nothing"},
	{"Advertisements", "No two BGPAdvertisements of a pool are equal; otherwise all configuration is refused.", "Both are in force, with a warning: the second one changes nothing.", ad("x", "{localPref: 1}") + ad("z", "{localPref: 1}"), []string{"warning DuplicateAdvertisement BGPAdvertisement z spec"}, "BGPAdvertisement x, BGPAdvertisement z"},
	{"Advertisements", "Equal L2Advertisements are one.", same, l2ad("x", "{}") + l2ad("z", "{}"), nil, "L2Advertisement x, L2Advertisement z"},
	{"Advertisements", "Equal L2Advertisements with preferredNodeSelectors count each.", same,
		l2ad("x", "{preferredNodeSelectors: [{weight: 5, preference: {}}]}") + l2ad("z", "{preferredNodeSelectors: [{weight: 5, preference: {}}]}"), nil, "L2Advertisement x, L2Advertisement z"},
	{"Advertisements", "Names of pools and peers that are not there are ignored.", "They are, and the condition ResolvedRefs says so.", ad("x", "{ipAddressPools: [gone], peers: [gone]}"),
		[]string{"unresolved PeerNotFound BGPAdvertisement x spec.peers[0]", "unresolved PoolNotFound BGPAdvertisement x spec.ipAddressPools[0]"}, "BGPAdvertisement x"},
	{"Advertisements", "An IPv6 pool is not announced to a peer whose BFD profile has echo mode; otherwise all configuration is refused.", "It is announced; the peer gets a warning, since FRR's own echo mode works over IPv6 between two FRR.",
		pool("a", "{addresses: ['2001:db8::/64']}") + bfd("b", "{echoMode: true}") + peer("p", "{myASN: 64512, peerASN: 65000, peerAddress: 'fd00::1', bfdProfile: b}") + ad("x", "{}"),
		[]string{"warning EchoModeNeedsRouter BGPPeer p spec.bfdProfile"}, "IPAddressPool a, BGPPeer p, BGPAdvertisement x, BFDProfile b"},

	{"BFD profiles", "Intervals are 10 ms to 60 s.", same, bfd("b", "{receiveInterval: 9, transmitInterval: 60001, echoInterval: 5}"),
		[]string{"invalid InvalidInterval BFDProfile b spec.echoInterval", "invalid InvalidInterval BFDProfile b spec.receiveInterval", "invalid InvalidInterval BFDProfile b spec.transmitInterval"}, "nothing"},
	{"BFD profiles", "Intervals are integers of milliseconds.", "Durations (300ms, 1s) are read, too.", bfd("b", "{receiveInterval: 300ms, transmitInterval: 300}"), nil, "BFDProfile b"},

	{"Backends", "The backend native has no BFD, VRF, dynamicASN, unnumbered sessions and large communities.", "There is one backend, FRR, which has them all.",
		bfd("b", "{}") + peer("p", "{myASN: 64512, dynamicASN: external, interface: eth0, vrf: red, bfdProfile: b}"), nil, "BGPPeer p, BFDProfile b"},
	{"Backends", "The ConfigMap bgpextras is taken by the backend frr, and refused by others.", same, extras("router bgp 64512\n timers bgp 3 9\n"), nil, "nothing"},

	{"What a bad configuration does", "The last good configuration keeps running, in memory: a restart loses it.", "Each object's last accepted spec keeps running; it is in the object's status, so a restart does not lose it.",
		own("IPAddressPool", "a", "spec: {addresses: [x]}\nstatus: {lastAccepted: {generation: 1, spec: {addresses: [192.0.2.0/24]}}}"),
		[]string{"invalid InvalidAddresses IPAddressPool a spec.addresses[0]"}, "IPAddressPool a"},
	{"What a bad configuration does", "One bad object keeps every change of every other object from taking effect.", "It costs that object alone.",
		pool("a", "{addresses: [x]}") + pool("b", "{addresses: [192.0.2.0/24]}"), []string{"invalid InvalidAddresses IPAddressPool a spec.addresses[0]"}, "IPAddressPool b"},
}

func TestRules(t *testing.T) {
	var rows []row.Rule
	for _, r := range rules {
		in := resolve(t, r.manifests)
		var found, texts []string
		for _, f := range in.Findings {
			found = append(found, fmt.Sprintf("%s %s %s %s", f.Severity, f.Reason, f.Object, f.Field))
			texts = append(texts, fmt.Sprintf("%s: %s", f.Reason, f))
		}
		slices.Sort(found)
		if !slices.Equal(found, r.finds) {
			t.Errorf("%s: %s\nfound %q\nwant  %q", r.section, r.rule, found, r.finds)
		}
		if got := inForce(in); got != r.inForce {
			t.Errorf("%s: %s\nin force: %s\nwant:     %s", r.section, r.rule, got, r.inForce)
		}
		rows = append(rows, row.Rule{Section: r.section, Rule: r.rule, Differs: r.differs, Findings: texts})
	}
	row.Keep(t, row.RulesFile, rows)
}

// inForce names the objects in an Intent.
func inForce(in *intent.Intent) string {
	text := ""
	add := func(ref intent.Ref) {
		if text != "" {
			text += ", "
		}
		text += ref.String()
	}
	for _, p := range in.Pools {
		add(p.Ref())
	}
	for _, p := range in.Peers {
		add(p.Ref())
	}
	for _, a := range in.BGPAds {
		add(a.Ref())
	}
	for _, a := range in.L2Ads {
		add(intent.Ref{Kind: "L2Advertisement", Name: a.Name})
	}
	for _, p := range in.BFDProfiles {
		add(p.Ref())
	}
	if text == "" {
		return "nothing"
	}
	return text
}

// TestReasonExamples keeps what the first row of each Reason says, for
// deploy/docs/reasons.md.
func TestReasonExamples(t *testing.T) {
	var rows []row.Reason
	seen := map[intent.Reason]bool{}
	for _, r := range reasonRows {
		if seen[r.reason] {
			continue
		}
		for _, f := range resolve(t, r.manifests).Findings {
			if f.Reason == r.reason && f.Object.String() == r.object && !seen[r.reason] {
				seen[r.reason] = true
				rows = append(rows, row.Reason{Reason: string(f.Reason), Severity: f.Severity.String(), Object: f.Object.String(), Message: f.Text()})
			}
		}
	}
	row.Keep(t, row.ReasonsFile, rows)
}
