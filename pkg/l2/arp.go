// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"encoding/binary"
	"net/netip"
)

// arpFrame is an ARP packet for IPv4 on Ethernet, with the frame's addresses.
type arpFrame struct {
	dst, src             MAC
	op                   uint16
	senderMAC, targetMAC MAC
	sender, target       netip.Addr
}

// ARP operations (RFC 826).
const (
	arpRequest = 1
	arpReply   = 2
)

// arpLen is the length of an ARP packet for IPv4 on Ethernet, in bytes.
const arpLen = 28

// arpHeader is what such a packet begins with: Ethernet, IPv4, their address
// lengths.
const arpHeader = 0x0001_0800_06_04

// parseARP reads a frame, and reports whether it is an ARP request or reply as
// RFC 826 and RFC 5227 allow: for IPv4 on Ethernet, from a station, with a
// sender that can be a host's.
func parseARP(frame []byte) (p arpFrame, ok bool) {
	if len(frame) < etherHeader+arpLen || binary.BigEndian.Uint16(frame[12:]) != etherARP {
		return p, false
	}
	b := frame[etherHeader : etherHeader+arpLen]
	if h := binary.BigEndian.Uint64(b); h>>16 != arpHeader {
		return p, false
	}
	p.dst, p.src = MAC(frame[0:6]), MAC(frame[6:12])
	p.op = binary.BigEndian.Uint16(b[6:])
	p.senderMAC, p.sender = MAC(b[8:14]), netip.AddrFrom4([4]byte(b[14:18]))
	p.targetMAC, p.target = MAC(b[18:24]), netip.AddrFrom4([4]byte(b[24:28]))
	switch {
	case p.op != arpRequest && p.op != arpReply:
	case p.op == arpReply && p.sender.IsUnspecified():
	case !p.src.station() || !p.senderMAC.station():
	case p.sender.IsMulticast() || p.sender == broadcast4:
	default:
		return p, true
	}
	return p, false
}

// broadcast4 is the IPv4 address of all hosts of a link.
var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// hearARP appends to dst what an ARP frame says about wanted addresses, to a
// link whose address is own: nothing, what it asks, what its sender claims, or
// both. Frames of the link itself, which some networks reflect, and frames that
// are neither for it nor for all say nothing.
func hearARP(dst []Message, frame []byte, own MAC, want map[netip.Addr]bool) []Message {
	p, ok := parseARP(frame)
	if !ok || p.dst != broadcast && p.dst != own || p.src == own || p.senderMAC == own {
		return dst
	}
	m := Message{From: p.sender, MAC: p.senderMAC, Source: p.src, Unicast: p.dst == own}
	if p.op == arpRequest && p.target != p.sender && want[p.target] {
		ask := m
		ask.Addr = p.target
		if p.sender.IsUnspecified() {
			ask.Kind = Probe
		}
		dst = append(dst, ask)
	}
	// Whoever sends from an address claims it, whatever is sent (RFC 5227
	// section 2.4).
	if want[p.sender] {
		m.Kind, m.Addr = Claim, p.sender
		m.Gratuitous = p.op == arpRequest || p.target == p.sender || p.dst == broadcast
		dst = append(dst, m)
	}
	return dst
}

// appendARP appends an ARP frame.
func appendARP(b []byte, p arpFrame) []byte {
	b = appendEther(b, p.dst, p.src, etherARP)
	b = binary.BigEndian.AppendUint64(b, arpHeader<<16|uint64(p.op))
	sender, target := p.sender.As4(), p.target.As4()
	b = append(b, p.senderMAC[:]...)
	b = append(b, sender[:]...)
	b = append(b, p.targetMAC[:]...)
	return append(b, target[:]...)
}

// arpAnswer is the reply to a Query or a Probe, to the station that sent it.
func arpAnswer(own MAC, to Message) arpFrame {
	return arpFrame{dst: to.MAC, src: own, op: arpReply, senderMAC: own, sender: to.Addr, targetMAC: to.MAC, target: to.From}
}

// arpAnnouncement is a gratuitous request or reply. The request's target
// station is zero (RFC 5227 section 2.3); the reply's is the sender, without
// which Linux does not take it for gratuitous, and ignores it for a second after
// another.
func arpAnnouncement(own MAC, addr netip.Addr, op uint16) arpFrame {
	p := arpFrame{dst: broadcast, src: own, op: op, senderMAC: own, sender: addr, target: addr}
	if op == arpReply {
		p.targetMAC = own
	}
	return p
}

// arpQuestion is a request for addr, from an address or from none, to a station
// or, with the zero MAC, to all.
func arpQuestion(own MAC, addr, from netip.Addr, to MAC) arpFrame {
	if to == (MAC{}) {
		to = broadcast
	}
	return arpFrame{dst: to, src: own, op: arpRequest, senderMAC: own, sender: from, target: addr}
}
