// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"metallb.io/metallb-frr/pkg/plan"
)

// TestAnnouncementTimes: at once, each 1.1 s until 5 s, then each minute or so.
func TestAnnouncementTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		begun := time.Now()
		a.apply(speakers, ann(true, true, "a"))
		settle(3 * time.Minute)
		var at []time.Duration
		for _, f := range l.sent(mac(0xa), begun, unasked) {
			at = append(at, f.at.Sub(begun).Round(time.Millisecond))
		}
		if want := append([]time.Duration{0}, DefaultBurst()...); len(at) < 7 || len(at) > 9 || !slices.Equal(at[:5], want) {
			t.Fatalf("announced at %v, want %v and then 2 to 4 more", at, want)
		}
		for i := 5; i < len(at); i++ {
			if d := at[i] - at[i-1]; d < 54*time.Second || d > 66*time.Second {
				t.Errorf("announced at %v: %v between two is not a minute or so", at, d)
			}
		}
		if n := (*a.engine.index.Load())[v4].counts.Gratuitous.Load(); n != uint64(2*len(at)) {
			t.Errorf("%d gratuitous frames counted, want two in each of %d rounds", n, len(at))
		}
		a.engine.Close()
		b.engine.Close()
	})
}

// TestLinkReplaced: an address is announced again on a link whose MAC changed,
// and frames of the old and new MAC are our own.
func TestLinkReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		a.apply(speakers, ann(true, true, "a", "b"))
		settle(20 * time.Second)
		a.links = []Link{{Name: "eth0", MAC: mac(0xaa), ARP: true}}
		since := time.Now()
		a.apply(speakers, ann(true, true, "a", "b"))
		settle(0)
		if n := len(l.sent(mac(0xaa), since, unasked)); n != 1 {
			t.Errorf("%d announcements with the new MAC, want 1", n)
		}
		c := l.card("client", mac(0xc))
		for _, m := range []MAC{mac(0xaa), mac(0xa)} { // reflected by a bridge
			a.cards["eth0"].deliver(frame{from: c, msg: Message{Kind: Claim, Addr: v4, MAC: m, Source: m, Gratuitous: true}})
		}
		settle(time.Second)
		a.is(Owner)
		a.told(TakenOver)
		a.engine.Close()
		b.engine.Close()
	})
}

// TestLinkFails: a link that fails is opened again, later each time, and said so;
// other links go on.
func TestLinkFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		a.links = append(a.links, Link{Name: "eth1", MAC: mac(0xaa), ARP: true})
		a.apply(speakers, ann(true, true, "a"))
		settle(10 * time.Second)
		a.mu.Lock()
		a.fail = errors.New("no such device")
		a.mu.Unlock()
		since := time.Now()
		a.cards["eth0"].fail(errors.New("network is down"))
		settle(5 * time.Second)
		l.card("client", mac(0xc)).send(MAC{}, Message{Kind: Query, Addr: v4})
		settle(0)
		if n := len(l.sent(mac(0xaa), since, answers)); n != 1 {
			t.Errorf("%d answers on the link that works, want 1", n)
		}
		a.mu.Lock()
		a.fail = nil
		a.mu.Unlock()
		settle(lastRetry)
		if n := len(l.sent(mac(0xa), since, unasked)); n == 0 {
			t.Error("not announced again on the link that came back")
		}
		n := 0
		for _, ev := range a.events {
			if ev.Kind == LinkFailed {
				n++
				if !strings.Contains(ev.Err.Error(), "link eth0") {
					t.Errorf("error %q does not name the link", ev.Err)
				}
			}
		}
		if n < 3 || n > 7 {
			t.Errorf("%d failures told in 5 s, want some and ever fewer", n)
		}
		a.engine.Close()
		b.engine.Close()
	})
}

// TestOnlyLinkComesBack: an address whose only link is made anew, and can be opened
// only later, is ours again by itself, and that is told.
func TestOnlyLinkComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, speakers := pair(t)
		a.apply(speakers, ann(true, true, "a"))
		settle(10 * time.Second)
		a.mu.Lock()
		a.fail = errors.New("no such device")
		a.mu.Unlock()
		d := Desired{Announcements: []plan.Announcement{ann(true, true, "a")}, Speakers: speakers, Links: []Link{{Name: "eth0", MAC: mac(0xaa), ARP: true}}}
		if a.engine.Apply(d) == nil {
			t.Error("no error though the link is not open")
		}
		settle(firstRetry / 2)
		a.is(Idle)
		a.told(TakenOver, LinkFailed)
		a.mu.Lock()
		a.fail = nil
		a.mu.Unlock()
		settle(2 * firstRetry)
		a.is(Owner)
		a.told(Resumed)
		a.engine.Close()
		b.engine.Close()
	})
}

// TestFamilies: an address is answered on links of its family and its list only.
func TestFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		a.links = []Link{{Name: "four", MAC: mac(1), ARP: true}, {Name: "six", MAC: mac(2), NDP: true}, {Name: "both", MAC: mac(3), ARP: true, NDP: true}}
		own := func(addr netip.Addr, links ...string) plan.Announcement {
			return plan.Announcement{Addr: addr, Own: true, Held: true, Order: []string{"a"}, Links: links}
		}
		for _, row := range []struct {
			a    plan.Announcement
			want string
		}{
			{own(v4), "[both four]"}, {own(v6), "[both six]"}, {own(v4, "both"), "[both]"}, {own(v6, "four"), "[]"}, {own(v4, "none"), "[]"},
		} {
			a.apply(speakers, row.a)
			settle(0)
			if got := fmt.Sprint(a.engine.Status(row.a.Addr).Links); got != row.want {
				t.Errorf("%v on %v: %v, want %v", row.a.Addr, row.a.Links, got, row.want)
			}
		}
		_ = l
		a.engine.Close()
		b.engine.Close()
	})
}

// TestPace: 10,000 addresses that come at once are all announced within a second,
// and never faster than the rate; a conflict is answered meanwhile.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		as := many(10_000, "a")
		begun := time.Now()
		a.apply(speakers, as...)
		settle(1100 * time.Millisecond)
		first := map[netip.Addr]time.Duration{}
		per := map[time.Duration]int{}
		for _, f := range l.sent(mac(0xa), begun, unasked) {
			at := f.at.Sub(begun)
			per[at/(100*time.Millisecond)]++
			if _, ok := first[f.msg.Addr]; !ok {
				first[f.msg.Addr] = at
			}
		}
		last := time.Duration(0)
		for _, d := range first {
			last = max(last, d)
		}
		if len(first) != len(as) || last > time.Second {
			t.Errorf("%d of %d addresses announced, the last after %v; want all in a second", len(first), len(as), last)
		}
		for at, n := range per {
			if n > DefaultRate/10+DefaultRate/20+1 {
				t.Errorf("%d announcements in the tenth of a second %d", n, at)
			}
		}
		a.engine.Close()
		b.engine.Close()
	})
}

// TestFirstRoundsGoFirst: an address that is new is announced at once, however
// many wait to be announced again.
func TestFirstRoundsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		a.engine.Close()
		a.rate = 20
		a.start()
		as := many(100, "a")
		a.apply(speakers, as...)
		settle(20 * time.Second)
		since := time.Now()
		a.apply(speakers, append(as, ann(true, true, "a"))...)
		settle(200 * time.Millisecond)
		n := len(l.sent(mac(0xa), since, func(m Message) bool { return unasked(m) && m.Addr == v4 }))
		if n != 1 {
			t.Errorf("%d announcements of a new address in 0.2 s, want 1", n)
		}
		a.engine.Close()
		b.engine.Close()
	})
}

func many(n int, order ...string) []plan.Announcement {
	as := make([]plan.Announcement, n)
	for i := range as {
		as[i] = plan.Announcement{Addr: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Own: true, Held: true, Order: order}
	}
	return as
}

// TestLANHeals: two owners of two thousand addresses that did not hear each other's
// first frames find each other when the LAN heals, though the membership does not.
func TestLANHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		as := many(2000, "a", "b")
		l.delay = func() time.Duration { return 2 * time.Millisecond }
		a.apply(speakers)
		b.apply(speakers)
		l.change(func() { b.cards["eth0"].segment = 1 })
		a.apply(speakers, as...)
		b.apply(speakers, as...)
		settle(20 * time.Second)
		l.change(func() { b.cards["eth0"].segment = 0 })
		settle(time.Second)
		for _, s := range b.engine.All() {
			if s.State != Yielded || s.Node != "a" {
				t.Fatalf("%v is %v a second after the LAN healed", s.Addr, s.State)
			}
		}
		l.change(func() { b.cards["eth0"].segment = 1 })
		settle(time.Second)
		for _, s := range b.engine.All() {
			if s.State != Owner {
				t.Fatalf("%v is %v a second after the winner went", s.Addr, s.State)
			}
		}
		a.engine.Close()
		b.engine.Close()
		settle(longest)
	})
}

// TestYieldsToTheBest: one that yielded to a speaker hears a better one claim the
// address, and asks that one.
func TestYieldsToTheBest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		c := newNode(t, l, "c", mac(0xc))
		speakers[mac(0xc)] = "c"
		for _, n := range []*node{b, c, a} {
			n.apply(speakers, ann(true, true, "a", "b", "c"))
			settle(50 * time.Millisecond)
		}
		for _, n := range []*node{b, c} {
			if s := n.engine.Status(v4); s.State != Yielded || s.Node != "a" || s.MAC != mac(0xa) {
				t.Errorf("node %s: %+v, want yielded to a", n.name, s)
			}
			n.engine.Close()
		}
		a.engine.Close()
	})
}

// TestHearsBeforeItSpeaks: nothing is sent about an address before answers to it
// would be heard, however long that takes.
func TestHearsBeforeItSpeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		a.slow = 20 * time.Millisecond
		a.apply(speakers, ann(true, true, "a"))
		settle(time.Second)
		if n := len(l.sent(mac(0xa), time.Time{}, unasked)); n != 1 || a.cards["eth0"].early != 0 {
			t.Errorf("%d announcements, %d of them too early; want 1, none", n, a.cards["eth0"].early)
		}
		a.engine.Close()
		b.engine.Close()
	})
}

// TestStrangersAreDefendedAgainstOnce: whatever a stranger claims within ten
// seconds is answered by one defence (RFC 5227 section 2.4).
func TestStrangersAreDefendedAgainstOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		x := l.card("x", stranger)
		a.apply(speakers, ann(true, true, "a"))
		settle(20 * time.Second)
		since := time.Now()
		for range 4 {
			x.send(MAC{}, claimBy(stranger))
			settle(110 * time.Millisecond)
		}
		settle(9 * time.Second)
		if n, want := len(l.sent(mac(0xa), since, unasked)), 1+len(defence(DefaultBurst())); n != want {
			t.Errorf("%d announcements, want the %d of one defence", n, want)
		}
		a.engine.Close()
		b.engine.Close()
	})
}

// TestForeignOwnerIsAskedEverLess: a foreign owner is asked after 1 s, 2 s, ...
// and at the longest each 30 s.
func TestForeignOwnerIsAskedEverLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		x := l.card("x", stranger)
		l.change(func() { x.kernel = map[netip.Addr]bool{v4: true} })
		a.apply(speakers, ann(true, false, "a"))
		settle(2 * time.Minute)
		var at []time.Duration
		for _, f := range l.sent(mac(0xa), time.Time{}, asks) {
			at = append(at, time.Until(f.at.Add(2*time.Minute)).Round(time.Second))
		}
		if want := []time.Duration{0, 1, 3, 7, 15, 31, 61, 91}; len(at) != len(want) {
			t.Errorf("asked at %v, want about %v s", at, want)
		}
		a.is(Foreign)
		a.told(ForeignOwner)
		a.engine.Close()
		b.engine.Close()
	})
}
