// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/plan"
)

// quiet is a link to nobody.
type quiet struct {
	l    Link
	done chan struct{}
}

func (q *quiet) Name() string { return q.l.Name }
func (q *quiet) MAC() MAC     { return q.l.MAC }
func (q *quiet) Receive() (Message, error) {
	<-q.done
	return Message{}, net.ErrClosed
}
func (q *quiet) Answer(Message) error           { return nil }
func (q *quiet) Announce(netip.Addr) error      { return nil }
func (q *quiet) Ask(netip.Addr, MAC) error      { return nil }
func (q *quiet) Want(map[netip.Addr]bool) error { return nil }
func (q *quiet) Close() error                   { close(q.done); return nil }

// large returns an engine that owns 10,000 addresses, and its set.
func large(tb testing.TB) (*Engine, *port, Desired) {
	e, err := New(Options{Node: "n1", Burst: []time.Duration{}, open: func(l Link) (wire, error) { return &quiet{l, make(chan struct{})}, nil }})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { e.Close() })
	d := Desired{
		Announcements: many(10_000, "n0", "n1", "n2"), Speakers: map[MAC]string{mac(0): "n0", mac(1): "n1", mac(2): "n2"},
		Links: []Link{{Name: "eth0", MAC: mac(1), ARP: true, NDP: true}},
	}
	if err := e.Apply(d); err != nil {
		tb.Fatal(err)
	}
	for range d.Announcements { // all are announced, and nothing goes on
		select {
		case <-e.Events():
		case <-time.After(10 * time.Second):
			tb.Fatal("not all was announced within 10 s")
		}
	}
	return e, e.ports["eth0"], d
}

// TestPacketAllocatesNothing: neither a question nor a claim that changes nothing
// allocates, so that a flood costs no memory.
func TestPacketAllocatesNothing(t *testing.T) {
	e, p, _ := large(t)
	addr := netip.MustParseAddr("10.0.1.1")
	for _, m := range []Message{
		{Kind: Query, Addr: addr, MAC: mac(9), Source: mac(9)},
		{Kind: Query, Addr: netip.MustParseAddr("192.0.2.77"), MAC: mac(9), Source: mac(9)},
		{Kind: Claim, Addr: addr, MAC: mac(2), Source: mac(2)},
	} {
		if n := testing.AllocsPerRun(1000, func() { e.hear(p, m) }); n != 0 {
			t.Errorf("%v for %v: %v allocations", m.Kind, m.Addr, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		e.Each(func(_ netip.Addr, c *Counts) bool { return c.Requests.Load() < 1<<40 })
	}); n != 0 {
		t.Errorf("reading the counts: %v allocations", n)
	}
}

// TestClaimFlood: claims of ever new strangers change nothing for good, and leave
// nothing behind.
func TestClaimFlood(t *testing.T) {
	e, p, d := large(t)
	addr := d.Announcements[77].Addr
	for i := range 100_000 {
		m := MAC{2, 1, byte(i >> 16), byte(i >> 8), byte(i)}
		e.hear(p, Message{Kind: Claim, Addr: addr, MAC: m, Source: m, Gratuitous: true})
	}
	if s := e.Status(addr); s.State != Owner {
		t.Errorf("%v after claims of 100,000 strangers, none of which went on", s.State)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.winners) > 0 || e.says.Len() > len(d.Announcements) {
		t.Errorf("%d winners, %d announcements due", len(e.winners), e.says.Len())
	}
}

func BenchmarkQuery(b *testing.B) {
	e, p, d := large(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.hear(p, Message{Kind: Query, Addr: d.Announcements[i%10_000].Addr, MAC: mac(9), Source: mac(9)})
	}
}

func BenchmarkClaim(b *testing.B) {
	e, p, d := large(b)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		e.hear(p, Message{Kind: Claim, Addr: d.Announcements[i%10_000].Addr, MAC: mac(2), Source: mac(2), Gratuitous: true})
	}
}

// BenchmarkApply is one set of 10,000 addresses after another: the same, one with
// another address, one in which all change hands.
func BenchmarkApply(b *testing.B) {
	for _, bench := range []struct {
		name string
		next func(as []plan.Announcement, i int) []plan.Announcement
	}{
		{"same", func(as []plan.Announcement, _ int) []plan.Announcement { return as }},
		{"one-changed", func(as []plan.Announcement, i int) []plan.Announcement {
			as = slices.Clone(as)
			as[4711].Own = i%2 == 0
			return as
		}},
		{"one-added-or-gone", func(as []plan.Announcement, i int) []plan.Announcement { return as[:len(as)-i%2] }},
		{"all-change-hands", func(as []plan.Announcement, i int) []plan.Announcement {
			as = slices.Clone(as)
			for j := range as {
				as[j].Own = i%2 == 0
			}
			return as
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			e, _, d := large(b)
			var in time.Duration
			for i := 0; b.Loop(); i++ {
				n := d
				n.Announcements = bench.next(d.Announcements, i)
				begun := time.Now()
				if err := e.Apply(n); err != nil {
					b.Fatal(err)
				}
				in += time.Since(begun)
			}
			b.ReportMetric(float64(in.Microseconds())/1000/float64(b.N), "ms/apply")
		})
	}
}
