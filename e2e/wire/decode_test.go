// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

var (
	mac1    = MAC{0x02, 0x1a, 0xb0, 0, 0, 11}
	mac1b   = MAC{0x02, 0x1a, 0xb0, 0, 2, 11} // eth1
	mac2    = MAC{0x02, 0x1a, 0xb0, 0, 0, 12}
	macC    = MAC{0x02, 0x1a, 0xb0, 0, 0, 211}
	addr4   = netip.MustParseAddr("172.30.0.160")
	addr6   = netip.MustParseAddr("fd00:30::f00:1")
	client4 = netip.MustParseAddr("172.30.0.211")
	client6 = netip.MustParseAddr("fd00:30::211")
)

// The frames are as the RFCs draw them, field by field; the checksums are those of
// the RFCs' algorithm by hand.
func TestDecode(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		want      string // of String, without the time, and the flags; empty: not decoded
	}{
		{"an ARP request", "ffffffffffff 021ab00000d3 0806 0001 0800 06 04 0001 021ab00000d3 ac1e00d3 000000000000 ac1e00a0",
			"02:1a:b0:00:00:d3 query 172.30.0.160 to ff:ff:ff:ff:ff:ff from 172.30.0.211 OL"},
		{"padded to 60 bytes", "ffffffffffff 021ab00000d3 0806 0001 0800 06 04 0001 021ab00000d3 ac1e00d3 000000000000 ac1e00a0 000000000000000000000000000000000000",
			"02:1a:b0:00:00:d3 query 172.30.0.160 to ff:ff:ff:ff:ff:ff from 172.30.0.211 OL"},
		{"an ARP reply", "021ab00000d3 021ab000000b 0806 0001 0800 06 04 0002 021ab000000b ac1e00a0 021ab00000d3 ac1e00d3",
			"02:1a:b0:00:00:0b claim 172.30.0.160 to 02:1a:b0:00:00:d3 from - OL"},
		{"one for another machine's MAC", "021ab00000d3 021ab000000b 0806 0001 0800 06 04 0002 021ab000000c ac1e00a0 021ab00000d3 ac1e00d3",
			"02:1a:b0:00:00:0c claim 172.30.0.160 to 02:1a:b0:00:00:d3 from - OL"},
		{"an ARP probe", "ffffffffffff 021ab000000b 0806 0001 0800 06 04 0001 021ab000000b 00000000 000000000000 ac1e00a0",
			"02:1a:b0:00:00:0b probe 172.30.0.160 to ff:ff:ff:ff:ff:ff from - OL"},
		{"a gratuitous request", "ffffffffffff 021ab000000b 0806 0001 0800 06 04 0001 021ab000000b ac1e00a0 000000000000 ac1e00a0",
			"02:1a:b0:00:00:0b gratuitous 172.30.0.160 to ff:ff:ff:ff:ff:ff from - OL"},
		{"a gratuitous reply", "ffffffffffff 021ab000000b 0806 0001 0800 06 04 0002 021ab000000b ac1e00a0 ffffffffffff ac1e00a0",
			"02:1a:b0:00:00:0b gratuitous 172.30.0.160 to ff:ff:ff:ff:ff:ff from - OL"},
		{"RARP's operation", "ffffffffffff 021ab000000b 0806 0001 0800 06 04 0003 021ab000000b ac1e00a0 ffffffffffff ac1e00a1", ""},
		{"ARP of another network", "ffffffffffff 021ab000000b 0806 0006 0800 06 04 0001 021ab000000b ac1e00a0 ffffffffffff ac1e00a1", ""},
		{"ARP cut short", "ffffffffffff 021ab000000b 0806 0001 0800 06 04 0001 021ab000000b ac1e00a0 ffffffffffff ac1e00", ""},
		{"not ARP", "ffffffffffff 021ab000000b 0800 0001 0800 06 04 0001 021ab000000b ac1e00a0 ffffffffffff ac1e00a1", ""},
		{"cut in Ethernet", "ffffffffffff 021ab000000b 08", ""},
	} {
		t.Run(c.name, func(t *testing.T) { checkDecoded(t, unhex(t, c.hex), c.want) })
	}
}

func checkDecoded(t *testing.T, b []byte, want string) {
	t.Helper()
	f, ok := Decode(b)
	if !ok {
		if want != "" {
			t.Errorf("not decoded, want %s", want)
		}
		return
	}
	_, got, _ := strings.Cut(f.String(), " ")
	from := "-"
	if f.From.IsValid() {
		from = f.From.String()
	}
	got += " from " + from + " "
	for _, flag := range []struct {
		on   bool
		name string
	}{{f.Override, "O"}, {f.Solicited, "S"}, {f.Router, "R"}, {f.LinkLayer, "L"}} {
		if flag.on {
			got += flag.name
		}
	}
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDecodeND(t *testing.T) {
	query := NewQuery(macC, client6, addr6)
	claim := NewClaim(mac1, decoded(t, query))
	const bare = ip6Len + etherLen + ndLen
	edit := func(b []byte, f func(b []byte)) []byte {
		b = append([]byte(nil), b...)
		f(b)
		return b
	}
	// sum writes the right checksum again.
	sum := func(b []byte) {
		src, dst := netip.AddrFrom16([16]byte(b[22:38])), netip.AddrFrom16([16]byte(b[38:54]))
		b[56], b[57] = 0, 0
		s := checksum(src, dst, b[54:])
		b[56], b[57] = byte(s>>8), byte(s)
	}
	for _, c := range []struct {
		name string
		b    []byte
		want string
	}{
		{"a solicitation", query, "02:1a:b0:00:00:d3 query fd00:30::f00:1 to 33:33:ff:00:00:01 from fd00:30::211 L"},
		{"without the option, and padded", append(edit(query[:bare], func(b []byte) { b[19] = ndLen; sum(b) }), 0, 0, 0),
			"02:1a:b0:00:00:d3 query fd00:30::f00:1 to 33:33:ff:00:00:01 from fd00:30::211 "},
		{"duplicate address detection", edit(query[:bare], func(b []byte) { b[19] = ndLen; clear(b[22:38]); sum(b) }),
			"02:1a:b0:00:00:d3 probe fd00:30::f00:1 to 33:33:ff:00:00:01 from - "},
		{"an answer", claim, "02:1a:b0:00:00:0b claim fd00:30::f00:1 to 02:1a:b0:00:00:d3 from - SL"},
		{"for another machine's MAC", edit(claim, func(b []byte) { b[85] = 12; sum(b) }), "02:1a:b0:00:00:0c claim fd00:30::f00:1 to 02:1a:b0:00:00:d3 from - SL"},
		{"unsolicited", NewGratuitous(mac1, addr6, addr6), "02:1a:b0:00:00:0b gratuitous fd00:30::f00:1 to 33:33:00:00:00:01 from - OL"},
		{"a wrong checksum", edit(claim, func(b []byte) { b[85] = 12 }), ""},
		{"routed", edit(claim, func(b []byte) { b[21] = 254 }), ""},
		{"a router's advertisement", edit(claim, func(b []byte) { b[54] = 134; sum(b) }), ""},
		{"another code", edit(claim, func(b []byte) { b[55] = 1; sum(b) }), ""},
		{"UDP", edit(claim, func(b []byte) { b[20] = 17 }), ""},
		{"an option of length 0", edit(claim, func(b []byte) { b[79] = 0; sum(b) }), ""},
		{"an option that is too long", edit(claim, func(b []byte) { b[79] = 2; sum(b) }), ""},
		{"cut short", claim[:len(claim)-1], ""},
		{"IPv4", edit(claim, func(b []byte) { b[14] = 0x45 }), ""},
	} {
		t.Run(c.name, func(t *testing.T) { checkDecoded(t, c.b, c.want) })
	}
}

func decoded(t *testing.T, b []byte) Frame {
	t.Helper()
	f, ok := Decode(b)
	if !ok {
		t.Fatalf("%x is not decoded", b)
	}
	return f
}

// What is made comes out as what it was made of, in IPv4 as well.
func TestEncode(t *testing.T) {
	query := NewQuery(macC, client4, addr4)
	checkDecoded(t, query, "02:1a:b0:00:00:d3 query 172.30.0.160 to ff:ff:ff:ff:ff:ff from 172.30.0.211 OL")
	checkDecoded(t, NewClaim(mac1, decoded(t, query)), "02:1a:b0:00:00:0b claim 172.30.0.160 to 02:1a:b0:00:00:d3 from - OL")
	checkDecoded(t, NewGratuitous(mac1, addr4, addr4), "02:1a:b0:00:00:0b gratuitous 172.30.0.160 to ff:ff:ff:ff:ff:ff from - OL")
}

func FuzzDecode(f *testing.F) {
	f.Add(NewQuery(macC, client4, addr4))
	f.Add(NewQuery(macC, client6, addr6))
	f.Add(NewGratuitous(mac1, addr6, addr6))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, ok := Decode(b); ok && (got.Kind == 0 || !got.Addr.IsValid() || got.Kind == Query && !got.From.IsValid()) {
			t.Errorf("%x gives %+v", b, got)
		}
	})
}
