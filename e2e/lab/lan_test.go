// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"net"
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
		{"a second network, and a second interface", testSecond},
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

// testOwners has the kernels of two strange hosts own an address, in turn, together
// and not at all, and the oracle tell. l1 is the client whose cache counts, l2 asks.
func testOwners(t *testing.T, ctx context.Context, l *Lab) {
	addrs := []netip.Addr{Free4.Addr().Next(), Free6.Addr().Next()}
	own := func() *Client {
		x, err := l.AddHost(netip.PrefixFrom(addrs[0], LAN4.Bits()), netip.PrefixFrom(addrs[1], LAN6.Bits()))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := x.Remove(); err != nil {
				t.Error(err)
			}
		})
		return x
	}
	c := l.LANClient(0)
	x1 := own()
	watch, err := l.Watch(l.LANClient(1), addrs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { watch.Stop(ctx) })
	for _, a := range addrs {
		ping(t, ctx, c, a)
	}
	pass := func(after time.Time, d time.Duration) time.Time {
		t.Helper()
		at, err := watch.Asked(ctx, after.Add(d))
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	begin := time.Now()
	one := pass(begin, time.Second)
	x2 := own()
	two := pass(one, 1600*time.Millisecond)
	if err := x1.Remove(); err != nil {
		t.Fatal(err)
	}
	gone := time.Now()
	if err := x2.Send(wire.NewGratuitous(macOf(t, x2), addrs[0], addrs[0]), wire.NewGratuitous(macOf(t, x2), addrs[1], addrs[1])); err != nil {
		t.Fatal(err)
	}
	three := pass(gone, 700*time.Millisecond)
	if err := x2.Remove(); err != nil {
		t.Fatal(err)
	}
	pass(three, 1500*time.Millisecond)
	r, four, err := watch.Stop(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		rule := wire.Rule{Addr: a, Client: macOf(t, c)}
		wantViolations(t, r.Check(rule, begin, one), wire.NotAsked)
		wantViolations(t, r.Check(rule, begin, two), wire.TwoOwners, "x1", "x2")
		wantViolations(t, r.Check(rule, gone, three), wire.NotAsked)
		wantViolations(t, r.Check(rule, three, four), wire.NoOwner, "x2")
		f, ok := r.First(one, func(f wire.Frame) bool { return f.Kind == wire.Gratuitous && f.Addr == a })
		if !ok || f.Member != x2.Name || f.Time.Sub(gone) > time.Second {
			t.Errorf("the first word of a new owner of %s is %s, want x2's at %s", a, f, gone)
		}
		if view := r.View(a, macOf(t, c)); len(view) == 0 || view[len(view)-1].Member != "x2" {
			t.Errorf("at last the client takes for the owner of %s: %s", a, view)
		}
	}
}

// wantViolations wants violations of one reason, by those members, and none but
// that; with no members, none at all.
func wantViolations(t *testing.T, got []wire.Violation, reason wire.Reason, members ...string) {
	t.Helper()
	if len(members) == 0 {
		if len(got) > 0 {
			t.Errorf("violations %v, want none", got)
		}
		return
	}
	for _, v := range got {
		if v.Reason != reason || !slices.Equal(slices.Sorted(slices.Values(v.Members)), members) {
			t.Errorf("violation %s, want %s by %v", v, reason, members)
		}
	}
	if len(got) == 0 {
		t.Errorf("no violation, want %s by %v", reason, members)
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
	capture := startCapture(t, l)
	third := netip.PrefixFrom(Free4.Addr().Next().Next(), 32)
	if err := n2.AddPort("eth1", third); err != nil {
		t.Fatal(err)
	}
	// Linux answers on every interface for all its addresses.
	began := time.Now()
	startAsking(t, l.LANClient(1), third.Addr())
	macs := map[wire.MAC]bool{}
	waitFrame(t, ctx, capture, began, "answers on two interfaces", func(f wire.Frame) bool {
		if f.Kind == wire.Claim && f.Addr == third.Addr() && f.Member == n2.Name {
			macs[f.MAC] = true
		}
		return len(macs) == 2
	})
	if err := n2.RemovePort("eth1"); err != nil {
		t.Error(err)
	}
	if err := n2.AddPort("eth1"); err != nil {
		t.Errorf("a removed interface cannot come back: %v", err)
	}
	if err := n2.AddPort("lo1"); err == nil || !strings.Contains(err.Error(), "can be eth1 to eth9") {
		t.Errorf("adding lo1 gave %v", err)
	}
	// A power cut takes all of a node's interfaces.
	if err := n2.removeNetwork(); err != nil {
		t.Error(err)
	}
	if err := n2.plug(); err != nil {
		t.Error(err)
	}
	if ports, err := n2.ports(); err != nil || len(ports) != 1 {
		t.Errorf("%s has ports %v, %v; want eth0 alone", n2.Name, ports, err)
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

// listenOn serves a TCP and a UDP port of a node until the test ends; UDP echoes.
func listenOn(t *testing.T, n *Node, port uint16) {
	t.Helper()
	var cfg net.ListenConfig
	err := n.ns.do(func() error {
		addr := fmt.Sprintf("[::]:%d", port)
		tcp, err := cfg.Listen(t.Context(), "tcp", addr)
		if err != nil {
			return err
		}
		t.Cleanup(func() { tcp.Close() })
		go func() {
			for {
				c, err := tcp.Accept()
				if err != nil {
					return
				}
				c.Close()
			}
		}()
		udp, err := cfg.ListenPacket(t.Context(), "udp", addr)
		if err != nil {
			return err
		}
		t.Cleanup(func() { udp.Close() })
		go func() {
			buf := make([]byte, 100)
			for {
				m, from, err := udp.ReadFrom(buf)
				if err != nil {
					return
				}
				udp.WriteTo(buf[:m], from)
			}
		}()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// hears reports whether a node reaches a port of another within a time.
func hears(ctx context.Context, from *Node, network string, to netip.AddrPort, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := from.Dial(ctx, network, to.String())
	if err != nil {
		return err
	}
	defer c.Close()
	if network == "tcp" {
		return nil
	}
	c.SetDeadline(time.Now().Add(limit))
	if _, err := c.Write([]byte("?")); err != nil {
		return err
	}
	_, err = c.Read(make([]byte, 1))
	return err
}

func testPartition(t *testing.T, ctx context.Context, l *Lab) {
	n1, n2, n3 := l.Node(0), l.Node(1), l.Node(2)
	for _, n := range l.Nodes() {
		listenOn(t, n, 7946)
	}
	listenOn(t, n2, 7947)
	check := func(from, to *Node, port uint16, want bool) {
		t.Helper()
		limit := 10 * time.Second
		if !want {
			limit = 200 * time.Millisecond
		}
		for _, network := range []string{"tcp", "udp"} {
			for _, a := range []netip.Addr{to.Addr4, to.Addr6} {
				err := hears(ctx, from, network, netip.AddrPortFrom(a, port), limit)
				if (err == nil) != want {
					t.Errorf("%s reaches %s on %s port %d of %s: %v, want %v", from.Name, to.Name, network, port, a, err, want)
				}
			}
		}
	}
	partition := func(groups ...[]*Node) {
		t.Helper()
		if err := l.Partition(ctx, 7946, groups...); err != nil {
			t.Fatal(err)
		}
	}
	partition([]*Node{n1}, []*Node{n2})
	check(n1, n2, 7946, false)
	check(n2, n1, 7946, false)
	check(n1, n3, 7946, true)
	check(n3, n2, 7946, true)
	check(n1, n2, 7947, true)
	partition([]*Node{n1, n2}, []*Node{n3})
	check(n1, n2, 7946, true)
	check(n3, n2, 7946, false)
	partition()
	check(n3, n1, 7946, true)
	check(n3, n2, 7946, true)
	if got := nftTables(t, ctx, n3); got != "" {
		t.Errorf("rules are left after the partition: %s", got)
	}
}

func nftTables(t *testing.T, ctx context.Context, n *Node) string {
	t.Helper()
	cmd := (&Client{ns: n.ns}).Command(ctx, "nft", "list", "tables")
	out, err := output(cmd)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
