// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"metallb.io/metallb-frr/e2e/wire"
)

// space is a network namespace. It vanishes with the last who is in it or holds
// it, so with the bench.
type space struct {
	name string
	file *os.File
	link *netlink.Handle
}

// newSpace makes a namespace whose loopback interface is up, and in which IPv6
// addresses are there at once and nobody looks for routers.
func newSpace(name string) (*space, error) {
	s := &space{name: name}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			s.file, err = os.Open("/proc/thread-self/ns/net")
		}
		if err == nil {
			s.link, err = netlink.NewHandleAt(netns.NsHandle(s.file.Fd()), unix.NETLINK_ROUTE)
		}
		if err == nil {
			err = s.calm()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return nil, fmt.Errorf("making network namespace %s: %w", name, err)
	}
	return s, nil
}

// calm sets up what the calling thread's namespace needs.
func (s *space) calm() error {
	var errs []error
	for _, line := range []string{
		"ipv6/conf/all/accept_dad=0", "ipv6/conf/default/accept_dad=0",
		"ipv6/conf/all/router_solicitations=0", "ipv6/conf/default/router_solicitations=0",
		// As kube-proxy's strictARP: an address on another interface is not
		// answered for.
		"ipv4/conf/all/arp_ignore=1", "ipv4/conf/all/arp_announce=2",
		"ipv6/ip_nonlocal_bind=1",
		"bridge/bridge-nf-call-iptables=0", "bridge/bridge-nf-call-ip6tables=0", "bridge/bridge-nf-call-arptables=0",
	} {
		key, value, _ := strings.Cut(line, "=")
		err := os.WriteFile("/proc/sys/net/"+key, []byte(value), 0)
		if err != nil && !(strings.HasPrefix(key, "bridge/") && errors.Is(err, fs.ErrNotExist)) {
			errs = append(errs, err)
		}
	}
	lo, err := s.link.LinkByName("lo")
	if err == nil {
		err = s.link.LinkSetUp(lo)
	}
	return errors.Join(append(errs, err)...)
}

func (s *space) close() {
	s.link.Close()
	s.file.Close()
}

// in calls f on a thread that is in the namespace. What f opens or starts belongs
// to the namespace.
func (s *space) in(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("entering network namespace %s: %w", s.name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

func (s *space) start(cmd *exec.Cmd) error { return s.in(cmd.Start) }

// plug connects the namespace, by an interface of that name and address there, to
// the bridge br0 of a switch, whose port is called port.
func (s *space) plug(name string, mac wire.MAC, sw *space, port string) error {
	err := func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.HardwareAddr = name, mac[:]
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: port, PeerNamespace: netlink.NsFd(sw.file.Fd())}
		if err := s.link.LinkAdd(veth); err != nil {
			return err
		}
		end, err := sw.link.LinkByName(port)
		if err != nil {
			return err
		}
		bridge, err := sw.link.LinkByName("br0")
		if err != nil {
			return err
		}
		near, err := s.link.LinkByName(name)
		if err != nil {
			return err
		}
		return errors.Join(sw.link.LinkSetMaster(end, bridge), sw.link.LinkSetUp(end), s.link.LinkSetUp(near))
	}()
	if err != nil {
		return fmt.Errorf("connecting %s to the switch: %w", s.name, err)
	}
	return nil
}

// newSwitch makes a namespace with a bridge br0 that passes on all multicasts.
func newSwitch() (*space, error) {
	s, err := newSpace("the switch")
	if err != nil {
		return nil, err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "br0"
	off := false
	err = s.link.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &off})
	if err == nil {
		var br0 netlink.Link
		if br0, err = s.link.LinkByName("br0"); err == nil {
			err = s.link.LinkSetUp(br0)
		}
	}
	if err != nil {
		s.close()
		return nil, fmt.Errorf("making the switch's bridge: %w", err)
	}
	return s, nil
}

// address gives an interface addresses.
func (s *space) address(name string, prefixes ...netip.Prefix) error {
	link, err := s.link.LinkByName(name)
	for _, p := range prefixes {
		var a *netlink.Addr
		if err == nil {
			a, err = netlink.ParseAddr(p.String())
		}
		if err == nil {
			a.Flags = unix.IFA_F_NODAD
			err = s.link.AddrReplace(link, a)
		}
	}
	if err != nil {
		return fmt.Errorf("giving %s of %s its addresses: %w", name, s.name, err)
	}
	return nil
}

// accept has the namespace take what comes for any address of a prefix.
func (s *space) accept(p netip.Prefix) error {
	lo, err := s.link.LinkByName("lo")
	if err == nil {
		_, to, perr := net.ParseCIDR(p.String())
		err = errors.Join(perr, s.link.RouteReplace(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: to, Scope: netlink.SCOPE_HOST, Type: unix.RTN_LOCAL, Table: unix.RT_TABLE_LOCAL}))
	}
	if err != nil {
		return fmt.Errorf("having %s accept %s: %w", s.name, p, err)
	}
	return nil
}

// neighbour tells the namespace for good where another station is. It does not
// count among the neighbours of which the kernel keeps 1,024 for all namespaces
// together.
func (s *space) neighbour(name string, addr netip.Addr, mac wire.MAC) error {
	link, err := s.link.LinkByName(name)
	if err == nil {
		err = s.link.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, State: unix.NUD_PERMANENT, IP: addr.AsSlice(), HardwareAddr: mac[:]})
	}
	if err != nil {
		return fmt.Errorf("telling %s where %s is: %w", s.name, addr, err)
	}
	return nil
}

// The states of a bridge's port, as in linux/if_bridge.h.
const (
	portDisabled   = 0
	portForwarding = 3
)

// setPort has a port of the switch pass frames on or drop all of them, both ways, at
// once: the station behind it is told nothing.
func (s *space) setPort(port string, state byte) error {
	link, err := s.link.LinkByName(port)
	var socket *nl.NetlinkSocket
	if err == nil {
		socket, err = nl.GetNetlinkSocketAt(netns.NsHandle(s.file.Fd()), netns.None(), unix.NETLINK_ROUTE)
	}
	if err == nil {
		defer socket.Close()
		req := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
		req.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: socket}}
		msg := nl.NewIfInfomsg(unix.AF_BRIDGE)
		msg.Index = int32(link.Attrs().Index)
		info := nl.NewRtAttr(unix.IFLA_PROTINFO|unix.NLA_F_NESTED, nil)
		info.AddRtAttr(unix.IFLA_BRPORT_STATE, []byte{state})
		req.AddData(msg)
		req.AddData(info)
		_, err = req.Execute(unix.NETLINK_ROUTE, 0)
	}
	if err != nil {
		return fmt.Errorf("setting port %s of the switch to %d: %w", port, state, err)
	}
	return nil
}
