// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// A node that is to leave service announces while it marks its routes, and
// nothing after that. Of a node in service, marking says nothing.
func TestLeaving(t *testing.T) {
	const label = ", labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}"
	rest := n2 + pool("a", "192.0.2.0/24") + peer("tor1", "10.0.0.1", "") + ad("x", "") + web
	drained := "spec: {unschedulable: true, taints: [{key: example.com/repair, value: disk, effect: NoExecute}]}\n"
	for _, row := range []struct {
		name, node, drainOn string
		marking             bool
		announces, marked   bool
		reason              intent.Reason
		says                string
	}{
		{"in service", node("n1", "", ready), "cordon", false, true, false, "", ""},
		{"in service, asked to mark", node("n1", "", ready), "cordon", true, true, false, "", ""},
		{"label, first step", node("n1", label, ready), "", true, true, true, "", ""},
		{"label, second step", node("n1", label, ready), "", false, false, true, plan.NodeExcluded, "exclude-from"},
		{"cordon, not asked for", node("n1", "", ready) + drained, "", false, true, false, "", ""},
		{"cordon, first step", node("n1", "", ready) + drained, "cordon", true, true, true, "", ""},
		{"cordon, second step", node("n1", "", ready) + drained, "cordon", false, false, true, plan.NodeDraining, "node n1 is cordoned (spec.unschedulable)"},
		{"taint, second step", node("n1", "", ready) + drained, "example.com/repair", false, false, true, plan.NodeDraining, "node n1 has the taint example.com/repair=disk:NoExecute"},
		{"the network counts first", node("n1", label, "conditions: [{type: NetworkUnavailable, status: 'True'}]") + drained, "cordon", false, false, true, plan.NodeNetworkUnavailable, "NetworkUnavailable"},
		{"the label counts before the list", node("n1", label, ready) + drained, "cordon", false, false, true, plan.NodeExcluded, "exclude-from"},
	} {
		s := read(t, row.node+rest)
		var err error
		if s.DrainOn, err = intent.ParseDrainOn(row.drainOn); err != nil {
			t.Fatal(err)
		}
		r := plan.ForNode(nil, intent.Resolve(nil, s), plan.NodeFacts{Name: "n1", Forwarding: true, Marking: row.marking})
		d, router := r.Decisions[0], r.Plan.Routers[0]
		if d.Announce != row.announces || d.Reason != row.reason || !strings.Contains(d.Message, row.says) {
			t.Errorf("%s: announces %v, %s: %q; want %v, %s: %q", row.name, d.Announce, d.Reason, d.Message, row.announces, row.reason, row.says)
		}
		if announced := len(router.Routes) > 0; announced != row.announces || router.Marked != row.marked {
			t.Errorf("%s: routes %v, marked %v; want %v, %v", row.name, announced, router.Marked, row.announces, row.marked)
		}
		if len(router.Sessions) != 1 {
			t.Errorf("%s: %d sessions; they stay, whatever the node announces", row.name, len(router.Sessions))
		}
		other := plan.ForNode(nil, intent.Resolve(nil, s), plan.NodeFacts{Name: "n2", Forwarding: true})
		if !other.Decisions[0].Announce || other.Plan.Routers[0].Marked {
			t.Errorf("%s: node n2 takes part: %+v", row.name, other.Decisions[0])
		}
	}
}

// A node that leaves does not announce what it would not announce anyway.
func TestMarkingAnnouncesNothingMore(t *testing.T) {
	s := read(t, node("n1", ", labels: {node.kubernetes.io/exclude-from-external-load-balancers: ''}", ready)+n2+
		pool("a", "192.0.2.0/24")+peer("tor1", "10.0.0.1", "")+ad("x", "")+service("web", "192.0.2.7", local, "n2"))
	in := intent.Resolve(nil, s)
	if d := plan.ForNode(nil, in, plan.NodeFacts{Name: "n1", Forwarding: true, Marking: true}).Decisions[0]; d.Reason != plan.NoLocalEndpoint {
		t.Errorf("without an endpoint: %+v", d)
	}
	if d := plan.ForNode(nil, in, plan.NodeFacts{Name: "n1", Marking: true}).Decisions[0]; d.Reason != plan.NodeNotForwarding {
		t.Errorf("without kube-proxy: %+v", d)
	}
}
