// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
)

// What frr-reload.py --test says of one more prefix with one neighbour.
const saidByTest = `
Lines To Delete
===============
no hostname vm

Lines To Add
============
router bgp 65100
 address-family ipv4 unicast
  network 10.64.0.9/32
 exit-address-family
exit
ip prefix-list 192.0.2.2-allowed-ipv4 seq 10 permit 10.64.0.9/32
route-map 192.0.2.2-out permit 2
 match ip address prefix-list 192.0.2.2-allowed-ipv4
exit
`

func TestDifferingCountsWhatIsSet(t *testing.T) {
	if got := differing(saidByTest); got != 4 {
		t.Errorf("%d lines, want 4: hostname, network, prefix-list entry, match", got)
	}
	if got := differing("frr-reload.py has nothing to say\n"); got != 0 {
		t.Errorf("%d lines where nothing differs", got)
	}
}

func TestUsualRenderingHasAnEntryPerList(t *testing.T) {
	const services = 3
	text := usualRendering("n1", services)
	if got, want := strings.Count(text, "\nip prefix-list "), 3*services*neighbours; got != want {
		t.Errorf("%d prefix-list entries, want %d", got, want)
	}
	if got := strings.Count(text, "  network "); got != services {
		t.Errorf("%d networks, want %d", got, services)
	}
}

func TestCompareEnginesSaysWhatIsNotMet(t *testing.T) {
	row := func(name, engine string, size int, median float64) Row {
		return figures(name, map[string]any{"engine": engine, "prefixes": size}, "ms", []float64{median})
	}
	rows := []Row{
		row("change-daemon-cpu", "delta", 10, 2), row("change-daemon-cpu", "delta", 10_000, 3.2),
		row("change-daemon-cpu", "frr-reload", 10, 40),
		row("change-to-far-kernel", "delta", 10, 100), row("change-to-far-kernel", "delta", 10_000, 120),
		row("change-speaker-cpu", "delta", 10_000, 6),
		row("load-wall", "delta", 10_000, 900), {Name: "load-wall", Params: map[string]any{"engine": "frr-reload", "prefixes": 10_000}},
	}
	text := compareEngines(rows)
	for _, want := range []string{
		"change-daemon-cpu at 10000 prefixes is 1.60 times that at 10: NOT MET",
		"change-to-far-kernel at 10000 prefixes is 1.20 times that at 10: as wanted",
		"change-speaker-cpu at 10000 prefixes is 6.00 ms: NOT MET",
		"20.0", "> 60000",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// A route counts once for each neighbour, with the attributes that it had last.
func TestReceivedFollowsUpdates(t *testing.T) {
	f := &received{community: addedCommunity, with: map[path]bool{}}
	prefixes := []*bgp.IPAddrPrefix{bgp.NewIPAddrPrefix(32, "203.0.112.1"), bgp.NewIPAddrPrefix(32, "203.0.112.2")}
	update := func(communities ...uint32) *bgp.BGPUpdate {
		return &bgp.BGPUpdate{NLRI: prefixes, PathAttributes: []bgp.PathAttributeInterface{bgp.NewPathAttributeCommunities(communities)}}
	}
	check := func(what string, all, with int) {
		t.Helper()
		if len(f.with) != all || f.count != with {
			t.Errorf("%s: %d routes, %d with the community; want %d and %d", what, len(f.with), f.count, all, with)
		}
	}
	f.take("a", update(1))
	check("without", 2, 0)
	f.take("a", update(1, addedCommunity))
	f.take("b", update(1, addedCommunity))
	f.take("b", update(1, addedCommunity))
	check("with", 4, 4)
	f.take("a", update(1))
	check("taken from one neighbour", 4, 2)
	f.take("b", &bgp.BGPUpdate{WithdrawnRoutes: prefixes[:1]})
	check("withdrawn", 3, 1)
	nh := bgp.NewPathAttributeMpUnreachNLRI([]bgp.AddrPrefixInterface{prefixes[1]})
	f.take("b", &bgp.BGPUpdate{PathAttributes: []bgp.PathAttributeInterface{nh}})
	check("withdrawn by MP_UNREACH_NLRI", 2, 0)
}

// A router that stops telling is an error, not a wait.
func TestReceivedEndsWithItsConnection(t *testing.T) {
	ours, theirs := net.Pipe()
	f := &received{with: map[path]bool{}, changed: make(chan tally, 1), err: make(chan error, 1)}
	go func() { f.err <- f.read(ours) }()
	theirs.Close()
	done := make(chan error, 1)
	go func() {
		_, err := f.until(t.Context(), 1, true)
		done <- err
	}()
	select {
	case err := <-done:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("until still waits after 10 s")
	}
}
