// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func testRoutes(t *testing.T, ctx context.Context, l *Lab) {
	r := l.Router(0)
	events, err := r.WatchRoutes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	n1, n2 := l.Node(0), l.Node(1)
	for _, c := range []struct {
		prefix string
		a, b   netip.Addr
	}{{"198.51.100.1/32", n1.Addr4, n2.Addr4}, {"2001:db8::1/128", n1.Addr6, n2.Addr6}} {
		p := netip.MustParsePrefix(c.prefix)
		ip := func(args ...string) {
			t.Helper()
			if _, err := r.Exec(ctx, "ip", append([]string{"route"}, args...)...); err != nil {
				t.Fatal(err)
			}
		}
		ip("add", c.prefix, "proto", "bgp", "nexthop", "via", c.a.String(), "nexthop", "via", c.b.String())
		want := []netip.Addr{c.a, c.b}
		if e := nextEvent(t, events); e.Deleted || e.Route.Prefix != p || !slices.Equal(e.Route.NextHops, want) {
			t.Errorf("event after adding: %+v", e)
		}
		if got, err := r.Route(ctx, p); err != nil || !slices.Equal(got.NextHops, want) {
			t.Errorf("Route(%s) = %v, %v", p, got, err)
		}
		ip("del", c.prefix, "proto", "bgp")
		if e := nextEvent(t, events); !e.Deleted || e.Route.Prefix != p {
			t.Errorf("event after deleting: %+v", e)
		}
		if got, err := r.Route(ctx, p); err != nil || len(got.NextHops) != 0 {
			t.Errorf("Route(%s) after deleting = %v, %v", p, got, err)
		}
	}
}

func nextEvent(t *testing.T, events <-chan RouteEvent) RouteEvent {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			t.Fatal("the stream of events ended")
		}
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event within 10 s")
		return RouteEvent{}
	}
}

func testRouterRestart(t *testing.T, ctx context.Context, l *Lab) {
	r := l.Router(1)
	if err := r.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Vtysh(ctx, "show version"); err == nil {
		t.Error("a stopped router answers")
	}
	if err := r.Start(ctx); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err := poll(ctx, "the configuration", 100*time.Millisecond, func() error {
		got, err := r.Vtysh(ctx, "show running-config")
		if err == nil && !strings.Contains(got, "neighbor "+l.Node(0).Addr4.String()+" peer-group nodes4") {
			err = fmt.Errorf("configuration without the node: %s", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
