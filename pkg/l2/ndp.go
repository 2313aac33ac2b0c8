// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"encoding/binary"
	"net/netip"
)

// Neighbour discovery (RFC 4861 section 4). Offsets are into the frame.
const (
	ndSolicitation  = 135
	ndAdvertisement = 136

	optSource = 1 // source link-layer address
	optTarget = 2 // target link-layer address

	flagSolicited = 0x40
	flagOverride  = 0x20

	protoICMPv6 = 58
	hopLimit    = 255 // nobody outside the link can send it

	offIPv6   = etherHeader
	offICMPv6 = offIPv6 + 40
	offTarget = offICMPv6 + 8
	offOption = offTarget + 16
)

// allNodes is the group of all nodes of a link.
var allNodes = netip.MustParseAddr("ff02::1")

// solicitedNode is the group to which solicitations for an address go (RFC 4291
// section 2.7.1).
func solicitedNode(a netip.Addr) netip.Addr { return groupOf(a).addr() }

// groupMAC is the Ethernet address of an IPv6 group (RFC 2464 section 7).
func groupMAC(a netip.Addr) MAC {
	b := a.As16()
	return MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// ndpFrame is a Neighbor Solicitation or Advertisement, with the frame's and the
// packet's addresses.
type ndpFrame struct {
	dst, src MAC
	from, to netip.Addr
	kind     byte // ndSolicitation or ndAdvertisement
	flags    byte // of an advertisement
	target   netip.Addr
	lladdr   MAC // of the link-layer address option that belongs to the kind
	option   bool
}

// parseNDP reads a frame, and reports whether it is a Neighbor Solicitation or
// Advertisement that RFC 4861 (sections 7.1.1 and 7.1.2) has a node accept.
func parseNDP(frame []byte) (p ndpFrame, ok bool) {
	if len(frame) < offOption || binary.BigEndian.Uint16(frame[12:]) != etherIPv6 {
		return p, false
	}
	ip := frame[offIPv6:]
	length := int(binary.BigEndian.Uint16(ip[4:]))
	if ip[0]>>4 != 6 || ip[6] != protoICMPv6 || ip[7] != hopLimit ||
		length < offOption-offICMPv6 || offICMPv6+length > len(frame) {
		return p, false
	}
	body := frame[offICMPv6 : offICMPv6+length]
	p.dst, p.src = MAC(frame[0:6]), MAC(frame[6:12])
	p.from, p.to = netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
	p.kind, p.flags = body[0], body[4]&(flagSolicited|flagOverride)
	p.target = netip.AddrFrom16([16]byte(body[8:24]))
	if body[1] != 0 || !p.src.station() || p.from.IsMulticast() || p.from.IsLoopback() || p.target.IsMulticast() || p.target.Is4In6() ||
		!p.readOptions(body[24:]) || !p.allowed() {
		return p, false
	}
	return p, checksum(ip[8:40], body) == 0
}

// allowed reports whether the message's addresses and options go together.
func (p *ndpFrame) allowed() bool {
	switch p.kind {
	case ndSolicitation:
		p.flags = 0
		return !p.from.IsUnspecified() || !p.option && p.to == solicitedNode(p.target)
	case ndAdvertisement:
		return !p.from.IsUnspecified() && (p.flags&flagSolicited == 0 || !p.to.IsMulticast())
	}
	return false
}

// readOptions finds the link-layer address option, and reports whether the
// options are well formed. One that is not known is passed over.
func (p *ndpFrame) readOptions(b []byte) bool {
	which := byte(optSource)
	if p.kind == ndAdvertisement {
		which = optTarget
	}
	for len(b) > 0 {
		if len(b) < 8 || b[1] == 0 || int(b[1])*8 > len(b) {
			return false
		}
		if b[0] == which && !p.option {
			if p.lladdr, p.option = MAC(b[2:8]), true; b[1] != 1 || !p.lladdr.station() {
				return false
			}
		}
		b = b[int(b[1])*8:]
	}
	return true
}

// hearNDP appends to dst what a frame of neighbour discovery says about wanted
// addresses, as hearARP does. What is about none of them costs two look-ups.
func hearNDP(dst []Message, frame []byte, own MAC, want map[netip.Addr]bool) []Message {
	if len(frame) < offOption ||
		!want[netip.AddrFrom16([16]byte(frame[offTarget:offOption]))] &&
			!want[netip.AddrFrom16([16]byte(frame[offIPv6+8:offIPv6+24]))] {
		return dst
	}
	p, ok := parseNDP(frame)
	if !ok || p.src == own || p.option && p.lladdr == own || !p.dst.group() && p.dst != own {
		return dst
	}
	m := Message{From: p.from, MAC: p.src, Source: p.src, Unicast: p.dst == own}
	if p.option {
		m.MAC = p.lladdr
	}
	if p.kind == ndAdvertisement {
		if want[p.target] {
			m.Kind, m.Addr = Claim, p.target
			m.Override, m.Solicited = p.flags&flagOverride != 0, p.flags&flagSolicited != 0
			m.Gratuitous = !m.Solicited
			dst = append(dst, m)
		}
		return dst
	}
	if want[p.target] && p.from != p.target {
		ask := m
		ask.Addr = p.target
		if p.from.IsUnspecified() {
			ask.Kind = Probe
		}
		dst = append(dst, ask)
	}
	if want[p.from] {
		m.Kind, m.Addr, m.Gratuitous = Claim, p.from, true
		dst = append(dst, m)
	}
	return dst
}

// appendNDP appends the frame. The option that belongs to the kind is written if
// p.option says so; flags are an advertisement's.
func appendNDP(b []byte, p ndpFrame) []byte {
	start, length := len(b), uint16(24)
	if p.option {
		length += 8
	}
	b = appendEther(b, p.dst, p.src, etherIPv6)
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, length)
	b = append(b, protoICMPv6, hopLimit)
	from, to, target := p.from.As16(), p.to.As16(), p.target.As16()
	b = append(b, from[:]...)
	b = append(b, to[:]...)
	b = append(b, p.kind, 0, 0, 0, p.flags, 0, 0, 0)
	b = append(b, target[:]...)
	if p.option {
		which := byte(optSource)
		if p.kind == ndAdvertisement {
			which = optTarget
		}
		b = append(b, which, 1)
		b = append(b, p.lladdr[:]...)
	}
	frame := b[start:]
	sum := checksum(frame[offIPv6+8:offICMPv6], frame[offICMPv6:])
	binary.BigEndian.PutUint16(frame[offICMPv6+2:], sum)
	return b
}

// checksum is that of an ICMPv6 message between two addresses (RFC 4443 section
// 2.3). Over a message that has its checksum it is 0.
func checksum(addrs, body []byte) uint16 {
	sum := uint32(len(body)) + protoICMPv6
	for _, b := range [2][]byte{addrs, body} {
		for ; len(b) > 1; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// ndpAnswer is the advertisement for a Query, to the one who sent it, or for a
// Probe, to all nodes, since it came from no address (RFC 4861 section 7.2.4).
func ndpAnswer(own MAC, to Message) ndpFrame {
	p := ndpFrame{
		dst: to.MAC, src: own, from: to.Addr, to: to.From, target: to.Addr,
		kind: ndAdvertisement, flags: flagSolicited, lladdr: own, option: true,
	}
	if to.Override {
		p.flags |= flagOverride
	}
	if to.From.IsUnspecified() {
		p.to, p.flags = allNodes, flagOverride
		if !to.Unicast {
			p.dst = groupMAC(allNodes)
		}
	}
	return p
}

// ndpAnnouncement is an unsolicited advertisement to all nodes, which replaces
// what they believe (RFC 4861 section 7.2.6).
func ndpAnnouncement(own MAC, addr netip.Addr) ndpFrame {
	return ndpFrame{
		dst: groupMAC(allNodes), src: own, from: addr, to: allNodes, target: addr,
		kind: ndAdvertisement, flags: flagOverride, lladdr: own, option: true,
	}
}

// ndpQuestion is a solicitation for addr, from an address or from none, to a
// station or, with the zero MAC, to those who may have it. From no address it
// goes to the solicited-node group even in a frame for one station: a node
// accepts no other (RFC 4861 section 7.1.1; RFC 6085 for the frame).
func ndpQuestion(own MAC, addr, from netip.Addr, to MAC) ndpFrame {
	p := ndpFrame{dst: to, src: own, from: from, to: addr, target: addr, kind: ndSolicitation, lladdr: own, option: true}
	if from.IsUnspecified() {
		p.option, p.lladdr = false, MAC{}
	}
	if to == (MAC{}) || from.IsUnspecified() {
		p.to = solicitedNode(addr)
	}
	if to == (MAC{}) {
		p.dst = groupMAC(p.to)
	}
	return p
}
