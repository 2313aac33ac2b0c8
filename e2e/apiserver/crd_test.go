// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// document is a manifest's spec, as YAML, and what the API server is to say.
type document struct {
	name    string // the situation
	version string // v1beta1 if empty
	kind    string
	spec    string
	refused string // part of the error; empty: accepted
}

const (
	intervalError  = `must be 10 to 60000 milliseconds, written as an integer (300) or a duration ("300ms")`
	exclusiveError = "serviceSelectors and aggregationLength are mutually exclusive"
	asnError       = "should be less than or equal to 4294967295"
)

var documents = []document{
	{"CIDRs and ranges of both families", "", "IPAddressPool",
		`{addresses: [192.0.2.0/24, 198.51.100.1-198.51.100.9, "2001:db8::/64"]}`, ""},
	{"everything", "", "IPAddressPool", `{addresses: [192.0.2.0/24], autoAssign: false, avoidBuggyIPs: true,
		serviceAllocation: {priority: 50, namespaces: [a], namespaceSelectors: [{matchLabels: {a: b}}],
		serviceSelectors: [{matchExpressions: [{key: a, operator: Exists}]}]}}`, ""},
	{"no addresses", "", "IPAddressPool", `{autoAssign: true}`, "spec.addresses: Required value"},
	{"no spec", "", "IPAddressPool", ``, "spec: Required value"},
	{"an unknown field", "", "IPAddressPool", `{addresses: [], protocol: bgp}`, `unknown field "spec.protocol"`},
	{"empty addresses", "", "IPAddressPool", `{addresses: []}`, "spec.addresses: Invalid value: is empty; write at least one CIDR"},
	{"blanks", "", "IPAddressPool", `{addresses: ["192.0.2.1  -  192.0.2.9", " 198.51.100.7/24 ", "2001:DB8::1 - 2001:db8::ffff", "::/0", "0.0.0.0/0"]}`, ""},
	{"the longest addresses", "", "IPAddressPool", `{addresses: ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe - ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 255.255.255.255/32, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"]}`, ""},
	{"a bare address", "", "IPAddressPool", `{addresses: [192.0.2.0/24, 192.0.2.1]}`, "spec.addresses[1]: Invalid value: \"192.0.2.1\": is not a CIDR; write a CIDR"},
	{"an octet over 255", "", "IPAddressPool", `{addresses: [192.0.2.300/32]}`, "holds a number over 255"},
	{"an octet over 255 in a range", "", "IPAddressPool", `{addresses: [192.0.2.1 - 192.0.2.256]}`, "holds a number over 255"},
	{"all octets", "", "IPAddressPool", `{addresses: [` + octets() + `]}`, ""},
	{"a prefix over 32 bits", "", "IPAddressPool", `{addresses: [192.0.2.0/33]}`, "is not a CIDR"},
	{"a prefix over 128 bits", "", "IPAddressPool", `{addresses: ["2001:db8::/129"]}`, "is not a CIDR"},
	{"a word", "", "IPAddressPool", `{addresses: [all]}`, "is not a CIDR"},
	{"half a range", "", "IPAddressPool", `{addresses: [192.0.2.1-9]}`, "is not a range of addresses; write a CIDR"},
	{"a range of words", "", "IPAddressPool", `{addresses: [first-last]}`, "is not a range of addresses"},
	{"4096 addresses", "", "IPAddressPool", `{addresses: [` + many(4096) + `]}`, ""},
	{"4096 of the longest ranges", "", "IPAddressPool", `{addresses: [` + strings.Repeat(`"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe          -          ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", `, 4096) + `]}`, ""},
	{"4097 addresses", "", "IPAddressPool", `{addresses: [` + many(4097) + `]}`, "must have at most 4096 items"},

	{"no spec", "", "L2Advertisement", ``, ""},
	{"everything", "", "L2Advertisement", `{ipAddressPools: [a], ipAddressPoolSelectors: [{}], nodeSelectors: [{}],
		interfaces: [eth0], serviceSelectors: [{}], preferredNodeSelectors: [{weight: 100, preference: {}}]}`, ""},
	{"weight 0", "", "L2Advertisement", `{preferredNodeSelectors: [{weight: 0, preference: {}}]}`,
		"should be greater than or equal to 1"},
	{"weight 101", "", "L2Advertisement", `{preferredNodeSelectors: [{weight: 101, preference: {}}]}`,
		"should be less than or equal to 100"},
	{"no weight", "", "L2Advertisement", `{preferredNodeSelectors: [{preference: {}}]}`, "weight: Required value"},
	{"no preference", "", "L2Advertisement", `{preferredNodeSelectors: [{weight: 1}]}`, "preference: Required value"},

	{"no spec", "", "BGPAdvertisement", ``, ""},
	{"everything", "", "BGPAdvertisement", `{aggregationLength: 24, aggregationLengthV6: 64, localPref: 4294967295,
		communities: ["65000:1", "large:1:2:3", no-export], ipAddressPools: [a], ipAddressPoolSelectors: [{}],
		nodeSelectors: [{}], peers: [tor1]}`, ""},
	{"communities at their limits", "", "BGPAdvertisement", `{communities: ["0:0", "65535:65535", "65000:09", "large:0:0:0", "large:4294967295:4294967295:4294967295", an-alias, "65535:65282"]}`, ""},
	{"512 of the longest communities", "", "BGPAdvertisement", `{communities: [` + strings.Repeat(strings.Repeat("a", 512)+", ", 512) + `]}`, ""},
	{"community over 65535", "", "BGPAdvertisement", `{communities: ["1:2", "65000:65536"]}`, "spec.communities[1]: Invalid value: \"65000:65536\": invalid community value: invalid section"},
	{"community of words", "", "BGPAdvertisement", `{communities: ["no:export"]}`, "invalid community value: invalid section"},
	{"large community over 32 bits", "", "BGPAdvertisement", `{communities: ["large:1:2:4294967296"]}`, "invalid community value: invalid section"},
	{"large community without the word", "", "BGPAdvertisement", `{communities: ["1:2:3:4"]}`, "expected community to be of format large"},
	{"community of three parts", "", "BGPAdvertisement", `{communities: ["1:2:3"]}`, "invalid community format"},
	{"aggregationLength 0", "", "BGPAdvertisement", `{aggregationLength: 0}`, "should be greater than or equal to 1"},
	{"aggregationLength 33", "", "BGPAdvertisement", `{aggregationLength: 33}`, "should be less than or equal to 32"},
	{"aggregationLengthV6 129", "", "BGPAdvertisement", `{aggregationLengthV6: 129}`, "should be less than or equal to 128"},
	{"localPref over 32 bits", "", "BGPAdvertisement", `{localPref: 4294967296}`, asnError},
	{"localPref negative", "", "BGPAdvertisement", `{localPref: -1}`, "should be greater than or equal to 0"},
	{"serviceSelectors", "", "BGPAdvertisement", `{serviceSelectors: [{}]}`, ""},
	{"serviceSelectors and host routes", "", "BGPAdvertisement",
		`{serviceSelectors: [{}], aggregationLength: 32, aggregationLengthV6: 128}`, ""},
	{"serviceSelectors and aggregation", "", "BGPAdvertisement",
		`{serviceSelectors: [{}], aggregationLength: 24}`, exclusiveError},
	{"serviceSelectors and IPv6 aggregation", "", "BGPAdvertisement",
		`{serviceSelectors: [{}], aggregationLengthV6: 64}`, exclusiveError},
	{"empty serviceSelectors and aggregation", "", "BGPAdvertisement",
		`{serviceSelectors: [], aggregationLength: 24}`, ""},

	{"least", "v1beta2", "BGPPeer", `{myASN: 64500, peerASN: 64501, peerAddress: 192.0.2.1}`, ""},
	{"myASN 0", "v1beta2", "BGPPeer", good("myASN: 0"), "spec.myASN: Invalid value: 0: 0 is reserved"},
	{"no AS of the router", "v1beta2", "BGPPeer", `{myASN: 1, peerAddress: 192.0.2.1}`, "peerASN is missing"},
	{"peerASN 0", "v1beta2", "BGPPeer", good("peerASN: 0"), "peerASN is missing"},
	{"peerASN 0 and dynamicASN", "v1beta2", "BGPPeer", good("peerASN: 0, dynamicASN: internal"), ""},
	{"two AS of the router", "v1beta2", "BGPPeer", good("dynamicASN: external"), "peerASN and dynamicASN exclude each other"},
	{"no neighbour", "v1beta2", "BGPPeer", `{myASN: 1, peerASN: 2}`, "invalid BGPPeer address: missing"},
	{"two neighbours", "v1beta2", "BGPPeer", good("interface: eth0"), "peerAddress and interface exclude each other"},
	{"peerAddress of a word", "v1beta2", "BGPPeer", good("peerAddress: tor1"), "spec.peerAddress: Invalid value: \"tor1\": invalid BGPPeer address"},
	{"peerAddress with an octet over 255", "v1beta2", "BGPPeer", good("peerAddress: 192.0.2.256"), "invalid BGPPeer address"},
	{"peerAddress with a zone", "v1beta2", "BGPPeer", good(`peerAddress: "fe80::1%eth0"`), "invalid BGPPeer address"},
	{"peerAddress with a prefix length", "v1beta2", "BGPPeer", good("peerAddress: 192.0.2.1/32"), "invalid BGPPeer address"},
	{"peerAddress of IPv6", "v1beta2", "BGPPeer", good(`peerAddress: "2001:DB8::1", sourceAddress: "::ffff:192.0.2.1", routerID: "2001:db8::1"`), ""},
	{"empty texts", "v1beta2", "BGPPeer", good(`interface: "", sourceAddress: "", routerID: "", password: "", passwordSecret: {}, bfdProfile: ""`), ""},
	{"sourceAddress of a word", "v1beta2", "BGPPeer", good("sourceAddress: eth0"), "spec.sourceAddress: Invalid value: \"eth0\": write an address of the node"},
	{"routerID of a number", "v1beta2", "BGPPeer", good(`routerID: "1"`), "spec.routerID: Invalid value: \"1\": write it as an IPv4 address"},
	{"multihop to the own AS", "v1beta2", "BGPPeer", good("peerASN: 1, ebgpMultiHop: true"), "ebgpMultiHop is for eBGP"},
	{"multihop to another AS", "v1beta2", "BGPPeer", good("ebgpMultiHop: true"), ""},
	{"no multihop to the own AS", "v1beta2", "BGPPeer", good("peerASN: 1, ebgpMultiHop: false"), ""},
	{"multihop to any AS", "v1beta2", "BGPPeer", `{myASN: 1, dynamicASN: internal, peerAddress: 192.0.2.1, ebgpMultiHop: true}`, ""},
	{"password and secret", "v1beta2", "BGPPeer", good("password: s3cret, passwordSecret: {name: s}"), "spec: Invalid value: password and passwordSecret exclude each other"},
	{"password and a secret without a name", "v1beta2", "BGPPeer", good("password: a, passwordSecret: {namespace: s}"), ""},
	{"holdTime 2s", "v1beta2", "BGPPeer", good("holdTime: 2s"), "spec.holdTime: Invalid value: \"2s\": must be 0s (never expires), or 3s"},
	{"holdTime 2999ms", "v1beta2", "BGPPeer", good("holdTime: 2999ms"), "must be 0s (never expires), or 3s"},
	{"holdTime 3s", "v1beta2", "BGPPeer", good("holdTime: 3s"), ""},
	{"keepaliveTime over holdTime", "v1beta2", "BGPPeer", good("holdTime: 1m, keepaliveTime: 61s"), "keepaliveTime must be at most holdTime"},
	{"keepaliveTime is holdTime", "v1beta2", "BGPPeer", good("holdTime: 1m, keepaliveTime: 60s"), ""},
	{"everything", "v1beta2", "BGPPeer", `{myASN: 4294967295, peerASN: 4294967294, localASN: 4294967295,
		peerAddress: 192.0.2.1, sourceAddress: 192.0.2.2, peerPort: 16384, holdTime: 1m30s, keepaliveTime: 30s,
		connectTime: 10s, routerID: 192.0.2.3, nodeSelectors: [{matchExpressions: [{key: a, operator: Exists}]}],
		passwordSecret: {name: s, namespace: other}, bfdProfile: b, enableGracefulRestart: true,
		ebgpMultiHop: true, vrf: red, disableMP: true, dualStackAddressFamily: true}`, ""},
	{"unnumbered, any AS", "v1beta2", "BGPPeer", `{myASN: 1, dynamicASN: external, interface: eth0}`, ""},
	{"no myASN", "v1beta2", "BGPPeer", `{peerASN: 64501}`, "spec.myASN: Required value"},
	{"no spec", "v1beta2", "BGPPeer", ``, "spec: Required value"},
	{"myASN over 32 bits", "v1beta2", "BGPPeer", `{myASN: 4294967296}`, asnError},
	{"peerASN over 32 bits", "v1beta2", "BGPPeer", `{myASN: 1, peerASN: 4294967296}`, asnError},
	{"localASN 0", "v1beta2", "BGPPeer", good("localASN: 0"), "should be greater than or equal to 1"},
	{"dynamicASN of another word", "v1beta2", "BGPPeer", `{myASN: 1, dynamicASN: any}`,
		`supported values: "internal", "external"`},
	{"peerPort 0", "v1beta2", "BGPPeer", good("peerPort: 0"), "should be greater than or equal to 1"},
	{"peerPort 16385", "v1beta2", "BGPPeer", good("peerPort: 16385"), "should be less than or equal to 16384"},
	{"timers off", "v1beta2", "BGPPeer", good(`holdTime: 0s, keepaliveTime: "0"`), ""},
	{"longest timers", "v1beta2", "BGPPeer", good("holdTime: 65535s, keepaliveTime: 65535s, connectTime: 65535s"), ""},
	{"holdTime without unit", "v1beta2", "BGPPeer", good(`holdTime: "90"`), "must be a duration of 0s to 65535s, such as 90s"},
	{"holdTime an integer", "v1beta2", "BGPPeer", good("holdTime: 90"), "must be of type string"},
	{"holdTime too long", "v1beta2", "BGPPeer", good("holdTime: 65536s"), "must be a duration of 0s to 65535s, such as 90s"},
	{"holdTime beyond int64", "v1beta2", "BGPPeer", good("holdTime: 9999999999h"), "spec.holdTime: Invalid value"},
	{"keepaliveTime negative", "v1beta2", "BGPPeer", good("keepaliveTime: -1s"), "must be a duration of 0s to 65535s, such as 30s"},
	{"connectTime 0s", "v1beta2", "BGPPeer", good("connectTime: 0s"), "connect time must be a duration of 1s to 65535s"},
	{"connectTime too long", "v1beta2", "BGPPeer", good("connectTime: 65536s"), "connect time must be a duration of 1s to 65535s"},
	{"connectTime in half seconds", "v1beta2", "BGPPeer", good("connectTime: 1500ms"), "connect time must be whole seconds"},
	{"connectTime in whole seconds of ms", "v1beta2", "BGPPeer", good("connectTime: 2000ms"), ""},
	{"connectTime a microsecond over", "v1beta2", "BGPPeer", good("connectTime: 2s1us"), "connect time must be whole seconds"},
	{"connectTime in half minutes", "v1beta2", "BGPPeer", good("connectTime: 1.5m"), ""},

	{"least", "v1beta1", "BGPPeer", `{myASN: 64500, peerASN: 64501, peerAddress: 192.0.2.1}`, ""},
	{"fields of v1beta2", "v1beta1", "BGPPeer", `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, vrf: red, localASN: 3,
		connectTime: 10s, passwordSecret: {name: s}, nodeSelectors: [{matchExpressions: [{key: a, operator: Exists}]}]}`, ""},
	{"any AS", "v1beta1", "BGPPeer", `{myASN: 1, peerASN: 0, dynamicASN: external, peerAddress: 192.0.2.1}`, ""},
	{"two neighbours", "v1beta1", "BGPPeer", `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, interface: eth0}`, "peerAddress and interface exclude each other"},
	{"peerAddress of a word", "v1beta1", "BGPPeer", `{myASN: 1, peerASN: 2, peerAddress: tor1}`, "invalid BGPPeer address"},
	{"no myASN", "v1beta1", "BGPPeer", `{peerASN: 1, peerAddress: 192.0.2.1}`, "spec.myASN: Required value"},
	{"no peerASN", "v1beta1", "BGPPeer", `{myASN: 1, peerAddress: 192.0.2.1}`, "spec.peerASN: Required value"},
	{"no peerAddress", "v1beta1", "BGPPeer", `{myASN: 1, peerASN: 2}`, "spec.peerAddress: Required value"},
	{"holdTime of no duration", "v1beta1", "BGPPeer",
		`{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: abc}`, "must be a duration of 0s to 65535s"},

	{"no spec", "", "BFDProfile", ``, ""},
	{"integers", "", "BFDProfile", `{receiveInterval: 10, transmitInterval: 300, echoInterval: 60000}`, ""},
	{"durations", "", "BFDProfile", `{receiveInterval: 10ms, transmitInterval: 300ms, echoInterval: 1m}`, ""},
	{"other durations", "", "BFDProfile", `{receiveInterval: 0.25s, transmitInterval: 1s500ms, echoInterval: 60s}`, ""},
	{"everything", "", "BFDProfile", `{receiveInterval: 300, transmitInterval: 300ms, detectMultiplier: 3,
		echoInterval: 50, echoMode: true, passiveMode: true, minimumTtl: 254}`, ""},
	{"9", "", "BFDProfile", `{receiveInterval: 9}`, intervalError},
	{"61000", "", "BFDProfile", `{transmitInterval: 61000}`, intervalError},
	{"negative", "", "BFDProfile", `{echoInterval: -300}`, intervalError},
	{"5ms", "", "BFDProfile", `{receiveInterval: 5ms}`, intervalError},
	{"61s", "", "BFDProfile", `{transmitInterval: 61s}`, intervalError},
	{"half a millisecond", "", "BFDProfile", `{transmitInterval: 300.5ms}`, intervalError},
	{"microseconds", "", "BFDProfile", `{transmitInterval: 300000us}`, intervalError},
	{"abc", "", "BFDProfile", `{echoInterval: abc}`, intervalError},
	{"empty", "", "BFDProfile", `{echoInterval: ""}`, intervalError},
	{"a quoted integer", "", "BFDProfile", `{receiveInterval: "300"}`, intervalError},
	{"a duration beyond int64", "", "BFDProfile", `{receiveInterval: 99999999999999999999m}`, "spec.receiveInterval: Invalid value"},
	{"a very long duration", "", "BFDProfile", `{receiveInterval: ` + strings.Repeat("9", 100) + `ms}`, intervalError},
	{"a fraction", "", "BFDProfile", `{receiveInterval: 300.5}`, "spec.receiveInterval"},
	{"a truth value", "", "BFDProfile", `{receiveInterval: true}`, "spec.receiveInterval"},
	{"detectMultiplier 1", "", "BFDProfile", `{detectMultiplier: 1}`, "should be greater than or equal to 2"},
	{"detectMultiplier 256", "", "BFDProfile", `{detectMultiplier: 256}`, "should be less than or equal to 255"},
	{"minimumTtl 0", "", "BFDProfile", `{minimumTtl: 0}`, "should be greater than or equal to 1"},
	{"minimumTtl 255", "", "BFDProfile", `{minimumTtl: 255}`, "should be less than or equal to 254"},

	{"no spec", "", "Community", ``, ""},
	{"standard and large", "", "Community",
		`{communities: [{name: a, value: "65000:100"}, {name: b, value: "large:1:2:3"}]}`, ""},
	{"a community over 65535", "", "Community", `{communities: [{name: a, value: "65536:1"}]}`, "spec.communities[0].value: Invalid value: \"65536:1\": invalid community value: invalid section"},
	{"a large community without the word", "", "Community", `{communities: [{name: a, value: "1:2:3:4"}]}`, "expected community to be of format large"},
	{"a well-known name", "", "Community", `{communities: [{name: a, value: no-export}]}`, "invalid community format"},
	{"an empty value", "", "Community", `{communities: [{name: a, value: ""}]}`, "invalid community format"},
	{"a number for a value", "", "Community", `{communities: [{name: a, value: 65000}]}`, "must be of type string"},
}

// good is a valid BGPPeer's spec with more fields, or other ones.
func good(fields string) string {
	spec := "{"
	for _, field := range []string{"myASN: 1", "peerASN: 2", "peerAddress: 192.0.2.1"} {
		if name, _, _ := strings.Cut(field, ":"); !strings.Contains(", "+fields, ", "+name+":") {
			spec += field + ", "
		}
	}
	return spec + fields + "}"
}

// octets are addresses with each number that a part of one can be, at both ends.
func octets() string {
	var list []string
	for i := range 256 {
		list = append(list, fmt.Sprintf("%d.0.2.%d/32", i, i), fmt.Sprintf("%[1]d.%[1]d.0.%[1]d-%[1]d.%[1]d.1.%[1]d", i))
	}
	return strings.Join(list, ", ")
}

// many are n addresses.
func many(n int) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf("10.0.%d.%d/32", i/256, i%256))
	}
	return strings.Join(list, ", ")
}

// Each document is accepted, or refused with the text that says why.
func testDocuments(t *testing.T, s *server) {
	for _, d := range documents {
		t.Run(d.kind+d.version+": "+d.name, func(t *testing.T) {
			object := manifest(t, d.kind, d.version, "document", d.spec)
			_, err := s.kind(d.kind, d.version).Create(t.Context(), object, metav1.CreateOptions{
				DryRun:          []string{metav1.DryRunAll},
				FieldValidation: metav1.FieldValidationStrict,
			})
			switch {
			case d.refused == "" && err != nil:
				t.Errorf("refused: %v", err)
			case d.refused != "" && err == nil:
				t.Errorf("accepted, want an error that contains %q", d.refused)
			case d.refused != "" && !strings.Contains(err.Error(), d.refused):
				t.Errorf("refused with %q, want it to contain %q", err, d.refused)
			}
		})
	}
}
