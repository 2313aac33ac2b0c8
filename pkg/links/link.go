// SPDX-License-Identifier: Apache-2.0

package links

import (
	"bytes"
	"cmp"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Link is a network interface as it was when it was read. What its slices hold is
// shared between reports and must not be changed.
type Link struct {
	// Name in this network namespace, as in eth0; at most 15 bytes.
	Name string
	// Index is the kernel's number for it. One that was removed may come back
	// with another.
	Index int
	// MAC is its hardware address; six bytes where Ethernet is true.
	MAC net.HardwareAddr
	// Ethernet: its frames are Ethernet frames. Not so for loopback, tunnels of
	// layer 3 and InfiniBand.
	Ethernet bool
	// Up: it is switched on, and operational: there is a carrier, and no
	// authentication is outstanding (RFC 2863 states up, and unknown for
	// drivers that do not tell).
	Up bool
	// Broadcast: there is a broadcast address, so that ARP can work.
	Broadcast bool
	// NoARP: neighbours are not resolved on it.
	NoARP bool
	// Master is the index of the bridge, bond or VRF that it is a port of; 0:
	// of none.
	Master int
	// Kind is the driver's name for what it is, such as bridge, vlan, veth.
	// Empty: hardware, or what the kernel has no kind for.
	Kind string
	// Addrs are its addresses in use with the length of their prefix, sorted.
	// Left out are those that duplicate address detection has not passed (yet)
	// and IPv6's temporary ones (RFC 8981), which come and go beside a lasting
	// one in the same prefix. Deprecated addresses are in: their prefix is as
	// much on the link as before. None is read where the interface is not
	// Ethernet or NoARP is set: kube-proxy in IPVS mode keeps every Service's
	// address on such a one.
	Addrs []netip.Prefix
	// LinkLocal is the address of Addrs to speak NDP from: the lowest of
	// fe80::/10, one that is not deprecated before one that is. Not valid:
	// there is none.
	LinkLocal netip.Addr
}

// Equal reports whether all that is known of both is the same.
func (l Link) Equal(m Link) bool {
	return l.Name == m.Name && l.Index == m.Index && bytes.Equal(l.MAC, m.MAC) && l.Ethernet == m.Ethernet &&
		l.Up == m.Up && l.Broadcast == m.Broadcast && l.NoARP == m.NoARP && l.Master == m.Master && l.Kind == m.Kind &&
		l.LinkLocal == m.LinkLocal && slices.Equal(l.Addrs, m.Addrs)
}

// resolves reports whether neighbours are resolved on the interface, so that its
// addresses matter.
func (l *Link) resolves() bool { return l.Ethernet && !l.NoARP }

// An address of an interface.
type address struct {
	index  int
	prefix netip.Prefix
	flags  uint32 // IFA_F_...
}

// unused are the flags of addresses that are not in Link.Addrs.
const unused = unix.IFA_F_TENTATIVE | unix.IFA_F_DADFAILED

// setAddrs sets what Link says of addresses.
func (l *Link) setAddrs(addrs []address) {
	l.Addrs, l.LinkLocal = nil, netip.Addr{}
	var deprecated netip.Addr
	slices.SortFunc(addrs, func(a, b address) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()))
	})
	for _, a := range addrs {
		ip := a.prefix.Addr()
		temporary := ip.Is6() && a.flags&unix.IFA_F_TEMPORARY != 0 // the same bit says "secondary" of IPv4
		if a.flags&unused != 0 || temporary {
			continue
		}
		l.Addrs = append(l.Addrs, a.prefix)
		switch {
		case !ip.Is6() || !ip.IsLinkLocalUnicast():
		case a.flags&unix.IFA_F_DEPRECATED != 0 && !deprecated.IsValid():
			deprecated = ip
		case a.flags&unix.IFA_F_DEPRECATED == 0 && !l.LinkLocal.IsValid():
			l.LinkLocal = ip
		}
	}
	l.Addrs = slices.Compact(l.Addrs)
	if !l.LinkLocal.IsValid() {
		l.LinkLocal = deprecated
	}
}

// sorted returns links by name.
func sorted(links map[int]Link) []Link {
	out := make([]Link, 0, len(links))
	for _, l := range links {
		out = append(out, l)
	}
	slices.SortFunc(out, func(a, b Link) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Index, b.Index))
	})
	return out
}
