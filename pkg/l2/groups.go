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
	joined map[netip.Addr]int // the socket that holds it
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
	for a, sock := range g.joined {
		if wanted[a] {
			continue
		}
		// The kernel has it no more if the link lost its IPv6: as wanted.
		err := unix.SetsockoptIPv6Mreq(sock, unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP, g.mreq(a))
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) && first == nil {
			first = fmt.Errorf("leaving the solicited-node group %s: %w", a, err)
		}
		delete(g.joined, a)
	}
	if failed > 1 {
		return fmt.Errorf("%w (and %d more)", first, failed-1)
	}
	return first
}

// join joins a group with the newest socket, or, where the kernel lets that have
// no more (net.core.optmem_max; about 2,700 in 128 KiB), with another.
func (g *groups) join(a netip.Addr) error {
	for fresh := false; ; fresh = true {
		if fresh || len(g.socks) == 0 {
			s, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("opening an IPv6 socket: %w", err)
			}
			g.socks, fresh = append(g.socks, s), true
		}
		sock := g.socks[len(g.socks)-1]
		err := unix.SetsockoptIPv6Mreq(sock, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, g.mreq(a))
		if errors.Is(err, unix.ENOMEM) && !fresh {
			continue
		}
		if err == nil {
			g.joined[a] = sock
		}
		return err
	}
}

func (g *groups) mreq(a netip.Addr) *unix.IPv6Mreq {
	return &unix.IPv6Mreq{Multiaddr: a.As16(), Interface: uint32(g.index)}
}

// close leaves all groups.
func (g *groups) close() {
	for _, s := range g.socks {
		unix.Close(s)
	}
	g.socks, g.joined = nil, map[netip.Addr]int{}
}
