// SPDX-License-Identifier: Apache-2.0

package links

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// headBytes is the length of struct nlmsghdr.
const headBytes = unix.NLMSG_HDRLEN

// typeMask leaves out the flags in an attribute's type (NLA_TYPE_MASK of
// linux/netlink.h).
const typeMask = 1<<14 - 1

// align rounds a length up to where the next message or attribute begins.
func align(n int) int { return (n + 3) &^ 3 }

// messages yields the type and the body of the netlink messages in a datagram. A
// message that is cut off ends it.
func messages(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= headBytes {
			n := binary.NativeEndian.Uint32(b)
			if n < headBytes || int64(n) > int64(len(b)) || !yield(binary.NativeEndian.Uint16(b[4:]), b[headBytes:n]) {
				return
			}
			b = b[min(align(int(n)), len(b)):]
		}
	}
}

// attributes yields the type and the value of the attributes in b.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofNlAttr {
			n := int(binary.NativeEndian.Uint16(b))
			kind := binary.NativeEndian.Uint16(b[2:]) & typeMask
			if n < unix.SizeofNlAttr || n > len(b) || !yield(kind, b[unix.SizeofNlAttr:n]) {
				return
			}
			b = b[min(align(n), len(b)):]
		}
	}
}

// indexOf returns the interface that a message of a link or an address is about:
// struct ifinfomsg and struct ifaddrmsg have its index at the same place.
func indexOf(body []byte) (int, bool) {
	if len(body) < unix.SizeofIfAddrmsg {
		return 0, false
	}
	return int(binary.NativeEndian.Uint32(body[4:])), true
}

// parseLink reads the body of an RTM_NEWLINK message; it has no addresses.
func parseLink(body []byte) (Link, error) {
	if len(body) < unix.SizeofIfInfomsg {
		return Link{}, errors.New("reading an interface: the kernel's message is too short")
	}
	flags := binary.NativeEndian.Uint32(body[8:])
	l := Link{
		Index:     int(binary.NativeEndian.Uint32(body[4:])),
		Ethernet:  binary.NativeEndian.Uint16(body[2:]) == unix.ARPHRD_ETHER,
		Up:        flags&unix.IFF_UP != 0 && flags&unix.IFF_RUNNING != 0 && flags&unix.IFF_LOWER_UP != 0,
		Broadcast: flags&unix.IFF_BROADCAST != 0,
		NoARP:     flags&unix.IFF_NOARP != 0,
	}
	for kind, value := range attributes(body[unix.SizeofIfInfomsg:]) {
		switch kind {
		case unix.IFLA_IFNAME:
			l.Name = unix.ByteSliceToString(value)
		case unix.IFLA_ADDRESS:
			l.MAC = net.HardwareAddr(slices.Clone(value))
		case unix.IFLA_MASTER:
			if len(value) >= 4 {
				l.Master = int(binary.NativeEndian.Uint32(value))
			}
		case unix.IFLA_LINKINFO:
			for kind, value := range attributes(value) {
				if kind == unix.IFLA_INFO_KIND {
					l.Kind = unix.ByteSliceToString(value)
				}
			}
		}
	}
	if l.Name == "" {
		return Link{}, fmt.Errorf("reading interface %d: the kernel's message has no name", l.Index)
	}
	l.Ethernet = l.Ethernet && len(l.MAC) == 6
	return l, nil
}

// parseAddr reads the body of an RTM_NEWADDR message.
func parseAddr(body []byte) (address, error) {
	if len(body) < unix.SizeofIfAddrmsg {
		return address{}, errors.New("reading an address: the kernel's message is too short")
	}
	a := address{index: int(binary.NativeEndian.Uint32(body[4:])), flags: uint32(body[2])}
	var local, remote netip.Addr
	for kind, value := range attributes(body[unix.SizeofIfAddrmsg:]) {
		switch kind {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(value)
		case unix.IFA_ADDRESS:
			remote, _ = netip.AddrFromSlice(value)
		case unix.IFA_FLAGS:
			if len(value) >= 4 {
				a.flags = binary.NativeEndian.Uint32(value)
			}
		}
	}
	bits := int(body[1])
	switch {
	case !local.IsValid():
		local = remote // IPv6 without a peer
	case remote.IsValid() && remote != local:
		bits = local.BitLen() // the prefix is the peer's
	}
	a.prefix = netip.PrefixFrom(local, bits)
	if !a.prefix.IsValid() {
		return address{}, fmt.Errorf("reading an address of interface %d: the kernel's message has no address with a prefix length of %d", a.index, bits)
	}
	return a, nil
}
