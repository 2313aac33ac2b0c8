// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/binary"
	"net/netip"
)

// NewQuery returns the frame with which the machine at mac, whose address is from,
// asks everybody for addr; in IPv6 that is everybody in its solicited-node group.
func NewQuery(mac MAC, from, addr netip.Addr) []byte {
	if addr.Is4() {
		return arpFrame(Broadcast, mac, 1, from, MAC{}, addr)
	}
	group := [16]byte{0xff, 0x02, 11: 1, 12: 0xff}
	a := addr.As16()
	copy(group[13:], a[13:])
	return ndFrame(mac, from, netip.AddrFrom16(group), solicitation, 0, addr, sourceOption)
}

// NewGratuitous returns the frame with which the machine at mac tells everybody
// that addr is there. from is where an advertisement comes from; it has no part in
// ARP.
func NewGratuitous(mac MAC, from, addr netip.Addr) []byte {
	if addr.Is4() {
		return arpFrame(Broadcast, mac, 1, addr, MAC{}, addr)
	}
	return ndFrame(mac, from, netip.MustParseAddr("ff02::1"), advertisement, 0x20, addr, targetOption)
}

// NewClaim returns the frame with which the machine at mac answers a query.
func NewClaim(mac MAC, query Frame) []byte {
	if query.Addr.Is4() {
		return arpFrame(query.MAC, mac, 2, query.Addr, query.MAC, query.From)
	}
	b := ndFrame(mac, query.Addr, query.From, advertisement, 0x40, query.Addr, targetOption)
	copy(b, query.MAC[:])
	return b
}

func arpFrame(dst, src MAC, op uint16, sender netip.Addr, target MAC, targetAddr netip.Addr) []byte {
	b := ether(dst, src, etherARP)
	b = append(b, 0, 1, 8, 0, 6, 4)
	b = binary.BigEndian.AppendUint16(b, op)
	b = append(b, src[:]...)
	b = append(b, sender.AsSlice()...)
	b = append(b, target[:]...)
	return append(b, targetAddr.AsSlice()...)
}

// ndFrame goes to the multicast group dst; for another dst the caller sets the MAC.
func ndFrame(src MAC, from, dst netip.Addr, kind, flags byte, addr netip.Addr, option byte) []byte {
	d := dst.As16()
	b := ether(MAC{0x33, 0x33, d[12], d[13], d[14], d[15]}, src, etherIPv6)
	b = append(b, 0x60, 0, 0, 0, 0, ndLen+8, icmp6, 255)
	b = append(b, from.AsSlice()...)
	b = append(b, d[:]...)
	m := append([]byte{kind, 0, 0, 0, flags, 0, 0, 0}, addr.AsSlice()...)
	m = append(append(m, option, 1), src[:]...)
	binary.BigEndian.PutUint16(m[2:], checksum(from, dst, m))
	return append(b, m...)
}

func ether(dst, src MAC, kind uint16) []byte {
	b := append(append([]byte(nil), dst[:]...), src[:]...)
	return binary.BigEndian.AppendUint16(b, kind)
}
