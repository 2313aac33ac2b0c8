// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// awaitEvent waits for an event on a Service.
func (w *world) awaitEvent(service, reason, text string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), limit)
	defer cancel()
	stream, err := w.Watch(ctx, &corev1.EventList{}, client.InNamespace("default"), client.MatchingFields{"involvedObject.name": service})
	if err != nil {
		w.t.Fatalf("watch events: %v", err)
	}
	defer stream.Stop()
	var seen []string
	for e := range stream.ResultChan() {
		ev, ok := e.Object.(*corev1.Event)
		if !ok {
			continue
		}
		if ev.Reason == reason && strings.Contains(ev.Message, text) {
			return
		}
		seen = append(seen, ev.Reason+": "+ev.Message)
	}
	w.t.Fatalf("no event %s %q on %s within %v; seen: %q", reason, text, service, limit, seen)
}
