// SPDX-License-Identifier: Apache-2.0

package status

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// Reasons of the condition inService, which are those of the events on the Node
// too.
const (
	// ReasonInService: the node announces what it is chosen for.
	ReasonInService intent.Reason = "InService"
	// ReasonRoutesMarked: the node leaves service. It still announces, with
	// GRACEFUL_SHUTDOWN and least preference (RFC 8326).
	ReasonRoutesMarked intent.Reason = "RoutesMarked"
	// ReasonRoutesWithdrawn: the node is out of service and announces nothing.
	ReasonRoutesWithdrawn intent.Reason = "RoutesWithdrawn"
	// ReasonNotForwarding: the node announces nothing until its kube-proxy is
	// ready.
	ReasonNotForwarding intent.Reason = "NotForwarding"
)

// Step says whether a node announces, and at which step it is if not. The zero
// value is a node of which nothing is known yet.
type Step struct {
	In      bool
	Reason  intent.Reason
	Message string
}

// Condition returns the condition inService of a speaker's ConfigurationState.
// present are the conditions that the object has.
func (s Step) Condition(present []metav1.Condition, now time.Time) metav1.Condition {
	value := metav1.ConditionFalse
	if s.In {
		value = metav1.ConditionTrue
	}
	return Since(present, condition(v1beta1.ConditionInService, value, s.Reason, s.Message), now)
}
