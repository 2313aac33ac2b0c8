// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

func TestAggregate(t *testing.T) {
	aggregate := base + ad("x", "aggregationLength: 28, aggregationLengthV6: 120")
	two := aggregate + service("one", "192.0.2.17", "", "n1") + service("two", "192.0.2.30", "", "n1")
	p := planned(t, two+service("three", "192.0.2.33", "", "n1")).Plan
	if got := route(p, "192.0.2.16/28"); got != "x.v4 [default/one default/two]" {
		t.Errorf("aggregate: %s", got)
	}
	if got := route(p, "192.0.2.32/28"); got != "x.v4 [default/three]" {
		t.Errorf("the other aggregate: %s", got)
	}
	if got := len(p.Routers[0].Routes); got != 2 {
		t.Errorf("%d routes, want the two aggregates:\n%s", got, show(p))
	}
	// It goes with its last contributor, not before.
	if got := route(planned(t, aggregate+service("one", "192.0.2.17", "", "n1")+service("two", "192.0.2.30", "")).Plan, "192.0.2.16/28"); got != "x.v4 [default/one]" {
		t.Errorf("one contributor less: %s", got)
	}
	if got := len(planned(t, aggregate+service("one", "192.0.2.17", "")+service("two", "192.0.2.30", "")).Plan.Routers[0].Routes); got != 0 {
		t.Errorf("%d routes without a contributor", got)
	}
	// One Service, two addresses under it: counted once.
	six := twoNodes + pool("a", "'fd00::/64'") + peer("tor1", "fd00:1::1", "") + ad("x", "aggregationLengthV6: 120")
	if got := route(planned(t, six+service("one", "fd00::1 fd00::2", "", "n1")).Plan, "fd00::/120"); got != "x.v6 [default/one]" {
		t.Errorf("two addresses of one Service: %s", got)
	}
}

// A prefix made both as an aggregate and for itself is two prefixes.
func TestAggregateBesideItsParts(t *testing.T) {
	p := planned(t, base+ad("hosts", "")+ad("nets", "aggregationLength: 24, peers: [tor1]")+service("one", "192.0.2.0", "", "n1")).Plan
	if a, b := route(p, "192.0.2.0/24"), route(p, "192.0.2.0/32"); a != "nets.v4 [default/one]" || b != "hosts.v4 [default/one]" || len(p.Routers[0].Routes) != 2 {
		t.Errorf("%s, %s:\n%s", a, b, show(p))
	}
}

// A prefix of two advertisements is one class, with the communities of both and
// the higher preference; each neighbour gets of it what goes to it.
func TestClassOfTwoAdvertisements(t *testing.T) {
	ibgp := strings.ReplaceAll(peer("rr", "10.0.0.9", "")+peer("rr2", "10.0.0.8", ""), "65000", "64512")
	p := planned(t, base+ibgp+
		ad("z", "communities: ['2:2', '1:1', 'large:1:2:3'], localPref: 200")+
		ad("x", "communities: ['3:3', '1:1'], localPref: 1000, peers: [tor1, rr]")+web).Plan
	if got := route(p, "192.0.2.7/32"); got != "x+z.v4 [default/web]" {
		t.Errorf("route: %s", got)
	}
	for session, want := range map[string]string{
		"10.0.0.1": "0 [1:1 2:2 3:3 large:1:2:3]",
		"10.0.0.9": "1000 [1:1 2:2 3:3 large:1:2:3]",
		"10.0.0.8": "200 [1:1 2:2 large:1:2:3]",
	} {
		if got := export(p, session, "x+z.v4"); got != want {
			t.Errorf("%s is offered %s, want %s", session, got, want)
		}
	}
	if got := len(p.Routers[0].Classes); got != 1 {
		t.Errorf("%d classes:\n%s", got, show(p))
	}
}

// Two Services share an address and differ in their advertisements: the route is
// of the class of all of them, until one Service goes.
func TestClassOfSharedAddress(t *testing.T) {
	manifests := base + ad("one", "communities: ['1:1'], serviceSelectors: [{matchLabels: {name: first}}]") +
		ad("two", "communities: ['2:2'], serviceSelectors: [{matchLabels: {name: second}}]")
	first, second := service("first", "192.0.2.7", "", "n1"), service("second", "192.0.2.7", "", "n1")
	p := planned(t, manifests+first+second).Plan
	if a, b := route(p, "192.0.2.7/32"), export(p, "10.0.0.1", "one+two.v4"); a != "one+two.v4 [default/first default/second]" || b != "0 [1:1 2:2]" {
		t.Errorf("both: %s, %s", a, b)
	}
	if len(p.Routers[0].Classes) != 1 {
		t.Errorf("classes that no route has:\n%s", show(p))
	}
	p = planned(t, manifests+first+service("second", "192.0.2.7", "")).Plan
	if a, b := route(p, "192.0.2.7/32"), export(p, "10.0.0.1", "one.v4"); a != "one.v4 [default/first]" || b != "0 [1:1]" {
		t.Errorf("one of them: %s, %s", a, b)
	}
}

func TestFamiliesOfSessions(t *testing.T) {
	unnumbered := strings.Replace(peer("u", "x", ""), "peerAddress: 'x'", "interface: eth1", 1)
	p := planned(t, base+peer("six", "fd00:1::1", "")+peer("both", "10.0.0.2", ", dualStackAddressFamily: true")+unnumbered+
		ad("x", "")+service("web", "192.0.2.7 fd00::7", "", "n1")).Plan
	want := map[string][2]string{"10.0.0.1": {"0 []", "nothing"}, "fd00:1::1": {"nothing", "0 []"}, "10.0.0.2": {"0 []", "0 []"}, "eth1": {"0 []", "0 []"}}
	for session, w := range want {
		if got := [2]string{export(p, session, "x.v4"), export(p, session, "x.v6")}; got != w {
			t.Errorf("session %s is offered %v, want %v", session, got, w)
		}
	}
	if got := len(p.Routers[0].Sessions); got != len(want) {
		t.Errorf("%d sessions", got)
	}
}

// Each VRF has a router of its own, and a route only where a session takes it.
func TestRoutersOfVRFs(t *testing.T) {
	p := planned(t, base+peer("red", "10.0.0.1", ", vrf: red")+peer("blue", "10.0.0.1", ", vrf: blue")+
		ad("x", "ipAddressPools: [a], peers: [tor1, red], communities: ['1:1']")+ad("z", "ipAddressPools: [b], peers: [blue]")+
		pool("b", "198.51.100.0/24")+web+service("web2", "198.51.100.1", "", "n1")).Plan
	var got []string
	for _, r := range p.Routers {
		for prefix := range r.Routes {
			got = append(got, fmt.Sprintf("%s %s %s", r.VRF, r.Sessions[0].ID, prefix))
		}
	}
	slices.Sort(got)
	want := []string{" 10.0.0.1 192.0.2.7/32", "blue 10.0.0.1-blue 198.51.100.1/32", "red 10.0.0.1-red 192.0.2.7/32"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if p.Routers[0].VRF != "" || p.Routers[1].VRF != "blue" || p.Routers[2].VRF != "red" {
		t.Errorf("order of the routers:\n%s", show(p))
	}
}

// A node without IPv4 address gets a router ID, always the same; others do not.
func TestRouterID(t *testing.T) {
	six := peer("tor1", "fd00:1::1", "")
	id := func(nodes string) string { return planned(t, nodes+six).Plan.Routers[0].RouterID.String() }
	v6 := node("n1", "", "addresses: [{type: InternalIP, address: 'fd00::11'}, {type: ExternalIP, address: 192.0.2.1}]")
	if a, b := id(v6), id(v6); a != b || a == "invalid IP" {
		t.Errorf("IPv6-only node: %s, then %s", a, b)
	}
	both := node("n1", "", "addresses: [{type: InternalIP, address: 'fd00::11'}, {type: InternalIP, address: 10.0.0.1}]")
	if got := id(both); got != "invalid IP" {
		t.Errorf("node with an IPv4 address: %s, want FRR to choose", got)
	}
	if got := planned(t, v6+peer("tor1", "fd00:1::1", ", routerID: 1.2.3.4")).Plan.Routers[0].RouterID.String(); got != "1.2.3.4" {
		t.Errorf("router ID %s, want the peer's", got)
	}
}

// Only the profiles of the node's sessions are the node's.
func TestProfilesOfNode(t *testing.T) {
	profile := func(name string) string { return object("BFDProfile", name, "}") }
	p := planned(t, base+profile("b")+profile("a")+profile("unused")+peer("t2", "10.0.0.2", ", bfdProfile: b")+peer("t3", "10.0.0.3", ", bfdProfile: a")+
		peer("t4", "10.0.0.4", ", bfdProfile: a")+peer("t5", "10.0.0.5", ", bfdProfile: unused, "+strings.ReplaceAll(hostname, "%s", "n2"))).Plan
	if len(p.BFDProfiles) != 2 || p.BFDProfiles[0].Name != "a" || p.BFDProfiles[1].Name != "b" {
		t.Errorf("profiles %v", p.BFDProfiles)
	}
}

// No peer: nothing to run. No node: nothing either.
func TestEmptyPlan(t *testing.T) {
	if p := planned(t, n1+pool("a", "192.0.2.0/24")).Plan; len(p.Routers) != 0 || p.Node != "n1" {
		t.Errorf("%+v", p)
	}
	in := intent.Resolve(nil, read(t, base))
	if p := plan.ForNode(nil, in, plan.NodeFacts{Name: "gone", Forwarding: true}).Plan; len(p.Routers) != 0 {
		t.Errorf("a node that is not in the cluster runs:\n%s", show(p))
	}
}
