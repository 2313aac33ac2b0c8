// SPDX-License-Identifier: Apache-2.0

package status

import (
	"time"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/intent"
)

// maxRefused bounds the refused lines in a ConfigurationState.
const maxRefused = 100

// Speaker returns the status of a speaker's ConfigurationState: the verdict on
// the configuration, the lines that FRR refused, and the node's BGP sessions.
// have is the status that the object has, of which links and foreign stay.
func Speaker(have v1beta1.ConfigurationStateStatus, findings []intent.Finding, refused []frr.Refusal, sessions []v1beta1.SessionStatus, now time.Time) v1beta1.ConfigurationStateStatus {
	s := Configuration(v1beta1.ConditionConfigReconcilerValid, have.Conditions, findings, now)
	for _, r := range refused[:min(len(refused), maxRefused)] {
		line := v1beta1.RefusedLine{Line: intent.Masked(r.Line.Text), Message: r.Message}
		for _, o := range r.Origins {
			line.Objects = append(line.Objects, v1beta1.ObjectReference{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name})
		}
		s.Refused = append(s.Refused, line)
	}
	s.Sessions = sessions
	s.Links, s.Foreign = have.Links, have.Foreign
	return s
}
