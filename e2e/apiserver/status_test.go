// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

const (
	accepted = `{type: Accepted, status: "True", reason: Valid, message: "", lastTransitionTime: "2026-01-02T03:04:05Z"}`
	ready    = `{type: Ready, status: "True", reason: InForce, message: "", lastTransitionTime: "2026-01-02T03:04:05Z"}`
)

// specs are one accepted spec of each user-written kind.
var specs = map[string]string{
	v1beta1.KindIPAddressPool:    `{addresses: [192.0.2.0/24]}`,
	v1beta1.KindL2Advertisement:  `{interfaces: [eth0]}`,
	v1beta1.KindBGPAdvertisement: `{peers: [tor1]}`,
	v1beta1.KindBGPPeer:          `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1}`,
	v1beta1.KindBFDProfile:       `{detectMultiplier: 3}`,
	v1beta1.KindCommunity:        `{communities: [{name: a, value: "1:2"}]}`,
}

// Every user-written kind keeps conditions and the last accepted spec, whatever
// that holds; status and spec are written apart from each other.
func testStatusOfUserKinds(t *testing.T, s *server) {
	for kind, spec := range specs {
		object := manifest(t, kind, "v1beta1", "status", spec)
		object.Object["status"] = value(t, `{conditions: [`+ready+`]}`)
		created, err := s.kind(kind, "").Create(t.Context(), object, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, created, "status", "")
		const last = `{generation: 7, spec: {fieldOfAnotherRelease: [{a: {b: 1}}], addresses: [192.0.2.0/28]}}`
		got, err := s.applyStatus(t, kind, "status", "controller",
			`{conditions: [`+accepted+`, `+ready+`], lastAccepted: `+last+`}`)
		if err != nil {
			t.Fatalf("writing the status of a %s: %v", kind, err)
		}
		expect(t, got, "status.conditions", `[`+accepted+`, `+ready+`]`)
		expect(t, got, "status.lastAccepted", last)
		if got.GetGeneration() != created.GetGeneration() {
			t.Errorf("%s: writing the status changed the generation from %d to %d",
				kind, created.GetGeneration(), got.GetGeneration())
		}
		s.kubectl(t, "wait", "--for=condition=Ready", "--timeout=10s", plurals[kind]+"/status")

		patch := []byte(`{"spec":null,"status":{"conditions":[]},"metadata":{"labels":{"a":"b"}}}`)
		if kind == v1beta1.KindIPAddressPool || kind == v1beta1.KindBGPPeer { // spec is required
			patch = []byte(`{"status":{"conditions":[]},"metadata":{"labels":{"a":"b"}}}`)
		}
		got, err = s.kind(kind, "").Patch(t.Context(), "status", types.MergePatchType, patch, metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, got, "status.conditions", `[`+accepted+`, `+ready+`]`)
	}
}

// Counters and conditions of a pool can be applied by different owners, one type
// of condition by each.
func testStatusByTwoWriters(t *testing.T, s *server) {
	const kind = v1beta1.KindIPAddressPool
	s.create(t, kind, "", "writers", `{addresses: [192.0.2.0/24]}`)
	for owner, status := range map[string]string{
		"counters": `{assignedIPv4: 0, assignedIPv6: 0, availableIPv4: 256, availableIPv6: 9223372036854775807}`,
		"accepted": `{conditions: [` + accepted + `]}`,
		"ready":    `{conditions: [` + ready + `]}`,
	} {
		if _, err := s.applyStatus(t, kind, "writers", owner, status); err != nil {
			t.Fatal(err)
		}
	}
	got := s.get(t, kind, "", "writers")
	expect(t, got, "status.assignedIPv4", "0")
	expect(t, got, "status.availableIPv6", "9223372036854775807")
	pool := &v1beta1.IPAddressPool{}
	convert(t, got, pool)
	if len(pool.Status.Conditions) != 2 || pool.Status.AvailableIPv4 != 256 {
		t.Errorf("the status is %+v, want two conditions and 256 available", pool.Status)
	}
	_, err := s.applyStatus(t, kind, "writers", "ready", `{conditions: [{type: Ready}]}`)
	if err == nil || !strings.Contains(err.Error(), "lastTransitionTime: Required value") {
		t.Errorf("a condition that is only a type gives %v", err)
	}
}

// The kinds that speakers and the controller write keep their statuses, and who
// a ServiceL2Status or ServiceBGPStatus is about cannot be changed.
func testStatusKinds(t *testing.T, s *server) {
	const who = `node: n1, serviceName: web, serviceNamespace: default`
	for kind, status := range map[string]string{
		v1beta1.KindServiceL2Status:  `{` + who + `, interfaces: [{name: eth0}]}`,
		v1beta1.KindServiceBGPStatus: `{` + who + `, peers: [tor1, tor2]}`,
		v1beta1.KindConfigurationState: `{result: Invalid, errorSummary: text, conditions: [` + accepted + `],
			refused: [{line: " neighbor x", message: "% Malformed", objects: [{kind: BGPPeer, name: tor1}]}],
			sessions: [{peer: tor1, address: 192.0.2.1, vrf: red, state: Established, since: "2026-01-02T03:04:05Z", reason: "", bfd: up},
				{peer: tor2, state: Down, reason: Hold Timer Expired}],
			links: [{name: eth0, mac: "02:00:00:00:00:01", prefixes: [192.0.2.1/24]}]}`,
	} {
		s.create(t, kind, "", "status", "")
		got, err := s.applyStatus(t, kind, "status", "speaker", status)
		if err != nil {
			t.Fatalf("writing the status of a %s: %v", kind, err)
		}
		expect(t, got, "status", status)
	}
	for _, kind := range []string{v1beta1.KindServiceL2Status, v1beta1.KindServiceBGPStatus} {
		for _, field := range []string{"node", "serviceName", "serviceNamespace"} {
			_, err := s.kind(kind, "").Patch(t.Context(), "status", types.MergePatchType,
				[]byte(`{"status":{"`+field+`":"other"}}`), metav1.PatchOptions{}, "status")
			if err == nil || !strings.Contains(err.Error(), "Value is immutable") {
				t.Errorf("changing %s of a %s gives %v, want Value is immutable", field, kind, err)
			}
		}
	}
	for status, refused := range map[string]string{
		`{result: Good}`:                     `supported values: "Valid", "Invalid", "Unknown"`,
		`{sessions: [{peer: a, state: Up}]}`: `supported values: "Established", "Down"`,
	} {
		_, err := s.applyStatus(t, v1beta1.KindConfigurationState, "status", "speaker", status)
		if err == nil || !strings.Contains(err.Error(), refused) {
			t.Errorf("%s gives %v, want an error that contains %q", status, err, refused)
		}
	}
}

// kubectl get prints the columns of MetalLB in their order, then ours.
func testColumns(t *testing.T, s *server) {
	for kind, want := range map[string]string{
		v1beta1.KindIPAddressPool:      "NAME AUTO ASSIGN AVOID BUGGY IPS ADDRESSES READY AGE",
		v1beta1.KindL2Advertisement:    "NAME IPADDRESSPOOLS IPADDRESSPOOL SELECTORS INTERFACES READY AGE",
		v1beta1.KindBGPAdvertisement:   "NAME IPADDRESSPOOLS IPADDRESSPOOL SELECTORS PEERS READY AGE",
		v1beta1.KindBGPPeer:            "NAME ADDRESS ASN BFD PROFILE MULTI HOPS ESTABLISHED READY AGE",
		v1beta1.KindBFDProfile:         "NAME PASSIVE MODE TRANSMIT INTERVAL RECEIVE INTERVAL MULTIPLIER READY AGE",
		v1beta1.KindCommunity:          "NAME READY AGE",
		v1beta1.KindServiceL2Status:    "NAME ALLOCATED NODE SERVICE NAME SERVICE NAMESPACE",
		v1beta1.KindServiceBGPStatus:   "NAME NODE SERVICE NAME SERVICE NAMESPACE",
		v1beta1.KindConfigurationState: "NAME RESULT ERRORSUMMARY AGE",
	} {
		spec := specs[kind]
		s.create(t, kind, "", "columns", spec)
		output := s.kubectl(t, "get", plurals[kind])
		header, _, _ := strings.Cut(output, "\n")
		if got := strings.Join(strings.Fields(header), " "); got != want {
			t.Errorf("kubectl get %s prints the columns\n%s, want\n%s", plurals[kind], got, want)
		}
	}
	s.create(t, v1beta1.KindBFDProfile, "", "printed", `{transmitInterval: 250ms, receiveInterval: 333, detectMultiplier: 5, passiveMode: true}`)
	output := s.kubectl(t, "get", "bfdprofile", "printed", "--no-headers")
	if got := strings.Fields(output); len(got) < 5 || strings.Join(got[:5], " ") != "printed true 250ms 333 5" {
		t.Errorf("kubectl get bfdprofile prints %q", output)
	}
}

// kubectl explain has a text for every field of every kind.
func testExplain(t *testing.T, s *server) {
	for kind, plural := range plurals {
		output := s.kubectl(t, "explain", plural, "--recursive=false")
		if strings.Contains(output, "<empty>") || !strings.Contains(output, "DESCRIPTION:") {
			t.Errorf("kubectl explain %s prints\n%s", plural, output)
		}
		for _, field := range []string{"spec", "status"} {
			if kind == v1beta1.KindConfigurationState && field == "spec" {
				continue
			}
			output := s.kubectl(t, "explain", plural+"."+field)
			if strings.Contains(output, "<no description>") {
				t.Errorf("kubectl explain %s.%s prints\n%s", plural, field, output)
			}
		}
	}
}
