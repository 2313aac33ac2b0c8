// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// reaches reports whether the node answers the client within a second.
func reaches(ctx context.Context, l *Lab, n *Node) bool {
	_, err := l.Client(0).Exec(ctx, "ping", "-c1", "-W1", n.Addr4.String())
	return err == nil
}

func testDrop(t *testing.T, ctx context.Context, l *Lab) {
	n := l.Node(0)
	carrier := func() string {
		out, err := n.Exec(ctx, "cat", "/sys/class/net/eth0/carrier")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	for _, c := range []struct {
		name    string
		on, off func() error
		carrier string
	}{
		{"drop", func() error { return n.Drop(true) }, func() error { return n.Drop(false) }, "1"},
		{"link down", n.LinkDown, n.LinkUp, "0"},
	} {
		if err := c.on(); err != nil {
			t.Fatal(err)
		}
		if reaches(ctx, l, n) {
			t.Errorf("%s: %s still answers", c.name, n.Name)
		}
		if got := carrier(); got != c.carrier {
			t.Errorf("%s: carrier is %s, want %s", c.name, got, c.carrier)
		}
		if err := c.off(); err != nil {
			t.Fatal(err)
		}
		waitAnswer(t, ctx, l, n.Addr4, "node="+n.Name)
	}
}

func testKillProcess(t *testing.T, ctx context.Context, l *Lab) {
	n := l.Node(0)
	if err := n.KillProcess("no-such"); err == nil {
		t.Error("killing a process that is not there gave no error")
	}
	for _, name := range []string{"kubelet", "containerd", "web"} {
		if err := n.KillProcess(name); err != nil {
			t.Fatal(err)
		}
	}
	since := time.Now()
	if err := l.WaitReady(ctx, since, n.Name); err != nil {
		t.Error(err)
	}
	waitAnswer(t, ctx, l, n.Addr4, "node="+n.Name)
}

func testPowerCut(t *testing.T, ctx context.Context, l *Lab) {
	n := l.Node(1)
	if err := n.PowerCut(ctx); err != nil {
		t.Fatal(err)
	}
	if reaches(ctx, l, n) {
		t.Errorf("%s answers without power", n.Name)
	}
	if _, err := n.Exec(ctx, "true"); err == nil {
		t.Error("a command ran on a node without power")
	}
	wait, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	err := poll(wait, n.Name+" not Ready", 200*time.Millisecond, func() error {
		ready, err := l.Ready(wait, n.Name)
		if err == nil && ready {
			err = errors.New("still Ready")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	since := time.Now()
	if err := n.PowerOn(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.WaitReady(ctx, since, n.Name); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s Ready %v after its return", n.Name, time.Since(since).Round(time.Millisecond))
	waitAnswer(t, ctx, l, n.Addr4, "node="+n.Name)
	waitAnswer(t, ctx, l, n.Addr6, "node="+n.Name)
}

func testCrash(t *testing.T, ctx context.Context, l *Lab) {
	n := l.Node(1)
	if err := n.Crash(ctx); err != nil {
		t.Fatal(err)
	}
	if !reaches(ctx, l, n) {
		t.Errorf("the network stack of %s went with its processes", n.Name)
	}
	since := time.Now()
	if err := n.PowerOn(ctx); err != nil {
		t.Fatal(err)
	}
	if err := n.PowerOn(ctx); err == nil {
		t.Error("a running node could be started")
	}
	if err := l.WaitReady(ctx, since, n.Name); err != nil {
		t.Fatal(err)
	}
	waitAnswer(t, ctx, l, n.Addr4, "node="+n.Name)
}

// testAPIServerCut sees what one node loses with the API server, and what not.
func testAPIServerCut(t *testing.T, ctx context.Context, l *Lab) {
	n1, n2 := l.Node(0), l.Node(1)
	api := []netip.AddrPort{netip.AddrPortFrom(host(LAN4, cpHost), 6443), netip.MustParseAddrPort("10.96.0.1:443")}
	check := func(n *Node, want bool) {
		t.Helper()
		limit := 10 * time.Second
		if !want {
			limit = 300 * time.Millisecond
		}
		for _, a := range api {
			if err := hears(ctx, n, "tcp", a, limit); (err == nil) != want {
				t.Errorf("%s reaches the API server at %s: %v, want %v", n.Name, a, err, want)
			}
		}
	}
	if err := l.CutAPIServer(ctx, n1); err != nil {
		t.Fatal(err)
	}
	check(n1, false)
	check(n2, true)
	waitAnswer(t, ctx, l, n1.Addr4, "node="+n1.Name)
	// What the API server asks of kubelets and webhooks goes on.
	cp := &Node{Name: cpName, ns: netNS{cpName}}
	if err := hears(ctx, cp, "tcp", netip.AddrPortFrom(n1.Addr4, 10250), 10*time.Second); err != nil {
		t.Errorf("the API server does not reach the kubelet: %v", err)
	}
	if err := l.CutAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	check(n2, false)
	if err := l.HealAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	check(n1, true)
	check(n2, true)
}
