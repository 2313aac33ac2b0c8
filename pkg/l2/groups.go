// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// groups are a link's solicited-node groups. They are joined with the kernel,
// which tells the link's switches so (MLD, RFC 3810), again when the link comes
// back, and has the interface pass their frames. It counts the members, so that
// several wires and the node's own addresses can need the same group.
//
// What the kernel forgets is what a link loses together with its whole IPv6
// (its MTU was below 1280, say). Then its groups must be left and joined.
type groups struct {
	index  int
	socks  []int              // each holds some of the memberships
	roomy  int                // the socket that is tried first
	joined map[netip.Addr]int // by group, the socket that holds it
}

// groupsOf returns the groups that a set of addresses makes necessary.
func groupsOf(addrs map[netip.Addr]bool) map[netip.Addr]bool {
	out := make(map[netip.Addr]bool)
	for a, wanted := range addrs {
		if wanted && a.Is6() {
			out[solicitedNode(a)] = true
		}
	}
	return out
}

// set joins and leaves so that the link is in exactly these groups. The error
// says how many could not be joined, and why the first could not.
func (g *groups) set(wanted map[netip.Addr]bool) error {
	var failed int
	var first error
	for a, sock := range g.joined {
		if !wanted[a] {
			if err := g.leave(a, sock); err != nil && first == nil {
				failed, first = 1, err
			}
		}
	}
	for a := range wanted {
		if _, ok := g.joined[a]; ok {
			continue
		}
		if err := g.join(a); err != nil {
			if failed++; first == nil {
				first = fmt.Errorf("joining the solicited-node group %s: %w", a, err)
			}
		}
	}
	if failed > 1 {
		return fmt.Errorf("%w (and %d more)", first, failed-1)
	}
	return first
}

func (g *groups) leave(a netip.Addr, sock int) error {
	delete(g.joined, a)
	g.roomy = sock
	err := unix.SetsockoptIPv6Mreq(g.socks[sock], unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP, g.mreq(a))
	// A link that lost its IPv6, or is gone, is in no group: as wanted.
	if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("leaving the solicited-node group %s: %w", a, err)
	}
	return nil
}

// join joins a group with a socket that the kernel lets have one more, and opens
// another where none is (net.core.optmem_max; 128 KiB are about 2,700).
func (g *groups) join(a netip.Addr) error {
	for i := range g.socks {
		sock := (g.roomy + i) % len(g.socks)
		if err := g.joinWith(sock, a); !errors.Is(err, unix.ENOMEM) {
			return err
		}
	}
	if err := g.open(); err != nil {
		return err
	}
	return g.joinWith(len(g.socks)-1, a)
}

func (g *groups) joinWith(sock int, a netip.Addr) error {
	err := unix.SetsockoptIPv6Mreq(g.socks[sock], unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, g.mreq(a))
	if err == nil {
		g.joined[a], g.roomy = sock, sock
	}
	return err
}

func (g *groups) mreq(a netip.Addr) *unix.IPv6Mreq {
	return &unix.IPv6Mreq{Multiaddr: a.As16(), Interface: uint32(g.index)}
}

// open opens one more socket.
func (g *groups) open() error {
	s, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("opening an IPv6 socket: %w", err)
	}
	g.socks = append(g.socks, s)
	return nil
}

// source returns the address from which the kernel would speak to a neighbour
// on the link: its link-local one; without any, the unspecified one. Connecting
// a datagram socket sends nothing.
func (g *groups) source() netip.Addr {
	if len(g.socks) == 0 {
		return netip.IPv6Unspecified()
	}
	peer := &unix.SockaddrInet6{Addr: neighbour.As16(), ZoneId: uint32(g.index), Port: 9}
	if err := unix.Connect(g.socks[0], peer); err != nil {
		return netip.IPv6Unspecified()
	}
	own, err := unix.Getsockname(g.socks[0])
	if a, ok := own.(*unix.SockaddrInet6); ok && err == nil {
		return netip.AddrFrom16(a.Addr)
	}
	return netip.IPv6Unspecified()
}

// neighbour stands for any neighbour on a link.
var neighbour = netip.MustParseAddr("fe80::1")

// close leaves all groups.
func (g *groups) close() {
	for _, s := range g.socks {
		unix.Close(s)
	}
	g.socks, g.roomy, g.joined = nil, 0, map[netip.Addr]int{}
}
