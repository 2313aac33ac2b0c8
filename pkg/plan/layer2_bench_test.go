// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// BenchmarkElect measures, with 10,000 Services and 100 nodes that announce them
// in layer 2, a speaker's first pass, one change of a Service, a death with all
// that moves by it, an address that is published, and a change of the Config.
func BenchmarkElect(b *testing.B) {
	manifests := pool("a", "10.0.0.0/16") + l2("x", "interfaces: [eth0]") + l2("z", "preferredNodeSelectors: [{weight: 5, preference: {matchLabels: {a: b}}}]")
	var names []string
	for i := range 100 {
		names = append(names, fmt.Sprintf("n%03d", i))
		manifests += node(names[i], "", "") + links(names[i], fmt.Sprintf("eth0 10.0.%d.1/16", i))
	}
	s := read(b, manifests)
	one := read(b, service("web", "10.0.0.1", "", "n001"))
	for i := range 10000 {
		svc, endpoints := one.Services[0].DeepCopy(), one.EndpointSlices[0].DeepCopy()
		svc.Name = fmt.Sprintf("s%06d", i)
		svc.Status.LoadBalancer.Ingress[0].IP = fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250)
		endpoints.Name = svc.Name
		endpoints.Labels["kubernetes.io/service-name"] = svc.Name
		s.Services, s.EndpointSlices = append(s.Services, svc), append(s.EndpointSlices, endpoints)
	}
	in := intent.Resolve(nil, s)
	all, less := plan.NewAlive(names...), plan.NewAlive(names[1:]...)
	facts := plan.NodeFacts{Name: "n001", Forwarding: true, Alive: all}
	first := plan.ForNode(nil, in, facts)
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			plan.ForNode(nil, in, facts)
		}
	})
	b.Run("service", func(b *testing.B) {
		r, in := first, in
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			next := *s
			next.Services = slices.Clone(s.Services)
			next.Services[i%10000] = next.Services[i%10000].DeepCopy()
			in = intent.Resolve(in, &next)
			r = plan.ForNode(r, in, facts)
		}
	})
	b.Run("death", func(b *testing.B) {
		r := first
		for i := 0; b.Loop(); i++ {
			facts.Alive = []*plan.Alive{less, all}[i%2]
			before := r
			r = plan.ForNode(r, in, facts)
			if _, is := r.ChangedL2(before); len(is) < 50 || len(is) > 200 {
				b.Fatalf("%d decisions changed, want about a hundredth of 10,000", len(is))
			}
		}
	})
	b.Run("held", func(b *testing.B) {
		r, facts := first, facts
		for i := 0; b.Loop(); i++ {
			a := []netip.Addr{r.Plan.Announcements[i%10000].Addr}
			facts.Held = facts.Held.With(a, nil)
			if r = plan.ForNode(r, in, facts); !r.Plan.Announcements[i%10000].Held {
				b.Fatalf("%s is not held", a)
			}
		}
	})
	b.Run("config", func(b *testing.B) {
		r, in := first, in
		for i := 0; b.Loop(); i++ {
			next := *s
			next.Nodes = slices.Clone(s.Nodes)
			next.Nodes[0] = next.Nodes[0].DeepCopy()
			next.Nodes[0].Labels = map[string]string{"i": fmt.Sprint(i)}
			in = intent.Resolve(in, &next)
			r = plan.ForNode(r, in, facts)
		}
	})
}
