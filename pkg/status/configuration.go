// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// Reasons of the conditions of ConfigurationStates; MetalLB's.
const (
	// ReasonReconciled: the configuration is valid.
	ReasonReconciled intent.Reason = "Reconciled"
	// ReasonConfigurationError: some object is not accepted, or a BGPPeer names a
	// BFDProfile or a Secret that is not there.
	ReasonConfigurationError intent.Reason = "ConfigurationError"
)

// Configuration returns the verdict part of a ConfigurationState's status:
// result, errorSummary and the condition of type kind, which is
// v1beta1.ConditionPoolReconcilerValid for the controller and
// v1beta1.ConditionConfigReconcilerValid for a speaker. The caller adds the rest.
// findings that are not Invalid do not count, but for the references without which
// MetalLB takes no configuration. present are the conditions that the object has.
func Configuration(kind string, present []metav1.Condition, findings []intent.Finding, now time.Time) v1beta1.ConfigurationStateStatus {
	c := condition(kind, metav1.ConditionTrue, ReasonReconciled, "")
	s := v1beta1.ConfigurationStateStatus{Result: v1beta1.ConfigurationValid}
	var wrong []string
	for _, f := range findings {
		if text := configurationError(f); text != "" {
			wrong = append(wrong, text)
		}
	}
	if len(wrong) > 0 {
		c = condition(kind, metav1.ConditionFalse, ReasonConfigurationError, "configuration error: "+strings.Join(wrong, "; "))
		s.Result, s.ErrorSummary = v1beta1.ConfigurationInvalid, c.Message
	}
	s.Conditions = []metav1.Condition{Since(present, c, now)}
	return s
}

// Stale reports whether Configuration makes these findings an Invalid
// configuration, for the metric metallb_k8s_client_config_stale_bool.
func Stale(findings []intent.Finding) bool {
	return slices.ContainsFunc(findings, func(f intent.Finding) bool { return configurationError(f) != "" })
}

// configurationError says what is wrong with a configuration as MetalLB does where
// programs compare its text, which has a blank before one of its line breaks; "" of
// what MetalLB does not mind.
func configurationError(f intent.Finding) string {
	what, _, _ := strings.Cut(f.Message, "; ")
	switch f.Reason {
	case intent.SecretInvalid:
		return fmt.Sprintf("parsing peer %[1]s %s \nfailed to parse peer %[1]s password secret", f.Object.Name, what)
	case intent.SecretNotFound:
		return fmt.Sprintf("parsing peer %[1]s %s\nfailed to parse peer %[1]s password secret", f.Object.Name, what)
	case intent.BFDProfileNotFound:
		return what
	case plan.DuplicateNeighbor:
		what, _, _ = strings.Cut(what, ": ")
		return what
	}
	if f.Severity == intent.Invalid || f.Reason == intent.CommunityNotFound {
		return f.String()
	}
	return ""
}
