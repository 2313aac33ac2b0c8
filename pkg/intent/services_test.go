// SPDX-License-Identifier: Apache-2.0

package intent_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
)

func parse(text string) netip.Addr { return netip.MustParseAddr(text) }

func TestEndpoints(t *testing.T) {
	for _, row := range []struct {
		name, list string
		serving    bool
		nodes      string
	}{
		{"none", "", false, "[]"},
		{"ready", "{addresses: [1.1.1.1], nodeName: a, conditions: {ready: true}}", true, "[a]"},
		{"conditions unknown", "{addresses: [1.1.1.1], nodeName: a}", true, "[a]"},
		{"not ready", "{addresses: [1.1.1.1], nodeName: a, conditions: {ready: false}}", false, "[]"},
		{"not ready and serving not known", "{addresses: [1.1.1.1], nodeName: a, conditions: {ready: false, terminating: true}}", false, "[]"},
		{"draining alone", "{addresses: [1.1.1.1], nodeName: a, conditions: {ready: false, serving: true, terminating: true}}", true, "[a]"},
		{"draining here, ready elsewhere", "{addresses: [1.1.1.1], nodeName: a, conditions: {ready: false, serving: true}}, {addresses: [1.1.1.2], nodeName: b, conditions: {ready: true}}", true, "[b]"},
		{"ready on no node known, draining on one", "{addresses: [1.1.1.1], conditions: {ready: true}}, {addresses: [1.1.1.2], nodeName: b, conditions: {ready: false, serving: true}}", true, "[]"},
		{"on no node known", "{addresses: [1.1.1.1]}", true, "[]"},
		{"without an address", "{addresses: [], nodeName: a}", false, "[]"},
		{"ready on two", "{addresses: [1.1.1.1], nodeName: b}, {addresses: [1.1.1.2], nodeName: a}", true, "[a b]"},
	} {
		for _, split := range []bool{false, true} {
			manifests := service("s", "", "") + endpoints("s-1", "s", row.list) + endpoints("other", "t", "{addresses: [1.1.1.9], nodeName: z}")
			if split {
				manifests += endpoints("s-2", "s", "{addresses: [1.1.1.8], nodeName: y, conditions: {ready: false}}")
			}
			s := resolve(t, manifests).Services[0]
			if got := fmt.Sprint(slices.Sorted(maps.Keys(s.ServingNodes))); s.Serving != row.serving || got != row.nodes {
				t.Errorf("%s: serving %v on %s, want %v on %s", row.name, s.Serving, got, row.serving, row.nodes)
			}
		}
	}
}

func TestWhichServicesAreOurs(t *testing.T) {
	s := read(t, service("plain", "", "")+service("classed", "", ", loadBalancerClass: example.com/lb")+
		service("other", "", ", loadBalancerClass: example.com/other")+
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: internal}\nspec: {type: ClusterIP}\n")
	for class, want := range map[string]string{"": "[default/plain]", "example.com/lb": "[default/classed]", "none": "[]"} {
		s.LoadBalancerClass = class
		keys := []intent.Key{}
		for _, svc := range intent.Resolve(nil, s).Services {
			keys = append(keys, svc.Key)
		}
		if fmt.Sprint(keys) != want {
			t.Errorf("class %q: %v, want %s", class, keys, want)
		}
	}
}

func TestServiceFields(t *testing.T) {
	const meta = ", annotations: {metallb.io/address-pool: new, metallb.universe.tf/address-pool: old, metallb.io/ip-allocated-from-pool: was}"
	s := resolve(t, `---
apiVersion: v1
kind: Service
metadata: {name: s`+meta+`}
spec:
  type: LoadBalancer
  clusterIPs: ["fd00::1", 10.96.0.1]
  ipFamilies: [IPv6, IPv4]
  ipFamilyPolicy: PreferDualStack
  externalTrafficPolicy: Local
status:
  loadBalancer: {ingress: [{ip: "2001:db8::1"}, {ip: 192.0.2.1}, {hostname: x}]}
  conditions: [{type: metallb.io/AddressAssigned, status: "True", lastTransitionTime: "2026-07-01T00:00:00Z"}]
`).Services[0]
	got := fmt.Sprintf("%v %v %v %v %v %v %v %v", s.Families, s.Primary, s.DualStack, s.RequestedPool, s.AssignedPool, s.Addresses, s.Local, s.AssignedSince)
	if want := "[ipv4 ipv6] ipv6 PreferDualStack new was [192.0.2.1 2001:db8::1] true 2026-07-01 00:00:00 +0000 UTC"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if s := resolve(t, service("s", ", annotations: {metallb.io/address-pool: '', metallb.universe.tf/address-pool: old}", "")).Services[0]; s.RequestedPool != "" {
		t.Errorf("an empty annotation must win over the legacy one, got %q", s.RequestedPool)
	}
	if s := resolve(t, service("s", ", annotations: {metallb.universe.tf/address-pool: old}", "")).Services[0]; s.RequestedPool != "old" {
		t.Errorf("legacy annotation: pool %q, want old", s.RequestedPool)
	}
	if s := resolve(t, service("s", ", annotations: {metallb.universe.tf/ip-allocated-from-pool: old}", "")).Services[0]; s.AssignedPool != "" {
		t.Errorf("pool %q written under the legacy key alone must be written anew", s.AssignedPool)
	}
	if s := resolve(t, service("s", "", ", loadBalancerIP: '::ffff:192.0.2.9'")).Services[0]; fmt.Sprint(s.Requested) != "[192.0.2.9]" {
		t.Errorf("requested %v, want the IPv4 address", s.Requested)
	}
}

// A request that cannot be read takes nothing away.
func TestBlockedServiceKeepsItsAddress(t *testing.T) {
	s := resolve(t, service("s", "", ", loadBalancerIP: nonsense")+"status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}\n").Services[0]
	if s.Blocked == nil || fmt.Sprint(s.Addresses) != "[192.0.2.1]" || s.Requested != nil {
		t.Errorf("blocked %v, addresses %v, requested %v", s.Blocked, s.Addresses, s.Requested)
	}
}

func TestPoolContains(t *testing.T) {
	in := resolve(t, pool("a", "{addresses: [192.0.2.0/24, 'fd00::/120'], avoidBuggyIPs: true}"))
	for addr, want := range map[string]bool{
		"192.0.2.0": false, "192.0.2.1": true, "192.0.2.254": true, "192.0.2.255": false, "192.0.3.1": false,
		"fd00::": true, "fd00::ff": true, "fd00::100": false,
	} {
		if got := in.PoolOf(parse(addr)) != nil; got != want {
			t.Errorf("%s is in the pool: %v, want %v", addr, got, want)
		}
	}
}
