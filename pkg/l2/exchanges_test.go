// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	onwire "metallb.io/metallb-frr/e2e/wire"
)

// The kernel as the client of an engine: it is told of the addresses, finds them,
// and probes them.
func TestExchangeResolution(t *testing.T) {
	node, client := nodeAndClient(t)
	x := newExchange(t, node, client)
	x.part("the node announces the addresses, which a speaker had")
	x.respond(true)
	x.announced(nodeMAC)
	x.finds(nodeMAC)
	x.doubts(nodeMAC)
	x.golden("resolution")
}

// An address that nobody had is asked for first.
func TestExchangeFirstClaim(t *testing.T) {
	node, client := nodeAndClient(t)
	x := newExchange(t, node, client)
	x.part("nobody had the addresses")
	x.respond(false)
	x.announced(nodeMAC)
	x.finds(nodeMAC)
	x.golden("first-claim")
}

// A kernel that has the addresses keeps them.
func TestExchangeForeignOwner(t *testing.T) {
	node, client := nodeAndClient(t)
	client.ip("addr add 192.0.2.100/24 dev eth0")
	client.ip("addr add 2001:db8::100/64 dev eth0 nodad")
	client.usable(service6)
	x := newExchange(t, node, client)
	x.part("the client has the addresses")
	x.respond(false)
	x.wait("an answer", func(f onwire.Frame) bool { return f.MAC == onwire.MAC(clientMAC) && f.Kind != onwire.Query }, service4, service6)
	for _, a := range []netip.Addr{service4, service6} {
		x.until("foreign", func() bool { return x.engine.Status(a).State == Foreign })
	}
	x.golden("foreign-owner")
}

// A kernel that wants an address for itself learns that it is taken.
func TestExchangeDuplicateAddress(t *testing.T) {
	node, client := nodeAndClient(t)
	client.sysctl("net/ipv6/conf/eth0/accept_dad", "1")
	client.sysctl("net/ipv6/conf/all/enhanced_dad", "0")
	client.sysctl("net/ipv6/conf/eth0/enhanced_dad", "0")
	x := newExchange(t, node, client)
	x.part("the node announces the addresses, which a speaker had")
	x.respond(true)
	x.announced(nodeMAC)
	x.part("the client's kernel wants the IPv6 address")
	client.ip("addr add 2001:db8::100/64 dev eth0")
	client.await("failed address", "ip -6 addr show dev eth0 dadfailed", func(out string) bool { return strings.Contains(out, service6.String()) })
	x.wait("a defence", func(f onwire.Frame) bool { return f.Kind == onwire.Gratuitous }, service6)
	x.golden("duplicate-address")
}

// After a link went down and came back, at either end, all is announced and
// answered again.
func TestExchangeLinkFlap(t *testing.T) {
	sw := newSpace(t)
	sw.ip("link add br0 type bridge mcast_snooping 0")
	sw.ip("link set br0 up")
	node, client := newSpace(t), newSpace(t)
	connect(node, "eth0", nodeMAC, sw, "node", MAC{2, 0, 0, 0, 1, 1})
	connect(client, "eth0", clientMAC, sw, "client", MAC{2, 0, 0, 0, 1, 2})
	for _, l := range []string{"node", "client"} {
		sw.ip("link set " + l + " master br0")
	}
	client.address()
	x := newExchange(t, node, client)
	x.part("the node announces the addresses, which a speaker had")
	x.respond(true)
	x.announced(nodeMAC)
	x.finds(nodeMAC)
	for _, end := range []struct {
		what  string
		space *space
		link  string
	}{{"the node's link", node, "eth0"}, {"the switch's port", sw, "node"}} {
		end.space.ip("link set " + end.link + " down")
		x.until("the link is left", func() bool {
			return len(x.engine.Status(service4).Links)+len(x.engine.Status(service6).Links) == 0
		})
		x.part(end.what + " goes down and comes back")
		end.space.ip("link set " + end.link + " up")
		x.announced(nodeMAC)
		x.finds(nodeMAC)
	}
	x.golden("link-flap")
}

// An interface that comes later, to another network, announces and answers as well.
func TestExchangeInterfaceAddedLater(t *testing.T) {
	node, first := nodeAndClient(t)
	near := newExchange(t, node, first)
	near.part("the node announces the addresses, which a speaker had")
	near.respond(true)
	near.announced(nodeMAC)
	near.finds(nodeMAC)
	near.golden("interface-before")
	second := newSpace(t)
	node.ip(fmt.Sprintf("link add eth1 address %s type veth peer name eth0 address %s netns %d", otherMAC, clientMAC, second.tid))
	second.ip("link set eth0 up")
	x := newExchange(t, node, second)
	x.engine, x.held = near.engine, near.held
	x.part("the node gets another interface")
	node.ip("link set eth1 up")
	x.announced(otherMAC)
	second.ready("eth0")
	second.address()
	x.finds(otherMAC)
	x.doubts(otherMAC)
	x.golden("interface-later")
}

// An interface whose MAC changes announces the new one, and the client's kernel
// takes it without asking.
func TestExchangeMACChange(t *testing.T) {
	node, client := nodeAndClient(t)
	x := newExchange(t, node, client)
	x.part("the node announces the addresses, which a speaker had")
	x.respond(true)
	x.announced(nodeMAC)
	x.finds(nodeMAC)
	x.part("the node's MAC changes")
	node.ip("link set eth0 address " + otherMAC.String())
	x.announced(otherMAC)
	for _, a := range []netip.Addr{service4, service6} {
		client.neighbour(a, otherMAC, "STALE", "REACHABLE")
	}
	x.doubts(otherMAC)
	x.golden("mac-change")
}

// A node's bridge announces and answers on its ports.
func TestExchangeBridge(t *testing.T) {
	node, client := newSpace(t), newSpace(t)
	connect(node, "port", parentMAC, client, "eth0", clientMAC)
	client.address()
	node.ip("link add br0 address " + nodeMAC.String() + " type bridge mcast_snooping 1")
	node.ip("link set port master br0")
	x := newExchange(t, node, client)
	x.part("the node's bridge comes up")
	x.respond(true)
	node.ip("link set br0 up")
	x.announced(nodeMAC)
	x.finds(nodeMAC)
	x.doubts(nodeMAC)
	x.golden("bridge")
}

// A macvlan announces and answers with its own MAC, where it alone is to.
func TestExchangeMACVLAN(t *testing.T) {
	node, client := newSpace(t), newSpace(t)
	connect(node, "eth0", parentMAC, client, "eth0", clientMAC)
	client.address()
	if out, err := node.try("ip link add mv0 link eth0 address " + nodeMAC.String() + " type macvlan mode bridge"); err != nil {
		t.Skip("this kernel has no macvlan: " + out)
	}
	x := newExchange(t, node, client)
	x.part("the node's macvlan comes up")
	x.respond(true, "mv0")
	node.ip("link set mv0 up")
	x.announced(nodeMAC)
	x.finds(nodeMAC)
	x.doubts(nodeMAC)
	x.golden("macvlan")
}
