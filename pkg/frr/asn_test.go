// SPDX-License-Identifier: Apache-2.0

package frr_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"metallb.io/metallb-frr/pkg/frr"
	"metallb.io/metallb-frr/pkg/frr/frrtest"
)

// To its router a peer with an AS of its own, on a node that runs another, looks
// like a node of that AS: to whom it says it is, the AS path, LOCAL_PREF. The
// peer "other" is the older one, in AS 64512.
func TestRealFRRSecondAS(t *testing.T) {
	t.Parallel()
	p := newPair(t, "router bgp 65000\n")
	for _, row := range []struct {
		spec     string
		router   int // AS of the router, which expects the node in AS sees
		sees     int
		path     string
		internal bool
	}{
		{"peerAddress: 192.0.2.2, myASN: 64513, peerASN: 65000", 65000, 64513, "64513", false},
		{"peerAddress: 192.0.2.2, myASN: 64513, dynamicASN: external", 65000, 64513, "64513", false},
		{"peerAddress: 192.0.2.2, myASN: 64513, peerASN: 65000, ebgpMultiHop: true", 65000, 64513, "64513", false},
		{"peerAddress: 192.0.2.2, myASN: 64513, peerASN: 64513", 64513, 64513, "Local", true},
		{"peerAddress: 192.0.2.2, myASN: 64513, dynamicASN: internal", 64513, 64513, "Local", true},
		{"peerAddress: 192.0.2.2, myASN: 64513, peerASN: 65000, localASN: 64999", 65000, 64999, "64999", false},
		{"peerAddress: 192.0.2.2, myASN: 64513, peerASN: 65000, localASN: 64512", 65000, 64512, "64512", false},
		{"peerAddress: 192.0.2.2, myASN: 64512, peerASN: 64999, localASN: 64999", 64999, 64999, "Local", true},
		{"peerAddress: 192.0.2.2, myASN: 4200000001, peerASN: 4200000002", 4200000002, 4200000001, "4200000001", false},
		{"interface: eth0, myASN: 64513, peerASN: 65000", 65000, 64513, "64513", false},
		{"interface: eth0, myASN: 64513, dynamicASN: internal", 64513, 64513, "Local", true},
	} {
		other := p.connection(t, "198.51.100.2")
		p.a.Run(t, "vtysh", "-c", "configure terminal", "-c", "no router bgp")
		neighbor := "192.0.2.1 "
		if row.spec[:9] == "interface" {
			neighbor = "eth0 interface "
		}
		p.a.Load(t, fmt.Sprintf("router bgp %d\n no bgp ebgp-requires-policy\n coalesce-time 100\n neighbor %sremote-as %d\n", row.router, neighbor, row.sees))
		if neighbor == "192.0.2.1 " {
			p.a.Load(t, fmt.Sprintf("router bgp %d\n neighbor 192.0.2.1 passive\n", row.router))
		}
		p.change(t, row.spec+", nodeSelectors: [{}]", object("BGPAdvertisement", "prefer", "localPref: 222"))
		p.reached(t, p.a)
		var route struct {
			Paths []struct {
				ASPath    struct{ String string } `json:"aspath"`
				LocalPref int                     `json:"locPrf"`
				Peer      struct{ Type string }
			}
		}
		text := p.a.Run(t, "vtysh", "-c", fmt.Sprintf("show bgp ipv4 unicast 203.0.113.%d/32 json", p.marker))
		if err := json.Unmarshal([]byte(text), &route); err != nil || len(route.Paths) != 1 {
			t.Fatalf("%s: %v in %s", row.spec, err, text)
		}
		got := route.Paths[0]
		want := map[bool][2]any{false: {"external", 0}, true: {"internal", 222}}[row.internal]
		if got.ASPath.String != row.path || got.Peer.Type != want[0] || got.LocalPref != want[1] {
			t.Errorf("{%s}: the router sees %+v, want path %s, %v", row.spec, got, row.path, want)
		}
		if delta := frr.Diff(frr.ParseRunning(p.node.Running(t)), p.doc); len(delta.Commands) > 0 {
			t.Errorf("{%s}: the running configuration differs by:\n%s", row.spec, script(delta.Commands))
		}
		if now := p.connection(t, "198.51.100.2"); other != 0 && now != other {
			t.Errorf("{%s}: the other session was reset", row.spec)
		}
	}
}

// FRR reads 253 communities in one line and not one more: bgp.MaxCommunities.
func TestRealFRRManyCommunities(t *testing.T) {
	t.Parallel()
	node := frrtest.Start(t, frrtest.Options{})
	for _, n := range []int{253, 254} {
		line := "route-map X permit 1\n set community"
		for i := range n {
			line += fmt.Sprintf(" 65000:%d", 10000+i)
		}
		node.Run(t, "sh", "-c", "printf '"+line+"\n' | vtysh --no-fork -f /dev/stdin || true")
		if got := frr.ParseRunning(node.Running(t)); (count(got, "set community") == 1) != (n == 253) {
			t.Errorf("FRR reads %d communities in a line: %v", n, count(got, "set community") == 1)
		}
		node.Run(t, "vtysh", "-c", "configure terminal", "-c", "no route-map X")
	}
}

// count returns how many lines of the Document begin with prefix.
func count(doc *frr.Document, prefix string) int {
	n := 0
	for l := range doc.Lines() {
		if len(l.Text) >= len(prefix) && l.Text[:len(prefix)] == prefix {
			n++
		}
	}
	return n
}
