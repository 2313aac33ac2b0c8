// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go4.org/netipx"
	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/pkg/intent"
)

// What is found of ClusterIPs with what was found before is what is found anew, and
// does not change with each Service.
func TestClusterIPsWithPrevious(t *testing.T) {
	s := read(t, pool("a", "{addresses: [10.96.0.0/24]}")+pool("b", "{addresses: [10.96.1.0/24, 'fd00::/64']}")+
		service("mine", "", "")+clusterService("b", "10.96.0.2")+clusterService("d", "10.96.0.4")+clusterService("f", "None"))
	prev := intent.Resolve(nil, s)
	step := func(name string, change func(*intent.Snapshot), want ...string) {
		t.Helper()
		next := *s
		next.Services = slices.Clone(s.Services)
		change(&next)
		next.Sort()
		s = &next
		in := intent.Resolve(prev, s)
		if d := cmp.Diff(intent.Resolve(nil, s).Findings, in.Findings, cmp.Comparer(func(a, b netipx.IPRange) bool { return a == b })); d != "" {
			t.Errorf("%s (-anew +with previous):\n%s", name, d)
		}
		var got []string
		for _, f := range in.Findings {
			if f.Reason == intent.PoolHoldsClusterIP {
				got = append(got, f.Object.Name+" "+f.Message[len("holds "):])
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		for i := range min(len(got), len(want)) {
			if got[i][:len(want[i])] != want[i] {
				t.Errorf("%s: %q, want %q", name, got[i], want[i])
			}
		}
		prev = in
	}
	add := func(name, addr string) func(*intent.Snapshot) {
		return func(s *intent.Snapshot) {
			s.Services = append(s.Services, read(t, clusterService(name, addr)).Services...)
		}
	}
	drop := func(name string) func(*intent.Snapshot) {
		return func(s *intent.Snapshot) {
			s.Services = slices.DeleteFunc(s.Services, func(o *corev1.Service) bool { return o.Name == name })
		}
	}
	const of = ", the ClusterIP of Service default/"
	step("nothing", func(*intent.Snapshot) {}, "a 10.96.0.2"+of+"b;")
	step("another, later", add("c", "10.96.0.3"), "a 10.96.0.2"+of+"b;")
	step("another, first", add("a", "10.96.0.1"), "a 10.96.0.1"+of+"a;")
	step("another pool", add("e", "fd00::1"), "a 10.96.0.1"+of+"a;", "b fd00::1"+of+"e;")
	step("the first goes", drop("a"), "a 10.96.0.2"+of+"b;", "b fd00::1"+of+"e;")
	step("another that is in none", add("z", "10.97.0.1"), "a 10.96.0.2"+of+"b;", "b fd00::1"+of+"e;")
	step("the pool changes", func(s *intent.Snapshot) {
		s.Pools = read(t, pool("a", "{addresses: [10.96.0.3-10.96.0.5]}")).Pools
	}, "a 10.96.0.3"+of+"c;")
	step("all go", func(s *intent.Snapshot) { s.Services = nil })
}
