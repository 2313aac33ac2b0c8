// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/ipam"
	"metallb.io/metallb-frr/pkg/status"
)

const (
	// remindInterval is how often the event of a Service that stays without an
	// address is recorded again. The API server forgets events after an hour.
	remindInterval = 50 * time.Minute
	// remindersPerPass bounds how many are in one pass; what is left is due
	// remindPause later.
	remindersPerPass = 50
	remindPause      = time.Second
)

// reminders renew the events that say why a Service has no address, which is what
// kubectl describe shows of it. The zero value is ready to use.
type reminders struct {
	told map[intent.Key]time.Time // when the event was recorded last
	seen map[intent.Key]time.Time // the same, of the Services of this pass
	sent int                      // in this pass
	next time.Time                // when the first of the others is due; zero: never
}

// begin opens a pass.
func (r *reminders) begin() { r.seen, r.sent, r.next = nil, 0, time.Time{} }

// due takes in a Service without an address, and reports whether its event is to be
// recorded again now. What its condition does not say yet is told when it is
// written.
func (r *reminders) due(key intent.Key, svc *corev1.Service, out *ipam.Outcome, want status.Service, now time.Time) bool {
	if out.Reason == "" || len(out.Addresses) > 0 {
		return false
	}
	told := now
	if c := status.Find(svc.Status.Conditions, v1beta1.ConditionAddressAssigned); c != nil && c.Reason == want.Condition.Reason && c.Message == want.Condition.Message {
		var ok bool
		if told, ok = r.told[key]; !ok {
			told = c.LastTransitionTime.Time
		}
	}
	at, again := told.Add(remindInterval), false
	if !at.After(now) {
		if again = r.sent < remindersPerPass; again {
			r.sent++
			told, at = now, now.Add(remindInterval)
		} else {
			at = now.Add(remindPause)
		}
	}
	if r.seen == nil {
		r.seen = map[intent.Key]time.Time{}
	}
	r.seen[key] = told
	if r.next.IsZero() || at.Before(r.next) {
		r.next = at
	}
	return again
}

// end closes a pass and returns when the next reminder is due, or zero.
func (r *reminders) end() time.Time {
	r.told = r.seen
	return r.next
}
