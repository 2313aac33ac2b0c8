// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"metallb.io/metallb-frr/e2e/product"
)

// A pool change goes wrong, and the runbook's rollback mends it: the previous
// config.yaml is applied again, and affected Services receive the expected address
// again, on the routers too. Between both all pools are gone, a Service is made that
// would like what is free, and the controller starts anew.
func TestRollbackOfThePools(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	config := filepath.Join(t.TempDir(), "config.yaml")
	text := w.torConfig() + object("IPAddressPool", "traefik", "{addresses: [198.51.100.50/32], autoAssign: false}") +
		object("BGPAdvertisement", "traefik", "{ipAddressPools: [traefik]}")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	w.kubectl(t, ctx, "apply", "-f", config)

	had := map[string]netip.Addr{}
	give := func(name string, more ...string) {
		w.apply(t, ctx, plain(ns, name, everywhere, more...))
		had[name] = w.address(t, ctx, ns, name)
	}
	give("traefik", ", annotations: {metallb.io/address-pool: traefik}")
	for i := range 6 {
		give(fmt.Sprintf("s%d", i))
	}
	// Holes, which a new assignment would fill.
	var holes []netip.Addr
	for _, name := range []string{"s0", "s2"} {
		w.deleteService(t, ctx, ns, name)
		holes = append(holes, had[name])
		delete(had, name)
	}
	for _, a := range had {
		rec.reach(t, ctx, host(a), everywhere...)
	}

	w.kubectl(t, ctx, "-n", product.Namespace, "delete", "ipaddresspools", "--all", "--timeout=30s")
	for name, a := range had {
		w.eventually(t, ctx, name+" without an address", func() error {
			s, err := w.k8s.CoreV1().Services(ns).Get(ctx, name, metav1.GetOptions{})
			if err == nil && len(s.Status.LoadBalancer.Ingress) > 0 {
				err = fmt.Errorf("it has %v", s.Status.LoadBalancer.Ingress)
			}
			return err
		})
		rec.reach(t, ctx, host(a))
	}
	w.kubectl(t, ctx, "-n", product.Namespace, "rollout", "restart", "deployment/controller")
	w.kubectl(t, ctx, "-n", product.Namespace, "rollout", "status", "deployment/controller", "--timeout=60s")
	w.apply(t, ctx, plain(ns, "new", everywhere))

	w.kubectl(t, ctx, "apply", "-f", config)
	for name, a := range had {
		if now := w.address(t, ctx, ns, name); now != a {
			t.Errorf("%s had %s, and has %s after the rollback", name, a, now)
		}
		rec.reach(t, ctx, host(a), everywhere...)
	}
	if a := w.address(t, ctx, ns, "new"); a != holes[0] && a != holes[1] {
		t.Errorf("the Service made meanwhile has %s, want one that nobody had: %v", a, holes)
	}
	w.says(t, ctx, ok("IPAddressPool prod-pool", "IPAddressPool traefik")...)
	w.agree(t, ctx)
}
