// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"metallb.io/metallb-frr/e2e/product"
)

// withoutController stops the controller until the test ends, before what the test
// configured is removed.
func (w *world) withoutController(t *testing.T, ctx context.Context) {
	t.Helper()
	replicas := w.kubectl(t, ctx, "-n", product.Namespace, "get", "deployment", "controller", "-o", "jsonpath={.spec.replicas}")
	scale := func(ctx context.Context, replicas string, wait ...string) error {
		_, err := w.Kubectl(ctx, "-n", product.Namespace, "scale", "deployment/controller", "--replicas="+replicas)
		if err == nil {
			_, err = w.Kubectl(ctx, append([]string{"-n", product.Namespace}, wait...)...)
		}
		return err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		// What was written by hand is not for the controller to see.
		for _, ns := range w.namespaces {
			if _, err := w.Kubectl(ctx, "-n", ns, "delete", "services", "--all", "--timeout=30s"); err != nil {
				t.Error(err)
			}
		}
		if err := scale(ctx, replicas, "rollout", "status", "deployment/controller", "--timeout=60s"); err != nil {
			t.Error(err)
		}
	})
	if err := scale(ctx, "0", "wait", "--for=delete", "pod", "-l", "component=controller", "--timeout=60s"); err != nil {
		t.Fatal(err)
	}
}

// gives writes a Service's addresses, as the controller does.
func (w *world) gives(t *testing.T, ctx context.Context, namespace, name string, addrs ...netip.Addr) {
	t.Helper()
	var s corev1.Service
	for _, a := range addrs {
		s.Status.LoadBalancer.Ingress = append(s.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: a.String()})
	}
	patch, err := json.Marshal(map[string]any{"status": s.Status})
	if err != nil {
		t.Fatal(err)
	}
	w.kubectl(t, ctx, "-n", namespace, "patch", "service", name, "--subresource=status", "--type=merge", "-p", string(patch))
}

// Two Services with the same addresses, one of each policy, and each with an
// L2Advertisement of its own that selects it and other nodes: one node announces an
// address at all times, and it is one that serves both, wherever the endpoints go.
func TestLayer2SharedAddress(t *testing.T) {
	ctx, w := begin(t)
	ns := w.namespace(t, ctx)
	w.withoutController(t, ctx)
	all, some := lanService(ns, "all", "web", "Cluster", "who: all", "IPv4", "IPv6"), lanService(ns, "some", "near", "Local", "who: some", "IPv4", "IPv6")
	w.apply(t, ctx, lanConfig("serviceSelectors: [{matchLabels: {who: all}}]", preferring("n1"))+
		lanAdvertisement("near", "serviceSelectors: [{matchLabels: {who: some}}]", "nodeSelectors: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [n2, n3]}]}]")+
		webPods(ns, "web", everywhere...)+webPods(ns, "near", "n2")+all+strings.ReplaceAll(some, "port: 80,", "port: 81,"))
	w.podsReady(t, ctx, ns, "web")
	w.podsReady(t, ctx, ns, "near")
	addrs := []netip.Addr{netip.MustParseAddr("172.30.0.170"), netip.MustParseAddr("fd00:30::f00:20")}
	for _, name := range []string{"all", "some"} {
		w.gives(t, ctx, ns, name, addrs...)
	}

	var ports, near []netip.AddrPort // of the one that has endpoints all the time, and of the other
	for _, a := range addrs {
		ports, near = append(ports, netip.AddrPortFrom(a, 80)), append(near, netip.AddrPortFrom(a, 81))
	}
	w.answeredBy(t, ctx, "n2", near...)
	w.unless(t, func() []product.LANOutage {
		watch, err := product.WatchLAN(ctx, w.Lab, ports...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { watch.Capture.Stop() })
		both := func(node string) {
			t.Helper()
			w.lanOwned(t, ctx, watch, ports, is(node))
			w.answeredBy(t, ctx, node, near...)
		}
		both("n2")
		w.apply(t, ctx, webPods(ns, "near", "n2", "n3"))
		w.podsReady(t, ctx, ns, "near")
		w.kubectl(t, ctx, "-n", ns, "delete", "pod", "near-0", "--timeout=30s")
		both("n3")
		w.kubectl(t, ctx, "-n", ns, "delete", "pod", "near-1", "--timeout=30s")
		w.lanOwned(t, ctx, watch, ports, is("n1")) // one has no endpoints now, and the other's advertisement prefers n1
		w.apply(t, ctx, webPods(ns, "near", "n2"))
		both("n2")
		outages, err := watch.Stop(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return outages
	})
}

// answeredBy waits for an answer from a pod on that node at each port.
func (w *world) answeredBy(t *testing.T, ctx context.Context, node string, ports ...netip.AddrPort) {
	t.Helper()
	for _, to := range ports {
		w.eventually(t, ctx, fmt.Sprintf("an answer from %s at %s", node, to), func() error {
			tally := product.Requests(ctx, w.LANClient(0), url(to), 1, 1)
			if tally.ByNode[node] != 1 {
				return errors.Join(tally.LastError, fmt.Errorf("it was by %v", tally.ByNode))
			}
			return nil
		})
	}
}
