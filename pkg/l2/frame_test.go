// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The stations of the tests: a node with a speaker, a client.
var (
	nodeMAC   = MAC{2, 0, 0, 0, 0, 1}
	clientMAC = MAC{2, 0, 0, 0, 0, 2}
	otherMAC  = MAC{2, 0, 0, 0, 0, 3}

	service4 = netip.MustParseAddr("192.0.2.100")
	service6 = netip.MustParseAddr("2001:db8::100")
	client4  = netip.MustParseAddr("192.0.2.2")
	client6  = netip.MustParseAddr("2001:db8::2")
	none4    = netip.IPv4Unspecified()
	none6    = netip.IPv6Unspecified()
)

// services is a fresh set of wanted addresses.
func services() map[netip.Addr]bool {
	return map[netip.Addr]bool{service4: true, service6: true}
}

// arpOf is the frame of an ARP packet, changed as asked for.
func arpOf(change func(*arpFrame)) []byte {
	p := arpFrame{
		dst: broadcast, src: clientMAC, op: arpRequest,
		senderMAC: clientMAC, sender: client4, target: service4,
	}
	change(&p)
	return appendARP(nil, p)
}

// ndpOf is the same of a solicitation.
func ndpOf(change func(*ndpFrame)) []byte {
	p := ndpFrame{
		dst: groupMAC(solicitedNode(service6)), src: clientMAC, kind: ndSolicitation,
		from: client6, to: solicitedNode(service6), target: service6, lladdr: clientMAC, option: true,
	}
	change(&p)
	return appendNDP(nil, p)
}

func probe6(p *ndpFrame) { p.from, p.option = none6, false }

// advertised makes it an advertisement by the client that it has the address.
func advertised(p *ndpFrame) {
	p.kind, p.from, p.to, p.dst, p.flags = ndAdvertisement, client6, allNodes, groupMAC(allNodes), flagOverride
}

// frameCase is a frame, and what the node hears in it.
type frameCase struct {
	name  string
	frame []byte
	want  []Message
}

func arpCases() []frameCase {
	query := Message{Addr: service4, From: client4, MAC: clientMAC, Source: clientMAC}
	with := func(change func(*Message)) []Message {
		m := query
		change(&m)
		return []Message{m}
	}
	claim := func(m *Message) { m.Kind, m.From, m.Gratuitous = Claim, service4, true }
	return []frameCase{
		{"request", arpOf(func(*arpFrame) {}), []Message{query}},
		{"padded request", append(arpOf(func(*arpFrame) {}), make([]byte, 18)...), []Message{query}},
		{"unicast request", arpOf(func(p *arpFrame) { p.dst = nodeMAC }), with(func(m *Message) { m.Unicast = true })},
		{"request passed on by a proxy", arpOf(func(p *arpFrame) { p.src = otherMAC }), with(func(m *Message) { m.Source = otherMAC })},
		{"probe", arpOf(func(p *arpFrame) { p.sender = none4 }), with(func(m *Message) { m.Kind, m.From = Probe, none4 })},
		{"gratuitous request", arpOf(func(p *arpFrame) { p.sender = service4 }), with(claim)},
		{"gratuitous reply", arpOf(func(p *arpFrame) { p.sender, p.op = service4, arpReply }), with(claim)},
		{
			"reply to the node", arpOf(func(p *arpFrame) { p.sender, p.target, p.op, p.dst = service4, client4, arpReply, nodeMAC }),
			with(func(m *Message) { m.Kind, m.From, m.Unicast = Claim, service4, true }),
		},
		{
			"reply to all", arpOf(func(p *arpFrame) { p.sender, p.target, p.op = service4, client4, arpReply }),
			with(claim),
		},
		{"question from the address", arpOf(func(p *arpFrame) { p.sender, p.target = service4, client4 }), with(claim)},
	}
}

// arpSilent are frames that say nothing.
func arpSilent() []frameCase {
	cut := arpOf(func(*arpFrame) {})
	at := func(offset int, v ...byte) []byte {
		b := bytes.Clone(cut)
		copy(b[offset:], v)
		return b
	}
	return []frameCase{
		{"empty", nil, nil},
		{"a byte short", cut[:len(cut)-1], nil},
		{"another EtherType", at(12, 0x08, 0x00), nil},
		{"another hardware", at(14, 0, 6), nil},
		{"another protocol", at(16, 0x86, 0xdd), nil},
		{"another length of addresses", at(18, 8), nil},
		{"RARP", at(20, 0, 3), nil},
		{"about another address", arpOf(func(p *arpFrame) { p.target = client4 }), nil},
		{"reply from no address", arpOf(func(p *arpFrame) { p.op, p.sender = arpReply, none4 }), nil},
		{"reply about the client to the address", arpOf(func(p *arpFrame) { p.op = arpReply }), nil},
		{"to another station", arpOf(func(p *arpFrame) { p.dst = otherMAC }), nil},
		{"to a group", arpOf(func(p *arpFrame) { p.dst = groupMAC(allNodes) }), nil},
		{"from a group", arpOf(func(p *arpFrame) { p.src = broadcast }), nil},
		{"sent by the node", arpOf(func(p *arpFrame) { p.src, p.senderMAC = nodeMAC, nodeMAC }), nil},
		{"sent by the node and passed on", arpOf(func(p *arpFrame) { p.senderMAC = nodeMAC }), nil},
		{"sender is all stations", arpOf(func(p *arpFrame) { p.senderMAC = broadcast }), nil},
		{"sender is no station", arpOf(func(p *arpFrame) { p.senderMAC = MAC{} }), nil},
		{"sender is all hosts", arpOf(func(p *arpFrame) { p.sender = broadcast4 }), nil},
		{"sender is a group", arpOf(func(p *arpFrame) { p.sender = netip.MustParseAddr("224.0.0.1") }), nil},
	}
}

func ndpCases() []frameCase {
	query := Message{Addr: service6, From: client6, MAC: clientMAC, Source: clientMAC}
	with := func(change func(*Message)) []Message {
		m := query
		change(&m)
		return []Message{m}
	}
	return []frameCase{
		{"solicitation", ndpOf(func(*ndpFrame) {}), []Message{query}},
		{"solicitation with padding", append(ndpOf(func(*ndpFrame) {}), 1, 2, 3), []Message{query}},
		{"solicitation without an option", ndpOf(func(p *ndpFrame) { p.option = false }), []Message{query}},
		{"solicitation with another option", withOption(ndpOf(func(*ndpFrame) {}), 14, 1, 1, 2, 3, 4, 5, 6), []Message{query}},
		{
			"solicitation passed on by a proxy", ndpOf(func(p *ndpFrame) { p.src = otherMAC }),
			with(func(m *Message) { m.Source = otherMAC }),
		},
		{
			"unicast solicitation", ndpOf(func(p *ndpFrame) { p.dst, p.to = nodeMAC, service6 }),
			with(func(m *Message) { m.Unicast = true }),
		},
		{"duplicate address detection", ndpOf(probe6), with(func(m *Message) { m.Kind, m.From = Probe, none6 })},
		{
			"unsolicited advertisement", ndpOf(advertised),
			with(func(m *Message) { m.Kind, m.Gratuitous, m.Override = Claim, true, true }),
		},
		{
			"advertisement without an option", ndpOf(func(p *ndpFrame) { advertised(p); p.option = false }),
			with(func(m *Message) { m.Kind, m.Gratuitous, m.Override = Claim, true, true }),
		},
		{
			"solicited advertisement", ndpOf(func(p *ndpFrame) {
				advertised(p)
				p.dst, p.to, p.flags = nodeMAC, service6, flagSolicited
			}),
			with(func(m *Message) { m.Kind, m.Unicast, m.Solicited = Claim, true, true }),
		},
		{
			"solicitation from the address", ndpOf(func(p *ndpFrame) { p.from, p.target = service6, client6 }),
			with(func(m *Message) { m.Kind, m.Gratuitous, m.From = Claim, true, service6 }),
		},
	}
}

// withOption appends an option to a message, and mends lengths and checksum.
func withOption(frame []byte, option ...byte) []byte {
	return mended(append(bytes.Clone(frame), option...))
}

// mended gives a frame the lengths and the checksum that it ought to have.
func mended(b []byte) []byte {
	length := len(b) - offICMPv6
	b[offIPv6+4], b[offIPv6+5] = byte(length>>8), byte(length)
	b[offICMPv6+2], b[offICMPv6+3] = 0, 0
	sum := checksum(b[offIPv6+8:offICMPv6], b[offICMPv6:])
	b[offICMPv6+2], b[offICMPv6+3] = byte(sum>>8), byte(sum)
	return b
}

func ndpSilent() []frameCase {
	plain := ndpOf(func(*ndpFrame) {})
	at := func(offset int, v ...byte) []byte {
		b := bytes.Clone(plain)
		copy(b[offset:], v)
		return mended(b)
	}
	wrong := bytes.Clone(plain)
	wrong[offICMPv6+3]++
	long := bytes.Clone(plain)
	long[offIPv6+5] += 8
	group := netip.MustParseAddr("ff02::99")
	return []frameCase{
		{"empty", nil, nil},
		{"cut off", plain[:offOption-1], nil},
		{"wrong checksum", wrong, nil},
		{"longer than the frame", long, nil},
		{"another version", at(offIPv6, 0x40), nil},
		{"an extension header", at(offIPv6+6, 0), nil},
		{"from beyond a router", at(offIPv6+7, 254), nil},
		{"a router's", at(offICMPv6, 134), nil},
		{"with a code", at(offICMPv6+1, 1), nil},
		{"option of length 0", at(offOption+1, 0), nil},
		{"option longer than the message", at(offOption+1, 2), nil},
		{"option cut off", withOption(plain, 14, 1, 1), nil},
		{"option of another link layer", withOption(at(offOption+1, 2), make([]byte, 8)...), nil},
		{"option with a group", ndpOf(func(p *ndpFrame) { p.lladdr = broadcast }), nil},
		{"option with no station", ndpOf(func(p *ndpFrame) { p.lladdr = MAC{} }), nil},
		{"about another address", ndpOf(func(p *ndpFrame) { p.target = client6 }), nil},
		{"about a group", ndpOf(func(p *ndpFrame) { p.target = group }), nil},
		{"from a group", ndpOf(func(p *ndpFrame) { p.from = group }), nil},
		{"from this host", ndpOf(func(p *ndpFrame) { p.from = netip.IPv6Loopback() }), nil},
		{"from no address with an option", ndpOf(func(p *ndpFrame) { p.from = none6 }), nil},
		{"from no address to the address", ndpOf(func(p *ndpFrame) { probe6(p); p.to = service6 }), nil},
		{"advertisement from no address", ndpOf(func(p *ndpFrame) { advertised(p); p.from = none6 }), nil},
		{"solicited advertisement to all", ndpOf(func(p *ndpFrame) { advertised(p); p.flags |= flagSolicited }), nil},
		{"to another station", ndpOf(func(p *ndpFrame) { p.dst = otherMAC }), nil},
		{"sent by the node", ndpOf(func(p *ndpFrame) { p.src, p.lladdr = nodeMAC, nodeMAC }), nil},
		{"sent by the node and passed on", ndpOf(func(p *ndpFrame) { p.lladdr = nodeMAC }), nil},
	}
}

func TestHear(t *testing.T) {
	for family, part := range map[string]struct {
		cases []frameCase
		hear  func([]Message, []byte, MAC, map[netip.Addr]bool) []Message
	}{
		"ARP": {append(arpCases(), arpSilent()...), hearARP},
		"NDP": {append(ndpCases(), ndpSilent()...), hearNDP},
	} {
		for _, c := range part.cases {
			t.Run(family+" "+c.name, func(t *testing.T) {
				got := part.hear(nil, c.frame, nodeMAC, services())
				if diff := cmp.Diff(c.want, got, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("heard (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// A frame can ask for one address from another that is wanted too.
func TestHearQuestionAndClaim(t *testing.T) {
	second4, second6 := service4.Next(), service6.Next()
	want := map[netip.Addr]bool{service4: true, second4: true, service6: true, second6: true}
	got := hearARP(nil, arpOf(func(p *arpFrame) { p.sender = second4 }), nodeMAC, want)
	got = hearNDP(got, ndpOf(func(p *ndpFrame) { p.from = second6 }), nodeMAC, want)
	if len(got) != 4 || got[0].Kind != Query || got[0].Addr != service4 || got[1].Kind != Claim || got[1].Addr != second4 ||
		got[2].Kind != Query || got[2].Addr != service6 || got[3].Kind != Claim || got[3].Addr != second6 {
		t.Errorf("heard %v; want a question and a claim of each family", got)
	}
}

// A withdrawn address may stay in the set as false.
func TestHearUnwanted(t *testing.T) {
	off := map[netip.Addr]bool{service4: false, service6: false}
	got := hearARP(nil, arpOf(func(*arpFrame) {}), nodeMAC, off)
	if got = hearNDP(got, ndpOf(func(*ndpFrame) {}), nodeMAC, off); len(got) > 0 {
		t.Errorf("heard %v", got)
	}
}

// The frames that are sent, byte by byte.
func TestSpoken(t *testing.T) {
	query4 := Message{Addr: service4, From: client4, MAC: clientMAC, Source: clientMAC}
	query6 := Message{Addr: service6, From: client6, MAC: clientMAC, Source: clientMAC}
	override := query6
	override.Override = true
	ipv6 := "86dd60000000"
	node6 := netip.MustParseAddr("fe80::1")
	for _, c := range []struct {
		name  string
		frame []byte
		want  string
	}{
		{"ARP answer", appendARP(nil, arpAnswer(nodeMAC, query4)), "020000000002" + "020000000001" + "0806" + "0001080006040002" + "020000000001" + "c0000264" + "020000000002" + "c0000202"},
		{"ARP announcement, request", appendARP(nil, arpAnnouncement(nodeMAC, service4, arpRequest)), "ffffffffffff" + "020000000001" + "0806" + "0001080006040001" + "020000000001" + "c0000264" + "000000000000" + "c0000264"},
		{"ARP announcement, reply", appendARP(nil, arpAnnouncement(nodeMAC, service4, arpReply)), "ffffffffffff" + "020000000001" + "0806" + "0001080006040002" + "020000000001" + "c0000264" + "020000000001" + "c0000264"},
		{"ARP probe", appendARP(nil, arpQuestion(nodeMAC, service4, none4, MAC{})), "ffffffffffff" + "020000000001" + "0806" + "0001080006040001" + "020000000001" + "00000000" + "000000000000" + "c0000264"},
		{"ARP question", appendARP(nil, arpQuestion(nodeMAC, service4, client4, otherMAC)), "020000000003" + "020000000001" + "0806" + "0001080006040001" + "020000000001" + "c0000202" + "000000000000" + "c0000264"},
		{"advertisement", appendNDP(nil, ndpAnswer(nodeMAC, query6)), "020000000002" + "020000000001" + ipv6 + "00203aff" + "20010db8000000000000000000000100" + "20010db8000000000000000000000002" + "8800" + "a875" + "40000000" + "20010db8000000000000000000000100" + "0201" + "020000000001"},
		{"advertisement that overrides", appendNDP(nil, ndpAnswer(nodeMAC, override)), "020000000002" + "020000000001" + ipv6 + "00203aff" + "20010db8000000000000000000000100" + "20010db8000000000000000000000002" + "8800" + "8875" + "60000000" + "20010db8000000000000000000000100" + "0201" + "020000000001"},
		{"solicitation from no address", appendNDP(nil, ndpQuestion(nodeMAC, service6, none6, MAC{})), "3333ff000100" + "020000000001" + ipv6 + "00183aff" + "00000000000000000000000000000000" + "ff0200000000000000000001ff000100" + "8700" + "4aef" + "00000000" + "20010db8000000000000000000000100"},
		{"solicitation to a station", appendNDP(nil, ndpQuestion(nodeMAC, service6, node6, otherMAC)), "020000000003" + "020000000001" + ipv6 + "00203aff" + "fe800000000000000000000000000001" + "20010db8000000000000000000000100" + "8700" + "19af" + "00000000" + "20010db8000000000000000000000100" + "0101" + "020000000001"},
		{"solicitation to a station from no address", appendNDP(nil, ndpQuestion(nodeMAC, service6, none6, otherMAC)), "020000000003" + "020000000001" + ipv6 + "00183aff" + "00000000000000000000000000000000" + "ff0200000000000000000001ff000100" + "8700" + "4aef" + "00000000" + "20010db8000000000000000000000100"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := hex.EncodeToString(c.frame); got != c.want {
				t.Errorf("frame\n got %s\nwant %s", got, c.want)
			}
		})
	}
}
