// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metallb.io/metallb-frr/pkg/bgp"
	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

func forwarding(n *intent.Node) plan.NodeFacts {
	return plan.NodeFacts{Name: n.Name, Forwarding: n.Name != "n2" || n.Leaving == nil}
}

// Who announces what, worked out for all nodes together and from one change to
// the next, is what planning every node by itself gives.
func TestAnnouncersAreWhatEveryNodeDecides(t *testing.T) {
	some, why := 0, 0
	for seed := range uint64(20) {
		c := newCluster(t, seed)
		var in *intent.Intent
		var all *plan.Announcers
		for step := range 60 {
			c.change()
			in = intent.Resolve(in, c.s)
			all = plan.ForNodes(all, in, forwarding)
			want := make([][]string, len(in.Services))
			total := 0
			for _, n := range in.Nodes {
				for i, d := range plan.ForNode(nil, in, forwarding(n)).Decisions {
					if d.Announce {
						want[i] = append(want[i], n.Name)
						total++
					}
				}
			}
			got := make([][]string, len(all.Reaches))
			for i, r := range all.Reaches {
				got[i] = r.Nodes
			}
			if diff := cmp.Diff(want, got); diff != "" || total != all.Total {
				t.Fatalf("seed %d, step %d: %d in all, want %d; by node and together (-want +got):\n%s", seed, step, all.Total, total, diff)
			}
			some += total
			why += checkWhy(t, in, all)
		}
	}
	if why == 0 {
		t.Error("no Service was announced by nobody: no obstacle was compared")
	}
	if some == 0 {
		t.Error("nobody announced anything in any step: nothing was compared")
	}
}

// checkWhy compares why nobody announces a Service with why each node does not, and
// returns how many there were.
func checkWhy(t *testing.T, in *intent.Intent, all *plan.Announcers) int {
	t.Helper()
	n := 0
	reasons := make([][]intent.Reason, len(in.Services))
	for _, node := range in.Nodes {
		for i, d := range plan.ForNode(nil, in, forwarding(node)).Decisions {
			reasons[i] = append(reasons[i], d.Reason)
		}
	}
	for i, s := range in.Services {
		if len(all.Reaches[i].Nodes) > 0 || len(s.Addresses) == 0 || len(in.Nodes) == 0 {
			continue
		}
		n++
		if o := all.Why(i, bgp.FamilyOf(s.Addresses[0])); !slices.Contains(reasons[i], o.Reason) || o.Message == "" {
			t.Fatalf("%s: nobody announces it for %s: %s; by node %v", s.Key, o.Reason, o.Message, reasons[i])
		}
	}
	return n
}

// BenchmarkForNodes measures one change among 10,000 Services, and all of them
// anew, with 100 nodes.
func BenchmarkForNodes(b *testing.B) {
	manifests := pool("a", "10.0.0.0/16") + peer("tor1", "172.16.0.1", "") + peer("tor2", "172.16.0.2", "") + ad("hosts", "") + ad("nets", "aggregationLength: 24")
	for i := range 100 {
		manifests += node(fmt.Sprintf("n%03d", i), "", "")
	}
	s := read(b, manifests)
	one := read(b, service("web", "10.0.0.1", "", "n001")).Services[0]
	slicesOf := read(b, service("web", "10.0.0.1", "", "n001")).EndpointSlices[0]
	for i := range 10000 {
		svc, endpoints := one.DeepCopy(), slicesOf.DeepCopy()
		svc.Name = fmt.Sprintf("s%06d", i)
		svc.Status.LoadBalancer.Ingress[0].IP = fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250)
		endpoints.Name = svc.Name
		endpoints.Labels["kubernetes.io/service-name"] = svc.Name
		s.Services, s.EndpointSlices = append(s.Services, svc), append(s.EndpointSlices, endpoints)
	}
	in := intent.Resolve(nil, s)
	all := plan.ForNodes(nil, in, forwarding)
	if all.Total != 1000000 {
		b.Fatalf("%d pairs, want a million", all.Total)
	}
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			plan.ForNodes(nil, in, forwarding)
		}
	})
	b.Run("one", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			next := *s
			next.Services = slices.Clone(s.Services)
			next.Services[i%10000] = next.Services[i%10000].DeepCopy()
			in = intent.Resolve(in, &next)
			all = plan.ForNodes(all, in, forwarding)
		}
	})
}
