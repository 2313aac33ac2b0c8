// SPDX-License-Identifier: Apache-2.0

package v1beta2

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// The API server does not convert BGPPeers, so both versions must have the same
// fields with the same JSON types.
func TestVersionsHaveTheSameFields(t *testing.T) {
	older := fieldsOf(reflect.TypeFor[v1beta1.BGPPeer](), "")
	newer := fieldsOf(reflect.TypeFor[BGPPeer](), "")
	if len(newer) < 25 {
		t.Fatalf("only %d fields were found: %v", len(newer), newer)
	}
	for path, kind := range newer {
		if older[path] != kind {
			t.Errorf("%s is a %s in v1beta2, %q in v1beta1", path, kind, older[path])
		}
	}
	for path := range older {
		if newer[path] == "" {
			t.Errorf("%s is in v1beta1 and not in v1beta2", path)
		}
	}
}

// fieldsOf returns the Go type of each JSON path below a struct, where a type of
// our own counts as what it is made of.
func fieldsOf(structure reflect.Type, path string) map[string]string {
	fields := make(map[string]string)
	for field := range structure.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		at := path + "." + name
		if strings.Contains(options, "inline") {
			at = path
		}
		kind := field.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		own := strings.Contains(kind.PkgPath(), "/pkg/api/")
		if own && kind.Kind() == reflect.Struct {
			for below, kind := range fieldsOf(kind, at) {
				fields[below] = kind
			}
			continue
		}
		fields[at] = kind.String()
		if own {
			fields[at] = kind.Kind().String()
		}
	}
	return fields
}

// Unset timers are no zero timers: those would turn off dead-peer detection.
func TestUnsetTimersStayUnset(t *testing.T) {
	peer := BGPPeer{Spec: BGPPeerSpec{MyASN: 64500, PeerASN: 64501, PeerAddress: "192.0.2.1"}}
	data := marshal(t, peer)
	if strings.Contains(data, "Time\"") {
		t.Errorf("a timer is written: %s", data)
	}
	var older v1beta1.BGPPeer
	if err := json.Unmarshal([]byte(data), &older); err != nil {
		t.Fatal(err)
	}
	if older.Spec.HoldTime != nil || older.Spec.KeepaliveTime != nil || older.Spec.ConnectTime != nil {
		t.Errorf("a timer is set in v1beta1: %+v", older.Spec)
	}
	if again := marshal(t, older); again != data {
		t.Errorf("through v1beta1 %s becomes %s", data, again)
	}
}

// Everything that v1beta2 can hold is still there after decoding and encoding as
// v1beta1.
func TestNothingIsLostThroughV1beta1(t *testing.T) {
	peer := BGPPeer{Spec: BGPPeerSpec{
		MyASN: 1, PeerASN: 4294967295, LocalASN: 3, DynamicASN: v1beta1.DynamicASNExternal,
		PeerAddress: "192.0.2.1", Interface: "eth0", SourceAddress: "192.0.2.2", PeerPort: 180,
		HoldTime:      &metav1.Duration{Duration: 90 * time.Second},
		KeepaliveTime: &metav1.Duration{Duration: 30 * time.Second},
		ConnectTime:   &metav1.Duration{Duration: 10 * time.Second},
		RouterID:      "192.0.2.3",
		NodeSelectors: []metav1.LabelSelector{{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "rack", Operator: metav1.LabelSelectorOpExists},
		}}},
		Password: "p", PasswordSecret: v1beta1.SecretReference{Name: "s", Namespace: "n"},
		BFDProfile: "b", EnableGracefulRestart: true, EBGPMultiHop: true, VRF: "red",
		DisableMP: true, DualStackAddressFamily: true,
	}}
	spec := reflect.ValueOf(peer.Spec)
	for field, value := range spec.Fields() {
		if value.IsZero() {
			t.Errorf("the test leaves %s unset", field.Name)
		}
	}
	data := marshal(t, peer)
	var older v1beta1.BGPPeer
	if err := json.Unmarshal([]byte(data), &older); err != nil {
		t.Fatal(err)
	}
	var again BGPPeer
	if err := json.Unmarshal([]byte(marshal(t, older)), &again); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(peer, again) {
		t.Errorf("through v1beta1\n%+v becomes\n%+v", peer, again)
	}
}

func TestSchemesHaveAllKinds(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1beta1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{
		v1beta1.KindIPAddressPool, v1beta1.KindL2Advertisement, v1beta1.KindBGPAdvertisement,
		v1beta1.KindBGPPeer, v1beta1.KindBFDProfile, v1beta1.KindCommunity,
		v1beta1.KindServiceL2Status, v1beta1.KindServiceBGPStatus, v1beta1.KindConfigurationState,
	} {
		for _, name := range []string{kind, kind + "List"} {
			if !scheme.Recognizes(v1beta1.GroupVersion.WithKind(name)) {
				t.Errorf("%s has no %s", v1beta1.GroupVersion, name)
			}
			if has := scheme.Recognizes(GroupVersion.WithKind(name)); has != (kind == v1beta1.KindBGPPeer) {
				t.Errorf("%s has %s: %t", GroupVersion, name, has)
			}
		}
	}
}

func marshal(t *testing.T, object any) string {
	t.Helper()
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
