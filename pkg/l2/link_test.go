// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

var group6 = solicitedNode(service6)

// resolves has the client forget both services, and find them again.
func (s *space) resolves(m MAC) {
	s.t.Helper()
	for _, a := range []netip.Addr{service4, service6} {
		s.try("ip neigh del " + a.String() + " dev eth0")
		s.speak(a)
		s.neighbour(a, m, "REACHABLE", "DELAY", "STALE")
	}
}

// The same wire goes on after its link went down and came back, and the kernel
// tells the network again which groups it is in.
func TestLinkFlap(t *testing.T) {
	node, client := nodeAndClient(t)
	respond(t, node.open("eth0"))
	client.resolves(nodeMAC)
	node.ip("link set eth0 down")
	tap := client.tap("eth0")
	node.ip("link set eth0 up")
	tap.next("multicast listener report after the link came back", reportOf(group6))
	node.ready("eth0")
	if n := node.groupMembers("eth0", group6); n != 1 {
		t.Errorf("%d members of the solicited-node group after the link came back", n)
	}
	client.resolves(nodeMAC)
	// The far end goes away: a carrier loss.
	client.ip("link set eth0 down")
	client.ip("link set eth0 up")
	node.ready("eth0")
	client.ready("eth0")
	client.ip("addr del 192.0.2.2/24 dev eth0")
	client.address()
	client.resolves(nodeMAC)
}

// reportOf recognises an MLDv2 report that names a group (RFC 3810 section 5.2).
func reportOf(group netip.Addr) func([]byte) bool {
	g := group.As16()
	return func(f []byte) bool {
		return len(f) > offICMPv6+8 && binary.BigEndian.Uint16(f[12:]) == etherIPv6 &&
			f[offIPv6+6] == 0 && f[offICMPv6+8] == 143 && strings.Contains(string(f), string(g[:]))
	}
}

// A wire can be opened before its link is up.
func TestOpenedWhileDown(t *testing.T) {
	node, client := nodeAndClient(t)
	node.ip("link set eth0 down")
	respond(t, node.open("eth0"))
	node.ip("link set eth0 up")
	node.ready("eth0")
	client.resolves(nodeMAC)
}

// A link's address changes: a new wire speaks from it, and the client follows.
func TestMACChange(t *testing.T) {
	node, client := nodeAndClient(t)
	old := node.open("eth0")
	respond(t, old)
	client.resolves(nodeMAC)
	node.ip("link set eth0 address " + otherMAC.String())
	old.Close()
	w := node.open("eth0")
	respond(t, w)
	if w.MAC() != otherMAC {
		t.Errorf("the new wire has address %s, want %s", w.MAC(), otherMAC)
	}
	for _, a := range []netip.Addr{service4, service6} {
		if err := w.Announce(a); err != nil {
			t.Fatal(err)
		}
		client.neighbour(a, otherMAC, "STALE", "REACHABLE")
	}
	client.resolves(otherMAC)
}

// A node's bridge answers for what is on its ports.
func TestBridge(t *testing.T) {
	node, client := newSpace(t), newSpace(t)
	connect(node, "port", otherMAC, client, "eth0", clientMAC)
	client.address()
	if out, err := node.try("ip link add br0 address " + nodeMAC.String() + " type bridge mcast_snooping 1"); err != nil {
		t.Skip("this kernel has no bridges: " + out)
	}
	node.ip("link set port master br0")
	node.ip("link set br0 up")
	node.ready("br0")
	respond(t, node.open("br0"))
	client.resolves(nodeMAC)
}

// A macvlan answers with its own address, and does not hear what is for its
// parent's.
func TestMACVLAN(t *testing.T) {
	node, client := nodeAndClient(t)
	if out, err := node.try("ip link add mv0 link eth0 address " + otherMAC.String() + " type macvlan mode bridge"); err != nil {
		t.Skip("this kernel has no macvlan: " + out)
	}
	node.ip("link set mv0 up")
	node.ready("mv0")
	heard := respond(t, node.open("mv0"))
	client.resolves(otherMAC)
	tap := client.tap("eth0")
	toParent := arpOf(func(p *arpFrame) { p.dst = nodeMAC })
	tap.send(toParent)
	tap.send(arpOf(func(p *arpFrame) { p.dst, p.sender = otherMAC, client4.Next() }))
	expect(t, heard, "a unicast query", func(m Message) bool {
		if m.From == client4 && m.Unicast && m.Addr == service4 {
			t.Errorf("heard %+v, which was for the parent", m)
		}
		return m.From == client4.Next()
	})
}

// A VLAN's requests are not its parent's.
func TestVLAN(t *testing.T) {
	node, client := nodeAndClient(t)
	for _, s := range []*space{node, client} {
		if out, err := s.try("ip link add eth0.7 link eth0 type vlan id 7"); err != nil {
			t.Skip("this kernel has no VLANs: " + out)
		}
		s.ip("link set eth0.7 up")
		s.ready("eth0.7")
	}
	parent := heardOn(node.open("eth0"))
	heard := heardOn(node.open("eth0.7"))
	client.tap("eth0.7").send(arpOf(func(*arpFrame) {}))
	expect(t, heard, "the query in the VLAN", func(m Message) bool { return m.Kind == Query })
	client.tap("eth0").send(arpOf(func(p *arpFrame) { p.sender = client4.Next() }))
	if m := expect(t, parent, "a query", func(Message) bool { return true }); m.From == client4 {
		t.Errorf("the parent heard %+v, which was for the VLAN", m)
	}
}
