// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"
)

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
