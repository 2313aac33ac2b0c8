// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/api/v1beta2"
)

func readyNode(name string) *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
	}}
}

func TestServiceAndPeerSayWhatNodesDo(t *testing.T) {
	f := newFixture(t)
	f.controller()
	tor := peer("tor1", "198.51.100.1")
	f.create(readyNode("n1"), readyNode("n2"), pool("first", "192.0.2.0/29"), tor,
		&v1beta1.BGPAdvertisement{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "all"}}, service("web"))
	f.awaitService("web", "to hold an address", holds("first", "192.0.2.0"))
	f.create(&discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.244.0.1"}, NodeName: new("n1")}},
	})
	f.awaitEvent("web", "nodeAssigned", `announcing from node "n1", "n2" with protocol "bgp"`)

	state := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "speaker-n1", Labels: map[string]string{v1beta1.LabelNodeName: "n1"},
	}}
	f.create(state)
	report := func(session string) {
		t.Helper()
		patch := client.RawPatch(types.MergePatchType, []byte(`{"status":{"sessions":[`+session+`]}}`))
		if err := f.Status().Patch(t.Context(), state.DeepCopy(), patch); err != nil {
			t.Fatal(err)
		}
	}
	peers := &v1beta2.BGPPeerList{}
	report(`{"peer":"tor1","address":"198.51.100.1","state":"Established","since":"2026-01-02T03:04:05Z","bfd":"down"}`)
	got := await(f, peers, tor, "to have one session of two, without BFD", func(p *v1beta2.BGPPeer) bool {
		return p.Status.Sessions != nil && p.Status.Sessions.Summary == "1/2" && p.Status.Sessions.BFDDown == 1 &&
			hasCondition(p.Status.Conditions, v1beta1.ConditionEstablished, metav1.ConditionUnknown, "NotReported")
	})
	if got.Status.Sessions.LastDown != nil {
		t.Errorf("it has the last end %+v before there was one", got.Status.Sessions.LastDown)
	}
	report(`{"peer":"tor1","address":"198.51.100.1","state":"Down","since":"2026-01-02T03:05:05Z","reason":"Hold Timer Expired","lastDown":"2026-01-02T03:05:05Z","lastReason":"Hold Timer Expired"}`)
	await(f, peers, tor, "to say why it was lost", func(p *v1beta2.BGPPeer) bool {
		s := p.Status.Sessions
		return s != nil && s.Established == 0 && s.LastDown != nil && s.LastDown.Node == "n1" && s.LastDown.Reason == "Hold Timer Expired" &&
			hasCondition(p.Status.Conditions, v1beta1.ConditionEstablished, metav1.ConditionFalse, "SessionDown")
	})
	// The last end stays while the session is back, and its sums go with the nodes.
	report(`{"peer":"tor1","address":"198.51.100.1","state":"Established","since":"2026-01-02T03:06:05Z","lastDown":"2026-01-02T03:05:05Z","lastReason":"Hold Timer Expired"}`)
	await(f, peers, tor, "to be up again and remember", func(p *v1beta2.BGPPeer) bool {
		s := p.Status.Sessions
		return s != nil && s.Summary == "1/2" && s.LastDown != nil && s.Since.Minute() == 6
	})
	for _, n := range []string{"n1", "n2"} {
		if err := f.Delete(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: n}}); err != nil {
			t.Fatal(err)
		}
	}
	await(f, peers, tor, "to have no sums without nodes", func(p *v1beta2.BGPPeer) bool {
		return p.Status.Sessions == nil && hasCondition(p.Status.Conditions, v1beta1.ConditionEstablished, metav1.ConditionUnknown, "NoNodes")
	})
	f.settled()
}
