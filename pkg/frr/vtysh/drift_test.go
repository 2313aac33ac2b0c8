// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

// drift fails the test unless Drift finds as many commands as wanted; -1: some.
func drift(t testing.TB, d *Driver, want int) []frr.Command {
	t.Helper()
	began := time.Now()
	found, err := d.Drift(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("checked in %v: %d differences", time.Since(began).Round(100*time.Microsecond), len(found))
	if want < 0 && len(found) == 0 || want >= 0 && len(found) != want {
		t.Fatalf("differences: %q, want %d", texts(found), want)
	}
	return found
}

func texts(commands []frr.Command) (all []string) {
	for _, c := range commands {
		all = append(all, strings.Join(append(slices.Clip(c.Node), c.Text), " / "))
	}
	return all
}

func repair(t testing.TB, d *Driver, doc *frr.Document) Repaired {
	t.Helper()
	r, err := d.Repair(t.Context(), doc)
	if err != nil {
		t.Fatal(err)
	}
	clean(t, r.Applied)
	return r
}

// handTyped are changes that a person can make, and the routes that they take
// from the routers, "all" for every one.
var handTyped = []struct{ name, text, takes string }{
	{"a network added", "router bgp 65100\n address-family ipv4 unicast\n  network 10.8.0.1/32 route-map web.v4\n", "10.8.0.1"},
	{"a network removed", "router bgp 65100\n address-family ipv4 unicast\n  no network 10.0.0.3/32\n", "10.0.0.3"},
	{"a network of another class", "router bgp 65100\n address-family ipv4 unicast\n  network 10.0.0.3/32 route-map other\n", "10.0.0.3"},
	{"a route-map entry removed", "no route-map 192.0.2.2-out permit 70\n", "all"},
	{"a setting of a route-map removed", "route-map 192.0.2.2-out permit 70\n no set community\n", ""},
	{"a community changed", "route-map 192.0.2.2-out permit 70\n set community 65000:666\n", ""},
	{"an entry before ours", "route-map 192.0.2.2-out deny 1\n match tag 7\n", "all"},
	{"a route-map of its own", "route-map mine permit 1\n set tag 99\n", ""},
	{"timers changed", "router bgp 65100\n neighbor 192.0.2.2 timers 5 15\n", ""},
	{"a second neighbour", "router bgp 65100\n neighbor 192.0.2.77 remote-as 65077\n", ""},
	{"the neighbour removed", "router bgp 65100\n no neighbor 192.0.2.2\n", "all"},
	{"the neighbour shut down", "router bgp 65100\n neighbor 192.0.2.2 shutdown\n", "all"},
	{"the router removed", "no router bgp 65100\n", "all"},
	{"the log level", "log stdout debugging\n", ""},
	{"a BFD profile", "bfd\n profile fast\n  transmit-interval 777\n", ""},
	{"everything in maintenance", "router bgp 65100\n bgp graceful-shutdown\n", ""},
}

// Whatever somebody types is found and undone, and the routes and sessions that
// the change itself left alone stay.
func TestHandTypedLines(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	far := newFar(t, f, d, 5, false)
	before := sorted(f.Running(t))
	for _, c := range handTyped {
		f.Load(t, c.text)
		if c.takes != "" && c.takes != "10.8.0.1" {
			far.routes.WaitGone(t, "10.0.0.3")
		}
		flaps := far.flaps(t)
		drift(t, d, -1)
		drift(t, d, -1) // looking changes nothing
		r := repair(t, d, document(5, plain(false)))
		if len(r.Found) == 0 || len(r.Odd) > 0 {
			t.Errorf("%s: repaired %q, of which %q remain", c.name, texts(r.Found), texts(r.Odd))
		}
		drift(t, d, 0)
		if after := sorted(f.Running(t)); after != before {
			t.Errorf("%s: the running configuration was\n%s\nis\n%s", c.name, before, after)
		}
		far.routes.Wait(t, "10.0.0.3")
		lost := far.settled(t, d, 5, plain(false))
		if c.takes != "all" {
			lost = slices.DeleteFunc(lost, func(r string) bool { return r == c.takes })
			if len(lost) > 0 {
				t.Errorf("%s: routes withdrawn needlessly: %q", c.name, lost)
			}
			if now := far.flaps(t); now != flaps {
				t.Errorf("%s: the session has ended %s times, before the repair %s", c.name, now, flaps)
			}
		}
	}
	none(t, apply(t, d, document(5, plain(false))))
}

// A line that FRR prints in another form than it takes differs for ever. It is
// repaired once.
func TestLineThatFRRPrintsDifferently(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	doc := func(n int) *frr.Document {
		return document(n, edit(nil, "out map 192.0.2.2 web.v4", "set community 65000:100", "set community 65000:200 65000:100"),
			edit(nil, "class web.v4", "set tag 7\n", "set tag 007\n"))
	}
	clean(t, apply(t, d, doc(2)))
	drift(t, d, -1)
	if r := repair(t, d, doc(2)); len(r.Odd) == 0 {
		t.Fatalf("repaired %q, want them to remain", texts(r.Found))
	}
	drift(t, d, 0)
	clean(t, apply(t, d, doc(3)))
	drift(t, d, 0)
	// What somebody types beside is found all the same.
	f.Load(t, "router bgp 65100\n no neighbor 192.0.2.2 timers 3 9\n")
	drift(t, d, 1)
	if r := repair(t, d, doc(3)); len(r.Odd) != 0 {
		t.Errorf("repaired %q, of which %q remain", texts(r.Found), texts(r.Odd))
	}
	drift(t, d, 0)
	// In FRR's own form it is not odd any more, and a change of it is found.
	clean(t, apply(t, d, document(3)))
	drift(t, d, 0)
	f.Load(t, "no route-map web.v4 permit 1\n")
	drift(t, d, -1)
}

func TestRefusedLinesAreNoDrift(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	bad := document(2, edit(nil, "neighbor 192.0.2.2", "timers connect 1\n", "timers connect 99999\n"))
	if a := apply(t, d, bad); len(a.Refused) != 1 {
		t.Fatalf("refused: %+v, want one line", a.Refused)
	}
	drift(t, d, 0)
	f.Load(t, "router bgp 65100\n no neighbor 192.0.2.2 description\n")
	drift(t, d, 1)
	if r, err := d.Repair(t.Context(), bad); err != nil || len(r.Refused) != 1 || len(r.Found) != 1 {
		t.Errorf("repaired %+v, %v; want one line, with one still refused", r, err)
	}
	drift(t, d, 0)
	if a := apply(t, d, bad); a.Commands != 0 || len(a.Refused) != 1 {
		t.Errorf("after the repair: %+v, want nothing typed and the line still named", a)
	}
}

// While an operator is at work changes go out, and what the operator typed stays:
// also over a lost vtysh and a restarted daemon.
func TestTolerated(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	clean(t, apply(t, d, document(3)))
	f.Load(t, "router bgp 65100\n neighbor 192.0.2.2 timers 5 15\n address-family ipv4 unicast\n  no network 10.0.0.1/32\n")
	drift(t, d, 2)
	d.Tolerate(true)
	mine := []string{" neighbor 192.0.2.2 timers 5 15", "-  network 10.0.0.1/32 route-map web.v4"}
	if a := clean(t, apply(t, d, document(4))); a.Commands != 1 {
		t.Errorf("one network more took %d commands, want 1", a.Commands)
	}
	has(t, f, append(mine, "  network 10.0.0.3/32 route-map web.v4")...)
	d.shell.kill()
	if _, err := d.Apply(t.Context(), document(5)); err == nil {
		t.Error("Apply through a killed vtysh succeeds")
	}
	clean(t, apply(t, d, document(5)))
	has(t, f, append(mine, "  network 10.0.0.4/32 route-map web.v4")...)
	drift(t, d, 2)
	f.KillDaemon(t, "zebra")
	f.StartDaemon(t, "zebra")
	d.Forget()
	if _, err := d.Drift(t.Context()); !errors.Is(err, ErrUnknown) {
		t.Errorf("Drift after Forget: %v, want ErrUnknown", err)
	}
	clean(t, apply(t, d, document(5)))
	has(t, f, mine...)
	d.Tolerate(false)
	drift(t, d, 2)
	repair(t, d, document(5))
	has(t, f, " neighbor 192.0.2.2 timers 3 9", "  network 10.0.0.1/32 route-map web.v4")
	drift(t, d, 0)
}

func TestNothingIsLoadedWhileTheContainerLeaves(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{RunDir: f.Path("/run/frr")})
	clean(t, apply(t, d, document(2)))
	marker := f.Path("/run/frr/draining")
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.Load(t, "router bgp 65100\n bgp graceful-shutdown\n")
	if _, err := d.Apply(t.Context(), document(3)); !errors.Is(err, ErrDraining) {
		t.Errorf("Apply: %v, want ErrDraining", err)
	}
	if _, err := d.Drift(t.Context()); !errors.Is(err, ErrDraining) {
		t.Errorf("Drift: %v, want ErrDraining", err)
	}
	if _, err := d.Repair(t.Context(), document(3)); !errors.Is(err, ErrDraining) {
		t.Errorf("Repair: %v, want ErrDraining", err)
	}
	has(t, f, " bgp graceful-shutdown", "-  network 10.0.0.2/32 route-map web.v4")
	if err := os.Remove(marker); err != nil {
		t.Fatal(err)
	}
	d.Forget()
	clean(t, apply(t, d, document(3)))
	has(t, f, "- bgp graceful-shutdown", "  network 10.0.0.2/32 route-map web.v4")
}
