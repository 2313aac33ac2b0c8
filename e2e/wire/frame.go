// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"fmt"
	"net"
	"net/netip"
	"time"
)

// A MAC is an Ethernet address.
type MAC [6]byte

// Broadcast is the address of all machines.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// String returns the address as in 02:1a:b0:00:00:0b.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// Multicast reports whether a frame to the address goes to more than one machine;
// it does for [Broadcast].
func (m MAC) Multicast() bool { return m[0]&1 != 0 }

// Kind is what a frame does.
type Kind int

// The kinds of frames.
const (
	// Query asks for an address, and says the sender's own.
	Query Kind = iota + 1
	// Probe asks whether an address is taken, from nowhere: an ARP probe (RFC
	// 5227 section 2.1.1), or duplicate address detection (RFC 4862 section 5.4).
	Probe
	// Claim answers a query.
	Claim
	// Gratuitous claims an address unasked, or answers a [Probe] in IPv6, which
	// looks the same (RFC 4861 section 7.2.4).
	Gratuitous
)

// String returns the kind in small letters.
func (k Kind) String() string {
	switch k {
	case Query:
		return "query"
	case Probe:
		return "probe"
	case Claim:
		return "claim"
	case Gratuitous:
		return "gratuitous"
	}
	return fmt.Sprintf("Kind(%d)", int(k))
}

// A Frame is one of ARP or neighbour discovery.
type Frame struct {
	// Time is when the kernel had it.
	Time time.Time
	Kind Kind
	// Addr is what is asked for, or claimed.
	Addr netip.Addr
	// MAC is the asker's or the claimant's: what the message says, where it says
	// it, else what the frame was sent from.
	MAC MAC
	// Member is whose MAC that is; empty where nobody knows.
	Member string
	// Src and Dst are those of the frame. An IPv6 multicast group's is in
	// 33:33:00:00:00:00/16.
	Src, Dst MAC
	// From is the asker's own address, in a query.
	From netip.Addr
	// Override is whether a claim also replaces what was known before (RFC 4861
	// section 4.4). In ARP all do.
	Override bool
	// Router and Solicited are the other flags of a neighbour advertisement.
	Router, Solicited bool
	// LinkLayer is whether a message of neighbour discovery has the option with
	// the sender's link-layer address. In ARP all have.
	LinkLayer bool
	// Request is whether ARP calls it a request.
	Request bool
}

// Claimed returns the address that whoever hears the frame takes to be at MAC. A
// query claims too, its sender's own address. There is none in a probe.
func (f Frame) Claimed() (netip.Addr, bool) {
	switch f.Kind {
	case Claim, Gratuitous:
		return f.Addr, true
	case Query:
		return f.From, f.LinkLayer
	}
	return netip.Addr{}, false
}

// HeardBy reports whether the frame reaches the machine with that MAC.
func (f Frame) HeardBy(m MAC) bool { return f.Dst.Multicast() || f.Dst == m }

// Who is the member, or its MAC where it has no name.
func (f Frame) Who() string { return who(f.Member, f.MAC) }

func who(member string, m MAC) string {
	if member == "" {
		return m.String()
	}
	return member
}

// String returns the frame as in "10:20:30.123456 n1 claim 172.30.0.160 to l1's MAC".
func (f Frame) String() string {
	return fmt.Sprintf("%s %s %s %s to %s", f.Time.Format("15:04:05.000000"), f.Who(), f.Kind, f.Addr, f.Dst)
}
