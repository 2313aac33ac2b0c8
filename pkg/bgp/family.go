// SPDX-License-Identifier: Apache-2.0

package bgp

import "net/netip"

// Family is an address family whose unicast routes BGP carries (RFC 4760).
type Family uint8

// The two families. The zero value is no family.
const (
	IPv4 Family = 1 + iota
	IPv6
)

// FamilyOf returns the family of addr. An IPv4-mapped IPv6 address is IPv4; the
// zero Addr has no family (0).
func FamilyOf(addr netip.Addr) Family {
	switch {
	case !addr.IsValid():
		return 0
	case addr.Unmap().Is4():
		return IPv4
	}
	return IPv6
}

// String returns the family as FRR's configuration spells it: "ipv4" or "ipv6".
func (f Family) String() string {
	switch f {
	case IPv4:
		return "ipv4"
	case IPv6:
		return "ipv6"
	}
	return "none"
}

// Bits is the length of the family's addresses in bits: 32, 128, or 0 for none.
func (f Family) Bits() int {
	switch f {
	case IPv4:
		return 32
	case IPv6:
		return 128
	}
	return 0
}
