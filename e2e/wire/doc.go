// SPDX-License-Identifier: Apache-2.0

// Package wire watches who answers for an address on an Ethernet network, in ARP
// (RFC 826, RFC 5227) and in IPv6 neighbour discovery (RFC 4861), and judges it.
//
// [Listen] captures on an interface, with the kernel's time stamps; what it takes
// down is a [Record]. [Record.Check] is the oracle: it follows the neighbour cache
// of one machine through the record and finds the times at which an address had
// two owners, or none that the machine knew of. It needs a network on which
// somebody keeps asking for the address, since an owner that is not asked says
// nothing: see [Asker].
//
// The package knows nothing about who should own an address, and shares no code
// with what it judges.
package wire
