// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// BenchmarkRound measures what a round costs, at most one a second, with 10,000
// Services on 100 nodes that have two sessions each: where nothing changed, one
// Service did, a session of which no Service says anything did, and all sessions of
// a node did, so that every Service has something else to say.
func BenchmarkRound(b *testing.B) {
	const n, nodes = 10000, 100
	services := map[string][]string{}
	for i := range n {
		services[fmt.Sprintf("s%06d", i)] = nil
	}
	w := newTold()
	w.listed = true
	now := time.Now()
	w.set(b, nodes, now.Add(-time.Hour), services)
	state := func(i int, value v1beta1.SessionState) *v1beta1.ConfigurationState {
		s := &v1beta1.ConfigurationState{}
		s.Name = fmt.Sprintf("%sn%02d", v1beta1.SpeakerStatePrefix, i+1)
		s.Status.Sessions = []v1beta1.SessionStatus{{Peer: "tor", State: value}, {Peer: "other", State: value}}
		return s
	}
	for i := range nodes {
		w.snapshot.States = append(w.snapshot.States, state(i, v1beta1.SessionEstablished))
	}
	w.round(now)
	for i, s := range w.in.Services { // they say what they are to say
		a := w.all.Each[i]
		svc := objectOf(w.snapshot.Services, s.Key)
		svc.Status.Conditions = append(svc.Status.Conditions, metav1.Condition{Type: v1beta1.ConditionAnnounced, Status: a.Status, Reason: string(a.Reason), Message: a.Message})
	}
	if w.round(now); len(w.gate.waits) > 0 {
		b.Fatalf("%d Services wait", len(w.gate.waits))
	}
	base := *w.snapshot
	for name, change := range map[string]func(i int){
		"nothing": func(int) {},
		"service": func(i int) {
			next := *w.snapshot
			next.Services = slices.Clone(next.Services)
			next.Services[i%n] = next.Services[i%n].DeepCopy()
			w.snapshot = &next
		},
		"session": func(i int) {
			next := *w.snapshot
			next.States = slices.Clone(next.States)
			next.States[0] = state(0, v1beta1.SessionEstablished)
			next.States[0].Status.Sessions[1].State = []v1beta1.SessionState{v1beta1.SessionDown, v1beta1.SessionEstablished}[i%2]
			w.snapshot = &next
		},
		"node": func(i int) {
			next := *w.snapshot
			next.States = slices.Clone(next.States)
			next.States[0] = state(0, []v1beta1.SessionState{v1beta1.SessionDown, v1beta1.SessionEstablished}[i%2])
			w.snapshot = &next
		},
	} {
		b.Run(name, func(b *testing.B) {
			w.snapshot = &base
			w.round(now)
			for i := 0; b.Loop(); i++ {
				change(i)
				w.round(now)
			}
		})
	}
}
