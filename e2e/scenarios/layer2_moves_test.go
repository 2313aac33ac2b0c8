// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/product"
)

// lanOutageLimit is for how long an address that moves on purpose may be without an
// answer, its clients without one, and two nodes answer for it. What is promised is
// 50 ms, and measured by bench l2-failover; here three nodes start pods at the same
// time on a machine with two processors, and a speaker waits for one of them.
const lanOutageLimit = 250 * time.Millisecond

// preferring makes a node the first choice of the L2Advertisement.
func preferring(node string) string {
	return "preferredNodeSelectors: [{weight: 10, preference: {matchLabels: {kubernetes.io/hostname: " + node + "}}}]"
}

// is returns what reports whether a member is that one, and isNot that it is another.
func is(node string) func(string) bool    { return func(member string) bool { return member == node } }
func isNot(node string) func(string) bool { return func(member string) bool { return member != node } }

// lanWeb brings up a Service of both families that n1 announces, and whose pods are on
// the other nodes.
func (w *world) lanWeb(t *testing.T, ctx context.Context) []netip.AddrPort {
	t.Helper()
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, lanConfig(preferring("n1"))+webPods(ns, "web", "n2", "n3")+lanService(ns, "web", "web", "Cluster", "", "IPv4", "IPv6"))
	w.podsReady(t, ctx, ns, "web")
	ports := w.ports(t, ctx, ns, "web", 2)
	for _, to := range ports {
		w.eventually(t, ctx, fmt.Sprintf("answers from %s", to), func() error {
			return product.Requests(ctx, w.LANClient(0), url(to), 20, 4).LastError
		})
	}
	return ports
}

// lanMoves watches ports from the nodes' network while something happens, from when
// n1 alone answers for them until it does again, and fails the test if they did not
// move meanwhile, or were without an answer for too long.
func (w *world) lanMoves(t *testing.T, ctx context.Context, ports []netip.AddrPort, happens func(owned func(may func(string) bool))) {
	t.Helper()
	w.unless(t, func() []product.LANOutage {
		watch, err := product.WatchLAN(ctx, w.Lab, ports...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { watch.Capture.Stop() })
		owned := func(may func(string) bool) { w.lanOwned(t, ctx, watch, ports, may) }
		owned(is("n1"))
		happens(owned)
		owned(is("n1"))
		outages, err := watch.Stop(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range outages {
			if len(o.Owners) < 3 || o.Requests < 100 {
				t.Errorf("%s; want it to have moved and come back, and 100 requests", o)
			}
		}
		return outages
	})
}

// lanOwned waits until one node alone, of those that may, answers for each address.
func (w *world) lanOwned(t *testing.T, ctx context.Context, watch *product.LANWatch, ports []netip.AddrPort, may func(string) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 2*waitLimit)
	defer cancel()
	began := time.Now()
	for _, to := range ports {
		if _, err := watch.Owned(ctx, began, to.Addr(), may); err != nil {
			t.Fatal(err)
		}
	}
}

// unless fails the test if what happens keeps clients from an answer for too long, each
// of three times: a speaker that waits for a processor makes it longer, and nothing
// makes it shorter.
func (w *world) unless(t *testing.T, happens func() []product.LANOutage) {
	t.Helper()
	const tries = 3
	for try := 1; ; try++ {
		long := ""
		for _, o := range happens() {
			t.Log(o)
			if o.Unanswered > lanOutageLimit || o.Outage > lanOutageLimit || o.Shared > lanOutageLimit {
				long += fmt.Sprintf("%s: unanswered for %s, two owners for %s, requests failed for %s; want at most %s of each; heard around it:\n%s",
					o.To, o.Unanswered, o.Shared, o.Outage, lanOutageLimit, o.Around())
			}
		}
		switch {
		case long == "":
			return
		case try == tries:
			t.Error(long)
			return
		}
		t.Log("once more: " + long)
	}
}

// An address that moves because somebody wants it to, and moves back, is answered for
// all the time: when the node leaves service, when another is preferred, and when the
// speaker stops and is started again.
func TestLayer2PlannedMoves(t *testing.T) {
	ctx, w := begin(t)
	ports := w.lanWeb(t, ctx)
	for _, c := range []struct {
		cause       string
		leave, back []string // arguments of kubectl
		to          func(member string) bool
	}{
		{"the node leaves service", []string{"label", "node", "n1", excludeLabel + "="}, []string{"label", "node", "n1", excludeLabel + "-"}, isNot("n1")},
		{"another node's weight", []string{"annotate", "node", "n2", "metallb.io/l2-weight=50"}, []string{"annotate", "node", "n2", "metallb.io/l2-weight-"}, is("n2")},
	} {
		t.Run(c.cause, func(t *testing.T) {
			t.Cleanup(func() { w.Kubectl(context.Background(), c.back...) }) // done already, where the test succeeds
			w.lanMoves(t, ctx, ports, func(owned func(func(string) bool)) {
				w.kubectl(t, ctx, c.leave...)
				owned(c.to)
				w.kubectl(t, ctx, c.back...)
			})
		})
	}
	t.Run("another preference", func(t *testing.T) {
		w.lanMoves(t, ctx, ports, func(owned func(func(string) bool)) {
			w.apply(t, ctx, lanConfig(preferring("n3")))
			owned(is("n3"))
			w.apply(t, ctx, lanConfig(preferring("n1")))
		})
	})
}

// A speaker that stops hands over first, and takes back when it runs again: when its pod
// is deleted, and in a rolling update of all of them.
func TestLayer2SpeakersRestart(t *testing.T) {
	ctx, w := begin(t)
	ports := w.lanWeb(t, ctx)
	t.Run("pod deleted", func(t *testing.T) {
		w.lanMoves(t, ctx, ports, func(owned func(func(string) bool)) {
			pod, err := w.speakerPod(ctx, w.Node(0))
			if err != nil {
				t.Fatal(err)
			}
			w.kubectl(t, ctx, "-n", product.Namespace, "delete", "pod", pod.Name, "--wait=false")
			owned(isNot("n1"))
		})
	})
	t.Run("rolling update", func(t *testing.T) {
		w.lanMoves(t, ctx, ports, func(func(func(string) bool)) {
			w.kubectl(t, ctx, "-n", product.Namespace, "rollout", "restart", "daemonset/speaker")
			w.kubectl(t, ctx, "-n", product.Namespace, "rollout", "status", "daemonset/speaker", "--timeout=120s")
		})
	})
}
