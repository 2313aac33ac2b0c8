// SPDX-License-Identifier: Apache-2.0

package product

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/wire"
)

// Requests 10 ms apart, noted in the order in which they ended.
func TestOutage(t *testing.T) {
	begin, lost := time.Unix(1000, 0), errors.New("lost")
	at := func(ms int, err error) lanRequest {
		return lanRequest{begin.Add(time.Duration(ms) * time.Millisecond), err}
	}
	for _, c := range []struct {
		name   string
		made   []lanRequest
		failed int
		outage time.Duration
	}{
		{"none failed", []lanRequest{at(0, nil), at(10, nil), at(20, nil)}, 0, 0},
		{"one", []lanRequest{at(0, nil), at(20, nil), at(10, lost)}, 1, 10 * time.Millisecond},
		{"two in a row, and one", []lanRequest{at(0, nil), at(30, nil), at(50, nil), at(10, lost), at(20, lost), at(40, lost)}, 3, 20 * time.Millisecond},
		{"to the end", []lanRequest{at(0, nil), at(10, lost), at(20, lost), at(30, lost)}, 3, 30 * time.Millisecond},
		{"from the beginning", []lanRequest{at(10, nil), at(0, lost)}, 1, 10 * time.Millisecond},
	} {
		var o LANOutage
		o.addRequests(c.made)
		if o.Requests != len(c.made) || o.Failed != c.failed || o.Outage != c.outage || (o.LastError != nil) != (c.failed > 0) {
			t.Errorf("%s: %s; want %d failed, for %s", c.name, o, c.failed, c.outage)
		}
	}
}

// An address is asked for each 5 ms for a second. n1 answers at first, and for 50 ms
// after n2 has told everybody that it has it; n2 is silent for 100 ms later on.
func TestUnanswered(t *testing.T) {
	begin, addr := time.Unix(1000, 0), netip.MustParseAddr("172.30.0.160")
	n1, n2, client, asker := wire.MAC{2, 1}, wire.MAC{2, 2}, wire.MAC{2, 3}, wire.MAC{2, 4}
	var r wire.Record
	at := 0 // ms
	add := func(kind wire.Kind, from, to wire.MAC, member string) {
		r = append(r, wire.Frame{Time: begin.Add(time.Duration(at) * time.Millisecond), Kind: kind, Addr: addr, MAC: from, Member: member, Dst: to, Override: true, LinkLayer: true})
	}
	for ; at < 1000; at += 5 {
		if at == 300 {
			add(wire.Gratuitous, n2, wire.Broadcast, "n2")
		}
		add(wire.Query, asker, wire.Broadcast, "l2")
		if at <= 350 {
			add(wire.Claim, n1, asker, "n1")
		}
		if at >= 300 && (at < 600 || at >= 700) {
			add(wire.Claim, n2, asker, "n2")
		}
	}
	o := LANOutage{To: netip.AddrPortFrom(addr, 80)}
	o.addRecord(r, client, begin, begin.Add(time.Second))
	if o.Unanswered != 100*time.Millisecond || o.Shared != 50*time.Millisecond || o.Unasked != 5*time.Millisecond || len(o.Owners) != 2 {
		t.Errorf("%s; want it unanswered for 100 ms, and of two owners for 50 ms", o)
	}
}
