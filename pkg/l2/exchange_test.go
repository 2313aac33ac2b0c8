// SPDX-License-Identifier: Apache-2.0

package l2

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	onwire "metallb.io/metallb-frr/e2e/wire"
	"metallb.io/metallb-frr/pkg/links"
	"metallb.io/metallb-frr/pkg/plan"
)

var update = flag.Bool("update", false, "write testdata/exchanges anew")

// parentMAC is a second interface of the node's.
var parentMAC = MAC{2, 0, 0, 0, 0, 4}

// An exchange is what passes between a node, whose engine has the links that its
// kernel tells of, and a client that is nothing but a kernel, as decoded by what
// shares no code with this package. Each part of it begins with what happens.
type exchange struct {
	t            *testing.T
	node, client *space
	engine       *Engine
	held         bool // a speaker had the addresses
	heard        *onwire.Capture
	parts        []part
}

type part struct {
	what  string
	since time.Time
}

// newExchange listens at the client's eth0.
func newExchange(t *testing.T, node, client *space) *exchange {
	t.Helper()
	x := &exchange{t: t, node: node, client: client}
	client.in(func() {
		var err error
		if x.heard, err = onwire.Listen("eth0", nil); err != nil {
			t.Error(err)
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	t.Cleanup(func() { x.heard.Stop() })
	return x
}

// respond starts the node's engine, which has both services, on some links; none
// named: on all. held: a speaker had them.
func (x *exchange) respond(held bool, on ...string) {
	x.t.Helper()
	e, err := New(Options{Node: "node", Burst: []time.Duration{}, open: func(l Link) (w wire, err error) {
		x.node.in(func() { w, err = openWire(l.Name) })
		return w, err
	}})
	if err != nil {
		x.t.Fatal(err)
	}
	x.engine, x.held = e, held
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	x.t.Cleanup(func() {
		cancel()
		watching.Wait()
		e.Close()
	})
	watching.Go(func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		ns, err := unix.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", x.node.tid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(ns)
			err = unix.Setns(ns, unix.CLONE_NEWNET)
		}
		if err == nil {
			err = links.Watch(ctx, links.Options{}, func(found []links.Link) {
				d := Desired{Links: answering(found)}
				for _, a := range []netip.Addr{service4, service6} {
					d.Announcements = append(d.Announcements, plan.Announcement{Addr: a, Own: true, Order: []string{"node"}, Held: held, Links: on})
				}
				if err := e.Apply(d); err != nil {
					x.t.Log(err) // tried again
				}
			})
		}
		if err != nil {
			x.t.Error(err)
		}
	})
}

func answering(found []links.Link) []Link {
	var out []Link
	for _, l := range found {
		if a := l.Answers(nil); a.Any() {
			out = append(out, Link{Name: l.Name, Index: l.Index, MAC: MAC(l.MAC), ARP: a.ARP.Reason == "", NDP: a.NDP.Reason == ""})
		}
	}
	return out
}

// part begins a part.
func (x *exchange) part(what string) { x.parts = append(x.parts, part{what, time.Now()}) }

// wait waits for frames of this part, one about each address.
func (x *exchange) wait(what string, ok func(onwire.Frame) bool, addrs ...netip.Addr) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeLimit)
	defer cancel()
	for _, a := range addrs {
		if _, err := x.heard.Wait(ctx, x.parts[len(x.parts)-1].since, func(f onwire.Frame) bool { return f.Addr == a && ok(f) }); err != nil {
			x.t.Fatalf("%s about %s: %v\n%s", what, a, err, x.text())
		}
	}
}

// announced waits until both are announced from a MAC, and nothing more is to be.
func (x *exchange) announced(from MAC) {
	x.t.Helper()
	x.wait("an announcement", func(f onwire.Frame) bool {
		return f.Kind == onwire.Gratuitous && f.MAC == onwire.MAC(from) && !f.Request
	}, service4, service6)
	e := x.engine
	x.until("all is said", func() bool {
		// ARP and NDP may come to a link one after the other, and with each all
		// is announced.
		same := len(e.Status(service4).Links) == len(e.Status(service6).Links)
		e.mu.Lock()
		defer e.mu.Unlock()
		return same && !e.holding && e.says.Len() == 0
	})
}

// until asks the engine again and again.
func (x *exchange) until(what string, ok func() bool) {
	x.t.Helper()
	for end := time.Now().Add(timeLimit); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			x.t.Fatalf("after %v not yet: %s; the engine has %+v", timeLimit, what, x.engine.All())
		}
	}
}

// claimed waits until both are claimed to the client.
func (x *exchange) claimed(by MAC) {
	x.t.Helper()
	x.wait("an answer", func(f onwire.Frame) bool { return f.Kind == onwire.Claim && f.MAC == onwire.MAC(by) }, service4, service6)
}

// finds has the client's kernel, which knows nothing, look for both services.
func (x *exchange) finds(m MAC) {
	x.t.Helper()
	x.part("the client's kernel looks for the addresses")
	for _, a := range []netip.Addr{service4, service6} {
		x.client.try("ip neigh del " + a.String() + " dev eth0")
		x.client.speak(a)
		x.client.neighbour(a, m, "REACHABLE")
	}
	x.claimed(m)
}

// doubts has the client's kernel probe whether its neighbour is still there (RFC 4861
// section 7.3).
func (x *exchange) doubts(m MAC) {
	x.t.Helper()
	x.part("the client's kernel probes what it knows")
	for _, a := range []netip.Addr{service4, service6} {
		x.client.ip("neigh change " + a.String() + " lladdr " + m.String() + " dev eth0 nud probe")
		x.client.neighbour(a, m, "REACHABLE")
	}
	x.claimed(m)
}

// text writes the exchange. A frame that came several times in a part stands there
// once: a slow machine has the kernel ask again.
func (x *exchange) text() string {
	var b strings.Builder
	record := x.heard.Record()
	for i, p := range x.parts {
		end := time.Now()
		if i+1 < len(x.parts) {
			end = x.parts[i+1].since
		}
		fmt.Fprintf(&b, "# %s\n", p.what)
		var written []string
		for _, a := range []netip.Addr{service4, service6} {
			for _, f := range record.Between(p.since, end).Of(a) {
				// A second after it has something the node asks whether other
				// nodes' kernels have it too; that is no part of this.
				checks := f.Kind == onwire.Probe && f.Src != onwire.MAC(clientMAC) && (x.held || i > 0)
				if !checks && !slices.Contains(written, lineOf(f)) {
					written = append(written, lineOf(f))
				}
			}
		}
		for _, line := range written {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// lineOf writes a frame with all that it says.
func lineOf(f onwire.Frame) string {
	name := func(m onwire.MAC) string {
		names := map[MAC]string{nodeMAC: "node", clientMAC: "client", otherMAC: "other", parentMAC: "parent", MAC(onwire.Broadcast): "all"}
		if n, ok := names[MAC(m)]; ok {
			return n
		}
		return m.String()
	}
	says := []string{name(f.Src), "to", name(f.Dst) + ":", f.Kind.String(), f.Addr.String(), "mac=" + name(f.MAC)}
	if f.From.IsValid() {
		says = append(says, "from="+f.From.String())
	}
	protocol := []string{"advertisement"}
	switch {
	case f.Addr.Is4() && f.Request:
		protocol = []string{"request"}
	case f.Addr.Is4():
		protocol = []string{"reply"}
	case f.Kind == onwire.Query || f.Kind == onwire.Probe:
		protocol = []string{"solicitation"}
	}
	if f.Addr.Is6() {
		for flag, set := range map[string]bool{"override": f.Override, "router": f.Router, "solicited": f.Solicited, "with-lladdr": f.LinkLayer} {
			if set {
				protocol = append(protocol, flag)
			}
		}
	}
	slices.Sort(protocol[1:])
	return strings.Join(append(says, "("+strings.Join(protocol, " ")+")"), " ")
}

// golden compares the exchange with the one of testdata.
func (x *exchange) golden(name string) {
	x.t.Helper()
	path := filepath.Join("testdata", "exchanges", name+".txt")
	got := x.text()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			x.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		x.t.Fatal(err)
	}
	if got != string(want) {
		x.t.Errorf("%s:\n got\n%s\nwant\n%s", path, got, want)
	}
}
