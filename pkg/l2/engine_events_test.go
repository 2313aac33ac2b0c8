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
)

// TestIPVSWithoutStrictARP: kernels that answer for what their speakers do not
// announce are told of, each once, and not fought.
func TestIPVSWithoutStrictARP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b, speakers := pair(t)
		b.links = append(b.links, Link{Name: "eth1", MAC: mac(0xbb), ARP: true})
		speakers[mac(0xbb)] = "b"
		kernel := func(answers map[netip.Addr]bool) { // of b, on both links
			l.change(func() { b.cards["eth0"].kernel, b.cards["eth1"].kernel = answers, answers })
		}
		for _, held := range []bool{false, true} {
			a.apply(speakers)
			b.apply(speakers)
			kernel(map[netip.Addr]bool{v4: true})
			a.apply(speakers, ann(true, held, "a", "b"))
			b.apply(speakers, ann(false, held, "a", "b"))
			settle(3 * time.Minute)
			a.is(Owner)
			b.is(Idle)
		}
		a.told(Claimed, IPVSWithoutStrictARP, TakenOver)
		// What one answers once, when it was the owner a moment ago, is not that.
		kernel(nil)
		settle(kernelFor + 2*sampleApart)
		kernel(map[netip.Addr]bool{v4: true})
		for len(l.sent(mac(0xa), time.Now().Add(-time.Second), asks)) == 0 {
			settle(time.Second)
		}
		kernel(nil)
		settle(5 * time.Minute)
		a.told()
		a.engine.Close()
		b.engine.Close()
	})
}

// TestEventsFold: a consumer that takes nothing costs a bounded amount, and gets
// the latest in the right order.
func TestEventsFold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := New(Options{Node: "a", open: func(Link) (wire, error) { return nil, errors.New("none") }})
		if err != nil {
			t.Fatal(err)
		}
		e.report(Event{Kind: TakenBack, Addr: v4}) // waits to be taken
		synctest.Wait()
		for range 10_000 {
			e.report(Event{Kind: TakenBack, Addr: v4})
			e.report(Event{Kind: YieldedTo, Addr: v4})
			e.report(Event{Kind: YieldedTo, Addr: v6})
		}
		synctest.Wait()
		if n := len(e.pending); n > 200 {
			t.Errorf("%d events kept for a consumer that does not come", n)
		}
		var got []string
		total := 0
		for {
			select {
			case ev := <-e.Events():
				got = append(got, fmt.Sprint(ev.Kind, " ", ev.Addr))
				total += 1 + ev.Folded
				continue
			case <-time.After(time.Second):
			}
			break
		}
		want := []string{"TakenBack 192.0.2.1", "TakenBack 192.0.2.1", "Yielded 192.0.2.1", "Yielded 2001:db8::1"}
		if !slices.Equal(got, want) || total != 30_001 {
			t.Errorf("got %v (%d in all), want %v (30001)", got, total, want)
		}
		e.Close()
	})
}

// TestGoneAddresses: counts of what is announced no more are kept, of so many.
func TestGoneAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b, speakers := pair(t)
		a.apply(speakers, ann(true, true, "a"))
		settle(time.Second)
		a.apply(speakers)
		n := uint64(0)
		a.engine.Each(func(addr netip.Addr, c *Counts) bool { n += c.Gratuitous.Load(); return true })
		if n != 2 {
			t.Errorf("%d gratuitous frames counted after the withdrawal, want 2", n)
		}
		a.apply(speakers, many(maxGone+10, "a")...)
		a.apply(speakers, ann(true, true, "a"))
		if n := len(*a.engine.index.Load()); n > maxGone {
			t.Errorf("%d addresses kept", n)
		}
		a.engine.Close()
		b.engine.Close()
	})
}

// TestNewAndClose: what an engine refuses.
func TestNewAndClose(t *testing.T) {
	if _, err := New(Options{}); err == nil || !strings.Contains(err.Error(), "Node") {
		t.Errorf("no node: error %v, want one that names the field", err)
	}
	e, err := New(Options{Node: "a", open: func(Link) (wire, error) { return nil, errors.New("none") }})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := e.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
	if err := e.Apply(Desired{}); err == nil {
		t.Error("a closed engine takes a set")
	}
	if err := e.Leave(t.Context()); err != nil {
		t.Errorf("leaving when closed: %v", err)
	}
}
