// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The lab's addresses. Every lab has the same ones; they exist only inside its
// namespaces.
var (
	// LAN4 and LAN6 are the network of nodes, routers and control plane.
	LAN4, LAN6 = netip.MustParsePrefix("172.30.0.0/24"), netip.MustParsePrefix("fd00:30::/64")
	// ClientNet4 and ClientNet6 are the network of routers and clients.
	ClientNet4, ClientNet6 = netip.MustParsePrefix("172.31.0.0/24"), netip.MustParsePrefix("fd00:31::/64")
)

const (
	podCIDRs     = "10.244.0.0/16,fd00:244::/56"
	serviceCIDRs = "10.96.0.0/16,fd00:96::/112"
	cpName       = "cp"
	switchName   = "switch"
	lanBridge    = "lan"
	clientBridge = "clients"
	cpHost       = 250 // the control plane's host number
	firstHost    = 11  // the first node's and the first client's
)

func nodeName(i int) string   { return fmt.Sprintf("n%d", i+1) }
func routerName(i int) string { return fmt.Sprintf("tor%d", i+1) }
func clientName(i int) string { return fmt.Sprintf("c%d", i+1) }

// podNets are the pod networks of node i, IPv4 and IPv6.
func podNets(i int) [2]netip.Prefix {
	return [2]netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(i + 1), 0}), 24),
		netip.MustParsePrefix(fmt.Sprintf("fd00:244:0:%d::/64", i+1)),
	}
}

// host returns the address of host n in a network. In IPv6 the last group
// reads like n: host 11 is fd00:30::11.
func host(p netip.Prefix, n int) netip.Addr {
	if p.Addr().Is4() {
		a := p.Addr().As4()
		a[3] = byte(n)
		return netip.AddrFrom4(a)
	}
	return netip.MustParseAddr(fmt.Sprintf("%s%d", p.Addr(), n))
}

// buildNetwork makes the switch and plugs every member in.
func (l *Lab) buildNetwork() error {
	sw := netNS{switchName}
	if err := sw.create(); err != nil {
		return err
	}
	if err := sw.sysctl("net/ipv6/conf/all/disable_ipv6=1", "net/ipv6/conf/default/disable_ipv6=1"); err != nil {
		return err
	}
	err := sw.link(func(h *netlink.Handle) error {
		for _, name := range []string{lanBridge, clientBridge} {
			attrs := netlink.NewLinkAttrs()
			attrs.Name = name
			br := &netlink.Bridge{LinkAttrs: attrs}
			if err := errors.Join(h.LinkAdd(br), h.LinkSetUp(br)); err != nil {
				return fmt.Errorf("making bridge %s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i := range l.Spec.Routers {
		if err := l.plugRouter(i); err != nil {
			return err
		}
	}
	if err := l.plugMember(netNS{cpName}, port{netNS{cpName}, "eth0", lanBridge, cpHost}); err != nil {
		return err
	}
	for i := range l.Spec.Nodes {
		if err := l.Node(i).plug(); err != nil {
			return err
		}
	}
	for i := range l.Spec.Clients {
		ns := netNS{clientName(i)}
		if err := l.plugMember(ns, port{ns, "eth0", clientBridge, firstHost + i}); err != nil {
			return err
		}
	}
	for i := range l.Spec.LANClients {
		if err := plugHost(l.LANClient(i).port); err != nil {
			return err
		}
	}
	return l.podRoutes(netNS{cpName}, -1)
}

// plugMember makes a namespace with one interface and default routes over all
// routers. Without routers the control plane stands in for them: a node looks a
// cluster address up in its routes before kube-proxy's rules apply.
func (l *Lab) plugMember(ns netNS, p port) error {
	if err := errors.Join(ns.create(), settings(ns), p.plug()); err != nil {
		return err
	}
	hops := []int{cpHost}
	if l.Spec.Routers > 0 {
		hops = nil
	}
	for i := range l.Spec.Routers {
		hops = append(hops, i+1)
	}
	if p.host == hops[0] {
		return nil
	}
	return ns.link(func(h *netlink.Handle) error {
		link, err := h.LinkByName(p.ifname)
		if err != nil {
			return err
		}
		for _, net := range p.prefixes() {
			r := &netlink.Route{Dst: ipNet(netip.PrefixFrom(unspecified(net.Addr()), 0))}
			for _, hop := range hops {
				r.MultiPath = append(r.MultiPath, &netlink.NexthopInfo{
					LinkIndex: link.Attrs().Index, Gw: host(net, hop).AsSlice(),
				})
			}
			if err := h.RouteAdd(r); err != nil {
				return fmt.Errorf("default route of %s: %w", ns.name, err)
			}
		}
		return nil
	})
}

func (l *Lab) plugRouter(i int) error {
	r := l.Router(i)
	return errors.Join(r.ns.create(), settings(r.ns), r.lan.plug(), r.clients.plug())
}

// settings are those of a member of the cluster's network: what every machine has,
// forwarding, and flows spread over next hops by their ports as well.
func settings(ns netNS) error {
	return errors.Join(hostSettings(ns), ns.sysctl(
		"net/ipv4/ip_forward=1", "net/ipv6/conf/all/forwarding=1", "net/ipv6/conf/default/forwarding=1",
		"net/ipv4/fib_multipath_hash_policy=1", "net/ipv6/fib_multipath_hash_policy=1",
	))
}

// hostSettings are those of every machine: no redirects, no duplicate address
// detection.
func hostSettings(ns netNS) error {
	var s []string
	for _, c := range []string{"all", "default"} {
		s = append(s,
			"net/ipv4/conf/"+c+"/rp_filter=0", "net/ipv4/conf/"+c+"/send_redirects=0", "net/ipv4/conf/"+c+"/accept_redirects=0",
			"net/ipv6/conf/"+c+"/accept_dad=0", "net/ipv6/conf/"+c+"/accept_ra=0", "net/ipv6/conf/"+c+"/accept_redirects=0")
	}
	return ns.sysctl(s...)
}

// podRoutes gives a namespace routes to the pods of all nodes but own, which is
// -1 for none.
func (l *Lab) podRoutes(ns netNS, own int) error {
	return ns.link(func(h *netlink.Handle) error {
		for i := range l.Spec.Nodes {
			if i == own {
				continue
			}
			n := l.Node(i)
			for k, via := range []netip.Addr{n.Addr4, n.Addr6} {
				r := &netlink.Route{Dst: ipNet(podNets(i)[k]), Gw: via.AsSlice()}
				if err := h.RouteReplace(r); err != nil {
					return fmt.Errorf("route from %s to the pods of %s: %w", ns.name, n.Name, err)
				}
			}
		}
		return nil
	})
}

// unreachable adds an unreachable route for every prefix.
func unreachable(ns netNS, prefixes []netip.Prefix) error {
	return ns.link(func(h *netlink.Handle) error {
		for _, p := range prefixes {
			if err := h.RouteReplace(&netlink.Route{Dst: ipNet(p), Type: unix.RTN_UNREACHABLE}); err != nil {
				return fmt.Errorf("unreachable route for %s on %s: %w", p, ns.name, err)
			}
		}
		return nil
	})
}

func unspecified(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// ipNet converts to the type that the netlink package wants.
func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
