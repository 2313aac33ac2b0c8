// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"cmp"
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
	socks  []int // each holds some of the memberships
	joined map[group]*membership
	round  uint64 // of set
}

// group is a solicited-node group: the last 24 bits of its addresses.
type group uint32

func groupOf(a netip.Addr) group {
	b := a.As16()
	return group(b[13])<<16 | group(b[14])<<8 | group(b[15])
}

func (g group) addr() netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: byte(g >> 16), 14: byte(g >> 8), 15: byte(g)})
}

func (g group) String() string { return g.addr().String() }

type membership struct {
	sock  int
	round uint64 // the last in which the group was wanted
}

// set joins and leaves so that the link is in exactly the groups that these
// addresses make necessary. The error says how many could not be joined, and why
// the first could not.
func (g *groups) set(addrs map[netip.Addr]bool) error {
	var failed, wanted int
	var first error
	g.round++
	for a, on := range addrs {
		if !on || !a.Is6() {
			continue
		}
		which := groupOf(a)
		m := g.joined[which]
		if m == nil {
			var err error
			if m, err = g.join(which); err != nil {
				if failed++; first == nil {
					first = fmt.Errorf("joining the solicited-node group %s: %w", which, err)
				}
				continue
			}
		}
		if m.round != g.round {
			m.round = g.round
			wanted++
		}
	}
	if wanted < len(g.joined) {
		first = cmp.Or(first, g.leaveOthers())
	}
	if failed > 1 {
		return fmt.Errorf("%w (and %d more)", first, failed-1)
	}
	return first
}

// leaveOthers leaves the groups that were not wanted in this round.
func (g *groups) leaveOthers() (first error) {
	for which, m := range g.joined {
		if m.round == g.round {
			continue
		}
		delete(g.joined, which)
		err := unix.SetsockoptIPv6Mreq(g.socks[m.sock], unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP, g.mreq(which))
		// A link that lost its IPv6, or is gone, is in no group: as wanted.
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) && first == nil {
			first = fmt.Errorf("leaving the solicited-node group %s: %w", which, err)
		}
	}
	return first
}

// join joins a group with a socket that the kernel lets have one more, and opens
// another where none is (net.core.optmem_max; 128 KiB are about 2,300).
func (g *groups) join(which group) (*membership, error) {
	for sock := len(g.socks) - 1; sock >= 0; sock-- {
		if m, err := g.joinWith(sock, which); !errors.Is(err, unix.ENOMEM) {
			return m, err
		}
	}
	if err := g.open(); err != nil {
		return nil, err
	}
	return g.joinWith(len(g.socks)-1, which)
}

func (g *groups) joinWith(sock int, which group) (*membership, error) {
	if err := unix.SetsockoptIPv6Mreq(g.socks[sock], unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, g.mreq(which)); err != nil {
		return nil, err
	}
	m := &membership{sock: sock}
	g.joined[which] = m
	return m, nil
}

func (g *groups) mreq(which group) *unix.IPv6Mreq {
	return &unix.IPv6Mreq{Multiaddr: which.addr().As16(), Interface: uint32(g.index)}
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
	g.socks, g.joined = nil, map[group]*membership{}
}
