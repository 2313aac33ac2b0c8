// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
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

	{"least", "v1beta2", "BGPPeer", `{myASN: 64500}`, ""},
	{"everything", "v1beta2", "BGPPeer", `{myASN: 4294967295, peerASN: 4294967295, localASN: 4294967295,
		peerAddress: 192.0.2.1, sourceAddress: 192.0.2.2, peerPort: 16384, holdTime: 1m30s, keepaliveTime: 30s,
		connectTime: 10s, routerID: 192.0.2.3, nodeSelectors: [{matchExpressions: [{key: a, operator: Exists}]}],
		password: p, passwordSecret: {name: s, namespace: other}, bfdProfile: b, enableGracefulRestart: true,
		ebgpMultiHop: true, vrf: red, disableMP: true, dualStackAddressFamily: true}`, ""},
	{"unnumbered, any AS", "v1beta2", "BGPPeer", `{myASN: 1, dynamicASN: external, interface: eth0}`, ""},
	{"no myASN", "v1beta2", "BGPPeer", `{peerASN: 64501}`, "spec.myASN: Required value"},
	{"no spec", "v1beta2", "BGPPeer", ``, "spec: Required value"},
	{"myASN over 32 bits", "v1beta2", "BGPPeer", `{myASN: 4294967296}`, asnError},
	{"peerASN over 32 bits", "v1beta2", "BGPPeer", `{myASN: 1, peerASN: 4294967296}`, asnError},
	{"localASN 0", "v1beta2", "BGPPeer", `{myASN: 1, localASN: 0}`, "should be greater than or equal to 1"},
	{"dynamicASN of another word", "v1beta2", "BGPPeer", `{myASN: 1, dynamicASN: any}`,
		`supported values: "internal", "external"`},
	{"peerPort 0", "v1beta2", "BGPPeer", `{myASN: 1, peerPort: 0}`, "should be greater than or equal to 1"},
	{"peerPort 16385", "v1beta2", "BGPPeer", `{myASN: 1, peerPort: 16385}`, "should be less than or equal to 16384"},
	{"timers off", "v1beta2", "BGPPeer", `{myASN: 1, holdTime: 0s, keepaliveTime: "0"}`, ""},
	{"longest timers", "v1beta2", "BGPPeer", `{myASN: 1, holdTime: 65535s, keepaliveTime: 65535s, connectTime: 65535s}`, ""},
	{"holdTime without unit", "v1beta2", "BGPPeer", `{myASN: 1, holdTime: "90"}`, "must be a duration of 0s to 65535s, such as 90s"},
	{"holdTime an integer", "v1beta2", "BGPPeer", `{myASN: 1, holdTime: 90}`, "must be of type string"},
	{"holdTime too long", "v1beta2", "BGPPeer", `{myASN: 1, holdTime: 65536s}`, "must be a duration of 0s to 65535s, such as 90s"},
	{"holdTime beyond int64", "v1beta2", "BGPPeer", `{myASN: 1, holdTime: 9999999999h}`, "spec.holdTime: Invalid value"},
	{"keepaliveTime negative", "v1beta2", "BGPPeer", `{myASN: 1, keepaliveTime: -1s}`, "must be a duration of 0s to 65535s, such as 30s"},
	{"connectTime 0s", "v1beta2", "BGPPeer", `{myASN: 1, connectTime: 0s}`, "connect time must be a duration of 1s to 65535s"},
	{"connectTime too long", "v1beta2", "BGPPeer", `{myASN: 1, connectTime: 65536s}`, "connect time must be a duration of 1s to 65535s"},
	{"connectTime in half seconds", "v1beta2", "BGPPeer", `{myASN: 1, connectTime: 1500ms}`, "connect time must be whole seconds"},
	{"connectTime in whole seconds of ms", "v1beta2", "BGPPeer", `{myASN: 1, connectTime: 2000ms}`, ""},
	{"connectTime a microsecond over", "v1beta2", "BGPPeer", `{myASN: 1, connectTime: 2s1us}`, "connect time must be whole seconds"},
	{"connectTime in half minutes", "v1beta2", "BGPPeer", `{myASN: 1, connectTime: 1.5m}`, ""},

	{"least", "v1beta1", "BGPPeer", `{myASN: 64500, peerASN: 64501, peerAddress: 192.0.2.1}`, ""},
	{"fields of v1beta2", "v1beta1", "BGPPeer", `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, vrf: red, localASN: 3,
		connectTime: 10s, passwordSecret: {name: s}, nodeSelectors: [{matchExpressions: [{key: a, operator: Exists}]}]}`, ""},
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
	{"a number for a value", "", "Community", `{communities: [{name: a, value: 65000}]}`, "must be of type string"},
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
