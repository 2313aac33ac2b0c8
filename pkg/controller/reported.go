// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/pkg/api/v1beta1"
	"metallb.io/metallb-frr/pkg/cluster"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/status"
)

// reported is what the speakers published, gathered anew where some of it changed.
type reported struct {
	states    []*v1beta1.ConfigurationState
	nodes     []*intent.Node
	reports   *status.Reports
	conflicts *status.Conflicts
}

func (r *reported) take(states []*v1beta1.ConfigurationState, nodes []*intent.Node) {
	if r.reports != nil && slices.Equal(r.states, states) && slices.Equal(r.nodes, nodes) {
		return
	}
	r.states, r.nodes = states, nodes
	r.reports, r.conflicts = status.NewReports(states), status.NewConflicts(states, nodes)
}

// notForwarding returns the nodes whose speakers say that they announce nothing,
// since kube-proxy there is not ready.
func notForwarding(states []*v1beta1.ConfigurationState) []string {
	var nodes []string
	for _, s := range states {
		c := status.Find(s.Status.Conditions, v1beta1.ConditionInService)
		if c == nil || c.Status == metav1.ConditionTrue || c.Reason != string(status.ReasonNotForwarding) {
			continue
		}
		if node, ok := strings.CutPrefix(s.Name, v1beta1.SpeakerStatePrefix); ok {
			nodes = append(nodes, node)
		}
	}
	return nodes
}

// layer2Of returns what reads the ServiceL2Statuses of a Cluster; known is false
// until they have been listed.
func layer2Of(c *cluster.Cluster) func() (all []*v1beta1.ServiceL2Status, known bool) {
	var objects []client.Object
	var last []*v1beta1.ServiceL2Status
	return func() ([]*v1beta1.ServiceL2Status, bool) {
		now, known := c.ServiceL2Statuses().All()
		if slices.Equal(now, objects) {
			return last, known
		}
		objects, last = now, make([]*v1beta1.ServiceL2Status, len(now))
		for i, o := range now {
			last[i] = o.(*v1beta1.ServiceL2Status)
		}
		return last, known
	}
}
