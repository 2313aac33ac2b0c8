// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"net/netip"
	"testing"
)

// FuzzARP: what is heard concerns a wanted address and comes from another
// station; what was read is written the same; each question's answer is heard by
// the one who asked as a claim.
func FuzzARP(f *testing.F) {
	for _, c := range append(arpCases(), arpSilent()...) {
		f.Add(c.frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if p, ok := parseARP(frame); ok {
			if got := appendARP(nil, p); string(got) != string(frame[:len(got)]) {
				t.Errorf("read %x, wrote %x", frame, got)
			}
		}
		for _, m := range hearARP(nil, frame, nodeMAC, services()) {
			checkMessage(t, m)
			if m.Kind != Claim {
				answer := appendARP(nil, arpAnswer(nodeMAC, m))
				checkClaim(t, hearARP(nil, answer, m.MAC, services()), m)
			}
		}
	})
}

// FuzzNDP is the same for neighbour discovery. Options that are not known are
// not written again.
func FuzzNDP(f *testing.F) {
	for _, c := range append(ndpCases(), ndpSilent()...) {
		f.Add(c.frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if p, ok := parseNDP(frame); ok {
			if again, ok := parseNDP(appendNDP(nil, p)); !ok || again != p {
				t.Errorf("read %+v, wrote and read %+v, %v", p, again, ok)
			}
		}
		// Few inputs have the right checksum by chance.
		if len(frame) >= offOption {
			frame = mended(frame)
		}
		for _, m := range hearNDP(nil, frame, nodeMAC, services()) {
			checkMessage(t, m)
			if m.Kind != Claim {
				answer := appendNDP(nil, ndpAnswer(nodeMAC, m))
				checkClaim(t, hearNDP(nil, answer, m.MAC, services()), m)
			}
		}
	})
}

func checkMessage(t *testing.T, m Message) {
	t.Helper()
	if !services()[m.Addr] || !m.From.IsValid() || m.From.Is4() != m.Addr.Is4() ||
		!m.MAC.station() || !m.Source.station() || m.MAC == nodeMAC || m.Source == nodeMAC ||
		(m.Kind == Probe) != m.From.IsUnspecified() {
		t.Errorf("heard %+v", m)
	}
}

func checkClaim(t *testing.T, got []Message, asked Message) {
	t.Helper()
	if len(got) != 1 || got[0].Kind != Claim || got[0].Addr != asked.Addr || got[0].MAC != nodeMAC {
		t.Errorf("the answer to %+v is heard as %+v", asked, got)
	}
}

// Reading must not allocate, whatever comes.
func TestHearDoesNotAllocate(t *testing.T) {
	want, said := services(), make([]Message, 0, 2)
	for _, c := range append(arpCases(), arpSilent()...) {
		if n := testing.AllocsPerRun(10, func() { hearARP(said, c.frame, nodeMAC, want) }); n != 0 {
			t.Errorf("ARP, %s: %v allocations", c.name, n)
		}
	}
	for _, c := range append(ndpCases(), ndpSilent()...) {
		if n := testing.AllocsPerRun(10, func() { hearNDP(said, c.frame, nodeMAC, want) }); n != 0 {
			t.Errorf("NDP, %s: %v allocations", c.name, n)
		}
	}
}

// BenchmarkHear reads frames on a node that announces 10,000 addresses of each
// family.
func BenchmarkHear(b *testing.B) {
	want := services()
	for a4, a6 := service4, service6; len(want) < 20_000; {
		a4, a6 = a4.Next(), a6.Next()
		want[a4], want[a6] = true, true
	}
	other := netip.MustParseAddr("2001:db8:1::1")
	said := make([]Message, 0, 2)
	for _, c := range []struct {
		name  string
		frame []byte
		hear  func([]Message, []byte, MAC, map[netip.Addr]bool) []Message
	}{
		{"arp/irrelevant", arpOf(func(p *arpFrame) { p.target = client4 }), hearARP},
		{"arp/query", arpOf(func(*arpFrame) {}), hearARP},
		{"ndp/irrelevant", ndpOf(func(p *ndpFrame) { p.target = other }), hearNDP},
		{"ndp/query", ndpOf(func(*ndpFrame) {}), hearNDP},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				said = c.hear(said[:0], c.frame, nodeMAC, want)
			}
		})
	}
}

// BenchmarkAnswer writes answers.
func BenchmarkAnswer(b *testing.B) {
	buf := make([]byte, 0, 128)
	q4 := Message{Addr: service4, From: client4, MAC: clientMAC}
	q6 := Message{Addr: service6, From: client6, MAC: clientMAC}
	b.Run("arp", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = appendARP(buf[:0], arpAnswer(nodeMAC, q4))
		}
	})
	b.Run("ndp", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = appendNDP(buf[:0], ndpAnswer(nodeMAC, q6))
		}
	})
}
