// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// ReasonTooManyServiceStatuses: the cluster would hold more ServiceBGPStatus
// objects than the setting auto allows, so none is written.
const ReasonTooManyServiceStatuses intent.Reason = "TooManyServiceStatuses"

// ServiceStatusConditions returns the condition of a ConfigurationState that says
// that no ServiceBGPStatus is written because there would be more than limit;
// none where stopped is false. present are the conditions that it has.
func ServiceStatusConditions(present []metav1.Condition, stopped bool, limit int, now time.Time) []metav1.Condition {
	if !stopped {
		return nil
	}
	c := condition(v1beta1.ConditionServiceBGPStatusWritten, metav1.ConditionFalse, ReasonTooManyServiceStatuses,
		fmt.Sprintf("the cluster would hold more than %d ServiceBGPStatus objects (Services times the nodes that announce them), so auto writes none and removes those of this node; --service-bgp-status=always writes them all the same, never stops this message", limit))
	return []metav1.Condition{Since(present, c, now)}
}
