// SPDX-License-Identifier: Apache-2.0

package speaker

import (
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
	"metallb.io/metallb-frr/pkg/status"
)

// drain is the clock of a node that leaves service: its routes are marked, then
// there is a wait in which the routers turn to other nodes, then the routes go.
// The node may be wanted back at any moment, and leave again.
type drain struct {
	// wait is the time between marking and withdrawing; 0: no marking.
	wait    time.Duration
	leaving bool
	// marking: the routes are still announced, with the mark.
	marking bool
	// until is when they go; zero: FRR does not have the mark yet.
	until time.Time
	timer *time.Timer
}

func newDrain(wait time.Duration) *drain {
	d := &drain{wait: wait, timer: time.NewTimer(0)}
	d.timer.Stop()
	return d
}

// Due receives a value when a pass is due because the wait is over.
func (d *drain) Due() <-chan time.Time { return d.timer.C }

// next begins a pass: it takes in whether the node is to be out of service, and
// whether FRR announces anything, and returns whether the node is to mark what it
// announces. A node that announces nothing has nothing to mark.
func (d *drain) next(leaving, announcing bool) (marking bool) {
	switch {
	case !leaving:
		d.marking = false
	case !d.leaving:
		d.marking = announcing && d.wait > 0
		d.until = time.Time{}
	case d.marking && !d.until.IsZero() && !time.Now().Before(d.until):
		d.marking = false
	}
	if d.leaving = leaving; !d.marking {
		d.timer.Stop()
	}
	return d.marking
}

// applied ends a pass: FRR has what the plan says. With the mark in force the wait
// begins.
func (d *drain) applied() {
	if d.marking && d.until.IsZero() {
		d.until = time.Now().Add(d.wait)
		d.timer.Reset(d.wait)
	}
}

// announcing reports whether FRR has routes to announce: those of the last plan
// or, before there is one, those that the speaker found.
func (s *Speaker) announcing() bool {
	if s.result == nil {
		return s.found
	}
	return slices.ContainsFunc(s.result.Plan.Routers, func(r *plan.Router) bool { return len(r.Routes) > 0 })
}

// inService says which step the node is at.
func (s *Speaker) inService(n *intent.Node) status.Step {
	switch {
	case n == nil:
		return status.Step{Reason: status.ReasonRoutesWithdrawn, Message: fmt.Sprintf("there is no Node %s", s.Node)}
	case n.Leaving != nil && s.drain.marking:
		return status.Step{Reason: status.ReasonRoutesMarked, Message: n.Leaving.Message + fmt.Sprintf(": its routes carry GRACEFUL_SHUTDOWN and least preference, and are withdrawn %v later", s.drain.wait)}
	case n.Leaving != nil:
		return status.Step{Reason: status.ReasonRoutesWithdrawn, Message: n.Leaving.Message + ": it announces nothing"}
	case !s.forward.ready(n):
		return status.Step{Reason: status.ReasonNotForwarding, Message: fmt.Sprintf("kube-proxy on node %s is not ready: it announces nothing yet", n.Name)}
	}
	return status.Step{In: true, Reason: status.ReasonInService, Message: fmt.Sprintf("node %s announces what it is chosen for", n.Name)}
}

// tell reports a step that FRR has taken: in the log, in an event on the Node, and
// by report in the condition of the node's ConfigurationState.
func (s *Speaker) tell(now status.Step) {
	was := s.step
	if s.step = now; was == now {
		return
	}
	first := was.Reason == ""
	if first && now.In {
		return // as it should be
	}
	s.Log.Info(stepLog[now.Reason], "node", s.Node, "reason", string(now.Reason), "why", now.Message)
	if first {
		return // told by the speaker before, or the node has just started
	}
	for _, n := range s.Cluster.Read().Nodes {
		if n.Name == s.Node {
			s.Cluster.Event(n, corev1.EventTypeNormal, string(now.Reason), now.Message)
		}
	}
}

// stepLog are the log's messages, by reason.
var stepLog = map[intent.Reason]string{
	status.ReasonRoutesMarked:    "node leaves service: its routes are marked",
	status.ReasonRoutesWithdrawn: "node is out of service: its routes are withdrawn",
	status.ReasonNotForwarding:   "node does not announce yet",
	status.ReasonInService:       "node is in service",
}
