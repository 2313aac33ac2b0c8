// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/wire"
)

// testOwners has the kernels of two strange hosts own an address, in turn, together
// and not at all, and the oracle tell. A machine that is so busy that it does not
// even ask in time shows nothing, and is given another try.
func testOwners(t *testing.T, ctx context.Context, l *Lab) {
	for try := 1; ; try++ {
		o := ownersThatComeAndGo(t, ctx, l)
		asleep := o.Check(wire.Rule{Addr: o.addrs[0], Client: o.client}, o.one, o.none)
		asleep = slices.DeleteFunc(asleep, func(v wire.Violation) bool { return v.Reason != wire.NotAsked })
		if len(asleep) > 0 && try < 3 {
			t.Log("once more:", asleep)
			continue
		}
		o.check(t)
		return
	}
}

// owners is what was recorded of an address that x1 had from one on, x2 as well from
// two on, x2 alone from next on, of which it told everybody, and nobody from gone on,
// until none.
type owners struct {
	wire.Record
	addrs                      []netip.Addr
	client                     wire.MAC // whose neighbour cache counts
	one, two, next, gone, none time.Time
}

func ownersThatComeAndGo(t *testing.T, ctx context.Context, l *Lab) (o owners) {
	t.Helper()
	o.addrs = []netip.Addr{Free4.Addr().Next(), Free6.Addr().Next()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	own := func() *Client {
		x, err := l.AddHost(netip.PrefixFrom(o.addrs[0], LAN4.Bits()), netip.PrefixFrom(o.addrs[1], LAN6.Bits()))
		must(err)
		t.Cleanup(func() { x.Remove() })
		return x
	}
	x1 := own()
	watch, err := l.Watch(l.LANClient(1), o.addrs...)
	must(err)
	t.Cleanup(func() { watch.Stop(ctx) })
	client := l.LANClient(0)
	must(client.ForgetNeighbors())
	for _, a := range o.addrs {
		ping(t, ctx, client, a)
	}
	o.client, o.one = macOf(t, client), time.Now()
	pass := func(d time.Duration) time.Time {
		t.Helper()
		at, err := watch.Asked(ctx, time.Now().Add(d))
		must(err)
		return at
	}
	o.two = pass(time.Second)
	x2 := own()
	o.next = pass(1600 * time.Millisecond)
	must(x1.Remove())
	mac := macOf(t, x2)
	must(x2.Send(wire.NewGratuitous(mac, o.addrs[0], o.addrs[0]), wire.NewGratuitous(mac, o.addrs[1], o.addrs[1])))
	o.gone = pass(700 * time.Millisecond)
	must(x2.Remove())
	pass(1500 * time.Millisecond)
	o.Record, o.none, err = watch.Stop(ctx)
	must(err)
	return o
}

func (o owners) check(t *testing.T) {
	for _, a := range o.addrs {
		rule := wire.Rule{Addr: a, Client: o.client}
		wantViolations(t, o.Check(rule, o.one, o.two), "")
		wantViolations(t, o.Check(rule, o.one, o.next), wire.TwoOwners, "x1", "x2")
		wantViolations(t, o.Check(rule, o.next, o.gone), "")
		wantViolations(t, o.Check(rule, o.gone, o.none), wire.NoOwner, "x2")
		f, ok := o.First(o.two, func(f wire.Frame) bool { return f.Kind == wire.Gratuitous && f.Addr == a })
		if !ok || f.Member != "x2" || f.Time.Before(o.next) || f.Time.After(o.gone) {
			t.Errorf("the first word of a new owner of %s is %s, want x2's after %s", a, f, o.next)
		}
		if view := o.View(a, o.client); len(view) == 0 || view[len(view)-1].Member != "x2" {
			t.Errorf("at last the client takes for the owner of %s: %s", a, view)
		}
	}
	if t.Failed() {
		t.Log("heard:\n" + o.String())
	}
}

// wantViolations wants violations of one reason, by those members, and none but
// that; with no reason, none at all.
func wantViolations(t *testing.T, got []wire.Violation, reason wire.Reason, members ...string) {
	t.Helper()
	for _, v := range got {
		if v.Reason != reason || !slices.Equal(slices.Sorted(slices.Values(v.Members)), members) {
			t.Errorf("violation %s, want %q by %q", v, reason, members)
		}
	}
	if len(got) == 0 && reason != "" {
		t.Errorf("no violation, want %s by %v", reason, members)
	}
}
