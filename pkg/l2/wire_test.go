// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"net/netip"
	"strings"
	"testing"
)

// The client's kernel finds the addresses, asks again by unicast when it doubts
// them, and the bytes of each exchange are as they should be.
func TestKernelResolves(t *testing.T) {
	for _, a := range []netip.Addr{service4, service6} {
		t.Run(a.String(), func(t *testing.T) {
			node, client := nodeAndClient(t)
			tap := client.tap("eth0")
			heard := respond(t, node.open("eth0"))
			client.speak(a)
			expect(t, heard, "a query to all", func(m Message) bool { return m.Kind == Query && m.Addr == a && !m.Unicast })
			client.neighbour(a, nodeMAC, "REACHABLE")
			golden(t, "resolution", tap.exchange(1), map[netip.Addr][]string{
				service4: {
					"ffffffffffff02000000000208060001080006040001020000000002c0000202000000000000c0000264",
					"02000000000202000000000108060001080006040002020000000001c0000264020000000002c0000202",
				},
				service6: {
					"3333ff00010002000000000286dd6000000000203aff20010db8000000000000000000000002ff0200000000000000000001ff000100" +
						"87001a290000000020010db80000000000000000000001000101020000000002",
					"02000000000202000000000186dd6000000000203aff20010db800000000000000000000010020010db8000000000000000000000002" +
						"8800a8754000000020010db80000000000000000000001000201020000000001",
				},
			}[a])

			client.ip("neigh change " + a.String() + " lladdr " + nodeMAC.String() + " dev eth0 nud probe")
			expect(t, heard, "a query to the node", func(m Message) bool { return m.Kind == Query && m.Addr == a && m.Unicast })
			client.neighbour(a, nodeMAC, "REACHABLE")
			golden(t, "neighbour unreachability probe", tap.exchange(1), map[netip.Addr][]string{
				service4: {
					"02000000000102000000000208060001080006040001020000000002c0000202000000000000c0000264",
					"02000000000202000000000108060001080006040002020000000001c0000264020000000002c0000202",
				},
				service6: {
					"02000000000102000000000286dd6000000000203afffe80000000000000000000fffe00000220010db8000000000000000000000100" +
						"87001aad0000000020010db80000000000000000000001000101020000000002",
					"02000000000202000000000186dd6000000000203aff20010db8000000000000000000000100fe80000000000000000000fffe000002" +
						"8800d8ad4000000020010db80000000000000000000001000201020000000001",
				},
			}[a])
		})
	}
}

func golden(t *testing.T, what string, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

// A host that wants one of the addresses for itself learns that it is taken, also
// if it marks its probes (RFC 7527).
func TestDuplicateAddressDetection(t *testing.T) {
	for _, enhanced := range []string{"0", "1"} {
		t.Run("enhanced "+enhanced, func(t *testing.T) {
			node, client := nodeAndClient(t)
			client.sysctl("net/ipv6/conf/eth0/accept_dad", "1")
			client.sysctl("net/ipv6/conf/all/enhanced_dad", "0")
			client.sysctl("net/ipv6/conf/eth0/enhanced_dad", enhanced)
			tap := client.tap("eth0")
			heard := respond(t, node.open("eth0"))
			client.ip("addr add 2001:db8::100/64 dev eth0")
			expect(t, heard, "a probe", func(m Message) bool { return m.Kind == Probe && m.Addr == service6 && !m.Unicast })
			client.await("failed address", "ip -6 addr show dev eth0 dadfailed", func(out string) bool { return strings.Contains(out, service6.String()) })
			got := tap.exchange(1)
			want := []string{
				"3333ff00010002000000000286dd6000000000183aff00000000000000000000000000000000ff0200000000000000000001ff000100" +
					"87004aef0000000020010db8000000000000000000000100",
				"33330000000102000000000186dd6000000000203aff20010db8000000000000000000000100ff020000000000000000000000000001" +
					"8800f72c2000000020010db80000000000000000000001000201020000000001",
			}
			if enhanced == "1" { // its probe has a random mark
				got, want = got[1:], want[1:]
			}
			golden(t, "duplicate address detection", got, want)
		})
	}
}

// What this kernel does not send as a client, others do.
func TestOtherHosts(t *testing.T) {
	node, client := nodeAndClient(t)
	tap := client.tap("eth0")
	respond(t, node.open("eth0"))
	for _, c := range []struct {
		name   string
		asked  []byte
		answer string
	}{
		{
			"ARP probe", arpOf(func(p *arpFrame) { p.sender = none4 }),
			"02000000000202000000000108060001080006040002020000000001c000026402000000000200000000",
		},
		{
			"solicitation without an option", ndpOf(func(p *ndpFrame) { p.option = false }),
			"02000000000202000000000186dd6000000000203aff20010db800000000000000000000010020010db8000000000000000000000002" +
				"8800a8754000000020010db80000000000000000000001000201020000000001",
		},
		{
			"unicast solicitation without an option", ndpOf(func(p *ndpFrame) { p.option, p.dst, p.to = false, nodeMAC, service6 }),
			"02000000000202000000000186dd6000000000203aff20010db800000000000000000000010020010db8000000000000000000000002" +
				"8800a8754000000020010db80000000000000000000001000201020000000001",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			tap.t = t
			tap.send(c.asked)
			got := tap.exchange(1)
			golden(t, c.name, got[len(got)-1:], []string{c.answer})
		})
	}
}

// An announcement replaces what a neighbour believes, and what it asks for
// afterwards goes to the new station.
func TestAnnounce(t *testing.T) {
	node, client := nodeAndClient(t)
	w := node.open("eth0")
	tap := client.tap("eth0")
	for a, want := range map[netip.Addr][]string{
		service4: {
			"ffffffffffff02000000000108060001080006040001020000000001c0000264000000000000c0000264",
			"ffffffffffff02000000000108060001080006040002020000000001c0000264020000000001c0000264",
		},
		service6: {
			"33330000000102000000000186dd6000000000203aff20010db8000000000000000000000100ff020000000000000000000000000001" +
				"8800f72c2000000020010db80000000000000000000001000201020000000001",
		},
	} {
		client.ip("neigh replace " + a.String() + " lladdr " + otherMAC.String() + " dev eth0 nud reachable")
		if err := w.Announce(a); err != nil {
			t.Fatal(err)
		}
		client.neighbour(a, nodeMAC, "STALE")
		golden(t, "announcement of "+a.String(), tap.exchange(len(want)), want)
	}
}

// An answer leaves what a neighbour believes, unless it is to override it.
func TestOverride(t *testing.T) {
	node, client := nodeAndClient(t)
	w := node.open("eth0")
	ask := Message{Kind: Query, Addr: service6, From: client6, MAC: clientMAC}
	client.ip("neigh replace " + service6.String() + " lladdr " + otherMAC.String() + " dev eth0 nud reachable")
	if err := w.Answer(ask); err != nil {
		t.Fatal(err)
	}
	client.neighbour(service6, otherMAC, "STALE")
	ask.Override = true
	if err := w.Answer(ask); err != nil {
		t.Fatal(err)
	}
	client.neighbour(service6, nodeMAC, "REACHABLE")
}

// A host that has the address answers the wire's questions: as a probe to all,
// which leaves no trace with it, and to it alone.
func TestAsk(t *testing.T) {
	node, client := nodeAndClient(t)
	client.ip("addr add 192.0.2.100/24 dev eth0")
	client.ip("addr add 2001:db8::100/64 dev eth0 nodad")
	client.usable(service6)
	w := node.open("eth0")
	heard := heardOn(w)
	for _, own := range []bool{false, true} {
		if own {
			node.ip("addr add 192.0.2.1/24 dev eth0")
		}
		for _, a := range []netip.Addr{service4, service6} {
			for _, to := range []MAC{{}, clientMAC} {
				if err := w.Ask(a, to); err != nil {
					t.Fatal(err)
				}
				m := expect(t, heard, "a claim for "+a.String(), func(m Message) bool { return m.Kind == Claim && m.Addr == a })
				if m.MAC != clientMAC || a.Is6() && m.Solicited == (to == MAC{}) {
					t.Errorf("asked for %s at %s, heard %+v", a, to, m)
				}
			}
		}
		out := client.ip("neigh show dev eth0")
		if got := strings.Contains(out, "192.0.2.1 "); got != own {
			t.Errorf("the node has an IPv4 address: %t; the client knows:\n%s", own, out)
		}
	}
}

// Two nodes hear each other: questions to all and to one, answers, announcements.
func TestTwoWires(t *testing.T) {
	one, two := newSpace(t), newSpace(t)
	connect(one, "eth0", nodeMAC, two, "eth0", otherMAC)
	w1, w2 := one.open("eth0"), two.open("eth0")
	heard1, heard2 := heardOn(w1), respond(t, w2)
	for _, a := range []netip.Addr{service4, service6} {
		for _, to := range []MAC{{}, otherMAC} {
			if err := w1.Ask(a, to); err != nil {
				t.Fatal(err)
			}
			expect(t, heard2, "the question", func(m Message) bool {
				return m.Kind != Claim && m.Addr == a && m.MAC == nodeMAC && m.Unicast == (to == otherMAC)
			})
			expect(t, heard1, "the answer", func(m Message) bool { return m.Kind == Claim && m.Addr == a && m.MAC == otherMAC })
		}
		if err := w1.Announce(a); err != nil {
			t.Fatal(err)
		}
		expect(t, heard2, "the announcement", func(m Message) bool { return m.Kind == Claim && m.Addr == a && m.Gratuitous })
	}
}
