// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// quiet is how long nothing may be sent for the controller to count as settled:
// longer than it folds writes (1 s).
const quiet = 2500 * time.Millisecond

// settled waits until the controller has sent no write for a while, and fails if
// that does not come: then it writes without a change.
func (f *fixture) settled() {
	f.t.Helper()
	end := time.After(limit)
	for {
		before := f.writes.Load()
		select {
		case <-time.After(quiet):
			if f.writes.Load() == before {
				return
			}
		case <-end:
			f.t.Fatalf("the controller never stops writing: %d writes so far", f.writes.Load())
		}
	}
}

// awaitEvent waits for an event about a Service.
func (f *fixture) awaitEvent(service, reason, text string) {
	f.t.Helper()
	f.awaitEventIn("default", service, reason, text)
}

func (f *fixture) awaitEventIn(namespace, name, reason, text string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), limit)
	defer cancel()
	list := &corev1.EventList{}
	w, err := f.Watch(ctx, list, client.InNamespace(namespace))
	if err != nil {
		f.t.Fatalf("watching events: %v", err)
	}
	defer w.Stop()
	var seen []string
	for e := range w.ResultChan() {
		ev, ok := e.Object.(*corev1.Event)
		if !ok || ev.InvolvedObject.Name != name {
			continue
		}
		seen = append(seen, ev.Reason+": "+ev.Message)
		if ev.Reason == reason && strings.Contains(ev.Message, text) {
			if ev.Source.Component != "metallb-controller" {
				f.t.Errorf("event %s comes from %q, want metallb-controller", reason, ev.Source.Component)
			}
			return
		}
	}
	f.t.Fatalf("no event %s %q on %s within %v; seen: %q", reason, text, name, limit, seen)
}
