// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// A port is a member's interface and the switch port that it is plugged into.
type port struct {
	ns     netNS  // the member's namespace
	ifname string // the member's interface
	bridge string // the switch's bridge
	host   int    // host number in the network
}

// name is the switch port's name.
func (p port) name() string { return p.ns.name + "-" + p.ifname }

func (p port) prefixes() [2]netip.Prefix {
	if p.bridge == clientBridge {
		return [2]netip.Prefix{ClientNet4, ClientNet6}
	}
	return [2]netip.Prefix{LAN4, LAN6}
}

// macPrefix begins all MACs of the lab. After it come how often the MAC was
// changed, which of the member's interfaces it is, and the host number.
var macPrefix = [3]byte{0x02, 0x1a, 0xb0}

// clientsMAC is in the MACs on the network of clients. On the nodes' network it is
// 0 for eth0, 2 for eth1 and so on.
const clientsMAC = 1

// mac is the interface's hardware address: the same after a reboot.
func (p port) mac() net.HardwareAddr {
	kind := byte(0)
	switch {
	case p.bridge == clientBridge:
		kind = clientsMAC
	case p.ifname != "eth0":
		kind = p.ifname[len(p.ifname)-1] - '0' + clientsMAC
	}
	return net.HardwareAddr{macPrefix[0], macPrefix[1], macPrefix[2], 0, kind, byte(p.host)}
}

// plug makes the interface with its addresses and connects it to the switch.
func (p port) plug() error {
	if err := p.connect(); err != nil {
		return err
	}
	for _, net := range p.prefixes() {
		if err := p.addAddr(netip.PrefixFrom(host(net, p.host), net.Bits())); err != nil {
			return fmt.Errorf("plugging in %s: %w", p.name(), err)
		}
	}
	return nil
}

// connect makes the interface, up and without addresses, and connects it to the
// switch.
func (p port) connect() error {
	member, err := netns.GetFromPath(p.ns.path())
	if err != nil {
		return fmt.Errorf("plugging in %s: %w", p.name(), err)
	}
	defer member.Close()
	sw := netNS{switchName}
	err = sw.link(func(h *netlink.Handle) error {
		br, err := h.LinkByName(p.bridge)
		if err != nil {
			return err
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex = p.name(), br.Attrs().Index
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: p.ifname, PeerHardwareAddr: p.mac(), PeerNamespace: netlink.NsFd(member)}
		if err := h.LinkAdd(veth); err != nil {
			return err
		}
		return h.LinkSetUp(veth)
	})
	if err == nil {
		err = p.onMember(func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetUp(l) })
	}
	if err != nil {
		return fmt.Errorf("plugging in %s: %w", p.name(), err)
	}
	return nil
}

// addAddr gives the member's interface an address, and returns once the member
// takes packets for it.
func (p port) addAddr(a netip.Prefix) error {
	return p.onMember(func(h *netlink.Handle, l netlink.Link) error {
		err := h.AddrAdd(l, netlinkAddr(a))
		if err == nil && a.Addr().Is6() {
			err = waitLocal(h, a.Addr())
		}
		if err != nil {
			return fmt.Errorf("adding %s: %w", a, err)
		}
		return nil
	})
}

// waitLocal waits until the kernel has made its route to an IPv6 address of its own,
// which it does after it has said that it has the address, and does not tell. A
// packet that comes sooner is forwarded to where it came from.
func waitLocal(h *netlink.Handle, a netip.Addr) error {
	ctx, cancel := context.WithTimeoutCause(context.Background(), 10*time.Second, errors.New("not after 10 s"))
	defer cancel()
	return poll(ctx, "the kernel to take packets for it", time.Millisecond, func() error {
		routes, err := h.RouteGet(a.AsSlice())
		if err == nil && (len(routes) != 1 || routes[0].Type != unix.RTN_LOCAL) {
			err = fmt.Errorf("its route is %v", routes)
		}
		return err
	})
}

func (p port) removeAddr(a netip.Prefix) error {
	return p.onMember(func(h *netlink.Handle, l netlink.Link) error {
		if err := h.AddrDel(l, netlinkAddr(a)); err != nil {
			return fmt.Errorf("removing %s: %w", a, err)
		}
		return nil
	})
}

func netlinkAddr(a netip.Prefix) *netlink.Addr {
	out := &netlink.Addr{IPNet: ipNet(a)}
	if a.Addr().Is6() {
		out.Flags = unix.IFA_F_NODAD
	}
	return out
}

// onSwitch calls f with the switch's end of the port.
func (p port) onSwitch(f func(h *netlink.Handle, l netlink.Link) error) error {
	return netNS{switchName}.link(func(h *netlink.Handle) error {
		l, err := h.LinkByName(p.name())
		if err == nil {
			err = f(h, l)
		}
		if err != nil {
			return fmt.Errorf("switch port %s: %w", p.name(), err)
		}
		return nil
	})
}

// linkDown takes the carrier away on both ends; linkUp gives it back.
func (p port) linkDown() error {
	return p.onSwitch(func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetDown(l) })
}

func (p port) linkUp() error {
	return p.onSwitch(func(h *netlink.Handle, l netlink.Link) error { return h.LinkSetUp(l) })
}

// unplug removes the interface, which its namespace would else keep for a while.
func (p port) unplug() error {
	return p.onSwitch(func(h *netlink.Handle, l netlink.Link) error { return h.LinkDel(l) })
}

// drop makes the switch lose every frame from and to the port, or stop doing
// so, while the carrier stays: the port leaves its bridge, and the switch has
// no addresses of its own that could answer.
func (p port) drop(on bool) error {
	return p.onSwitch(func(h *netlink.Handle, l netlink.Link) error {
		if on {
			return h.LinkSetNoMaster(l)
		}
		br, err := h.LinkByName(p.bridge)
		if err != nil {
			return err
		}
		return h.LinkSetMaster(l, br)
	})
}

// onMember calls f with the member's end of the port.
func (p port) onMember(f func(h *netlink.Handle, l netlink.Link) error) error {
	err := p.ns.link(func(h *netlink.Handle) error {
		l, err := h.LinkByName(p.ifname)
		if err != nil {
			return err
		}
		return f(h, l)
	})
	if err != nil {
		return fmt.Errorf("interface %s of %s: %w", p.ifname, p.ns.name, err)
	}
	return nil
}
