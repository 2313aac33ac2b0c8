// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/need"
	"metallb.io/metallb-frr/e2e/wire"
)

// TestLAN is about the nodes' network alone: the nodes have no cluster, and no
// program but the tests' own.
func TestLAN(t *testing.T) {
	if !Inside() {
		need.Skip(t, "needs root, to make namespaces")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l := &Lab{Spec: Spec{Nodes: 3, LANClients: 2}}
	t.Cleanup(func() { removeNetwork(t) })
	if err := l.buildNetwork(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		test func(*testing.T, context.Context, *Lab)
	}{
		{"a client resolves a node, and forgets it", testResolve},
		{"owners of an address that come and go", testOwners},
		{"nodes that do not hear each other on a port", testPartition},
		{"a node changes its MAC", testChangeMAC},
		{"a second network", testSecond},
		{"a second interface", testPorts},
		{"a strange host takes nothing with it", testStranger},
		{"a capture that lost frames says so", testLostFrames},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, ctx, l) })
	}
}

func removeNetwork(t *testing.T) {
	t.Helper()
	names, err := os.ReadDir(filepath.Join(runDir, "netns"))
	if err != nil {
		t.Error(err)
	}
	for _, e := range names {
		if err := (netNS{e.Name()}).remove(); err != nil {
			t.Error(err)
		}
	}
}

// startCapture begins a capture that the test ends, if not before.
func startCapture(t *testing.T, l *Lab) *wire.Capture {
	t.Helper()
	c, err := l.Capture()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop() })
	return c
}

func startAsking(t *testing.T, c *Client, addrs ...netip.Addr) {
	t.Helper()
	a, err := c.Ask(50*time.Millisecond, addrs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	})
}

func macOf(t *testing.T, m interface{ MAC() (wire.MAC, error) }) wire.MAC {
	t.Helper()
	mac, err := m.MAC()
	if err != nil {
		t.Fatal(err)
	}
	return mac
}

// waitFrame returns the first frame at or after a time that matches.
func waitFrame(t *testing.T, ctx context.Context, c *wire.Capture, after time.Time, what string, match func(wire.Frame) bool) wire.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	f, err := c.Wait(ctx, after, match)
	if err != nil {
		t.Fatalf("%s: %v; heard\n%s", what, err, c.Record())
	}
	return f
}

// ping has the client resolve an address.
func ping(t *testing.T, ctx context.Context, c *Client, a netip.Addr) {
	t.Helper()
	if _, err := c.Exec(ctx, "ping", "-c1", "-W5", a.String()); err != nil {
		t.Error(err)
	}
}

func testResolve(t *testing.T, ctx context.Context, l *Lab) {
	c, n := l.LANClient(0), l.Node(0)
	capture := startCapture(t, l)
	for _, a := range []struct{ node, client netip.Addr }{{n.Addr4, c.Addr4}, {n.Addr6, c.Addr6}} {
		began := time.Now()
		ping(t, ctx, c, a.node)
		got, err := c.Neighbor(a.node)
		if err != nil || got.MAC != macOf(t, n) || !got.Known() {
			t.Errorf("%s takes %s for %s, in state %d, %v; its MAC is %s", c.Name, a.node, got.MAC, got.State, err, macOf(t, n))
		}
		query := waitFrame(t, ctx, capture, began, "the query", func(f wire.Frame) bool {
			return f.Kind == wire.Query && f.Member == c.Name && f.Addr == a.node && f.From == a.client
		})
		claim := waitFrame(t, ctx, capture, query.Time, "the answer", func(f wire.Frame) bool {
			return f.Kind == wire.Claim && f.Member == n.Name && f.Addr == a.node && f.Dst == macOf(t, c)
		})
		if claim.Time.After(time.Now()) {
			t.Errorf("the answer is from the future, %s", claim.Time)
		}
		if err := c.ForgetNeighbors(); err != nil {
			t.Error(err)
		}
		if got, err := c.Neighbor(a.node); err != nil || got.Known() {
			t.Errorf("%s still knows %+v, %v", c.Name, got, err)
		}
	}
	if _, err := c.Exec(ctx, "ping", "-c1", "-W1", ClientNet4.Addr().Next().String()); err == nil {
		t.Error("the client has a route out of its network")
	}
}

func testChangeMAC(t *testing.T, ctx context.Context, l *Lab) {
	c, n := l.LANClient(0), l.Node(0)
	addrs := []netip.Addr{n.Addr4, n.Addr6}
	for _, a := range addrs {
		ping(t, ctx, c, a)
	}
	watching, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	events, err := c.WatchNeighbors(watching)
	if err != nil {
		t.Fatal(err)
	}
	capture := startCapture(t, l)
	before, began := macOf(t, n), time.Now()
	mac, err := n.ChangeMAC()
	if err != nil {
		t.Fatal(err)
	}
	if mac == before || mac != macOf(t, n) || l.Member(mac) != n.Name || l.Member(before) != n.Name {
		t.Errorf("the MAC was %s, is %s, and should be %s, all of %s", before, macOf(t, n), mac, n.Name)
	}
	learnt := map[netip.Addr]bool{}
	for !learnt[addrs[0]] || !learnt[addrs[1]] {
		e, ok := <-events
		if !ok {
			t.Fatalf("%s has learnt the new MAC of %v only", c.Name, learnt)
		}
		learnt[e.Addr] = learnt[e.Addr] || !e.Deleted && e.MAC == mac
	}
	for _, a := range addrs {
		waitFrame(t, ctx, capture, began, "the new MAC of "+a.String(), func(f wire.Frame) bool {
			return f.Kind == wire.Gratuitous && f.Addr == a && f.MAC == mac && f.Member == n.Name
		})
		ping(t, ctx, c, a)
	}
}

func testSecond(t *testing.T, ctx context.Context, l *Lab) {
	c, n1, n2 := l.LANClient(0), l.Node(0), l.Node(1)
	for _, a := range c.Second() {
		if err := c.AddAddr(a); err != nil {
			t.Fatal(err)
		}
	}
	for i, a := range n1.Second() {
		if err := n1.AddAddr(a); err != nil {
			t.Fatal(err)
		}
		ping(t, ctx, c, a.Addr())
		if _, err := c.Exec(ctx, "ping", "-c1", "-W1", n2.Second()[i].Addr().String()); err == nil {
			t.Errorf("%s is in the second network, and was not put there", n2.Name)
		}
		if err := n1.RemoveAddr(a); err != nil {
			t.Error(err)
		}
	}
}

func testPorts(t *testing.T, ctx context.Context, l *Lab) {
	n := l.Node(1)
	capture := startCapture(t, l)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	addr := Free4.Addr().Next().Next()
	must(n.AddPort("eth1", netip.PrefixFrom(addr, 32)))
	startAsking(t, l.LANClient(1), addr)
	// answers waits for so many interfaces of the node to answer within two
	// questions. Linux answers on every interface for all its addresses.
	answers := func(what string, want int) {
		t.Helper()
		macs, asked := map[wire.MAC]bool{}, 0
		waitFrame(t, ctx, capture, time.Now(), what, func(f wire.Frame) bool {
			switch {
			case f.Addr != addr:
			case f.Kind == wire.Claim && f.Member == n.Name:
				macs[f.MAC] = true
			case f.Kind == wire.Query:
				if asked++; asked == 3 && len(macs) != want {
					macs, asked = map[wire.MAC]bool{}, 0
				}
			}
			return asked == 3
		})
	}
	answers("two interfaces", 2)
	must(n.PortDown("eth0"))
	answers("one has no cable", 1)
	must(n.PortUp("eth0"))
	answers("it has one again", 2)
	must(n.Drop(true))
	answers("the node's frames are lost", 0)
	must(n.Drop(false))
	answers("no more", 2)
	must(n.RemovePort("eth1"))
	must(n.AddPort("eth1"))
	answers("the address went with the interface", 0)
	if err := n.AddPort("lo1"); err == nil || !strings.Contains(err.Error(), "can be eth1 to eth9") {
		t.Errorf("adding lo1 gave %v", err)
	}
	// A power cut takes all of a node's interfaces.
	must(n.removeNetwork())
	must(n.plug())
	if ports, err := n.ports(); err != nil || len(ports) != 1 {
		t.Errorf("%s has ports %v, %v; want eth0 alone", n.Name, ports, err)
	}
}

func testStranger(t *testing.T, ctx context.Context, l *Lab) {
	a := netip.PrefixFrom(Free4.Addr().Next(), LAN4.Bits())
	for range 2 { // its number is free again
		x, err := l.AddHost(a)
		if err != nil {
			t.Fatal(err)
		}
		if x.Name != "x1" {
			t.Errorf("the only strange host is %s, want x1", x.Name)
		}
		// Else the client goes on with the owner that it knew.
		if err := l.LANClient(0).ForgetNeighbors(); err != nil {
			t.Error(err)
		}
		ping(t, ctx, l.LANClient(0), a.Addr())
		if err := x.Remove(); err != nil {
			t.Fatal(err)
		}
		if _, err := l.LANClient(0).Exec(ctx, "ping", "-c1", "-W1", a.Addr().String()); err == nil {
			t.Error("it still answers")
		}
	}
	if err := l.LANClient(0).Remove(); err == nil {
		t.Error("a client of the lab's could be removed")
	}
	if _, err := l.AddHost(a, a); err == nil {
		t.Error("a host could be added with the same address twice")
	}
	if (netNS{strangerName(0)}).exists() {
		t.Error("a host that could not be added is there all the same")
	}
}

// testLostFrames floods a capture whose reader stands still. 60,000 frames are more
// than its buffer takes.
func testLostFrames(t *testing.T, _ context.Context, l *Lab) {
	hold := make(chan struct{})
	var c *wire.Capture
	err := netNS{switchName}.do(func() (err error) {
		c, err = wire.Listen(lanBridge, func(wire.MAC) string { <-hold; return "" })
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	client := l.LANClient(0)
	flood := slices.Repeat([][]byte{wire.NewQuery(macOf(t, client), client.Addr4, Free4.Addr())}, 60_000)
	if err := client.Send(flood...); err != nil {
		t.Error(err)
	}
	close(hold)
	if r, err := c.Stop(); err == nil || !strings.Contains(err.Error(), "frames were lost") {
		t.Errorf("of 60000 frames %d were heard, and the error is %v", len(r), err)
	}
}
