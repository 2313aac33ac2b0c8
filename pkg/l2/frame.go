// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// MAC is an Ethernet address.
type MAC [6]byte

// String returns the address as six pairs of hexadecimal digits with colons.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// group reports whether the address is that of a group of stations: broadcast
// or multicast (IEEE 802, the I/G bit).
func (m MAC) group() bool { return m[0]&1 != 0 }

// station reports whether the address can be that of one station.
func (m MAC) station() bool { return !m.group() && m != MAC{} }

// broadcast is the Ethernet address of all stations.
var broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// The Ethernet header, and the types that are heard.
const (
	etherHeader = 14
	etherARP    = 0x0806
	etherIPv6   = 0x86dd
)

// maxFrame is the longest frame that is read whole, in bytes. Neighbour
// discovery with every option there is stays far below it; what is longer fails
// its length check.
const maxFrame = 2048

// appendEther appends an Ethernet header.
func appendEther(b []byte, dst, src MAC, ethertype uint16) []byte {
	b = append(b, dst[:]...)
	b = append(b, src[:]...)
	return binary.BigEndian.AppendUint16(b, ethertype)
}

// Kind is what a frame says about an address.
type Kind uint8

const (
	// Query is an ARP request or a Neighbor Solicitation: who has the address?
	Query Kind = iota
	// Probe is the same from somebody without an address: an ARP probe
	// (RFC 5227 section 2.1.1), or duplicate address detection (RFC 4862
	// section 5.4).
	Probe
	// Claim says that the sender has the address: an ARP reply, an ARP request
	// or a Neighbor Solicitation that comes from the address, a Neighbor
	// Advertisement.
	Claim
)

// String returns the name of the kind.
func (k Kind) String() string {
	switch k {
	case Query:
		return "query"
	case Probe:
		return "probe"
	case Claim:
		return "claim"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Message is what a frame says about one address. Frames are read by the package
// itself, in place: the libraries allocate for each, and leave checksum, code,
// hardware type and operation unchecked.
type Message struct {
	Kind Kind
	// Addr is the address it is about; never IPv4-mapped, without a zone.
	Addr netip.Addr
	// From is the sender's address; of a Probe the unspecified one.
	From netip.Addr
	// MAC is the sender's, as ARP or the link-layer address option say; without
	// that option, the frame's source. It is a single station's.
	MAC MAC
	// Source is the frame's source.
	Source MAC
	// Unicast: the frame was sent to one station, not to all.
	Unicast bool
	// Gratuitous: a Claim that nobody seems to have asked for.
	Gratuitous bool
	// Override and Solicited are the flags of a Neighbor Advertisement
	// (RFC 4861 section 4.4). On a Query that is given to wire.Answer, Override
	// asks for the flag in the answer.
	Override, Solicited bool
}

// wire is one link on which frames are heard and sent. Receive belongs to one
// goroutine; all the rest may be called by several at a time.
type wire interface {
	// Name is the link's name when the wire was opened.
	Name() string
	// MAC is the link's address when the wire was opened. A link whose address
	// changes needs a new wire.
	MAC() MAC
	// Receive blocks until a Message comes, or Close. It returns only messages
	// about addresses that were given to Want: all queries, probes and claims
	// for them from others. The error is net.ErrClosed after Close; any other is
	// for good: the link is gone.
	Receive() (Message, error)
	// Answer sends the reply to a Query or Probe about an address, to the one
	// who asked where it has an address. A Query's Override is the answer's: off
	// leaves what a neighbour believes, on replaces it.
	Answer(to Message) error
	// Announce sends one round of unsolicited frames: for IPv4 a gratuitous
	// request and a gratuitous reply, for IPv6 an advertisement that overrides.
	Announce(addr netip.Addr) error
	// Ask sends a query for addr to one station or, with the zero MAC, as a probe
	// to all: from no address, so that nobody learns anything from it.
	Ask(addr netip.Addr, to MAC) error
	// Want replaces the set of addresses that matter, and joins and leaves the
	// solicited-node groups that it makes necessary. The map belongs to the wire
	// from then on. The set is in force also where the error names groups that
	// could not be joined; the next Want tries them again.
	Want(addrs map[netip.Addr]bool) error
	// Close ends Receive and leaves all groups.
	Close() error
}
