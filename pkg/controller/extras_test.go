// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// refuses is what the speaker of a node writes when FRR does not take a line of
// extras.
func (f *fixture) refuses(node, line string) {
	f.t.Helper()
	state := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: v1beta1.SpeakerStatePrefix + node, Labels: map[string]string{v1beta1.LabelNodeName: node},
	}}
	if err := f.Create(f.t.Context(), state); client.IgnoreAlreadyExists(err) != nil {
		f.t.Fatal(err)
	}
	if err := f.Get(f.t.Context(), client.ObjectKeyFromObject(state), state); err != nil {
		f.t.Fatal(err)
	}
	state.Status.Refused = nil
	if line != "" {
		state.Status.Refused = []v1beta1.RefusedLine{{
			Line: line, Message: "Unknown command", Objects: []v1beta1.ObjectReference{{Kind: "ConfigMap", Name: intent.ExtrasName}},
		}}
	}
	if err := f.Status().Update(f.t.Context(), state); err != nil {
		f.t.Fatal(err)
	}
}

// extrasEvents are the events on the ConfigMap, "reason: message".
func (f *fixture) extrasEvents() []string {
	f.t.Helper()
	var list corev1.EventList
	if err := f.List(f.t.Context(), &list, client.InNamespace(namespace), client.MatchingFields{"involvedObject.name": intent.ExtrasName}); err != nil {
		f.t.Fatal(err)
	}
	var all []string
	for _, e := range list.Items {
		if e.InvolvedObject.Kind != "ConfigMap" || e.InvolvedObject.UID == "" || e.Source.Component != "metallb-controller" {
			f.t.Errorf("event of %s on %+v", e.Source.Component, e.InvolvedObject)
		}
		all = append(all, fmt.Sprintf("%s %s: %s", e.Type, e.Reason, e.Message))
	}
	return all
}

// What FRR on some nodes refuses of the ConfigMap bgpextras becomes one event on
// it, and another one when it is mended.
func TestRefusedExtrasAreOneEvent(t *testing.T) {
	f := newFixture(t)
	f.controller()
	extras := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: intent.ExtrasName},
		Data:       map[string]string{intent.ExtrasKey: "neighbour 10.0.0.1 timers 3 9\nshow version\n"},
	}
	f.create(extras)
	nodes := []string{"n1", "n2", "n3"}
	for _, n := range nodes {
		f.refuses(n, "neighbour 10.0.0.1 timers 3 9")
	}
	f.awaitEventIn(namespace, intent.ExtrasName, "ExtrasRefused", `FRR refused the line "neighbour 10.0.0.1 timers 3 9": Unknown command (on n1, n2, n3)`)
	extras.Data[intent.ExtrasKey] = "router bgp 64512\n neighbor 10.0.0.1 timers 3 9\n"
	if err := f.Update(t.Context(), extras); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		f.refuses(n, "")
	}
	f.awaitEventIn(namespace, intent.ExtrasName, "ExtrasInForce", "all lines")
	all := f.extrasEvents()
	if len(all) != 2 || !strings.Contains(all[0]+all[1], "line 2 is left out: it is a command to vtysh") {
		t.Errorf("%d events, want one that names both and one that all is well:\n%s", len(all), strings.Join(all, "\n"))
	}
}
