// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestHealedClientsAreTold: of two owners that did not hear each other, the one that
// goes when the LAN has healed was heard last by clients on its side. It goes when it
// has asked the other one, which knows of nothing, and yet tells everybody again.
func TestHealedClientsAreTold(t *testing.T) {
	for _, c := range []struct {
		name string
		own  bool // what the membership makes of it for the lower one
	}{{"before the membership has", true}, {"after the membership has", false}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, a, b, speakers := pair(t)
				a.apply(speakers)
				b.apply(speakers)
				l.change(func() { b.cards["eth0"].segment = 1 })
				a.apply(speakers, ann(true, true, "a", "b"))
				b.apply(speakers, ann(true, true, "a", "b"))
				settle(20 * time.Second)
				healed := time.Now()
				l.change(func() { b.cards["eth0"].segment = 0 })
				b.apply(speakers, ann(c.own, true, "a", "b"))
				settle(watchApart + 50*time.Millisecond)
				if s := b.engine.Status(v4).State; s != Idle && s != Yielded {
					t.Fatalf("the lower one is %v", s)
				}
				ours, theirs := l.sent(mac(0xa), healed, unasked), l.sent(mac(0xb), healed, unasked)
				if len(ours) == 0 || len(theirs) > 0 && theirs[len(theirs)-1].at.After(ours[len(ours)-1].at) {
					t.Errorf("since it healed the winner announced %d times, the other one %d; want the winner to have, last", len(ours), len(theirs))
				}
				a.engine.Close()
				b.engine.Close()
			})
		})
	}
}

// TestHealedClientsBelieve: the LAN heals a moment after the other one has taken the
// address, and just before the winner tells of it anyway. A client that the other one
// told believes nobody for a second, so the winner tells again after that.
func TestHealedClientsBelieve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		a.apply(speakers)
		b.apply(speakers)
		l.change(func() { b.cards["eth0"].segment = 1 })
		began := time.Now()
		a.apply(speakers, ann(true, true, "a", "b"))
		settle(4 * time.Second)
		split := time.Now()
		last := l.sent(mac(0xa), began, unasked)[0].at.Add(4400 * time.Millisecond) // of its rounds
		b.apply(speakers, ann(true, true, "b"))
		settle(last.Sub(split) - 20*time.Millisecond)
		healed := time.Now()
		l.change(func() { b.cards["eth0"].segment = 0 })
		b.apply(speakers, ann(true, true, "a", "b"))
		settle(20 * time.Second)
		ours, theirs := l.sent(mac(0xa), healed, unasked), l.sent(mac(0xb), split, unasked)
		if len(theirs) == 0 {
			t.Fatal("the other one has not taken it")
		}
		if last := theirs[len(theirs)-1].at; len(ours) == 0 || ours[len(ours)-1].at.Sub(last) <= lockTime {
			t.Errorf("the winner announced %d times since it healed, not once a second after the other one's last", len(ours))
		}
		a.engine.Close()
		b.engine.Close()
	})
}
