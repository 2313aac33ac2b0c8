// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/plan"
)

// routes of each router: prefix to the nodes that are next hops.
type routes map[string]map[netip.Prefix][]string

// expected is what the core makes of a snapshot: the routes that each router of
// the lab should have. Nodes that are off announce nothing.
func (w *world) expected(s *intent.Snapshot, off ...string) routes {
	want := routes{}
	for _, r := range w.Routers() {
		want[r.Name] = map[netip.Prefix][]string{}
	}
	in := intent.Resolve(nil, s)
	for _, n := range w.Nodes() {
		if slices.Contains(off, n.Name) {
			continue
		}
		p := plan.ForNode(nil, in, plan.NodeFacts{Name: n.Name, Forwarding: true}).Plan
		for _, instance := range p.Routers {
			for _, session := range instance.Sessions {
				w.offer(want, n.Name, instance, session)
			}
		}
	}
	return want
}

// offer adds what a session brings to the router at its other end.
func (w *world) offer(want routes, node string, instance *plan.Router, session *plan.Session) {
	for _, r := range w.Routers() {
		if session.Peer.Addr != r.Addr4 && session.Peer.Addr != r.Addr6 {
			continue
		}
		for _, export := range session.Exports {
			for p, route := range instance.Routes {
				if route.Class == export.Class && !slices.Contains(want[r.Name][p], node) {
					want[r.Name][p] = append(want[r.Name][p], node)
					slices.Sort(want[r.Name][p])
				}
			}
		}
	}
}

// agree waits until the routers have exactly the routes that the core expects
// of the live cluster.
func (w *world) agree(t *testing.T, ctx context.Context, off ...string) {
	t.Helper()
	rec := w.record(t, ctx)
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	for {
		diff := w.diff(rec, off...)
		if diff == "" {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("routes of the routers differ from what the core makes of the cluster (-want +got):\n%s", diff)
		case <-rec.changed:
		case <-w.snapshots.Changed():
		}
	}
}

// diff compares once; empty: they agree.
func (w *world) diff(rec *recording, off ...string) string {
	want := w.expected(w.snapshots.Read(), off...)
	return cmp.Diff(want, rec.now(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }))
}

// An oracle that agrees with everything proves nothing.
func TestOracleNoticesARouteTooManyAndOneTooFew(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, w.torConfig()+plain(ns, "one", everywhere))
	addr := w.address(t, ctx, ns, "one")
	rec.reach(t, ctx, host(addr), everywhere...)
	w.agree(t, ctx)
	if w.diff(rec, "n1") == "" {
		t.Error("no difference, although n1 announces what it is not expected to")
	}
	r := w.Router(1)
	foreign := []string{"192.0.2.99/32", "via", w.Node(0).Addr4.String(), "proto", "bgp"}
	if _, err := r.Exec(ctx, "ip", append([]string{"route", "add"}, foreign...)...); err != nil {
		t.Fatal(err)
	}
	rec.until(t, ctx, "the foreign route", func(h *history) error {
		if h.router.Name == r.Name && h.now[netip.MustParsePrefix("192.0.2.99/32")] == nil {
			return errors.New("it is not there")
		}
		return nil
	})
	if w.diff(rec) == "" {
		t.Error("no difference, although a router has a route of no Service")
	}
	if _, err := r.Exec(ctx, "ip", append([]string{"route", "delete"}, foreign...)...); err != nil {
		t.Fatal(err)
	}
	w.agree(t, ctx)
}

// now returns the present routes of all routers.
func (rec *recording) now() routes {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	got := routes{}
	for _, h := range rec.routers {
		got[h.router.Name] = map[netip.Prefix][]string{}
		for p, nodes := range h.now {
			if len(nodes) > 0 {
				got[h.router.Name][p] = nodes
			}
		}
	}
	return got
}
