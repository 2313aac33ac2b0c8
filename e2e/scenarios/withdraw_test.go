// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"net/netip"
	"testing"
)

// Deleting a Service withdraws its route and touches no other.
func TestDeletedServiceIsWithdrawn(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, w.torConfig()+plain(ns, "stays", everywhere)+plain(ns, "goes", everywhere)+plain(ns, "stays-too", []string{"n2"}))
	stays, goes, too := w.address(t, ctx, ns, "stays"), w.address(t, ctx, ns, "goes"), w.address(t, ctx, ns, "stays-too")
	for _, a := range []netip.Addr{stays, goes, too} {
		rec.reach(t, ctx, host(a), everywhere...)
	}
	from := rec.mark()
	w.deleteService(t, ctx, ns, "goes")
	rec.reach(t, ctx, host(goes))
	// What else the deletion might have caused has happened when a later change
	// has come through.
	w.apply(t, ctx, plain(ns, "later", everywhere, `, annotations: {metallb.io/loadBalancerIPs: 203.0.113.200}`))
	later := netip.MustParsePrefix("203.0.113.200/32")
	rec.reach(t, ctx, later, everywhere...)
	rec.only(t, from, host(goes), later)
	w.agree(t, ctx)
}

// With externalTrafficPolicy Local a node announces while it has a ready endpoint:
// the last one that leaves takes that node's next hop along, and nothing else.
func TestLastLocalEndpointLeaves(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, w.torConfig()+plain(ns, "beside", everywhere)+
		webPods(ns, "web", "n1", "n2", "n2", "n3")+service(ns, "web", "Local"))
	w.podsReady(t, ctx, ns, "web")
	beside, addr := w.address(t, ctx, ns, "beside"), w.address(t, ctx, ns, "web")
	rec.reach(t, ctx, host(beside), everywhere...)
	rec.reach(t, ctx, host(addr), everywhere...)
	w.places(t, ctx, ns, "web", "True", "Announced", addr.String()+" from n1, n2, n3 over bgp (peers tor1, tor2)")
	from := rec.mark()

	// The first of two on a node changes nothing.
	w.kubectl(t, ctx, "-n", ns, "delete", "pod", "web-1", "--timeout=30s")
	w.apply(t, ctx, plain(ns, "later", everywhere))
	later := w.address(t, ctx, ns, "later")
	rec.reach(t, ctx, host(later), everywhere...)
	rec.only(t, from, host(later))

	from = rec.mark()
	w.kubectl(t, ctx, "-n", ns, "delete", "pod", "web-2", "--timeout=30s")
	rec.reach(t, ctx, host(addr), "n1", "n3")
	w.answers(t, ctx, netip.AddrPortFrom(addr, 80), "n1", "n3")
	rec.only(t, from, host(addr))
	w.agree(t, ctx)
	w.places(t, ctx, ns, "web", "True", "Announced", addr.String()+" from n1, n3 over bgp")

	w.kubectl(t, ctx, "-n", ns, "delete", "pod", "web-0", "web-3", "--timeout=30s")
	rec.reach(t, ctx, host(addr))
	rec.only(t, from, host(addr))
	w.places(t, ctx, ns, "web", "False", "NoEndpoint", "no endpoint can serve")
	w.apply(t, ctx, webPods(ns, "web", "n1"))
	rec.reach(t, ctx, host(addr), "n1")
	w.agree(t, ctx)
}

// The handbook's failover drill: draining a node takes its next hop away, and the
// Service goes on from the others.
func TestDrainedNodeIsWithdrawn(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, w.torConfig()+webDeployment(ns, "web", 3)+service(ns, "web", "Local"))
	w.kubectl(t, ctx, "-n", ns, "rollout", "status", "deployment/web", "--timeout=60s")
	addr := w.address(t, ctx, ns, "web")
	rec.reach(t, ctx, host(addr), everywhere...)

	t.Cleanup(func() {
		if _, err := w.Kubectl(context.Background(), "uncordon", "n2"); err != nil {
			t.Error(err)
		}
	})
	w.kubectl(t, ctx, "drain", "n2", "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s")
	rec.reach(t, ctx, host(addr), "n1", "n3")
	w.answers(t, ctx, netip.AddrPortFrom(addr, 80), "n1", "n3")
	w.agree(t, ctx)
}
