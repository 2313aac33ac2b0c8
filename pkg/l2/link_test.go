// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
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
	node, client := lan(t)
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
	node, client := lan(t)
	node.ip("link set eth0 down")
	respond(t, node.open("eth0"))
	node.ip("link set eth0 up")
	node.ready("eth0")
	client.resolves(nodeMAC)
}

// A link's address changes: a new wire speaks from it, and the client follows.
func TestMACChange(t *testing.T) {
	node, client := lan(t)
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
	pair(node, "port", otherMAC, client, "eth0", clientMAC)
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
	node, client := lan(t)
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
	node, client := lan(t)
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

// A switch that watches who listens sends solicitations on to the wire's link.
func TestSnoopingSwitch(t *testing.T) {
	sw, node, client := newSpace(t), newSpace(t), newSpace(t)
	pair(node, "eth0", nodeMAC, sw, "node", MAC{2, 0, 0, 0, 1, 1})
	pair(client, "eth0", clientMAC, sw, "client", MAC{2, 0, 0, 0, 1, 2})
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
	node, client := lan(t)
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
	node, _ := lan(t)
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
	node.usable(service6)
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
	node, _ := lan(t)
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

// Everything ends with Close, in any order, also when the link is gone.
func TestClose(t *testing.T) {
	node, _ := lan(t)
	fds, goroutines := openFiles(t), runtime.NumGoroutine()
	for _, gone := range []bool{false, true} {
		w := node.open("eth0")
		done := make(chan error, 1)
		go func() {
			_, err := w.Receive()
			done <- err
		}()
		if gone {
			node.ip("link del eth0")
			if err := w.Announce(service4); err == nil || !strings.Contains(err.Error(), "eth0") {
				t.Errorf("announcing on a link that is gone: error %v; want one that names it", err)
			}
		}
		w.Close()
		w.Close()
		select {
		case err := <-done:
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Receive ended with %v, want %v", err, net.ErrClosed)
			}
		case <-time.After(timeLimit):
			t.Fatal("Receive did not end with Close")
		}
		for what, err := range map[string]error{
			"Announce": w.Announce(service6),
			"Answer":   w.Answer(Message{Addr: service4, From: client4, MAC: clientMAC}),
			"Ask":      w.Ask(service6, clientMAC),
			"Want":     w.Want(services()),
		} {
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s after Close: error %v, want %v", what, err, net.ErrClosed)
			}
		}
	}
	if n := openFiles(t); n != fds {
		t.Errorf("%d open files, %d before", n, fds)
	}
	// A goroutine that has done all goes when it comes to it.
	for end := time.Now().Add(timeLimit); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}

// What cannot be opened says why.
func TestOpenErrors(t *testing.T) {
	s := newSpace(t)
	for name, want := range map[string]string{
		"eth9":                  "no such device",
		"lo":                    "not Ethernet",
		strings.Repeat("x", 20): "no interface's name",
	} {
		var err error
		s.in(func() { _, err = openWire(name) })
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("opening %q: error %v; want one that names it and says %q", name, err, want)
		}
	}
}

// CAP_NET_RAW is all that a wire needs.
func TestNetRawSuffices(t *testing.T) {
	node, client := lan(t)
	var left [2]unix.CapUserData
	node.in(func() { // only its thread is concerned, not the programs that it starts
		all := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		left[0].Effective, left[0].Permitted = 1<<unix.CAP_NET_RAW, 1<<unix.CAP_NET_RAW
		if err := unix.Capset(&all, &left[0]); err != nil {
			t.Errorf("giving up capabilities: %v", err)
		}
	})
	var w wire
	node.in(func() {
		var err error
		if w, err = openWire("eth0"); err == nil {
			err = errors.Join(w.Want(services()), w.Announce(service4), w.Ask(service6, clientMAC))
		}
		if err != nil {
			t.Error(err)
		}
	})
	if w == nil {
		return
	}
	defer w.Close()
	respond(t, w)
	client.resolves(nodeMAC)
}

// What nonsense is asked for is refused, and nothing is sent.
func TestRefused(t *testing.T) {
	node, _ := lan(t)
	w := node.open("eth0")
	for what, err := range map[string]error{
		"the answer to a claim":     w.Answer(Message{Kind: Claim, Addr: service4, From: service4, MAC: clientMAC}),
		"an answer to nobody":       w.Answer(Message{Addr: service4}),
		"an answer across families": w.Answer(Message{Addr: service4, From: client6}),
		"announcing nothing":        w.Announce(netip.Addr{}),
		"announcing a mapped one":   w.Announce(netip.AddrFrom16(service4.As16())),
		"asking for nothing":        w.Ask(netip.Addr{}, MAC{}),
	} {
		if err == nil || !strings.Contains(err.Error(), "eth0") {
			t.Errorf("%s: error %v; want one that names the link", what, err)
		}
	}
}

// The kernel's filters pass what can matter and nothing else. The readers would
// drop the rest as well: here the sockets are read without them.
func TestFilters(t *testing.T) {
	node, client := lan(t)
	tap := client.tap("eth0")
	other := func(f []byte, offset int, v byte) []byte { f[offset] = v; return f }
	for _, c := range []struct {
		name      string
		ethertype uint16
		dropped   [][]byte
		passed    []byte
	}{
		{
			"ARP", etherARP,
			[][]byte{
				arpOf(func(p *arpFrame) { p.dst = otherMAC }),
				ndpOf(func(*ndpFrame) {}),
			},
			arpOf(func(*arpFrame) {}),
		},
		{
			"NDP", etherIPv6,
			[][]byte{
				ndpOf(func(p *ndpFrame) { p.dst = otherMAC }),
				other(ndpOf(func(*ndpFrame) {}), offIPv6+6, 17),
				other(ndpOf(func(*ndpFrame) {}), offIPv6+7, 64),
				other(ndpOf(func(*ndpFrame) {}), offICMPv6, 134),
				other(ndpOf(func(*ndpFrame) {}), offICMPv6, 128),
				arpOf(func(*arpFrame) {}),
			},
			ndpOf(func(*ndpFrame) {}),
		},
		{"NDP advertisement", etherIPv6, nil, ndpOf(advertised)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p *port
			var err error
			node.in(func() {
				var index int
				if index, err = indexOf("eth0"); err == nil {
					p, _, err = openPort(index, c.ethertype)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			defer p.file.Close()
			p.file.SetReadDeadline(time.Now().Add(timeLimit))
			for _, f := range append(c.dropped, c.passed) {
				tap.send(f)
			}
			buf := make([]byte, maxFrame)
			// The kernels talk too.
			for {
				n, err := p.file.Read(buf)
				if err != nil {
					t.Fatal(err)
				}
				if string(buf[:n]) == string(c.passed) {
					return
				}
				for _, f := range c.dropped {
					if string(buf[:n]) == string(f) {
						t.Errorf("passed %x", f)
					}
				}
			}
		})
	}
}

// A flood about other addresses costs no memory, and does not keep a question
// about a wanted one from being heard.
func TestFlood(t *testing.T) {
	node, client := lan(t)
	w := node.open("eth0")
	heard := heardOn(w)
	tap := client.tap("eth0")
	noise4, noise6 := arpOf(func(p *arpFrame) { p.target = client4 }), ndpOf(func(p *ndpFrame) { p.target = client6 })
	const frames = 40_000
	flood := func() {
		for range frames / 2 {
			unix.Write(tap.fd, noise4)
			unix.Write(tap.fd, noise6)
		}
	}
	flood()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	flood()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	// As every host does, the client asks again when it hears nothing: what
	// finds the socket's buffer full is lost.
	for _, a := range []netip.Addr{service4, service6} {
		question := arpOf(func(*arpFrame) {})
		if a.Is6() {
			question = ndpOf(func(*ndpFrame) {})
		}
		stop := make(chan struct{})
		var asking sync.WaitGroup
		asking.Go(func() {
			for unix.Write(tap.fd, question); ; unix.Write(tap.fd, question) {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		})
		flood()
		expect(t, heard, "a query", func(m Message) bool { return m.Kind == Query && m.Addr == a })
		close(stop)
		asking.Wait()
	}
	t.Logf("%d frames in %s, %d allocations meanwhile", frames, took, after.Mallocs-before.Mallocs)
	if n := after.Mallocs - before.Mallocs; n > frames/100 {
		t.Errorf("%d allocations while %d frames came that matter to nobody", n, frames)
	}
}

// BenchmarkWire asks over a real link and waits for the answer.
func BenchmarkWire(b *testing.B) {
	one, two := newSpace(b), newSpace(b)
	pair(one, "eth0", nodeMAC, two, "eth0", otherMAC)
	w1, w2 := one.open("eth0"), two.open("eth0")
	go func() {
		for {
			m, err := w2.Receive()
			if err != nil {
				return
			}
			w2.Answer(m)
		}
	}()
	for _, a := range []netip.Addr{service4, service6} {
		b.Run(fmt.Sprint(a), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := w1.Ask(a, MAC{}); err != nil {
					b.Fatal(err)
				}
				if _, err := w1.Receive(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkWant changes one of 10,000 addresses of each family.
func BenchmarkWant(b *testing.B) {
	node, _ := lan(b)
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

// A filter's jumps are eight bits wide.
func TestFilterAssembles(t *testing.T) {
	for name, f := range map[string][]bpf.Instruction{"ARP": arpFilter(1), "NDP": ndpFilter(1)} {
		if _, err := bpf.Assemble(f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
