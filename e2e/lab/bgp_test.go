// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	external4 = netip.MustParseAddr("192.0.2.1")
	external6 = netip.MustParseAddr("2001:db8:2::1")
)

// announcer runs FRR in a node's network, outside of its cluster, and has it
// announce the external addresses to all routers.
func announcer(t *testing.T, ctx context.Context, l *Lab, n *Node) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "bfd\n profile fast\n  transmit-interval 100\n  receive-interval 100\n exit\nexit\n")
	fmt.Fprintf(&b, "router bgp %d\n bgp router-id %s\n no bgp ebgp-requires-policy\n no bgp network import-check\n", l.Spec.NodeASN, n.Addr4)
	for _, r := range l.Routers() {
		fmt.Fprintf(&b, " neighbor %s remote-as %d\n neighbor %[1]s bfd profile fast\n neighbor %[1]s timers connect 1\n", r.Addr4, l.Spec.RouterASN)
	}
	fmt.Fprintf(&b, " address-family ipv4 unicast\n  network %s/32\n exit-address-family\n address-family ipv6 unicast\n  network %s/128\n", external4, external6)
	for _, r := range l.Routers() {
		fmt.Fprintf(&b, "  neighbor %s activate\n", r.Addr4)
	}
	b.WriteString(" exit-address-family\nexit\n")
	r := &Router{Name: "bgp-" + n.Name, lab: l, ns: n.ns}
	etc := filepath.Join(r.Dir(), "etc")
	err := os.MkdirAll(etc, 0o755)
	for name, text := range map[string]string{"frr.conf": b.String(), "daemons": frrDaemons, "vtysh.conf": ""} {
		err = errors.Join(err, os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644))
	}
	if err = errors.Join(err, r.Start(ctx)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Stop(context.WithoutCancel(ctx)); err != nil {
			t.Error(err)
		}
	})
}

// waitHops waits until a router's kernel has exactly these next hops.
func waitHops(t *testing.T, ctx context.Context, r *Router, p netip.Prefix, want ...netip.Addr) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := poll(ctx, "next hops", 50*time.Millisecond, func() error {
		got, err := r.Route(ctx, p)
		if err == nil && !slices.Equal(got.NextHops, want) {
			err = fmt.Errorf("%s has %s, want next hops %v", r.Name, got, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func testBGP(t *testing.T, ctx context.Context, l *Lab) {
	patch := fmt.Sprintf(`{"spec":{"externalIPs":["%s","%s"]}}`, external4, external6)
	if _, err := l.Kubectl(ctx, "patch", "service", "web", "-p", patch); err != nil {
		t.Fatal(err)
	}
	n1, n2 := l.Node(0), l.Node(1)
	announcer(t, ctx, l, n1)
	announcer(t, ctx, l, n2)
	p4, p6 := netip.PrefixFrom(external4, 32), netip.PrefixFrom(external6, 128)
	for _, r := range l.Routers() {
		waitHops(t, ctx, r, p4, n1.Addr4, n2.Addr4)
		got, err := r.Route(ctx, p6)
		if err != nil || len(got.NextHops) != 2 {
			t.Errorf("%s has %v (%v), want two next hops", r.Name, got, err)
		}
	}
	hc := l.Client(0).HTTP(2 * time.Second)
	for _, a := range []netip.Addr{external4, external6} {
		spread := map[string]int{}
		for range 60 {
			got, err := ask(ctx, hc, netip.AddrPortFrom(a, 80).String())
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := strings.Cut(got, "node=")
			node, _, _ := strings.Cut(rest, " ")
			spread[node]++
		}
		t.Logf("60 requests to %s: %v", a, spread)
		if spread["n1"] < 10 || spread["n2"] < 10 {
			t.Errorf("60 requests to %s are spread as %v, want at least 10 for each node", a, spread)
		}
	}
	tor := l.Router(0)
	watch, stop := context.WithCancel(ctx)
	defer stop()
	events, err := tor.WatchRoutes(watch)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := n2.Drop(true); err != nil {
		t.Fatal(err)
	}
	for {
		e := nextEvent(t, events)
		if e.Route.Prefix == p4 && !e.Deleted && slices.Equal(e.Route.NextHops, []netip.Addr{n1.Addr4}) {
			t.Logf("next hop gone %v after a silent drop", e.Time.Sub(start).Round(time.Millisecond))
			break
		}
	}
	if err := n2.Drop(false); err != nil {
		t.Fatal(err)
	}
	waitHops(t, ctx, tor, p4, n1.Addr4, n2.Addr4)
}
