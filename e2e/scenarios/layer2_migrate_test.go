// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
	"metallb.io/metallb-frr/e2e/product"
)

// lanBGP makes all nodes announce the pool lan to both routers, each family over a
// session of its own that BFD watches.
func (w *world) lanBGP() string {
	var b strings.Builder
	b.WriteString(object("BGPAdvertisement", "lan", "{ipAddressPools: [lan]}"))
	b.WriteString(object("BFDProfile", "lan", "{receiveInterval: 300, transmitInterval: 300, detectMultiplier: 3}"))
	for _, r := range w.Routers() {
		for suffix, a := range map[string]netip.Addr{"": r.Addr4, "-v6": r.Addr6} {
			b.WriteString(object("BGPPeer", r.Name+suffix, fmt.Sprintf("{myASN: 65100, peerASN: 65000, peerAddress: %q, bfdProfile: lan}", a)))
		}
	}
	return b.String()
}

// viaRouter makes a client on the nodes' network send to the addresses that are given
// out there over a router, until the test ends. A client that looks for them on its
// own network finds nobody once they are routed.
func (w *world) viaRouter(t *testing.T, ctx context.Context, c *lab.Client, r *lab.Router) {
	t.Helper()
	for p, via := range map[netip.Prefix]netip.Addr{lab.Free4: r.Addr4, lab.Free6: r.Addr6} {
		if _, err := c.Exec(ctx, "ip", "route", "add", p.String(), "via", via.String()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if _, err := c.Exec(context.Background(), "ip", "route", "delete", p.String()); err != nil {
				t.Error(err)
			}
		})
	}
}

// A cluster that began with layer 2 goes over to BGP under load: the addresses stay,
// the routers find them on the nodes' network until BGP tells them more, and nothing
// is lost on the way, neither from behind the routers nor from the nodes' own network.
func TestLayer2MovesToBGP(t *testing.T) {
	ctx, w := begin(t)
	rec := w.record(t, ctx)
	ns := w.namespace(t, ctx)
	w.apply(t, ctx, lanConfig()+webPods(ns, "web", everywhere...)+lanService(ns, "web", "web", "Local", "", "IPv4", "IPv6"))
	w.podsReady(t, ctx, ns, "web")
	ports := w.ports(t, ctx, ns, "web", 2)
	addrs := []netip.Addr{ports[0].Addr(), ports[1].Addr()}
	watch := w.lanWatch(t, addrs...)
	w.viaRouter(t, ctx, w.LANClient(0), w.Router(0))
	var streams []*stream
	for _, to := range ports {
		owner, _ := w.announcer(t, ctx, watch.Capture, to.Addr())
		w.answers(t, ctx, to, owner)
		streams = append(streams, w.slowStream(t, ctx, w.Client(0), to), w.slowStream(t, ctx, w.LANClient(0), to))
	}
	past := func() {
		for _, s := range streams {
			s.past(t, ctx, 300)
		}
	}
	requests := product.StartStream(ctx, w.Client(0), url(ports[0]), 10*time.Millisecond, 2*time.Second)
	past()
	from := rec.mark()
	w.apply(t, ctx, w.lanBGP())
	for _, a := range addrs {
		rec.reach(t, ctx, host(a), everywhere...)
	}
	past()
	w.kubectl(t, ctx, "-n", product.Namespace, "delete", "l2advertisement", "lan")
	w.silent(t, ctx, watch, addrs...)
	w.lanStatuses(t, ctx, ns)
	past()
	for i, s := range streams {
		d := s.Stop()
		t.Logf("stream %d: %s, answered by %v", i, d, d.ByNode)
		if d.Lost > 0 || len(d.ByNode) != len(everywhere) {
			t.Errorf("stream %d: %d of %d datagrams lost from %s to %s, answered by %v; want none lost, and answers from all nodes; routes meanwhile:\n%s%s",
				i, d.Lost, d.Sent, d.First.Format("05.000"), d.Last.Format("05.000"), d.ByNode, rec.since(from), w.overflows(ctx))
		}
	}
	rec.judge(t, from, requests.Stop())
	if now := w.ports(t, ctx, ns, "web", 2); !slices.Equal(now, ports) {
		t.Errorf("the addresses were %v, and are %v", ports, now)
	}
	for _, to := range ports {
		w.answers(t, ctx, to, everywhere...)
	}
	w.agree(t, ctx)
}

// slowStream is stream from any client, with 300 datagrams a second.
func (w *world) slowStream(t *testing.T, ctx context.Context, c *lab.Client, to netip.AddrPort) *stream {
	t.Helper()
	d, err := product.StartDatagrams(ctx, c, to, 16, 300)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Stop() })
	return &stream{d}
}

// judge fails the test if requests failed but while the routers' routes changed since
// from: a connection that is open when they spread flows anew may end.
func (rec *recording) judge(t *testing.T, from []int, requests product.Tally) {
	t.Helper()
	var first, last time.Time
	for _, e := range rec.eventsSince(from) {
		if first.IsZero() || e.at.Before(first) {
			first = e.at
		}
		if e.at.After(last) {
			last = e.at
		}
	}
	t.Logf("%d requests answered, %d failed; routes changed for %s", requests.OK(), requests.Failed, last.Sub(first))
	const open = 200 * time.Millisecond // of a request
	if requests.OK() < 300 || requests.Failed > 0 && (requests.First.Before(first.Add(-open)) || requests.Last.After(last)) {
		t.Errorf("%d requests answered, %d failed from %s to %s (%v), want none to fail but while routes changed, from %s to %s", requests.OK(), requests.Failed,
			requests.First.Format("05.000"), requests.Last.Format("05.000"), requests.LastError, first.Format("05.000"), last.Format("05.000"))
	}
}

// eventsSince returns what has happened on all routers since from.
func (rec *recording) eventsSince(from []int) []event {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var all []event
	for i, h := range rec.routers {
		all = append(all, h.events[from[i]:]...)
	}
	return all
}
