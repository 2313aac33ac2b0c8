// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Leaving says why a node is to be out of service. It is never changed.
type Leaving struct {
	Cause LeavingCause
	// Message names what of the Node object it is, for people.
	Message string
}

// LeavingCause tells the causes apart.
type LeavingCause int

// The causes, in the order in which they are looked for.
const (
	// ByNetwork: the condition NetworkUnavailable is True.
	ByNetwork LeavingCause = iota + 1
	// ByLabel: ExcludeLabel is there, and counts.
	ByLabel
	// ByDrainOn: an item of DrainOn holds.
	ByDrainOn
)

// DrainOn is what of a Node, beside its label and its network, takes it out of
// service: taints, conditions and the cordon. The zero value is nothing. Values
// can be compared.
type DrainOn struct{ items string } // checked and separated by commas, which no item has

// The words of a list that are no taints.
const (
	drainCordon    = "cordon"
	drainCondition = "condition/"
)

// taintEffects are those that Kubernetes knows.
var taintEffects = []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}

// ParseDrainOn reads a list separated by commas. An item is
//
//	cordon                   the node is unschedulable
//	condition/Type           that condition is True
//	condition/Type=Status    that condition is True, False or Unknown
//	key[=value][:Effect]     a taint; a part that is left out may be anything
//
// Blanks around items and empty items do not count. The error names the item
// and what would be right.
func ParseDrainOn(list string) (DrainOn, error) {
	var items []string
	for item := range strings.SplitSeq(list, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		if wrong := wrongDrainItem(item); wrong != "" {
			return DrainOn{}, fmt.Errorf("%q: %s; want cordon, condition/Type, condition/Type=True|False|Unknown, or a taint as key[=value][:NoSchedule|PreferNoSchedule|NoExecute]", item, wrong)
		}
		items = append(items, item)
	}
	return DrainOn{strings.Join(items, ",")}, nil
}

// String returns the list.
func (d DrainOn) String() string { return d.items }

// wrongDrainItem says what is wrong with an item; empty: nothing.
func wrongDrainItem(item string) string {
	if item == drainCordon {
		return ""
	}
	if rest, ok := strings.CutPrefix(item, drainCondition); ok {
		kind, status, has := strings.Cut(rest, "=")
		switch {
		case len(validation.IsQualifiedName(kind)) > 0:
			return fmt.Sprintf("%q is no type of a condition", kind)
		case has && status != "True" && status != "False" && status != "Unknown":
			return fmt.Sprintf("%q is no status of a condition", status)
		}
		return ""
	}
	key, value, effect := splitTaint(item)
	switch {
	case len(validation.IsQualifiedName(key)) > 0:
		return fmt.Sprintf("%q is no key of a taint", key)
	case value != nil && len(validation.IsValidLabelValue(*value)) > 0:
		return fmt.Sprintf("%q is no value of a taint", *value)
	case effect != nil && !slices.Contains(taintEffects, *effect):
		return fmt.Sprintf("%q is no effect of a taint", *effect)
	}
	return ""
}

// splitTaint returns the parts of key[=value][:Effect]; nil: left out.
func splitTaint(item string) (key string, value *string, effect *corev1.TaintEffect) {
	key, after, has := strings.Cut(item, ":")
	if has {
		e := corev1.TaintEffect(after)
		effect = &e
	}
	key, after, has = strings.Cut(key, "=")
	if has {
		value = &after
	}
	return key, value, effect
}

// holds returns what an item finds on the node, for people; empty: nothing.
func (d DrainOn) holds(n *corev1.Node) string {
	if d.items == "" {
		return ""
	}
	for item := range strings.SplitSeq(d.items, ",") {
		if found := drainItemHolds(item, n); found != "" {
			return found
		}
	}
	return ""
}

func drainItemHolds(item string, n *corev1.Node) string {
	if item == drainCordon {
		if n.Spec.Unschedulable {
			return "is cordoned (spec.unschedulable)"
		}
		return ""
	}
	if rest, ok := strings.CutPrefix(item, drainCondition); ok {
		kind, status, has := strings.Cut(rest, "=")
		if !has {
			status = string(corev1.ConditionTrue)
		}
		for _, c := range n.Status.Conditions {
			if string(c.Type) == kind && string(c.Status) == status {
				return fmt.Sprintf("has the condition %s=%s", kind, status)
			}
		}
		return ""
	}
	key, value, effect := splitTaint(item)
	for _, t := range n.Spec.Taints {
		if t.Key == key && (value == nil || t.Value == *value) && (effect == nil || t.Effect == *effect) {
			return "has the taint " + t.ToString()
		}
	}
	return ""
}

// leaving says why n is to be out of service; nil: it is not.
func (s *Snapshot) leaving(n *corev1.Node) *Leaving {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeNetworkUnavailable && c.Status == corev1.ConditionTrue {
			return &Leaving{ByNetwork, fmt.Sprintf("node %s has the condition NetworkUnavailable", n.Name)}
		}
	}
	if _, has := n.Labels[ExcludeLabel]; has && !s.IgnoreExcludeLabel {
		return &Leaving{ByLabel, fmt.Sprintf("node %s has the label %s", n.Name, ExcludeLabel)}
	}
	if found := s.DrainOn.holds(n); found != "" {
		return &Leaving{ByDrainOn, fmt.Sprintf("node %s %s", n.Name, found)}
	}
	return nil
}

func (l *Leaving) equal(o *Leaving) bool { return l == o || l != nil && o != nil && *l == *o }
