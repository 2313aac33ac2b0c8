// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
)

// Reasons of the conditions of user-written kinds, beside those of Findings.
const (
	// ReasonAccepted: the spec is valid.
	ReasonAccepted intent.Reason = "Accepted"
	// ReasonResolved: everything that the object names exists.
	ReasonResolved intent.Reason = "Resolved"
	// ReasonNotAccepted: what an object names is not looked at while it is not
	// valid.
	ReasonNotAccepted intent.Reason = "NotAccepted"
	// ReasonInForce: what resolves is in force.
	ReasonInForce intent.Reason = "InForce"
	// ReasonRefusedByFRR: FRR did not take a line made from the object.
	ReasonRefusedByFRR intent.Reason = "RefusedByFRR"
	// ReasonUsingLastAccepted: the present spec is not valid, an earlier one is
	// in force.
	ReasonUsingLastAccepted intent.Reason = v1beta1.ReasonUsingLastAccepted
)

// maxMessage bounds a condition's message, in bytes. The schema allows 32768.
const maxMessage = 2048

// Subject is what is known about one object of a kind that users write.
type Subject struct {
	Ref        intent.Ref
	Generation int64
	// Present is the status that it has.
	Present v1beta1.ObjectStatus
	// Findings about it.
	Findings []intent.Finding
	// Refused are the lines made from it that FRR did not take.
	Refused []Refusal
}

// Conditions returns the conditions Accepted, ResolvedRefs and Ready. A
// condition whose status does not change keeps its lastTransitionTime; now is
// that of the others.
func (s Subject) Conditions(now time.Time) []metav1.Condition {
	return s.finish(now, s.accepted(), s.resolved(), s.ready())
}

// finish sets what all conditions of the object have in common.
func (s Subject) finish(now time.Time, conditions ...metav1.Condition) []metav1.Condition {
	for i := range conditions {
		conditions[i].ObservedGeneration = s.Generation
		conditions[i] = Since(s.Present.Conditions, conditions[i], now)
	}
	return conditions
}

// of returns the findings of that severity.
func (s Subject) of(severity intent.Severity) []intent.Finding {
	var found []intent.Finding
	for _, f := range s.Findings {
		if f.Severity == severity {
			found = append(found, f)
		}
	}
	return found
}

func (s Subject) accepted() metav1.Condition {
	invalid := s.of(intent.Invalid)
	if len(invalid) == 0 {
		return condition(v1beta1.ConditionAccepted, metav1.ConditionTrue, ReasonAccepted, "the spec is valid")
	}
	reason, suffix := s.fallback(invalid)
	return condition(v1beta1.ConditionAccepted, metav1.ConditionFalse, reason, texts(invalid)+suffix)
}

// fallback returns the reason of an object that is not accepted, and what to say
// about the spec that is in force instead.
func (s Subject) fallback(invalid []intent.Finding) (intent.Reason, string) {
	last := s.Present.LastAccepted
	// A spec that was accepted and is not any more contradicts another object:
	// there is nothing earlier to fall back on.
	if last == nil || last.Generation == s.Generation {
		return invalid[0].Reason, ""
	}
	return ReasonUsingLastAccepted, fmt.Sprintf("; the spec of generation %d stays in force", last.Generation)
}

func (s Subject) resolved() metav1.Condition {
	unresolved := s.of(intent.Unresolved)
	switch {
	case len(unresolved) > 0:
		return condition(v1beta1.ConditionResolvedRefs, metav1.ConditionFalse, unresolved[0].Reason, texts(unresolved))
	case len(s.of(intent.Invalid)) > 0:
		return condition(v1beta1.ConditionResolvedRefs, metav1.ConditionUnknown, ReasonNotAccepted, "not looked at while the spec is not valid")
	}
	return condition(v1beta1.ConditionResolvedRefs, metav1.ConditionTrue, ReasonResolved, "everything that it names exists")
}

func (s Subject) ready() metav1.Condition {
	if c := s.accepted(); c.Status != metav1.ConditionTrue {
		return condition(v1beta1.ConditionReady, metav1.ConditionFalse, intent.Reason(c.Reason), c.Message)
	}
	if len(s.Refused) > 0 {
		return condition(v1beta1.ConditionReady, metav1.ConditionFalse, ReasonRefusedByFRR, refusals(s.Refused))
	}
	unresolved, warnings := s.of(intent.Unresolved), s.of(intent.Warning)
	if len(unresolved) > 0 && s.Ref.Kind == v1beta1.KindBGPPeer {
		// A session without the BFD or the password it asks for is not opened.
		return condition(v1beta1.ConditionReady, metav1.ConditionFalse, unresolved[0].Reason, texts(unresolved))
	}
	reason, message := ReasonInForce, "in force"
	if len(unresolved) > 0 {
		message += ", except for what ResolvedRefs names"
	}
	if len(warnings) > 0 {
		reason, message = warnings[0].Reason, message+"; warning: "+texts(warnings)
	}
	return condition(v1beta1.ConditionReady, metav1.ConditionTrue, reason, message)
}

func condition(kind string, status metav1.ConditionStatus, reason intent.Reason, message string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: status, Reason: string(reason), Message: bounded(message, maxMessage)}
}

// texts joins the findings' texts, each once, as many as a message can hold.
func texts(findings []intent.Finding) string {
	var all []string
	seen, size := map[string]bool{}, 0
	for _, f := range findings {
		if t := f.Text(); !seen[t] {
			seen[t] = true
			all = append(all, t)
			size += len(t)
		}
		if size > maxMessage {
			break
		}
	}
	return strings.Join(all, "; ")
}

// bounded shortens text to at most limit bytes, at a character's end.
func bounded(text string, limit int) string {
	const more = " ..."
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit-len(more)], "") + more
}

// Since returns c with the lastTransitionTime of the condition of its type in
// present where the status is the same, else with now. Times have the resolution
// of the API: a second.
func Since(present []metav1.Condition, c metav1.Condition, now time.Time) metav1.Condition {
	c.LastTransitionTime = metav1.NewTime(now.UTC().Truncate(time.Second))
	if old := Find(present, c.Type); old != nil && old.Status == c.Status && !old.LastTransitionTime.IsZero() {
		c.LastTransitionTime = old.LastTransitionTime
	}
	return c
}

// Find returns the condition of that type, or nil.
func Find(conditions []metav1.Condition, kind string) *metav1.Condition {
	for i := range conditions {
		if conditions[i].Type == kind {
			return &conditions[i]
		}
	}
	return nil
}

// SameCondition reports whether a and b say the same; nil is no condition.
func SameCondition(a, b *metav1.Condition) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Type == b.Type && a.Status == b.Status && a.Reason == b.Reason && a.Message == b.Message &&
		a.ObservedGeneration == b.ObservedGeneration && a.LastTransitionTime.Equal(&b.LastTransitionTime)
}

// maxNames is how many nodes a message names.
const maxNames = 10

// List joins at most ten names with commas and counts the rest.
func List(names []string) string {
	if len(names) <= maxNames {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), len(names)-maxNames)
}
