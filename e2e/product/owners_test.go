// SPDX-License-Identifier: Apache-2.0

package product

import (
	"net/netip"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/wire"
)

// The sums are those of sha256sum: printf 'n1#192.0.2.7' | sha256sum.
func TestElect(t *testing.T) {
	for _, c := range []struct{ addr, want string }{
		{"192.0.2.7", "n3"}, {"192.0.2.8", "n1"}, {"2001:db8::1", "n2"},
	} {
		a := netip.MustParseAddr(c.addr)
		if got := Elect(a, "n3", "n1", "n2"); got != c.want {
			t.Errorf("%s elects %s, want %s", a, got, c.want)
		}
	}
}

// A second of its own answers counts; another's answer, a speaker's question to it,
// and silence begin it anew.
func TestStanding(t *testing.T) {
	a, own, other := netip.MustParseAddr("192.0.2.7"), wire.MAC{2, 1}, wire.MAC{2, 2}
	begin := time.Unix(1000, 0)
	frame := func(ms int, kind wire.Kind, member string, dst wire.MAC) wire.Frame {
		return wire.Frame{Time: begin.Add(time.Duration(ms) * time.Millisecond), Kind: kind, Addr: a, Member: member, Dst: dst}
	}
	for _, c := range []struct {
		name  string
		among []wire.Frame
		until int // answers each 100 ms, but not in quiet
		quiet [2]int
		want  bool
	}{
		{"a second of answers", nil, 1000, [2]int{}, true},
		{"less", nil, 900, [2]int{}, false},
		{"another answers too", []wire.Frame{frame(450, wire.Claim, "n2", own)}, 1400, [2]int{}, false},
		{"another did, long ago", []wire.Frame{frame(450, wire.Gratuitous, "n2", wire.Broadcast)}, 1500, [2]int{}, true},
		{"a speaker asks it", []wire.Frame{frame(450, wire.Query, "n2", own)}, 1400, [2]int{}, false},
		{"a client asks it", []wire.Frame{frame(450, wire.Query, "l1", own)}, 1000, [2]int{}, true},
		{"a speaker asks everybody", []wire.Frame{frame(450, wire.Query, "n2", wire.Broadcast)}, 1000, [2]int{}, true},
		{"it asks another", []wire.Frame{frame(450, wire.Query, "n1", other)}, 1000, [2]int{}, true},
		{"it was silent", nil, 1400, [2]int{200, 800}, false},
		{"it was silent, long ago", nil, 1800, [2]int{200, 800}, true},
	} {
		s := standing{want: map[netip.Addr]string{a: "n1"}, nodes: []string{"n1", "n2"},
			since: map[netip.Addr]time.Time{}, last: map[netip.Addr]time.Time{}, wrong: map[netip.Addr]wire.Frame{}}
		for at := 0; at <= c.until; at += 100 {
			for _, f := range c.among {
				if f.Time.Equal(frame(at-50, 0, "", own).Time) {
					s.see(f)
				}
			}
			if at < c.quiet[0] || at >= c.quiet[1] {
				s.see(frame(at, wire.Claim, "n1", other))
			}
		}
		if got := s.good(frame(c.until, 0, "", own).Time); got != c.want {
			t.Errorf("%s: good is %t, want %t: %s", c.name, got, c.want, s)
		}
	}
}
