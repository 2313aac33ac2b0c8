// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"net/netip"
)

// The offsets in a frame, and what stands there.
const (
	etherLen = 14
	arpLen   = 28
	ip6Len   = 40
	ndLen    = 24 // without options

	etherARP, etherIPv6 = 0x0806, 0x86dd
	icmp6               = 58
	solicitation        = 135
	advertisement       = 136
	sourceOption        = 1
	targetOption        = 2
)

// Decode returns what a frame says; ok is false for all but well-formed ones of ARP
// over Ethernet and IPv4, neighbour solicitations and neighbour advertisements.
// Time and Member are left to the caller.
func Decode(b []byte) (f Frame, ok bool) {
	if len(b) < etherLen {
		return f, false
	}
	f.Dst, f.Src = MAC(b[:6]), MAC(b[6:12])
	switch binary.BigEndian.Uint16(b[12:]) {
	case etherARP:
		return f, f.arp(b[etherLen:])
	case etherIPv6:
		return f, f.ip6(b[etherLen:])
	}
	return f, false
}

func (f *Frame) arp(b []byte) bool {
	if len(b) < arpLen || binary.BigEndian.Uint64(b)>>16 != 0x0001_0800_0604 {
		return false
	}
	f.MAC, f.Override, f.LinkLayer = MAC(b[8:14]), true, true
	sender, target := netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
	f.Request = binary.BigEndian.Uint16(b[6:]) == 1
	switch op := binary.BigEndian.Uint16(b[6:]); {
	case op != 1 && op != 2:
		return false
	case sender == target:
		f.Kind, f.Addr = Gratuitous, sender
	case op == 2:
		f.Kind, f.Addr = Claim, sender
	case sender.IsUnspecified():
		f.Kind, f.Addr = Probe, target
	default:
		f.Kind, f.Addr, f.From = Query, target, sender
	}
	return true
}

func (f *Frame) ip6(b []byte) bool {
	// The length says where Ethernet's padding begins. A hop limit of 255 shows
	// that the packet was not routed (RFC 4861 section 7.1).
	if len(b) < ip6Len || b[0]>>4 != 6 || b[6] != icmp6 || b[7] != 255 {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n < ndLen || len(b) < ip6Len+n {
		return false
	}
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	m := b[ip6Len : ip6Len+n]
	if m[1] != 0 || checksum(src, dst, m) != 0 {
		return false
	}
	f.Addr = netip.AddrFrom16([16]byte(m[8:24]))
	option := byte(sourceOption)
	switch m[0] {
	case solicitation:
		f.Kind, f.From = Query, src
		if src.IsUnspecified() {
			f.Kind, f.From = Probe, netip.Addr{}
		}
	case advertisement:
		f.Kind, option = Gratuitous, targetOption
		f.Router, f.Solicited, f.Override = m[4]&0x80 != 0, m[4]&0x40 != 0, m[4]&0x20 != 0
		if f.Solicited {
			f.Kind = Claim
		}
	default:
		return false
	}
	return f.options(m[ndLen:], option)
}

// options looks for the sender's link-layer address.
func (f *Frame) options(b []byte, want byte) bool {
	f.MAC = f.Src
	for len(b) > 0 {
		if len(b) < 8 || b[1] == 0 || len(b) < int(b[1])*8 {
			return false
		}
		if b[0] == want && b[1] == 1 {
			f.MAC, f.LinkLayer = MAC(b[2:8]), true
		}
		b = b[int(b[1])*8:]
	}
	return true
}

// checksum returns the checksum of an ICMPv6 message (RFC 4443 section 2.3): 0 for
// one that has the right checksum in it.
func checksum(src, dst netip.Addr, m []byte) uint16 {
	sum := uint32(len(m)) + icmp6
	add := func(b []byte) {
		for ; len(b) > 1; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	add(src.AsSlice())
	add(dst.AsSlice())
	add(m)
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}
