// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// heldWeb makes Services with a pod on every node, and addresses of both families
// such that each node is elected for some: of either policy, one of the power-cut
// node's to each.
func (w *world) heldWeb(t *testing.T, ctx context.Context) (all owners, local []netip.Addr) {
	t.Helper()
	ns := w.namespace(t, ctx)
	all = owners{}
	config := heldPool + webPods(ns, "web", everywhere...)
	for i, n := range everywhere {
		for k, policy := range []string{"Cluster", "Local"} {
			a4, a6 := elected(n, lab.Free4)[k], elected(n, lab.Free6)[k]
			all[a4], all[a6] = n, n
			if policy == "Local" {
				local = append(local, a4, a6)
			}
			config += held(ns, fmt.Sprintf("s%d%d", i, k), "externalTrafficPolicy: "+policy+"\n  selector: {app: web}", a4, a6)
		}
	}
	w.apply(t, ctx, config)
	w.podsReady(t, ctx, ns, "web")
	return all, local
}

// without is who owns what while a node is off: what the others have stays theirs.
func without(all owners, node string) owners {
	out := owners{}
	for a, n := range all {
		if n == node {
			n = product.Elect(a, others(node)...)
		}
		out[a] = n
	}
	return out
}

// localAnswers asks each address of a Service with policy Local from the nodes'
// network, and wants the owner's own pod to answer.
func (w *world) localAnswers(t *testing.T, ctx context.Context, all owners, local []netip.Addr) {
	t.Helper()
	for _, a := range local {
		w.eventually(t, ctx, fmt.Sprintf("an answer from %s", a), func() error {
			tally := product.Requests(ctx, w.LANClient(0), url(netip.AddrPortFrom(a, 80)), 4, 2)
			if tally.OK() == 4 && tally.ByNode[all[a]] != 4 {
				return fmt.Errorf("4 requests were answered by %v, want by %s", tally.ByNode, all[a])
			}
			return tally.LastError
		})
	}
}

// known fails the test unless the kernel that localAnswers asks from has followed each
// address to its owner: it was told.
func (w *world) known(t *testing.T, all owners, local []netip.Addr) {
	t.Helper()
	c := w.LANClient(0)
	for _, a := range local {
		if n, err := c.Neighbor(a); err != nil || w.Member(n.MAC) != all[a] {
			t.Errorf("%s takes %s of %q for the owner of %s (%v), want %s", c.Name, n.MAC, w.Member(n.MAC), a, err, all[a])
		}
	}
}

// A node that loses power loses its addresses to the others, of both families and
// policies, and nobody else's move. When it returns they are its own
// again, and at no time has one two owners for long, or none.
func TestLayer2PowerCut(t *testing.T) {
	ctx, w := begin(t)
	n := w.Node(2)
	all, local := w.heldWeb(t, ctx)
	watch := w.lanWatch(t, keys(all)...)
	from := w.owned(t, ctx, watch, time.Now(), all)
	w.localAnswers(t, ctx, all, local)

	began := time.Now()
	if err := n.PowerCut(ctx); err != nil {
		t.Fatal(err)
	}
	now := without(all, n.Name)
	w.owned(t, ctx, watch, began, now)
	for _, a := range keys(all) {
		if all[a] == now[a] {
			continue
		}
		f, has := watch.Record().First(began, gratuitousOf(a, n.Name))
		if !has {
			t.Errorf("nobody told of %s unasked after the power cut", a)
			continue
		}
		t.Logf("%s: %s told of it %d ms after the power cut", a, f.Who(), f.Time.Sub(began).Milliseconds())
	}
	w.known(t, now, local)
	w.localAnswers(t, ctx, now, local)

	if err := n.PowerOn(ctx); err != nil {
		t.Fatal(err)
	}
	on := time.Now()
	back := w.owned(t, ctx, watch, on, all)
	t.Logf("%s announces again %.1f s after its power returned", n.Name, back.Sub(on).Seconds())
	w.known(t, all, local)
	w.localAnswers(t, ctx, all, local)

	j := w.judge(t, ctx, watch, all, span{from: from, until: began}, span{began, on, busyDeath}, span{from: on})
	j.report(t)
	for _, a := range keys(all) {
		for _, f := range j.Between(from, time.Now()).Claims(a) {
			if f.Member != all[a] && f.Member != now[a] {
				t.Errorf("%s belongs to %s, without it to %s, and there was %s", a, all[a], now[a], f)
				break
			}
		}
	}
}

// A node whose frames are all lost for a while, and which goes on thinking that its
// addresses are its own, has them back when it is heard again, and clients know it.
func TestLayer2NodeLostAndFound(t *testing.T) {
	ctx, w := begin(t)
	n := w.Node(2)
	all, local := w.heldWeb(t, ctx)
	watch := w.lanWatch(t, keys(all)...)
	from := w.owned(t, ctx, watch, time.Now(), all)
	w.localAnswers(t, ctx, all, local)
	lost := time.Now()
	if err := n.Drop(true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Drop(false) }) // done already, where the test succeeds
	now := without(all, n.Name)
	w.owned(t, ctx, watch, lost, now)
	w.known(t, now, local)
	found := time.Now()
	if err := n.Drop(false); err != nil {
		t.Fatal(err)
	}
	w.owned(t, ctx, watch, found, all)
	w.known(t, all, local)
	w.localAnswers(t, ctx, all, local)
	w.judge(t, ctx, watch, all, span{from: from, until: lost}, span{lost, found, busyDeath}, span{from: found}).report(t)
}
