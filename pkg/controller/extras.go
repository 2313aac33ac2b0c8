// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
)

const (
	// extrasQuiet is how long what is wrong with extras must stay the same
	// before an event says so: the nodes report one after the other.
	extrasQuiet = 2 * time.Second
	// extrasLimit is the longest that an event waits for that.
	extrasLimit = 10 * time.Second
)

// extrasReport makes events on the ConfigMap bgpextras: one when what is wrong
// with it has changed, for all nodes together.
type extrasReport struct {
	object  *corev1.ConfigMap
	said    string // by the last event; empty: nothing is wrong
	message string // what is so now
	since   time.Time
	first   time.Time // since when it differs from said
}

// offer takes in what is wrong now.
func (e *extrasReport) offer(object *corev1.ConfigMap, findings []intent.Finding, refused []status.Refusal, now time.Time) {
	if object == nil {
		*e = extrasReport{}
		return
	}
	e.object = object
	if message := status.Extras(findings, refused); message != e.message {
		if e.message == e.said {
			e.first = now
		}
		e.message, e.since = message, now
	}
}

// due returns the event that is to be recorded now, if any, or else when one is.
func (e *extrasReport) due(now time.Time) (event, bool, time.Time) {
	if e.message == e.said {
		return event{}, false, time.Time{}
	}
	at := e.since.Add(extrasQuiet)
	if limit := e.first.Add(extrasLimit); limit.Before(at) {
		at = limit
	}
	if at.After(now) {
		return event{}, false, at
	}
	e.said = e.message
	if e.message == "" {
		return event{corev1.EventTypeNormal, status.ReasonExtrasInForce, "FRR has taken all lines"}, true, time.Time{}
	}
	return event{corev1.EventTypeWarning, status.ReasonExtrasRefused, e.message}, true, time.Time{}
}

// reportExtras records the event that is due and returns when another one is, or
// zero.
func (s *statusWriter) reportExtras(now time.Time) time.Time {
	e, ok, at := s.extras.due(now)
	if ok {
		s.cluster.Event(s.extras.object, e.kind, string(e.reason), e.message)
	}
	return at
}
