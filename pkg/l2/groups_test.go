// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// A switch that watches who listens sends solicitations on to the wire's link.
func TestSnoopingSwitch(t *testing.T) {
	sw, node, client := newSpace(t), newSpace(t), newSpace(t)
	connect(node, "eth0", nodeMAC, sw, "node", MAC{2, 0, 0, 0, 1, 1})
	connect(client, "eth0", clientMAC, sw, "client", MAC{2, 0, 0, 0, 1, 2})
	client.address()
	if out, err := sw.try("ip link add br0 type bridge mcast_snooping 1 mcast_querier 1 mcast_startup_query_interval 10 mcast_query_response_interval 20"); err != nil {
		t.Skip("this kernel has no snooping bridges: " + out)
	}
	for _, l := range []string{"node", "client"} {
		sw.ip("link set " + l + " master br0")
	}
	sw.ip("link set br0 up")
	sw.ready("br0")
	w := node.open("eth0")
	respond(t, w)
	listens := func(out string) bool { return strings.Contains(out, "port node grp "+group6.String()) }
	sw.await("membership of the node's port", "bridge mdb show dev br0", listens)
	client.resolves(nodeMAC)
	// Leaving is told too.
	if err := w.Want(map[netip.Addr]bool{service4: true}); err != nil {
		t.Fatal(err)
	}
	sw.await("end of the membership", "bridge mdb show dev br0", func(out string) bool { return !listens(out) })
}

// Without IPv6 a link serves IPv4, and Want says what it could not do; again
// wanted, when it has IPv6, both.
func TestLinkWithoutIPv6(t *testing.T) {
	node, client := nodeAndClient(t)
	node.ip("link set eth0 mtu 1000") // below what IPv6 needs: the kernel forgets it
	var w wire
	var err error
	node.in(func() { w, err = openWire("eth0") })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	respond(t, w)
	err = w.Want(services())
	if err == nil || !strings.Contains(err.Error(), group6.String()) || !strings.Contains(err.Error(), "eth0") {
		t.Errorf("wanting an IPv6 address on a link without IPv6: error %v; want one that names group and link", err)
	}
	client.speak(service4)
	client.neighbour(service4, nodeMAC, "REACHABLE")
	node.ip("link set eth0 mtu 1500")
	if err := w.Want(services()); err != nil {
		t.Fatal(err)
	}
	client.resolves(nodeMAC)
}

// Addresses whose last 24 bits agree share a group, which is left with the last.
func TestGroupsShared(t *testing.T) {
	node, _ := nodeAndClient(t)
	w := node.open("eth0")
	twin := netip.MustParseAddr("2001:db8:1::100")
	for _, c := range []struct {
		want    map[netip.Addr]bool
		members int
	}{
		{map[netip.Addr]bool{service6: true, twin: true}, 1},
		{map[netip.Addr]bool{twin: true}, 1},
		{map[netip.Addr]bool{twin: true, service6: false}, 1},
		{map[netip.Addr]bool{twin: false, service4: true}, 0},
		{map[netip.Addr]bool{service6: true}, 1},
		{nil, 0},
	} {
		if err := w.Want(c.want); err != nil {
			t.Fatal(err)
		}
		if n := node.groupMembers("eth0", group6); n != c.members {
			t.Errorf("wanting %v: %d members of the group, want %d", c.want, n, c.members)
		}
	}
	// The node's own addresses can be in the group, and stay in it.
	node.ip("addr add 2001:db8:2::100/64 dev eth0 nodad")
	node.usable(netip.MustParseAddr("2001:db8:2::100"))
	if err := w.Want(services()); err != nil {
		t.Fatal(err)
	}
	if n := node.groupMembers("eth0", group6); n != 2 {
		t.Errorf("%d members of the group that the node is in too, want 2", n)
	}
	w.Close()
	if n := node.groupMembers("eth0", group6); n != 1 {
		t.Errorf("%d members of the node's own group after Close, want 1", n)
	}
}

// More groups than one socket may join.
func TestManyGroups(t *testing.T) {
	node, _ := nodeAndClient(t)
	w := node.open("eth0")
	many, a := map[netip.Addr]bool{}, service6
	for range 4000 {
		many[a] = true
		a = a.Next()
	}
	count := func() int { return strings.Count(node.run("cat /proc/net/igmp6"), "ff0200000000000000000001ff") }
	before := count()
	start := time.Now()
	node.in(func() { // for the sockets that it opens
		if err := w.Want(many); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("joined %d groups with %d sockets in %s", len(many), len(w.(*packetWire).groups.socks), time.Since(start))
	if n := count() - before + 1; n != len(many) {
		t.Errorf("in %d groups, want %d", n, len(many))
	}
	// Room that came free is used: no more sockets, however often they change.
	sockets := 3 // for 6,000, since the new ones are joined first
	for range 5 {
		next := map[netip.Addr]bool{}
		for range 2000 {
			next[a] = true
			a = a.Next()
		}
		if err := w.Want(next); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(w.(*packetWire).groups.socks); n > sockets {
		t.Errorf("%d sockets after changes of 2,000 groups, want at most %d", n, sockets)
	}
	w.Close()
	if n := count() - before + 1; n != 0 {
		t.Errorf("in %d groups after Close", n)
	}
}

// BenchmarkWant changes one of 10,000 addresses of each family.
func BenchmarkWant(b *testing.B) {
	node, _ := nodeAndClient(b)
	w := node.open("eth0")
	want, a4, a6 := map[netip.Addr]bool{}, service4, service6
	for range 10_000 {
		want[a4], want[a6] = true, true
		a4, a6 = a4.Next(), a6.Next()
	}
	start := time.Now()
	node.in(func() {
		if err := w.Want(maps.Clone(want)); err != nil {
			b.Fatal(err)
		}
	})
	first := time.Since(start)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		next := maps.Clone(want)
		next[a6] = i%2 == 0
		b.StartTimer()
		if err := w.Want(next); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(first.Milliseconds()), "first-ms")
}
