// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"metallb.io/metallb-frr/e2e/product"
)

// bothFamilies is the lab's configuration for IPv4 and IPv6: over a session each,
// or both over the IPv4 session.
func (w *world) bothFamilies(oneSession bool) string {
	var b strings.Builder
	b.WriteString(object("IPAddressPool", "both", `{addresses: [203.0.113.0/24, "2001:db8:113::/64"]}`))
	b.WriteString(object("BGPAdvertisement", "both", `{ipAddressPools: [both]}`))
	b.WriteString(object("BFDProfile", "fast", `{receiveInterval: 300, transmitInterval: 300, detectMultiplier: 3}`))
	for _, r := range w.Routers() {
		const peer = `{myASN: 65100, peerASN: 65000, peerAddress: %q, bfdProfile: fast, dualStackAddressFamily: %t}`
		b.WriteString(object("BGPPeer", r.Name, fmt.Sprintf(peer, r.Addr4, oneSession)))
		if !oneSession {
			b.WriteString(object("BGPPeer", r.Name+"-v6", fmt.Sprintf(peer, r.Addr6, false)))
		}
	}
	return b.String()
}

// A dual-stack Service is on both routers over all nodes with both addresses, and
// requests over either family are spread over all of them.
func TestECMPOverBothFamilies(t *testing.T) {
	for _, c := range []struct {
		name string
		one  bool
	}{{"a session for each", false}, {"one session for both", true}} {
		t.Run(c.name, func(t *testing.T) {
			ctx, w := begin(t)
			rec := w.record(t, ctx)
			ns := w.namespace(t, ctx)
			w.apply(t, ctx, w.bothFamilies(c.one)+webPods(ns, "web", everywhere...)+service(ns, "web", "Local", "ipFamilyPolicy: RequireDualStack"))
			w.podsReady(t, ctx, ns, "web")
			w.address(t, ctx, ns, "web")
			ips := strings.Fields(w.kubectl(t, ctx, "-n", ns, "get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[*].ip}"))
			if len(ips) != 2 {
				t.Fatalf("addresses %q, want one of each family", ips)
			}
			for _, ip := range ips {
				addr := netip.MustParseAddr(ip)
				rec.reach(t, ctx, host(addr), everywhere...)
				w.answers(t, ctx, netip.AddrPortFrom(addr, 80), everywhere...)
			}
			w.agree(t, ctx)
		})
	}
}

// With externalTrafficPolicy Cluster every node announces and passes on, also
// those without a pod.
func TestECMPWithOnePod(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, w.torConfig()+webPods(ns, "web", "n2")+service(ns, "web", "Cluster"))
	w.podsReady(t, ctx, ns, "web")
	addr := w.address(t, ctx, ns, "web")
	rec.reach(t, ctx, host(addr), everywhere...)
	w.answers(t, ctx, netip.AddrPortFrom(addr, 80), "n2")
	pool := w.kubectl(t, ctx, "-n", ns, "get", "service", "web", "-o", `jsonpath={.metadata.annotations.metallb\.io/ip-allocated-from-pool}`)
	if pool != "prod-pool" {
		t.Errorf("annotation ip-allocated-from-pool is %q, want prod-pool", pool)
	}
	for _, r := range w.Routers() {
		out, err := r.Vtysh(ctx, fmt.Sprintf("show bgp ipv4 unicast %s/32", addr))
		if err != nil || strings.Count(out, "Community: 65000:100") != 3 {
			t.Errorf("%s does not have the route three times with the advertisement's community (%v):\n%s", r.Name, err, out)
		}
	}
	w.agree(t, ctx)
	w.says(t, ctx, verdict{"BGPPeer tor1", "Established", "True", "", []string{"3 of 3"}}, verdict{"BGPPeer tor2", "Established", "True", "", []string{"3 of 3"}})
	w.kubectl(t, ctx, "-n", product.Namespace, "wait", "--for=condition=Established", "bgppeer", "--all", "--timeout=5s")
}
