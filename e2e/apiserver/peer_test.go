// SPDX-License-Identifier: Apache-2.0

package apiserver_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
)

// allFields and otherFields are valid specs of a BGPPeer in both versions; together
// they leave none of the fields out that v1beta1 of MetalLB lacks.
const (
	allFields = `{myASN: 1, peerASN: 2, localASN: 3, peerAddress: 192.0.2.1,
	sourceAddress: 192.0.2.2, peerPort: 180, holdTime: 1m30s, keepaliveTime: 30s,
	connectTime: 10s, routerID: 192.0.2.3, nodeSelectors: [{matchExpressions: [{key: a, operator: Exists}]}],
	passwordSecret: {name: s, namespace: other}, bfdProfile: b, enableGracefulRestart: true,
	ebgpMultiHop: true, vrf: red, disableMP: true, dualStackAddressFamily: true}`
	otherFields = `{myASN: 1, peerASN: 0, dynamicASN: internal, peerAddress: "", interface: eth0, password: p, peerPort: 180}`
)

// A BGPPeer written in one version is the same in the other; unset timers stay
// unset in both directions.
func testPeerVersions(t *testing.T, s *server) {
	const least = `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, peerPort: 179}`
	for _, c := range []struct{ name, written, read, spec, want string }{
		{"all-old-new", "v1beta1", "v1beta2", allFields, allFields},
		{"all-new-old", "v1beta2", "v1beta1", allFields, allFields},
		{"others-old-new", "v1beta1", "v1beta2", otherFields, otherFields},
		{"others-new-old", "v1beta2", "v1beta1", otherFields, otherFields},
		{"least-old-new", "v1beta1", "v1beta2", `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1}`, least},
		{"least-new-old", "v1beta2", "v1beta1", `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1}`, least},
		{"dynamic-new-old", "v1beta2", "v1beta1", `{myASN: 1, dynamicASN: external, interface: eth0, peerPort: 179}`,
			`{myASN: 1, dynamicASN: external, interface: eth0, peerPort: 179}`},
	} {
		s.create(t, v1beta1.KindBGPPeer, c.written, c.name, c.spec)
		expect(t, s.get(t, v1beta1.KindBGPPeer, c.read, c.name), "spec", c.want)
	}
}

// A client of v1beta1 that decodes into its type, changes a field and writes the
// object back takes nothing away.
func testUpdateThroughV1beta1(t *testing.T, s *server) {
	s.create(t, v1beta1.KindBGPPeer, "v1beta2", "updated",
		`{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, vrf: red, passwordSecret: {name: s}, connectTime: 10s}`)
	peer := &v1beta1.BGPPeer{}
	convert(t, s.get(t, v1beta1.KindBGPPeer, "v1beta1", "updated"), peer)
	peer.Spec.PeerAddress = "192.0.2.9"
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON([]byte(asJSON(t, peer))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.kind(v1beta1.KindBGPPeer, "v1beta1").Update(t.Context(), object, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(t, s.get(t, v1beta1.KindBGPPeer, "v1beta2", "updated"), "spec",
		`{myASN: 1, peerASN: 2, peerAddress: 192.0.2.9, peerPort: 179, vrf: red, passwordSecret: {name: s}, connectTime: 10s}`)
	newer := &v1beta2.BGPPeer{}
	convert(t, s.get(t, v1beta1.KindBGPPeer, "v1beta2", "updated"), newer)
	if newer.Spec.HoldTime != nil || newer.Spec.KeepaliveTime != nil {
		t.Errorf("unset timers became %v and %v", newer.Spec.HoldTime, newer.Spec.KeepaliveTime)
	}
}

// enableGracefulRestart can be neither changed nor added nor removed; absent is
// false.
func testGracefulRestartIsFixed(t *testing.T, s *server) {
	const fixed = "EnableGracefulRestart cannot be changed after creation"
	for _, c := range []struct{ name, field, patch, refused string }{
		{"set-to-false", `, enableGracefulRestart: true`, `false`, fixed},
		{"set-removed", `, enableGracefulRestart: true`, `null`, fixed},
		{"set-kept", `, enableGracefulRestart: true`, `true`, ""},
		{"false-to-true", `, enableGracefulRestart: false`, `true`, fixed},
		{"false-removed", `, enableGracefulRestart: false`, `null`, ""},
		{"absent-to-true", ``, `true`, fixed},
		{"absent-to-false", ``, `false`, ""},
	} {
		s.create(t, v1beta1.KindBGPPeer, "v1beta2", c.name,
			`{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1`+c.field+`}`)
		for _, version := range []string{"v1beta1", "v1beta2"} {
			patch := `{"spec":{"ebgpMultiHop":true,"enableGracefulRestart":` + c.patch + `}}`
			_, err := s.kind(v1beta1.KindBGPPeer, version).Patch(t.Context(), c.name,
				types.MergePatchType, []byte(patch), metav1.PatchOptions{})
			switch {
			case c.refused == "" && err != nil:
				t.Errorf("%s in %s is refused: %v", c.name, version, err)
			case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
				t.Errorf("%s in %s gives %v, want an error that contains %q", c.name, version, err, c.refused)
			}
		}
	}
}
