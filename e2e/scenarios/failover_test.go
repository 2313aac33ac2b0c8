// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// bfd300 is the profile of torConfig.
var bfd300 = product.BFD{Interval: 300 * time.Millisecond, Multiplier: 3}

// failover configures the routers' sessions and a Service on every node, and
// returns when BFD watches them all.
func (w *world) failover(t *testing.T, ctx context.Context, rec *recording) product.Failover {
	t.Helper()
	_, to := w.reached(t, ctx, rec)
	f := product.Failover{Lab: w.Lab, To: to, BFD: bfd300}
	w.answers(t, ctx, f.To, everywhere...)
	if err := f.Settle(ctx); err != nil {
		t.Fatal(err)
	}
	return f
}

// fails lets the node fail and holds the outage against what BFD promises, and
// the reason that each router gives against what it can have seen.
func (w *world) fails(t *testing.T, ctx context.Context, f product.Failover, n *lab.Node, fault product.Fault) {
	t.Helper()
	if f.BFD != (product.BFD{}) {
		w.watched(t, ctx)
	}
	out, err := f.Fail(ctx, n, fault)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("BFD %s, %s of %s: gone after %v, %s", f.BFD, fault.Name, n.Name, out.Gone, out.Delivery)
	if limit := f.BFD.Limit(); out.Gone > limit {
		t.Errorf("with BFD %s, %s was a next hop for %v after %s; want at most %v", f.BFD, n.Name, out.Gone, fault.Name, limit)
	}
	if !fault.Silent {
		if out.Delivery.Lost > 0 {
			t.Errorf("%s of %s, which goes on forwarding: %s; want none lost", fault.Name, n.Name, out.Delivery)
		}
		return
	}
	for _, r := range w.Routers() {
		s, err := w.session(ctx, r, n)
		if err != nil {
			t.Fatal(err)
		}
		// What stands there depends on who was first: the notification or the end.
		byBFD := s.LastReset == "BFD down received" || strings.Contains(s.LastNotice, "BFD Down")
		if byBFD != (f.BFD != product.BFD{}) {
			t.Errorf("BFD %s: %s ended its session with %s for %q (%s); want it by BFD where there is any, else not",
				f.BFD, r.Name, n.Name, s.LastReset, s.LastNotice)
		}
	}
}

// A node that loses power is gone from the routers as fast as BFD can tell. When it
// returns it is a next hop when it forwards, and not before: of datagrams to a
// Service of either policy none is lost.
func TestPowerCut(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	f := w.failover(t, ctx, rec)
	n, ns := w.Node(2), w.namespaces[0]
	w.apply(t, ctx, strings.Replace(service(ns, "web", "Cluster"), "{name: web,", "{name: web-cluster,", 1))
	cluster := netip.AddrPortFrom(w.address(t, ctx, ns, "web-cluster"), 80)
	rec.reach(t, ctx, host(cluster.Addr()), everywhere...)
	w.fails(t, ctx, f, n, product.PowerCut)
	rec.reach(t, ctx, host(f.To.Addr()), "n1", "n2")
	w.answers(t, ctx, f.To, "n1", "n2")
	w.agree(t, ctx, n.Name)

	// Until Kubernetes has missed the node, the others pass on to its pod.
	w.kubectl(t, ctx, "wait", "node/"+n.Name, "--for=condition=Ready=Unknown", "--timeout=60s")
	w.eventually(t, ctx, "the others to pass on to their own pods alone", func() error {
		if tally := product.Requests(ctx, w.Client(0), url(cluster), 60, 8); tally.Failed > 0 {
			return fmt.Errorf("%d of 60 requests failed: %w", tally.Failed, tally.LastError)
		}
		return nil
	})
	w.lossless(t, ctx, rec, f.To, func() {
		w.lossless(t, ctx, rec, cluster, func() {
			if err := f.Repair(ctx, n, product.PowerCut); err != nil {
				t.Fatal(err)
			}
			rec.reach(t, ctx, host(f.To.Addr()), everywhere...)
			rec.reach(t, ctx, host(cluster.Addr()), everywhere...)
		})
	})
	w.answers(t, ctx, f.To, everywhere...)
	w.answers(t, ctx, cluster, everywhere...)
	w.agree(t, ctx)
	w.eventually(t, ctx, n.Name+" to be Ready", func() error {
		ready, err := w.Ready(ctx, n.Name)
		if err == nil && !ready {
			err = fmt.Errorf("it is not")
		}
		return err
	})
}

// Every fault with every profile: bench bfd-failover measures them more often, and
// this holds them against what is promised.
func TestEveryFault(t *testing.T) {
	if os.Getenv("METALLB_SOAK") == "" {
		t.Skip("takes minutes; METALLB_SOAK=1 runs it, and TestPowerCut is one part of it")
	}
	for _, b := range []product.BFD{bfd300, {Interval: 100 * time.Millisecond, Multiplier: 3}, {Interval: 50 * time.Millisecond, Multiplier: 3}, {}} {
		t.Run(b.String(), func(t *testing.T) {
			ctx, w := begin(t)
			f := w.failover(t, ctx, w.record(t, ctx))
			f.BFD = b
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
				defer cancel()
				if err := product.SetBFD(ctx, w.Lab, bfd300); err != nil {
					t.Error(err)
				}
			})
			if err := product.SetBFD(ctx, w.Lab, b); err != nil {
				t.Fatal(err)
			}
			for i, fault := range product.Faults {
				n := w.Node(i % len(w.Nodes()))
				if err := f.Settle(ctx); err != nil {
					t.Fatal(err)
				}
				w.fails(t, ctx, f, n, fault)
				if err := f.Repair(ctx, n, fault); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
