// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
)

// Each step of a node has its reason, and its message says why.
func TestSteps(t *testing.T) {
	leaving := &intent.Node{Name: "n1", Leaving: &intent.Leaving{Cause: intent.ByLabel, Message: "node n1 has the label x"}}
	for _, row := range []struct {
		name            string
		node            *intent.Node
		marking, proxy  bool
		status          metav1.ConditionStatus
		reason, message string
	}{
		{"in service", &intent.Node{Name: "n1"}, false, true, "True", "InService", "node n1 announces"},
		{"kube-proxy not ready", &intent.Node{Name: "n1"}, false, false, "False", "NotForwarding", "kube-proxy on node n1 is not ready"},
		{"first step", leaving, true, true, "False", "RoutesMarked", "node n1 has the label x: its routes carry GRACEFUL_SHUTDOWN and least preference, and are withdrawn 1s later"},
		{"second step", leaving, false, true, "False", "RoutesWithdrawn", "node n1 has the label x: it announces nothing"},
		{"second step, kube-proxy not ready", leaving, false, false, "False", "RoutesWithdrawn", "label x"},
		{"no such Node", nil, false, true, "False", "RoutesWithdrawn", "there is no Node n1"},
	} {
		s := New(Options{Node: "n1", Log: logr.Discard(), DrainWait: time.Second})
		s.drain.marking = row.marking
		s.forward.proxy.Store(row.proxy)
		c := s.inService(row.node).Condition(nil, time.Now())
		if c.Type != v1beta1.ConditionInService || c.Status != row.status || c.Reason != row.reason || !strings.Contains(c.Message, row.message) {
			t.Errorf("%s: %s=%s %s: %q; want %s %s: %q", row.name, c.Type, c.Status, c.Reason, c.Message, row.status, row.reason, row.message)
		}
		if stepLog[intent.Reason(c.Reason)] == "" {
			t.Errorf("%s: the log has no words for %s", row.name, c.Reason)
		}
	}
}

// A step within the same state of the condition keeps its time.
func TestStepKeepsTheTimeOfTransition(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	marked := status.Step{Reason: status.ReasonRoutesMarked}.Condition(nil, at)
	gone := status.Step{Reason: status.ReasonRoutesWithdrawn}.Condition([]metav1.Condition{marked}, at.Add(time.Minute))
	back := status.Step{In: true, Reason: status.ReasonInService}.Condition([]metav1.Condition{gone}, at.Add(time.Hour))
	if !gone.LastTransitionTime.Time.Equal(at) || !back.LastTransitionTime.Time.Equal(at.Add(time.Hour)) {
		t.Errorf("transitions at %v and %v", gone.LastTransitionTime, back.LastTransitionTime)
	}
}
