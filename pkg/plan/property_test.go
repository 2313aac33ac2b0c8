// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// cluster changes at random, as clusters do.
type cluster struct {
	*rand.Rand
	s     *intent.Snapshot
	facts plan.NodeFacts
}

func newCluster(t *testing.T, seed uint64) *cluster {
	s := read(t, twoNodes+pool("a", "192.0.2.0/24, 'fd00::/64'")+pool("b", "198.51.100.0/24")+
		peer("tor1", "10.0.0.1", "")+peer("tor2", "10.0.0.2", ", dualStackAddressFamily: true")+peer("six", "fd00:1::1", ", vrf: red")+
		ad("hosts", "communities: ['1:1']")+ad("nets", "aggregationLength: 28, aggregationLengthV6: 120, localPref: 5, peers: [tor2, six]")+
		ad("some", "serviceSelectors: [{matchLabels: {some: 'yes'}}]"))
	return &cluster{rand.New(rand.NewPCG(seed, 7)), s, plan.NodeFacts{Name: "n1", Forwarding: true}}
}

func (c *cluster) change() {
	s := *c.s
	c.s = &s
	switch i := c.IntN(40); {
	case i == 0:
		c.facts.Forwarding = !c.facts.Forwarding
	case i == 3:
		c.facts.Marking = !c.facts.Marking
	case i == 1:
		s.BGPAds = slices.Clone(s.BGPAds)
		changed := s.BGPAds[0].DeepCopy()
		changed.Spec.Communities = []string{fmt.Sprintf("1:%d", c.IntN(5))}
		s.BGPAds[0] = changed
	case i == 2:
		s.Nodes = slices.Clone(s.Nodes)
		changed := s.Nodes[0].DeepCopy()
		changed.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeNetworkUnavailable, Status: []corev1.ConditionStatus{"True", "False"}[c.IntN(2)]}}
		s.Nodes[0] = changed
	case i < 10 && len(s.Services) > 0:
		s.Services = slices.Clone(s.Services)
		at := c.IntN(len(s.Services))
		s.Services = slices.Delete(s.Services, at, at+1)
	case i < 20 && len(s.EndpointSlices) > 0:
		at := c.IntN(len(s.EndpointSlices))
		s.EndpointSlices = slices.Delete(slices.Clone(s.EndpointSlices), at, at+1)
	default:
		for range 1 + c.IntN(3) {
			c.set(fmt.Sprintf("s%02d", c.IntN(30)))
		}
	}
}

// set creates a Service or changes it.
func (c *cluster) set(name string) {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
	if c.IntN(3) == 0 {
		svc.Labels = map[string]string{"some": "yes"}
	}
	if c.IntN(3) == 0 {
		svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	}
	addrs := []string{fmt.Sprintf("192.0.2.%d", c.IntN(48)), fmt.Sprintf("fd00::%x", c.IntN(512))}
	for _, addr := range addrs[c.IntN(2):] {
		svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: addr})
	}
	nodeName := fmt.Sprintf("n%d", 1+c.IntN(2))
	endpoints := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name + "-a", Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"1.1.1.1"}, NodeName: &nodeName}},
	}
	c.s.Services = append(slices.DeleteFunc(slices.Clone(c.s.Services), func(o *corev1.Service) bool { return o.Name == name }), svc)
	c.s.EndpointSlices = append(slices.DeleteFunc(slices.Clone(c.s.EndpointSlices), func(o *discoveryv1.EndpointSlice) bool { return o.Name == endpoints.Name }), endpoints)
	c.s.Sort()
}

// Over any history, planning with what was planned before gives what planning
// anew gives, and leaves what was planned before as it was.
func TestForNodeWithPrevious(t *testing.T) {
	for seed := range uint64(30) {
		c := newCluster(t, seed)
		var in *intent.Intent
		var prev *plan.Result
		routes := 0
		for step := range 60 {
			c.change()
			in = intent.Resolve(in, c.s)
			before, was := prev, ""
			if before != nil {
				was = show(before.Plan)
			}
			prev = plan.ForNode(prev, in, c.facts)
			fresh := plan.ForNode(nil, intent.Resolve(nil, c.s), c.facts)
			if d := cmp.Diff(show(fresh.Plan), show(prev.Plan)); d != "" {
				t.Fatalf("seed %d, step %d: plans differ (-anew +with previous):\n%s", seed, step, d)
			}
			if d := cmp.Diff(decisions(fresh), decisions(prev)); d != "" {
				t.Fatalf("seed %d, step %d: decisions differ (-anew +with previous):\n%s", seed, step, d)
			}
			checkChanged(t, before, prev)
			if before != nil && show(before.Plan) != was {
				t.Fatalf("seed %d, step %d: planning changed the plan before", seed, step)
			}
			checkTouched(t, before, prev)
			routes += len(prev.Plan.Routers[0].Routes)
		}
		if routes == 0 {
			t.Errorf("seed %d: nothing was ever announced", seed)
		}
	}
}

// checkTouched: what Touched leaves out is the same Route as before.
func checkTouched(t *testing.T, before, now *plan.Result) {
	t.Helper()
	for i, r := range now.Plan.Routers {
		if before == nil || i >= len(before.Plan.Routers) {
			continue
		}
		prefixes, known := r.Touched(before.Plan.Routers[i])
		if !known {
			continue
		}
		for prefix, route := range r.Routes {
			if !slices.Contains(prefixes, prefix) && before.Plan.Routers[i].Routes[prefix] != route {
				t.Fatalf("%s changed and is not among the touched %v", prefix, prefixes)
			}
		}
		for prefix := range before.Plan.Routers[i].Routes {
			if !slices.Contains(prefixes, prefix) && r.Routes[prefix] == nil {
				t.Fatalf("%s went and is not among the touched %v", prefix, prefixes)
			}
		}
	}
}

func decisions(r *plan.Result) string { return fmt.Sprintf("%+v", r.Decisions) }

// checkChanged: what was before, without what Changed says is gone and with what
// it says is new, is what is.
func checkChanged(t *testing.T, before, after *plan.Result) {
	t.Helper()
	have := map[intent.Key]string{}
	if before != nil {
		for _, d := range before.Decisions {
			have[d.Service] = fmt.Sprintf("%+v", d)
		}
	}
	was, is := after.Changed(before)
	for _, d := range was {
		if have[d.Service] != fmt.Sprintf("%+v", d) {
			t.Errorf("gone is %+v, which was not there", d)
		}
		delete(have, d.Service)
	}
	for _, d := range is {
		if _, there := have[d.Service]; there {
			t.Errorf("new is %+v beside an older one", d)
		}
		have[d.Service] = fmt.Sprintf("%+v", d)
	}
	want := map[intent.Key]string{}
	for _, d := range after.Decisions {
		want[d.Service] = fmt.Sprintf("%+v", d)
	}
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("what Changed says leads elsewhere (-want +got):\n%s", d)
	}
}
