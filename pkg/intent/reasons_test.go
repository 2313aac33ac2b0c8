// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
)

// reasonRow says which Finding manifests make.
type reasonRow struct {
	name      string
	manifests string
	reason    intent.Reason
	severity  intent.Severity
	object    string
	field     string
	value     string
	// says are words of the message: what would be right.
	says []string
}

const secretType = "kubernetes.io/basic-auth"

var (
	somePool = pool("some", "{addresses: [192.0.2.0/24]}")
	goodPeer = "{myASN: 64512, peerASN: 65000, peerAddress: 10.0.0.1"
)

// with is a good peer with more fields.
func with(extra string) string { return goodPeer + ", " + extra + "}" }

var reasonRows = slices.Concat(peerRows, poolRows, advertisementRows, otherRows, extrasRows)

var peerRows = []reasonRow{
	{"myASN missing", peer("p", "{peerASN: 65000, peerAddress: 10.0.0.1}"), intent.InvalidASN, intent.Invalid, "BGPPeer p", "spec.myASN", "0", []string{"1 to 4294967295"}},
	{"peerASN missing", peer("p", "{myASN: 64512, peerAddress: 10.0.0.1}"), intent.InvalidASN, intent.Invalid, "BGPPeer p", "spec.peerASN", "0", []string{"1 to 4294967295", "dynamicASN"}},
	{"both ASNs", peer("p", with("dynamicASN: external")), intent.InvalidASN, intent.Invalid, "BGPPeer p", "spec.dynamicASN", "external", []string{"keep one"}},
	{"unknown dynamicASN", peer("p", "{myASN: 64512, dynamicASN: auto, peerAddress: 10.0.0.1}"), intent.InvalidASN, intent.Invalid, "BGPPeer p", "spec.dynamicASN", "auto", []string{"internal or external"}},
	{"localASN is myASN", peer("p", with("localASN: 64512")), intent.InvalidASN, intent.Invalid, "BGPPeer p", "spec.localASN", "64512", []string{"differ from myASN"}},
	{"localASN on iBGP", peer("p", "{myASN: 64512, dynamicASN: internal, peerAddress: 10.0.0.1, localASN: 7}"), intent.InvalidASN, intent.Invalid, "BGPPeer p", "spec.localASN", "7", []string{"eBGP"}},
	{"multihop on iBGP", peer("p", "{myASN: 64512, peerASN: 64512, peerAddress: 10.0.0.1, ebgpMultiHop: true}"), intent.InvalidMultiHop, intent.Invalid, "BGPPeer p", "spec.ebgpMultiHop", "true", []string{"remove it"}},
	{"multihop on a link", peer("p", "{myASN: 64512, peerASN: 65000, interface: eth1, ebgpMultiHop: true}"), intent.InvalidMultiHop, intent.Invalid, "BGPPeer p", "spec.ebgpMultiHop", "true", []string{"unnumbered", "eth1", "remove it"}},
	{"no neighbour", peer("p", "{myASN: 64512, peerASN: 65000}"), intent.InvalidPeerAddress, intent.Invalid, "BGPPeer p", "spec.peerAddress", "", []string{"invalid BGPPeer address", "interface"}},
	{"two neighbours", peer("p", with("interface: eth0")), intent.InvalidPeerAddress, intent.Invalid, "BGPPeer p", "spec.interface", "eth0", []string{"keep one"}},
	{"an address that is none", peer("p", "{myASN: 64512, peerASN: 65000, peerAddress: 10.0.0.300}"), intent.InvalidPeerAddress, intent.Invalid, "BGPPeer p", "spec.peerAddress", "10.0.0.300", []string{"invalid BGPPeer address", "192.0.2.1"}},
	{"an address with a zone", peer("p", `{myASN: 64512, peerASN: 65000, peerAddress: "fe80::1%eth0"}`), intent.InvalidPeerAddress, intent.Invalid, "BGPPeer p", "spec.peerAddress", "fe80::1%eth0", []string{"invalid BGPPeer address"}},
	{"the address of all", peer("p", `{myASN: 64512, peerASN: 65000, peerAddress: "0.0.0.0"}`), intent.InvalidPeerAddress, intent.Invalid, "BGPPeer p", "spec.peerAddress", "0.0.0.0", []string{"no router can have it"}},
	{"the IPv6 address of all", peer("p", `{myASN: 64512, peerASN: 65000, peerAddress: "::"}`), intent.InvalidPeerAddress, intent.Invalid, "BGPPeer p", "spec.peerAddress", "::", []string{"no router can have it"}},
	{"a group", peer("p", `{myASN: 64512, peerASN: 65000, peerAddress: "224.0.0.5"}`), intent.InvalidPeerAddress, intent.Invalid, "BGPPeer p", "spec.peerAddress", "224.0.0.5", []string{"no router can have it"}},
	{"an IPv6 group", peer("p", `{myASN: 64512, peerASN: 65000, peerAddress: "ff02::5"}`), intent.InvalidPeerAddress, intent.Invalid, "BGPPeer p", "spec.peerAddress", "ff02::5", []string{"no router can have it"}},
	{"broadcast", peer("p", `{myASN: 64512, peerASN: 65000, peerAddress: "255.255.255.255"}`), intent.InvalidPeerAddress, intent.Invalid, "BGPPeer p", "spec.peerAddress", "255.255.255.255", []string{"no router can have it"}},
	{"an interface that Linux cannot have", peer("p", `{myASN: 64512, peerASN: 65000, interface: "eth0 remote-as 1"}`), intent.InvalidPeerAddress, intent.Invalid, "BGPPeer p", "spec.interface", "eth0 remote-as 1", []string{"15", "eth0"}},
	{"a VRF that Linux cannot have", peer("p", with("vrf: more-than-fifteen")), intent.InvalidVRF, intent.Invalid, "BGPPeer p", "spec.vrf", "more-than-fifteen", []string{"15"}},
	{"source of the other family", peer("p", with(`sourceAddress: "2001:db8::1"`)), intent.InvalidSourceAddress, intent.Invalid, "BGPPeer p", "spec.sourceAddress", "2001:db8::1", []string{"same family", "10.0.0.1"}},
	{"source of a link", peer("p", "{myASN: 64512, peerASN: 65000, interface: eth1, sourceAddress: 10.0.0.9}"), intent.InvalidSourceAddress, intent.Invalid, "BGPPeer p", "spec.sourceAddress", "10.0.0.9", []string{"unnumbered", "remove it"}},
	{"source that is no address", peer("p", with("sourceAddress: eth0")), intent.InvalidSourceAddress, intent.Invalid, "BGPPeer p", "spec.sourceAddress", "eth0", []string{"address of the node"}},
	{"router ID of IPv6", peer("p", with(`routerID: "2001:db8::1"`)), intent.InvalidRouterID, intent.Invalid, "BGPPeer p", "spec.routerID", "2001:db8::1", []string{"IPv4"}},
	{"router ID 0", peer("p", with("routerID: 0.0.0.0")), intent.InvalidRouterID, intent.Invalid, "BGPPeer p", "spec.routerID", "0.0.0.0", []string{"other than 0.0.0.0"}},
	{"hold time of 2 s", peer("p", with("holdTime: 2s")), intent.InvalidTimers, intent.Invalid, "BGPPeer p", "spec.holdTime", "2s", []string{"3s to 65535s"}},
	{"hold time over 16 bits", peer("p", with("holdTime: 65536s")), intent.InvalidTimers, intent.Invalid, "BGPPeer p", "spec.holdTime", "18h12m16s", []string{"65535s"}},
	{"hold time of half seconds", peer("p", with("holdTime: 3500ms")), intent.InvalidTimers, intent.Invalid, "BGPPeer p", "spec.holdTime", "3.5s", []string{"whole seconds"}},
	{"keepalive over hold", peer("p", with("holdTime: 30s, keepaliveTime: 31s")), intent.InvalidTimers, intent.Invalid, "BGPPeer p", "spec.keepaliveTime", "31s", []string{"at most the hold time (30s)"}},
	{"keepalive of half seconds alone", peer("p", with("keepaliveTime: 1500ms")), intent.InvalidTimers, intent.Invalid, "BGPPeer p", "spec.keepaliveTime", "1.5s", []string{"whole seconds"}},
	{"keepalive alone, three times of which is too long", peer("p", with("keepaliveTime: 30000s")), intent.InvalidTimers, intent.Invalid, "BGPPeer p", "spec.keepaliveTime", "8h20m0s", []string{"21845s"}},
	{"connect time 0", peer("p", with("connectTime: 0s")), intent.InvalidTimers, intent.Invalid, "BGPPeer p", "spec.connectTime", "0s", []string{"1s to 65535s"}},
	{"password and secret", peer("p", with("password: a, passwordSecret: {name: s}")), intent.InvalidPassword, intent.Invalid, "BGPPeer p", "spec.password", "", []string{"passwordSecret", "remove the password"}},
	{"password too long", peer("p", with("password: "+strings.Repeat("a", 81))), intent.InvalidPassword, intent.Invalid, "BGPPeer p", "spec.password", "", []string{"81 bytes", "at most 80"}},
	{"password with a blank", peer("p", with(`password: "a b"`)), intent.InvalidPassword, intent.Invalid, "BGPPeer p", "spec.password", "", []string{"printable"}},
	{"peer's selector", peer("p", with("nodeSelectors: [{matchLabels: {a: b}}, {matchExpressions: [{key: a, operator: Near}]}]")), intent.InvalidSelector, intent.Invalid, "BGPPeer p", "spec.nodeSelectors[1]", "", []string{"matchLabels", "NotIn"}},
	{"peer's selector with a value twice", peer("p", with("nodeSelectors: [{matchExpressions: [{key: a, operator: In, values: [b, b]}]}]")), intent.DuplicateEntry, intent.Invalid, "BGPPeer p", "spec.nodeSelectors[0].matchExpressions[0].values[1]", "b", []string{"remove one"}},
	{"missing profile", peer("p", with("bfdProfile: gone")), intent.BFDProfileNotFound, intent.Unresolved, "BGPPeer p", "spec.bfdProfile", "gone", []string{"peer p referencing non existing bfd profile gone", "create"}},
	{"missing secret", peer("p", with("passwordSecret: {name: gone}")), intent.SecretNotFound, intent.Unresolved, "BGPPeer p", "spec.passwordSecret.name", "gone", []string{`secret ref not found for peer config "metallb-system"/"gone"`, secretType}},
	{"secret of another type", secret("s", "Opaque", "{password: a}") + peer("p", with("passwordSecret: {name: s}")), intent.SecretInvalid, intent.Unresolved, "BGPPeer p", "spec.passwordSecret.name", "s", []string{`secret type mismatch on "metallb-system"/"s", type "kubernetes.io/basic-auth" is expected`}},
	{"secret without password", secret("s", secretType, "{username: a}") + peer("p", with("passwordSecret: {name: s}")), intent.SecretInvalid, intent.Unresolved, "BGPPeer p", "spec.passwordSecret.name", "s", []string{"key password", "add it"}},
	{"secret that FRR cannot carry", secret("s", secretType, `{password: "a b"}`) + peer("p", with("passwordSecret: {name: s}")), intent.SecretInvalid, intent.Unresolved, "BGPPeer p", "spec.passwordSecret.name", "s", []string{"printable"}},
	{"disableMP", peer("p", with("disableMP: true")), intent.DisableMPIgnored, intent.Warning, "BGPPeer p", "spec.disableMP", "true", []string{"remove it", "dualStackAddressFamily"}},
	{"multihop where localASN makes it iBGP", peer("p", with("localASN: 65000, ebgpMultiHop: true")), intent.InvalidMultiHop, intent.Invalid, "BGPPeer p", "spec.ebgpMultiHop", "true", []string{"localASN are both 65000", "remove it"}},
	{"localASN where peerASN is myASN", peer("p", "{myASN: 64512, peerASN: 64512, peerAddress: 10.0.0.1, localASN: 7}"), intent.InvalidASN, intent.Invalid, "BGPPeer p", "spec.localASN", "7", []string{"eBGP"}},
	{"graceful restart alone", peer("p", with("enableGracefulRestart: true")), intent.GracefulRestartWithoutBFD, intent.Warning, "BGPPeer p", "spec.enableGracefulRestart", "true", []string{"120s", "set a bfdProfile"}},
	{"graceful restart with BFD", bfd("b", "{}") + peer("p", with("enableGracefulRestart: true, bfdProfile: b")), intent.GracefulRestartWithBFD, intent.Warning, "BGPPeer p", "spec.enableGracefulRestart", "true", []string{"2s", "drain"}},
	{"echo over several hops", bfd("b", "{echoMode: true}") + peer("p", with("ebgpMultiHop: true, bfdProfile: b")), intent.EchoModeIgnored, intent.Warning, "BGPPeer p", "spec.bfdProfile", "b", []string{"several hops", "without echoMode"}},
	{"echo over IPv4", bfd("b", "{echoMode: true}") + peer("p", with("bfdProfile: b")), intent.EchoModeNeedsRouter, intent.Warning, "BGPPeer p", "spec.bfdProfile", "b", []string{"send the node's echo packets back", "without echoMode"}},
	{"echo over IPv6", bfd("b", "{echoMode: true}") + peer("p", "{myASN: 64512, peerASN: 65000, peerAddress: 'fd00::1', bfdProfile: b}"), intent.EchoModeNeedsRouter, intent.Warning, "BGPPeer p", "spec.bfdProfile", "b", []string{"only if the router is FRR"}},
	{"echo on a link", bfd("b", "{echoMode: true}") + peer("p", "{myASN: 64512, peerASN: 65000, interface: eth1, bfdProfile: b}"), intent.EchoModeNeedsRouter, intent.Warning, "BGPPeer p", "spec.bfdProfile", "b", []string{"only if the router is FRR"}},
	{"least TTL over one hop", bfd("b", "{minimumTtl: 253}") + peer("p", with("bfdProfile: b")), intent.MinimumTTLIgnored, intent.Warning, "BGPPeer p", "spec.bfdProfile", "b", []string{"minimumTtl 253 has no effect", "255 over one hop"}},
	{"least TTL over several hops", bfd("b", "{minimumTtl: 254}") + peer("p", with("bfdProfile: b, ebgpMultiHop: true")), intent.MinimumTTLIgnored, intent.Warning, "BGPPeer p", "spec.bfdProfile", "b", []string{"minimumTtl 254 has no effect", "1 over several"}},
	{"last accepted spec that is none", own("BGPPeer", "p", "spec: {myASN: 0, peerAddress: 10.0.0.1}\nstatus: {lastAccepted: {generation: 1, spec: {myASN: many}}}"), intent.LastAcceptedUnreadable, intent.Warning, "BGPPeer p", "status.lastAccepted", "", []string{"not used"}},
}

// numbered is a YAML list of n communities.
func numbered(format string, n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("'"+format+"'", i))
	}
	return strings.Join(list, ", ")
}

func secret(name, kind, data string) string {
	return "---\napiVersion: v1\nkind: Secret\ntype: " + kind + "\nmetadata: {name: " + name + ", namespace: metallb-system}\nstringData: " + data + "\n"
}

var poolRows = []reasonRow{
	{"no addresses", pool("a", "{addresses: []}"), intent.InvalidAddresses, intent.Invalid, "IPAddressPool a", "spec.addresses", "", []string{"192.0.2.0/24", "192.0.2.10-192.0.2.20"}},
	{"a bare address", pool("a", "{addresses: [192.0.2.0/24, 192.0.3.1]}"), intent.InvalidAddresses, intent.Invalid, "IPAddressPool a", "spec.addresses[1]", "192.0.3.1", []string{"192.0.2.1/32"}},
	{"a range backwards", pool("a", "{addresses: [192.0.2.9-192.0.2.1]}"), intent.InvalidAddresses, intent.Invalid, "IPAddressPool a", "spec.addresses[0]", "192.0.2.9-192.0.2.1", []string{"swap"}},
	{"a range across families", pool("a", `{addresses: ["192.0.2.9-2001:db8::1"]}`), intent.InvalidAddresses, intent.Invalid, "IPAddressPool a", "spec.addresses[0]", "192.0.2.9-2001:db8::1", []string{"one address family"}},
	{"a range of names", pool("a", "{addresses: [first-last]}"), intent.InvalidAddresses, intent.Invalid, "IPAddressPool a", "spec.addresses[0]", "first-last", []string{"192.0.2.10-192.0.2.20"}},
	{"IPv4 written as IPv6", pool("a", `{addresses: ["::ffff:192.0.2.0/120"]}`), intent.InvalidAddresses, intent.Invalid, "IPAddressPool a", "spec.addresses[0]", "::ffff:192.0.2.0/120", []string{"192.0.2.0/24"}},
	{"a range of IPv4 written as IPv6", pool("a", `{addresses: ["::ffff:192.0.2.1-::ffff:192.0.2.9"]}`), intent.InvalidAddresses, intent.Invalid, "IPAddressPool a", "spec.addresses[0]", "::ffff:192.0.2.1-::ffff:192.0.2.9", []string{"192.0.2.10-192.0.2.20"}},
	{"namespace selector", pool("a", "{addresses: [192.0.2.0/24], serviceAllocation: {namespaceSelectors: [{matchExpressions: [{key: a, operator: In}]}]}}"), intent.InvalidSelector, intent.Invalid, "IPAddressPool a", "spec.serviceAllocation.namespaceSelectors[0]", "", []string{"matchLabels"}},
	{"service selector", pool("a", "{addresses: [192.0.2.0/24], serviceAllocation: {serviceSelectors: [{matchLabels: {'-': b}}]}}"), intent.InvalidSelector, intent.Invalid, "IPAddressPool a", "spec.serviceAllocation.serviceSelectors[0]", "", []string{"matchLabels"}},
	{"namespace listed twice", pool("a", "{addresses: [192.0.2.0/24], serviceAllocation: {namespaces: [x, y, x]}}"), intent.DuplicateEntry, intent.Invalid, "IPAddressPool a", "spec.serviceAllocation.namespaces[2]", "x", []string{"remove one"}},
	{"namespace selector listed twice", pool("a", "{addresses: [192.0.2.0/24], serviceAllocation: {namespaceSelectors: [{matchLabels: {a: b}}, {matchLabels: {a: b}}]}}"), intent.DuplicateEntry, intent.Invalid, "IPAddressPool a", "spec.serviceAllocation.namespaceSelectors[1]", "a=b", []string{"remove one"}},
	{"expression listed twice", pool("a", "{addresses: [192.0.2.0/24], serviceAllocation: {serviceSelectors: [{matchExpressions: [{key: a, operator: In, values: [b, c]}, {key: a, operator: In, values: [c, b]}]}]}}"), intent.DuplicateEntry, intent.Invalid, "IPAddressPool a", "spec.serviceAllocation.serviceSelectors[0].matchExpressions[1]", "a", []string{"remove one"}},
	{"value listed twice", pool("a", "{addresses: [192.0.2.0/24], serviceAllocation: {serviceSelectors: [{matchExpressions: [{key: a, operator: In, values: [b, b]}]}]}}"), intent.DuplicateEntry, intent.Invalid, "IPAddressPool a", "spec.serviceAllocation.serviceSelectors[0].matchExpressions[0].values[1]", "b", []string{"remove one"}},
	{"an overlap", somePool + pool("younger", "{addresses: [10.0.0.0/30, 192.0.2.128-192.0.3.7]}"), intent.PoolOverlap, intent.Invalid, "IPAddressPool younger", "spec.addresses[1]", "192.0.2.128-192.0.3.7", []string{"overlaps with already defined CIDR 192.0.2.0/24 of IPAddressPool some", "take the common addresses out"}},
	{"an overlap with itself", pool("a", "{addresses: [192.0.2.0/24, 192.0.2.7/32]}"), intent.PoolOverlap, intent.Invalid, "IPAddressPool a", "spec.addresses[1]", "192.0.2.7/32", []string{"this pool"}},
	{"a node in the pool", somePool + node("n1", "", "192.0.2.7"), intent.PoolHoldsNodeAddress, intent.Warning, "IPAddressPool some", "spec.addresses", "192.0.2.0/24", []string{"holds 192.0.2.7, the address of Node n1", "take it out"}},
	{"two nodes in the pool, one by its other address", somePool + node("n1", "", "10.0.0.1, ExternalIP 192.0.2.8") + node("n2", "", "192.0.2.7"), intent.PoolHoldsNodeAddress, intent.Warning, "IPAddressPool some", "spec.addresses", "192.0.2.0/24", []string{"192.0.2.8, the address of Node n1"}},
	{"Pods in the pool", pool("a", "{addresses: [10.244.0.0/16, 'fd00:1::/64']}") + node("n1", "10.244.1.0/24, 'fd00:1::/72'", "10.0.0.1"), intent.PoolHoldsPodNetwork, intent.Warning, "IPAddressPool a", "spec.addresses", "10.244.0.0/16", []string{"10.244.1.0/24, the network of the Pods of Node n1"}},
	{"the pool in the network of Pods", pool("a", "{addresses: [10.244.1.8/30]}") + node("n1", "10.244.1.0/24", "10.0.0.1"), intent.PoolHoldsPodNetwork, intent.Warning, "IPAddressPool a", "spec.addresses", "10.244.1.8/30", []string{"10.244.1.0/24"}},
	{"ClusterIPs in the pool", pool("a", "{addresses: [10.96.0.0/12]}") + clusterService("b", "10.96.0.9") + clusterService("a", "10.96.0.8"), intent.PoolHoldsClusterIP, intent.Warning, "IPAddressPool a", "spec.addresses", "10.96.0.0/12", []string{"10.96.0.8, the ClusterIP of Service default/a"}},
}

var advertisementRows = []reasonRow{
	{"aggregate of 0 bits", somePool + ad("x", "{aggregationLength: 0}"), intent.InvalidAggregation, intent.Invalid, "BGPAdvertisement x", "spec.aggregationLength", "0", []string{"1 to 32"}},
	{"aggregate of 33 bits", somePool + ad("x", "{aggregationLength: 33}"), intent.InvalidAggregation, intent.Invalid, "BGPAdvertisement x", "spec.aggregationLength", "33", []string{"1 to 32"}},
	{"aggregate of 129 bits", somePool + ad("x", "{aggregationLengthV6: 129}"), intent.InvalidAggregation, intent.Invalid, "BGPAdvertisement x", "spec.aggregationLengthV6", "129", []string{"1 to 128"}},
	{"aggregate for some Services", somePool + ad("x", "{aggregationLengthV6: 64, serviceSelectors: [{}]}"), intent.InvalidAggregation, intent.Invalid, "BGPAdvertisement x", "spec.serviceSelectors", "", []string{"serviceSelectors and aggregationLength are mutually exclusive"}},
	{"aggregate larger than the pool", pool("a", "{addresses: [10.1.0.0/16, 192.0.2.0/28]}") + ad("x", "{aggregationLength: 26}"), intent.InvalidAggregation, intent.Invalid, "BGPAdvertisement x", "spec.aggregationLength", "26", []string{"invalid aggregation length 26: prefix 28 in this pool is more specific than the aggregation length for addresses 192.0.2.0/28", "at least 28"}},
	{"aggregate larger than a range", pool("a", "{addresses: [192.0.2.1-192.0.2.6]}") + ad("x", "{aggregationLength: 30}"), intent.InvalidAggregation, intent.Invalid, "BGPAdvertisement x", "spec.aggregationLength", "30", []string{"write at least 31"}},
	{"aggregate larger than the IPv6 pool", pool("a", `{addresses: ["2001:db8::/120"]}`) + ad("x", "{aggregationLengthV6: 64}"), intent.InvalidAggregation, intent.Invalid, "BGPAdvertisement x", "spec.aggregationLengthV6", "64", []string{"at least 120"}},
	{"node selector", ad("x", "{nodeSelectors: [{matchExpressions: [{key: a, operator: Near}]}]}"), intent.InvalidSelector, intent.Invalid, "BGPAdvertisement x", "spec.nodeSelectors[0]", "", []string{"matchLabels"}},
	{"service selector", ad("x", "{serviceSelectors: [{matchExpressions: [{key: a, operator: Near}]}]}"), intent.InvalidSelector, intent.Invalid, "BGPAdvertisement x", "spec.serviceSelectors[0]", "", []string{"matchLabels"}},
	{"pool selector", ad("x", "{ipAddressPoolSelectors: [{matchExpressions: [{key: a, operator: Near}]}]}"), intent.InvalidSelector, intent.Invalid, "BGPAdvertisement x", "spec.ipAddressPoolSelectors[0]", "", []string{"matchLabels"}},
	{"community out of range", ad("x", `{communities: ["1:2", "65000:70000"]}`), intent.InvalidCommunity, intent.Invalid, "BGPAdvertisement x", "spec.communities[1]", "65000:70000", []string{"invalid community value: invalid section", "0 to 65535"}},
	{"large community without the word", ad("x", `{communities: ["big:1:2:3"]}`), intent.InvalidCommunity, intent.Invalid, "BGPAdvertisement x", "spec.communities[0]", "big:1:2:3", []string{"expected community to be of format large"}},
	{"pool listed twice", somePool + ad("x", "{ipAddressPools: [some, some]}"), intent.DuplicateEntry, intent.Invalid, "BGPAdvertisement x", "spec.ipAddressPools[1]", "some", []string{"remove one"}},
	{"peer listed twice", ad("x", "{peers: [p, q, p]}"), intent.DuplicateEntry, intent.Invalid, "BGPAdvertisement x", "spec.peers[2]", "p", []string{"remove one"}},
	{"community listed twice", ad("x", `{communities: ["1:2", "1:2"]}`), intent.DuplicateEntry, intent.Invalid, "BGPAdvertisement x", "spec.communities[1]", "1:2", []string{"remove one"}},
	{"more communities than FRR reads", ad("x", "{communities: ["+numbered("1:%d", 254)+"]}"), intent.TooManyCommunities, intent.Invalid, "BGPAdvertisement x", "spec.communities", "", []string{"254 communities and 0 large ones", "at most 253"}},
	{"more large communities than FRR reads", ad("x", "{communities: ["+numbered("large:1:1:%d", 254)+"]}"), intent.TooManyCommunities, intent.Invalid, "BGPAdvertisement x", "spec.communities", "", []string{"0 communities and 254 large ones"}},
	{"more communities than a message holds", ad("x", "{communities: ["+numbered("1:%d", 250)+", "+numbered("large:1:1:%d", 250)+"]}"), intent.TooManyCommunities, intent.Invalid, "BGPAdvertisement x", "spec.communities", "", []string{"3900 bytes"}},
	{"unknown pool", somePool + ad("x", "{ipAddressPools: [some, gone]}"), intent.PoolNotFound, intent.Unresolved, "BGPAdvertisement x", "spec.ipAddressPools[1]", "gone", []string{"create it or correct the name"}},
	{"unknown peer", ad("x", "{peers: [gone]}"), intent.PeerNotFound, intent.Unresolved, "BGPAdvertisement x", "spec.peers[0]", "gone", []string{"create it or correct the name"}},
	{"unknown alias", ad("x", "{communities: [gone]}"), intent.CommunityNotFound, intent.Unresolved, "BGPAdvertisement x", "spec.communities[0]", "gone", []string{"invalid community format", "define it"}},
	{"no-advertise", ad("x", `{communities: ["65535:65282"]}`), intent.NoAdvertise, intent.Warning, "BGPAdvertisement x", "spec.communities[0]", "65535:65282", []string{"65535:65281"}},
	{"no-advertise by an alias", community("c", `{communities: [{name: quiet, value: "65535:65282"}]}`) + ad("x", `{communities: [quiet]}`), intent.NoAdvertise, intent.Warning, "BGPAdvertisement x", "spec.communities[0]", "quiet", []string{"65535:65281"}},
	{"said by an older one", ad("x", "{localPref: 7}") + ad("y", "{localPref: 8}") + ad("z", "{localPref: 7}"), intent.DuplicateAdvertisement, intent.Warning, "BGPAdvertisement z", "spec", "", []string{"exactly what BGPAdvertisement x does", "remove one"}},
	{"selector listed twice", ad("x", "{nodeSelectors: [{matchLabels: {a: b}}, {matchExpressions: [{key: a, operator: In, values: [b]}]}, {matchLabels: {a: b}}]}"), intent.DuplicateEntry, intent.Invalid, "BGPAdvertisement x", "spec.nodeSelectors[2]", "a=b", []string{"remove one"}},
	{"service selector listed twice", ad("x", "{serviceSelectors: [{}, {}]}"), intent.DuplicateEntry, intent.Invalid, "BGPAdvertisement x", "spec.serviceSelectors[1]", "{}", []string{"remove one"}},
	{"pool selector listed twice", ad("x", "{ipAddressPoolSelectors: [{}, {matchLabels: {a: b}}, {}]}"), intent.DuplicateEntry, intent.Invalid, "BGPAdvertisement x", "spec.ipAddressPoolSelectors[2]", "{}", []string{"remove one"}},
	{"layer 2: selector listed twice", l2ad("x", "{nodeSelectors: [{matchLabels: {a: b}}, {matchLabels: {a: b}}]}"), intent.DuplicateEntry, intent.Invalid, "L2Advertisement x", "spec.nodeSelectors[1]", "a=b", []string{"remove one"}},
	{"layer 2: unknown pool", l2ad("x", "{ipAddressPools: [gone]}"), intent.PoolNotFound, intent.Unresolved, "L2Advertisement x", "spec.ipAddressPools[0]", "gone", []string{"create it"}},
	{"layer 2: pool listed twice", l2ad("x", "{ipAddressPools: [gone, gone]}"), intent.DuplicateEntry, intent.Invalid, "L2Advertisement x", "spec.ipAddressPools[1]", "gone", []string{"remove one"}},
	{"layer 2: preference", l2ad("x", "{preferredNodeSelectors: [{weight: 1, preference: {matchExpressions: [{key: a, operator: Near}]}}]}"), intent.InvalidSelector, intent.Invalid, "L2Advertisement x", "spec.preferredNodeSelectors[0].preference", "", []string{"matchLabels"}},
}

var otherRows = []reasonRow{
	{"interval", bfd("b", "{receiveInterval: 5}"), intent.InvalidInterval, intent.Invalid, "BFDProfile b", "spec.receiveInterval", "5", []string{"10 to 60000 milliseconds"}},
	{"interval as text", bfd("b", "{transmitInterval: soon}"), intent.InvalidInterval, intent.Invalid, "BFDProfile b", "spec.transmitInterval", "soon", []string{`"300ms"`}},
	{"echo interval", bfd("b", "{echoInterval: 61s}"), intent.InvalidInterval, intent.Invalid, "BFDProfile b", "spec.echoInterval", "61s", []string{"60000"}},
	{"multiplier", bfd("b", "{detectMultiplier: 1}"), intent.InvalidInterval, intent.Invalid, "BFDProfile b", "spec.detectMultiplier", "1", []string{"2 to 255"}},
	{"TTL", bfd("b", "{minimumTtl: 255}"), intent.InvalidInterval, intent.Invalid, "BFDProfile b", "spec.minimumTtl", "255", []string{"1 to 254"}},
	{"alias without a name", community("c", `{communities: [{value: "1:2"}]}`), intent.InvalidCommunity, intent.Invalid, "Community c", "spec.communities[0].name", "", []string{"write the name"}},
	{"alias without a value", community("c", `{communities: [{name: a, value: "1:2"}, {name: b, value: no-export}]}`), intent.InvalidCommunity, intent.Invalid, "Community c", "spec.communities[1].value", "no-export", []string{"write a:b"}},
	{"alias of two objects", community("c", `{communities: [{name: a, value: "1:2"}]}`) + community("d", `{communities: [{name: a, value: "3:4"}]}`), intent.DuplicateCommunity, intent.Invalid, "Community d", "spec.communities[0].name", "a", []string{`duplicate definition of community "a"`, "Community c", "rename"}},
	{"a weight that is too much", weighed("101"), intent.InvalidL2Weight, intent.Warning, "Node n1", "metadata.annotations[metallb.io/l2-weight]", "101", []string{"counts as 0", "from -100 to 100"}},
	{"a weight that is too little", weighed("-101"), intent.InvalidL2Weight, intent.Warning, "Node n1", "metadata.annotations[metallb.io/l2-weight]", "-101", []string{"counts as 0", "from -100 to 100"}},
	{"half a weight", weighed("1.5"), intent.InvalidL2Weight, intent.Warning, "Node n1", "metadata.annotations[metallb.io/l2-weight]", "1.5", []string{"counts as 0", "from -100 to 100"}},
	{"a weight in words", weighed("heavy"), intent.InvalidL2Weight, intent.Warning, "Node n1", "metadata.annotations[metallb.io/l2-weight]", "heavy", []string{"counts as 0", "from -100 to 100"}},
	{"an empty weight", weighed(""), intent.InvalidL2Weight, intent.Warning, "Node n1", "metadata.annotations[metallb.io/l2-weight]", "", []string{"counts as 0", "from -100 to 100"}},
	{"two requests", service("s", ", annotations: {metallb.io/loadBalancerIPs: 192.0.2.1}", ", loadBalancerIP: 192.0.2.2"), intent.InvalidRequest, intent.Invalid, "Service default/s", "metadata.annotations[metallb.io/loadBalancerIPs]", "192.0.2.1", []string{"service can not have both", "keep one"}},
	{"a request that is no address", service("s", "", ", loadBalancerIP: web"), intent.InvalidRequest, intent.Invalid, "Service default/s", "spec.loadBalancerIP", "web", []string{"is no address", "separated by a comma"}},
	{"two of one family", service("s", ", annotations: {metallb.universe.tf/loadBalancerIPs: '192.0.2.1,192.0.2.2'}", ""), intent.InvalidRequest, intent.Invalid, "Service default/s", "metadata.annotations[metallb.universe.tf/loadBalancerIPs]", "192.0.2.1,192.0.2.2", []string{"one of each family"}},
}

func TestFindings(t *testing.T) {
	for _, row := range reasonRows {
		t.Run(string(row.reason)+"/"+row.name, func(t *testing.T) {
			var same []intent.Finding
			for _, f := range resolve(t, row.manifests).Findings {
				if f.Reason == row.reason && f.Object.String() == row.object {
					same = append(same, f)
				}
			}
			if len(same) != 1 {
				t.Fatalf("%d findings %s of %s, want 1; all: %v", len(same), row.reason, row.object, resolve(t, row.manifests).Findings)
			}
			f := same[0]
			if f.Severity != row.severity || f.Field != row.field || f.Value != row.value {
				t.Errorf("%s %s = %q, want %s %s = %q", f.Severity, f.Field, f.Value, row.severity, row.field, row.value)
			}
			for _, words := range row.says {
				if !strings.Contains(f.Message, words) {
					t.Errorf("message does not say %q: %s", words, f.Message)
				}
			}
		})
	}
}

func TestEveryReasonHasARow(t *testing.T) {
	for _, reason := range reasonsIn(t, "reasons.go") {
		if !slices.ContainsFunc(reasonRows, func(r reasonRow) bool { return r.reason == reason }) {
			t.Errorf("no row of reasonRows makes a Finding %s", reason)
		}
	}
}

// What is right makes no Finding: the other half of the table.
func TestNoFindings(t *testing.T) {
	manifests := somePool + pool("v6", `{addresses: ["2001:db8::/64", "2001:db8:1::1 - 2001:db8:1::f"], avoidBuggyIPs: true, autoAssign: false}`) +
		bfd("fast", "{receiveInterval: 10, transmitInterval: 60s, echoInterval: '50ms', detectMultiplier: 2, minimumTtl: 254}") +
		bfd("unused", "{minimumTtl: 1, echoMode: true}") +
		secret("s", secretType, "{password: a}") +
		peer("a", with("holdTime: 0s, bfdProfile: fast, passwordSecret: {name: s, namespace: elsewhere}")) +
		peer("b", "{myASN: 4294967295, dynamicASN: internal, interface: eth0.100, keepaliveTime: 21845s, connectTime: 1s}") +
		peer("c", "{myASN: 64512, peerASN: 65000, peerAddress: '2001:db8::1', sourceAddress: '2001:db8::2', localASN: 65001, ebgpMultiHop: true, routerID: 1.2.3.4, vrf: red, password: "+strings.Repeat("x", 80)+"}") +
		community("names", `{communities: [{name: big, value: "large:4294967295:0:1"}]}`) +
		ad("x", `{aggregationLength: 24, aggregationLengthV6: 126, ipAddressPools: [some], peers: [a, b, c], communities: [big, "65535:65281"], localPref: 4294967295}`) +
		ad("y", `{aggregationLength: 32, aggregationLengthV6: 128, serviceSelectors: [{matchLabels: {a: b}}]}`) +
		l2ad("z", "{interfaces: [eth0], preferredNodeSelectors: [{weight: 100, preference: {}}]}") +
		service("s", ", annotations: {metallb.io/loadBalancerIPs: '192.0.2.9, 2001:db8::9'}", "")
	in := resolve(t, manifests)
	for _, f := range in.Findings {
		t.Errorf("unexpected finding: %s %s", f.Reason, f)
	}
	if len(in.Pools) != 2 || len(in.Peers) != 3 || len(in.BGPAds) != 2 || len(in.L2Ads) != 1 || len(in.BFDProfiles) != 2 || len(in.Services) != 1 {
		t.Errorf("not everything is in force: %+v", in.Config)
	}
}

// All that is wrong with an object is said at once.
func TestFindingsOfOneObject(t *testing.T) {
	in := resolve(t, peer("p", "{myASN: 0, peerAddress: x, routerID: y, holdTime: 1s, bfdProfile: gone}"))
	var got []string
	for _, f := range in.Findings {
		got = append(got, f.Field)
	}
	slices.Sort(got)
	want := []string{"spec.holdTime", "spec.myASN", "spec.peerAddress", "spec.routerID"}
	if !slices.Equal(got, want) {
		t.Errorf("findings of %v, want %v", got, want)
	}
}
