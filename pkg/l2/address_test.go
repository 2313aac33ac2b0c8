// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"metallb.io/metallb-frr/pkg/plan"
)

// stranger is the MAC of a station that is no speaker.
var stranger = mac(0x99)

func claimBy(m MAC) Message {
	return Message{Kind: Claim, Addr: v4, From: v4, MAC: m, Source: m, Gratuitous: true}
}

// world is what a transition happens in.
type world struct {
	l        *lan
	a, b     *node
	speakers map[MAC]string
	x        *card // of the stranger
}

func own(n *node, w world, own, held bool) { n.apply(w.speakers, ann(own, held, "a", "b")) }

// transitions has one row for each way from a state to another. Node a comes first
// for the address, b second.
var transitions = []struct {
	name string
	do   func(w world)
	a, b State
	ea   []EventKind
	eb   []EventKind
}{
	{"nobody's: asked for 300 ms", func(w world) { own(w.a, w, true, false); settle(299 * time.Millisecond) }, Asking, Idle, nil, nil},
	{"nobody's: claimed then", func(w world) { own(w.a, w, true, false); settle(301 * time.Millisecond) }, Owner, Idle, []EventKind{Claimed}, nil},
	{"held: at once", func(w world) { own(w.a, w, true, true); settle(0) }, Owner, Idle, []EventKind{TakenOver}, nil},
	{"heard from a speaker: at once", func(w world) {
		own(w.a, w, false, false)
		own(w.b, w, true, true)
		settle(time.Second)
		w.b.took()
		own(w.a, w, true, false)
		own(w.b, w, false, false)
		settle(0)
	}, Owner, Idle, []EventKind{TakenOver}, nil},
	{"a stranger answers", func(w world) {
		w.l.change(func() { w.x.kernel[v4] = true })
		own(w.a, w, true, false)
		settle(500 * time.Millisecond)
	}, Foreign, Idle, []EventKind{ForeignOwner}, nil},
	{"a stranger answers, and goes", func(w world) {
		w.l.change(func() { w.x.kernel[v4] = true })
		own(w.a, w, true, false)
		settle(500 * time.Millisecond)
		w.x.Close()
		settle(lastBackoff)
	}, Owner, Idle, []EventKind{ForeignOwner, ForeignGone}, nil},
	{"a stranger turns out to be a speaker before us", func(w world) {
		own(w.a, w, true, true)
		settle(0)
		w.a.took()
		delete(w.speakers, mac(0xa))
		own(w.b, w, true, false)
		settle(time.Second)
		w.b.apply(map[MAC]string{mac(0xa): "a"}, ann(true, false, "a", "b"))
		settle(0)
	}, Owner, Yielded, nil, []EventKind{ForeignOwner, YieldedTo}},
	{"two owners: the lower yields, the higher stays", func(w world) {
		own(w.a, w, true, true)
		settle(0)
		own(w.b, w, true, true)
		settle(10 * time.Millisecond)
	}, Owner, Yielded, []EventKind{TakenOver, Contested}, []EventKind{TakenOver, YieldedTo}},
	{"the winner falls silent", func(w world) {
		own(w.a, w, true, true)
		settle(0)
		own(w.b, w, true, true)
		settle(10 * time.Millisecond)
		w.b.took()
		w.a.took()
		w.l.change(func() { w.a.cards["eth0"].segment = 7 })
		settle(900 * time.Millisecond)
	}, Owner, Owner, nil, []EventKind{TakenBack}},
	{"membership agrees with a yielder", func(w world) {
		own(w.a, w, true, true)
		settle(0)
		own(w.b, w, true, true)
		settle(10 * time.Millisecond)
		own(w.b, w, false, true)
		settle(time.Second)
	}, Owner, Idle, []EventKind{TakenOver, Contested}, []EventKind{TakenOver, YieldedTo}},
	{"lost to another: answered until that one is heard", func(w world) {
		own(w.b, w, true, true)
		settle(0)
		own(w.b, w, false, true)
		settle(time.Second)
	}, Idle, Releasing, nil, []EventKind{TakenOver}},
	{"lost to another that is heard", func(w world) {
		own(w.b, w, true, true)
		settle(0)
		own(w.b, w, false, true)
		settle(time.Second)
		own(w.a, w, true, true)
		settle(0)
	}, Owner, Idle, []EventKind{TakenOver}, []EventKind{TakenOver}},
	{"lost to another that never comes", func(w world) {
		own(w.b, w, true, true)
		settle(0)
		own(w.b, w, false, true)
		settle(handover + time.Millisecond)
	}, Idle, Idle, nil, []EventKind{TakenOver}},
	{"lost to another that has it, unheard", func(w world) {
		w.l.change(func() { w.b.cards["eth0"].segment = 1 })
		own(w.a, w, true, true)
		own(w.b, w, true, true)
		settle(20 * time.Second)
		w.l.change(func() { w.b.cards["eth0"].segment = 0 })
		own(w.b, w, false, true)
		settle(askApart)
	}, Owner, Idle, []EventKind{TakenOver, Contested}, []EventKind{TakenOver}},
	{"the winner hands over to who yielded to it", func(w world) {
		own(w.a, w, true, true)
		settle(0)
		own(w.b, w, true, true)
		settle(time.Second)
		w.b.took()
		w.a.took()
		own(w.a, w, false, true)
		settle(100 * time.Millisecond)
		w.a.is(Releasing)
		settle(800 * time.Millisecond)
	}, Idle, Owner, nil, []EventKind{TakenBack}},
	{"lost, and no candidate any more: at once", func(w world) {
		own(w.b, w, true, true)
		settle(0)
		w.b.apply(w.speakers, ann(false, true, "a"))
	}, Idle, Idle, nil, []EventKind{TakenOver}},
	{"won again while handing over", func(w world) {
		own(w.b, w, true, true)
		settle(0)
		own(w.b, w, false, true)
		own(w.b, w, true, true)
		settle(0)
	}, Idle, Owner, nil, []EventKind{TakenOver}},
	{"gone from the set", func(w world) {
		own(w.a, w, true, true)
		settle(0)
		w.a.apply(w.speakers)
	}, Idle, Idle, []EventKind{TakenOver}, nil},
	{"a stranger claims once what is ours", func(w world) {
		own(w.a, w, true, true)
		settle(time.Second)
		w.x.send(MAC{}, claimBy(stranger))
		w.x.send(MAC{}, claimBy(stranger))
		settle(5 * time.Second)
	}, Owner, Idle, []EventKind{TakenOver, Contested}, nil},
	{"a stranger goes on claiming what is ours", func(w world) {
		own(w.a, w, true, true)
		settle(time.Second)
		for range 10 {
			w.x.send(MAC{}, claimBy(stranger))
			settle(100 * time.Millisecond)
		}
	}, Foreign, Idle, []EventKind{TakenOver, Contested, ForeignOwner}, nil},
	{"the order changes under a yielder", func(w world) {
		own(w.a, w, true, true)
		settle(0)
		own(w.b, w, true, true)
		settle(10 * time.Millisecond)
		w.b.took()
		w.a.took()
		w.a.apply(w.speakers, ann(false, true, "b", "a"))
		w.b.apply(w.speakers, ann(true, true, "b", "a"))
		settle(10 * time.Millisecond)
	}, Idle, Owner, nil, []EventKind{TakenOver}},
	{"the link goes and comes back", func(w world) {
		own(w.a, w, true, true)
		settle(0)
		links := w.a.links
		w.a.links = nil
		own(w.a, w, true, false)
		w.a.is(Idle)
		w.a.links = links
		own(w.a, w, true, false)
		settle(0)
	}, Owner, Idle, []EventKind{TakenOver, Resumed}, nil},
	{"the link goes before the first frame, and comes back", func(w world) {
		w.a.engine.mu.Lock()
		w.a.engine.tokens.left = -DefaultRate / 10 // the pace is used up for 0.1 s
		w.a.engine.mu.Unlock()
		own(w.a, w, true, true)
		links := w.a.links
		w.a.links = nil
		own(w.a, w, true, true)
		w.a.is(Idle)
		w.a.links = links
		own(w.a, w, true, true)
		settle(200 * time.Millisecond)
	}, Owner, Idle, []EventKind{TakenOver}, nil},
	{"the link of a foreign owner's address goes and comes back", func(w world) {
		w.l.change(func() { w.x.kernel[v4] = true })
		own(w.a, w, true, false)
		settle(500 * time.Millisecond)
		w.a.is(Foreign)
		links := w.a.links
		w.a.links = nil
		own(w.a, w, true, false)
		w.a.is(Idle)
		w.a.links = links
		own(w.a, w, true, false)
		settle(500 * time.Millisecond)
	}, Foreign, Idle, []EventKind{ForeignOwner, ForeignOwner}, nil},
}

func TestTransitions(t *testing.T) {
	for _, row := range transitions {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world{}
				w.l, w.a, w.b, w.speakers = pair(t)
				w.x = w.l.card("x", stranger)
				w.x.kernel = map[netip.Addr]bool{}
				w.a.apply(w.speakers)
				w.b.apply(w.speakers)
				row.do(w)
				synctest.Wait()
				w.a.is(row.a)
				w.b.is(row.b)
				w.a.told(row.ea...)
				w.b.told(row.eb...)
				w.a.engine.Close()
				w.b.engine.Close()
			})
		})
	}
}

// TestLeaveHandsOver: a node that leaves answers clients until another claims.
func TestLeaveHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		c := l.card("client", mac(0xc))
		a.apply(speakers, ann(true, true, "a", "b"))
		b.apply(speakers, ann(false, true, "a", "b"))
		settle(time.Second)
		left := make(chan error)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			left <- a.engine.Leave(ctx)
		}()
		settle(500 * time.Millisecond)
		since := time.Now()
		c.send(MAC{}, Message{Kind: Query, Addr: v4})
		synctest.Wait()
		if n := len(l.sent(mac(0xa), since, answers)); n != 1 {
			t.Errorf("%d answers while leaving, want 1", n)
		}
		b.apply(speakers, ann(true, true, "a", "b"))
		if err := <-left; err != nil {
			t.Error(err)
		}
		if took := time.Since(since); took > 10*time.Millisecond {
			t.Errorf("left %v after the other came", took)
		}
		synctest.Wait()
		a.is(Idle)
		b.is(Owner)
		if err := a.engine.Leave(t.Context()); err != nil {
			t.Error(err)
		}
		a.engine.Close()
		b.engine.Close()
	})
}

// TestSilentAfterApply: what is not in the set any more is silent.
func TestSilentAfterApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		c := l.card("client", mac(0xc))
		a.apply(speakers, ann(true, true, "a"), plan.Announcement{Addr: v6, Own: true, Held: true, Order: []string{"a"}})
		c.send(MAC{}, Message{Kind: Query, Addr: v4})
		c.send(MAC{}, Message{Kind: Query, Addr: v6})
		settle(0)
		a.apply(speakers)
		since := time.Now()
		if n := len(l.sent(mac(0xa), time.Time{}, answers)); n != 2 {
			t.Errorf("%d answers before, want 2", n)
		}
		settle(time.Nanosecond)
		since = since.Add(time.Nanosecond)
		c.send(MAC{}, Message{Kind: Query, Addr: v4})
		settle(time.Minute)
		if f := l.sent(mac(0xa), since, func(Message) bool { return true }); len(f) != 0 {
			t.Errorf("frames after the withdrawal: %v", f)
		}
		a.engine.Close()
		b.engine.Close()
	})
}
