// SPDX-License-Identifier: Apache-2.0

package links_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"metallb.io/metallb-frr/pkg/links"
)

// same waits until w's last report is what the kernel has, which may still change.
func (n *node) same(w *watch) {
	n.t.Helper()
	w.until("what the kernel has", func(got []links.Link) bool { return slices.EqualFunc(got, n.now(), links.Link.Equal) })
}

// TestFolded: what changes while a report is worked on is one more report.
func TestFolded(t *testing.T) {
	n := newNode(t)
	eth := n.veth("eth0")
	block, blocked := make(chan struct{}), make(chan struct{}, 1)
	w := n.watch(links.Options{}, func(ls []links.Link) {
		if l, ok := find(ls, "eth0"); ok && has("192.0.2.1/24")(l) {
			select {
			case blocked <- struct{}{}:
			default:
			}
			<-block
		}
	})
	n.must(n.AddrAdd(eth, addr("192.0.2.1/24")))
	<-blocked
	before := w.count()
	for i := range 50 {
		n.must(n.AddrAdd(eth, addr(fmt.Sprintf("10.0.%d.1/24", i))))
	}
	close(block)
	w.untilLink("eth0", "with the last address", has("10.0.49.1/24"))
	if got := w.count() - before; got != 1 {
		t.Errorf("%d reports of 50 changes, want 1", got)
	}
}

// TestStorm: 2,000 changes, while the consumer takes its time, end in the right
// state.
func TestStorm(t *testing.T) {
	n := newNode(t)
	eth := n.veth("eth0")
	w := n.watch(links.Options{}, func([]links.Link) { time.Sleep(5 * time.Millisecond) })
	w.untilLink("eth0", "up", isUp)
	before := w.count()
	from := time.Now()
	changes, stay := 0, 0
	for i := 0; changes < 2000; i++ {
		a := addr(fmt.Sprintf("10.%d.%d.1/24", i>>8&0xff, i&0xff))
		n.must(n.AddrAdd(eth, a))
		changes++
		if i%4 != 0 {
			n.must(n.AddrDel(eth, a))
			changes++
		} else {
			stay++
		}
		if i%50 == 0 {
			n.must(n.LinkSetDown(eth), n.LinkSetUp(eth))
			changes += 2
		}
	}
	took := time.Since(from)
	last := addr("192.0.2.1/24")
	from = time.Now()
	n.must(n.AddrAdd(eth, last))
	w.untilLink("eth0", "with the last address", has("192.0.2.1/24"))
	t.Logf("%d changes in %s: %d reports; the last change was reported after %s", changes, took, w.count()-before, time.Since(from))
	n.same(w)
	l, _ := find(n.now(), "eth0")
	v6 := func(p netip.Prefix) bool { return p.Addr().Is6() }
	if v4 := slices.DeleteFunc(slices.Clone(l.Addrs), v6); len(v4) != stay+1 {
		t.Errorf("eth0 has %d IPv4 addresses, want %d and the last one", len(v4), stay)
	}
}

// TestVanishing: interfaces that are gone before they can be read are no trouble
// (which ends any of these tests as failed), and do not stay.
func TestVanishing(t *testing.T) {
	n := newNode(t)
	w := n.watch(links.Options{}, nil)
	for i := range 40 {
		l := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: fmt.Sprintf("eth%d", i)}, PeerName: fmt.Sprintf("peer%d", i)}
		n.must(n.LinkAdd(l), n.LinkSetUp(l))
		if i%10 != 0 {
			n.must(n.LinkDel(l))
		}
	}
	w.until("the last one that stays", func(ls []links.Link) bool { _, there := find(ls, "eth30"); return there })
	n.same(w)
	if ls := n.now(); len(ls) != 9 {
		t.Errorf("%d interfaces, want lo and 4 pairs:\n%s", len(ls), show(ls))
	}
}

// TestOverrun: what the kernel had no room to tell is found all the same.
func TestOverrun(t *testing.T) {
	n := newNode(t)
	eth, other := n.veth("eth0"), n.veth("eth1")
	block, blocked := make(chan struct{}), make(chan struct{}, 1)
	w := n.watch(links.Options{ReceiveBuffer: 1}, func(ls []links.Link) {
		if l, ok := find(ls, "eth0"); ok && has("192.0.2.1/24")(l) {
			select {
			case blocked <- struct{}{}:
			default:
			}
			<-block
		}
	})
	n.must(n.AddrAdd(eth, addr("192.0.2.1/24")))
	<-blocked
	for i := range 100 {
		n.must(n.AddrAdd(eth, addr(fmt.Sprintf("10.0.%d.1/24", i))))
	}
	n.must(n.AddrAdd(other, addr("198.51.100.1/24"))) // nothing was told of this one
	if n.dropped() == 0 {
		t.Fatal("the kernel dropped nothing: the test shows nothing")
	}
	close(block)
	w.untilLink("eth1", "with the address that was not told of", has("198.51.100.1/24"))
	n.same(w)
}

// dropped returns how many messages the sockets in the namespace have lost.
func (n *node) dropped() int {
	type answer struct {
		text []byte
		err  error
	}
	ch := make(chan answer)
	n.in(func() {
		text, err := os.ReadFile("/proc/thread-self/net/netlink")
		ch <- answer{text, err}
	})
	a := <-ch
	n.must(a.err)
	lines := strings.Split(strings.TrimSpace(string(a.text)), "\n")
	column := slices.Index(strings.Fields(lines[0]), "Drops")
	sum := 0
	for _, line := range lines[1:] {
		var drops int
		if _, err := fmt.Sscan(strings.Fields(line)[column], &drops); err != nil {
			n.t.Fatal(err)
		}
		sum += drops
	}
	return sum
}

// TestEnds: with its context, whatever it is doing, and nothing stays behind.
func TestEnds(t *testing.T) {
	n := newNode(t)
	n.veth("eth0")
	n.watch(links.Options{}, nil).end()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for range 20 {
		w := n.watch(links.Options{}, nil)
		w.end()
		count := w.count()
		if w.end(); w.count() != count {
			t.Error("reported after its end")
		}
	}
	left(t, goroutines, files)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := links.Watch(ctx, links.Options{}, func([]links.Link) { t.Error("reported after the end of its context") }); err != nil {
		t.Errorf("Watch with a context that has ended: %v", err)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// left fails the test when there are more goroutines or open files than before. A
// thread that ends takes a moment to.
func left(t *testing.T, goroutines, files int) {
	t.Helper()
	limit := time.Now().Add(timeLimit)
	for {
		g, f := runtime.NumGoroutine(), openFiles(t)
		if g <= goroutines && f <= files {
			return
		}
		if time.Now().After(limit) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines and %d files are left, want %d and %d:\n%s", g, f, goroutines, files, stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}

// BenchmarkChange is one change of an address on a node with as many interfaces,
// until it is reported, and its removal. In the last one an interface without ARP
// has as many addresses, as with kube-proxy in IPVS mode.
func BenchmarkChange(b *testing.B) {
	for _, c := range []struct{ links, services int }{{2, 0}, {500, 0}, {2, 10000}} {
		b.Run(fmt.Sprintf("links=%d/services=%d", c.links, c.services), func(b *testing.B) {
			n := newNode(b)
			eth := n.veth("eth0")
			for i := range c.links/2 - 1 {
				n.veth(fmt.Sprintf("x%d", i))
			}
			if c.services > 0 {
				ipvs := n.veth("ipvs0")
				n.must(n.LinkSetARPOff(ipvs))
				for i := range c.services {
					n.must(n.AddrAdd(ipvs, addr(fmt.Sprintf("10.%d.%d.1/32", i>>8, i&0xff))))
				}
			}
			w := n.watch(links.Options{}, nil)
			w.untilLink("eth0", "up", isUp)
			for b.Loop() {
				n.must(n.AddrAdd(eth, addr("192.0.2.1/24")))
				w.untilLink("eth0", "with the address", has("192.0.2.1/24"))
				n.must(n.AddrDel(eth, addr("192.0.2.1/24")))
				w.untilLink("eth0", "without the address", hasNot("192.0.2.1/24"))
			}
		})
	}
}
