// SPDX-License-Identifier: Apache-2.0

package links_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"metallb.io/metallb-frr/pkg/intent"
	"metallb.io/metallb-frr/pkg/links"
)

func isUp(l links.Link) bool   { return l.Up }
func isDown(l links.Link) bool { return !l.Up }

func has(prefix string) func(links.Link) bool {
	return func(l links.Link) bool { return slices.Contains(l.Addrs, netip.MustParsePrefix(prefix)) }
}

func hasNot(prefix string) func(links.Link) bool {
	return func(l links.Link) bool { return !has(prefix)(l) }
}

func hasLinkLocal(l links.Link) bool { return l.LinkLocal.IsValid() }

// answers are the reasons why an interface answers neither; "" where it does.
func answers(l links.Link) [2]intent.Reason {
	a := l.Answers(nil)
	return [2]intent.Reason{a.ARP.Reason, a.NDP.Reason}
}

var both = [2]intent.Reason{}

func why(r intent.Reason) [2]intent.Reason { return [2]intent.Reason{r, r} }

func wantAnswers(t *testing.T, l links.Link, want [2]intent.Reason) {
	t.Helper()
	if got := answers(l); got != want {
		t.Errorf("%s answers [ARP NDP]: %q, want %q; it is %+v", l.Name, got, want, l)
	}
}

// TestOnlyLoopback: a namespace without interfaces is reported as such.
func TestOnlyLoopback(t *testing.T) {
	w := newNode(t).watch(links.Options{}, nil)
	lo := w.untilLink("lo", "there", isDown)
	wantAnswers(t, lo, why(links.LinkNotEthernet))
	if lo.Index != 1 || lo.Ethernet || lo.Master != 0 || lo.Kind != "" {
		t.Errorf("lo is %+v", lo)
	}
}

// TestLife: an interface that appears later, and all that can happen to it.
func TestLife(t *testing.T) {
	n := newNode(t)
	w := n.watch(links.Options{}, nil)
	eth := n.veth("eth0")
	l := w.untilLink("eth0", "up with a link-local address", func(l links.Link) bool { return isUp(l) && hasLinkLocal(l) })
	wantAnswers(t, l, both)
	if l.Index != eth.Attrs().Index || l.MAC.String() != eth.Attrs().HardwareAddr.String() || l.Kind != "veth" || !l.Broadcast || l.NoARP || !l.Ethernet {
		t.Errorf("eth0 is %+v", l)
	}

	n.must(n.AddrAdd(eth, addr("192.0.2.1/24")), n.AddrAdd(eth, addr("2001:db8::1/64")))
	l = w.untilLink("eth0", "with its addresses", func(l links.Link) bool { return has("192.0.2.1/24")(l) && has("2001:db8::1/64")(l) })
	want := []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64"), netip.PrefixFrom(l.LinkLocal, 64)}
	if diff := cmp.Diff(want, l.Addrs, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("addresses of eth0 (-want +got):\n%s", diff)
	}
	n.must(n.AddrDel(eth, addr("192.0.2.1/24")))
	w.untilLink("eth0", "without the address", hasNot("192.0.2.1/24"))

	mac, _ := net.ParseMAC("02:00:5e:10:00:07")
	n.must(n.LinkSetHardwareAddr(eth, mac))
	w.untilLink("eth0", "with another MAC", func(l links.Link) bool { return l.MAC.String() == mac.String() })

	n.must(n.LinkSetDown(eth))
	wantAnswers(t, w.untilLink("eth0", "down", isDown), why(links.LinkDown))
	n.must(n.LinkSetUp(eth))
	wantAnswers(t, w.untilLink("eth0", "up again", func(l links.Link) bool { return isUp(l) && hasLinkLocal(l) }), both)

	n.must(n.LinkSetDown(eth), n.LinkSetName(eth, "lan0"), n.LinkSetUp(eth))
	w.until("the new name alone", func(ls []links.Link) bool {
		_, before := find(ls, "eth0")
		l, after := find(ls, "lan0")
		return !before && after && l.Index == eth.Attrs().Index
	})
	other := newNode(t)
	n.must(n.LinkSetNsFd(n.link("eth0p"), int(other.ns)))
	w.until("an interface gone to another namespace", func(ls []links.Link) bool { _, there := find(ls, "eth0p"); return !there })
	n.must(n.LinkDel(eth))
	w.until("lo alone", func(ls []links.Link) bool { _, there := find(ls, "lan0"); return !there })
}

// TestNoCapability: a process may watch that may do nothing else.
func TestNoCapability(t *testing.T) {
	n := newNode(t)
	eth := n.veth("eth0")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	found, done := false, make(chan error, 1)
	n.in(func() {
		none := [2]unix.CapUserData{}
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
			done <- err
			return
		}
		if err := netlink.LinkSetDown(eth); !errors.Is(err, unix.EPERM) {
			done <- fmt.Errorf("switching an interface off without capabilities: got %w, want EPERM", err)
			return
		}
		done <- links.Watch(ctx, links.Options{}, func(ls []links.Link) {
			if l, ok := find(ls, "eth0"); ok && has("192.0.2.1/24")(l) {
				found = true
				cancel()
			}
		})
	})
	n.must(n.AddrAdd(eth, addr("192.0.2.1/24")))
	select {
	case err := <-done:
		if err != nil || !found {
			t.Fatalf("watching without capabilities: found %v, %v", found, err)
		}
	case <-time.After(timeLimit):
		t.Fatal("no report of the address")
	}
}

// TestCarrier: an interface whose other end is gone is down, though switched on.
func TestCarrier(t *testing.T) {
	n := newNode(t)
	n.veth("eth0")
	w := n.watch(links.Options{}, nil)
	w.untilLink("eth0", "up", isUp)
	n.must(n.LinkSetDown(n.link("eth0p")))
	wantAnswers(t, w.untilLink("eth0", "without a carrier", isDown), why(links.LinkDown))
	n.must(n.LinkSetUp(n.link("eth0p")))
	w.untilLink("eth0", "with a carrier", isUp)
}

// TestDormant: an interface that waits for its authentication is not up yet.
func TestDormant(t *testing.T) {
	n := newNode(t)
	eth := n.veth("eth0")
	w := n.watch(links.Options{}, nil)
	w.untilLink("eth0", "up", isUp)
	// Link mode 1: the state after a carrier is dormant until someone sets up.
	operstate(t, n, eth, 1, netlink.OperDormant)
	w.untilLink("eth0", "dormant", isDown)
	operstate(t, n, eth, 1, netlink.OperUp)
	w.untilLink("eth0", "authenticated", isUp)
}

// TestBridge: a bridge answers, its ports do not, until they are none.
func TestBridge(t *testing.T) {
	n := newNode(t)
	w := n.watch(links.Options{}, nil)
	eth := n.veth("eth0")
	w.untilLink("eth0", "up", isUp)
	br := n.add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}})
	n.must(n.LinkSetUp(br))
	n.must(n.LinkSetMaster(eth, br))
	l := w.untilLink("eth0", "in the bridge", func(l links.Link) bool { return l.Master == br.Attrs().Index })
	wantAnswers(t, l, why(links.LinkHasMaster))
	l = w.untilLink("br0", "up", func(l links.Link) bool { return isUp(l) && hasLinkLocal(l) })
	wantAnswers(t, l, both)
	if l.Kind != "bridge" {
		t.Errorf("br0 is of kind %q", l.Kind)
	}
	n.must(n.LinkSetNoMaster(eth))
	l = w.untilLink("eth0", "out of the bridge", func(l links.Link) bool { return l.Master == 0 && hasLinkLocal(l) })
	wantAnswers(t, l, both)
	wantAnswers(t, w.untilLink("br0", "down without a port", isDown), why(links.LinkDown))
}

// TestStacked: interfaces on top of another are as good as that.
func TestStacked(t *testing.T) {
	for _, top := range []func(netlink.LinkAttrs) netlink.Link{
		func(a netlink.LinkAttrs) netlink.Link {
			return &netlink.Macvlan{LinkAttrs: a, Mode: netlink.MACVLAN_MODE_BRIDGE}
		},
		func(a netlink.LinkAttrs) netlink.Link { return &netlink.Vlan{LinkAttrs: a, VlanId: 7} },
	} {
		kind := top(netlink.LinkAttrs{}).Type()
		t.Run(kind, func(t *testing.T) {
			n := newNode(t)
			w := n.watch(links.Options{}, nil)
			eth := n.veth("eth0")
			l := n.add(top(netlink.LinkAttrs{Name: "top0", ParentIndex: eth.Attrs().Index}))
			n.must(n.LinkSetUp(l), n.AddrAdd(l, addr("192.0.2.9/24")))
			got := w.untilLink("top0", "up with its addresses", func(l links.Link) bool { return isUp(l) && hasLinkLocal(l) && has("192.0.2.9/24")(l) })
			wantAnswers(t, got, both)
			if got.Kind != kind || got.Master != 0 {
				t.Errorf("top0 is %+v", got)
			}
			wantAnswers(t, w.untilLink("eth0", "below it", func(l links.Link) bool { return isUp(l) && hasLinkLocal(l) }), both)
			n.must(n.LinkSetDown(n.link("eth0p")))
			w.untilLink("top0", "down with what is below it", isDown)
		})
	}
}

// TestBond: a bond answers, what it is made of does not.
func TestBond(t *testing.T) {
	n := newNode(t)
	bond := netlink.NewLinkBond(netlink.LinkAttrs{Name: "bond0"})
	bond.Mode = netlink.BOND_MODE_ACTIVE_BACKUP
	bond.Miimon = 50
	b := n.add(bond)
	w := n.watch(links.Options{}, nil)
	eth := n.veth("eth0")
	n.must(n.LinkSetDown(eth), n.LinkSetMaster(eth, b), n.LinkSetUp(b), n.AddrAdd(b, addr("192.0.2.9/24")))
	wantAnswers(t, w.untilLink("bond0", "up", func(l links.Link) bool { return isUp(l) && hasLinkLocal(l) }), both)
	wantAnswers(t, w.untilLink("eth0", "in the bond", func(l links.Link) bool { return l.Master == b.Attrs().Index }), why(links.LinkHasMaster))
}

// TestNoARP: what no neighbour is resolved on does not answer, and its addresses,
// which may be all Services' ones, are nobody's business.
func TestNoARP(t *testing.T) {
	n := newNode(t)
	eth := n.veth("eth0")
	n.must(n.AddrAdd(eth, addr("192.0.2.1/24")))
	w := n.watch(links.Options{}, nil)
	w.untilLink("eth0", "with its address", has("192.0.2.1/24"))
	n.must(n.LinkSetARPOff(eth))
	l := w.untilLink("eth0", "without ARP", func(l links.Link) bool { return l.NoARP })
	wantAnswers(t, l, why(links.LinkNoARP))
	if len(l.Addrs) > 0 || l.LinkLocal.IsValid() {
		t.Errorf("addresses were read: %+v", l)
	}
	n.same(w)
	n.must(n.AddrAdd(eth, addr("192.0.2.2/24")))
	n.must(n.LinkSetARPOn(eth))
	w.untilLink("eth0", "with both addresses", func(l links.Link) bool { return has("192.0.2.1/24")(l) && has("192.0.2.2/24")(l) })
}

// TestTunnel: an interface of layer 3 does not answer.
func TestTunnel(t *testing.T) {
	n := newNode(t)
	done := make(chan error)
	n.in(func() { // made by ioctl, where the thread is
		done <- netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "tun0"}, Mode: netlink.TUNTAP_MODE_TUN})
	})
	n.must(<-done)
	n.must(n.LinkSetUp(n.link("tun0")))
	w := n.watch(links.Options{}, nil)
	wantAnswers(t, w.untilLink("tun0", "there", func(links.Link) bool { return true }), why(links.LinkNotEthernet))
}

// TestFamilies: an interface without IPv4 addresses answers both; one without IPv6
// answers ARP.
func TestFamilies(t *testing.T) {
	n := newNode(t)
	eth := n.veth("eth0")
	n.must(n.AddrAdd(eth, addr("2001:db8::1/64")))
	w := n.watch(links.Options{}, nil)
	wantAnswers(t, w.untilLink("eth0", "with IPv6 alone", func(l links.Link) bool { return has("2001:db8::1/64")(l) && hasLinkLocal(l) }), both)
	n.sysctl("ipv6/conf/eth0/disable_ipv6", "1")
	l := w.untilLink("eth0", "without IPv6", func(l links.Link) bool { return !hasLinkLocal(l) && len(l.Addrs) == 0 })
	wantAnswers(t, l, [2]intent.Reason{"", links.LinkNoLinkLocal})
	n.sysctl("ipv6/conf/eth0/disable_ipv6", "0")
	wantAnswers(t, w.untilLink("eth0", "with IPv6 again", hasLinkLocal), both)
}

// TestDAD: an address is not used while it is asked for whether another has it,
// and never when another has.
func TestDAD(t *testing.T) {
	n := newNode(t)
	w := n.watch(links.Options{}, nil)
	eth := n.add(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0p"})
	n.must(n.LinkSetUp(eth), n.LinkSetUp(n.link("eth0p")))
	wantAnswers(t, w.untilLink("eth0", "with a link-local address that passed", hasLinkLocal), both)
	w.mu.Lock()
	before := slices.ContainsFunc(w.reports, func(ls []links.Link) bool {
		l, there := find(ls, "eth0")
		return there && isUp(l) && answers(l) == [2]intent.Reason{"", links.LinkNoLinkLocal}
	})
	w.mu.Unlock()
	if !before {
		t.Error("eth0 was not reported up and without NDP before its link-local address had passed")
	}

	other := addr("2001:db8::5/64")
	other.Flags = unix.IFA_F_NODAD
	n.must(n.AddrAdd(n.link("eth0p"), other), n.AddrAdd(eth, addr("2001:db8::5/64")))
	dadFailed(t, n, eth)
	n.must(n.AddrAdd(eth, addr("192.0.2.1/24"))) // what is told after the failure
	if l := w.untilLink("eth0", "with the mark", has("192.0.2.1/24")); has("2001:db8::5/64")(l) {
		t.Errorf("an address that another has is in use: %+v", l)
	}
}

// TestChosenAddresses: which addresses are listed, and which one NDP speaks from.
func TestChosenAddresses(t *testing.T) {
	n := newNode(t)
	n.sysctl("ipv6/conf/default/addr_gen_mode", "1")
	eth := n.veth("eth0")
	w := n.watch(links.Options{}, nil)
	old := addr("fe80::1/64")
	old.PreferedLft, old.ValidLft = 0, 3600
	n.must(n.AddrAdd(eth, old))
	l := w.untilLink("eth0", "with a deprecated link-local address", hasLinkLocal)
	if l.LinkLocal != netip.MustParseAddr("fe80::1") {
		t.Errorf("speaks from %s, want the deprecated address where there is no other", l.LinkLocal)
	}
	n.must(n.AddrAdd(eth, addr("fe80::9/64")), n.AddrAdd(eth, addr("fe80::5/64")))
	w.untilLink("eth0", "speaking from the lowest preferred address", func(l links.Link) bool { return l.LinkLocal == netip.MustParseAddr("fe80::5") })

	n.sysctl("ipv6/conf/eth0/use_tempaddr", "2")
	lasting := addr("2001:db8::1/64")
	lasting.Flags, lasting.PreferedLft, lasting.ValidLft = unix.IFA_F_MANAGETEMPADDR, 1800, 3600
	n.must(n.AddrAdd(eth, lasting))
	made, err := n.AddrList(eth, netlink.FAMILY_V6)
	n.must(err)
	if !slices.ContainsFunc(made, func(a netlink.Addr) bool { return a.Flags&unix.IFA_F_TEMPORARY != 0 }) {
		t.Fatalf("the kernel made no temporary address: %v", made)
	}

	peer := addr("198.51.100.1/32")
	peer.Peer = addr("198.51.100.2/30").IPNet
	n.must(n.AddrAdd(eth, peer), n.AddrAdd(eth, addr("192.0.2.1/24")), n.AddrAdd(eth, addr("192.0.2.2/24")))
	l = w.untilLink("eth0", "with IPv4 addresses", func(l links.Link) bool { return len(l.Addrs) == 7 })
	for _, p := range []string{"192.0.2.1/24", "192.0.2.2/24", "198.51.100.1/32", "fe80::1/64", "2001:db8::1/64"} {
		if !has(p)(l) {
			t.Errorf("%s is missing of %v", p, l.Addrs)
		}
	}
}

// TestQuiet: what Link does not say is not reported.
func TestQuiet(t *testing.T) {
	n := newNode(t)
	eth := n.veth("eth0")
	w := n.watch(links.Options{}, nil)
	w.untilLink("eth0", "settled", func(l links.Link) bool { return isUp(l) && hasLinkLocal(l) })
	w.untilLink("eth0p", "settled", func(l links.Link) bool { return isUp(l) && hasLinkLocal(l) })
	before := w.count()
	for mtu := 1400; mtu < 1410; mtu++ {
		n.must(n.LinkSetMTU(eth, mtu))
	}
	n.must(n.LinkSetAllmulticastOn(eth), n.AddrAdd(n.link("lo"), addr("192.0.2.77/32")))
	n.must(n.AddrAdd(eth, addr("192.0.2.1/24")))
	w.untilLink("eth0", "with the address", has("192.0.2.1/24"))
	if got := w.count() - before; got != 1 {
		t.Errorf("%d reports, want the one of the address", got)
	}
}

// TestDelay measures the time from a change to its report.
func TestDelay(t *testing.T) {
	n := newNode(t)
	eth := n.veth("eth0")
	w := n.watch(links.Options{}, nil)
	w.untilLink("eth0", "up", isUp)
	var took []time.Duration
	for range 50 {
		from := time.Now()
		n.must(n.AddrAdd(eth, addr("192.0.2.1/24")))
		w.untilLink("eth0", "with the address", has("192.0.2.1/24"))
		took = append(took, time.Since(from))
		n.must(n.AddrDel(eth, addr("192.0.2.1/24")))
		w.untilLink("eth0", "without the address", hasNot("192.0.2.1/24"))
	}
	slices.Sort(took)
	t.Logf("from the start of an address's adding to its report: median %s, worst of 50 %s", took[25], took[49])
}
