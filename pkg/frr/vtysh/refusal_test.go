// SPDX-License-Identifier: Apache-2.0

package vtysh

import (
	"strings"
	"testing"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

func TestRefusedLineCostsItselfAlone(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	clean(t, apply(t, d, document(1)))

	bad := document(2, edit(nil, "neighbor 192.0.2.2", "timers connect 1\n", "timers connect 99999\n neighbor 192.0.2.2 interface password sesame\n"))
	for range 2 {
		a := apply(t, d, bad)
		if len(a.Refused) != 2 {
			t.Fatalf("refused: %+v, want two lines", a.Refused)
		}
		for i, want := range []string{"neighbor 192.0.2.2 timers connect 99999", "neighbor 192.0.2.2 interface password sesame"} {
			r := a.Refused[i]
			if r.Line.Text != want || len(r.Origins) != 1 || r.Origins[0].Name != "neighbor 192.0.2.2" || r.Message == "" {
				t.Errorf("refused %+v, want %q of fragment neighbor 192.0.2.2", r, want)
			}
			if strings.Contains(r.Message, "sesame") {
				t.Errorf("message %q holds a password", r.Message)
			}
			t.Logf("FRR says %q", r.Message)
		}
	}
	if a := apply(t, d, bad); a.Commands != 0 {
		t.Errorf("typed %d commands again", a.Commands)
	}
	has(t, f, "  network 10.0.0.1/32 route-map web.v4", " neighbor 192.0.2.2 timers connect 1")
	// The value that it would have replaced is still there, and is known to be.
	if a := clean(t, apply(t, d, document(2, edit(nil, "neighbor 192.0.2.2", "timers connect 1\n", "timers connect 2\n")))); a.Commands != 1 {
		t.Errorf("mending took %d commands, want 1", a.Commands)
	}
	has(t, f, " neighbor 192.0.2.2 timers connect 2")
	if a := clean(t, apply(t, d, document(2))); a.Commands != 1 {
		t.Errorf("going back took %d commands, want 1", a.Commands)
	}
}

func TestRefusedLineIsTriedAgainWhenItsFragmentChanges(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	both := edit(nil, "neighbor 192.0.2.2", "timers 3 9\n", "ebgp-multihop 3\n neighbor 192.0.2.2 ttl-security hops 2\n")
	if a := apply(t, d, document(1, both)); len(a.Refused) != 1 {
		t.Fatalf("refused: %+v, want ttl-security beside ebgp-multihop", a.Refused)
	}
	// Taking away comes after adding, so the first try is too early.
	only := edit(nil, "neighbor 192.0.2.2", "timers 3 9\n", "ttl-security hops 2\n")
	clean(t, apply(t, d, document(1, only)))
	none(t, apply(t, d, document(1, only)))
	has(t, f, " neighbor 192.0.2.2 ttl-security hops 2", "- neighbor 192.0.2.2 ebgp-multihop 3")
}

// What another fragment's line had kept out is in force when that one goes, and is
// not tried again for a network that goes.
func TestRefusedLineIsTriedAgainWhenItsCauseGoes(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	labeled := [2]string{"user's", "router bgp 65100\n address-family ipv6 labeled-unicast\n  neighbor 192.0.2.2 activate\n"}
	unicast := [2]string{"ipv6", "router bgp 65100\n address-family ipv6 unicast\n  neighbor 192.0.2.2 activate\n"}
	clean(t, apply(t, d, document(2, labeled)))
	for _, networks := range []int{2, 1} {
		a := apply(t, d, document(networks, labeled, unicast))
		if len(a.Refused) != 1 || !strings.Contains(a.Refused[0].Message, "Cannot activate peer for both") {
			t.Fatalf("refused: %+v, want the second family", a.Refused)
		}
		if networks == 1 && a.Commands != 1 {
			t.Errorf("typed %d commands, want 1: that of the network", a.Commands)
		}
	}
	clean(t, apply(t, d, document(1, unicast)))
	none(t, apply(t, d, document(1, unicast)))
	if got := f.Running(t); !strings.Contains(got, "address-family ipv6 unicast\n  neighbor 192.0.2.2 activate\n") || strings.Contains(got, "labeled") {
		t.Errorf("FRR runs\n%s", got)
	}
}

func TestSettingsThatExcludeEachOtherAreSwapped(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	multihop := edit(nil, "neighbor 192.0.2.2", "timers 3 9\n", "ebgp-multihop 3\n")
	security := edit(nil, "neighbor 192.0.2.2", "timers 3 9\n", "ttl-security hops 2\n")
	for range 2 {
		clean(t, apply(t, d, document(1, multihop)))
		has(t, f, " neighbor 192.0.2.2 ebgp-multihop 3", "- neighbor 192.0.2.2 ttl-security hops 2")
		clean(t, apply(t, d, document(1, security)))
		has(t, f, "- neighbor 192.0.2.2 ebgp-multihop 3", " neighbor 192.0.2.2 ttl-security hops 2")
	}
	none(t, apply(t, d, document(1, security)))
}

func TestTransactionThatIsRejectedCostsItsLineAlone(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	bad := edit(nil, "out map 192.0.2.2 web.v4", "match tag 7\n", "match tag 7\n on-match goto 5\n")
	check := func(a frr.Applied) {
		t.Helper()
		if len(a.Refused) != 1 || a.Refused[0].Line.Text != "on-match goto 5" || !strings.HasPrefix(a.Refused[0].Message, "Configuration failed") {
			t.Fatalf("refused: %+v, want the jump backwards", a.Refused)
		}
		has(t, f, " match tag 7", " set community 65000:100", "  neighbor 192.0.2.2 route-map 192.0.2.2-out out", "  network 10.0.0.0/32 route-map web.v4")
	}
	check(apply(t, d, document(1, bad))) // the whole load was one transaction
	clean(t, apply(t, d, document(1)))
	check(apply(t, d, document(1, bad))) // a small change
	a := apply(t, d, document(1, bad, [2]string{"class z", "route-map z permit 1\n set tag 9\n"}))
	if a.Commands != 2 {
		t.Errorf("typed %d commands, want 2", a.Commands)
	}
	check(a)
}

func TestWrongASNumber(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	// A router of another kind that FRR lets nobody replace in passing.
	a := apply(t, d, document(1, [2]string{"router two", "router bgp 65200\n neighbor 192.0.2.9 remote-as 65000\n"}))
	if len(a.Refused) != 2 || !strings.Contains(a.Refused[0].Message, "AS is 65100") {
		t.Fatalf("refused: %+v, want a second AS number in one VRF", a.Refused)
	}
	has(t, f, " neighbor 192.0.2.2 remote-as 65000", "- neighbor 192.0.2.9 remote-as 65000")
	// Another AS number in place of the first.
	other := document(0)
	for _, frag := range other.Base {
		for i := range frag.Lines {
			l := &frag.Lines[i]
			l.Text = strings.Replace(l.Text, "router bgp 65100", "router bgp 65200", 1)
			l.Node = append([]string{}, l.Node...)
			for j := range l.Node {
				l.Node[j] = strings.Replace(l.Node[j], "router bgp 65100", "router bgp 65200", 1)
			}
		}
	}
	clean(t, apply(t, d, other))
	has(t, f, "router bgp 65200", " neighbor 192.0.2.2 remote-as 65000", "-router bgp 65100")
}

func TestRefusedNodeTakesItsLinesAlong(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	f.Load(t, "router bgp 65001 vrf red\n")
	d := driver(t, f, Options{})
	other := [2]string{"router red", "router bgp 0 vrf blue\n neighbor 192.0.2.9 remote-as 65000\n address-family ipv4 unicast\n  neighbor 192.0.2.9 activate\n"}
	last := [2]string{"class z", "route-map z permit 1\n set tag 9\n"}
	for i := range 2 {
		a := apply(t, d, document(1, other, last))
		if len(a.Refused) != 3 {
			t.Fatalf("refused: %+v, want 3 lines", a.Refused)
		}
		for _, r := range a.Refused {
			if r.Origins[0].Name != "router red" || r.Message == "" {
				t.Errorf("refused %+v, want lines of router red", r)
			}
		}
		if i == 1 && a.Commands != 0 {
			t.Errorf("typed %d commands again", a.Commands)
		}
	}
	has(t, f, "route-map z permit 1", " set tag 9", "  network 10.0.0.0/32 route-map web.v4")
	clean(t, apply(t, d, document(1, last)))
}

func TestLineThatLeavesItsNodeIsRefused(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	astray := edit(nil, "neighbor 192.0.2.2 ipv4", "activate\n", "activate\n  log timestamp precision 4\n")
	a := apply(t, d, document(2, astray))
	if len(a.Refused) != 1 || a.Refused[0].Line.Text != "log timestamp precision 4" {
		t.Fatalf("refused: %+v, want the line that belongs elsewhere", a.Refused)
	}
	has(t, f, "  neighbor 192.0.2.2 route-map 192.0.2.2-out out", "  network 10.0.0.1/32 route-map web.v4")
	clean(t, apply(t, d, document(2)))
}

// FRR marks a remark about echo mode as it does a refusal; the line is in force.
func TestRemarkIsNoRefusal(t *testing.T) {
	t.Parallel()
	f := frrtest.Start(t, frrtest.Options{})
	d := driver(t, f, Options{})
	clean(t, apply(t, d, document(1, edit(nil, "bfd profile fast", "  detect-multiplier 5\n", "  detect-multiplier 5\n  echo-mode\n"))))
	has(t, f, "  echo-mode", "  detect-multiplier 5")
}
