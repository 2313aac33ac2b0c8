// SPDX-License-Identifier: Apache-2.0

package scenarios_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"metallb.io/metallb-frr/e2e/lab"
)

// learnHops learns under which addresses nodes are next hops.
func (w *world) learnHops(ctx context.Context) error {
	for _, n := range w.Nodes() {
		w.hops[n.Addr4.String()], w.hops[n.Addr6.String()] = n.Name, n.Name
		out, err := n.Exec(ctx, "ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link")
		if err != nil {
			return err
		}
		f := strings.Fields(out)
		at := slices.Index(f, "inet6")
		if at < 0 || at+1 == len(f) {
			return fmt.Errorf("%s has no link-local address: %q", n.Name, out)
		}
		w.hops[netip.MustParsePrefix(f[at+1]).Addr().String()] = n.Name
	}
	return nil
}

// nodesOf names the nodes behind next hops, sorted; one that is no node keeps
// its address.
func (w *world) nodesOf(hops []netip.Addr) []string {
	var names []string
	for _, h := range hops {
		name := w.hops[h.WithZone("").String()]
		if name == "" {
			name = h.String()
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// recording is what happens to BGP's routes in the kernels of all routers.
type recording struct {
	world   *world
	mu      sync.Mutex
	routers []*history
	changed chan struct{} // capacity 1
}

// history is one router's.
type history struct {
	router *lab.Router
	now    map[netip.Prefix][]string // next hops by node
	events []event
}

// event is a change of one route. No nodes: it is gone.
type event struct {
	at     time.Time // at which the kernel told
	prefix netip.Prefix
	nodes  []string
}

func (e event) String() string {
	return fmt.Sprintf("%s %s via %v", e.at.Format("05.000"), e.prefix, e.nodes)
}

// record starts a recording that ends with the test.
func (w *world) record(t *testing.T, ctx context.Context) *recording {
	t.Helper()
	rec := &recording{world: w, changed: make(chan struct{}, 1)}
	for _, r := range w.Routers() {
		h := &history{router: r, now: map[netip.Prefix][]string{}}
		rec.routers = append(rec.routers, h)
		events, err := r.WatchRoutes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		routes, err := r.Routes(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, route := range routes {
			h.now[route.Prefix] = w.nodesOf(route.NextHops)
		}
		go rec.follow(h, events)
	}
	return rec
}

func (rec *recording) follow(h *history, events <-chan lab.RouteEvent) {
	for e := range events {
		ev := event{at: e.Time, prefix: e.Route.Prefix}
		if !e.Deleted {
			ev.nodes = rec.world.nodesOf(e.Route.NextHops)
		}
		rec.mu.Lock()
		if !slices.Equal(h.now[ev.prefix], ev.nodes) {
			h.events = append(h.events, ev)
			h.now[ev.prefix] = ev.nodes
		}
		rec.mu.Unlock()
		select {
		case rec.changed <- struct{}{}:
		default:
		}
	}
}

// until waits until ok says so of every router. ok is called with the routes
// and must not keep them.
func (rec *recording) until(t *testing.T, ctx context.Context, what string, ok func(h *history) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	for {
		var errs []error
		rec.mu.Lock()
		for _, h := range rec.routers {
			if err := ok(h); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", h.router.Name, err))
			}
		}
		rec.mu.Unlock()
		if len(errs) == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waiting for %s: %v", what, errors.Join(errs...))
		case <-rec.changed:
		}
	}
}

// reach waits until all routers reach the prefix over exactly those nodes; none:
// not at all.
func (rec *recording) reach(t *testing.T, ctx context.Context, p netip.Prefix, nodes ...string) {
	t.Helper()
	rec.until(t, ctx, fmt.Sprintf("%s over nodes %v", p, nodes), func(h *history) error {
		if got := h.now[p]; !slices.Equal(got, nodes) {
			return fmt.Errorf("it goes over %v", got)
		}
		return nil
	})
}

// saw waits until every router's kernel has told of the route going over
// exactly those nodes, however briefly, at or after event number from.
func (rec *recording) saw(t *testing.T, ctx context.Context, from []int, p netip.Prefix, nodes ...string) {
	t.Helper()
	rec.until(t, ctx, fmt.Sprintf("%s to have gone over nodes %v", p, nodes), func(h *history) error {
		events := h.events[from[slices.Index(rec.routers, h)]:]
		if !slices.ContainsFunc(events, func(e event) bool { return e.prefix == p && slices.Equal(e.nodes, nodes) }) {
			return fmt.Errorf("its events are %v", events)
		}
		return nil
	})
}

// mark returns the number of events so far, by router.
func (rec *recording) mark() []int {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var at []int
	for _, h := range rec.routers {
		at = append(at, len(h.events))
	}
	return at
}

// since says what has happened since from.
func (rec *recording) since(from []int) string {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	var b strings.Builder
	for i, h := range rec.routers {
		fmt.Fprintf(&b, "%s: %v\n", h.router.Name, h.events[from[i]:])
	}
	return b.String()
}

// only fails the test if the events since from are about other prefixes than
// those given.
func (rec *recording) only(t *testing.T, from []int, prefixes ...netip.Prefix) {
	t.Helper()
	rec.mu.Lock()
	defer rec.mu.Unlock()
	for i, h := range rec.routers {
		for _, e := range h.events[from[i]:] {
			if !slices.Contains(prefixes, e.prefix) {
				t.Errorf("%s: an event of another route than %v: %v", h.router.Name, prefixes, e)
			}
		}
	}
}

// host is the prefix of one address.
func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
