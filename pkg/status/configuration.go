// SPDX-License-Identifier: Apache-2.0

package status

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// Reasons of the conditions of ConfigurationStates; MetalLB's.
const (
	ReasonReconciled         intent.Reason = "Reconciled"
	ReasonConfigurationError intent.Reason = "ConfigurationError"
)

// Configuration returns the verdict part of a ConfigurationState's status:
// result, errorSummary and the condition of type kind, which is
// v1beta1.ConditionPoolReconcilerValid for the controller and
// v1beta1.ConditionConfigReconcilerValid for a speaker. The caller adds the rest.
// findings that are not Invalid do not count. present are the conditions that the
// object has.
func Configuration(kind string, present []metav1.Condition, findings []intent.Finding, now time.Time) v1beta1.ConfigurationStateStatus {
	c := condition(kind, metav1.ConditionTrue, ReasonReconciled, "")
	s := v1beta1.ConfigurationStateStatus{Result: v1beta1.ConfigurationValid}
	var wrong []string
	for _, f := range findings {
		if f.Severity == intent.Invalid {
			wrong = append(wrong, f.String())
		}
	}
	if len(wrong) > 0 {
		c = condition(kind, metav1.ConditionFalse, ReasonConfigurationError, "configuration error: "+strings.Join(wrong, "; "))
		s.Result, s.ErrorSummary = v1beta1.ConfigurationInvalid, c.Message
	}
	s.Conditions = []metav1.Condition{Since(present, c, now)}
	return s
}
