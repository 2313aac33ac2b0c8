// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/intent"
)

// Reasons of the condition frrInSync of a speaker's ConfigurationState, and of
// its events.
const (
	// ReasonInSync: FRR runs what the product has configured.
	ReasonInSync intent.Reason = "InSync"
	// ReasonRepairsPaused: an operator has paused repairs on the node.
	ReasonRepairsPaused intent.Reason = "RepairsPaused"
	// ReasonInvalidPause: the Node's annotation that is to pause repairs cannot
	// be followed; repairs go on.
	ReasonInvalidPause intent.Reason = "InvalidPause"
	// ReasonRepairFailed: FRR was found changed and could not be set right.
	ReasonRepairFailed intent.Reason = "RepairFailed"
	// ReasonLoadFailed: the configuration could not be given to FRR.
	ReasonLoadFailed intent.Reason = "LoadFailed"
	// ReasonDraining: the frr container is leaving the network.
	ReasonDraining intent.Reason = "Draining"
	// ReasonDrift: somebody else has changed FRR's configuration.
	ReasonDrift intent.Reason = "ConfigurationDrift"
	// ReasonDaemonLost: a daemon of FRR's has ended.
	ReasonDaemonLost intent.Reason = "FRRDaemonLost"
)

// MaxPause is the longest time that repairs can be paused for.
const MaxPause = 24 * time.Hour

// Sync is what a speaker knows of the agreement between FRR and what it has
// configured there.
type Sync struct {
	// PausedUntil is when repairs go on; zero: they are not paused.
	PausedUntil time.Time
	// InvalidPause says what is wrong with the pause that was asked for; empty:
	// nothing.
	InvalidPause string
	// Found are the commands that would repair what is changed at present.
	Found []frr.Command
	// Draining: the frr container is leaving; nothing is loaded.
	Draining bool
	// LoadError and RepairError are the last failures; empty: none.
	LoadError, RepairError string
}

// Condition returns the condition frrInSync. present are those that the object
// has.
func (s Sync) Condition(present []metav1.Condition, now time.Time) metav1.Condition {
	c := condition(v1beta1.ConditionFRRInSync, metav1.ConditionTrue, ReasonInSync, "")
	no := func(reason intent.Reason, message string) {
		c = condition(v1beta1.ConditionFRRInSync, metav1.ConditionFalse, reason, message)
	}
	switch {
	case s.Draining:
		no(ReasonDraining, "the frr container is leaving the network; nothing is loaded until it has started again")
	case s.LoadError != "":
		no(ReasonLoadFailed, s.LoadError)
	case !s.PausedUntil.IsZero():
		message := "repairs are paused until " + s.PausedUntil.UTC().Format(time.RFC3339) + " by the Node's annotation " + v1beta1.AnnotationPauseRepairs
		if len(s.Found) > 0 {
			message += "; " + Differences(s.Found)
		}
		no(ReasonRepairsPaused, message)
	case s.RepairError != "":
		no(ReasonRepairFailed, s.RepairError)
	case s.InvalidPause != "":
		c = condition(v1beta1.ConditionFRRInSync, metav1.ConditionTrue, ReasonInvalidPause, s.InvalidPause)
	}
	return Since(present, c, now)
}

// maxDifferences is how many commands a message names.
const maxDifferences = 10

// Differences says which commands lead back to what was configured, without
// passwords: ten of them and a count.
func Differences(commands []frr.Command) string {
	var lines []string
	for _, c := range commands[:min(len(commands), maxDifferences)] {
		text := intent.Masked(c.Text)
		if len(c.Node) > 0 {
			text = strings.Join(c.Node, " / ") + " / " + text
		}
		lines = append(lines, fmt.Sprintf("%q", text))
	}
	text := "to be typed to set it right: " + strings.Join(lines, ", ")
	if more := len(commands) - maxDifferences; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// PauseUntil reads the Node's annotation v1beta1.AnnotationPauseRepairs. A time
// that has passed, or no annotation, is the zero time.
func PauseUntil(value string, now time.Time) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	until, err := time.Parse(time.RFC3339, value)
	switch {
	case err != nil:
		return time.Time{}, fmt.Errorf("annotation %s is %q; write a time such as %q", v1beta1.AnnotationPauseRepairs, value, now.Add(time.Hour).UTC().Format(time.RFC3339))
	case until.After(now.Add(MaxPause)):
		return time.Time{}, fmt.Errorf("annotation %s is %q, more than %v ahead; write %q at the most", v1beta1.AnnotationPauseRepairs, value, MaxPause, now.Add(MaxPause).UTC().Format(time.RFC3339))
	case !until.After(now):
		return time.Time{}, nil
	}
	return until, nil
}
