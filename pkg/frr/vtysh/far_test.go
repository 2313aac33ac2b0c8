// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

// far is a router at the other end of an FRR's cable, with the session of
// document's neighbour, and what its kernel saw.
type far struct {
	node, router *frrtest.FRR
	routes       *frrtest.RouteLog
	marks        int
}

// plain is document's neighbour as far has it: no password, BFD only on demand.
func plain(bfd bool) [2]string {
	text := "router bgp 65100\n neighbor 192.0.2.2 remote-as 65000\n neighbor 192.0.2.2 timers connect 1\n"
	if bfd {
		text += " neighbor 192.0.2.2 bfd\n neighbor 192.0.2.2 bfd profile fast\n"
	}
	return [2]string{"neighbor 192.0.2.2", text}
}

// newFar starts the router beside node and waits for the session, for which d
// loads document(networks).
func newFar(t testing.TB, node *frrtest.FRR, d *Driver, networks int, bfd bool) *far {
	t.Helper()
	far := &far{node: node, router: frrtest.Start(t, frrtest.Options{Listen: true})}
	frrtest.Link(t, "eth0", node, "192.0.2.1/24", far.router, "192.0.2.2/24")
	text := "router bgp 65000\n no bgp ebgp-requires-policy\n neighbor 192.0.2.1 remote-as 65100\n neighbor 192.0.2.1 passive\n"
	if bfd {
		text = "bfd\n profile fast\n  detect-multiplier 5\n  transmit-interval 100\n  receive-interval 100\n" + text + " neighbor 192.0.2.1 bfd\n neighbor 192.0.2.1 bfd profile fast\n"
	}
	far.router.Load(t, text)
	far.routes = far.router.WatchRoutes(t)
	clean(t, apply(t, d, document(networks, plain(bfd))))
	for i := range networks {
		far.routes.Wait(t, fmt.Sprintf("10.0.%d.%d", i>>8, i&255))
	}
	far.routes.Forget()
	return far
}

// settled waits until the router has seen everything that was typed so far, and
// returns the routes that its kernel has lost meanwhile, for however short.
func (far *far) settled(t testing.TB, d *Driver, networks int, edits ...[2]string) []string {
	t.Helper()
	far.marks++
	mark := fmt.Sprintf("10.9.0.%d", far.marks)
	doc := document(networks, edits...)
	for k, f := range frr.ParseConf("router bgp 65100\n address-family ipv4 unicast\n  network " + mark + "/32 route-map web.v4\n").Networks {
		doc.Networks[k] = f
	}
	clean(t, apply(t, d, doc))
	far.routes.Wait(t, mark)
	clean(t, apply(t, d, document(networks, edits...)))
	far.routes.WaitGone(t, mark)
	lost := slices.DeleteFunc(far.routes.Deleted(), func(r string) bool { return strings.HasPrefix(r, "10.9.0.") || strings.HasPrefix(r, "fe80") })
	far.routes.Forget()
	return lost
}

// flaps returns how often the session has ended.
func (far *far) flaps(t testing.TB) string {
	t.Helper()
	text := far.router.Run(t, "vtysh", "-c", "show bgp neighbors 192.0.2.1 json")
	_, rest, _ := strings.Cut(text, `"connectionsDropped":`)
	number, _, ok := strings.Cut(rest, ",")
	if !ok {
		t.Fatalf("no count of dropped connections in %s", text)
	}
	return number
}
