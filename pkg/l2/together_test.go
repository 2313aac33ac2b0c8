// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"net/netip"
	"testing"
	"time"

	"metallb.io/metallb-frr/pkg/plan"
)

// Two engines on real links: one owner, a take-over, a split that is settled, and
// the loss of the owner, as a client's kernel sees them.
func TestEnginesOnWires(t *testing.T) {
	sw, client := newSpace(t), newSpace(t)
	sw.ip("link add br0 type bridge")
	sw.ip("link set br0 up")
	connect(client, "eth0", clientMAC, sw, "client", MAC{2, 0, 0, 0, 1, 0})
	sw.ip("link set client master br0")
	macs := map[string]MAC{"one": nodeMAC, "two": otherMAC}
	engines := map[string]*Engine{}
	for name, m := range macs {
		s := newSpace(t)
		connect(s, "eth0", m, sw, name, MAC{2, 0, 0, 0, 1, m[5]})
		sw.ip("link set " + name + " master br0")
		e, err := New(Options{Node: name, open: func(l Link) (w wire, err error) {
			s.in(func() { w, err = openWire(l.Name) })
			return w, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		engines[name] = e
	}
	client.address()
	apply := func(own map[string]bool, held bool) {
		t.Helper()
		for _, name := range []string{"one", "two"} {
			d := Desired{
				Speakers: map[MAC]string{nodeMAC: "one", otherMAC: "two"},
				Links:    []Link{{Name: "eth0", Index: 2, MAC: macs[name], ARP: true, NDP: true}},
			}
			for _, a := range []netip.Addr{service4, service6} {
				d.Announcements = append(d.Announcements, plan.Announcement{Addr: a, Own: own[name], Order: []string{"one", "two"}, Held: held})
			}
			if err := engines[name].Apply(d); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := func(what string, m MAC) {
		t.Helper()
		start := time.Now()
		for _, a := range []netip.Addr{service4, service6} {
			client.neighbour(a, m, "REACHABLE", "STALE", "DELAY")
		}
		t.Logf("%s: client is there after %s", what, time.Since(start))
	}
	apply(map[string]bool{"one": true}, false)
	client.speak(service4)
	client.speak(service6)
	at("first claim", nodeMAC)
	apply(map[string]bool{"two": true}, true)
	at("take-over", otherMAC)
	apply(map[string]bool{"one": true, "two": true}, true)
	at("split", nodeMAC)
	for _, a := range []netip.Addr{service4, service6} {
		t.Log(engines["one"].Status(a), engines["two"].Status(a))
	}
	engines["one"].Close()
	at("owner lost, membership not told", otherMAC)
}
