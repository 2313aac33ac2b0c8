// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"metallb.io/metallb-frr/e2e/product"
	"metallb.io/metallb-frr/pkg/api/v1beta1"
)

// All examples of the guide at once contradict one another: pools overlap, and
// peers with the same neighbour meet on a node. What came first works; the rest
// says why it does not, and costs nothing else.
func TestAllExamplesOfTheGuideTogether(t *testing.T) {
	ctx, w := begin(t)
	w.unjudged(t, ctx)
	w.hostname(t, ctx, "n1", "worker-1")
	w.hostname(t, ctx, "n2", "worker-2")
	ns := w.namespace(t, ctx)
	apply := []string{"apply"}
	for _, f := range []string{"layer2", "bgp", "complete", "advanced-pool", "advanced-bgp", "bfd"} { // as in the text
		apply = append(apply, "-f", "testdata/seeds/000-"+f+".yaml")
	}
	w.kubectl(t, ctx, apply...)
	w.kubectl(t, ctx, "-n", ns, "apply", "-f", "testdata/seeds/000-nginx-test.yaml")
	w.says(t, ctx, ok("L2Advertisement layer2-config", "L2Advertisement layer2-prod", "BGPAdvertisement bgp-advert", "BFDProfile fast-failover")...)
	w.says(t, ctx, warned("BGPAdvertisement bgp-prod", "LocalPrefNotSent", "BGPPeer router-peer, router2")...)
	w.overlaps(t, ctx)
	w.duplicates(t, ctx)

	// The addresses that two pools name are given out once.
	w.apply(t, ctx, plain(ns, "one", everywhere))
	w.apply(t, ctx, plain(ns, "two", everywhere))
	one, two := w.address(t, ctx, ns, "one"), w.address(t, ctx, ns, "two")
	nginx := w.address(t, ctx, ns, "nginx-test")
	if one == two || one == nginx || two == nginx {
		t.Errorf("addresses %s, %s and %s are not three", one, two, nginx)
	}
	for _, a := range []netip.Addr{one, two, nginx} {
		if p := netip.MustParsePrefix("192.168.0.0/16"); !p.Contains(a) {
			t.Errorf("address %s is of no pool", a)
		}
	}
	w.agree(t, ctx)
}

// overlaps checks that of pools that overlap the oldest stands, or of equal age
// the first by name, and that the others name it and the range.
func (w *world) overlaps(t *testing.T, ctx context.Context) {
	t.Helper()
	var list v1beta1.IPAddressPoolList
	if err := w.objects.List(ctx, &list, client.InNamespace(product.Namespace)); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 4 {
		t.Fatalf("%d pools, want 4", len(list.Items))
	}
	slices.SortFunc(list.Items, func(a, b v1beta1.IPAddressPool) int {
		if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
			return c
		}
		return map[bool]int{true: -1, false: 1}[a.Name < b.Name]
	})
	holder := map[string]string{} // of a range, by pool
	for _, p := range list.Items {
		v := verdict{"IPAddressPool " + p.Name, "Ready", metav1.ConditionTrue, "InForce", nil}
		for _, rng := range p.Spec.Addresses {
			if first := holder[rng]; first != "" {
				v.status, v.reason = metav1.ConditionFalse, "PoolOverlap"
				v.parts = append(v.parts, "overlaps with already defined CIDR "+rng+" of IPAddressPool "+first, "take the common addresses out")
				continue
			}
			holder[rng] = p.Name
		}
		if p.Name == "first-pool" && v.status == metav1.ConditionTrue {
			v.reason, v.parts = "AddressOutsideSubnets", []string{"192.168.1.240-192.168.1.250"} // of the nodes
		}
		w.says(t, ctx, v)
		accepted := v
		accepted.kind = "Accepted"
		if accepted.status == metav1.ConditionTrue {
			accepted.reason, accepted.parts = "Accepted", nil
		}
		w.says(t, ctx, accepted)
	}
	if holder["192.168.1.240-192.168.1.250"] != "first-pool" {
		t.Errorf("192.168.1.240-192.168.1.250 is held by %q, want first-pool", holder["192.168.1.240-192.168.1.250"])
	}
}

// duplicates checks that of the peers with one neighbour the first has it, and
// that the others say so.
func (w *world) duplicates(t *testing.T, ctx context.Context) {
	t.Helper()
	w.says(t, ctx, ok("BGPPeer router-peer", "BGPPeer router2")...)
	for _, younger := range []string{"BGPPeer router1", "BGPPeer router-with-bfd"} {
		w.says(t, ctx, verdict{younger, "Accepted", metav1.ConditionFalse, "DuplicateNeighbor",
			[]string{"spec.peerAddress", `"192.168.0.1"`, "BGPPeer router-peer has it on node n", "give one of them another neighbour"}})
	}
	w.eventually(t, ctx, "the configuration of n2", func() error {
		conf, err := w.runningConfig(ctx, w.Node(1))
		if err != nil {
			return err
		}
		return compare(conf, []string{
			"router bgp 64500 / bgp router-id 192.168.0.100",
			"router bgp 64500 / neighbor 192.168.0.1 description router-peer",
			"router bgp 64500 / neighbor 192.168.0.2 description router2",
		}, []string{"description router1", "description router-with-bfd"}, "")
	})
}
